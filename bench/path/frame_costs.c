/* frame_costs.c - what one frame costs on the host: acquire, publish, next, release, counted by callgrind. Built and
 * run by bench/costs, which reads the counts of these four functions and of nothing else. All in one process and nobody
 * asleep, so that the counts do not depend on who runs when.
 *
 * usage: frame_costs newest|ordered SUBSCRIBERS FRAMES
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include <cuframes/cuframes.h>

#define WARM_UP 64        /* segments get mapped, slots adopted, caches filled */
#define FIRST_LEVEL 32768 /* bytes, as bench/costs says to callgrind */
#define SUBSCRIBERS_MAX 256

static void must(int result, const char *what) {
  if (result == CUFRAMES_OK)
    return;
  fprintf(stderr, "frame_costs: %s: %s\n", what, cuframes_last_error());
  exit(1);
}

/* Drives everything out of the simulated first-level data cache, so that the misses of a call that follows are the
 * cache lines that it touches: in real use other work comes between the calls, and each of these lines may have to be
 * fetched. */
static void cache_empty(void) {
  static volatile char other[2 * FIRST_LEVEL];
  for (size_t i = 0; i < sizeof other; i += 64)
    (void)other[i];
}

/* One frame, seen by all. */
static void frame_pass(cuframes_publisher *publisher, cuframes_subscriber **subscribers, unsigned count) {
  cuframes_frame *frame;
  cache_empty();
  must(cuframes_publisher_acquire(publisher, &frame), "acquire");
  cache_empty();
  must(cuframes_publisher_publish(publisher, frame, NULL), "publish");
  for (unsigned i = 0; i < count; i++) {
    cache_empty();
    must(cuframes_subscriber_next(subscribers[i], INT64_C(1000000000), &frame), "next");
    cache_empty();
    cuframes_frame_release(frame);
  }
}

int main(int argc, char **argv) {
  static cuframes_subscriber *subscribers[SUBSCRIBERS_MAX];
  cuframes_publisher *publisher = NULL;
  if (argc != 4 || atoi(argv[2]) < 1 || atoi(argv[2]) > SUBSCRIBERS_MAX || atoi(argv[3]) < 1) {
    fprintf(stderr, "usage: frame_costs newest|ordered SUBSCRIBERS FRAMES\n");
    return 2;
  }
  unsigned count = (unsigned)atoi(argv[2]);
  int frames = atoi(argv[3]);
  cuframes_publisher_options publish = {
    .struct_size = sizeof publish,
    .device = "host",
    .format = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 64, .height = 64 },
    .max_slots = 1024,
  };
  cuframes_subscriber_options subscribe = {
    .struct_size = sizeof subscribe,
    .mode = strcmp(argv[1], "ordered") == 0 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST,
  };
  must(cuframes_publisher_create("costs", &publish, &publisher), "publisher");
  for (unsigned i = 0; i < count; i++)
    must(cuframes_subscriber_create("costs", &subscribe, &subscribers[i]), "subscriber");
  for (int i = 0; i < WARM_UP; i++)
    frame_pass(publisher, subscribers, count);
  CALLGRIND_TOGGLE_COLLECT; /* of this thread only; the simulated caches stay as warm as they are */
  for (int i = 0; i < frames; i++)
    frame_pass(publisher, subscribers, count);
  CALLGRIND_TOGGLE_COLLECT;
  for (unsigned i = 0; i < count; i++)
    cuframes_subscriber_destroy(subscribers[i]);
  cuframes_publisher_destroy(publisher);
  return 0;
}
