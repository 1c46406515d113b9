/* bench_cameras.c - a house full of cameras: 64 streams of 1080p at 25 frames a second, published by one thread of one
 * process, and eight processes that take all of them, each with one thread that sleeps until something comes. How late
 * pictures are, in peace and while further streams are opened beside them, how many are missed, what it costs, and how
 * much memory the slots take.
 */
#include <poll.h>
#include <pthread.h>

#include "bench_gpu.h"

#define STREAMS 64u
#define PROCESSES 8u
#define INTERVAL (40 * MS)
#define SECTION "64 cameras (1080p, 25 a second), 8 processes that take all of them"
#define OPENED_EVERY (SECOND / 4)
#define MEMORY_MOST 2e9 /* of 64 streams */

enum { PEACE, OPENING, PHASES };

typedef struct reader_count {
  uint64_t frames, skipped;
  int64_t latest[PHASES]; /* the most that a picture was late */
  samples *late[PHASES];
} reader_count;

typedef struct cameras {
  unsigned streams;
  tally arrived;
  _Atomic int phase;
  reader_count reader[PROCESSES];
} cameras;

/* ---- a process that takes all streams ---- */

typedef struct camera {
  cuframes_subscriber *subscriber;
  cuframes_frame *in_hand; /* until the next one is there, as a detector keeps it */
} camera;

/* False at the end of the stream. A picture's pts is when it was due. */
static bool take(cameras *all, reader_count *count, camera *c) {
  cuframes_frame *frame;
  const int result = cuframes_subscriber_next(c->subscriber, 0, &frame);
  if (result == CUFRAMES_ERR_TIMEOUT)
    return true;
  if (result == CUFRAMES_ERR_PUBLISHER_GONE)
    return false;
  bench_check(result, "next frame");
  const int phase = atomic_load_explicit(&all->phase, memory_order_relaxed);
  const int64_t late = now_ns() - cuframes_frame_pts(frame);
  if (count->late[phase]->count < count->late[phase]->capacity)
    samples_add(count->late[phase], (double)late);
  if (late > count->latest[phase])
    count->latest[phase] = late;
  if (c->in_hand)
    cuframes_frame_release(c->in_hand);
  c->in_hand = frame;
  return true;
}

static void leave(reader_count *count, camera *c, struct pollfd *wait) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  bench_check(cuframes_subscriber_get_stats(c->subscriber, &stats), "stats");
  count->frames += stats.frames;
  count->skipped += stats.skipped;
  if (c->in_hand)
    cuframes_frame_release(c->in_hand);
  cuframes_subscriber_destroy(c->subscriber);
  wait->fd = -1; /* poll() passes it over */
}

static void reader_run(void *argument, unsigned index) {
  cameras *all = argument;
  reader_count *count = &all->reader[index];
  camera camera_of[STREAMS] = { { 0 } };
  struct pollfd wait[STREAMS];
  unsigned open = all->streams;
  for (unsigned i = 0; i < all->streams; i++) {
    char name[32];
    (void)snprintf(name, sizeof name, "camera-%u", i);
    camera_of[i].subscriber = gpu_join(name, (cuframes_subscriber_options){ 0 });
    wait[i].events = POLLIN;
    bench_check(cuframes_subscriber_fd(camera_of[i].subscriber, &wait[i].fd), "descriptor");
  }
  tally_add(&all->arrived);
  while (open > 0) {
    bench_go_on();
    (void)poll(wait, all->streams, 1000);
    for (unsigned i = 0; i < all->streams; i++) {
      if (wait[i].fd >= 0 && wait[i].revents && !take(all, count, &camera_of[i])) {
        leave(count, &camera_of[i], &wait[i]);
        open--;
      }
    }
  }
}

/* ---- the publisher ---- */

typedef struct house {
  unsigned streams;
  cuframes_publisher *publisher[STREAMS];
  uint64_t published;
  int64_t cpu; /* of the publishing thread */
} house;

/* Each camera at its own time within the interval. */
static void publish_for(house *h, int64_t time) {
  const int64_t from = now_ns(), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int64_t due = from; due < from + time; due += INTERVAL) {
    for (unsigned i = 0; i < h->streams; i++) {
      const int64_t at = due + i * INTERVAL / h->streams;
      sleep_until(at);
      cuframes_frame *frame = stream_acquire(h->publisher[i]);
      work_fill(frame, i);
      gpu_send(h->publisher[i], frame, at);
      h->published++;
    }
  }
  h->cpu += clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
}

static _Atomic bool opening_ends;

