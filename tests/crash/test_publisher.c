/* test_publisher.c - a publisher dies at each of its steps: creation, admission of subscribers, growth, publishing, a
 * change of format, subscribers that leave, its end. Its subscribers get what it published, whole and in order, and
 * hear of the death at once; its name can be taken again, and nothing is left.
 */
#include <signal.h>
#include <sys/wait.h>

#include "crash/crash.h"
#include "crash/survivor.h"
#include "support/packets.h"

enum { ROUNDS = 5, PICTURES = 3 };

static void publish_some(cuframes_publisher *publisher, uint64_t first) {
  for (uint64_t number = first; number < first + PICTURES; number++) {
    CHECK_OK(picture_publish(publisher, number));
    CHECK_OK(packet_publish(publisher, 0, number, 100 + number, CUFRAMES_PACKET_KEY));
  }
}

/* Says when each round is over, and hears when the next one may begin. */
static void victim(int test, void *fuse) {
  cuframes_publisher_options options = publisher_options();
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = 64, .data_bytes = 16384 };
  cuframes_codec_params video = video_params();
  cuframes_format wide = small_format();
  cuframes_publisher *publisher = NULL;
  options.device = crash_device();
  options.side_data_max = 64;
  options.slots = 2; /* the first to join makes it grow */
  options.reserve = CUFRAMES_RESERVE_FULL;
  wide.width = 128;
  crash_light(fuse);
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK_OK(cuframes_publisher_enable_packets(publisher, &ring));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  for (uint64_t round = 0; round < ROUNDS; round++) {
    say(test, round);
    (void)hear(test);
    if (round == 2)
      CHECK_OK(cuframes_publisher_set_format(publisher, &wide));
    publish_some(publisher, round * PICTURES + 1);
  }
  say(test, ROUNDS);
  (void)hear(test);
  cuframes_publisher_destroy(publisher);
}

enum { NEWEST, ORDERED, PACKETS, SURVIVORS };

/* What the survivors do between two rounds. False: the publisher is gone. */
static bool between(survivor s[SURVIVORS], uint64_t round) {
  switch (round) {
    case 0:
      return survivor_join(&s[ORDERED], CUFRAMES_MODE_ORDERED, 3, 4) &&
             survivor_join(&s[PACKETS], CUFRAMES_MODE_PACKETS, 0, 0);
    case 1: return survivor_join(&s[NEWEST], CUFRAMES_MODE_NEWEST, 6, 0);
    case 3: survivor_leave(&s[NEWEST]); break;
    case 4: return survivor_join(&s[NEWEST], CUFRAMES_MODE_NEWEST, 6, 0);
    default: break;
  }
  return true;
}

/* It has published that much, and on the host all of that is there, unless a segment must still be fetched. */
static void take_all(survivor s[SURVIVORS], uint64_t round) {
  for (int i = 0; i < SURVIVORS; i++)
    if (s[i].subscriber && !survivor_take(&s[i], round * PICTURES))
      CHECK(i == NEWEST || round == 3 || crash_on_gpu());
}

/* The name is free, and works. */
static void name_again(void) {
  survivor s;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.device = crash_device();
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK(survivor_join(&s, CUFRAMES_MODE_ORDERED, 2, 4));
  CHECK_OK(picture_publish(publisher, 1));
  survivor_take_up_to(&s, 1);
  survivor_leave(&s);
  cuframes_publisher_destroy(publisher);
}

static bool one_life(crash_fuse *fuse, void *unused) {
  (void)unused;
  survivor s[SURVIVORS] = { 0 };
  int descriptors = fixture_descriptors(), mappings = fixture_mappings();
  child *process = child_start(victim, fuse);
  uint64_t round = 0;
  bool there = true;
  while (hear_unless_gone(process->fd, &round) && (there = between(s, round))) {
    take_all(s, round);
    if (!say_unless_gone(process->fd, 0))
      break;
  }
  int status = child_status(process);
  bool lived = status == 0;
  CHECK(lived ? round == ROUNDS : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  for (int i = 0; i < SURVIVORS; i++)
    survivor_end(&s[i]);
  cuframes_streams *streams = NULL;
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  CHECK(streams->count == 0 && fixture_files() == 0); /* it sweeps up after the dead */
  cuframes_streams_free(streams);
  name_again();
  CHECK(fixture_files() == 0);
  CHECK(fixture_descriptors() == descriptors && fixture_mappings() == mappings);
  return lived;
}

static void a_publisher_may_die_at_every_step(void **state) {
  (void)state;
  crash_everywhere("publisher", 250, one_life, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = { CRASH_FIXTURE(a_publisher_may_die_at_every_step) };
  return FIXTURE_RUN("publisher", tests);
}
