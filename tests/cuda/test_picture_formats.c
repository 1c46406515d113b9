/* test_picture_formats.c - every pixel format and a tensor in GPU memory: copied there, published, and copied back. */
#include <stdlib.h>
#include <string.h>

#include "drivers.h"
#include "support/stream.h"

static uint8_t value_at(uint32_t kind, int plane, size_t at) {
  return (uint8_t)((at * 2654435761u >> 11) + kind * 7u + (uint32_t)plane);
}

static void round_trip(cuframes_publisher *publisher, cuframes_subscriber *subscriber, const cuframes_format *format) {
  cuframes_frame *open = NULL;
  uint8_t *bytes[CUFRAMES_PLANES] = { NULL };
  size_t sizes[CUFRAMES_PLANES] = { 0 };
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  CHECK_OK(cuframes_publisher_set_format(publisher, format));
  CHECK_OK(cuframes_publisher_acquire(publisher, &open));
  for (int i = 0; i < planes; i++) {
    uint32_t row_bytes, rows;
    CHECK_OK(cuframes_format_plane_size(format, i, &row_bytes, &rows));
    sizes[i] = (size_t)row_bytes * rows;
    bytes[i] = malloc(sizes[i]);
    CHECK(bytes[i] != NULL);
    for (size_t k = 0; k < sizes[i]; k++)
      bytes[i][k] = value_at(format->pixel_format, i, k);
    CHECK_OK(cuframes_frame_copy_from_host(open, i, bytes[i], 0));
  }
  CHECK_OK(cuframes_publisher_publish(publisher, open, NULL));
  cuframes_frame *frame = frame_take(subscriber);
  CHECK(cuframes_frame_format(frame)->orientation == format->orientation);
  CHECK(memcmp(&cuframes_frame_format(frame)->tensor, &format->tensor, sizeof format->tensor) == 0);
  CHECK(format->pixel_format != CUFRAMES_PIXEL_TENSOR || cuframes_frame_pitch(frame, 0) * 6 == sizes[0]);
  for (int i = 0; i < planes; i++) {
    uint8_t *got = calloc(1, sizes[i]);
    CHECK(got != NULL);
    CHECK_OK(cuframes_frame_copy_to_host(frame, i, got, 0));
    CHECK(memcmp(got, bytes[i], sizes[i]) == 0);
    free(got);
    free(bytes[i]);
  }
  cuframes_frame_release(frame);
}

static void run(int test, void *user) {
  (void)user;
  driver_use(STANDIN, NULL);
  cuframes_publisher_options options = publisher_options();
  cuframes_subscriber_options joining = subscriber_options(CUFRAMES_MODE_NEWEST);
  cuframes_publisher *publisher = NULL;
  options.device = joining.device = "cuda";
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  cuframes_subscriber *subscriber = subscriber_join("s", &joining);
  for (uint32_t kind = CUFRAMES_PIXEL_NV12; kind <= CUFRAMES_PIXEL_RGBP; kind++)
    round_trip(publisher, subscriber,
               &(cuframes_format){ .pixel_format = kind, .width = 65, .height = 31, .orientation = 1 + kind % 8 });
  round_trip(publisher, subscriber,
             &(cuframes_format){ .pixel_format = CUFRAMES_PIXEL_TENSOR,
                                 .tensor = { CUFRAMES_ELEMENT_FLOAT16, 3, { 2, 3, 5 } } });
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  say(test, 0);
}

static void every_format_goes_to_the_gpu_and_back(void **state) {
  (void)state;
  child *c = child_start(run, NULL);
  hear(c->fd);
  child_finish(c);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = { FIXTURE(every_format_goes_to_the_gpu_and_back) };
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return FIXTURE_RUN("picture_formats", tests);
}
