/* crash/chaos_publisher.c - a publisher that does a bit of everything until it is killed. */
#include <sys/resource.h>

#include "crash/chaos.h"
#include "support/packets.h"

enum { SLOTS = 4, FEW_SLOTS = 100, LITTLE = 40 << 10 };

static cuframes_format some_format(uint64_t *random) {
  cuframes_format format = small_format();
  format.width = 64 * (1 + crash_below(random, 3));
  return format;
}

static void publish(chaos_worker *me, cuframes_publisher *publisher) {
  chaos_world *world = me->world;
  if (crash_below(&me->random, 64) == 0) {
    cuframes_format format = some_format(&me->random);
    int result = cuframes_publisher_set_format(publisher, &format);
    CHECK(result == CUFRAMES_OK || (result == CUFRAMES_ERR_NO_MEMORY && atomic_load(&world->little)));
  }
  if (crash_below(&me->random, 64) == 0)
    CHECK_OK(cuframes_publisher_discontinuity(publisher));
  if (crash_below(&me->random, 32) == 0) {
    cuframes_frame *frame = NULL;
    int result = cuframes_publisher_acquire(publisher, &frame);
    CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_DROPPED);
    CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  }
  pictures_publish(publisher, atomic_fetch_add(&world->all.number, 1) + 1, 1);
  uint64_t number = atomic_fetch_add(&world->packet, 1) + 1;
  CHECK_OK(packet_publish(publisher, 0, number, 50 + number % 1000, number % 8 ? 0 : CUFRAMES_PACKET_KEY));
  atomic_fetch_add(&me->progress, 1);
}

/* Whether all that subscribers cost is back; a publisher at work hands memory back, at once what it had reserved. */
static bool as_at_first(chaos_worker *me, cuframes_publisher *publisher, uint32_t reserve) {
  cuframes_publisher_stats stats = publisher_stats(publisher);
  bool back = reserve == CUFRAMES_RESERVE_NEED || (stats.slots == SLOTS && stats.segments == 1);
  if (stats.subscribers == 0 && back)
    return true;
  publish(me, publisher);
  return false;
}

/* In a forked process. */
static void give_back(void *publisher) {
  cuframes_publisher_destroy(publisher);
}

/* Every fourth publisher has memory for a segment of a few slots, and not for those that subscribers with many leases
 * want: they are refused, or frames are dropped. */
static void limit_memory(chaos_worker *me, cuframes_publisher_options *options) {
  struct rlimit limit = { .rlim_cur = LITTLE, .rlim_max = LITTLE };
  bool little = crash_below(&me->random, 4) == 0;
  atomic_store(&me->world->little, little);
  if (!little)
    return;
  options->max_slots = FEW_SLOTS; /* or what describes them would be more than that */
  CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

void chaos_publisher(int test, void *user) {
  chaos_worker *me = user;
  cuframes_publisher_options options = publisher_options();
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = 64, .data_bytes = 16384 };
  cuframes_codec_params video = video_params();
  cuframes_publisher *publisher = NULL;
  (void)test;
  int descriptors = fixture_descriptors(), mappings = fixture_mappings();
  crash_hesitate(CHAOS_HESITATE);
  crash_light(&me->fuse);
  options.slots = SLOTS;
  options.reserve = crash_below(&me->random, 2) ? CUFRAMES_RESERVE_FULL : CUFRAMES_RESERVE_NEED;
  options.format = some_format(&me->random);
  options.device = me->world->device;
  limit_memory(me, &options);
  options.ordered_timeout_ns = patience(); /* evictions are for the slow, not for the dead */
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK_OK(cuframes_publisher_enable_packets(publisher, &ring));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  while (!atomic_load(&me->stop)) {
    for (uint32_t burst = 1 + crash_below(&me->random, 4); burst > 0; burst--)
      publish(me, publisher);
    if (crash_below(&me->random, 100) == 0)
      chaos_fork(me, give_back, publisher);
    pause_ms(1); /* a camera's pace, as it were */
  }
  WAIT_FOR(as_at_first(me, publisher, options.reserve));
  cuframes_publisher_destroy(publisher);
  CHECK(fixture_descriptors() == descriptors && fixture_mappings() == mappings);
}
