/* soak.c - the program cuframes-bench-soak: publishes at full speed for minutes while subscribers join, read and
 * leave, and checks that nothing piles up: memory, descriptors and mappings of the publisher's process and of each
 * reader's.
 *
 * Both sides are looked at when nobody but the publisher is there, or the reader has just left. The first quarter of
 * the run is for what grows once: allocators, the pool. Afterwards a peak may not be passed by more than ALLOWED_KB.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define READERS 4u
#define STREAM "soak"
#define ALLOWED_KB 512.0 /* of memory of its own; a leak of one small block a turn is far more in a minute */

/* Segments that the publisher's pool may still keep from its guests at one look and not at another: a descriptor and a
 * mapping each. A leak at each join is thousands. */
#define SEGMENTS 4.0

/* What a process holds. */
typedef struct held {
  double memory_kb, descriptors, mappings;
} held;

typedef struct watch {
  held early, late; /* the most seen in the first quarter, and after */
  uint64_t looks_early, looks_late;
} watch;

typedef struct soak {
  int64_t from, until;
  _Atomic uint64_t joins, frames_seen;
  tally there; /* odd: readers may join; even: they must leave */
  tally gone;
  watch readers[READERS];
} soak;

/* ---- what a process holds ---- */

/* Lines of a file, or the number behind `key` in it. */
static double file_count(const char *path, const char *key) {
  char line[512];
  double lines = 0, value = 0;
  FILE *file = fopen(path, "re");
  if (!file)
    bench_die("%s: %s", path, strerror(errno));
  while (fgets(line, sizeof line, file)) {
    lines++;
    if (key && strncmp(line, key, strlen(key)) == 0)
      value = strtod(line + strlen(key), NULL);
  }
  (void)fclose(file);
  return key ? value : lines;
}

static double descriptors_count(void) {
  double count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (!directory)
    bench_die("/proc/self/fd: %s", strerror(errno));
  while (readdir(directory))
    count++;
  (void)closedir(directory);
  return count;
}

/* Memory that others share is the stream's own, and it grows and shrinks with its subscribers. */
static held held_now(void) {
  return (held){ file_count("/proc/self/status", "RssAnon:"), descriptors_count(),
                 file_count("/proc/self/maps", NULL) };
}

static void held_most(held *most, held now) {
  most->memory_kb = now.memory_kb > most->memory_kb ? now.memory_kb : most->memory_kb;
  most->descriptors = now.descriptors > most->descriptors ? now.descriptors : most->descriptors;
  most->mappings = now.mappings > most->mappings ? now.mappings : most->mappings;
}

static void watch_look(watch *w, const soak *s) {
  bool early = now_ns() < s->from + (s->until - s->from) / 4;
  held_most(early ? &w->early : &w->late, held_now());
  (*(early ? &w->looks_early : &w->looks_late))++;
}

/* Says what it saw; false: something grew. `spare`: descriptors and mappings that may come and go. */
static bool watch_judge(const watch *w, const char *who, double spare) {
  if (w->looks_early == 0 || w->looks_late == 0)
    bench_die("%s: the run was too short to tell", who);
  bool good = w->late.memory_kb <= w->early.memory_kb + ALLOWED_KB &&
              w->late.descriptors <= w->early.descriptors + spare && w->late.mappings <= w->early.mappings + spare;
  printf("%-10s memory %6.0f -> %6.0f KiB, descriptors %3.0f -> %3.0f, mappings %4.0f -> %4.0f, looked at %llu times: "
         "%s\n",
         who, w->early.memory_kb, w->late.memory_kb, w->early.descriptors, w->late.descriptors, w->early.mappings,
         w->late.mappings, (unsigned long long)(w->looks_early + w->looks_late), good ? "flat" : "GREW");
  return good;
}

/* ---- the readers ---- */

/* Joins, reads some frames and leaves. Every other one reads in order, every fifth takes nothing at all. */
static void visit(soak *s, uint64_t turn) {
  cuframes_subscriber_options options = { .mode = turn % 2 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST };
  cuframes_subscriber *subscriber = stream_join(STREAM, options);
  for (uint64_t left = turn % 5 == 0 ? 0 : turn % 200; left > 0; left--) {
    cuframes_frame_release(stream_next(subscriber)); /* takes NULL, too */
    atomic_fetch_add_explicit(&s->frames_seen, 1, memory_order_relaxed);
  }
  cuframes_subscriber_destroy(subscriber);
  atomic_fetch_add_explicit(&s->joins, 1, memory_order_relaxed);
}

