/* limits.c - what this process, its control group and the machine still give, and what streams need; likewise of the
 * publisher, where it can be seen. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "causes.h"
#include "common/json.h"
#include "doctor.h"
#include "proc.h"

#define MIB (UINT64_C(1) << 20)
/* A publisher takes about three descriptors for each subscriber (docs/troubleshooting.md), and some for itself. */
#define DESCRIPTORS_EACH 3
#define DESCRIPTORS_OWN 64
#define DESCRIPTORS_READER 64
#define DESCRIPTORS_PUBLISHER (DESCRIPTORS_OWN + 64 * DESCRIPTORS_EACH)
/* So much is allocated at once: six slots of a 4K picture (NV12); in all: by a stream of 1080p with its packet ring. */
#define SEGMENT_BYTES (80 * MIB)
#define STREAM_BYTES (40 * MIB)
#define READER_BYTES (8 * MIB)
#define LEAST_BYTES MIB /* of a file, below which nothing works */
#define ADDRESS_BYTES (1024 * MIB)
#define STACK_LEAST (512 * 1024)
#define TASKS_LEAST 16
#define THREAD_STACK (128 * 1024)

static void look_at_descriptors(doctor *d) {
  struct rlimit limit;
  const rlim_t least = d->name ? DESCRIPTORS_READER : DESCRIPTORS_PUBLISHER;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return; /* it cannot fail so */
  if (limit.rlim_cur >= least) {
    found(d, FOUND_WELL, "descriptors", "%llu descriptors may be open", (unsigned long long)limit.rlim_cur);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "descriptors", "only %llu descriptors may be open (NOFILE)",
                     (unsigned long long)limit.rlim_cur);
  if (d->name)
    finding_why(f, "a reader takes some for each stream, and a GPU's driver takes dozens");
  else
    finding_why(f, "a publisher takes about %d for each subscriber, and %d itself", DESCRIPTORS_EACH, DESCRIPTORS_OWN);
  finding_raise(f, RLIMIT_NOFILE, 0);
  if (limit.rlim_cur < DESCRIPTORS_READER)
    d->low_limits = true;
}

/* It counts for shared memory, too. */
static void look_at_file_size(doctor *d, int pid) {
  uint64_t limit = UINT64_MAX;
  struct rlimit own;
  char text[32], need[32], who[PROC_NAME + 16] = "this process";
  if (pid > 0) {
    if (!proc_limit(pid, "Max file size", &limit))
      return;
    snprintf(who, sizeof who, "the publisher ");
    proc_name(who + strlen(who), PROC_NAME, pid);
  } else if (getrlimit(RLIMIT_FSIZE, &own) == 0 && own.rlim_cur != RLIM_INFINITY) {
    limit = own.rlim_cur;
  }
  bytes_text(text, sizeof text, limit);
  bytes_text(need, sizeof need, SEGMENT_BYTES);
  if (limit >= SEGMENT_BYTES) {
    found(d, FOUND_WELL, "file-size", "files of %s may have %s", who, limit == UINT64_MAX ? "any size" : text);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "file-size", "files of %s may have %s at most (FSIZE)", who, text);
  finding_why(f, "that counts for shared memory, too, of which a stream of 4K pictures allocates %s at once", need);
  finding_raise(f, RLIMIT_FSIZE, pid);
  if (pid == 0 && limit < LEAST_BYTES)
    d->low_limits = true;
}

static void look_at_locked_memory(doctor *d) {
  struct rlimit limit;
  char text[32];
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
    return;
  bytes_text(text, sizeof text, limit.rlim_cur);
  if (limit.rlim_cur == RLIM_INFINITY)
    found(d, FOUND_WELL, "locked-memory", "any amount of memory may be locked");
  else if (limit.rlim_cur >= 64 * 1024)
    found(d, FOUND_WELL, "locked-memory", "%s of memory may be locked; cuframes locks none", text);
  else
    found(d, FOUND_UNKNOWN, "locked-memory",
          "%s of memory may be locked (MEMLOCK): cuframes locks none; whether a GPU's driver counts what it pins, the "
          "trial on the GPU shows",
          text);
}

static void look_at_addresses(doctor *d) {
  struct rlimit limit;
  char text[32];
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    found(d, FOUND_WELL, "addresses", "a process may map as much as there is");
    return;
  }
  bytes_text(text, sizeof text, limit.rlim_cur);
  if (limit.rlim_cur >= ADDRESS_BYTES) {
    found(d, FOUND_NOTE, "addresses", "a process may map %s (AS); a GPU's driver wants more than any such limit", text);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "addresses", "a process may map %s only (AS)", text);
  finding_why(f, "shared memory is mapped by each reader, beside its own; a GPU's driver maps many GiB");
  finding_raise(f, RLIMIT_AS, 0);
}

