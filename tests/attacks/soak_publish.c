/* attacks/soak_publish.c - a process that publishes several streams until it is told to stop, or killed: pictures and
 * packets whose every byte follows from a number.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacks/soak.h"
#include "support/packets.h"
#include "wire/text.h"

#define PASSRIGHTS 83 /* SO_PASSRIGHTS, which old headers do not have */
#define PACE_MS 5
#define IMPATIENT_MS 300

const soak_stream soak_streams[SOAK_STREAMS] = {
  [SOAK_STILL] = { .name = "still", .policy = CUFRAMES_POLICY_WAIT, .patient = true },
  [SOAK_DROP] = { .name = "drop", .policy = CUFRAMES_POLICY_DROP, .patient = true, .old_kernel = true },
  [SOAK_EVICT] = { .name = "evict", .policy = CUFRAMES_POLICY_WAIT },
  [SOAK_GPU] = { .name = "gpu", .policy = CUFRAMES_POLICY_WAIT, .patient = true, .on_gpu = true },
  [SOAK_AGAIN] = { .name = "again", .policy = CUFRAMES_POLICY_WAIT, .mortal = true, .old_kernel = true },
};

/* Streams of one process, published by a thread each. */
typedef struct source {
  pthread_t thread;
  soak_publisher *me;
  const soak_stream *stream;
  soak_place *place;
  cuframes_publisher *publisher;
  uint64_t random, memory;
  cuframes_format format;
} source;

/* ---- a kernel without SO_PASSRIGHTS ---- */

static bool old_kernel; /* while a stream is created, of the thread that does so */

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
  if (level == SOL_SOCKET && name == PASSRIGHTS && old_kernel) {
    errno = ENOPROTOOPT;
    return -1;
  }
  return __real_setsockopt(fd, level, name, value, length);
}

/* ---- a stream ---- */

static void hear_line(void *user, int level, const char *line) {
  soak_place *place = user;
  (void)level;
  atomic_fetch_add(&place->lines, 1);
  if (!cf_text_is_shown((const uint8_t *)line, strlen(line)))
    atomic_fetch_add(&place->wrong_lines, 1);
}

static void source_create(source *s) {
  uint32_t users[SOAK_USERS];
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = 256, .data_bytes = 1 << 20 };
  cuframes_publisher_options options = publisher_options();
  cuframes_codec_params video = video_params();
  for (uint32_t i = 0; i < SOAK_USERS; i++)
    users[i] = SOAK_FIRST_USER + i;
  options.policy = s->stream->policy;
  options.device = s->stream->on_gpu ? "cuda" : "host";
  options.packets = &ring;
  options.side_data_max = 64;
  options.log = hear_line;
  options.log_user = s->place;
  if (!s->stream->patient)
    options.ordered_timeout_ns = IMPATIENT_MS * MS;
  if (s->me->world->others) {
    options.access = CUFRAMES_ACCESS_LISTED;
    options.allow_uids = users;
    options.allow_uid_count = SOAK_USERS;
    options.socket_mode = 0666;
  }
  s->format = options.format;
  old_kernel = s->stream->old_kernel;
  CHECK_OK(cuframes_publisher_create(s->stream->name, &options, &s->publisher));
  old_kernel = false;
  CHECK_OK(cuframes_publisher_set_codec_params(s->publisher, 0, &video));
  s->memory = publisher_stats(s->publisher).memory_bytes;
}

/* One picture and one packet. A picture that is dropped is published anew: numbers have no holes but where a publisher
 * was killed. */
static void source_publish(source *s) {
  uint64_t number = atomic_fetch_add(&s->place->number, 1) + 1, packet = atomic_fetch_add(&s->place->packet, 1) + 1;
  int result;
  WAIT_FOR((result = picture_publish(s->publisher, number)) != CUFRAMES_ERR_DROPPED ||
           (atomic_fetch_add(&s->place->dropped, 1), false));
  CHECK_OK(result);
  CHECK_OK(packet_publish(s->publisher, 0, packet, 50 + packet % 1000, packet % 8 ? 0 : CUFRAMES_PACKET_KEY));
}

