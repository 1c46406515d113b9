/* test_errors.c - sentences behind errors that others set: libraries and bindings on top of this one. */
#include <pthread.h>
#include <string.h>

#include "support/fixture.h"

static void *another_thread(void *user) {
  (void)user;
  CHECK(strcmp(cuframes_last_error(), "mine") != 0);
  CHECK_RESULT(cuframes_set_last_error(CUFRAMES_ERR_DEVICE, "another's"), CUFRAMES_ERR_DEVICE);
  CHECK(strcmp(cuframes_last_error(), "another's") == 0);
  return NULL;
}

static void a_sentence_of_others(void **state) {
  (void)state;
  pthread_t thread;
  char endless[2000];
  assert_int_equal(cuframes_set_last_error(CUFRAMES_ERR_BUSY, "mine"), CUFRAMES_ERR_BUSY);
  CHECK(pthread_create(&thread, NULL, another_thread, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  assert_string_equal(cuframes_last_error(), "mine");
  assert_int_equal(cuframes_set_last_error(7, "100 %s %n"), 7); /* no format */
  assert_string_equal(cuframes_last_error(), "100 %s %n");
  CHECK_RESULT(cuframes_set_last_error(CUFRAMES_ERR_BUSY, cuframes_last_error()), CUFRAMES_ERR_BUSY); /* its own */
  assert_string_equal(cuframes_last_error(), "100 %s %n");
  memset(endless, 'x', sizeof endless);
  endless[sizeof endless - 1] = 0;
  (void)cuframes_set_last_error(CUFRAMES_ERR_BUSY, endless);
  assert_int_equal(strlen(cuframes_last_error()), 511);
  (void)cuframes_set_last_error(CUFRAMES_ERR_BUSY, NULL);
  assert_string_equal(cuframes_last_error(), "");
}

int main(void) {
  const struct CMUnitTest tests[] = { FIXTURE(a_sentence_of_others) };
  return FIXTURE_RUN("api/errors", tests);
}
