/* test_give_up.c - calls that wait for the other side and are given up: by the option `interrupt` and by
 * cuframes_publisher_interrupt(), from other threads and from signal handlers. Nothing is lost, and nothing is left.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/futex.h"
#include "support/child.h"
#include "support/packets.h"
#include "support/stream.h"

#define AT_ONCE_MS 500 /* a publisher's answer is waited for 2 s */

/* ---- a call in a thread of its own ---- */

typedef struct call {
  int (*run)(void *of);
  void *of;
  int result;
  cf_flag thread_id;
  pthread_t thread;
} call;

static void *call_run(void *argument) {
  call *c = argument;
  cf_flag_set(&c->thread_id, (uint32_t)syscall(SYS_gettid));
  c->result = c->run(c->of);
  return NULL;
}

/* Until it waits. */
static void call_start(call *c, int (*run)(void *of), void *of) {
  *c = (call){ .run = run, .of = of };
  CHECK(pthread_create(&c->thread, NULL, call_run, c) == 0);
  WAIT_FOR(cf_flag_get(&c->thread_id) != 0);
  thread_wait_asleep((pid_t)cf_flag_get(&c->thread_id));
}

static int call_end(call *c) {
  CHECK(pthread_join(c->thread, NULL) == 0);
  return c->result;
}

/* ---- who is asked ---- */

static cf_flag raised;

static int is_raised(void *user) {
  (void)user;
  return (int)cf_flag_get(&raised);
}

/* Gives up when it is asked for the n-th time, and is not asked again. */
typedef struct countdown {
  int left;
} countdown;

static int counts_down(void *user) {
  countdown *c = user;
  CHECK(c->left > 0);
  return --c->left == 0;
}

static cuframes_subscriber_options given_up_by(cuframes_interrupt_fn interrupt, void *user) {
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_NEWEST);
  options.interrupt = interrupt;
  options.interrupt_user = user;
  return options;
}

/* ---- a publisher that is stopped ---- */

static void run_publisher(int test, void *unused) {
  (void)unused;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  say(test, 0);
  while (hear(test) != 0)
    say(test, publisher_stats(publisher).subscribers);
  cuframes_publisher_destroy(publisher);
}

static child *publisher_start(void) {
  child *publisher = child_start(run_publisher, NULL);
  (void)hear(publisher->fd);
  cf_flag_set(&raised, 0);
  return publisher;
}

static uint64_t subscribers_of(child *publisher) {
  say(publisher->fd, 1);
  return hear(publisher->fd);
}

/* Those that were given up have left no seat, and others join. */
static void publisher_end(child *publisher) {
  WAIT_FOR(subscribers_of(publisher) == 0);
  cuframes_subscriber *next = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  assert_int_equal(subscribers_of(publisher), 1);
  cuframes_subscriber_destroy(next);
  say(publisher->fd, 0);
  child_finish(publisher);
}

static int join_it(void *options) {
  cuframes_subscriber *none = NULL;
  const int result = cuframes_subscriber_create("s", options, &none);
  CHECK(result == CUFRAMES_OK || none == NULL);
  cuframes_subscriber_destroy(none);
  return result;
}

static int query_it(void *options) {
  cuframes_stream_info *info = NULL;
  const int result = cuframes_stream_query_with("s", options, &info);
  cuframes_stream_info_free(info);
  return result;
}

static int list_them(void *options) {
  cuframes_streams *streams = NULL;
  const int result = cuframes_stream_list_with(options, &streams);
  cuframes_streams_free(streams);
  return result;
}

/* Begins to wait, and is given up: at once, well before the time for an answer is over. */
static void ends_at_once(int (*run)(void *of), void *of) {
  call waits;
  cf_flag_set(&raised, 0);
  call_start(&waits, run, of);
  const int64_t start = cuframes_now();
  cf_flag_set(&raised, 1);
  assert_int_equal(call_end(&waits), CUFRAMES_ERR_INTERRUPTED);
  SOON(cuframes_now() - start, AT_ONCE_MS);
}

static void joining_and_asking_a_stopped_publisher(void **state) {
  (void)state;
  child *publisher = publisher_start();
  cuframes_subscriber_options join = given_up_by(is_raised, NULL);
  cuframes_query_options query = { .struct_size = sizeof query, .timeout_ns = -1, .interrupt = is_raised };
  child_stop(publisher);
  ends_at_once(join_it, &join);
  ends_at_once(query_it, &query);
  ends_at_once(list_them, &query);
  join.connect_timeout_ns = CUFRAMES_WAIT_FOREVER;
  ends_at_once(join_it, &join);
  assert_int_equal(join_it(&join), CUFRAMES_ERR_INTERRUPTED); /* it says so still: not even begun */
  child_continue(publisher);
  publisher_end(publisher);
}