/* As a program does that takes up cameras one by one, each in a thread of its own. */
static void *open_streams(void *opened) {
  cuframes_publisher *publisher[STREAMS];
  unsigned count = 0;
  while (!atomic_load(&opening_ends) && count < STREAMS) {
    char name[32];
    (void)snprintf(name, sizeof name, "late-%u", count);
    publisher[count++] = gpu_publish(name, WIDTH, HEIGHT, (cuframes_publisher_options){ 0 });
    sleep_until(now_ns() + OPENED_EVERY);
  }
  for (unsigned i = 0; i < count; i++)
    cuframes_publisher_destroy(publisher[i]);
  *(unsigned *)opened = count;
  return NULL;
}

static uint64_t memory_of(const house *h, unsigned *slots) {
  uint64_t bytes = 0;
  *slots = 0;
  for (unsigned i = 0; i < h->streams; i++) {
    char name[32];
    cuframes_stream_info *info;
    (void)snprintf(name, sizeof name, "camera-%u", i);
    bench_check(cuframes_stream_query(streams_directory(), name, SECOND, &info), "query");
    bytes += info->memory_bytes;
    *slots += info->slots;
    cuframes_stream_info_free(info);
  }
  return bytes;
}

/* ---- the report ---- */

static void report_late(cameras *all, int phase, const char *what) {
  samples *list = samples_new(PROCESSES * all->reader[0].late[phase]->capacity);
  int64_t latest = 0;
  for (unsigned i = 0; i < PROCESSES; i++) {
    const reader_count *count = &all->reader[i];
    for (size_t k = 0; k < count->late[phase]->count; k++)
      samples_add(list, count->late[phase]->value[k]);
    latest = count->latest[phase] > latest ? count->latest[phase] : latest;
  }
  row_add((report_row){ .section = SECTION, .figure = samples_figure(list, 0), .bare = NO_FIGURE },
          "a picture in hand, from when it was due: %s", what);
  row_limit(SECTION, (figure){ (double)latest, NAN }, 2.0 * INTERVAL, "the latest of all: %s", what);
  samples_free(list);
}

static void report(cameras *all, const house *h, uint64_t bytes, unsigned slots, unsigned opened) {
  char what[48];
  uint64_t frames = 0, skipped = 0;
  for (unsigned i = 0; i < PROCESSES; i++) {
    frames += all->reader[i].frames;
    skipped += all->reader[i].skipped;
  }
  report_late(all, PEACE, "in peace");
  (void)snprintf(what, sizeof what, "while %u streams are opened", opened);
  report_late(all, OPENING, what);
  row_add(
      (report_row){ .section = SECTION, .figure = { (double)h->cpu / (double)h->published, NAN }, .bare = NO_FIGURE },
      "CPU time of the publishing thread per picture, copying included");
  row_add((report_row){ .section = SECTION,
                        .unit = UNIT_BYTES,
                        .figure = { (double)bytes, NAN },
                        .beside = "the most it should be",
                        .bare = { MEMORY_MOST / STREAMS * h->streams, NAN },
                        .goal = 1 },
          "memory of all streams (%u slots)", slots);
  bench_say("cameras: %llu pictures delivered, %llu skipped of %llu", (unsigned long long)frames,
            (unsigned long long)skipped, (unsigned long long)h->published * PROCESSES);
}

/* That the processes see, who are there already. */
static samples *shared_samples(size_t capacity) {
  samples *list = processes_memory(sizeof *list + capacity * sizeof list->value[0]);
  list->capacity = capacity;
  return list;
}

void bench_cameras(bool quick) {
  cameras *all = processes_memory(sizeof *all);
  house h = { .streams = quick ? 4 : STREAMS };
  const int64_t time = quick ? SECOND / 2 : 8 * SECOND;
  pthread_t opener;
  unsigned opened = 0, slots;
  all->streams = h.streams;
  for (unsigned i = 0; i < PROCESSES; i++)
    for (int phase = 0; phase < PHASES; phase++)
      all->reader[i].late[phase] = shared_samples((size_t)(2 * time / INTERVAL) * h.streams);
  for (unsigned i = 0; i < h.streams; i++) {
    char name[32];
    (void)snprintf(name, sizeof name, "camera-%u", i);
    h.publisher[i] = gpu_publish(name, WIDTH, HEIGHT, (cuframes_publisher_options){ 0 });
  }
  processes_run(PROCESSES, reader_run, all);
  tally_wait(&all->arrived, PROCESSES, false);
  publish_for(&h, time);
  const uint64_t bytes = memory_of(&h, &slots);
  atomic_store(&all->phase, OPENING);
  atomic_store(&opening_ends, false);
  if (pthread_create(&opener, NULL, open_streams, &opened) != 0)
    bench_die("no thread");
  publish_for(&h, time);
  atomic_store(&opening_ends, true);
  (void)pthread_join(opener, NULL);
  for (unsigned i = 0; i < h.streams; i++)
    cuframes_publisher_destroy(h.publisher[i]);
  processes_wait();
  report(all, &h, bytes, slots, opened);
}
