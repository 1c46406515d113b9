/* link/directory.c - the runtime directory and the lock files in it. */
#include "link/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "os/error.h"
#include "os/memory.h"
#include "os/process.h"

#define SYSTEM_DIRECTORY "/run/cuframes"
#define LINKS_MOST 8
/* Who sweeps up after the dead holds their locks for a moment: look again, so many times, a millisecond apart. */
#define LOCK_TRIES 20

int cf_name_check(const char *name) {
  static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (!name || name[0] == '\0')
    return cf_fail(CUFRAMES_ERR_NAME, "a stream needs a name: 1 to %d of A-Z a-z 0-9 . _ -", CUFRAMES_NAME_MAX);
  size_t length = strnlen(name, CUFRAMES_NAME_MAX + 1);
  if (length > CUFRAMES_NAME_MAX)
    return cf_fail(CUFRAMES_ERR_NAME, "the name \"%.16s...\" has more than %d characters", name, CUFRAMES_NAME_MAX);
  if (!strchr(first, name[0]))
    return cf_fail(CUFRAMES_ERR_NAME, "the name \"%s\" must begin with a letter or a digit", name);
  size_t good = strspn(name, rest);
  if (good < length)
    return cf_fail(CUFRAMES_ERR_NAME,
                   "the name \"%s\" has a character that is not one of A-Z a-z 0-9 . _ - at position %zu", name,
                   good + 1);
  return CUFRAMES_OK;
}

static bool fits(int length) {
  return length >= 0 && length < CF_PATH_MAX;
}

/* Where the directory is, and whether somebody chose it, or nobody and it is the default. */
static int directory_find(const char *option, char path[CF_PATH_MAX], bool *chosen) {
  const char *environment = getenv("CUFRAMES_DIR"), *session = getenv("XDG_RUNTIME_DIR");
  int length;
  *chosen = true;
  if (option && option[0])
    length = snprintf(path, CF_PATH_MAX, "%s", option);
  else if (environment && environment[0])
    length = snprintf(path, CF_PATH_MAX, "%s", environment);
  else if (*chosen = false, access(SYSTEM_DIRECTORY, W_OK | X_OK) == 0)
    length = snprintf(path, CF_PATH_MAX, SYSTEM_DIRECTORY);
  else if (session && session[0])
    length = snprintf(path, CF_PATH_MAX, "%s/cuframes", session);
  else
    length = snprintf(path, CF_PATH_MAX, "/tmp/cuframes-%u", (unsigned)geteuid());
  if (!fits(length))
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "the runtime directory's path is longer than %d bytes", CF_PATH_MAX - 1);
  return CUFRAMES_OK;
}

int cf_directory_resolve(const char *option, char path[CF_PATH_MAX]) {
  bool chosen;
  return directory_find(option, path, &chosen);
}

/* ---- whose it is ---- */

static bool is_trusted(const struct stat *status) {
  return status->st_uid == geteuid() || status->st_uid == 0;
}

/* A directory that somebody else owns could be emptied and refilled under us; so could one that others may write to and
 * that is not sticky. */
static int directory_trusted(const struct stat *status, const char *path) {
  if (!is_trusted(status))
    return cf_fail(
        CUFRAMES_ERR_DIRECTORY,
        "the runtime directory %s belongs to user %u, not to us (%u) or root: choose another with CUFRAMES_DIR", path,
        (unsigned)status->st_uid, (unsigned)geteuid());
  if ((status->st_mode & S_IWOTH) && !(status->st_mode & S_ISVTX))
    return cf_fail(CUFRAMES_ERR_DIRECTORY,
                   "anybody may write to the runtime directory %s: take that away with chmod o-w", path);
  if ((status->st_mode & S_IWGRP) && !(status->st_mode & S_ISVTX))
    return cf_fail(CUFRAMES_ERR_DIRECTORY,
                   "group %u may write to the runtime directory %s, and so remove what is not its own: make it sticky "
                   "with chmod 3770, or take that away with chmod g-w",
                   (unsigned)status->st_gid, path);
  return CUFRAMES_OK;
}

