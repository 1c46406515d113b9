/* frame_path.c - which functions one frame meets on its way: acquire, publish, next, release, in one process with one
 * newest subscriber and nobody asleep. Built by scripts/frame-path with the library's sources and
 * -finstrument-functions; prints the address of each function entered, in order, behind a line for each of the four
 * calls.
 *
 * usage: frame_path [DEVICE [complete|timeline]]
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

#define BARE __attribute__((no_instrument_function))
#define ENTRIES 4096

static bool recording, on_gpu;
static size_t count;
static const void *entered[ENTRIES]; /* NULL: the next of the four calls begins */

BARE void __cyg_profile_func_enter(void *function, void *site);
BARE void __cyg_profile_func_exit(void *function, void *site);

static _Thread_local bool ours; /* the library's own threads do not count */

void __cyg_profile_func_enter(void *function, void *site) {
  (void)site;
  if (ours && recording && count < ENTRIES)
    entered[count++] = function;
}

void __cyg_profile_func_exit(void *function, void *site) {
  (void)function, (void)site;
}

BARE static void must(int result, const char *what) {
  if (result == CUFRAMES_OK)
    return;
  fprintf(stderr, "frame_path: %s: %s\n", what, cuframes_last_error());
  exit(1);
}

BARE static void begin(void) {
  if (recording && count < ENTRIES)
    entered[count++] = NULL;
}

/* One frame through the library. */
BARE static void frame_pass(cuframes_publisher *publisher, cuframes_subscriber *subscriber, bool on_stream) {
  cuframes_frame *frame;
  begin();
  must(cuframes_publisher_acquire(publisher, &frame), "acquire");
  begin();
  must(on_gpu ? cuframes_publisher_publish_on(publisher, frame, NULL, NULL)
              : cuframes_publisher_publish(publisher, frame, NULL),
       "publish");
  bool was = recording;
  recording = false;
  for (volatile int i = 0; i < 20000000; i++) /* or next() waits for the GPU, as often as it takes */
    ;
  recording = was;
  begin();
  must(on_stream ? cuframes_subscriber_next_on(subscriber, 1000000000, NULL, &frame)
                 : cuframes_subscriber_next(subscriber, 1000000000, &frame),
       "next");
  begin();
  if (on_stream)
    cuframes_frame_release_on(frame, NULL);
  else
    cuframes_frame_release(frame);
}

BARE int main(int argc, char **argv) {
  bool timeline = argc > 2 && strcmp(argv[2], "timeline") == 0;
  cuframes_publisher_options publish = { .struct_size = sizeof publish,
                                         .device = argc > 1 ? argv[1] : "host",
                                         .format = {
                                             .pixel_format = CUFRAMES_PIXEL_NV12, .width = 640, .height = 360 } };
  cuframes_subscriber_options subscribe = { .struct_size = sizeof subscribe,
                                            .sync = timeline ? CUFRAMES_SYNC_TIMELINE : CUFRAMES_SYNC_COMPLETE };
  cuframes_publisher *publisher = NULL;
  on_gpu = argc > 1 && strcmp(argv[1], "host") != 0;
  cuframes_subscriber *subscriber = NULL;
  must(cuframes_publisher_create("path", &publish, &publisher), "publisher");
  must(cuframes_subscriber_create("path", &subscribe, &subscriber), "subscriber");
  for (int i = 0; i < 10; i++) /* segments get mapped, slots adopted, handles made */
    frame_pass(publisher, subscriber, timeline);
  ours = recording = true;
  frame_pass(publisher, subscriber, timeline);
  recording = false;
  for (size_t i = 0; i < count; i++)
    printf("%p\n", entered[i]);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  return count == ENTRIES;
}
