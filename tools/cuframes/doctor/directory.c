/* directory.c - the runtime directory: which one it is, whose, who may write there, and whether others see the same. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "causes.h"
#include "doctor.h"
#include "places.h"
#include "proc.h"

#define SYSTEM_DIRECTORY "/run/cuframes"
#define SOCKET_PATH_MOST 107

static bool for_publishing(const doctor *d) {
  return d->name == NULL;
}

/* Of owner, rights and links that are not as a publisher wants them: the library refuses them, but for a reader of a
 * directory that somebody named. */
static enum finding_state severity(const doctor *d) {
  return for_publishing(d) || !places_is_chosen(d) ? FOUND_PROBLEM : FOUND_NOTE;
}

static void look_at_link(doctor *d) {
  struct stat status;
  char path[DOCTOR_PATH], word[SHELL_WORD];
  snprintf(path, sizeof path, "%s", d->path);
  for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
    path[length - 1] = '\0';
  if (lstat(path, &status) != 0 || !S_ISLNK(status.st_mode) || status.st_uid == geteuid() || status.st_uid == 0)
    return;
  finding *f =
      found(d, severity(d), "link", "the runtime directory %s is a link of user %u", path, (unsigned)status.st_uid);
  finding_why(f, "who owns the link can let it lead elsewhere at any time, so publishers refuse it");
  finding_mend(f, "CUFRAMES_DIR=$(readlink -f %s) on both sides, if it leads where it should",
               shell_word(word, sizeof word, path));
}

/* An owner that this user namespace has no number for shows as the overflow user. */
static bool is_unmapped(uid_t owner) {
  char text[32], map[64];
  return proc_read("/proc/sys/kernel/overflowuid", text, sizeof text) && strtoul(text, NULL, 10) == owner &&
         proc_read("/proc/self/uid_map", map, sizeof map) && !strstr(map, "4294967295");
}

static void look_at_owner(doctor *d, const struct stat *status) {
  char word[SHELL_WORD];
  const unsigned owner = status->st_uid, us = geteuid();
  if (owner == us || owner == 0) {
    found(d, FOUND_WELL, "owner", "%s belongs to %s", d->path, owner == us ? "this user" : "root");
    return;
  }
  if (severity(d) != FOUND_PROBLEM) {
    found(d, FOUND_NOTE, "owner", "%s belongs to user %u: what is published there is that user's", d->path, owner);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "owner",
                     "the runtime directory %s belongs to user %u, not to this one (%u) or root", d->path, owner, us);
  shell_word(word, sizeof word, d->path);
  if (is_unmapped(status->st_uid)) {
    finding_why(
        f, "its owner has no number in this user namespace (a rootless container), and anybody could be behind it");
    finding_mend(f,
                 "make it inside: mkdir -m 0700 DIR, and --dir DIR on both sides; or map its owner (--userns=keep-id)");
    return;
  }
  finding_why(f, "its owner could replace what is published there, so publishers refuse it, and readers where nobody "
                 "named it");
  finding_mend(f, "sudo chown %u %s, or another one with --dir or CUFRAMES_DIR", us, word);
}

static void look_at_rights(doctor *d, const struct stat *status) {
  char word[SHELL_WORD];
  const bool sticky = status->st_mode & S_ISVTX;
  shell_word(word, sizeof word, d->path);
  if ((status->st_mode & S_IWOTH) && !sticky) {
    finding *f = found(d, severity(d), "rights", "anybody may write to the runtime directory %s (mode %04o)", d->path,
                       status->st_mode & 07777u);
    finding_why(f, "and so remove another one's socket and put something else there; publishers refuse it");
    /* Who does not own it would take his own right away. */
    finding_mend(f, "%schmod %s %s", as_owner(status->st_uid), status->st_uid == geteuid() ? "go-w" : "+t", word);
  } else if ((status->st_mode & S_IWGRP) && !sticky) {
    finding *f = found(d, severity(d), "rights", "group %u may write to the runtime directory %s (mode %04o)",
                       (unsigned)status->st_gid, d->path, status->st_mode & 07777u);
    finding_why(f, "and it is not sticky: its members could remove each other's sockets; publishers refuse it");
    finding_mend(f, "%schmod +t %s", as_owner(status->st_uid), word);
  } else {
    found(d, FOUND_WELL, "rights", "%s has mode %04o", d->path, status->st_mode & 07777u);
  }
}

