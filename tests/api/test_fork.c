/* test_fork.c - processes that fork with publishers and subscribers open: what was made before is refused in the child,
 * and nothing that the child does, or holds, changes anything for the parent, its peers, or who comes after it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/futex.h"
#include "support/child.h"
#include "support/packets.h"
#include "support/stream.h"
#include "support/waiter.h"

#define AT_ONCE_MS 500

/* ---- children that live on ---- */

/* How a process may come by a child. */
typedef enum way { BY_FORK, BY_SYSTEM_CALL, BY_VFORK_AND_EXEC, WAYS } way;

typedef struct parent {
  way how;
  bool is_publisher;
  int line[2]; /* a pipe, which nobody writes: its end ends the child */
} parent;

/* Starts a process that only lives, until all but it have closed the line. */
static void spawn(const parent *p) {
  char number[16];
  snprintf(number, sizeof number, "%d", p->line[0]);
  if (p->how == BY_VFORK_AND_EXEC) {
    pid_t pid = vfork();
    if (pid == 0) {
      execl("/bin/sh", "sh", "-c", "read x <&\"$1\"; exit 0", "sh", number, (char *)NULL);
      _exit(127);
    }
    CHECK(pid > 0);
    return;
  }
  pid_t pid = p->how == BY_FORK ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
  CHECK(pid >= 0);
  if (pid == 0) {
    char byte;
    while (read(p->line[0], &byte, 1) > 0)
      ;
    _exit(0);
  }
}

static void run_parent(int test, void *user) {
  const parent *p = user;
  close(p->line[1]);
  (void)hear(test);
  cuframes_publisher *publisher = p->is_publisher ? publisher_new("s") : NULL;
  cuframes_subscriber *subscriber = p->is_publisher ? NULL : subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *frame = NULL;
  if (publisher)
    pictures_publish(publisher, 1, 1);
  else
    frame = frame_take(subscriber);
  say(test, 0);
  (void)hear(test); /* somebody has joined: a child has that socket, too */
  spawn(p);
  say(test, cuframes_frame_seq(frame));
  (void)hear(test); /* it is killed */
}

static child *parent_start(parent *p) {
  CHECK(pipe(p->line) == 0);
  child *c = child_start(run_parent, p);
  close(p->line[0]);
  return c;
}

static int publisher_try(cuframes_publisher **publisher) {
  cuframes_publisher_options options = publisher_options();
  return cuframes_publisher_create("s", &options, publisher);
}

static void a_dead_publishers_child_keeps_nobody(void **state) {
  (void)state;
  for (way how = 0; how < WAYS; how++) {
    parent p = { .how = how, .is_publisher = true };
    child *process = parent_start(&p);
    cuframes_publisher *heir = NULL;
    waiter waiting;
    say(process->fd, 0);
    (void)hear(process->fd);
    cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
    cuframes_frame *frame = frame_take(subscriber);
    say(process->fd, 0);
    (void)hear(process->fd);
    waiter_start(&waiting, subscriber, 10 * SECOND);
    int64_t start = cuframes_now();
    child_kill(process);
    assert_int_equal(waiter_end(&waiting), CUFRAMES_ERR_PUBLISHER_GONE);
    SOON(waiting.ended - start, AT_ONCE_MS);
    assert_int_equal(picture_number(frame), 1);
    if (how != BY_SYSTEM_CALL) /* that one keeps the lock, too: nobody closes anything in it */
      CHECK_OK(publisher_try(&heir));
    close(p.line[1]);
    if (!heir)
      WAIT_FOR(publisher_try(&heir) == CUFRAMES_OK);
    cuframes_publisher_destroy(heir);
    cuframes_frame_release(frame);
    cuframes_subscriber_destroy(subscriber);
  }
}

