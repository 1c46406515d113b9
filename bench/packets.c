/* packets.c - packets per second through the packet ring, none lost, beside copying as many bytes.
 *
 * The ring waits for nobody, so the writer here does: it stays at most AHEAD packets before the slowest reader.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define READERS_MAX 4u
#define AHEAD 32u /* of 200 kB: less than the ring's 8 MiB; and half of its 64 slots */
#define POOL_BYTES (8u << 20)

typedef struct packet_run {
  unsigned readers;
  uint32_t size;
  tally *open; /* 1: the ring is there to be joined */
  tally *arrived;
  tally *taken; /* of each reader */
} packet_run;

static void reader_run(void *argument, unsigned index) {
  const packet_run *r = argument;
  cuframes_packet *packet;
  int result;
  cpu_pin_reader(index);
  tally_wait(r->open, 1, false);
  cuframes_subscriber *subscriber =
      stream_join("packets", (cuframes_subscriber_options){ .mode = CUFRAMES_MODE_PACKETS });
  bench_check(cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME), "enable packets");
  tally_add(r->arrived);
  while ((result = cuframes_subscriber_next_packet(subscriber, 30 * SECOND, &packet)) == CUFRAMES_OK) {
    cuframes_packet_release(packet);
    tally_add(&r->taken[index]);
  }
  if (result != CUFRAMES_ERR_PUBLISHER_GONE)
    bench_check(result, "next packet");
  cuframes_subscriber_destroy(subscriber);
}

static void send(cuframes_publisher *publisher, const uint8_t *bytes, uint32_t size, uint32_t flags) {
  cuframes_packet_info packet = { .struct_size = sizeof packet,
                                  .data = bytes,
                                  .size = size,
                                  .pts = CUFRAMES_NO_TIME,
                                  .dts = CUFRAMES_NO_TIME,
                                  .flags = flags };
  bench_check(cuframes_publisher_publish_packet(publisher, &packet), "publish a packet");
}

/* Packets per second until every reader has had all of them. */
static double ring_round(const packet_run *r, cuframes_publisher *publisher, const uint8_t *bytes, uint32_t before,
                         uint32_t count) {
  int64_t from = now_ns();
  for (uint32_t i = 1; i <= count; i++) {
    send(publisher, bytes, r->size, 0);
    for (unsigned k = 0; k < r->readers && i > AHEAD; k++)
      tally_wait(&r->taken[k], before + i - AHEAD, true);
  }
  for (unsigned k = 0; k < r->readers; k++)
    tally_wait(&r->taken[k], before + count, true);
  return count * (double)SECOND / (double)(now_ns() - from);
}

static double copy_round(const packet_run *r, uint8_t *pool, const uint8_t *bytes, uint32_t count) {
  int64_t from = now_ns();
  uint32_t at = 0;
  for (uint32_t i = 0; i < count; i++, at += r->size) {
    if (at + r->size > POOL_BYTES)
      at = 0;
    memcpy(pool + at, bytes, r->size);
    __asm__ volatile("" : : "r"(pool) : "memory"); /* each copy is made */
  }
  return count * (double)SECOND / (double)(now_ns() - from);
}

static void packets_run(uint32_t size, unsigned count, unsigned rounds, uint32_t packets) {
  crew readers;
  packet_run r = { .readers = count, .size = size };
  r.open = shared_new(sizeof(tally));
  r.arrived = shared_new(sizeof(tally));
  r.taken = shared_new(READERS_MAX * sizeof(tally));
  uint8_t *bytes = shared_new(size), *pool = shared_new(POOL_BYTES);
  samples *ours = samples_new(rounds), *bare = samples_new(rounds);
  memset(bytes, 0x55, size);
  crew_start(&readers, count, reader_run, &r);
  cuframes_publisher *publisher = stream_publish("packets", 64, 64, (cuframes_publisher_options){ 0 });
  cuframes_codec_params params = { .struct_size = sizeof params, .media_type = CUFRAMES_MEDIA_VIDEO, .codec = "h264" };
  bench_check(cuframes_publisher_enable_packets(publisher, NULL), "enable packets");
  bench_check(cuframes_publisher_set_codec_params(publisher, 0, &params), "codec parameters");
  send(publisher, bytes, size, CUFRAMES_PACKET_KEY); /* the one where readers start */
  tally_add(r.open);
  cpu_pin_sender();
  tally_wait(r.arrived, count, false);
  ring_round(&r, publisher, bytes, 1, packets); /* touches all memory once */
  for (unsigned i = 0; i < rounds; i++) {
    samples_add(bare, copy_round(&r, pool, bytes, packets));
    samples_add(ours, ring_round(&r, publisher, bytes, 1 + packets * (1 + i), packets));
  }
  cuframes_publisher_destroy(publisher);
  cpu_unpin();
  crew_join(&readers);
  report_row row = { .section = "Packets through the ring, none lost",
                     .unit = UNIT_RATE,
                     .figure = { samples_median(ours), NAN },
                     .bare = { samples_median(bare), NAN } };
  (void)snprintf(row.what, sizeof row.what, "%u kB, %u reader%s", size / 1000, count, count == 1 ? "" : "s");
  (void)snprintf(row.beside, sizeof row.beside, "memcpy of as many (%.1f GB/s)", row.bare.median * size / 1e9);
  report_add(&row);
  samples_free(ours);
  samples_free(bare);
  shared_free(r.open, sizeof(tally));
  shared_free(r.arrived, sizeof(tally));
  shared_free(r.taken, READERS_MAX * sizeof(tally));
  shared_free(bytes, size);
  shared_free(pool, POOL_BYTES);
}

void bench_packets(bool quick) {
  static const uint32_t sizes[] = { 1000, 20000, 200000 };
  static const unsigned readers[] = { 0, 1, READERS_MAX };
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 3; k++)
      packets_run(sizes[i], readers[k], quick ? 5 : 21, 20000000 / sizes[i] + AHEAD);
}
