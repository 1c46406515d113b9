/* loop.c - the loop of a program that publishes a picture and looks at it, in C: the other half is loop.cpp, which does
 * the same in C++. bench/costs counts both by callgrind. All in one process and nobody asleep.
 *
 * usage: loop FRAMES
 */
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/callgrind.h>

#include <cuframes/cuframes.h>

#define WARM_UP 64 /* segments get mapped, slots adopted */

static void fail(void) {
  fprintf(stderr, "loop: %s\n", cuframes_last_error());
  exit(1);
}

/* The first sample of the first row and of the last one, so that planes are asked for as programs do. */
static unsigned look(const cuframes_frame *frame) {
  uint32_t row_bytes, rows;
  const unsigned char *samples = cuframes_frame_plane(frame, 0);
  uint32_t pitch = cuframes_frame_pitch(frame, 0);
  if (cuframes_frame_device(frame)[0] != 'h' ||
      cuframes_format_plane_size(cuframes_frame_format(frame), 0, &row_bytes, &rows) != CUFRAMES_OK)
    return 0;
  return samples[0] + samples[(size_t)(rows - 1) * pitch];
}

static unsigned pass(cuframes_publisher *publisher, cuframes_subscriber *subscriber, int number) {
  cuframes_frame *frame;
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = number, .capture_time = CUFRAMES_NO_TIME };
  if (cuframes_publisher_acquire(publisher, &frame) != CUFRAMES_OK ||
      cuframes_publisher_publish(publisher, frame, &info) != CUFRAMES_OK ||
      cuframes_subscriber_next(subscriber, INT64_C(1000000000), &frame) != CUFRAMES_OK)
    fail();
  unsigned sum = look(frame) + (unsigned)cuframes_frame_seq(frame);
  cuframes_frame_release(frame);
  return sum;
}

int main(int argc, char **argv) {
  cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .device = "host",
    .format = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 64, .height = 16 },
  };
  cuframes_publisher *publisher = NULL;
  cuframes_subscriber *subscriber = NULL;
  int frames = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
  unsigned sum = 0;
  if (cuframes_publisher_create("loop", &options, &publisher) != CUFRAMES_OK ||
      cuframes_subscriber_create("loop", NULL, &subscriber) != CUFRAMES_OK)
    fail();
  for (int i = 0; i < WARM_UP; i++)
    sum += pass(publisher, subscriber, i);
  CALLGRIND_TOGGLE_COLLECT; /* of this thread only */
  for (int i = 0; i < frames; i++)
    sum += pass(publisher, subscriber, i);
  CALLGRIND_TOGGLE_COLLECT;
  printf("%u\n", sum);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  return 0;
}