static void a_dead_subscribers_child_holds_no_slot(void **state) {
  (void)state;
  for (way how = 0; how < WAYS; how++) {
    parent p = { .how = how };
    child *process = parent_start(&p);
    cuframes_publisher *publisher = publisher_new("s");
    pictures_publish(publisher, 1, 1);
    say(process->fd, 0);
    (void)hear(process->fd);
    say(process->fd, 0);
    assert_int_equal(hear(process->fd), 1);
    assert_int_equal(publisher_stats(publisher).subscribers, 1);
    child_kill(process);
    int64_t start = cuframes_now();
    WAIT_FOR(publisher_stats(publisher).subscribers == 0);
    SOON(cuframes_now() - start, AT_ONCE_MS);
    close(p.line[1]);
    cuframes_publisher_destroy(publisher);
  }
}

/* ---- what is refused ---- */

/* Everything that a process can have open. */
typedef struct everything {
  cuframes_publisher *publisher, *annotator;
  cuframes_subscriber *subscriber;
  cuframes_join *join;
  cuframes_frame *open, *taken;
  cuframes_packet *packet;
  int fd;
} everything;

static cuframes_publisher *annotator_new(void) {
  cuframes_publisher *publisher = NULL;
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  cuframes_publisher_options options = { .struct_size = sizeof options, .packets = &ring };
  CHECK_OK(cuframes_publisher_create("found", &options, &publisher));
  return publisher;
}

static everything everything_new(void) {
  cuframes_join_options options = { .struct_size = sizeof options };
  everything e = { .publisher = packet_publisher("s", 0, 0), .annotator = annotator_new() };
  pictures_publish(e.publisher, 1, 1);
  CHECK_OK(packet_publish(e.publisher, 0, 1, 100, CUFRAMES_PACKET_KEY));
  e.subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK_OK(cuframes_subscriber_enable_packets(e.subscriber, 0));
  CHECK_OK(cuframes_subscriber_fd(e.subscriber, &e.fd));
  CHECK_OK(cuframes_join_create("found", &options, &e.join));
  e.taken = frame_take(e.subscriber);
  CHECK_OK(cuframes_subscriber_next_packet(e.subscriber, patience(), &e.packet));
  CHECK_OK(cuframes_publisher_acquire(e.publisher, &e.open));
  return e;
}

static void everything_destroy(everything *e) {
  cuframes_frame_release(e->taken);
  cuframes_packet_release(e->packet);
  cuframes_publisher_cancel(e->publisher, e->open);
  cuframes_join_destroy(e->join);
  cuframes_subscriber_destroy(e->subscriber);
  cuframes_publisher_destroy(e->annotator);
  cuframes_publisher_destroy(e->publisher);
}

#define REFUSED(call)                                                                                                  \
  do {                                                                                                                 \
    CHECK_RESULT(call, CUFRAMES_ERR_INVALID);                                                                          \
    detail_names("fork");                                                                                              \
  } while (0)

static void publisher_is_refused(everything *e) {
  cuframes_publisher *p = e->publisher;
  cuframes_frame *frame = NULL;
  cuframes_format format = small_format();
  cuframes_codec_params params = video_params();
  cuframes_packet_info packet = { .struct_size = sizeof packet, .data = "x", .size = 1 };
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  cuframes_frame_id id = { .struct_size = sizeof id };
  cuframes_source_info source = { .struct_size = sizeof source };
  REFUSED(cuframes_publisher_acquire(p, &frame));
  REFUSED(cuframes_publisher_publish(p, e->open, NULL));
  REFUSED(cuframes_publisher_publish_on(p, e->open, NULL, NULL));
  REFUSED(cuframes_publisher_cancel(p, e->open));
  REFUSED(cuframes_publisher_register_external(p, &format, 1, &frame));
  REFUSED(cuframes_publisher_reopen(p, e->open));
  REFUSED(cuframes_publisher_unregister_external(p, e->open));
  REFUSED(cuframes_publisher_wait_subscribers(p, 0, 0));
  REFUSED(cuframes_publisher_set_format(p, &format));
  REFUSED(cuframes_publisher_discontinuity(p));
  REFUSED(cuframes_publisher_set_source(p, &source));
  REFUSED(cuframes_publisher_enable_packets(p, NULL));
  REFUSED(cuframes_publisher_set_codec_params(p, 0, &params));
  REFUSED(cuframes_publisher_set_codec_extradata(p, 0, "x", 1));
  REFUSED(cuframes_publisher_publish_packet(p, &packet));
  REFUSED(cuframes_publisher_get_stats(p, &stats));
  (void)id;
}

