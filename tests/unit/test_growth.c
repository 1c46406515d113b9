/* test_growth.c - a pool that grows for those who were promised slots: what comes of it when they have left meanwhile,
 * and when there is no room. */
#include "publisher/publisher.h"
#include "support/fixture.h"
#include "support/stream.h"

enum { SLOTS = 4, MOST = 12 };

static cuframes_publisher *full_publisher_new(void) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.slots = SLOTS;
  options.max_slots = MOST;
  options.reserve = CUFRAMES_RESERVE_FULL;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  return publisher;
}

/* The thread that makes slots comes to it later than whoever needed them stays. */
static void they_have_left(void **state) {
  (void)state;
  cuframes_publisher *publisher = full_publisher_new();
  CHECK_OK(cf_pool_admit(&publisher->pool, 4, 0));
  assert_true(cf_pool_lacks(&publisher->pool) > 0);
  cf_pool_leave(&publisher->pool, 4, 0);
  assert_int_equal(cf_pool_lacks(&publisher->pool), 0);
  CHECK_OK(cf_pool_grow(&publisher->pool, 0));
  assert_int_equal(publisher->pool.slots, SLOTS);
  cuframes_publisher_destroy(publisher);
}

static void they_are_there(void **state) {
  (void)state;
  cuframes_publisher *publisher = full_publisher_new();
  CHECK_OK(cf_pool_admit(&publisher->pool, 4, 0));
  uint32_t lacking = cf_pool_lacks(&publisher->pool);
  CHECK_OK(cf_pool_grow(&publisher->pool, 0));
  assert_int_equal(publisher->pool.slots, SLOTS + lacking);
  assert_int_equal(cf_pool_lacks(&publisher->pool), 0);
  CHECK_OK(cf_pool_grow(&publisher->pool, MOST)); /* as many as may be */
  assert_int_equal(publisher->pool.slots, MOST);
  CHECK_RESULT(cf_pool_grow(&publisher->pool, 1), CUFRAMES_ERR_NO_CAPACITY);
  cf_pool_leave(&publisher->pool, 4, 0);
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = { FIXTURE(they_have_left), FIXTURE(they_are_there) };
  return FIXTURE_RUN("growth", tests);
}
