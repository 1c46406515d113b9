/* test_fake_packets.c - packet regions that lie, and pages that change under their reader: no call crashes, and
 * nothing impossible is believed.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/fake.h"
#include "support/stream.h"

#define PUBLIC_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE)

/* ---- packet regions ---- */

static void region_replace(fake *f, uint64_t bytes, int seals) {
  close(f->region_fd);
  f->region_fd = raw_memory(bytes, seals);
}

#define LIE(name, ...)                                                                                                 \
  static void name(fake *f) {                                                                                          \
    __VA_ARGS__;                                                                                                       \
  }
LIE(region_unsealed, region_replace(f, f->region_bytes, 0))
LIE(region_may_shrink, region_replace(f, f->region_bytes, PUBLIC_SEALS & ~F_SEAL_SHRINK))
LIE(region_may_be_written, region_replace(f, f->region_bytes, PUBLIC_SEALS & ~F_SEAL_FUTURE_WRITE))
LIE(region_short, region_replace(f, f->region_bytes - 4096, PUBLIC_SEALS))
LIE(region_blank, region_replace(f, f->region_bytes, PUBLIC_SEALS))
LIE(region_empty, f->packets.bytes = 0)
LIE(region_tiny, f->packets.bytes = 64)
LIE(region_cut, f->packets.bytes = sizeof(cf_packet_region) + FAKE_SLOTS * sizeof(cf_packet_record) + FAKE_DATA - 8)
LIE(region_huge, f->packets.bytes = UINT64_MAX)
LIE(wrong_magic, f->region->magic++)
LIE(wrong_layout, f->region->layout++)
LIE(no_slots, f->region->slots = 0)
LIE(odd_slots, f->region->slots = 7)
LIE(many_slots, f->region->slots = 131072)
LIE(slots_beyond, f->region->slots = 65536)
LIE(no_data, f->region->data_bytes = 0)
LIE(odd_data, f->region->data_bytes = 4095)
LIE(data_beyond, f->region->data_bytes = 8192)
LIE(data_overflows, f->region->data_bytes = UINT64_MAX - 7)
LIE(offset_odd, f->region->data_offset += 8)
LIE(offset_in_records, f->region->data_offset -= 64)
LIE(offset_outside, f->region->data_offset = f->region_bytes)
LIE(offset_overflows, f->region->data_offset = UINT64_MAX - 63)
LIE(packets_of_nothing, f->region->max_packet = 0)
LIE(packets_beyond, f->region->max_packet = FAKE_DATA + 1)

static void no_packet_region_that_lies_is_believed(void **state) {
  (void)state;
#define ENTRY(lie)                                                                                                     \
  { lie, #lie }
  static const struct {
    void (*lie)(fake *);
    const char *name;
  } lies[] = {
    ENTRY(region_unsealed), ENTRY(region_may_shrink), ENTRY(region_may_be_written), ENTRY(region_short),
    ENTRY(region_blank),    ENTRY(region_empty),      ENTRY(region_tiny),           ENTRY(region_cut),
    ENTRY(region_huge),     ENTRY(wrong_magic),       ENTRY(wrong_layout),          ENTRY(no_slots),
    ENTRY(odd_slots),       ENTRY(many_slots),        ENTRY(slots_beyond),          ENTRY(no_data),
    ENTRY(odd_data),        ENTRY(data_beyond),       ENTRY(data_overflows),        ENTRY(offset_odd),
    ENTRY(offset_outside),  ENTRY(offset_in_records), ENTRY(offset_overflows),      ENTRY(packets_of_nothing),
    ENTRY(packets_beyond),
  };
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    fake *f = fake_new();
    lies[i].lie(f);
    fake_start(f);
    cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_PACKETS);
    int result = cuframes_subscriber_enable_packets(subscriber, 0);
    if (result != CUFRAMES_ERR_PROTOCOL)
      fail_msg("%s: gave %d (%s)", lies[i].name, result, cuframes_last_error());
    cuframes_subscriber_destroy(subscriber);
    fake_end(f);
  }
}

/* ---- pages that change under the reader ---- */

static uint64_t dice(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

/* A value as a liar would choose it: near a limit, near what was there, or anything. */
static uint32_t lie_about(uint32_t was) {
  static const uint32_t limits[] = { 0, 1, 63, 64, 0x7fffffff, 0x80000000, 0xffff0000, UINT32_MAX };
  switch (dice() % 3) {
    case 0: return limits[dice() % 8];
    case 1: return was + (uint32_t)(dice() % 5) - 2;
    default: return (uint32_t)dice();
  }
}

/* Changes a word or a few of a page, in its first `bytes` bytes. */
static void corrupt(void *page, uint64_t bytes) {
  _Atomic uint32_t *words = page;
  for (uint64_t changes = 1 + dice() % 4; changes > 0; changes--) {
    uint64_t at = dice() % (bytes / 4);
    atomic_store(&words[at], lie_about(atomic_load(&words[at])));
  }
}

static void whatever_the_pages_say_nobody_leaves_them(void **state) {
  (void)state;
  int frames = 0, packets = 0, errors = 0;
  uint64_t sum = 0; /* every byte is touched */
  for (int round = 0; round < 150; round++) {
    fake *f = fake_new();
    fake_start(f);
    cuframes_subscriber *subscriber = subscriber_new("s", round % 2 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST);
    CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
    for (int i = 0; i < 10; i++) {
      cuframes_frame *frame = NULL;
      cuframes_packet *packet = NULL;
      if (round % 3) {
        corrupt(f->raw->control, 1024);
        corrupt(f->raw->writer.slots, 4 * sizeof(cf_slot));
      }
      if (round % 3 != 1)
        corrupt(f->region, sizeof(cf_packet_region) + 4 * sizeof(cf_packet_record));
      int result = cuframes_subscriber_next(subscriber, 0, &frame);
      if (result == CUFRAMES_OK) {
        for (uint32_t y = 0; y < cuframes_frame_height(frame); y++)
          for (uint32_t x = 0; x < cuframes_frame_width(frame); x++)
            sum += 1 + ((const uint8_t *)cuframes_frame_plane(frame, 0))[y * cuframes_frame_pitch(frame, 0) + x];
        frames++;
        cuframes_frame_release(frame); /* perhaps stale: the page may say that the stream ended */
      }
      errors += result < 0;
      result = cuframes_subscriber_next_packet(subscriber, 0, &packet);
      if (result == CUFRAMES_OK) {
        CHECK_BETWEEN(cuframes_packet_size(packet), 1, FAKE_DATA);
        assert_true(cuframes_packet_track(packet) < CUFRAMES_TRACKS_MAX);
        packets++;
      }
      cuframes_packet_release(packet);
    }
    cuframes_subscriber_destroy(subscriber);
    fake_end(f);
  }
  assert_true(sum > (uint64_t)frames);
  assert_true(frames > 50 && packets > 50 && errors > 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(no_packet_region_that_lies_is_believed),
    FIXTURE(whatever_the_pages_say_nobody_leaves_them),
  };
  return FIXTURE_RUN("fake_packets", tests);
}
