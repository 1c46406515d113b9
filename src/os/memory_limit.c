/* os/memory_limit.c - how much memory the control groups of this process still give.
 *
 * Shared memory counts for the group of who touches it first, which is us. Past a limit the kernel does not refuse: it
 * kills. /proc/self/cgroup says which groups we are in, /proc/self/mountinfo where their files are; the limit of each
 * group on the way up to what is mounted counts. They are read each time: a process can be moved, and limits change.
 */
#include "os/memory_limit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/memory.h"

#define PATH_SIZE 1024
#define LEVELS_MOST 64
/* The process itself goes on needing some: a part of the limit, between these. */
#define RESERVE_PART 32
#define RESERVE_LEAST (UINT64_C(4) << 20)
#define RESERVE_MOST (UINT64_C(64) << 20)

/* The two versions of the interface. */
typedef struct interface {
  const char *type;       /* of the file system */
  const char *controller; /* that is to be among its options; NULL: it has all */
  const char *limit, *usage;
  const char *cache[2]; /* lines of memory.stat: file cache that is not in use, and that is */
} interface;

static const interface interfaces[] = {
  { "cgroup2", NULL, "memory.max", "memory.current", { "inactive_file", "active_file" } },
  { "cgroup",
    "memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    { "total_inactive_file", "total_active_file" } },
};

/* Reads a small file whole, as a string. */
static bool file_read(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  size_t length = 0;
  ssize_t got = -1;
  while (file >= 0 && length < size - 1 && (got = read(file, text + length, size - 1 - length)) > 0)
    length += (size_t)got;
  cf_close(file);
  text[length] = '\0';
  return file >= 0 && got >= 0;
}

/* The number in a group's file. "max", or no such file (as in the root group): false. */
static bool number_read(const char *directory, const char *name, uint64_t *number) {
  char path[PATH_SIZE + 64], text[64], *end;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  if (!file_read(path, text, sizeof text))
    return false;
  *number = strtoull(text, &end, 10);
  return end != text;
}

/* "KEY NUMBER" among the lines of memory.stat; 0 if it is not there. */
static uint64_t stat_line(const char *text, const char *key) {
  size_t length = strlen(key);
  for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
    if (strncmp(line, key, length) == 0 && line[length] == ' ')
      return strtoull(line + length, NULL, 10);
  return 0;
}

/* What the kernel takes back before it kills: the cache that is not in use, and of the other one, as MemAvailable does,
 * half. */
static uint64_t cache_read(const interface *i, const char *directory) {
  char path[PATH_SIZE + 64], text[8192];
  snprintf(path, sizeof path, "%s/memory.stat", directory);
  (void)file_read(path, text, sizeof text); /* what was read of it counts */
  return stat_line(text, i->cache[0]) + stat_line(text, i->cache[1]) / 2;
}

static uint64_t reserve_of(uint64_t limit) {
  uint64_t part = limit / RESERVE_PART;
  return part < RESERVE_LEAST ? RESERVE_LEAST : part > RESERVE_MOST ? RESERVE_MOST : part;
}

static uint64_t left_of(uint64_t limit, uint64_t taken) {
  return limit > taken ? limit - taken : 0;
}

/* What one group gives, if that is less than room->bytes. */
static void group_look(const interface *i, const char *directory, cf_memory_room *room) {
  uint64_t limit, usage;
  if (!number_read(directory, i->limit, &limit) || limit >= (uint64_t)INT64_MAX / 2 || /* of version 1: none */
      !number_read(directory, i->usage, &usage))
    return;
  uint64_t reserve = reserve_of(limit);
  if (left_of(limit, usage + reserve) >= room->bytes) /* also without the cache */
    return;
  uint64_t bytes = left_of(limit, left_of(usage, cache_read(i, directory)) + reserve);
  if (bytes < room->bytes)
    *room = (cf_memory_room){ .bytes = bytes, .limit = limit };
}

/* From a group up to the mount point, whose path is so long. */
static void groups_look(const interface *i, char *directory, size_t mount_length, cf_memory_room *room) {
  for (int level = 0; level < LEVELS_MOST; level++) {
    group_look(i, directory, room);
    char *end = strrchr(directory, '/');
    if (!end || (size_t)(end - directory) < mount_length)
      return;
    *end = '\0'; /* after a trailing slash it is the same directory once more */
  }
}

static bool has_word(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == '\0' || at[length] == ','))
      return true;
  return false;
}

