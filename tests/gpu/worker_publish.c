/* worker_publish.c - a publisher on a GPU that does a bit of everything until it is killed. */
#include "worker.h"

enum { SLOTS = 4, BUFFERS = 64 };

uint32_t worker_random(uint64_t *state, uint32_t limit) {
  uint64_t x = *state += 0x9E3779B97F4A7C15ull; /* splitmix64 */
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return (uint32_t)(((x ^ (x >> 31)) >> 32) * limit >> 32);
}

static cuframes_format some_format(uint64_t *random) {
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_NV12,
                            .width = program.width / 4 * (2 + worker_random(random, 3)) & ~15u,
                            .height = program.height };
}

static void publish(source *s, const worker *me, uint64_t *random) {
  if (s->memory == MEMORY_VMM && worker_random(random, 64) == 0) {
    cuframes_format format = some_format(random);
    CHECK_OK(cuframes_publisher_set_format(s->publisher, &format));
  }
  if (s->memory == MEMORY_VMM && worker_random(random, 32) == 0) {
    cuframes_frame *frame = NULL;
    int result = cuframes_publisher_acquire(s->publisher, &frame);
    CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_DROPPED);
    CHECK_OK(cuframes_publisher_cancel(s->publisher, frame));
  }
  if (worker_random(random, 8) == 0) /* its stream falls behind */
    CHECK_OK(LAUNCH(&s->g, s->stream, "spin", worker_random(random, 3000)));
  s->number = atomic_fetch_add(&me->world->number, 1);
  source_publish(s);
  atomic_fetch_add(me->progress, 1);
}

/* Whether all that subscribers cost is back; a publisher at work hands memory back, at once what it had reserved. */
static bool as_at_first(source *s, const worker *me, uint64_t *random, bool full) {
  cuframes_publisher_stats stats = source_stats(s);
  if (stats.subscribers == 0 && (!full || (stats.slots == SLOTS && stats.segments == 1)))
    return true;
  publish(s, me, random);
  return false;
}

/* Every third publisher has buffers of its own. */
void worker_publish(const worker *me) {
  static source s;
  uint64_t random = me->random;
  bool external = facts.legacy && worker_random(&random, 3) == 0;
  bool full = !external && worker_random(&random, 2) == 0;
  source_begin(&s, &(source_options){ .name = WORKER_STREAM,
                                      .memory = external ? EXTERNAL_ALLOC : MEMORY_VMM,
                                      .format = some_format(&random),
                                      .buffers = external ? BUFFERS : SLOTS,
                                      .full = full });
  while (!atomic_load(me->stop)) {
    for (uint32_t burst = 1 + worker_random(&random, 4); burst > 0; burst--)
      publish(&s, me, &random);
    if (worker_random(&random, 4) == 0) /* or it would fall behind without an end where the machine is busy */
      CHECK_OK(cu.cuStreamSynchronize(s.stream));
    pause_ms(2); /* a camera's pace, as it were */
  }
  WAIT_FOR(as_at_first(&s, me, &random, full));
  source_end(&s);
}
