/* test_threads.c - threads that use one preprocess at the same time get what one alone gets; and a picture that another
 * process publishes is prepared into a slot of a stream of tensors.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/stream.h"
#include "vision/reference.h"

enum { THREADS = 2, ROUNDS = 50, COUNT = 9, WIDTH = 40, HEIGHT = 24, ELEMENTS = COUNT * 3 * WIDTH * HEIGHT };

typedef struct work {
  cuframes_preprocess *preprocess;
  const cuframes_picture *pictures;
  const uint8_t *wanted;
  cuframes_geometry wanted_geometry[COUNT];
  pthread_barrier_t *start;
  uint8_t made[ELEMENTS];
} work;

static void *worker(void *user) {
  work *w = user;
  (void)pthread_barrier_wait(w->start);
  for (int round = 0; round < ROUNDS; round++) {
    cuframes_geometry geometry[COUNT];
    memset(w->made, 0, sizeof w->made);
    CHECK_OK(cuframes_preprocess_run(w->preprocess, w->pictures, COUNT, w->made, NULL, geometry));
    CHECK(memcmp(w->made, w->wanted, sizeof w->made) == 0);
    CHECK(memcmp(geometry, w->wanted_geometry, sizeof geometry) == 0);
    /* Failures of one are not the other's. */
    CHECK_RESULT(cuframes_preprocess_run(w->preprocess, w->pictures, 0, w->made, NULL, geometry), CUFRAMES_ERR_INVALID);
  }
  return NULL;
}

static void one_preprocess(void **state) {
  (void)state;
  cuframes_preprocess_options options = { .struct_size = sizeof options,
                                          .width = WIDTH,
                                          .height = HEIGHT,
                                          .element = CUFRAMES_ELEMENT_UINT8,
                                          .layout = CUFRAMES_LAYOUT_NHWC };
  cuframes_preprocess *preprocess = NULL;
  cuframes_picture pictures[COUNT];
  test_picture *memory[COUNT];
  static uint8_t wanted[ELEMENTS];
  static work works[THREADS];
  pthread_t threads[THREADS];
  pthread_barrier_t start;
  CHECK_OK(cuframes_preprocess_create(&options, &preprocess));
  for (uint32_t i = 0; i < COUNT; i++) {
    memory[i] = test_picture_new((cuframes_format){ .pixel_format = 1 + i, .width = 30 + 11 * i, .height = 70 - 5 * i },
                                 CONTENT_NOISE, i);
    pictures[i] = memory[i]->picture;
  }
  CHECK(pthread_barrier_init(&start, NULL, THREADS) == 0);
  for (int i = 0; i < THREADS; i++) {
    works[i] = (work){ .preprocess = preprocess, .pictures = pictures, .wanted = wanted, .start = &start };
    CHECK_OK(cuframes_preprocess_run(preprocess, pictures, COUNT, wanted, NULL, works[i].wanted_geometry));
  }
  for (int i = 0; i < THREADS; i++)
    CHECK(pthread_create(&threads[i], NULL, worker, &works[i]) == 0);
  for (int i = 0; i < THREADS; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(pthread_barrier_destroy(&start) == 0);
  cuframes_preprocess_destroy(preprocess);
  for (int i = 0; i < COUNT; i++)
    test_picture_free(memory[i]);
}

/* camera -> preprocess -> a stream of tensors -> whoever infers. */
static void from_stream_to_stream(void **state) {
  (void)state;
  cuframes_preprocess_options options = { .struct_size = sizeof options, .width = 32, .height = 32 };
  cuframes_preprocess *preprocess = NULL;
  cuframes_publisher *camera = NULL, *tensors = NULL;
  cuframes_publisher_options camera_options = publisher_options(), tensor_options = publisher_options();
  cuframes_frame *open = NULL;
  cuframes_picture picture;
  camera_options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_YUV420P, .width = 65, .height = 33 };
  CHECK_OK(cuframes_preprocess_create(&options, &preprocess));
  CHECK_OK(cuframes_preprocess_format(preprocess, 1, &tensor_options.format));
  CHECK_OK(cuframes_publisher_create("camera", &camera_options, &camera));
  CHECK_OK(cuframes_publisher_create("tensors", &tensor_options, &tensors));
  cuframes_subscriber *detector = subscriber_new("camera", CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *network = subscriber_new("tensors", CUFRAMES_MODE_NEWEST);
  CHECK_OK(cuframes_publisher_acquire(camera, &open));
  for (int plane = 0; plane < 3; plane++) {
    uint32_t rows = 0;
    CHECK_OK(cuframes_format_plane_size(cuframes_frame_format(open), plane, NULL, &rows));
    memset(cuframes_frame_plane(open, plane), plane ? 128 : 235, (size_t)rows * cuframes_frame_pitch(open, plane));
  }
  CHECK_OK(cuframes_publisher_publish(camera, open, NULL));
  cuframes_frame *frame = frame_take(detector);
  CHECK_OK(cuframes_picture_from_frame(frame, &picture));
  CHECK_OK(cuframes_publisher_acquire(tensors, &open));
  cuframes_geometry geometry;
  CHECK_OK(cuframes_preprocess_run(preprocess, &picture, 1, cuframes_frame_plane(open, 0), NULL, &geometry));
  CHECK_OK(cuframes_publisher_publish(tensors, open, NULL));
  cuframes_frame_release(frame);
  frame = frame_take(network);
  const cuframes_format *format = cuframes_frame_format(frame);
  const float *values = cuframes_frame_plane(frame, 0);
  assert_int_equal(format->tensor.size[1], 3);
  assert_int_equal(geometry.height, 16);
  for (int c = 0; c < 3; c++) { /* white in the middle, black above */
    assert_float_equal(values[(c * 32 + 16) * 32 + 7], 1, 1e-5);
    assert_float_equal(values[c * 32 * 32], 0, 1e-9);
  }
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(detector);
  cuframes_subscriber_destroy(network);
  cuframes_publisher_destroy(camera);
  cuframes_publisher_destroy(tensors);
  cuframes_preprocess_destroy(preprocess);
}

int main(void) {
  const struct CMUnitTest tests[] = { FIXTURE(one_preprocess), FIXTURE(from_stream_to_stream) };
  return FIXTURE_RUN("vision/threads", tests);
}