/* The kernel kills who has used it up; a publisher runs for years. */
static void look_at_cpu_time(doctor *d, int pid) {
  uint64_t limit = UINT64_MAX;
  struct rlimit own;
  char who[PROC_NAME + 16] = "this process";
  if (pid > 0) {
    if (!proc_limit(pid, "Max cpu time", &limit))
      return;
    snprintf(who, sizeof who, "the publisher ");
    proc_name(who + strlen(who), PROC_NAME, pid);
  } else if (getrlimit(RLIMIT_CPU, &own) == 0 && own.rlim_cur != RLIM_INFINITY) {
    limit = own.rlim_cur;
  }
  if (limit == UINT64_MAX) {
    found(d, FOUND_WELL, "cpu-time", "%s may use any amount of CPU time", who);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "cpu-time", "%s may use %" PRIu64 " s of CPU time (CPU)", who, limit);
  finding_why(f, "then the kernel kills it, and who publishes or reads does so without end");
  finding_raise(f, RLIMIT_CPU, pid);
}

/* Threads get as much of it as the limit says. */
static void look_at_stacks(doctor *d) {
  struct rlimit limit;
  char text[32];
  if (getrlimit(RLIMIT_STACK, &limit) != 0)
    return; /* it cannot fail so */
  bytes_text(text, sizeof text, limit.rlim_cur);
  if (limit.rlim_cur >= STACK_LEAST) {
    found(d, FOUND_WELL, "stack", "threads may have %s of stack",
          limit.rlim_cur == RLIM_INFINITY ? "any amount" : text);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "stack", "threads get %s of stack (STACK)", text);
  finding_why(f, "libraries for films and a GPU's driver want more, and die without a word");
  finding_raise(f, RLIMIT_STACK, 0);
  d->low_limits = true;
}

static void *wait_for_all(void *gate) {
  char byte;
  (void)read(*(int *)gate, &byte, sizeof byte); /* until it is closed */
  return NULL;
}

/* So many threads at once, of which those of this user, its control group and the machine may be too many. */
static int try_threads(int *error) {
  pthread_t thread[TASKS_LEAST];
  pthread_attr_t small;
  int gate[2], count = 0;
  *error = pipe(gate) == 0 ? 0 : errno;
  if (*error != 0)
    return 0;
  (void)pthread_attr_init(&small); /* cannot fail */
  (void)pthread_attr_setstacksize(&small, THREAD_STACK);
  while (count < TASKS_LEAST && (*error = pthread_create(&thread[count], &small, wait_for_all, &gate[0])) == 0)
    count++;
  (void)pthread_attr_destroy(&small);
  (void)close(gate[1]);
  for (int i = 0; i < count; i++)
    (void)pthread_join(thread[i], NULL);
  (void)close(gate[0]);
  return count;
}

static void look_at_tasks(doctor *d) {
  group_room room;
  int error;
  const bool roomy = !group_pids(0, &room) || room.left >= TASKS_LEAST;
  if (roomy && d->low_limits) {
    found(d, FOUND_UNKNOWN, "tasks", "whether more threads can be started was not tried: see the above");
    return;
  }
  if (roomy) {
    doctor_stage(d, "starting threads");
    const int count = try_threads(&error);
    if (count == TASKS_LEAST)
      found(d, FOUND_WELL, "tasks", "%d threads more can be started", count);
    else
      finding_errno(found(d, FOUND_PROBLEM, "tasks", "only %d threads more can be started", count), "pthread_create",
                    error, NULL);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "tasks", "the control group has room for %" PRIu64 " more processes and threads",
                     room.left);
  finding_why(f, "its limit is %" PRIu64 "; a publisher takes some, and a decoder one for each core", room.limit);
  finding_mend(f, "docker run --pids-limit 4096; TasksMax=4096 in the systemd unit");
}

/* ---- memory ---- */

static uint64_t meminfo(const char *text, const char *key) {
  char value[64];
  return proc_line(text, key, value, sizeof value) ? strtoull(value, NULL, 10) * 1024 : 0;
}

static void look_at_machine_memory(doctor *d, uint64_t need) {
  char text[8192], left_text[32], need_text[32];
  if (!proc_read("/proc/meminfo", text, sizeof text) || meminfo(text, "MemAvailable") == 0) {
    found(d, FOUND_UNKNOWN, "memory", "how much memory is left: /proc/meminfo does not say");
    return;
  }
  const uint64_t left = meminfo(text, "MemAvailable") + meminfo(text, "SwapFree");
  bytes_text(left_text, sizeof left_text, left);
  bytes_text(need_text, sizeof need_text, need);
  if (left >= need) {
    found(d, FOUND_WELL, "memory", "the machine has %s left", left_text);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "memory", "the machine has %s of memory left", left_text);
  finding_why(f, "%s takes about %s", d->name ? "a reader" : "a stream of 1080p pictures with its packets", need_text);
  finding_mend(f, "free -h; end what uses it, or publish with a lower --max-slots and --packet-bytes");
}

