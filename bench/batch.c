/* batch.c - the program cuframes-bench-batch: a house full of cameras into one process by one thread. 64 streams of 30
 * frames a second, each with its own moment, in eight processes; every second one of these stands still for a while, or
 * is killed and comes back. What waiting and taking costs by a batch, by epoll on 64 descriptors and by asking each
 * subscriber every millisecond; how old the pictures are; and whether one is torn.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define CAMERAS 64u
#define HOUSES 8u
#define EACH (CAMERAS / HOUSES)
#define INTERVAL (SECOND / 30)
#define WIDTH 320u
#define HEIGHT 180u
#define HELD 2u /* leases */

enum way { BATCH_ALIVE, BATCH_ANY, EPOLL, POLLING, WAYS };
static const char *const ways[WAYS] = { "batch, all that are alive", "batch, any", "epoll", "next(0) each 1 ms" };

typedef struct settings {
  const char *device;
  int64_t seconds;
  bool troubles, json, slow;
} settings;

/* What the reader has found; shared with the supervisor. */
typedef struct findings {
  _Atomic uint32_t joined, stop;
  uint64_t frames, torn, returns, errors, reconnects;
  int64_t cpu, check_cpu, wall; /* ns; checking is the reader's, and no part of cpu */
  samples *age;
} findings;

/* ---- cameras ---- */

static uint8_t byte_of(uint64_t number) {
  return (uint8_t)(number * 31 + 7);
}

/* Every byte of a picture is the same, and another one than in its neighbours. */
static void draw(cuframes_frame *frame, uint64_t number, uint8_t *scratch, bool host) {
  if (host) {
    memset(cuframes_frame_plane(frame, 0), byte_of(number), (size_t)cuframes_frame_pitch(frame, 0) * HEIGHT);
    return;
  }
  memset(scratch, byte_of(number), (size_t)WIDTH * HEIGHT);
  bench_check(cuframes_frame_copy_from_host(frame, 0, scratch, 0), "copy to the GPU");
}

static bool is_whole(const cuframes_frame *frame, uint8_t *scratch, bool host) {
  const uint8_t *pixels = scratch;
  size_t pitch = WIDTH;
  if (host) {
    pixels = cuframes_frame_plane(frame, 0);
    pitch = cuframes_frame_pitch(frame, 0);
  } else {
    bench_check(cuframes_frame_copy_to_host(frame, 0, scratch, 0), "copy from the GPU");
  }
  uint8_t wanted = byte_of((uint64_t)cuframes_frame_pts(frame)), wrong = 0;
  for (uint32_t y = 0; y < HEIGHT; y++)
    for (uint32_t x = 0; x < WIDTH; x++)
      wrong |= (uint8_t)(pixels[y * pitch + x] ^ wanted);
  return wrong == 0;
}

static void camera_name(char *name, size_t size, unsigned i) {
  (void)snprintf(name, size, "camera-%u", i);
}

/* One process of cameras; never returns. */
static _Noreturn void house_run(const settings *s, unsigned house) {
  cuframes_publisher *publisher[EACH];
  uint8_t *scratch = malloc((size_t)WIDTH * HEIGHT);
  char name[16];
  bool host = strcmp(s->device, "host") == 0;
  cuframes_publisher_options options = { .struct_size = sizeof options,
                                         .device = s->device,
                                         .directory = streams_directory() };
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = WIDTH, .height = HEIGHT };
  for (unsigned k = 0; k < EACH; k++) {
    camera_name(name, sizeof name, house * EACH + k);
    int result;
    do /* the one before may be a moment behind its death */
      result = cuframes_publisher_create(name, &options, &publisher[k]);
    while (result == CUFRAMES_ERR_NAME_IN_USE);
    bench_check(result, "publish");
  }
  int64_t begin = now_ns();
  for (uint64_t number = 1;; number++)
    for (unsigned k = 0; k < EACH; k++) {
      cuframes_frame *frame;
      cuframes_publish_info info = { .struct_size = sizeof info, .pts = (int64_t)number };
      sleep_until(begin + (int64_t)number * INTERVAL + (int64_t)((house * 7 + k * 11) % CAMERAS) * INTERVAL / CAMERAS);
      if (cuframes_publisher_acquire(publisher[k], &frame) != CUFRAMES_OK)
        continue;
      draw(frame, number, scratch, host);
      bench_check(cuframes_publisher_publish(publisher[k], frame, &info), "publish");
    }
}

/* Forks a process that ends with this one. 0: in it. */
static pid_t process_start(void) {
  pid_t parent = getpid(), pid = fork();
  if (pid < 0)
    bench_die("no process");
  if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent))
    _exit(1);
  return pid;
}

static pid_t house_start(const settings *s, unsigned house) {
  pid_t pid = process_start();
  if (pid == 0)
    house_run(s, house);
  return pid;
}

/* ---- the reader ---- */

