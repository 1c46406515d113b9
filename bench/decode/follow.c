/* follow.c - takes every picture of a stream, up to its end: follow NAME [--read]. With --read it looks at every
 * visible byte of each picture. Prints how many pictures there were, and the sum of the bytes. */
#include <stdbool.h>

#include <cuframes/cuframes.h>

#include "rows.h"

#define WAIT INT64_C(20000000000)

static int follow(const char *name, bool reads) {
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .mode = CUFRAMES_MODE_ORDERED,
                                          .connect_timeout_ns = WAIT };
  cuframes_subscriber *subscriber;
  cuframes_frame *frame;
  if (cuframes_subscriber_create(name, &options, &subscriber) < 0)
    return failed(cuframes_last_error());
  int error;
  while ((error = cuframes_subscriber_next(subscriber, WAIT, &frame)) == CUFRAMES_OK) {
    const cuframes_format *format = cuframes_frame_format(frame);
    for (int i = 0; reads && i < cuframes_pixel_format_planes(format->pixel_format); i++) {
      uint32_t bytes = 0, rows = 0;
      (void)cuframes_format_plane_size(format, i, &bytes, &rows); /* a frame's format is good */
      read_rows(cuframes_frame_plane(frame, i), format->pitch[i], bytes, (int)rows);
    }
    pictures++;
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(subscriber);
  return error == CUFRAMES_ERR_PUBLISHER_GONE ? 0 : failed(cuframes_last_error());
}

int main(int argc, char **argv) {
  const bool reads = argc == 3 && strcmp(argv[2], "--read") == 0;
  if (argc != 2 && !reads)
    return failed("usage: follow NAME [--read]");
  const int status = follow(argv[1], reads);
  printf("%" PRIu64 " %" PRIx64 "\n", pictures, sum);
  return status;
}