static void look_at_group_memory(doctor *d, int pid, uint64_t need, const char *what_needs) {
  group_room room;
  char left_text[32], limit_text[32], need_text[32], who[PROC_NAME + 32] = "this process";
  if (pid > 0) {
    snprintf(who, sizeof who, "the publisher ");
    proc_name(who + strlen(who), PROC_NAME, pid);
  }
  if (!group_memory(pid, &room)) {
    found(d, FOUND_WELL, "group-memory", "no control group limits the memory of %s", who);
    return;
  }
  bytes_text(left_text, sizeof left_text, room.left);
  bytes_text(limit_text, sizeof limit_text, room.limit);
  bytes_text(need_text, sizeof need_text, need);
  if (room.left >= need) {
    found(d, FOUND_WELL, "group-memory", "the control group of %s has %s left of %s", who, left_text, limit_text);
    return;
  }
  finding *f =
      found(d, FOUND_PROBLEM, "group-memory", "the control group of %s has %s left of %s", who, left_text, limit_text);
  finding_why(f, "%s takes about %s; shared memory counts for the group of the publisher", what_needs, need_text);
  finding_mend(f, "docker update --memory SIZE CONTAINER; MemoryMax= in the systemd unit; or a lower --max-slots");
}

void doctor_limits(doctor *d) {
  look_at_descriptors(d);
  look_at_stacks(d);
  look_at_file_size(d, 0);
  look_at_locked_memory(d);
  look_at_addresses(d);
  look_at_cpu_time(d, 0);
  look_at_tasks(d);
  const uint64_t need = d->name ? READER_BYTES : STREAM_BYTES;
  look_at_machine_memory(d, need);
  look_at_group_memory(d, 0, need, d->name ? "a reader" : "a stream of 1080p pictures with its packets");
}

/* ---- of the publisher ---- */

/* A number that is more than it has, and than a publisher takes; above its hard limit root alone may go. */
static void mend_publisher_descriptors(finding *f, int pid, uint64_t limit, uint64_t hard) {
  const uint64_t more = limit < 2048 ? 4096 : 2 * limit;
  finding_mend(f,
               "%sprlimit --pid %d --nofile=%" PRIu64 "%s ; for good LimitNOFILE= in its unit, or ulimit -n before it",
               hard < more ? "sudo " : as_owner(proc_user(pid)), pid, more, hard < more ? "" : ":");
}

bool doctor_publisher_is_full(doctor *d, int pid) {
  uint64_t limit, hard;
  char name[PROC_NAME];
  const int open = pid > 0 ? proc_descriptors(pid) : -1;
  if (open < 0 || !proc_limits(pid, "Max open files", &limit, &hard) || (uint64_t)open < limit)
    return false;
  proc_name(name, sizeof name, pid);
  finding *f = found(d, FOUND_PROBLEM, "publisher-descriptors",
                     "the publisher of %s takes no connection: process %s has all %" PRIu64
                     " descriptors open that it may (NOFILE)",
                     d->name, name, limit);
  finding_why(f, "a connection takes one, and each further subscriber about %d", DESCRIPTORS_EACH);
  mend_publisher_descriptors(f, pid, limit, hard);
  return true;
}

void doctor_publisher_limits(doctor *d, int pid, uint64_t growth) {
  uint64_t limit, hard;
  const int open = proc_descriptors(pid);
  char name[PROC_NAME];
  look_at_file_size(d, pid);
  look_at_cpu_time(d, pid);
  look_at_group_memory(d, pid, growth, "one more reader of this stream");
  if (open < 0 || !proc_limits(pid, "Max open files", &limit, &hard)) {
    found(d, FOUND_UNKNOWN, "publisher-descriptors", "how many descriptors the publisher has: it is another user's");
    return;
  }
  proc_name(name, sizeof name, pid);
  if ((uint64_t)open + 4 * (uint64_t)DESCRIPTORS_EACH <= limit) {
    found(d, FOUND_WELL, "publisher-descriptors", "the publisher %s has %d descriptors of %" PRIu64, name, open, limit);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "publisher-descriptors", "the publisher %s has %d descriptors open of %" PRIu64,
                     name, open, limit);
  finding_why(f, "each further subscriber takes about %d", DESCRIPTORS_EACH);
  mend_publisher_descriptors(f, pid, limit, hard);
}