/* Our group in that interface's hierarchy: a line "NUMBER:CONTROLLERS:PATH" of /proc/self/cgroup, where version 2 has
 * no controllers. */
static bool group_find(const interface *i, const char *text, char path[PATH_SIZE]) {
  char *rest = NULL, copy[8192];
  snprintf(copy, sizeof copy, "%s", text);
  for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
      continue;
    *group++ = '\0';
    controllers++;
    if (i->controller ? !has_word(controllers, i->controller) : controllers[0] != '\0')
      continue;
    snprintf(path, PATH_SIZE, "%s", group);
    return true;
  }
  return false;
}

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

/* One line of mountinfo: "ID PARENT DEVICE ROOT MOUNT-POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS". */
static bool mount_parse(char *line, const interface *i, char **root, char **mount_point) {
  char *second = strstr(line, " - "), *rest = NULL, *field[5];
  if (!second)
    return false;
  *second = '\0';
  char *type = strtok_r(second + 3, " ", &rest);
  (void)strtok_r(NULL, " ", &rest);
  const char *options = strtok_r(NULL, " \n", &rest);
  if (!type || strcmp(type, i->type) != 0 || (i->controller && (!options || !has_word(options, i->controller))))
    return false;
  rest = NULL;
  for (int n = 0; n < 5; n++)
    if (!(field[n] = strtok_r(n == 0 ? line : NULL, " ", &rest)))
      return false;
  *root = field[3];
  *mount_point = field[4];
  unescape(*root);
  unescape(*mount_point);
  return true;
}

static size_t top_length(const char *top) {
  return strcmp(top, "/") == 0 ? 0 : strlen(top);
}

/* A mount shows the hierarchy from `top` on, which may be a container's, or, in a name space of groups, above what has
 * a name there ("/.."). */
static bool is_within(const char *group, const char *top) {
  size_t length = top_length(top);
  return strncmp(group, top, length) == 0 && (group[length] == '/' || group[length] == '\0') && !strstr(group, "/..");
}

/* Where the files of our group are; the first mount that has it, or else the first. */
static size_t group_locate(const char *prefix, const interface *i, const char *group, FILE *mounts,
                           char directory[PATH_SIZE]) {
  char line[4096], *top, *mount_point;
  size_t mount_length = 0;
  rewind(mounts);
  for (bool within = false; !within && fgets(line, sizeof line, mounts);) {
    if (!mount_parse(line, i, &top, &mount_point))
      continue;
    within = is_within(group, top);
    if (!within && mount_length > 0)
      continue;
    mount_length = strlen(prefix) + strlen(mount_point);
    int n = snprintf(directory, PATH_SIZE, "%s%s%s", prefix, mount_point, within ? group + top_length(top) : "");
    if (n >= PATH_SIZE)
      return 0;
  }
  return mount_length;
}

static void interface_look(const char *prefix, const interface *i, const char *groups, FILE *mounts,
                           cf_memory_room *room) {
  char group[PATH_SIZE], directory[PATH_SIZE];
  size_t mount_length = group_find(i, groups, group) ? group_locate(prefix, i, group, mounts, directory) : 0;
  if (mount_length > 0)
    groups_look(i, directory, mount_length, room);
}

cf_memory_room cf_memory_limit(const char *root) {
  cf_memory_room room = { .bytes = UINT64_MAX };
  char path[PATH_SIZE], groups[8192];
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  if (!file_read(path, groups, sizeof groups))
    return room;
  snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
  FILE *mounts = fopen(path, "re");
  if (!mounts)
    return room;
  for (size_t i = 0; i < sizeof interfaces / sizeof interfaces[0]; i++)
    interface_look(root, &interfaces[i], groups, mounts, &room);
  fclose(mounts);
  return room;
}