/* Into the group that may, or the directory to a group of this user's: nobody else loses what he may there. */
static void mend_rights(finding *f, const char *path, const struct stat *status) {
  char word[SHELL_WORD];
  shell_word(word, sizeof word, path);
  if ((status->st_mode & S_IRWXG) == S_IRWXG && status->st_gid != 0)
    finding_join_group(f, status->st_gid);
  else
    finding_mend(f, "sudo chgrp $(id -g) %s && sudo chmod g+rwxs,+t %s", word, word);
}

/* An attribute of the file system, which goes before all rights, root's too. */
static bool is_immutable(const char *path) {
  int flags = 0;
  const int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
  const bool known = file >= 0 && ioctl(file, FS_IOC_GETFLAGS, &flags) == 0;
  if (file >= 0)
    (void)close(file);
  return known && (flags & FS_IMMUTABLE_FL);
}

/* What we may do there. */
static void look_at_access(doctor *d, const struct stat *status) {
  char word[SHELL_WORD];
  struct statvfs file_system;
  shell_word(word, sizeof word, d->path);
  if (faccessat(AT_FDCWD, d->path, X_OK, AT_EACCESS) != 0) {
    const int error = errno;
    finding *f = found(d, FOUND_PROBLEM, "access", "this user (%u) may not enter the runtime directory %s",
                       (unsigned)geteuid(), d->path);
    if (!finding_denied(f, status, error))
      mend_rights(f, d->path, status);
    d->stream_barred = true;
    return;
  }
  if (faccessat(AT_FDCWD, d->path, W_OK, AT_EACCESS) == 0) {
    found(d, FOUND_WELL, "access", "%s can be entered and written to", d->path);
    return;
  }
  const int error = errno;
  const bool read_only = statvfs(d->path, &file_system) == 0 && (file_system.f_flag & ST_RDONLY);
  if (!for_publishing(d)) {
    found(d, FOUND_NOTE, "access", "%s can be entered, not written to%s: enough to read streams", d->path,
          read_only ? " (a read-only mount)" : "");
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "access", "this user (%u) may not write to the runtime directory %s",
                     (unsigned)geteuid(), d->path);
  if (read_only) {
    finding_why(f, "it is mounted read-only: enough to read streams, not to publish");
    finding_mend(f, "docker run -v %s:%s without :ro for the publisher", word, word);
  } else if (is_immutable(d->path)) {
    finding_why(f, "it is immutable (chattr +i): nobody makes a file in it, root neither");
    finding_mend(f, "sudo chattr -i %s", word);
  } else if (!finding_denied(f, status, error)) {
    mend_rights(f, d->path, status);
  }
}

/* A publisher makes two files. */
static void look_at_room(doctor *d) {
  struct statvfs file_system;
  char word[SHELL_WORD], mount[DOCTOR_PATH], type[32];
  if (!for_publishing(d))
    return;
  if (statvfs(d->path, &file_system) != 0) {
    found(d, FOUND_UNKNOWN, "room", "how much room there is at %s: %s", d->path, strerror(errno));
    return;
  }
  if (file_system.f_files == 0 || file_system.f_favail > 1) {
    found(d, FOUND_WELL, "room", "there is room for files at %s", d->path);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "room", "no further file can be made in the runtime directory %s", d->path);
  finding_why(f, "its file system has %llu files, and %llu are left; a publisher needs two",
              (unsigned long long)file_system.f_files, (unsigned long long)file_system.f_favail);
  if (places_mount(d->path, mount, sizeof mount, type, sizeof type) && strcmp(type, "tmpfs") == 0)
    finding_mend(f, "sudo mount -o remount,nr_inodes=0 %s; or remove files there: df -i shows them",
                 shell_word(word, sizeof word, mount));
  else
    finding_mend(f, "remove files there: df -i %s shows how many there are", shell_word(word, sizeof word, d->path));
}

static void look_at_length(doctor *d) {
  const size_t length = strlen(d->path) + 1 + (d->name ? strlen(d->name) : 1) + strlen(".sock");
  if (length <= SOCKET_PATH_MOST) {
    found(d, FOUND_WELL, "length", "the socket's path of %zu bytes is short enough", length);
  } else if (access("/proc/self/fd", X_OK) == 0) {
    found(d, FOUND_WELL, "length", "the socket's path has %zu bytes; with /proc that does not matter", length);
  } else {
    finding *f = found(d, FOUND_PROBLEM, "length", "the socket's path would have %zu bytes: %s", length, d->path);
    finding_why(f, "sockets allow %d; with /proc mounted the length does not matter, and it is not", SOCKET_PATH_MOST);
    finding_mend(f, "mount -t proc proc /proc, or a shorter --dir on both sides");
  }
}

/* ---- it cannot be looked at ---- */

