/* leftovers.c - files in the runtime directory that dead publishers left. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "causes.h"
#include "doctor.h"
#include "places.h"

typedef struct leftovers {
  doctor *d;
  char names[320];
  size_t count, unknown;
  uid_t owner;
  char alone[320], files[FINDING_TEXT - 16]; /* sockets without a lock: names, and words for a shell */
  uid_t alone_owner;
} leftovers;

static void note(leftovers *l, const char *name, uid_t owner) {
  places_add_name(l->names, sizeof l->names, name);
  l->count++;
  if (owner != geteuid())
    l->owner = owner;
}

/* A list takes the lock of what it removes, and leaves alone what has none. */
static void note_alone(leftovers *l, const char *name, uid_t owner) {
  char word[SHELL_WORD];
  const size_t used = strlen(l->files);
  shell_word(word, sizeof word, l->d->path);
  if (used + strlen(word) + strlen(name) + sizeof " /.sock" < sizeof l->files) {
    snprintf(l->files + used, sizeof l->files - used, " %s/%s.sock", word, name);
    places_add_name(l->alone, sizeof l->alone, name);
    if (owner != geteuid())
      l->alone_owner = owner;
  }
}

static bool has_lock(const leftovers *l, const char *name) {
  struct stat status;
  char path[DOCTOR_PATH + 80];
  snprintf(path, sizeof path, "%s/%s.lock", l->d->path, name);
  return lstat(path, &status) == 0;
}

/* Nobody listens: the kernel says so at once. Who holds the name lives, and is about to listen, or is kept from us. */
static void look_at_socket(void *user, const char *name) {
  leftovers *l = user;
  struct stat status;
  char path[DOCTOR_PATH + 80];
  int pid;
  snprintf(path, sizeof path, "%s/%s.sock", l->d->path, name);
  doctor_stage(l->d, "connecting to the socket of %.64s", name);
  if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode))
    return;
  const int error = places_knock(l->d->path, name, &pid);
  if (error == ECONNREFUSED && !has_lock(l, name))
    note_alone(l, name, status.st_uid);
  else if (error == ECONNREFUSED && !places_is_held(l->d->path, name))
    note(l, name, status.st_uid);
  else if (error == EACCES || error == EPERM || error == ECONNREFUSED)
    l->unknown++;
}

/* A lock alone. Ours are empty and 0600: another program's .lock file is not. Looking takes the lock for a moment, as a
 * list does; publishers who want it wait for that. */
static void look_at_lock(void *user, const char *name) {
  leftovers *l = user;
  struct stat status;
  char path[DOCTOR_PATH + 80];
  if (places_has(l->d->path, name))
    return;
  snprintf(path, sizeof path, "%s/%s.lock", l->d->path, name);
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0) {
    l->unknown += errno == EACCES;
    return;
  }
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0 && (status.st_mode & 0777) == 0600 &&
      flock(file, LOCK_SH | LOCK_NB) == 0)
    note(l, name, status.st_uid);
  (void)close(file); /* and gives the lock back */
}

static void found_alone(doctor *d, const leftovers *l) {
  if (l->alone[0] == '\0')
    return;
  finding *f =
      found(d, FOUND_PROBLEM, "leftover-sockets", "sockets at which nobody listens lie in %s: %s", d->path, l->alone);
  finding_why(f, "their locks are gone, so a list does not take them for a dead publisher's and leaves them there");
  finding_mend(f, "%srm%s; publishing these names anew replaces them, too", as_owner(l->alone_owner), l->files);
}

void doctor_leftovers(doctor *d) {
  leftovers l = { .d = d, .owner = geteuid(), .alone_owner = geteuid() };
  char word[SHELL_WORD];
  if (d->name || d->path[0] == '\0')
    return; /* of one stream it is said whether its publisher is dead */
  if (!places_visit(d->path, ".sock", look_at_socket, &l) || !places_visit(d->path, ".lock", look_at_lock, &l)) {
    if (errno != ENOENT && errno != ENOTDIR)
      found(d, FOUND_UNKNOWN, "leftovers", "what dead publishers left in %s: %s", d->path, strerror(errno));
    return;
  }
  if (l.unknown)
    found(d, FOUND_UNKNOWN, "leftovers",
          "whether %zu file%s in %s, such as of other users, belong to living publishers", l.unknown,
          l.unknown == 1 ? "" : "s", d->path);
  found_alone(d, &l);
  if (l.count == 0 && l.alone[0] != '\0')
    return;
  if (l.count == 0) {
    found(d, FOUND_WELL, "leftovers", "no dead publisher left anything in %s that can be seen", d->path);
    return;
  }
  finding *f =
      found(d, FOUND_PROBLEM, "leftovers", "publishers have died and left their files in %s: %s", d->path, l.names);
  finding_why(f, "they were killed, or their containers were; nobody publishes these names now%s",
              l.owner != geteuid() ? ", and for other users than theirs and root they stay taken" : "");
  shell_word(word, sizeof word, d->path);
  if (l.owner != geteuid() && geteuid() != 0)
    finding_mend(f, "sudo cuframes list --dir %s removes them", word);
  else
    finding_mend(f, "cuframes list --dir %s removes them; so does publishing them anew", word);
}
