/* proc.c - see proc.h. */
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKS 5 /* a thread that waits for a disk is in state D for a moment */
#define LOOK_MS 20

bool proc_read(const char *path, char *text, size_t size) {
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  size_t length = 0;
  ssize_t got = -1;
  while (file >= 0 && length < size - 1 && (got = read(file, text + length, size - 1 - length)) > 0)
    length += (size_t)got;
  if (file >= 0)
    (void)close(file);
  text[length] = '\0';
  return file >= 0 && got >= 0;
}

bool proc_read_of(int pid, const char *file, char *text, size_t size) {
  char path[64];
  if (pid > 0)
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  else
    snprintf(path, sizeof path, "/proc/self/%s", file);
  return proc_read(path, text, size);
}

bool proc_line(const char *text, const char *key, char *value, size_t size) {
  const size_t length = strlen(key);
  for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
    if (strncmp(line, key, length) == 0 && line[length] == ':') {
      line += length + 1;
      line += strspn(line, " \t");
      snprintf(value, size, "%.*s", (int)strcspn(line, "\n"), line);
      return true;
    }
  return false;
}

/* Of a file .../stat. */
static char state_in(const char *path) {
  char text[1024];
  if (!proc_read(path, text, sizeof text))
    return '\0';
  const char *name_end = strrchr(text, ')'); /* a name may have brackets */
  return name_end && name_end[1] == ' ' ? name_end[2] : '\0';
}

/* That of a thread which is in it at every look. */
static char thread_state(const char *path) {
  const char state = state_in(path);
  for (int i = 1; state == 'D' && i < LOOKS; i++) {
    (void)poll(NULL, 0, LOOK_MS); /* just time that goes by */
    if (state_in(path) != state)
      return 'S';
  }
  return state;
}

char proc_state(int pid) {
  char path[96];
  if (pid <= 0)
    return '\0';
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  char worst = thread_state(path);
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *threads = opendir(path);
  const struct dirent *entry;
  while (threads && (worst == 'S' || worst == 'R') && (entry = readdir(threads))) {
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", pid, entry->d_name);
    const char state = entry->d_name[0] == '.' ? '\0' : thread_state(path);
    if (state == 'T' || state == 't' || state == 'D')
      worst = state;
  }
  if (threads)
    (void)closedir(threads); /* nothing was written */
  return worst;
}

bool proc_counts_alike(int pid) {
  char text[4096], numbers[64];
  if (pid <= 0 || !proc_read_of(pid, "status", text, sizeof text))
    return false;
  /* Its number here and in each namespace below; before Linux 4.1 there is no such line. */
  return !proc_line(text, "NSpid", numbers, sizeof numbers) || !strpbrk(numbers, " \t");
}

void proc_name(char *text, size_t size, int pid) {
  char name[32];
  if (proc_read_of(pid, "comm", name, sizeof name))
    snprintf(text, size, "%d (%.*s)", pid, (int)strcspn(name, "\n"), name);
  else
    snprintf(text, size, "%d", pid);
}

bool proc_limits(int pid, const char *name, uint64_t *limit, uint64_t *hard) {
  char text[4096];
  const char *line = proc_read_of(pid, "limits", text, sizeof text) ? strstr(text, name) : NULL;
  if (!line)
    return false;
  line += strlen(name);
  uint64_t *const both[] = { limit, hard };
  for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
    char *end;
    line += strspn(line, " ");
    *both[i] = strtoull(line, &end, 10);
    if (end == line)
      *both[i] = UINT64_MAX; /* "unlimited" */
    line += strcspn(line, " \n");
  }
  return true;
}

bool proc_limit(int pid, const char *name, uint64_t *limit) {
  uint64_t hard;
  return proc_limits(pid, name, limit, &hard);
}

uid_t proc_user(int pid) {
  char path[64];
  struct stat status;
  snprintf(path, sizeof path, "/proc/%d", pid);
  return stat(path, &status) == 0 ? status.st_uid : 0;
}

int proc_descriptors(int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *directory = opendir(path);
  int count = 0;
  if (!directory)
    return -1;
  while (readdir(directory))
    count++;
  (void)closedir(directory); /* nothing was written */
  return count - 2;          /* "." and ".." */
}