/* The first directory on a path, or the path itself, at which it does not go on. */
static void find_barrier(const char *path, char barrier[DOCTOR_PATH], struct stat *status) {
  for (const char *end = path; *end;) {
    end += strspn(end, "/");
    end += strcspn(end, "/");
    snprintf(barrier, DOCTOR_PATH, "%.*s", (int)(end - path), path);
    if (stat(barrier, status) != 0) {
      memset(status, 0, sizeof *status);
      return;
    }
    if (!S_ISDIR(status->st_mode) || faccessat(AT_FDCWD, barrier, X_OK, AT_EACCESS) != 0)
      return;
  }
}

static void mend_missing(finding *f, const doctor *d) {
  char word[SHELL_WORD];
  finding_mend(f, "sudo install -d -m 0700 -o %u %s, or another one with --dir or CUFRAMES_DIR on both sides",
               (unsigned)geteuid(), shell_word(word, sizeof word, d->path));
}

/* Of the variable that the default goes by: sudo and su keep it, cron has none. */
static bool is_of_session(const doctor *d) {
  const char *session = getenv("XDG_RUNTIME_DIR");
  return !places_is_chosen(d) && session && *session && strncmp(d->path, session, strlen(session)) == 0;
}

static void found_missing(doctor *d, const char *barrier) {
  char target[DOCTOR_PATH] = "", word[SHELL_WORD];
  const bool last = strcmp(barrier, d->path) == 0;
  shell_word(word, sizeof word, barrier);
  if (readlink(barrier, target, sizeof target - 1) >= 0) {
    finding *f = found(d, FOUND_PROBLEM, "exists", "the runtime directory %s is not there: %s is a link to nothing",
                       d->path, barrier);
    finding_why(f, "it leads to %s; a publisher makes a directory, but not what a link leads to", target);
    finding_mend(f, "mkdir -p -m 0700 $(readlink -m %s), or rm %s", word, word);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "exists",
                     "the runtime directory %s is not there, and cannot be made by this user", d->path);
  if (is_of_session(d)) {
    finding_why(f, "XDG_RUNTIME_DIR says so, and %s %s: it is of no session of this user (%u), as after su and sudo",
                getenv("XDG_RUNTIME_DIR"), last ? "may not be written to" : "is not there", (unsigned)geteuid());
    finding_mend(f, "XDG_RUNTIME_DIR=/run/user/%u, or CUFRAMES_DIR=DIR on both sides", (unsigned)geteuid());
    return;
  }
  const char *slash = strrchr(barrier, '/');
  finding_why(f, "only its last part is made by a publisher, and %.*s %s",
              !last || !slash    ? (int)strlen(barrier)
              : slash == barrier ? 1
                                 : (int)(slash - barrier),
              barrier, last ? "may not be written to" : "is not there");
  mend_missing(f, d);
}

static void found_barred(doctor *d, const char *barrier, const struct stat *status, int error) {
  char word[SHELL_WORD];
  shell_word(word, sizeof word, barrier);
  if (error == EACCES && S_ISDIR(status->st_mode)) {
    finding *f =
        found(d, FOUND_PROBLEM, "access", "this user (%u) may not enter %s, on the way to the runtime directory %s",
              (unsigned)geteuid(), barrier, d->path);
    const bool mended = finding_denied(f, status, error);
    if (is_of_session(d))
      finding_mend(f, "XDG_RUNTIME_DIR=/run/user/%u, or CUFRAMES_DIR=DIR on both sides", (unsigned)geteuid());
    else if (!mended)
      finding_mend(f, "%schmod o+x %s, or another one with --dir or CUFRAMES_DIR on both sides",
                   as_owner(status->st_uid), word);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "exists", "the runtime directory %s cannot be opened", d->path);
  if (error == ENOTDIR) {
    finding_why(f, "%s is a file and no directory", barrier);
    finding_mend(f, "%smv %s %s.old, or another one with --dir or CUFRAMES_DIR on both sides", as_owner(status->st_uid),
                 word, word);
  } else {
    finding_why(f, "%s: %s", barrier, strerror(error));
    finding_mend(f, "ls -ld %s, or another one with --dir or CUFRAMES_DIR on both sides", word);
  }
}

/* A directory that was removed lives on for who works in it, and takes no file. */
static bool is_removed(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && status.st_nlink == 0;
}

static void found_removed(doctor *d) {
  finding *f =
      found(d, FOUND_PROBLEM, "exists",
            "the runtime directory %s cannot be made: the directory that this process works in was removed", d->path);
  finding_why(f, "a path that does not begin with / goes on from there, and nothing can be made in what is removed");
  finding_mend(f, "mkdir -p \"$PWD\" && cd \"$PWD\"; or --dir or CUFRAMES_DIR with a path from the root");
  d->stream_barred = true;
}