static void a_stopped_publisher_with_a_full_queue(void **state) {
  (void)state;
  child *publisher = publisher_start();
  cuframes_subscriber_options join = given_up_by(is_raised, NULL);
  child_stop(publisher);
  for (int i = 0; i < 200; i++) { /* a backlog is 128 */
    countdown second = { 2 };
    cuframes_subscriber_options options = given_up_by(counts_down, &second);
    assert_int_equal(join_it(&options), CUFRAMES_ERR_INTERRUPTED);
  }
  ends_at_once(join_it, &join); /* in connect() */
  child_continue(publisher);
  publisher_end(publisher);
}

static void a_name_that_is_not_there(void **state) {
  (void)state;
  cuframes_subscriber_options join = given_up_by(is_raised, NULL);
  join.connect_timeout_ns = CUFRAMES_WAIT_FOREVER;
  ends_at_once(join_it, &join);
}

static int enable(void *subscriber) {
  return cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_OLDEST);
}

static int count_tracks(void *subscriber) {
  uint32_t count;
  return cuframes_subscriber_track_count(subscriber, &count);
}

static int ask_codec(void *subscriber) {
  return cuframes_subscriber_get_codec_params(subscriber, 0, NULL, NULL, NULL);
}

/* What was asked stays asked: the next call has the answer. */
static void asking_for_packets_and_tracks(void **state) {
  (void)state;
  child *publisher = publisher_start();
  cuframes_subscriber_options options = given_up_by(is_raised, NULL);
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  int (*const questions[])(void *) = { enable, count_tracks, ask_codec };
  for (int i = 0; i < 3; i++) {
    child_stop(publisher);
    ends_at_once(questions[i], subscriber);
    child_continue(publisher);
    cf_flag_set(&raised, 0);
    CHECK_OK(questions[i](subscriber));
  }
  cuframes_subscriber_destroy(subscriber);
  publisher_end(publisher);
}

/* Two threads ask: the one that is in line behind the other is given up, too. */
static void two_that_ask_at_once(void **state) {
  (void)state;
  child *publisher = publisher_start();
  cuframes_subscriber_options options = given_up_by(is_raised, NULL);
  cuframes_subscriber *subscriber = subscriber_join("s", &options);
  call first, second;
  child_stop(publisher);
  call_start(&first, count_tracks, subscriber);
  call_start(&second, ask_codec, subscriber);
  const int64_t start = cuframes_now();
  cf_flag_set(&raised, 1);
  assert_int_equal(call_end(&first), CUFRAMES_ERR_INTERRUPTED);
  assert_int_equal(call_end(&second), CUFRAMES_ERR_INTERRUPTED);
  SOON(cuframes_now() - start, AT_ONCE_MS);
  child_continue(publisher);
  cuframes_subscriber_destroy(subscriber);
  publisher_end(publisher);
}

/* ---- many, and what they leave ---- */

static int threads(void) {
  return threads_called("cuframes-watch");
}

static void a_thousand_leave_nothing(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_subscriber *other = subscriber_new("s", CUFRAMES_MODE_NEWEST); /* so that the watcher runs all the time */
  const int descriptors = fixture_descriptors(), mappings = fixture_mappings(), watchers = threads();
  int given_up = 0;
  pictures_publish(publisher, 1, 3);
  for (int i = 0; i < 1000; i++) {
    countdown asked = { 1 + i % 4 }; /* before connecting, before the answer, before segments, hardly ever */
    cuframes_subscriber_options options = given_up_by(counts_down, &asked);
    const int result = join_it(&options);
    CHECK(result == CUFRAMES_OK || result == CUFRAMES_ERR_INTERRUPTED || result == CUFRAMES_ERR_NO_CAPACITY);
    given_up += result == CUFRAMES_ERR_INTERRUPTED;
  }
  CHECK_BETWEEN(given_up, 250, 1000);
  WAIT_FOR(publisher_stats(publisher).subscribers == 1);
  WAIT_FOR(fixture_descriptors() <= descriptors);
  assert_int_equal(fixture_mappings(), mappings);
  assert_int_equal(threads(), watchers);
  assert_int_equal(frame_look(other), 3);
  cuframes_subscriber_destroy(other);
  cuframes_publisher_destroy(publisher);
}

