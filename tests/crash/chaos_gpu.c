/* crash/chaos_gpu.c - the actors of tests/gpu as victims: they do a bit of everything on a GPU until they are killed.
 * */
#include "crash/chaos.h"

static actor begin(chaos_actor *me) {
  stage.width = 128;
  stage.height = 32;
  facts.legacy = true; /* as the stand-in has it */
  crash_hesitate(CHAOS_HESITATE);
  crash_light(&me->fuse);
  return (actor){ .world = &me->world->all, .random = me->random, .progress = &me->progress, .stop = &me->stop };
}

void chaos_gpu_publisher(int test, void *user) {
  actor me = begin(user);
  (void)test;
  actor_publish(&me);
}

void chaos_gpu_subscriber(int test, void *user) {
  actor me = begin(user);
  (void)test;
  actor_subscribe(&me);
}
