/* places.c - see places.h. */
#include "places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "proc.h"

#define NAMESPACES_MOST 4096 /* processes that are looked at */

static const char *environment(void) {
  const char *named = getenv("CUFRAMES_DIR");
  return named && *named ? named : NULL;
}

bool places_is_chosen(const doctor *d) {
  return (d->directory && *d->directory) || environment();
}

static const char *given(const doctor *d) {
  return d->directory && *d->directory ? d->directory : environment();
}

/* From the root on, so that what is said of it holds for other processes, too; where that is too long, as it is. */
static void keep_absolute(char path[DOCTOR_PATH], const char *named) {
  char here[DOCTOR_PATH];
  while (strncmp(named, "./", 2) == 0)
    named += 2;
  const bool known = *named != '/' && getcwd(here, sizeof here) && here[0] == '/'; /* not "(unreachable)" */
  const bool itself = strcmp(named, ".") == 0 || *named == '\0';
  if (!known || snprintf(path, DOCTOR_PATH, "%s%s%s", here, itself ? "" : "/", itself ? "" : named) >= DOCTOR_PATH)
    snprintf(path, DOCTOR_PATH, "%s", *named ? named : ".");
}

void places_find(doctor *d) {
  const char *named = given(d);
  if (named && strlen(named) < sizeof d->path)
    keep_absolute(d->path, named);
  else if (named || cuframes_directory_find(d->path, sizeof d->path) != CUFRAMES_OK)
    d->path[0] = '\0';
}

const char *places_error(const doctor *d) {
  static char why[FINDING_TEXT];
  char path[4];
  if (given(d))
    snprintf(why, sizeof why, "the runtime directory's path has %zu bytes, and may have %d", strlen(given(d)),
             DOCTOR_PATH - 1);
  else if (cuframes_directory_find(path, sizeof path) != CUFRAMES_OK)
    snprintf(why, sizeof why, "%s", cuframes_last_error());
  return why;
}

/* ---- what lies there ---- */

static bool ends_with(const char *file, const char *ending) {
  const size_t length = strlen(file), end = strlen(ending);
  return length > end && strcmp(file + length - end, ending) == 0;
}

/* The library's rules, by asking for it where no stream can be. */
bool places_is_name(const char *name) {
  cuframes_stream_info *info = NULL;
  const int error = cuframes_stream_query("/dev/null", name, 0, &info);
  cuframes_stream_info_free(info);
  return error != CUFRAMES_ERR_NAME;
}

bool places_visit(const char *directory, const char *ending, void (*visit)(void *user, const char *name), void *user) {
  struct dirent **files;
  const int count = scandir(directory, &files, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    const char *file = files[i]->d_name;
    const size_t length = strlen(file) - (ends_with(file, ending) ? strlen(ending) : 0);
    if (length < strlen(file) && length <= CUFRAMES_NAME_MAX) {
      char name[CUFRAMES_NAME_MAX + 1];
      snprintf(name, sizeof name, "%.*s", (int)length, file);
      if (places_is_name(name))
        visit(user, name);
    }
    free(files[i]);
  }
  if (count >= 0)
    free(files);
  return count >= 0;
}

void places_add_name(char *names, size_t size, const char *name) {
  const size_t used = strlen(names);
  if (used + strlen(name) + 8 < size)
    snprintf(names + used, size - used, "%s%s", used ? ", " : "", name);
  else if (used + 6 < size && !ends_with(names, "..."))
    snprintf(names + used, size - used, ", ...");
}

typedef struct listing {
  char *names;
  size_t size, count;
} listing;

static void list_one(void *user, const char *name) {
  listing *l = user;
  places_add_name(l->names, l->size, name);
  l->count++;
}

size_t places_list(const char *directory, char *names, size_t size) {
  listing l = { .names = names, .size = size };
  *names = '\0';
  (void)places_visit(directory, ".sock", list_one, &l); /* what cannot be read has none for us */
  return l.count;
}

