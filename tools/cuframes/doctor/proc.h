/* proc.h - what /proc and the control groups say of a process, this one (0) or another one that can be seen. */
#ifndef CUFRAMES_DOCTOR_PROC_H
#define CUFRAMES_DOCTOR_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A small file whole, as a string. False: it cannot be read. */
bool proc_read(const char *path, char *text, size_t size);
/* The file of a process, "status". */
bool proc_read_of(int pid, const char *file, char *text, size_t size);
/* The value of a line "KEY: value" of such a text, without its end; false: there is no such line. */
bool proc_line(const char *text, const char *key, char *value, size_t size);

/* 'R', 'S', ... as ps says; 'T', 't' or 'D' if one of its threads is so, for then it may do nothing; 0: it cannot be
 * seen. Takes a tenth of a second where something is in state D. */
char proc_state(int pid);
/* Whether a process counts processes as this one does: they are in one PID namespace. */
bool proc_counts_alike(int pid);
/* "1234 (ffmpeg)"; PROC_NAME bytes are enough. */
#define PROC_NAME 48
void proc_name(char *text, size_t size, int pid);
/* A line of /proc/PID/limits, "Max open files"; UINT64_MAX: there is none. */
bool proc_limit(int pid, const char *name, uint64_t *limit);
/* With the hard limit, up to which anybody may raise it. */
bool proc_limits(int pid, const char *name, uint64_t *limit, uint64_t *hard);
/* Whose it is; of one that cannot be seen, root's. */
uid_t proc_user(int pid);
/* How many descriptors it has; -1: it cannot be seen. */
int proc_descriptors(int pid);

/* Of a control group of the process or one above it, the one that has least left. */
typedef struct group_room {
  uint64_t left, limit;
} group_room;
/* False: none has a limit. Bytes of memory, the kernel's caches not counted; processes and threads. */
bool group_memory(int pid, group_room *room);
bool group_pids(int pid, group_room *room);
/* Whether its group is frozen, as `docker pause` does. */
bool group_is_frozen(int pid);

#endif
