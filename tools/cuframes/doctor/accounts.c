/* accounts.c - users and groups: whether this one may connect to the streams, and who may. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "causes.h"
#include "doctor.h"
#include "places.h"

#define GROUPS_MOST 256

/* "1000 (anna)". Where no list of users is, as in small images, the number alone. */
static const char *user_text(char *text, size_t size, uid_t user) {
  const struct passwd *entry = getpwuid(user);
  snprintf(text, size, "%u%s%.40s%s", (unsigned)user, entry ? " (" : "", entry ? entry->pw_name : "", entry ? ")" : "");
  return text;
}

static const char *group_text(char *text, size_t size, gid_t group) {
  const struct group *entry = getgrgid(group);
  snprintf(text, size, "%u%s%.40s%s", (unsigned)group, entry ? " (" : "", entry ? entry->gr_name : "",
           entry ? ")" : "");
  return text;
}

static const char *groups_text(char *text, size_t size) {
  gid_t groups[GROUPS_MOST];
  const int count = getgroups(GROUPS_MOST, groups);
  char one[64];
  size_t used = (size_t)snprintf(text, size, "%s", group_text(one, sizeof one, getegid()));
  for (int i = 0; i < count && used < size; i++)
    if (groups[i] != getegid())
      used += (size_t)snprintf(text + used, size - used, ", %s", group_text(one, sizeof one, groups[i]));
  return text;
}

static void mend_socket(finding *f, const struct stat *socket, const char *name) {
  if ((socket->st_mode & S_IWGRP) && socket->st_gid != 0)
    finding_join_group(f, socket->st_gid);
  else
    finding_mend(f, "cuframes publish ... --name %s --group %u --mode 0660, for this user's group", name,
                 (unsigned)getegid());
}

static bool may_connect(const char *directory, const char *name, struct stat *socket) {
  char path[DOCTOR_PATH + 80];
  snprintf(path, sizeof path, "%s/%s.sock", directory, name);
  return lstat(path, socket) != 0 || !S_ISSOCK(socket->st_mode) || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

static void look_at_stream(doctor *d) {
  struct stat socket;
  char user[64], owner[64], group[64], groups[256];
  if (!places_has(d->path, d->name))
    return; /* said of the stream */
  if (may_connect(d->path, d->name, &socket)) {
    found(d, FOUND_WELL, "socket", "this user (%s) may connect to %s", user_text(user, sizeof user, geteuid()),
          d->name);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "socket", "this user (%s) may not connect to %s",
                     user_text(user, sizeof user, geteuid()), d->name);
  if (!finding_denied(f, &socket, EACCES)) {
    finding_why(f, "its socket belongs to user %s and group %s, with mode %04o, and this process is in group %s",
                user_text(owner, sizeof owner, socket.st_uid), group_text(group, sizeof group, socket.st_gid),
                socket.st_mode & 0777u, groups_text(groups, sizeof groups));
    mend_socket(f, &socket, d->name);
  }
  d->stream_barred = true;
}

typedef struct counting {
  doctor *d;
  char names[256];
  size_t closed, open;
} counting;

static void count_stream(void *user, const char *name) {
  counting *c = user;
  struct stat socket;
  if (may_connect(c->d->path, name, &socket)) {
    c->open++;
    return;
  }
  places_add_name(c->names, sizeof c->names, name);
  c->closed++;
}

static void look_at_all(doctor *d) {
  counting c = { .d = d };
  char user[64];
  if (!places_visit(d->path, ".sock", count_stream, &c))
    return; /* said of the directory, or it is not there */
  user_text(user, sizeof user, geteuid());
  if (c.closed)
    found(d, FOUND_UNKNOWN, "socket", "this user (%s) may not connect to %s; `cuframes doctor NAME` says why", user,
          c.names);
  else
    found(d, FOUND_WELL, "socket", "this user (%s) may connect to all %zu streams", user, c.open);
}

void doctor_accounts(doctor *d) {
  if (d->path[0] == '\0')
    return;
  if (d->name)
    look_at_stream(d);
  else
    look_at_all(d);
}