static void find_parent(const char *path, char parent[DOCTOR_PATH]) {
  snprintf(parent, DOCTOR_PATH, "%s", path);
  for (size_t length = strlen(parent); length > 1 && parent[length - 1] == '/'; length--)
    parent[length - 1] = '\0';
  char *slash = strrchr(parent, '/');
  if (slash)
    slash[slash == parent] = '\0';
  else
    snprintf(parent, DOCTOR_PATH, "."); /* where we are is nowhere, or too far down */
}

static void look_at_nothing(doctor *d, int error) {
  char barrier[DOCTOR_PATH] = "", parent[DOCTOR_PATH], above[DOCTOR_PATH];
  struct stat status = { 0 };
  find_barrier(d->path, barrier, &status);
  find_parent(barrier, above);
  find_parent(d->path, parent);
  if (error == ENOENT && is_removed(above)) {
    found_removed(d);
    return;
  }
  if (error == ENOENT && lstat(barrier, &status) != 0 && faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0) {
    found(d, d->name ? FOUND_NOTE : FOUND_WELL, "exists", "%s is not there yet: the first publisher makes it", d->path);
    return;
  }
  if (error == ENOENT)
    found_missing(d, barrier);
  else
    found_barred(d, barrier, &status, error);
  d->stream_barred = true;
}

/* Nobody named a directory, and what stands first may not be written to: so ours is another one than a service's. */
static void look_at_choice(doctor *d) {
  char names[256];
  if (places_is_chosen(d) || strcmp(d->path, SYSTEM_DIRECTORY) == 0 || access(SYSTEM_DIRECTORY, F_OK) != 0) {
    found(d, FOUND_WELL, "choice", "the runtime directory is %s, %s", d->path,
          places_is_chosen(d) ? "as it was named" : "the default");
    return;
  }
  const size_t streams = places_list(SYSTEM_DIRECTORY, names, sizeof names);
  if (streams == 0 || (d->name && !places_has(SYSTEM_DIRECTORY, d->name))) {
    found(d, FOUND_NOTE, "choice", "%s is there, and this user may not write to it: so %s is used", SYSTEM_DIRECTORY,
          d->path);
    return;
  }
  if (d->name)
    return; /* said of the stream */
  finding *f = found(d, FOUND_PROBLEM, "choice", "there are streams in %s (%s), and %s is used here", SYSTEM_DIRECTORY,
                     names, d->path);
  finding_why(f, "the default is taken only by who may write to it, and this user (%u) may not", (unsigned)geteuid());
  finding_mend(f, "CUFRAMES_DIR=%s to read them; to publish there, the group of %s", SYSTEM_DIRECTORY,
               SYSTEM_DIRECTORY);
}

/* In a container a directory that is no mount belongs to that container alone. */
static void look_at_mount(doctor *d) {
  char mount[DOCTOR_PATH], type[32];
  if (!places_mount(d->path, mount, sizeof mount, type, sizeof type)) {
    found(d, FOUND_UNKNOWN, "namespace", "whether others see the same %s: /proc/self/mountinfo does not say", d->path);
    return;
  }
  if (!places_in_container(d)) {
    found(d, FOUND_WELL, "namespace", "%s is of this machine's file system (%s)", d->path, type);
    return;
  }
  if (places_is_mount(d->path)) {
    found(d, FOUND_WELL, "namespace", "%s is mounted into this container", d->path);
    return;
  }
  /* In one container everything can be; where a stream is missed it is said again. */
  found(d, FOUND_NOTE, "namespace",
        "%s lies in this container's mount at %s: no other container, nor the host, sees it without -v", d->path,
        mount);
}

void doctor_directory(doctor *d) {
  struct stat status;
  if (d->path[0] == '\0') {
    finding *f = found(d, FOUND_PROBLEM, "path", "there is no runtime directory");
    finding_error(f, d, CUFRAMES_ERR_DIRECTORY, places_error(d));
    d->stream_barred = true;
    return;
  }
  doctor_stage(d, "looking at the runtime directory %.100s", d->path);
  look_at_choice(d);
  look_at_length(d);
  if (stat(d->path, &status) != 0 || (!S_ISDIR(status.st_mode) && (errno = ENOTDIR))) {
    look_at_nothing(d, errno);
    return;
  }
  if (status.st_nlink == 0) {
    found_removed(d);
    return;
  }
  look_at_link(d);
  look_at_owner(d, &status);
  look_at_rights(d, &status);
  look_at_access(d, &status);
  look_at_room(d);
  look_at_mount(d);
}