static void subscriber_is_refused(everything *e) {
  cuframes_subscriber *s = e->subscriber;
  cuframes_frame *frame = NULL;
  cuframes_packet *packet = NULL;
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  cuframes_source_info source = { .struct_size = sizeof source };
  cuframes_frame_id id = { .struct_size = sizeof id };
  uint32_t number;
  int fd;
  REFUSED(cuframes_subscriber_next(s, 0, &frame));
  REFUSED(cuframes_subscriber_next_on(s, CUFRAMES_WAIT_FOREVER, NULL, &frame));
  REFUSED(cuframes_subscriber_device(s, NULL, 0, &number));
  REFUSED(cuframes_subscriber_fd(s, &fd));
  REFUSED(cuframes_subscriber_start(s, (cuframes_frame_fn)abort, NULL));
  REFUSED(cuframes_subscriber_stop(s));
  REFUSED(cuframes_subscriber_enable_packets(s, 0));
  REFUSED(cuframes_subscriber_next_packet(s, CUFRAMES_WAIT_FOREVER, &packet));
  REFUSED(cuframes_subscriber_packet_fd(s, &fd));
  REFUSED(cuframes_subscriber_track_count(s, &number));
  REFUSED(cuframes_subscriber_get_codec_params(s, 0, NULL, NULL, NULL));
  REFUSED(cuframes_subscriber_get_source(s, &source));
  REFUSED(cuframes_subscriber_get_stats(s, &stats));
  REFUSED(cuframes_join_find(e->join, &id, 0, &packet));
  REFUSED(cuframes_join_latest(e->join, &id, &packet));
  cuframes_subscriber_interrupt(s);
  cuframes_join_interrupt(e->join);
}

static void frame_is_refused(cuframes_frame *frame) {
  char bytes[64 * 16];
  size_t size;
  CHECK(cuframes_frame_plane(frame, 0) == NULL && cuframes_frame_pitch(frame, 0) == 0);
  CHECK(cuframes_frame_width(frame) == 64); /* what it says of itself it may say */
  CHECK(cuframes_frame_side_data(frame, 0x10000, &size) == NULL);
  REFUSED(cuframes_frame_copy_to_host(frame, 0, bytes, 0));
  REFUSED(cuframes_frame_copy_from_host(frame, 0, bytes, 0));
  REFUSED(cuframes_frame_add_side_data(frame, 0x10000, "x", 1));
  CHECK(cuframes_frame_ref(frame) == NULL);
  cuframes_frame_used_on(frame, NULL);
}

/* In which order a child gives back what it has. */
typedef enum last { FRAMES_LAST, FRAMES_FIRST, LASTS } last;

typedef struct heritage {
  everything *e;
  last order;
} heritage;

static void use_and_give_back(int test, void *user) {
  heritage *h = user;
  everything *e = h->e;
  publisher_is_refused(e);
  subscriber_is_refused(e);
  frame_is_refused(e->open);
  frame_is_refused(e->taken);
  REFUSED(cuframes_frame_wait(e->taken, 0));
  CHECK(packet_is(e->packet, 1, 100)); /* a copy that every process has */
  if (h->order == FRAMES_FIRST) {
    cuframes_frame_release(e->taken);
    cuframes_frame_release_on(e->open, NULL);
    cuframes_packet_release(e->packet);
  }
  cuframes_join_destroy(e->join);
  cuframes_subscriber_destroy(e->subscriber);
  cuframes_publisher_destroy(e->annotator);
  cuframes_publisher_destroy(e->publisher);
  if (h->order == FRAMES_LAST) {
    CHECK(cuframes_frame_width(e->taken) == 64 && cuframes_frame_width(e->open) == 64);
    cuframes_frame_release(e->taken);
    cuframes_frame_release(e->open);
    cuframes_packet_release(e->packet);
  }
  CHECK(fixture_mappings() == 0);
  say(test, (uint64_t)fixture_descriptors());
}

