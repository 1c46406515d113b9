/* test_subscriber.c - a subscriber dies at each of its steps: joining, for which the pool grows, taking frames or
 * packets, sleeping, releasing, a change of format, leaving. The publisher goes on without a wait and has its slots,
 * seat, memory and descriptors back; the others get every frame, whole and in order.
 */
#include <signal.h>
#include <sys/wait.h>

#include "crash/crash.h"
#include "crash/survivor.h"
#include "support/packets.h"

enum { ROUNDS = 4, AFTER = 12 };

typedef struct victim_of {
  uint32_t mode;
  crash_fuse *fuse;
} victim_of;

typedef struct taker {
  cuframes_subscriber *subscriber;
  bool packets;
  uint64_t last;
  cuframes_frame *held[2];
} taker;

/* One packet, or a frame, of which it keeps two in hand. */
static int take(taker *t, int64_t timeout_ns) {
  if (t->packets) {
    cuframes_packet *packet = NULL;
    int result = cuframes_subscriber_next_packet(t->subscriber, timeout_ns, &packet);
    cuframes_packet_release(packet);
    return result;
  }
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(t->subscriber, timeout_ns, &frame);
  if (result != CUFRAMES_OK)
    return result;
  CHECK(picture_number(frame) > t->last);
  t->last = picture_number(frame);
  if (t->held[0])
    cuframes_frame_release(t->held[0]);
  t->held[0] = t->held[1];
  t->held[1] = frame;
  return CUFRAMES_OK;
}

static void victim(int test, void *user) {
  const victim_of *me = user;
  cuframes_subscriber_options options = subscriber_options(me->mode);
  taker t = { .packets = me->mode == CUFRAMES_MODE_PACKETS };
  (void)hear(test);
  options.leases = 3;
  options.depth = 4;
  crash_light(me->fuse);
  t.subscriber = subscriber_join("s", &options);
  if (t.packets)
    CHECK_OK(cuframes_subscriber_enable_packets(t.subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME));
  for (int round = 0; round < ROUNDS; round++) {
    say(test, 0);
    (void)hear(test);
    int result;
    while ((result = take(&t, MS)) == CUFRAMES_OK)
      ;
    CHECK_RESULT(result, CUFRAMES_ERR_TIMEOUT);
    say(test, 0); /* sleeps until the next one wakes it */
    CHECK_OK(take(&t, patience()));
  }
  cuframes_subscriber_destroy(t.subscriber);
  for (int i = 0; i < 2; i++)
    if (t.held[i])
      cuframes_frame_release(t.held[i]);
}

enum { NEWEST, ORDERED, PACKETS, SURVIVORS };

typedef struct world {
  cuframes_publisher *publisher;
  survivor s[SURVIVORS];
  uint64_t number; /* of the last picture and packet */
} world;

/* One picture and one packet; nobody may be waited for. */
static void publish_one(world *st) {
  int64_t start = cuframes_now();
  st->number++;
  CHECK_OK(packet_publish(st->publisher, 0, st->number, 100 + st->number, CUFRAMES_PACKET_KEY));
  CHECK_OK(picture_publish(st->publisher, st->number));
  SOON(cuframes_now() - start, AT_ONCE_MS);
  for (int i = 0; i < SURVIVORS; i++)
    survivor_take_up_to(&st->s[i], st->number);
}

static void world_begin(world *st) {
  cuframes_publisher_options options = publisher_options();
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = 64, .data_bytes = 16384 };
  cuframes_codec_params video = video_params();
  options.device = crash_device();
  options.slots = 2 + 2 + (2 + 3); /* enough for the survivors, and no more */
  options.reserve = CUFRAMES_RESERVE_FULL;
  options.ordered_timeout_ns = patience();
  CHECK_OK(cuframes_publisher_create("s", &options, &st->publisher));
  CHECK_OK(cuframes_publisher_enable_packets(st->publisher, &ring));
  CHECK_OK(cuframes_publisher_set_codec_params(st->publisher, 0, &video));
  CHECK(survivor_join(&st->s[NEWEST], CUFRAMES_MODE_NEWEST, 2, 0));
  CHECK(survivor_join(&st->s[ORDERED], CUFRAMES_MODE_ORDERED, 2, 4));
  CHECK(survivor_join(&st->s[PACKETS], CUFRAMES_MODE_PACKETS, 0, 0));
  publish_one(st);
}

static void world_end(world *st) {
  for (int i = 0; i < SURVIVORS; i++)
    survivor_leave(&st->s[i]);
  cuframes_publisher_destroy(st->publisher);
}

static bool as_before(world *st, int descriptors, uint32_t slots) {
  cuframes_publisher_stats stats = publisher_stats(st->publisher);
  if (stats.subscribers == SURVIVORS && stats.slots == slots && survivor_descriptors() == descriptors)
    return true;
  publish_one(st); /* a publisher at work hands memory back */
  return false;
}

static bool one_life(crash_fuse *fuse, void *user) {
  victim_of who = { .mode = *(const uint32_t *)user, .fuse = fuse };
  world st = { 0 };
  int descriptors = fixture_descriptors(), mappings = fixture_mappings();
  child *process = child_start(victim, &who);
  cuframes_format wide = small_format();
  wide.width = 128;
  world_begin(&st);
  uint32_t slots = publisher_stats(st.publisher).slots;
  int descriptors_joined = survivor_descriptors();
  say(process->fd, 0);
  uint64_t word = 0;
  for (int round = 0; hear_unless_gone(process->fd, &word); round++) {
    if (round == 2)
      CHECK_OK(cuframes_publisher_set_format(st.publisher, &wide));
    publish_one(&st);
    publish_one(&st);
    if (!say_unless_gone(process->fd, 0) || !hear_unless_gone(process->fd, &word))
      break;
    publish_one(&st); /* for who sleeps now */
  }
  for (int i = 0; i < AFTER; i++) /* some while it dies */
    publish_one(&st);
  int status = child_status(process);
  bool lived = status == 0;
  CHECK(lived || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  WAIT_FOR(as_before(&st, descriptors_joined - 1, slots)); /* one for the process's line */
  world_end(&st);
  CHECK(fixture_files() == 0);
  CHECK(fixture_descriptors() == descriptors && fixture_mappings() == mappings);
  return lived;
}

static void mode_everywhere(const char *name, uint32_t mode) {
  crash_everywhere(name, 120, one_life, &mode);
}

static void one_in_newest_mode_may_die_at_every_step(void **state) {
  (void)state;
  mode_everywhere("newest subscriber", CUFRAMES_MODE_NEWEST);
}

static void one_in_ordered_mode_may_die_at_every_step(void **state) {
  (void)state;
  mode_everywhere("ordered subscriber", CUFRAMES_MODE_ORDERED);
}

static void one_in_packets_mode_may_die_at_every_step(void **state) {
  (void)state;
  mode_everywhere("packets subscriber", CUFRAMES_MODE_PACKETS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    CRASH_FIXTURE(one_in_newest_mode_may_die_at_every_step),
    CRASH_FIXTURE(one_in_ordered_mode_may_die_at_every_step),
    CRASH_FIXTURE(one_in_packets_mode_may_die_at_every_step),
  };
  return FIXTURE_RUN("subscriber", tests);
}
