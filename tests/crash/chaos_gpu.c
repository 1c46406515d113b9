/* crash/chaos_gpu.c - the workers of tests/gpu as victims: they do a bit of everything on a GPU until they are
 * killed. */
#include "crash/chaos.h"

static worker begin(chaos_worker *me) {
  program.width = 128;
  program.height = 32;
  facts.legacy = true; /* as the stand-in has it */
  crash_hesitate(CHAOS_HESITATE);
  crash_light(&me->fuse);
  return (worker){ .world = &me->world->all, .random = me->random, .progress = &me->progress, .stop = &me->stop };
}

void chaos_gpu_publisher(int test, void *user) {
  worker me = begin(user);
  (void)test;
  worker_publish(&me);
}

void chaos_gpu_subscriber(int test, void *user) {
  worker me = begin(user);
  (void)test;
  worker_subscribe(&me);
}