/* Whether the parent's stream goes on as if nothing had been. */
static void goes_on(everything *e) {
  uint64_t number = publisher_stats(e->publisher).frames;
  assert_int_equal(picture_number(e->taken), 1);
  WAIT_FOR(publisher_stats(e->publisher).subscribers == 1); /* the one of the last time has left */
  assert_int_equal(publisher_stats(e->publisher).evictions, 0);
  CHECK_OK(cuframes_publisher_cancel(e->publisher, e->open));
  for (int i = 0; i < 50; i++) {
    pictures_publish(e->publisher, ++number, 1);
    assert_int_equal(frame_look(e->subscriber), number);
  }
  assert_int_equal(picture_number(e->taken), 1); /* its lease stood all the time */
  CHECK_OK(packet_publish(e->publisher, 0, number, 100, CUFRAMES_PACKET_KEY));
  assert_int_equal(packet_look(e->subscriber, NULL), number);
  cuframes_subscriber_destroy(subscriber_new("s", CUFRAMES_MODE_NEWEST)); /* the name and its socket are there */
  CHECK_OK(cuframes_publisher_acquire(e->publisher, &e->open));
}

static void a_child_uses_nothing_and_changes_nothing(void **state) {
  (void)state;
  int descriptors = fixture_descriptors();
  static everything e; /* a child that exits is to find what it points to */
  e = everything_new();
  uint64_t fewest = UINT64_MAX; /* a thread may have had one open for a moment, just then */
  for (int round = 0; round < 8; round++) {
    child *c = child_start(use_and_give_back, &(heritage){ &e, (last)(round % LASTS) });
    uint64_t left = hear(c->fd);
    fewest = left < fewest ? left : fewest;
    child_finish(c);
    goes_on(&e);
  }
  assert_int_equal(fewest, descriptors + 1); /* its line */
  everything_destroy(&e);
}

/* ---- children that end with all of it open ---- */

static void end_by_exit(int test, void *unused) {
  (void)unused;
  say(test, 0);
  exit(0); /* with handlers, destructors and all */
}

static void a_child_that_exits_changes_nothing(void **state) {
  (void)state;
  static everything e; /* a child that exits is to find what it points to */
  e = everything_new();
  for (int round = 0; round < 4; round++) {
    child *c = child_start(end_by_exit, NULL);
    (void)hear(c->fd);
    child_finish(c);
    goes_on(&e);
  }
  everything_destroy(&e);
}

/* ---- daemons ---- */

/* What daemon() leaves is a child, whose parent has ended without a word. */
static void run_daemon(int test, void *user) {
  const bool *is_publisher = user;
  cuframes_publisher *publisher = NULL;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  (void)hear(test);
  if (*is_publisher)
    publisher = publisher_new("s");
  else
    subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  say(test, 0);
  (void)hear(test);
  CHECK(daemon(1, 1) == 0);
  if (publisher)
    REFUSED(cuframes_publisher_acquire(publisher, &frame));
  else
    REFUSED(cuframes_subscriber_next(subscriber, patience(), &frame));
  cuframes_publisher_destroy(publisher);
  cuframes_subscriber_destroy(subscriber);
  say(test, 1);
  (void)hear(test);
#ifndef __SANITIZE_THREAD__ /* it starts no threads in a process that was forked */
  if (*is_publisher) {      /* as it should be done */
    publisher = publisher_new("s");
    pictures_publish(publisher, 1, 1);
    say(test, 2);
    (void)hear(test);
    cuframes_publisher_destroy(publisher);
  } else {
    subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
    say(test, frame_look(subscriber) == 1 ? 2 : 0);
    (void)hear(test);
    cuframes_subscriber_destroy(subscriber);
  }
#endif
  say(test, 3);
}

