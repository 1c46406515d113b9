/* test_dying.c - a publisher of legacy memory dies between its answer and the subscriber's mapping of what it told: the
 * handle is good no more, and that is the end of the stream, not a failure of the device.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "drivers.h"

#define MAPS "cuIpcOpenMemHandle"

/* Kills the publisher when the second mapping has failed. */
static void *kill_when_mapped(void *user) {
  const pid_t *publisher = user;
  WAIT_FOR(driver_calls(MAPS) >= 2);
  CHECK(kill(*publisher, SIGKILL) == 0);
  return NULL;
}

static void run_subscriber(int test, void *unused) {
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  pthread_t killer;
  pid_t publisher = (pid_t)hear(test);
  (void)unused;
  driver_use(STANDIN, NULL);
  driver_fail(MAPS, 1, CUDA_ERROR_INVALID_VALUE); /* when it looks ahead */
  driver_fail(MAPS, 2, CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cuframes_subscriber_create("dying", NULL, &subscriber));
  CHECK(pthread_create(&killer, NULL, kill_when_mapped, &publisher) == 0);
  CHECK_RESULT(cuframes_subscriber_next(subscriber, patience(), &frame), CUFRAMES_ERR_PUBLISHER_GONE);
  CHECK(pthread_join(killer, NULL) == 0);
  cuframes_subscriber_destroy(subscriber);
  driver_nothing_left();
}

static void a_handle_of_the_dead_is_the_end(void **state) {
  (void)state;
  const setting set = { STANDIN,
                        NULL,
                        { .name = "dying", .memory = MEMORY_LEGACY, .format = program_format(CUFRAMES_PIXEL_NV12) } };
  child *publisher = source_start(&set), *subscriber = child_start(run_subscriber, NULL);
  say(subscriber->fd, (uint64_t)publisher->pid);
  int status = child_status(publisher);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  child_finish(subscriber);
  sweep_up();
}

int main(void) {
  const struct CMUnitTest tests[] = { FIXTURE(a_handle_of_the_dead_is_the_end) };
  program.width = 320;
  program.height = 180;
  return FIXTURE_RUN("dying", tests);
}
