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

#define SYSTEM_DIRECTORY "/run/cuframes"
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

int cf_directory_resolve(const char *option, char path[CF_PATH_MAX]) {
  const char *environment = getenv("CUFRAMES_DIR"), *session = getenv("XDG_RUNTIME_DIR");
  int length;
  if (option && option[0])
    length = snprintf(path, CF_PATH_MAX, "%s", option);
  else if (environment && environment[0])
    length = snprintf(path, CF_PATH_MAX, "%s", environment);
  else if (access(SYSTEM_DIRECTORY, W_OK | X_OK) == 0)
    length = snprintf(path, CF_PATH_MAX, SYSTEM_DIRECTORY);
  else if (session && session[0])
    length = snprintf(path, CF_PATH_MAX, "%s/cuframes", session);
  else
    length = snprintf(path, CF_PATH_MAX, "/tmp/cuframes-%u", (unsigned)geteuid());
  if (!fits(length))
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "the runtime directory's path is longer than %d bytes", CF_PATH_MAX - 1);
  return CUFRAMES_OK;
}

/* A directory that somebody else owns could be emptied and refilled under us; so could one that anybody may write to
 * and that is not sticky. */
static int directory_trusted(int fd, const char *path) {
  struct stat status;
  if (fstat(fd, &status) != 0)
    return cf_fail_errno("fstat of %s", path);
  if (status.st_uid != geteuid() && status.st_uid != 0)
    return cf_fail(
        CUFRAMES_ERR_DIRECTORY,
        "the runtime directory %s belongs to user %u, not to us (%u) or root: choose another with CUFRAMES_DIR", path,
        (unsigned)status.st_uid, (unsigned)geteuid());
  if ((status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
    return cf_fail(CUFRAMES_ERR_DIRECTORY,
                   "anybody may write to the runtime directory %s: take that away with chmod o-w", path);
  return CUFRAMES_OK;
}

/* Nor may a stranger's link stand in its place, as it may in /tmp: the lock would be taken here, the socket made
 * there. */
static int link_trusted(const char *path) {
  char name[CF_PATH_MAX];
  struct stat status;
  snprintf(name, sizeof name, "%s", path);
  for (size_t length = strlen(name); length > 1 && name[length - 1] == '/'; length--)
    name[length - 1] = '\0'; /* or the link would be followed */
  if (lstat(name, &status) == 0 && S_ISLNK(status.st_mode) && status.st_uid != geteuid() && status.st_uid != 0)
    return cf_fail(CUFRAMES_ERR_DIRECTORY,
                   "the runtime directory %s is a link of user %u, not of us (%u) or root: choose another with "
                   "CUFRAMES_DIR",
                   path, (unsigned)status.st_uid, (unsigned)geteuid());
  return CUFRAMES_OK;
}

/* Makes it if it is not there. */
static int directory_open(const char *path, int *directory) {
  int result = link_trusted(path);
  if (result != CUFRAMES_OK)
    return result;
  if (mkdir(path, 0700) != 0 && errno != EEXIST)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot create the runtime directory %s: %s", path, strerror(errno));
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot open the runtime directory %s: %s", path, strerror(errno));
  result = directory_trusted(fd, path);
  if (result != CUFRAMES_OK) {
    cf_close(fd);
    return result;
  }
  *directory = fd;
  return CUFRAMES_OK;
}

static int socket_path(const char *directory, const char *name, char path[CF_PATH_MAX]) {
  const size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
  int length = snprintf(path, CF_PATH_MAX, "%s/%s.sock", directory, name);
  if (!fits(length) || (size_t)length > most)
    return cf_fail(CUFRAMES_ERR_DIRECTORY,
                   "the socket path %.64s.../%s.sock has %d bytes, and sockets allow %zu: use a shorter directory",
                   directory, name, length, most);
  return CUFRAMES_OK;
}

int cf_socket_path(const char *option, const char *name, char path[CF_PATH_MAX]) {
  char directory[CF_PATH_MAX];
  int result = cf_name_check(name);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_directory_resolve(option, directory);
  if (result != CUFRAMES_OK)
    return result;
  return socket_path(directory, name, path);
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

int cf_directory_visit(const char *option, int (*visit)(void *user, const char *name), void *user) {
  char path[CF_PATH_MAX], name[64];
  int result = cf_directory_resolve(option, path);
  if (result != CUFRAMES_OK)
    return result;
  struct dirent **files;
  int count = scandir(path, &files, NULL, alphasort);
  if (count < 0)
    return errno == ENOENT
               ? CUFRAMES_OK
               : cf_fail(CUFRAMES_ERR_DIRECTORY, "cannot read the runtime directory %s: %s", path, strerror(errno));
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < count; i++) {
    if (result == CUFRAMES_OK && name_of(files[i]->d_name, ".sock", name) && alive(directory, name))
      result = visit(user, name);
    if (name_of(files[i]->d_name, ".lock", name))
      sweep_lock(directory, name);
    free(files[i]);
  }
  free(files);
  cf_close(directory);
  return result;
}