static bool threads_in_children(void) {
#ifdef __SANITIZE_THREAD__
  return false;
#else
  return true;
#endif
}

static void a_daemon_must_create_anew(void **state) {
  (void)state;
  for (int publishes = 0; publishes < 2; publishes++) {
    bool is_publisher = publishes;
    child *c = child_start(run_daemon, &is_publisher);
    cuframes_publisher *publisher = is_publisher ? NULL : publisher_new("s");
    cuframes_subscriber *subscriber = NULL;
    cuframes_frame *none = NULL;
    if (publisher)
      pictures_publish(publisher, 1, 1);
    say(c->fd, 0);
    (void)hear(c->fd);
    if (is_publisher)
      subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
    say(c->fd, 0);
    assert_int_equal(hear(c->fd), 1);
    if (publisher)
      WAIT_FOR(publisher_stats(publisher).subscribers == 0);
    else
      CHECK_RESULT(cuframes_subscriber_next(subscriber, patience(), &none), CUFRAMES_ERR_PUBLISHER_GONE);
    cuframes_subscriber_destroy(subscriber);
    say(c->fd, 0);
    if (threads_in_children()) {
      assert_int_equal(hear(c->fd), 2);
      if (is_publisher) {
        subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
        assert_int_equal(frame_look(subscriber), 1);
        cuframes_subscriber_destroy(subscriber);
      }
      say(c->fd, 0);
    }
    assert_int_equal(hear(c->fd), 3);
    child_finish(c); /* the one that daemon() ended */
    cuframes_publisher_destroy(publisher);
    if (is_publisher && !threads_in_children())
      cuframes_publisher_destroy(publisher_new("s")); /* takes its leavings with it */
  }
}

/* ---- forks while other threads are at work ---- */

typedef struct worker {
  pthread_t thread;
  cf_flag stop;
  cuframes_publisher *publisher;
} worker;

static void *join_and_leave(void *argument) {
  worker *w = argument;
  for (uint64_t number = 2; !cf_flag_get(&w->stop); number++) {
    cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
    pictures_publish(w->publisher, number, 1);
    cuframes_frame_release(frame_take(subscriber));
    cuframes_subscriber_destroy(subscriber);
  }
  return NULL;
}

static void destroy_all(int test, void *user) {
  everything *e = user;
  (void)test;
  cuframes_subscriber_destroy(e->subscriber);
  cuframes_publisher_destroy(e->publisher);
  cuframes_frame_release(e->taken);
}

static void forks_come_at_any_time(void **state) {
  (void)state;
  worker w = { .publisher = publisher_new("s") };
  pictures_publish(w.publisher, 1, 1);
  everything e = { .publisher = w.publisher, .subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST) };
  e.taken = frame_take(e.subscriber);
  CHECK(pthread_create(&w.thread, NULL, join_and_leave, &w) == 0);
  for (int i = 0; i < 100; i++)
    child_finish(child_start(destroy_all, &e));
  cf_flag_set(&w.stop, 1);
  CHECK(pthread_join(w.thread, NULL) == 0);
  assert_int_equal(picture_number(e.taken), 1);
  cuframes_frame_release(e.taken);
  cuframes_subscriber_destroy(e.subscriber);
  cuframes_publisher_destroy(w.publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(a_dead_publishers_child_keeps_nobody),
    FIXTURE(a_dead_subscribers_child_holds_no_slot),
    FIXTURE(a_child_uses_nothing_and_changes_nothing),
    FIXTURE(a_child_that_exits_changes_nothing),
    FIXTURE(a_daemon_must_create_anew),
    FIXTURE(forks_come_at_any_time),
  };
  return FIXTURE_RUN("fork", tests);
}