typedef struct reader {
  const settings *settings;
  findings *found;
  cuframes_subscriber *camera[CAMERAS];
  cuframes_batch *batch;
  int epoll;
  bool host;
  uint8_t *scratch;
} reader;

static void frame_seen(reader *r, cuframes_frame *frame, int64_t age) {
  findings *f = r->found;
  f->frames++;
  if (f->age->count < f->age->capacity)
    samples_add(f->age, (double)age);
  int64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  if (r->host || f->frames % 8 == 0)
    f->torn += !is_whole(frame, r->scratch, r->host);
  f->check_cpu += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
  cuframes_frame_release(frame);
}

static void take_batch(reader *r, uint32_t min) {
  cuframes_batch_entry entries[CAMERAS];
  uint32_t got = 0;
  int result = cuframes_batch_next(r->batch, min, 2 * INTERVAL, entries, CAMERAS, &got);
  if (result != CUFRAMES_ERR_TIMEOUT)
    bench_check(result, "batch");
  r->found->returns++;
  for (uint32_t i = 0; i < got; i++)
    if (entries[i].frame)
      frame_seen(r, entries[i].frame, entries[i].age_ns);
    else
      r->found->errors++;
}

static void take_one(reader *r, cuframes_subscriber *camera) {
  cuframes_frame *frame;
  int result;
  while ((result = cuframes_subscriber_next(camera, 0, &frame)) == CUFRAMES_OK)
    frame_seen(r, frame, now_ns() - cuframes_frame_timestamp(frame));
  if (result != CUFRAMES_ERR_TIMEOUT)
    r->found->errors++;
}

static void take_polled(reader *r) {
  struct epoll_event events[CAMERAS];
  int n = epoll_wait(r->epoll, events, CAMERAS, 100);
  r->found->returns++;
  for (int i = 0; i < n; i++)
    take_one(r, events[i].data.ptr);
}

static void take_each(reader *r) {
  sleep_until(now_ns() + MS);
  r->found->returns++;
  for (unsigned i = 0; i < CAMERAS; i++)
    take_one(r, r->camera[i]);
}

static void reader_begin(reader *r, enum way way) {
  char name[16];
  cuframes_subscriber_options options = { .leases = HELD, .reconnect = 1 };
  if (way == BATCH_ALIVE || way == BATCH_ANY)
    bench_check(cuframes_batch_create(NULL, &r->batch), "batch");
  r->epoll = epoll_create1(EPOLL_CLOEXEC);
  for (unsigned i = 0; i < CAMERAS; i++) {
    camera_name(name, sizeof name, i);
    r->camera[i] = stream_join(name, options);
    if (r->batch)
      bench_check(cuframes_batch_add(r->batch, r->camera[i], NULL, NULL), "add to the batch");
    if (way == EPOLL) {
      struct epoll_event event = { .events = EPOLLIN, .data.ptr = r->camera[i] };
      int fd;
      bench_check(cuframes_subscriber_fd(r->camera[i], &fd), "descriptor");
      if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        bench_die("epoll");
    }
  }
}

/* Until the supervisor says so; never returns. */
static _Noreturn void reader_run(const settings *s, enum way way, findings *f) {
  reader r = { .settings = s, .found = f, .host = strcmp(s->device, "host") == 0 };
  r.scratch = malloc((size_t)WIDTH * HEIGHT);
  reader_begin(&r, way);
  f->joined = 1;
  int64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), began = now_ns();
  while (!f->stop)
    switch (way) {
      case BATCH_ALIVE: take_batch(&r, CUFRAMES_BATCH_ALIVE); break;
      case BATCH_ANY: take_batch(&r, 1); break;
      case EPOLL: take_polled(&r); break;
      default: take_each(&r);
    }
  f->wall = now_ns() - began;
  f->cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu - f->check_cpu;
  for (unsigned i = 0; i < CAMERAS; i++) {
    cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
    bench_check(cuframes_subscriber_get_stats(r.camera[i], &stats), "statistics");
    f->reconnects += stats.reconnects;
  }
  _exit(0);
}

/* ---- the supervisor ---- */

static void signal_to(pid_t pid, int signal) {
  if (kill(pid, signal) != 0)
    bench_die("a process of cameras is gone");
}

/* In each second one house stands still for half of it, or dies and comes back. */
static void cause_trouble(const settings *s, pid_t *house, int64_t second, int64_t begin) {
  unsigned k = (unsigned)(second % HOUSES);
  int64_t middle = begin + second * SECOND + SECOND / 2;
  if (second % 2 == 0) {
    signal_to(house[k], SIGSTOP);
    sleep_until(middle);
    signal_to(house[k], SIGCONT);
  } else {
    signal_to(house[k], SIGKILL);
    (void)waitpid(house[k], NULL, 0); /* it was killed */
    sleep_until(middle);
    house[k] = house_start(s, k);
  }
}

