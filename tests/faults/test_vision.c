/* test_vision.c - memory runs out at each call of the vision library in turn: the error says so, nothing is written,
 * and the next try works.
 */
#include <stdlib.h>
#include <string.h>

#include <cuframes/vision.h>

#include "faults/resource_calls.h"
#include "support/fixture.h"

enum { COUNT = 12, SIDE = 16 };

static float tensor[COUNT * 3 * SIDE * SIDE];
static uint8_t luma[32 * 32];

static void make_and_run(uint32_t *failures) {
  cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 32, .height = 32, .pitch = { 32 } };
  cuframes_picture pictures[COUNT];
  cuframes_geometry geometry[COUNT] = { { .scale_x = -1 } };
  cuframes_preprocess_options options = { .struct_size = sizeof options, .width = SIDE, .height = SIDE };
  cuframes_preprocess *preprocess = NULL;
  size_t blocks = heap_blocks();
  for (int i = 0; i < COUNT; i++)
    pictures[i] = (cuframes_picture){ .format = &format, .plane = { luma } };
  options.filter = CUFRAMES_FILTER_AREA;
  for (uint64_t nth = 1;; nth++) {
    memset(tensor, 0, sizeof tensor);
    failing_nth(CALL_MEMORY, nth, false);
    int result = cuframes_preprocess_create(&options, &preprocess);
    if (result == CUFRAMES_OK)
      result = cuframes_preprocess_run(preprocess, pictures, COUNT, tensor, NULL, geometry);
    if (result == CUFRAMES_OK)
      result = cuframes_preprocess_set(preprocess, pictures, COUNT, NULL, geometry);
    if (result == CUFRAMES_OK)
      result = cuframes_preprocess_launch(preprocess, COUNT, tensor, NULL);
    bool failed = failing_end();
    if (!failed) { /* it makes fewer calls than that: all of them have failed once */
      CHECK_OK(result);
      assert_true(tensor[COUNT * 3 * SIDE * SIDE - 1] > 0);
      cuframes_preprocess_destroy(preprocess);
      break;
    }
    CHECK_RESULT(result, CUFRAMES_ERR_NO_MEMORY);
    assert_non_null(strstr(cuframes_last_error(), "out of memory"));
    ++*failures;
    if (preprocess) { /* run() failed, or what came after it */
      if (geometry[0].scale_x < 0)
        for (size_t i = 0; i < sizeof tensor / sizeof tensor[0]; i++)
          assert_true(tensor[i] == 0);
      CHECK_OK(cuframes_preprocess_run(preprocess, pictures, COUNT, tensor, NULL, NULL));
      cuframes_preprocess_destroy(preprocess);
      preprocess = NULL;
    }
    assert_int_equal(heap_blocks(), blocks);
  }
  assert_int_equal(heap_blocks(), blocks);
}

static void each_allocation(void **state) {
  (void)state;
  uint32_t failures = 0;
  memset(luma, 200, sizeof luma);
  make_and_run(&failures);
  assert_true(failures >= 4); /* the object, its table, the plans, the rows */
}

int main(void) {
  const struct CMUnitTest tests[] = { FIXTURE(each_allocation) };
  return FIXTURE_RUN("faults/vision", tests);
}
