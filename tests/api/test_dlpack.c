/* test_dlpack.c - planes as arrays, and as DLPack tensors: shapes of each format, who may write, whose reference a
 * deleter ends, on which thread and in which process.
 */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/stream.h"

/* As dlpack.h has them. */
typedef struct tensor {
  void *data;
  int32_t device_type, device_index, dims;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} tensor;
typedef struct unversioned {
  tensor tensor;
  void *context;
  void (*deleter)(struct unversioned *);
} unversioned;
typedef struct versioned {
  uint32_t major, minor;
  void *context;
  void (*deleter)(struct versioned *);
  uint64_t flags;
  tensor tensor;
} versioned;

static versioned *tensor_of(cuframes_frame *frame, int plane, uint32_t flags) {
  void *made = NULL;
  CHECK_OK(cuframes_frame_dlpack(frame, plane, NULL, flags, &made));
  return made;
}

static const struct expected {
  cuframes_format format;
  int plane;
  uint32_t dims;
  int64_t shape[4], strides[4];
  uint8_t type, bits;
} expected[] = {
  { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 65, .height = 33 }, 0, 2, { 33, 65 }, { 128, 1 }, 1, 8 },
  { { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 65, .height = 33 }, 1, 3, { 17, 33, 2 }, { 128, 2, 1 }, 1, 8 },
  { { .pixel_format = CUFRAMES_PIXEL_P010, .width = 64, .height = 4 }, 0, 2, { 4, 64 }, { 64, 1 }, 1, 16 },
  { { .pixel_format = CUFRAMES_PIXEL_P010, .width = 64, .height = 4 }, 1, 3, { 2, 32, 2 }, { 64, 2, 1 }, 1, 16 },
  { { .pixel_format = CUFRAMES_PIXEL_YUV420P, .width = 65, .height = 5 }, 2, 2, { 3, 33 }, { 64, 1 }, 1, 8 },
  { { .pixel_format = CUFRAMES_PIXEL_RGB24, .width = 10, .height = 4 }, 0, 3, { 4, 10, 3 }, { 64, 3, 1 }, 1, 8 },
  { { .pixel_format = CUFRAMES_PIXEL_BGRA, .width = 16, .height = 4 }, 0, 3, { 4, 16, 4 }, { 64, 4, 1 }, 1, 8 },
  { { .pixel_format = CUFRAMES_PIXEL_YUYV422, .width = 15, .height = 4 }, 0, 3, { 4, 8, 4 }, { 64, 4, 1 }, 1, 8 },
  { { .pixel_format = CUFRAMES_PIXEL_GRAY16, .width = 33, .height = 2 }, 0, 2, { 2, 33 }, { 64, 1 }, 1, 16 },
  { { .pixel_format = CUFRAMES_PIXEL_RGBP, .width = 64, .height = 2 }, 2, 2, { 2, 64 }, { 64, 1 }, 1, 8 },
  { { .pixel_format = CUFRAMES_PIXEL_TENSOR, .tensor = { CUFRAMES_ELEMENT_FLOAT16, 4, { 2, 3, 4, 5 } } },
    0,
    4,
    { 2, 3, 4, 5 },
    { 60, 20, 5, 1 },
    2,
    16 },
  { { .pixel_format = CUFRAMES_PIXEL_TENSOR, .tensor = { CUFRAMES_ELEMENT_INT32, 2, { 3, 4 } }, .pitch = { 32 } },
    0,
    2,
    { 3, 4 },
    { 8, 1 },
    0,
    32 },
  { { .pixel_format = CUFRAMES_PIXEL_TENSOR, .tensor = { CUFRAMES_ELEMENT_FLOAT32, 1, { 7 } } },
    0,
    1,
    { 7 },
    { 1 },
    2,
    32 },
};

static void each_format_has_its_shape(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    const struct expected *e = &expected[i];
    cuframes_publisher_options options = publisher_options();
    cuframes_publisher *publisher = NULL;
    cuframes_frame *frame = NULL;
    cuframes_array array = { .struct_size = sizeof array };
    options.format = e->format;
    CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
    CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
    CHECK_OK(cuframes_frame_array(frame, e->plane, &array));
    assert_ptr_equal(array.data, cuframes_frame_plane(frame, e->plane));
    assert_int_equal(array.dims, e->dims);
    assert_memory_equal(array.shape, e->shape, sizeof e->shape);
    assert_memory_equal(array.strides, e->strides, sizeof e->strides);
    assert_int_equal(array.type, e->type);
    assert_int_equal(array.bits, e->bits);
    assert_int_equal(array.read_only, 0);
    assert_int_equal(array.device_type, 1);
    assert_int_equal(array.device_index, 0);
    CHECK_RESULT(cuframes_frame_array(frame, 3, &array), CUFRAMES_ERR_INVALID);
    CHECK_OK(cuframes_publisher_cancel(publisher, frame)); /* which destroy() would do, too */
    cuframes_publisher_destroy(publisher);
  }
}

static void a_pitch_of_half_an_element_is_refused(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cuframes_frame *frame = NULL;
  cuframes_array array = { .struct_size = sizeof array };
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY16, .width = 4, .height = 4, .pitch = { 9 } };
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  CHECK_RESULT(cuframes_frame_array(frame, 0, &array), CUFRAMES_ERR_UNSUPPORTED);
  CHECK_OK(cuframes_publisher_cancel(publisher, frame));
  cuframes_publisher_destroy(publisher);
}

