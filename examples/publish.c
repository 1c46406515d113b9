/* publish.c - publishes two seconds of a grey picture that gets brighter: publish NAME */
#include <cuframes/cuframes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
  cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 640, .height = 360 },
  };
  cuframes_publisher *publisher = NULL;
  cuframes_frame *frame;
  int result = cuframes_publisher_create(argc > 1 ? argv[1] : "demo", &options, &publisher);
  for (int i = 0; i < 50 && result == CUFRAMES_OK; i++) {
    result = cuframes_publisher_acquire(publisher, &frame);
    if (result == CUFRAMES_OK) {
      memset(cuframes_frame_plane(frame, 0), i * 5, (size_t)cuframes_frame_pitch(frame, 0) * 360);
      cuframes_publish_info info = { .struct_size = sizeof info, .pts = i * INT64_C(40000000) };
      result = cuframes_publisher_publish(publisher, frame, &info);
    } else if (result == CUFRAMES_ERR_DROPPED) { /* no slot for this one */
      result = CUFRAMES_OK;
    }
    nanosleep(&(struct timespec){ .tv_nsec = 40000000 }, NULL);
  }
  if (result != CUFRAMES_OK)
    fprintf(stderr, "publish: %s\n", cuframes_last_error());
  cuframes_publisher_destroy(publisher);
  return result != CUFRAMES_OK;
}