/* ---- a publisher that waits ---- */

typedef struct ordered {
  cuframes_publisher *publisher;
  cuframes_subscriber *subscriber;
  cuframes_frame *open; /* there is no room for it */
} ordered;

static ordered ordered_new(cuframes_interrupt_fn interrupt, void *user) {
  cuframes_publisher_options options = publisher_options();
  cuframes_subscriber_options reader = subscriber_options(CUFRAMES_MODE_ORDERED);
  ordered o = { 0 };
  options.interrupt = interrupt;
  options.interrupt_user = user;
  reader.depth = 1;
  CHECK_OK(cuframes_publisher_create("s", &options, &o.publisher));
  o.subscriber = subscriber_join("s", &reader);
  CHECK_OK(picture_publish(o.publisher, 1));
  CHECK_OK(cuframes_publisher_acquire(o.publisher, &o.open));
  picture_draw(o.open, 2);
  return o;
}

static int publish_it(void *of) {
  ordered *o = of;
  const cuframes_publish_info info = { .struct_size = sizeof info, .pts = 2000 };
  return cuframes_publisher_publish(o->publisher, o->open, &info);
}

static int drain_it(void *of) {
  return cuframes_publisher_drain(((ordered *)of)->publisher, CUFRAMES_WAIT_FOREVER);
}

static int wait_for_two(void *of) {
  return cuframes_publisher_wait_subscribers(((ordered *)of)->publisher, 2, CUFRAMES_WAIT_FOREVER);
}

/* Both pictures come, in their order; nobody was evicted and nothing was dropped. */
static void ordered_end(ordered *o) {
  assert_int_equal(frame_look(o->subscriber), 1);
  CHECK_OK(publish_it(o));
  assert_int_equal(frame_look(o->subscriber), 2);
  CHECK_OK(cuframes_publisher_drain(o->publisher, patience()));
  cuframes_publisher_stats stats = publisher_stats(o->publisher);
  assert_int_equal(stats.evictions + stats.dropped, 0);
  assert_int_equal(stats.frames, 2);
  cuframes_subscriber_destroy(o->subscriber);
  cuframes_publisher_destroy(o->publisher);
}

static void is_interrupted(ordered *o, int (*run)(void *of)) {
  call waits;
  call_start(&waits, run, o);
  const int64_t start = cuframes_now();
  cuframes_publisher_interrupt(o->publisher);
  assert_int_equal(call_end(&waits), CUFRAMES_ERR_INTERRUPTED);
  SOON(cuframes_now() - start, AT_ONCE_MS);
}

static void an_interrupted_publisher_loses_nothing(void **state) {
  (void)state;
  ordered o = ordered_new(NULL, NULL);
  is_interrupted(&o, publish_it);
  CHECK_RESULT(drain_it(&o), CUFRAMES_ERR_INTERRUPTED); /* it ends a wait of the other kind, too, */
  is_interrupted(&o, wait_for_two);                     /* and each that comes later */
  is_interrupted(&o, drain_it);
  ordered_end(&o);
}

/* One that comes before the wait ends that, several end one, and a call that need not wait leaves it. */
static void an_interruption_is_for_the_next_wait(void **state) {
  (void)state;
  ordered o = ordered_new(NULL, NULL);
  cuframes_publisher_interrupt(o.publisher);
  cuframes_publisher_interrupt(o.publisher);
  assert_int_equal(frame_look(o.subscriber), 1);
  CHECK_OK(publish_it(&o));
  CHECK_OK(cuframes_publisher_acquire(o.publisher, &o.open));
  picture_draw(o.open, 2);
  CHECK_RESULT(publish_it(&o), CUFRAMES_ERR_INTERRUPTED);
  call waits;
  call_start(&waits, publish_it, &o); /* it was taken */
  assert_int_equal(frame_look(o.subscriber), 2);
  CHECK_OK(call_end(&waits));
  CHECK_RESULT(drain_it(&o), CUFRAMES_ERR_INTERRUPTED);
  cuframes_publisher_interrupt(NULL);
  cuframes_subscriber_destroy(o.subscriber);
  cuframes_publisher_destroy(o.publisher);
}

