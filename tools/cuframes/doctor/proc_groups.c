/* proc_groups.c - the control groups of a process, versions 1 and 2 of the interface: what they still give (proc.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

#define PATH_SIZE 1024
#define LEVELS_MOST 64

/* The files of a controller; the first one of version 2, the other of version 1. */
typedef struct controller {
  const char *name, *limit[2], *usage[2], *cache[2];
} controller;

static const controller memory = { "memory",
                                   { "memory.max", "memory.limit_in_bytes" },
                                   { "memory.current", "memory.usage_in_bytes" },
                                   { "inactive_file ", "total_inactive_file " } };
static const controller pids = { "pids", { "pids.max", "pids.max" }, { "pids.current", "pids.current" }, { NULL } };
static const controller freezer = { "freezer", { NULL }, { NULL }, { NULL } };

static bool number_in(const char *directory, const char *file, uint64_t *number) {
  char path[PATH_SIZE + 64], text[64], *end;
  snprintf(path, sizeof path, "%s/%s", directory, file);
  if (!proc_read(path, text, sizeof text))
    return false;
  *number = strtoull(text, &end, 10);
  return end != text; /* "max" */
}

/* Cache that the kernel takes back before it kills. */
static uint64_t cache_in(const char *directory, const char *key) {
  char path[PATH_SIZE + 64], text[8192];
  snprintf(path, sizeof path, "%s/memory.stat", directory);
  if (!key || !proc_read(path, text, sizeof text))
    return 0;
  const char *line = strncmp(text, key, strlen(key)) == 0 ? text : strstr(text, key);
  return line ? strtoull(line + strlen(key), NULL, 10) : 0;
}

static bool has_word(const char *list, const char *word) {
  const size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == '\0' || at[length] == ','))
      return true;
  return false;
}

/* The path of the process's group in the hierarchy that has the controller; version 2, without names, has all. */
static bool group_path(int pid, const controller *c, bool first_version, char path[PATH_SIZE]) {
  char text[8192], *rest = NULL;
  if (!proc_read_of(pid, "cgroup", text, sizeof text))
    return false;
  for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
    char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
    if (!group)
      continue;
    *group++ = '\0';
    if (first_version ? has_word(names + 1, c->name) : names[1] == '\0') {
      snprintf(path, PATH_SIZE, "%s", group);
      return true;
    }
  }
  return false;
}

/* One line of mountinfo: "ID PARENT DEVICE ROOT MOUNT-POINT OPTIONS [TAG...] - TYPE SOURCE OPTIONS". */
static bool mount_is(char *line, const controller *c, bool first_version, char **root, char **point) {
  char *second = strstr(line, " - "), *rest = NULL, *field[5] = { NULL };
  if (!second)
    return false;
  *second = '\0';
  const char *type = strtok_r(second + 3, " ", &rest);
  (void)strtok_r(NULL, " ", &rest);
  const char *options = strtok_r(NULL, " \n", &rest);
  if (!type || strcmp(type, first_version ? "cgroup" : "cgroup2") != 0 ||
      (first_version && !(options && has_word(options, c->name))))
    return false;
  rest = NULL;
  for (int i = 0; i < 5; i++)
    if (!(field[i] = strtok_r(i == 0 ? line : NULL, " ", &rest)))
      return false;
  *root = field[3];
  *point = field[4];
  return true;
}

/* Where the group's files are, and how long the part of that is that is the mount point: groups above are not seen. */
static size_t group_directory(int pid, const controller *c, bool first_version, char directory[PATH_SIZE]) {
  char group[PATH_SIZE], line[4096], *root, *point;
  size_t top = 0;
  if (!group_path(pid, c, first_version, group))
    return 0;
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  while (mounts && top == 0 && fgets(line, sizeof line, mounts)) {
    if (!mount_is(line, c, first_version, &root, &point))
      continue;
    const size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const bool within = strncmp(group, root, length) == 0 && !strstr(group, "/..");
    const int n = snprintf(directory, PATH_SIZE, "%s%s", point, within ? group + length : "");
    top = n < PATH_SIZE ? strlen(point) : 0;
  }
  if (mounts)
    fclose(mounts);
  return top;
}

static void look(const controller *c, bool first_version, const char *directory, group_room *room) {
  uint64_t limit, usage;
  if (!number_in(directory, c->limit[first_version], &limit) || limit >= (uint64_t)INT64_MAX / 2 ||
      !number_in(directory, c->usage[first_version], &usage))
    return;
  const uint64_t cache = cache_in(directory, c->cache[first_version]);
  usage -= cache < usage ? cache : usage;
  const uint64_t left = limit > usage ? limit - usage : 0;
  if (left < room->left)
    *room = (group_room){ .left = left, .limit = limit };
}

static bool least(int pid, const controller *c, group_room *room) {
  *room = (group_room){ .left = UINT64_MAX };
  for (int first_version = 0; first_version < 2; first_version++) {
    char directory[PATH_SIZE];
    const size_t top = group_directory(pid, c, first_version, directory);
    for (int level = 0; top > 0 && level < LEVELS_MOST; level++) {
      look(c, first_version, directory, room);
      char *end = strrchr(directory, '/');
      if (!end || (size_t)(end - directory) < top)
        break;
      *end = '\0';
    }
  }
  return room->left != UINT64_MAX;
}

bool group_memory(int pid, group_room *room) {
  return least(pid, &memory, room);
}

bool group_pids(int pid, group_room *room) {
  return least(pid, &pids, room);
}

bool group_is_frozen(int pid) {
  char directory[PATH_SIZE], path[PATH_SIZE + 32], text[256], value[16];
  if (group_directory(pid, &freezer, false, directory)) {
    snprintf(path, sizeof path, "%s/cgroup.events", directory);
    if (proc_read(path, text, sizeof text) && strstr(text, "frozen 1"))
      return true;
  }
  if (!group_directory(pid, &freezer, true, directory))
    return false;
  snprintf(path, sizeof path, "%s/freezer.state", directory);
  return proc_read(path, value, sizeof value) && strncmp(value, "FROZEN", 6) == 0;
}
