/* files.c - parts, their names and their directories. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Bytes of the largest head of a file. */
#define HEAD_MAX 65536
#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static int open_root(const names *n) {
  const int fd = open(n->root, DIRECTORY_FLAGS);
  return fd < 0 ? -errno : fd;
}

/* Opens the directory of a path below the root; *leaf is the name in it. make: makes what is missing. */
static int open_directory(const names *n, const char *path, bool make, const char **leaf) {
  int fd = open_root(n);
  for (const char *slash; fd >= 0 && (slash = strchr(path, '/')) != NULL; path = slash + 1) {
    char name[NAME_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
    if (make && mkdirat(fd, name, 0777) && errno != EEXIST) {
      const int error = -errno;
      (void)close(fd);
      return error;
    }
    const int below = openat(fd, name, DIRECTORY_FLAGS | O_NOFOLLOW), error = -errno;
    (void)close(fd);
    fd = below < 0 ? error : below;
  }
  *leaf = path;
  return fd;
}

static void name_of(const names *n, const char *path, char *out, size_t size) {
  if (!strcmp(n->root, ".")) {
    snprintf(out, size, "%s", path);
    return;
  }
  const size_t length = strlen(n->root);
  snprintf(out, size, "%s%s%s", n->root, length && n->root[length - 1] == '/' ? "" : "/", path);
}

/* A new file under this very name, locked. -EEXIST: the name is taken. */
static int create_part(int directory, const char *leaf) {
  char name[NAME_MAX + 1];
  struct stat there;
  if (!fstatat(directory, leaf, &there, AT_SYMLINK_NOFOLLOW))
    return -EEXIST;
  snprintf(name, sizeof(name), "%s" NAMES_PART, leaf);
  const int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0)
    return -errno;
  /* Another recorder that starts may hold it for a leftover: then it is its, and soon gone. */
  if (flock(fd, LOCK_EX | LOCK_NB)) {
    (void)close(fd);
    return -EEXIST;
  }
  return fd;
}

int files_create(const names *n, int64_t seconds, part *p, const char **what) {
  char path[NAMES_PATH_MAX];
  *p = (part){ .fd = -1, .directory = -1 };
  for (unsigned number = 1; number <= NAMES_NUMBER_MAX; number++) {
    const char *leaf;
    if (!names_path(n, seconds, number, path))
      return *what = "its name", -ENAMETOOLONG;
    name_of(n, path, p->file, sizeof(p->file));
    snprintf(p->path, sizeof(p->path), "%.*s" NAMES_PART, (int)(sizeof(p->path) - sizeof(NAMES_PART)), p->file);
    const int directory = open_directory(n, path, true, &leaf);
    if (directory < 0)
      return *what = "its directory", directory;
    const int fd = create_part(directory, leaf);
    if (fd >= 0) {
      p->directory = directory;
      p->fd = fd;
      p->number = number;
      return 0;
    }
    (void)close(directory);
    if (fd != -EEXIST)
      return *what = "the file", fd;
  }
  return *what = "the file", -EEXIST;
}

bool files_is_there(const part *p) {
  struct stat now;
  return !fstat(p->fd, &now) && now.st_nlink > 0;
}

/* As rename(), but never over another file. */
static int rename_free(int directory, const char *from, const char *to) {
  if (!renameat2(directory, from, directory, to, RENAME_NOREPLACE))
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -errno;
  /* A file system without that flag. A second name is refused where one is taken, too. */
  if (!linkat(directory, from, directory, to, 0))
    return unlinkat(directory, from, 0) ? -errno : 0;
  if (errno == EEXIST)
    return -EEXIST;
  struct stat there; /* and without second names: nobody but us makes names of this pattern, so that looking does */
  if (!fstatat(directory, to, &there, AT_SYMLINK_NOFOLLOW))
    return -EEXIST;
  return renameat(directory, from, directory, to) ? -errno : 0;
}

/* What stands before the number and the extension, and what behind. number: the one that is in the name, 1: none. */
static void split_leaf(const names *n, const char *leaf, unsigned number, char *stem, size_t size,
                       const char **extension) {
  const char *pattern = n->level[n->levels - 1], *dot = strrchr(pattern, '.');
  const size_t tail = dot && dot > pattern && !strchr(dot, '%') ? strlen(dot) : 0;
  char digits[16];
  const int own = number > 1 ? snprintf(digits, sizeof(digits), "-%u", number) : 0;
  *extension = leaf + strlen(leaf) - tail;
  snprintf(stem, size, "%.*s", (int)(*extension - leaf) - own, leaf);
}

/* Whether somebody makes a file that is to be called so. */
static bool is_promised(int directory, const char *name, const char *mine) {
  char made[NAME_MAX + 1];
  struct stat there;
  snprintf(made, sizeof(made), "%.*s" NAMES_PART, (int)(sizeof(made) - sizeof(NAMES_PART)), name);
  return strcmp(made, mine) != 0 && !fstatat(directory, made, &there, AT_SYMLINK_NOFOLLOW);
}

/* Renames the part `from` to `leaf` or, where that is taken, to the next number. What it is called then in `name`. */
static int rename_numbered(const names *n, int directory, const char *from, const char *leaf, unsigned number,
                           char *name, size_t size) {
  char stem[NAME_MAX + 1];
  const char *extension;
  split_leaf(n, leaf, number, stem, sizeof(stem), &extension);
  snprintf(name, size, "%s", leaf);
  while (number++ <= NAMES_NUMBER_MAX) {
    const int error = is_promised(directory, name, from) ? -EEXIST : rename_free(directory, from, name);
    if (error != -EEXIST)
      return error;
    snprintf(name, size, "%.*s-%u%s", (int)(size - 32), stem, number, extension);
  }
  return -EEXIST;
}