/* Nor may a stranger's link stand in its place, as it may in /tmp: the lock would be taken here, the socket made
 * there. */
static int link_trusted(const struct stat *status, const char *path) {
  if (is_trusted(status))
    return CUFRAMES_OK;
  return cf_fail(CUFRAMES_ERR_DIRECTORY,
                 "the runtime directory %s is a link of user %u, not of us (%u) or root: choose another with "
                 "CUFRAMES_DIR",
                 path, (unsigned)status->st_uid, (unsigned)geteuid());
}

static int open_failed(const char *path) {
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
    return cf_fail_errno("opening the runtime directory %s", path);
  return cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot open the runtime directory %s: %s", path, strerror(errno));
}

/* Opens what a path names in a directory (which is closed), a link as a link. The path is cut to the name that is
 * opened; *parent is the directory that it is in. */
static int step_open(int *parent, char path[CF_PATH_MAX]) {
  for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
    path[length - 1] = '\0'; /* or a link would be followed */
  char *slash = strrchr(path, '/');
  if (slash && slash[1] != '\0') {
    char file[CF_PATH_MAX];
    snprintf(file, sizeof file, "%s", slash + 1);
    slash[slash == path] = '\0'; /* the root keeps its name */
    int above = openat(*parent, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*parent != AT_FDCWD)
      cf_close(*parent);
    *parent = above;
    if (above < 0)
      return -1;
    memcpy(path, file, sizeof file);
  }
  return openat(*parent, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Where a link leads, if it may. */
static int link_follow(int fd, const struct stat *status, const char *path, char rest[CF_PATH_MAX]) {
  int result = link_trusted(status, path);
  if (result != CUFRAMES_OK)
    return result;
  ssize_t length = readlinkat(fd, "", rest, CF_PATH_MAX);
  if (length < 0)
    return open_failed(path);
  if (length >= CF_PATH_MAX)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "the runtime directory %s is a link to a path of more than %d bytes", path,
                   CF_PATH_MAX - 1);
  rest[length] = '\0';
  return CUFRAMES_OK;
}

/* What is opened to be looked at gives a descriptor to work with. */
static int directory_take(int fd, const struct stat *status, const char *path, int flags, int *directory) {
  int result = directory_trusted(status, path);
  if (result != CUFRAMES_OK)
    return result;
  *directory = openat(fd, ".", flags | O_DIRECTORY | O_CLOEXEC);
  return *directory < 0 ? open_failed(path) : CUFRAMES_OK;
}

/* Opens a directory and looks at what was opened, so that nobody can put something else there in between; likewise each
 * link at its place. *directory is -1 on failure. */
static int open_trusted(const char *path, int flags, int *directory) {
  char rest[CF_PATH_MAX];
  int parent = AT_FDCWD, result = CUFRAMES_OK;
  *directory = -1;
  snprintf(rest, sizeof rest, "%s", path);
  for (int links = 0; result == CUFRAMES_OK && *directory < 0 && links < LINKS_MOST; links++) {
    struct stat status;
    int fd = step_open(&parent, rest);
    if (fd < 0)
      result = open_failed(path);
    else if (fstat(fd, &status) != 0)
      result = cf_fail_errno("fstat of %s", path);
    else if (S_ISLNK(status.st_mode))
      result = link_follow(fd, &status, path, rest);
    else
      result = directory_take(fd, &status, path, flags, directory);
    cf_close(fd);
  }
  if (parent != AT_FDCWD)
    cf_close(parent);
  if (result == CUFRAMES_OK && *directory < 0)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "the runtime directory %s is a link that leads round and round", path);
  return result;
}

/* A publisher's: it is made if it is not there. */
static int directory_open(const char *path, int *directory) {
  if (mkdir(path, 0700) != 0 && errno != EEXIST)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot create the runtime directory %s: %s", path, strerror(errno));
  return open_trusted(path, O_RDONLY, directory);
}

/* A reader's. One that somebody chose is taken as it is: whoever owns it publishes there. Where nobody did, nobody but
 * us or root may be who publishes. *directory is -1 with OK if there is none. */