static void a_tensor_holds_the_frame(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *frame = frame_take(subscriber);
  assert_int_equal(cuframes_frame_references(frame), 1);
  versioned *one = tensor_of(frame, 0, 0);
  unversioned *other = (unversioned *)(void *)tensor_of(frame, 0, CUFRAMES_DLPACK_UNVERSIONED);
  assert_int_equal(cuframes_frame_references(frame), 3);
  assert_int_equal(one->major, 1);
  assert_int_equal(one->flags, 1); /* read-only */
  assert_int_equal(one->tensor.device_type, 1);
  assert_int_equal(one->tensor.lanes, 1);
  assert_ptr_equal(one->tensor.data, cuframes_frame_plane(frame, 0));
  assert_ptr_equal(other->tensor.data, one->tensor.data);
  assert_int_equal(other->tensor.shape[1], 64);
  cuframes_frame_release(frame);
  pictures_publish(publisher, 2, 40);
  assert_true(picture_is(frame, 1)); /* nobody has written over it */
  one->deleter(one);
  assert_int_equal(subscriber_stats(subscriber).leases_held, 1);
  cuframes_subscriber_destroy(subscriber); /* it lives on */
  assert_true(picture_is(frame, 1));
  other->deleter(other);
  cuframes_publisher_destroy(publisher);
}

static void a_copy_is_the_consumers_own(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *frame = frame_take(subscriber);
  versioned *copy = tensor_of(frame, 0, CUFRAMES_DLPACK_COPY);
  assert_int_equal(cuframes_frame_references(frame), 1);
  assert_int_equal(copy->flags, 2); /* is a copy, and may be written */
  assert_int_equal((uintptr_t)copy->tensor.data % 64, 0);
  assert_int_equal(copy->tensor.strides[0], 64);
  assert_memory_equal(copy->tensor.data, cuframes_frame_plane(frame, 0), 64);
  memset(copy->tensor.data, 0, 64 * 16);
  assert_true(picture_is(frame, 1));
  copy->deleter(copy);
  cuframes_frame_release(frame);
  void *made = NULL;
  CHECK_RESULT(cuframes_frame_dlpack(frame, 0, NULL, 0, &made), CUFRAMES_ERR_INVALID);
  assert_int_equal(cuframes_frame_references(frame), 0);
  assert_int_equal(cuframes_frame_references(NULL), 0);
  CHECK_RESULT(cuframes_frame_dlpack(NULL, 0, NULL, 0, &made), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_frame_dlpack(frame, 0, NULL, 8, &made), CUFRAMES_ERR_INVALID);
  assert_null(made);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void what_was_published_is_not_to_be_written(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
  versioned *open = tensor_of(frame, 0, 0);
  assert_int_equal(open->flags, 0);
  CHECK_OK(cuframes_publisher_publish(publisher, frame, NULL));
  versioned *after = tensor_of(frame, 0, CUFRAMES_DLPACK_NO_STREAM);
  assert_int_equal(after->flags, 1);
  after->deleter(after);
  open->deleter(open);
  cuframes_publisher_destroy(publisher);
}

static void *delete_it(void *argument) {
  versioned *held = argument;
  held->deleter(held);
  return NULL;
}

static void deleters_run_on_any_thread(void **state) {
  (void)state;
  pthread_t thread;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *frame = frame_take(subscriber);
  versioned *held = tensor_of(frame, 0, 0);
  cuframes_frame_release(frame);
  assert_int_equal(pthread_create(&thread, NULL, delete_it, held), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(subscriber_stats(subscriber).leases_held, 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_child_gives_nothing_back(void **state) {
  (void)state;
  int status = -1;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pictures_publish(publisher, 1, 1);
  cuframes_frame *frame = frame_take(subscriber);
  versioned *held = tensor_of(frame, 0, 0);
  pid_t child = fork();
  if (child == 0) {
    cuframes_array array = { .struct_size = sizeof array };
    void *made = NULL;
    bool refused = cuframes_frame_array(frame, 0, &array) == CUFRAMES_ERR_INVALID &&
                   cuframes_frame_dlpack(frame, 0, NULL, 0, &made) == CUFRAMES_ERR_INVALID;
    held->deleter(held);
    cuframes_frame_release(frame);
    _exit(refused ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(cuframes_frame_references(frame), 2);
  pictures_publish(publisher, 2, 40);
  assert_true(picture_is(frame, 1));
  held->deleter(held);
  cuframes_frame_release(frame);
  assert_int_equal(subscriber_stats(subscriber).released_twice, 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(each_format_has_its_shape),
    FIXTURE(a_pitch_of_half_an_element_is_refused),
    FIXTURE(a_tensor_holds_the_frame),
    FIXTURE(a_copy_is_the_consumers_own),
    FIXTURE(what_was_published_is_not_to_be_written),
    FIXTURE(deleters_run_on_any_thread),
    FIXTURE(a_child_gives_nothing_back),
  };
  return FIXTURE_RUN("dlpack", tests);
}
