/* load.c - processes that keep a machine busy, in the ways in which real ones are. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peers.h"

static volatile uint64_t burnt;

static void burn_until(int64_t end) {
  while (now_ns() < end)
    burnt++;
}

static void burn(void) {
  for (;;)
    burn_until(now_ns() + SECOND);
}

static void burn_nice(void) {
  if (setpriority(PRIO_PROCESS, 0, 19) != 0)
    bench_die("nice: %s", strerror(errno));
  burn();
}

/* Works 1 to 3 ms and sleeps as long: what a decoder or a detector does. */
static void burn_and_sleep(void) {
  for (unsigned turn = (unsigned)getpid();; turn = turn * 1103515245 + 12345) {
    int64_t work = MS + (int64_t)(turn >> 16) % (2 * MS);
    burn_until(now_ns() + work);
    sleep_until(now_ns() + work);
  }
}

/* Works 0.1 ms and sleeps as long: very many wake-ups. */
static void burn_in_bits(void) {
  for (;;) {
    burn_until(now_ns() + 100 * US);
    sleep_until(now_ns() + 100 * US);
  }
}

/* One short process after the other, as shell scripts and builds start them. */
static void short_processes(void) {
  for (;;) {
    pid_t child = fork();
    if (child < 0)
      bench_die("fork: %s", strerror(errno));
    if (child == 0) {
      (void)execl("/bin/true", "true", (char *)NULL);
      _exit(1);
    }
    (void)waitpid(child, NULL, 0);
  }
}

/* Long stays in the kernel: memory is taken, touched and given back. */
static void page_faults(void) {
  for (size_t size = 64 << 20;;) {
    char *memory = malloc(size);
    if (!memory)
      bench_die("no memory");
    memset(memory, 1, size);
    burnt += (uint64_t)memory[size / 2]; /* or the compiler would leave it all out */
    free(memory);
  }
}

static void disk(void) {
  char path[320];
  static char block[1 << 20];
  (void)snprintf(path, sizeof path, "%s/load-%d", streams_directory(), (int)getpid());
  int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0)
    bench_die("%s: %s", path, strerror(errno));
  for (off_t at = 0;; at = (at + (off_t)sizeof block) % (64 << 20))
    if (pwrite(file, block, sizeof block, at) < 0 || fdatasync(file) != 0)
      bench_die("%s: %s", path, strerror(errno));
}

static const struct {
  const char *name, *about;
  void (*run)(void);
} kinds[] = {
  { "burn", "processes that only burn CPU", burn },
  { "nice", "the same with nice 19", burn_nice },
  { "mix", "1 to 3 ms of work, as long a sleep, and so on", burn_and_sleep },
  { "bits", "0.1 ms of work, as long a sleep, and so on", burn_in_bits },
  { "short", "one short process after the other", short_processes },
  { "faults", "64 MiB taken, touched and given back", page_faults },
  { "disk", "a file written and synced, block by block", disk },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

void load_list(void *file) {
  for (size_t i = 0; i < KINDS; i++)
    fprintf(file, "                   %-7s %s\n", kinds[i].name, kinds[i].about);
}

typedef struct load {
  void (*run)(void);
  bool apart;
} load;

static void load_run(void *argument, unsigned index) {
  const load *l = argument;
  void (*run)(void) = l->run;
  (void)index;
  if (l->apart && setsid() < 0)
    bench_die("setsid: %s", strerror(errno));
  (void)signal(SIGINT, SIG_DFL); /* cannot fail for these: the parent ends it */
  (void)signal(SIGTERM, SIG_DFL);
  run();
}

void load_start(crew *members, const char *kind, unsigned count, bool apart) {
  for (size_t i = 0; i < KINDS; i++) {
    if (strcmp(kinds[i].name, kind) == 0) {
      load l = { kinds[i].run, apart };
      crew_start(members, count, load_run, &l);
      return;
    }
  }
  bench_die("no load \"%s\"; see --help", kind);
}

void load_stop(crew *members) {
  for (unsigned i = 0; i < members->count; i++) {
    (void)kill(members->pid[i], SIGKILL);
    (void)waitpid(members->pid[i], NULL, 0);
  }
  members->count = 0;
}