static int directory_read(const char *option, int flags, char path[CF_PATH_MAX], int *directory) {
  bool chosen;
  *directory = -1;
  int result = directory_find(option, path, &chosen);
  if (result != CUFRAMES_OK)
    return result;
  bool connects = flags & O_PATH;
  int fd = open(path, flags | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || (connects && errno == ENOTDIR)))
    return CUFRAMES_OK;
  if (fd < 0 && connects && errno == EACCES)
    return cf_fail(CUFRAMES_ERR_PERMISSION, "no permission to enter the runtime directory %s", path);
  if (fd < 0)
    return open_failed(path);
  if (chosen) {
    *directory = fd;
    return CUFRAMES_OK;
  }
  cf_close(fd);
  return open_trusted(path, flags, directory);
}

static int socket_path(const char *directory, const char *name, char path[CF_PATH_MAX]) {
  if (!fits(snprintf(path, CF_PATH_MAX, "%s/%s.sock", directory, name)))
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "the socket path %.64s.../%s.sock is longer than %d bytes", directory, name,
                   CF_PATH_MAX - 1);
  return CUFRAMES_OK;
}

int cf_place_find(const char *option, const char *name, cf_place *place) {
  char directory[CF_PATH_MAX];
  cf_place found;
  int result = cf_name_check(name);
  if (result != CUFRAMES_OK)
    return result;
  result = directory_read(option, O_PATH, directory, &found.directory);
  if (result != CUFRAMES_OK)
    return result;
  result = socket_path(directory, name, found.path);
  if (result == CUFRAMES_OK && found.directory < 0)
    result = cf_fail(CUFRAMES_ERR_NO_SUCH_STREAM, "no stream \"%s\": there is no directory %s", name, directory);
  if (result != CUFRAMES_OK) {
    cf_close(found.directory);
    return result;
  }
  *place = found;
  return CUFRAMES_OK;
}

