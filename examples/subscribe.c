/* subscribe.c - prints the top left sample of each picture until the publisher ends: subscribe NAME */
#include <cuframes/cuframes.h>
#include <stdio.h>

int main(int argc, char **argv) {
  cuframes_subscriber_options options = {
    .struct_size = sizeof options,
    .connect_timeout_ns = INT64_C(5000000000),
    .device = "host", /* it reads with the CPU: refuse a stream that lies in GPU memory */
  };
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame;
  setvbuf(stdout, NULL, _IOLBF, 0); /* each line at once, into a pipe, too */
  int result = cuframes_subscriber_create(argc > 1 ? argv[1] : "demo", &options, &subscriber);
  while (result == CUFRAMES_OK) {
    result = cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &frame);
    if (result == CUFRAMES_OK) {
      const unsigned char *samples = cuframes_frame_plane(frame, 0); /* where the publisher wrote it: no copy */
      printf("frame %llu: %u\n", (unsigned long long)cuframes_frame_seq(frame), samples[0]);
      cuframes_frame_release(frame); /* until now nobody could write over it */
    }
  }
  fprintf(stderr, "subscribe: %s\n", cuframes_last_error());
  cuframes_subscriber_destroy(subscriber);
  return result != CUFRAMES_ERR_PUBLISHER_GONE;
}