static bool socket_is(const char *directory, const char *name) {
  char path[4200];
  struct stat status;
  snprintf(path, sizeof path, "%s/%s.sock", directory, name);
  return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

bool places_has(const char *directory, const char *name) {
  return socket_is(directory, name);
}

/* ---- elsewhere ---- */

static bool is_same(const char *a, const char *b) {
  struct stat one, other;
  return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

bool places_elsewhere(const doctor *d, char *directory, size_t size) {
  static const char *const patterns[] = { "/run/cuframes", "/run/user/*/cuframes", "/tmp/cuframes-*",
                                          "/var/run/cuframes", NULL };
  const char *session = getenv("XDG_RUNTIME_DIR");
  bool there = false;
  char path[4096];
  snprintf(path, sizeof path, "%s/cuframes", session ? session : "");
  for (int i = session ? -1 : 0; !there && (i < 0 || patterns[i]); i++) {
    glob_t paths;
    const char *pattern = i < 0 ? path : patterns[i];
    if (glob(pattern, GLOB_NOSORT, NULL, &paths) != 0)
      continue;
    for (size_t k = 0; !there && k < paths.gl_pathc; k++) {
      there = socket_is(paths.gl_pathv[k], d->name) && !is_same(paths.gl_pathv[k], d->path);
      if (there)
        snprintf(directory, size, "%s", paths.gl_pathv[k]);
    }
    globfree(&paths);
  }
  return there;
}

int places_other_namespace(const doctor *d) {
  DIR *processes = opendir("/proc");
  struct stat ours;
  int there = 0;
  if (!processes || stat("/proc/self/ns/mnt", &ours) != 0) {
    if (processes)
      (void)closedir(processes);
    return 0;
  }
  const struct dirent *entry;
  for (int looked = 0; there == 0 && looked < NAMESPACES_MOST && (entry = readdir(processes)); looked++) {
    char path[4096], *end;
    struct stat theirs;
    const long pid = strtol(entry->d_name, &end, 10);
    if (*end != '\0' || pid <= 0)
      continue;
    snprintf(path, sizeof path, "/proc/%ld/ns/mnt", pid);
    if (stat(path, &theirs) != 0 || theirs.st_ino == ours.st_ino)
      continue;
    snprintf(path, sizeof path, "/proc/%ld/root/%s", pid, d->path);
    if (socket_is(path, d->name) && !is_same(path, d->path))
      there = (int)pid;
  }
  (void)closedir(processes); /* nothing was written */
  return there;
}

/* ---- mounts and containers ---- */

/* As mountinfo writes blanks: \040. */
static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from; to++) {
    unsigned code;
    if (from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
      *to = (char)code;
      from += 4;
    } else {
      *to = *from++;
    }
  }
  *to = '\0';
}

bool places_mount(const char *path, char *mount, size_t size, char *type, size_t type_size) {
  char real[4096], line[4096];
  size_t best = 0;
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (!mounts)
    return false;
  bool there = realpath(path, real) != NULL;
  while (there && fgets(line, sizeof line, mounts)) {
    char point[4096], name[32];
    const char *second = strstr(line, " - ");
    if (!second || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 || sscanf(second + 3, "%31s", name) != 1)
      continue;
    unescape(point);
    const size_t length = strcmp(point, "/") == 0 ? 0 : strlen(point);
    if (strncmp(real, point, length) != 0 || (real[length] != '/' && real[length] != '\0') || length + 1 < best)
      continue;
    best = length + 1; /* of two at the same place the later one is on top */
    snprintf(mount, size, "%s", point);
    snprintf(type, type_size, "%s", name);
  }
  fclose(mounts);
  return there && best > 0;
}

bool places_is_mount(const char *path) {
  char mount[DOCTOR_PATH], type[32], real[4096];
  return places_mount(path, mount, sizeof mount, type, sizeof type) && realpath(path, real) && strcmp(mount, real) == 0;
}

bool places_in_container(doctor *d) {
  char mount[DOCTOR_PATH], type[32];
  d->in_container = access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 ||
                    getenv("KUBERNETES_SERVICE_HOST") != NULL || getenv("container") != NULL ||
                    (places_mount("/", mount, sizeof mount, type, sizeof type) && strcmp(type, "overlay") == 0);
  return d->in_container;
}

/* ---- sockets ---- */

int places_holder(const char *directory, const char *name) {
  char path[DOCTOR_PATH + 80], line[256];
  struct stat status;
  int holder = 0;
  snprintf(path, sizeof path, "%s/%s.lock", directory, name);
  FILE *locks = stat(path, &status) == 0 ? fopen("/proc/locks", "re") : NULL;
  while (locks && holder == 0 && fgets(line, sizeof line, locks)) {
    char kind[16], mode[16];
    unsigned major_number, minor_number;
    unsigned long long inode;
    int pid;
    if (sscanf(line, "%*s %15s %*s %15s %d %x:%x:%llu", kind, mode, &pid, &major_number, &minor_number, &inode) == 6 &&
        strcmp(kind, "FLOCK") == 0 && strcmp(mode, "WRITE") == 0 && inode == status.st_ino &&
        makedev(major_number, minor_number) == status.st_dev)
      holder = pid;
  }
  if (locks)
    fclose(locks);
  return holder > 0 ? holder : 0;
}

bool places_is_held(const char *directory, const char *name) {
  const int holder = places_holder(directory, name);
  return holder > 0 && (kill(holder, 0) == 0 || errno == EPERM); /* no signal: whether it is there */
}

int places_knock(const char *directory, const char *name, int *pid) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct ucred peer = { .pid = 0 };
  socklen_t size = sizeof peer;
  *pid = 0;
  const int place = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (place < 0)
    return errno;
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  /* By way of the descriptor the path is short enough; without /proc it must be so by itself. */
  if (access("/proc/self/fd", X_OK) == 0)
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.64s.sock", place, name);
  else
    snprintf(address.sun_path, sizeof address.sun_path, "%.40s/%.60s.sock", directory, name);
  int error = 0;
  if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
    error = errno;
  else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
    *pid = peer.pid;
  if (fd >= 0)
    (void)close(fd);
  (void)close(place);
  return error;
}
