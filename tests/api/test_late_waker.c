/* test_late_waker.c - many subscribers are woken by a thread of the publisher's; where that gets no processor the
 * publisher's own calls wake them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/rights.h"
#include "support/waiter.h"

enum { MANY = 6 }; /* more than the publisher wakes itself */

enum { PUBLISH, BEGIN, END };

/* Publishes the next picture, or begins one and gives it back, as often as it is told to. */
static void publish_as_told(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = publisher_new("s");
  uint64_t number = 0;
  say(test, 0);
  for (uint64_t told; (told = hear(test)) != END;) {
    if (told == PUBLISH) {
      pictures_publish(publisher, ++number, 1);
    } else {
      cuframes_frame *frame;
      CHECK_OK(cuframes_publisher_acquire(publisher, &frame));
      CHECK_OK(cuframes_publisher_cancel(publisher, frame));
    }
    say(test, number);
  }
  cuframes_publisher_destroy(publisher);
}

static uint64_t tell(const child *c, uint64_t what) {
  say(c->fd, what);
  return hear(c->fd);
}

/* A thread of another process; 0: it has none of that name. */
static pid_t thread_called(pid_t process, const char *name) {
  char path[64], line[32];
  pid_t found = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/task", (int)process);
  DIR *tasks = opendir(path);
  CHECK(tasks != NULL);
  for (struct dirent *entry; found == 0 && (entry = readdir(tasks)) != NULL;) {
    char comm[sizeof path + sizeof entry->d_name + 8];
    (void)snprintf(comm, sizeof comm, "%s/%s/comm", path, entry->d_name);
    FILE *file = fopen(comm, "re");
    if (file && fgets(line, sizeof line, file) && strcspn(line, "\n") == strlen(name) &&
        strncmp(line, name, strlen(name)) == 0)
      found = (pid_t)atoi(entry->d_name);
    if (file)
      (void)fclose(file);
  }
  (void)closedir(tasks);
  return found;
}

/* A thread that is held, as if it got no processor. */
static void thread_hold(pid_t thread) {
  CHECK(ptrace(PTRACE_SEIZE, thread, NULL, NULL) == 0);
  CHECK(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0);
  CHECK(waitpid(thread, NULL, __WALL) == thread);
}

static void waiters_start(waiter waiters[MANY], cuframes_subscriber *const subscribers[MANY]) {
  for (int i = 0; i < MANY; i++)
    waiter_start(&waiters[i], subscribers[i], patience());
}

/* All of them have that picture. Else the held thread is let go first, without which its process could not be ended. */
static void waiters_end(waiter waiters[MANY], uint64_t number, pid_t held) {
  int woken = 0;
  for (int i = 0; i < MANY; i++)
    woken += waiter_end(&waiters[i]) == CUFRAMES_OK;
  if (woken < MANY)
    (void)ptrace(PTRACE_DETACH, held, NULL, NULL);
  CHECK(woken == MANY);
  for (int i = 0; i < MANY; i++) {
    CHECK(picture_number(waiters[i].frame) == number);
    cuframes_frame_release(waiters[i].frame);
  }
}

static void the_publisher_wakes_where_its_waker_does_not(void **state) {
  (void)state;
  cuframes_subscriber *subscribers[MANY];
  waiter waiters[MANY];
  need_threads(MANY + 1);
  need_tracing();
  child *publisher = child_start(publish_as_told, NULL);
  (void)hear(publisher->fd);
  for (int i = 0; i < MANY; i++)
    subscribers[i] = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  pid_t waker = 0;
  WAIT_FOR((waker = thread_called(publisher->pid, "cuframes-wake")) != 0);
  thread_hold(waker);

  /* left to the waker: who begins another frame later sees that it has not come */
  waiters_start(waiters, subscribers);
  CHECK(tell(publisher, PUBLISH) == 1);
  pause_ms(5); /* longer than a waker may take */
  CHECK(tell(publisher, BEGIN) == 1);
  waiters_end(waiters, 1, waker);

  /* and leaves it nothing any more, also when it could come again */
  for (uint64_t number = 2; number <= 3; number++) {
    waiters_start(waiters, subscribers);
    CHECK(tell(publisher, PUBLISH) == number);
    waiters_end(waiters, number, waker);
  }
  CHECK(ptrace(PTRACE_DETACH, waker, NULL, NULL) == 0);
  waiters_start(waiters, subscribers);
  CHECK(tell(publisher, PUBLISH) == 4);
  waiters_end(waiters, 4, waker);
  say(publisher->fd, END);
  for (int i = 0; i < MANY; i++)
    cuframes_subscriber_destroy(subscribers[i]);
  child_finish(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_publisher_wakes_where_its_waker_does_not),
  };
  return FIXTURE_RUN("late_waker", tests);
}