/* Whether it holds what is promised: nothing torn; by a batch under 0.3 cores, and 1.5 frame times. */
static bool is_good(const settings *s, enum way way, findings *f) {
  double cores = (double)f->cpu / (double)f->wall, p99 = samples_figure(f->age, 0).p99;
  bool quick = (way != BATCH_ALIVE && way != BATCH_ANY) || (cores < 0.3 && p99 < 1.5 * (double)INTERVAL);
  return f->torn == 0 && f->errors == 0 && f->frames > 0 && (quick || s->slow);
}

static void print(const settings *s, enum way way, findings *f) {
  figure age = samples_figure(f->age, 0);
  double seconds = (double)f->wall / 1e9;
  const char *form = s->json ? "{\"way\": \"%s\", \"device\": \"%s\", \"cores\": %.4f, \"frames_per_second\": %.0f, "
                               "\"returns_per_second\": %.0f, \"age_median_ms\": %.2f, \"age_p99_ms\": %.2f, \"torn\": "
                               "%" PRIu64 ", \"reconnects\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"missed\": %s}\n"
                             : "%-26s %-5s %.4f cores, %.0f frames in %.0f returns a second, age %.2f ms, p99 %.2f ms, "
                               "%" PRIu64 " torn, %" PRIu64 " reconnects, %" PRIu64 " errors, missed: %s\n";
  printf(form, ways[way], s->device, (double)f->cpu / (double)f->wall, (double)f->frames / seconds,
         (double)f->returns / seconds, age.median / 1e6, age.p99 / 1e6, f->torn, f->reconnects, f->errors,
         is_good(s, way, f) ? "false" : "true");
  (void)fflush(stdout);
}

static bool measure(const settings *s, enum way way) {
  pid_t house[HOUSES];
  findings *f = shared_new(sizeof *f);
  f->age = samples_new((size_t)(s->seconds + 2) * CAMERAS * 40);
  for (unsigned k = 0; k < HOUSES; k++)
    house[k] = house_start(s, k);
  pid_t pid = process_start();
  if (pid == 0)
    reader_run(s, way, f);
  for (int64_t end = now_ns() + 30 * SECOND; !f->joined && now_ns() < end;)
    sleep_until(now_ns() + MS);
  int64_t begin = now_ns();
  for (int64_t second = 0; second < s->seconds; second++) {
    bench_go_on();
    if (s->troubles)
      cause_trouble(s, house, second, begin);
    sleep_until(begin + (second + 1) * SECOND);
  }
  int status = -1;
  f->stop = 1;
  (void)waitpid(pid, &status, 0); /* or it has ended before, which the status says */
  for (unsigned k = 0; k < HOUSES; k++) {
    (void)kill(house[k], SIGKILL);
    (void)waitpid(house[k], NULL, 0);
  }
  if (status != 0 || f->frames == 0)
    bench_die("the reader failed, or has seen nothing");
  print(s, way, f);
  bool good = is_good(s, way, f);
  samples_free(f->age);
  shared_free(f, sizeof *f);
  return good;
}

static void usage(FILE *out) {
  fprintf(out,
          "usage: cuframes-bench-batch [--seconds N] [--device host|cuda] [--peace] [--batch-only] [--slow] [--json]\n"
          "64 cameras at 30 frames a second into one process by one thread: CPU time, age, torn pictures.\n"
          "Exit status 1: a picture was torn, or a batch took 0.3 cores or had pictures older than 1.5 frames.\n"
          "  --seconds N   for each way, 10 without it\n"
          "  --peace       no camera stands still or dies\n"
          "  --batch-only  not the ways beside it\n"
          "  --slow        this machine is: time is no matter for the exit status\n");
}

int main(int argc, char **argv) {
  static const struct option options[] = {
    { "seconds", required_argument, NULL, 's' }, { "device", required_argument, NULL, 'd' },
    { "peace", no_argument, NULL, 'p' },         { "batch-only", no_argument, NULL, 'b' },
    { "slow", no_argument, NULL, 'l' },          { "json", no_argument, NULL, 'j' },
    { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 },
  };
  settings s = { .device = "host", .seconds = 10, .troubles = true };
  int last = WAYS;
  for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    switch (c) {
      case 's': s.seconds = strtol(optarg, NULL, 10); break;
      case 'd': s.device = optarg; break;
      case 'p': s.troubles = false; break;
      case 'b': last = BATCH_ANY + 1; break;
      case 'j': s.json = true; break;
      case 'l': s.slow = true; break;
      case 'h': usage(stdout); return 0;
      default: usage(stderr); return 2;
    }
  }
  if (optind < argc || s.seconds < 1) {
    usage(stderr);
    return 2;
  }
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* about a dozen for each stream; if they do not suffice, joining says so */
  }
  bench_init();
  bool good = true;
  for (int way = 0; way < last; way++)
    good &= measure(&s, (enum way)way);
  return good ? 0 : 1;
}