static void source_change(source *s) {
  cuframes_format format = s->format;
  if (attack_below(&s->random, 64) == 0) {
    format.width = 64 * (1 + attack_below(&s->random, 3));
    CHECK_OK(cuframes_publisher_set_format(s->publisher, &format));
  }
  if (attack_below(&s->random, 64) == 0)
    CHECK_OK(cuframes_publisher_discontinuity(s->publisher));
}

static void *source_run(void *argument) {
  source *s = argument;
  while (!atomic_load(&s->me->stop)) {
    for (uint32_t burst = 1 + attack_below(&s->random, 3); burst > 0; burst--)
      source_publish(s);
    source_change(s);
    atomic_store(&s->place->there, 1);
    pause_ms(PACE_MS);
  }
  return NULL;
}

/* Everybody has left: what they cost comes back to a publisher at work. */
static bool is_as_at_first(source *s) {
  cuframes_publisher_stats stats = publisher_stats(s->publisher);
  if (stats.subscribers == 0 && stats.memory_bytes <= s->memory)
    return true;
  source_publish(s);
  return false;
}

/* ---- the process ---- */

static uint64_t resident(void) {
  unsigned long long total = 0, pages = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  CHECK(file != NULL && fscanf(file, "%llu %llu", &total, &pages) == 2);
  fclose(file);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t memory_of(const source *s, int count) {
  uint64_t bytes = 0;
  for (int i = 0; i < count; i++)
    bytes += publisher_stats(s[i].publisher).memory_bytes;
  return bytes;
}

/* The least of several looks: a thread may have one open for a moment. */
static uint64_t descriptors_least(void) {
  int least = fixture_descriptors();
  for (int looks = 0; looks < 20; looks++) {
    int count = fixture_descriptors();
    least = count < least ? count : least;
    pause_ms(2);
  }
  return (uint64_t)least;
}

static bool all_are_as_at_first(source *s, int count) {
  bool all = true;
  for (int i = 0; i < count; i++)
    all = is_as_at_first(&s[i]) && all;
  return all;
}

static void measure_end(soak_publisher *me, source *s, int count) {
  for (int i = 0; i < count; i++)
    CHECK_OK(cuframes_publisher_set_format(s[i].publisher, &s[i].format));
  WAIT_FOR(all_are_as_at_first(s, count));
  if (!me->mortal) /* nobody was there when it began */
    WAIT_FOR(descriptors_least() <= atomic_load(&me->descriptors));
  atomic_store(&me->descriptors_left, descriptors_least());
  atomic_store(&me->mappings_left, (uint64_t)fixture_mappings());
  atomic_store(&me->memory_left, memory_of(s, count));
  atomic_store(&me->resident_late, resident());
}

/* A publisher's own look whether the library forgot memory. */
extern void __lsan_do_leak_check(void) __attribute__((weak));

void soak_publish(int test, void *user) {
  soak_publisher *me = user;
  source sources[SOAK_STREAMS];
  int count = 0;
  (void)test;
  uint64_t random = (uint64_t)getpid();
  for (int i = 0; i < SOAK_STREAMS; i++) {
    if (soak_streams[i].mortal != me->mortal || (soak_streams[i].on_gpu && !me->world->gpu))
      continue;
    sources[count] = (source){ .me = me, .stream = &soak_streams[i], .place = &me->world->place[i] };
    sources[count].random = attack_random(&random);
    source_create(&sources[count++]);
  }
  for (int i = 0; i < count; i++) /* what is opened with the first frame */
    source_publish(&sources[i]);
  atomic_store(&me->descriptors, descriptors_least());
  atomic_store(&me->mappings, (uint64_t)fixture_mappings());
  atomic_store(&me->memory, memory_of(sources, count));
  for (int i = 0; i < count; i++)
    CHECK(pthread_create(&sources[i].thread, NULL, source_run, &sources[i]) == 0);
  while (!atomic_load(&me->stop)) {
    if (atomic_exchange(&me->measure, 0))
      atomic_store(&me->resident_early, resident());
    pause_ms(20);
  }
  for (int i = 0; i < count; i++)
    CHECK(pthread_join(sources[i].thread, NULL) == 0);
  measure_end(me, sources, count);
  for (int i = 0; i < count; i++)
    cuframes_publisher_destroy(sources[i].publisher);
  if (__lsan_do_leak_check)
    __lsan_do_leak_check();
}