static void reader_run(void *argument, unsigned index) {
  soak *s = argument;
  for (uint32_t seen = 1; now_ns() < s->until;) {
    uint32_t phase = atomic_load_explicit(&s->there.count, memory_order_acquire);
    if (phase % 2 == 1) {
      visit(s, atomic_load_explicit(&s->joins, memory_order_relaxed) + index);
      continue;
    }
    if (phase >= seen) {
      watch_look(&s->readers[index], s);
      tally_add(&s->gone);
      seen = phase + 1;
    }
    sleep_until(now_ns() + MS);
  }
}

/* ---- the publisher ---- */

static uint64_t publish_until(cuframes_publisher *publisher, int64_t until) {
  uint64_t frames = 0;
  for (; now_ns() < until; frames++) {
    stream_send(publisher, stream_acquire(publisher));
    if (frames % 1024 == 0)
      bench_go_on();
  }
  return frames;
}

/* All readers leave; then what is held is looked at, and they may come again. */
static void intermission(soak *s, cuframes_publisher *publisher, watch *mine, uint32_t *gone) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  tally_add(&s->there);
  *gone += READERS;
  int64_t deadline = now_ns() + 60 * SECOND;
  do { /* whoever reads must get frames to come to its end */
    (void)publish_until(publisher, now_ns() + MS);
    bench_check(cuframes_publisher_get_stats(publisher, &stats), "statistics");
    if (now_ns() > deadline)
      bench_die("the readers do not leave");
  } while (now_ns() < s->until &&
           (stats.subscribers > 0 || atomic_load_explicit(&s->gone.count, memory_order_acquire) < *gone));
  if (now_ns() < s->until)
    watch_look(mine, s);
  tally_add(&s->there);
}

static int soak_run(int64_t duration) {
  crew readers;
  watch mine = { 0 };
  uint64_t frames = 0;
  uint32_t gone = 0;
  soak *s = shared_new(sizeof *s);
  s->from = now_ns();
  s->until = s->from + duration;
  int64_t told = s->from;
  tally_add(&s->there);
  crew_start(&readers, READERS, reader_run, s);
  cuframes_publisher *publisher = stream_publish(STREAM, 64, 64, (cuframes_publisher_options){ .max_slots = 256 });
  while (now_ns() < s->until) {
    frames += publish_until(publisher, now_ns() + SECOND / 2);
    intermission(s, publisher, &mine, &gone);
    if (now_ns() > told + 10 * SECOND) {
      told = now_ns();
      bench_say("%.0f of %.0f s: %.1f million frames, %llu joined and left", (double)(told - s->from) / 1e9,
                (double)duration / 1e9, (double)frames / 1e6, (unsigned long long)s->joins);
    }
  }
  cuframes_publisher_destroy(publisher);
  crew_join(&readers);
  bool good = watch_judge(&mine, "publisher", SEGMENTS);
  for (unsigned i = 0; i < READERS; i++) {
    char who[16];
    (void)snprintf(who, sizeof who, "reader %u", i + 1);
    good &= watch_judge(&s->readers[i], who, 0);
  }
  printf("%.1f million frames published in %.0f s, %llu seen; subscribers joined and left %llu times\n",
         (double)frames / 1e6, (double)duration / 1e9, (unsigned long long)s->frames_seen,
         (unsigned long long)s->joins);
  shared_free(s, sizeof *s);
  return good ? 0 : 1;
}

int main(int argc, char **argv) {
  char *end = NULL;
  double seconds = argc == 2 ? strtod(argv[1], &end) : 0;
  if (argc == 2 && strcmp(argv[1], "--help") == 0) {
    printf("usage: cuframes-bench-soak SECONDS\n"
           "Publishes at full speed while subscribers join and leave; fails if memory, descriptors or mappings of any\n"
           "process grow.\n");
    return 0;
  }
  if (argc != 2 || end == argv[1] || *end != '\0' || !(seconds >= 4 && seconds <= 1e6)) {
    fprintf(stderr, "usage: cuframes-bench-soak SECONDS (at least 4)\n");
    return 2;
  }
  bench_init();
  return soak_run((int64_t)(seconds * 1e9));
}