static void the_option_of_a_publisher(void **state) {
  (void)state;
  ordered o = ordered_new(is_raised, NULL);
  ends_at_once(publish_it, &o);
  ends_at_once(drain_it, &o);
  ends_at_once(wait_for_two, &o);
  cuframes_frame *other = NULL;
  CHECK_RESULT(cuframes_publisher_acquire(o.publisher, &other), CUFRAMES_ERR_LEASE_LIMIT); /* it does not wait */
  cf_flag_set(&raised, 0);
  ordered_end(&o);
}

/* ---- signals ---- */

static cuframes_publisher *signalled;

static void on_signal(int number) {
  (void)number;
  cf_flag_set(&raised, 1);
  cuframes_publisher_interrupt(signalled);
}

typedef struct signaller {
  pthread_t whom;
  pid_t whom_id;
} signaller;

static void *signal_when_asleep(void *argument) {
  const signaller *s = argument;
  thread_wait_asleep(s->whom_id);
  CHECK(pthread_kill(s->whom, SIGUSR1) == 0);
  return NULL;
}

static void is_ended_by_a_signal(int (*run)(void *of), void *of) {
  signaller s = { pthread_self(), (pid_t)syscall(SYS_gettid) };
  pthread_t thread;
  cf_flag_set(&raised, 0);
  CHECK(pthread_create(&thread, NULL, signal_when_asleep, &s) == 0);
  const int result = run(of);
  CHECK(pthread_join(thread, NULL) == 0);
  assert_int_equal(result, CUFRAMES_ERR_INTERRUPTED);
}

static void from_a_signal_handler(void **state) {
  (void)state;
  child *stopped = publisher_start();
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;
  cuframes_subscriber_options join = given_up_by(is_raised, NULL);
  CHECK(sigaction(SIGUSR1, &action, &before) == 0);
  child_stop(stopped);
  is_ended_by_a_signal(join_it, &join);
  child_continue(stopped);
  publisher_end(stopped);
  ordered o = ordered_new(NULL, NULL);
  signalled = o.publisher;
  is_ended_by_a_signal(publish_it, &o);
  is_ended_by_a_signal(drain_it, &o);
  signalled = NULL;
  CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
  ordered_end(&o);
}

/* ---- slots ---- */

/* No slot is free and none can be made: there are no descriptors left. For an ordered subscriber one is waited for. */
static void a_publisher_that_waits_for_a_slot(void **state) {
  (void)state;
  enum { LEASES = 16 };
  cuframes_publisher_options options = publisher_options();
  cuframes_subscriber_options reader = subscriber_options(CUFRAMES_MODE_ORDERED);
  cuframes_frame *held[LEASES] = { NULL };
  struct rlimit limit, none;
  ordered o = { 0 };
  uint32_t count = 0;
  int result = CUFRAMES_OK;
  options.slots = 2;
  reader.leases = LEASES;
  CHECK_OK(cuframes_publisher_create("s", &options, &o.publisher));
  o.subscriber = subscriber_join("s", &reader);
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  none = limit;
  none.rlim_cur = 3;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  cuframes_publisher_interrupt(o.publisher); /* the first call that must wait ends */
  while (count < LEASES && (result = picture_publish(o.publisher, count + 1)) == CUFRAMES_OK)
    held[count++] = frame_take(o.subscriber);
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  assert_int_equal(result, CUFRAMES_ERR_INTERRUPTED);
  assert_int_equal(publisher_stats(o.publisher).dropped, 0);
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(picture_number(held[i]), i + 1);
    cuframes_frame_release(held[i]);
  }
  CHECK_OK(picture_publish(o.publisher, count + 1));
  assert_int_equal(frame_look(o.subscriber), count + 1);
  cuframes_subscriber_destroy(o.subscriber);
  cuframes_publisher_destroy(o.publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(joining_and_asking_a_stopped_publisher),
    FIXTURE(a_stopped_publisher_with_a_full_queue),
    FIXTURE(a_name_that_is_not_there),
    FIXTURE(asking_for_packets_and_tracks),
    FIXTURE(two_that_ask_at_once),
    FIXTURE(a_thousand_leave_nothing),
    FIXTURE(an_interrupted_publisher_loses_nothing),
    FIXTURE(an_interruption_is_for_the_next_wait),
    FIXTURE(the_option_of_a_publisher),
    FIXTURE(from_a_signal_handler),
    FIXTURE(a_publisher_that_waits_for_a_slot),
  };
  return FIXTURE_RUN("give up", tests);
}