static const char *leaf_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void forget(part *p) {
  (void)close(p->fd);
  (void)close(p->directory);
  p->fd = p->directory = -1;
}

int files_finish(const names *n, part *p) {
  char name[NAME_MAX + 1];
  /* The content before the name, so that a power cut leaves no name without it. */
  int error = fsync(p->fd) ? -errno : 0;
  const int renamed =
      rename_numbered(n, p->directory, leaf_of(p->path), leaf_of(p->file), p->number, name, sizeof(name));
  if (!renamed)
    snprintf(p->file + (leaf_of(p->file) - p->file), NAME_MAX + 1, "%s", name);
  if (!renamed && fsync(p->directory) && errno != EINVAL && !error) /* EINVAL: it cannot be synced there */
    error = -errno;
  forget(p);
  return renamed ? renamed : error;
}

void files_drop(part *p) {
  if (p->fd < 0)
    return;
  (void)unlinkat(p->directory, leaf_of(p->path), 0);
  forget(p);
}

/* ---- what is there ---- */

typedef struct walk {
  const names *names;
  void (*visit)(void *user, const found *f);
  void *user;
  char path[NAMES_PATH_MAX];
} walk;

static void walk_entry(walk *w, int directory, int level, size_t used, const names_fields *above, const char *name);

/* Takes the descriptor. */
static int walk_level(walk *w, int fd, int level, size_t used, const names_fields *above) {
  DIR *directory = fdopendir(fd);
  if (!directory) {
    const int error = -errno;
    (void)close(fd);
    return error;
  }
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
    walk_entry(w, dirfd(directory), level, used, above, entry->d_name);
  (void)closedir(directory);
  return 0;
}

static void walk_entry(walk *w, int directory, int level, size_t used, const names_fields *above, const char *name) {
  names_fields fields = *above;
  struct stat there;
  const size_t length = strlen(name);
  if (used + length + 2 > sizeof(w->path) || !names_match(w->names, level, name, &fields) ||
      fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW))
    return;
  memcpy(w->path + used, name, length + 1);
  if (level + 1 == w->names->levels) {
    const found f = { directory, name, w->path, &fields, &there };
    if (S_ISREG(there.st_mode))
      w->visit(w->user, &f);
    return;
  }
  const int fd = S_ISDIR(there.st_mode) ? openat(directory, name, DIRECTORY_FLAGS | O_NOFOLLOW) : -1;
  if (fd < 0)
    return;
  w->path[used + length] = '/';
  (void)walk_level(w, fd, level + 1, used + length + 1, &fields); /* what cannot be read has nothing of ours */
}

int files_walk(const names *n, void (*visit)(void *user, const found *f), void *user) {
  walk w = { .names = n, .visit = visit, .user = user };
  names_fields fields;
  names_no_fields(&fields);
  const int root = open_root(n);
  return root < 0 ? root : walk_level(&w, root, 0, 0, &fields);
}

typedef struct recovery {
  const names *names;
  const files_care *care;
} recovery;

static void recover(void *user, const found *f) {
  recovery *r = user;
  struct stat mine, named;
  char leaf[NAME_MAX + 1], name[NAME_MAX + 1], file[2 * NAMES_PATH_MAX];
  if (!f->fields->part)
    return;
  const int fd = openat(f->directory, f->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return;
  /* Locked: somebody writes it. Another file by now: he finished it while we came. */
  if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &mine) &&
      !fstatat(f->directory, f->name, &named, AT_SYMLINK_NOFOLLOW) && mine.st_ino == named.st_ino &&
      mine.st_dev == named.st_dev) {
    snprintf(leaf, sizeof(leaf), "%.*s", (int)(strlen(f->name) - strlen(NAMES_PART)), f->name);
    name_of(r->names, f->path, file, sizeof(file));
    /* Killed before the first packet was written. What is larger than any head stays, even if it cannot be read. */
    if (mine.st_size <= HEAD_MAX && (!mine.st_size || !r->care->plays(r->care->user, file))) {
      (void)unlinkat(f->directory, f->name, 0);
    } else if (!rename_numbered(r->names, f->directory, f->name, leaf, f->fields->number, name, sizeof(name))) {
      char below[NAMES_PATH_MAX];
      snprintf(below, sizeof(below), "%.*s%.*s", (int)(leaf_of(f->path) - f->path), f->path, NAME_MAX, name);
      name_of(r->names, below, file, sizeof(file));
      r->care->tell(r->care->user, file);
    }
  }
  (void)close(fd);
}

void files_recover(const names *n, const files_care *care) {
  recovery r = { n, care };
  (void)files_walk(n, recover, &r); /* a root that cannot be read is said when a file is to be made */
}

int files_delete(const names *n, const char *path) {
  const char *leaf;
  char above[NAMES_PATH_MAX];
  struct stat there;
  const int directory = open_directory(n, path, false, &leaf);
  if (directory < 0)
    return directory;
  int error = fstatat(directory, leaf, &there, AT_SYMLINK_NOFOLLOW) ? -errno : S_ISREG(there.st_mode) ? 0 : -EPERM;
  if (!error && unlinkat(directory, leaf, 0))
    error = -errno;
  (void)close(directory);
  snprintf(above, sizeof(above), "%s", path);
  for (char *slash; !error && (slash = strrchr(above, '/')) != NULL;) {
    *slash = '\0';
    const int parent = open_directory(n, above, false, &leaf);
    const bool removed = parent >= 0 && !unlinkat(parent, leaf, AT_REMOVEDIR);
    if (parent >= 0)
      (void)close(parent);
    if (!removed)
      break; /* something lies in it */
  }
  return error;
}