/* Whether the descriptor is still the file of that name: its last owner may have removed it before we got the lock. */
static bool still_linked(int directory, int fd, const char *file) {
  struct stat ours, there;
  return fstat(fd, &ours) == 0 && fstatat(directory, file, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Takes the lock of a name. 1: somebody living holds it. */
static int lock_take(int directory, const char *file, int flags, int *lock) {
  for (;;) {
    int fd = openat(directory, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0) {
      int error = errno; /* faccessat() changes it */
      if (error == EACCES && faccessat(directory, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 1; /* another user's: theirs as long as it is there */
      return cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot open the lock file %s in the runtime directory: %s", file,
                     strerror(error));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      int error = errno;
      cf_close(fd);
      errno = error;
      return error == EWOULDBLOCK ? 1 : cf_fail_errno("flock of %s", file);
    }
    if (still_linked(directory, fd, file)) {
      *lock = fd;
      return CUFRAMES_OK;
    }
    cf_close(fd);
  }
}

static void names_of(const char *name, char lock[80], char socket[80]) {
  snprintf(lock, 80, "%.63s.lock", name);
  snprintf(socket, 80, "%.63s.sock", name);
}

/* Takes the lock of a name in an open directory, and removes the socket that a dead publisher left. */
static int name_take(const char *name, const char *path, cf_claim *taken) {
  char lock_file[80], socket_file[80];
  names_of(name, lock_file, socket_file);
  int result = lock_take(taken->directory, lock_file, O_CREAT, &taken->lock);
  for (int i = 0; i < LOCK_TRIES && result > 0; i++) {
    (void)poll(NULL, 0, 1);
    result = lock_take(taken->directory, lock_file, O_CREAT, &taken->lock);
  }
  if (result > 0)
    return cf_fail(CUFRAMES_ERR_NAME_IN_USE, "the name \"%s\" is in use: a publisher in %s holds it", name, path);
  if (result != CUFRAMES_OK)
    return result;
  if (unlinkat(taken->directory, socket_file, 0) == 0 || errno == ENOENT)
    return CUFRAMES_OK;
  result = cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot remove the old socket %s: %s", taken->socket_path, strerror(errno));
  (void)unlinkat(taken->directory, lock_file, 0); /* while we hold it; at worst an empty file stays */
  cf_close(taken->lock);
  return result;
}

int cf_claim_take(const char *option, const char *name, cf_claim *claim) {
  char path[CF_PATH_MAX];
  cf_claim taken = { .directory = -1, .lock = -1 };
  int result = cf_name_check(name);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_directory_resolve(option, path);
  if (result != CUFRAMES_OK)
    return result;
  result = socket_path(path, name, taken.socket_path);
  if (result != CUFRAMES_OK)
    return result;
  result = directory_open(path, &taken.directory);
  if (result != CUFRAMES_OK)
    return result;
  result = name_take(name, path, &taken);
  if (result != CUFRAMES_OK) {
    cf_close(taken.directory);
    return result;
  }
  snprintf(taken.name, sizeof taken.name, "%s", name);
  *claim = taken;
  (void)cf_private(taken.lock); /* or a forked child would hold the name of a dead publisher */
  (void)cf_private(taken.directory);
  return CUFRAMES_OK;
}

/* While the lock is held nobody else touches the two files. */
static void remove_files(int directory, const char *name) {
  char lock_file[80], socket_file[80];
  names_of(name, lock_file, socket_file);
  (void)unlinkat(directory, socket_file, 0); /* gone already is as good */
  (void)unlinkat(directory, lock_file, 0);
}

void cf_claim_drop(cf_claim *claim) {
  if (claim->lock < 0)
    return;
  remove_files(claim->directory, claim->name);
  cf_close(claim->lock);
  cf_close(claim->directory);
  claim->lock = claim->directory = -1;
}

/* The stream name in "NAME.sock" or "NAME.lock", false for any other file. */
static bool name_of(const char *file, const char *ending, char name[64]) {
  size_t length = strlen(file);
  if (length < 6 || length - 5 > CUFRAMES_NAME_MAX || strcmp(file + length - 5, ending) != 0)
    return false;
  snprintf(name, 64, "%.*s", (int)(length - 5), file);
  return cf_name_check(name) == CUFRAMES_OK;
}

/* Whether a publisher holds the name; if not, what it left is removed. */
static bool alive(int directory, const char *name) {
  char lock_file[80], socket_file[80];
  int lock = -1;
  names_of(name, lock_file, socket_file);
  if (lock_take(directory, lock_file, 0, &lock) != CUFRAMES_OK)
    return true; /* held, or not ours to judge: who connects will see */
  remove_files(directory, name);
  cf_close(lock);
  return false;
}

/* Removes the lock file of one that died before it had a socket, or when that was gone. Ours are empty and 0600:
 * another program's .lock file is not. */
static void sweep_lock(int directory, const char *name) {
  char lock_file[80], socket_file[80];
  struct stat status;
  names_of(name, lock_file, socket_file);
  if (faccessat(directory, socket_file, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
      fstatat(directory, lock_file, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
      status.st_size == 0 && (status.st_mode & 0777) == 0600)
    (void)alive(directory, name);
}

int cf_directory_visit(const char *option, int (*visit)(void *user, const cf_place *place, const char *name),
                       void *user) {
  char path[CF_PATH_MAX], name[64];
  cf_place place;
  int result = directory_read(option, O_RDONLY, path, &place.directory);
  if (result != CUFRAMES_OK || place.directory < 0)
    return result;
  struct dirent **files;
  int count = scandirat(place.directory, ".", &files, NULL, alphasort);
  if (count < 0) {
    result = cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot read the runtime directory %s: %s", path, strerror(errno));
    cf_close(place.directory);
    return result;
  }
  for (int i = 0; i < count; i++) {
    if (result == CUFRAMES_OK && name_of(files[i]->d_name, ".sock", name) && alive(place.directory, name)) {
      result = socket_path(path, name, place.path);
      if (result == CUFRAMES_OK)
        result = visit(user, &place, name);
    }
    if (name_of(files[i]->d_name, ".lock", name))
      sweep_lock(place.directory, name);
    free(files[i]);
  }
  free(files);
  cf_close(place.directory);
  return result;
}
