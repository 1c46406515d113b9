/* test_failures_publisher.c - each driver call of a publisher's life fails in turn. Its calls say so or get along
 * without; subscribers get whole pictures, or learn that there will be none; nothing is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver_faults.h"
#include "gpu/checker.h"
#include "pair.h"
#include "support/stream.h"

#define GONE_MS 1000
#define IN_VAIN_MS 50 /* for what a lost context may have left undone */
#define CALLS_MOST 400

/* ---- the peer: a subscriber in another process, for whom nothing fails, and who does what it is told ---- */

enum order_kind { JOIN, LOOK, GO, END };
typedef struct order {
  enum order_kind kind;
  uint32_t sync;
  uint64_t number; /* to look for */
  int64_t ns;      /* as long at most */
  bool on_stream;
} order;
typedef struct answer {
  int result;
  bool torn;
  uint64_t number;
  int64_t took;
} answer;

/* The peer's: taken, and not complete in the time it had. The next look begins with it. */
static cuframes_frame *late;

static void peer_look(cuframes_subscriber *subscriber, const order *o, answer *a) {
  int64_t end = cuframes_now() + o->ns;
  a->number = 0;
  while (a->result == CUFRAMES_OK && a->number < o->number && !a->torn) {
    cuframes_frame *frame = late;
    bool whole = false, on_stream = o->on_stream && o->number % 2 == 0;
    int64_t left = end > cuframes_now() ? end - cuframes_now() : 0;
    if (!frame)
      a->result = on_stream ? cuframes_subscriber_next_on(subscriber, left, NULL, &frame)
                            : cuframes_subscriber_next(subscriber, left, &frame);
    if (a->result != CUFRAMES_OK)
      return;
    int looked = cuframes_frame_wait(frame, end > cuframes_now() ? end - cuframes_now() : 0);
    if (looked == CUFRAMES_OK)
      looked = picture_look(frame, frame_number(frame), &whole);
    a->torn = looked == CUFRAMES_OK && !whole;
    a->number = looked == CUFRAMES_OK ? (uint64_t)cuframes_frame_pts(frame) / 1000 : 0;
    CHECK(looked == CUFRAMES_OK || looked == CUFRAMES_ERR_LOST || looked == CUFRAMES_ERR_TIMEOUT);
    a->result = looked == CUFRAMES_ERR_TIMEOUT ? looked : a->result;
    late = looked == CUFRAMES_ERR_TIMEOUT ? frame : NULL;
    if (late)
      return;
    if (on_stream)
      cuframes_frame_release_on(frame, NULL);
    else
      cuframes_frame_release(frame);
  }
}

static void run_peer(int link) {
  cuframes_subscriber *subscriber = NULL;
  resources before = resources_now();
  bool first = true;
  for (order o = { 0 }; o.kind != END;) {
    answer a = { 0 };
    learn(link, &o, sizeof o);
    int64_t start = cuframes_now();
    if (o.kind == JOIN) {
      cuframes_subscriber_options options = { .struct_size = sizeof options, .leases = 3, .sync = o.sync };
      a.result = cuframes_subscriber_create("failing", &options, &subscriber);
      CHECK(a.result == CUFRAMES_OK || strlen(cuframes_last_error()) > 10);
    } else if (o.kind == LOOK) {
      peer_look(subscriber, &o, &a);
    } else if (o.kind == GO) {
      cuframes_frame_release(late); /* it may never have been complete */
      late = NULL;
      cuframes_subscriber_destroy(subscriber);
      subscriber = NULL;
      if (!first)
        resources_are(&before, &(driver_fault){ 0 });
      before = resources_now();
      first = false; /* the first time the driver opens something of its own */
    }
    a.took = cuframes_now() - start;
    tell(link, &a, sizeof a);
  }
}

/* ---- the publisher ---- */

typedef struct plan {
  uint32_t sync;
  bool legacy, external;
  bool own_context; /* the application's, current, and a stream of it; else the primary one, and the default stream */
} plan;

/* Two of each kind: cuMemAlloc(), VMM, a pool. */
#define BUFFERS 6

typedef struct life {
  const plan *plan;
  driver_fault fault;
  int link;
  cu_context context;
  cu_stream stream;
  cu_deviceptr buffers[BUFFERS];
  cuframes_frame *registered[BUFFERS];
  gpu_memory vmm[2];
  cu_pool pool;
  cuframes_publisher *publisher;
  uint64_t number;
  bool joined, dead; /* dead: the context was lost, and the publisher knows */
} life;

static answer ask(const life *l, enum order_kind kind, uint64_t number) {
  bool in_vain = kind == LOOK && driver_fault_is_sticky(&l->fault) && !l->dead;
  /* a stream that waits for an event of a lost context waits for ever */
  bool on_stream = l->plan->sync != CUFRAMES_SYNC_SLOT_EVENTS || !driver_fault_is_sticky(&l->fault);
  order o = { kind, l->plan->sync, number, in_vain ? IN_VAIN_MS * MS : patience(), on_stream };
  answer a;
  tell(l->link, &o, sizeof o);
  learn(l->link, &a, sizeof a);
  return a;
}

/* The application's own things, for which nothing fails; but a context may be lost at the end. */
static void context_set(life *l) {
  if (!l->plan->own_context)
    return;
  CHECK_OK(cu.cuDevicePrimaryCtxRetain(&l->context, 0));
  CHECK_OK(cu.cuCtxPushCurrent(l->context));
  CHECK_OK(cu.cuStreamCreate(&l->stream, CU_STREAM_NON_BLOCKING));
  if (!l->plan->external)
    return;
  cu_pool_props props = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                          .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                          .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } };
  CHECK_OK(cu.cuMemPoolCreate(&l->pool, &props));
  for (int i = 0; i < 2; i++) {
    CHECK_OK(cu.cuMemAlloc(&l->buffers[i], SEGMENT));
    gpu_memory_make(&(gpu){ 0 }, &l->vmm[i], SEGMENT, NULL);
    l->buffers[2 + i] = l->vmm[i].address;
    CHECK_OK(cu.cuMemAllocFromPoolAsync(&l->buffers[4 + i], SEGMENT, l->pool, l->stream));
  }
  CHECK_OK(cu.cuStreamSynchronize(l->stream));
}

static void context_clear(const life *l) {
  cu_context popped;
  if (!l->context)
    return;
  for (int i = 0; i < 2 && l->pool; i++) { /* of a lost context they fail, and go with it */
    (void)cu.cuMemFree(l->buffers[i]);
    (void)cu.cuMemFree(l->buffers[4 + i]);
    (void)cu.cuMemUnmap(l->vmm[i].address, l->vmm[i].bytes);
    (void)cu.cuMemAddressFree(l->vmm[i].address, l->vmm[i].bytes);
    (void)cu.cuMemRelease(l->vmm[i].handle);
  }
  if (l->pool)
    (void)cu.cuMemPoolDestroy(l->pool);
  (void)cu.cuStreamDestroy(l->stream);
  CHECK_OK(cu.cuCtxPopCurrent(&popped));
  CHECK_OK(cu.cuDevicePrimaryCtxRelease(0));
}

/* After a failure: nothing goes any more, and whoever was there learns it. */
static void now_dead(life *l) {
  cuframes_frame *frame = NULL;
  CHECK(driver_fault_is_sticky(&l->fault));
  CHECK_RESULT(cuframes_publisher_acquire(l->publisher, &frame), CUFRAMES_ERR_DEVICE);
  l->dead = true;
  if (l->joined) { /* at once: it needs no patience */
    answer a = ask(l, LOOK, UINT64_MAX);
    CHECK(a.result == CUFRAMES_ERR_PUBLISHER_GONE && !a.torn);
    SOON(a.took, GONE_MS);
  } else {
    CHECK(ask(l, JOIN, 0).result != CUFRAMES_OK);
  }
}

static int publish_once(life *l) {
  cuframes_publish_info info = { .struct_size = sizeof info };
  cuframes_frame *frame = NULL;
  int result = cuframes_publisher_acquire(l->publisher, &frame);
  if (result != CUFRAMES_OK)
    return result;
  info.pts = (int64_t)(l->number + 1) * 1000;
  result = picture_copy(frame, l->number + 1);
  if (result != CUFRAMES_OK)
    CHECK_OK(cuframes_publisher_cancel(l->publisher, frame));
  else
    result = cuframes_publisher_publish_on(l->publisher, frame, l->stream, &info);
  return result;
}

/* Its copies fail, and so do those of the application; publishing finds out why. */
static void find_out(life *l) {
  cuframes_frame *frame = NULL;
  if (cuframes_publisher_acquire(l->publisher, &frame) == CUFRAMES_OK)
    CHECK_RESULT(cuframes_publisher_publish_on(l->publisher, frame, NULL, NULL), CUFRAMES_ERR_DEVICE);
  now_dead(l);
}

/* The peer sees the last picture, unless the context was lost behind the publisher's back, after the submission: it
 * learns that when it goes on, and its service thread may have noticed and ended the stream. */
static void show(life *l) {
  int64_t end = cuframes_now() + patience();
  for (;;) {
    bool happened = driver_fault_has_happened();
    answer a = ask(l, LOOK, l->number);
    CHECK(!a.torn);
    if (a.result == CUFRAMES_OK) {
      CHECK(a.number == l->number);
      return;
    }
    CHECK(a.result == CUFRAMES_ERR_TIMEOUT || a.result == CUFRAMES_ERR_PUBLISHER_GONE);
    CHECK(driver_fault_is_sticky(&l->fault) && cuframes_now() < end);
    if (a.result == CUFRAMES_ERR_TIMEOUT && !happened)
      continue;
    CHECK(driver_fault_has_happened());
    if (publish_once(l) != CUFRAMES_OK) {
      find_out(l);
      return;
    }
    CHECK(a.result == CUFRAMES_ERR_TIMEOUT); /* the machine is slow, and the call that failed had no context to lose */
    l->number++;
  }
}

/* What failed once goes the second time, unless the context is lost. */
static void publish(life *l) {
  if (l->dead)
    return;
  if (!driver_fault_tolerates(publish_once(l))) {
    int again = publish_once(l);
    if (again != CUFRAMES_OK && driver_fault_is_sticky(&l->fault)) {
      find_out(l);
      return;
    }
    CHECK(driver_fault_tolerates(again));
  }
  l->number++;
  if (l->joined)
    show(l);
}

static void join(life *l) {
  if (l->dead)
    return;
  int64_t end = cuframes_now() + patience();
  answer a;
  bool happened;
  do { /* a busy machine may not answer in time */
    happened = driver_fault_has_happened();
    a = ask(l, JOIN, 0);
  } while ((a.result == CUFRAMES_ERR_TIMEOUT || a.result == CUFRAMES_ERR_PUBLISHER_GONE) && !happened &&
           !driver_fault_has_happened() && cuframes_now() < end);
  bool refused = a.result != CUFRAMES_OK;
  CHECK(!refused || driver_fault_has_happened());
  if (refused && !driver_fault_is_sticky(&l->fault))
    a = ask(l, JOIN, 0);
  l->joined = a.result == CUFRAMES_OK;
  CHECK(l->joined || driver_fault_is_sticky(&l->fault));
}

static void change_format(life *l) {
  cuframes_format format = small_format();
  format.width = 192;
  if (l->dead)
    return;
  if (!driver_fault_tolerates(cuframes_publisher_set_format(l->publisher, &format)))
    CHECK(driver_fault_tolerates(cuframes_publisher_set_format(l->publisher, &format)) ||
          driver_fault_is_sticky(&l->fault));
}

static void *buffer_of(const life *l, int i) {
  return (void *)(uintptr_t)(l->buffers[i] + 512);
}

static bool lost(const life *l) {
  return driver_fault_has_happened() && driver_fault_is_sticky(&l->fault);
}

/* Registers them all, gives one back and publishes the others: acquire() has them then. Unless the context is lost. */
static void hand_over_buffers(life *l) {
  cuframes_publish_info info = { .struct_size = sizeof info };
  for (int i = 0; i < BUFFERS; i++) {
    int result = CUFRAMES_ERR_DEVICE;
    for (int tries = 0; tries < 2 && result != CUFRAMES_OK; tries++) {
      result = cuframes_publisher_register_external(l->publisher, buffer_of(l, i), SEGMENT - 512, &l->registered[i]);
      if (result == CUFRAMES_ERR_INVALID) /* what the driver does not tell of an address is no address */
        CHECK(driver_fault_has_happened());
      else
        (void)driver_fault_tolerates(result);
    }
    CHECK(result == CUFRAMES_OK || lost(l));
  }
  if (!lost(l))
    CHECK_OK(cuframes_publisher_unregister_external(l->publisher, l->registered[0]));
  for (int i = 1; i < BUFFERS && !lost(l); i++) {
    if (driver_fault_tolerates(cuframes_publisher_publish_on(l->publisher, l->registered[i], l->stream, &info)) ||
        lost(l))
      continue;
    CHECK_OK(cuframes_publisher_reopen(l->publisher, l->registered[i])); /* it was cancelled */
    CHECK_OK(cuframes_publisher_publish_on(l->publisher, l->registered[i], l->stream, &info));
  }
}

static void live(life *l) {
  cuframes_publisher_options options = { .struct_size = sizeof options,
                                         .format = small_format(),
                                         .device = "cuda:0",
                                         .slots = l->plan->external ? 0 : 3,
                                         .memory = l->plan->legacy,
                                         .external = l->plan->external };
  if (!driver_fault_tolerates(cuframes_publisher_create("failing", &options, &l->publisher))) {
    CHECK(l->publisher == NULL && fixture_files() == 0);
    return;
  }
  if (l->plan->external)
    hand_over_buffers(l);
  if (!l->plan->external || !lost(l)) {
    publish(l);
    join(l);
    for (int i = 0; i < (l->plan->external ? BUFFERS : 2); i++)
      publish(l);
  }
  if (!l->plan->external) {
    change_format(l);
    publish(l);
  }
  bool stays = l->fault.nth % 2 == 0; /* the peer */
  if (l->joined && !stays)
    CHECK_OK(ask(l, GO, 0).result);
  cuframes_publisher_destroy(l->publisher);
  if (l->joined && stays && !l->dead)
    CHECK(ask(l, LOOK, UINT64_MAX).result == CUFRAMES_ERR_PUBLISHER_GONE);
  if (l->joined && stays)
    CHECK_OK(ask(l, GO, 0).result);
  CHECK(fixture_files() == 0);
}

static const plan *planned;

static void run_publisher(int link) {
  unsigned nth = 0;
  CHECK_OK(gpu_load());
  resources before = { 0 };
  bool many_calls = planned->sync == CUFRAMES_SYNC_SLOT_EVENTS; /* two errors tell as much as three */
  for (int i = 0; i < DRIVER_FAULT_ERRORS; i += many_calls ? 2 : 1) {
    driver_fault f = { .happened = true, .error = driver_fault_errors[i] };
    for (nth = 0; f.happened || nth <= 1; nth++) { /* the 0th: nothing fails */
      life l = { .plan = planned,
                 .link = link,
                 .fault = { .nth = nth ? nth : CALLS_MOST, .error = driver_fault_errors[i] } };
      context_set(&l);
      driver_fault_begin(&l.fault);
      live(&l);
      driver_fault_end(&l.fault);
      context_clear(&l);
      f = l.fault;
      if (nth > 0)
        resources_are(&before, &f);
      before = resources_now();
      CHECK(nth < CALLS_MOST);
    }
  }
  CHECK(nth > 20);
  printf("numbers: %u calls in a life\n", nth - 2);
  fflush(stdout);
  order o = { .kind = END };
  answer a;
  tell(link, &o, sizeof o);
  learn(link, &a, sizeof a);
}

static void play(const plan *p) {
  planned = p;
  pair both = pair_begin(run_publisher, run_peer);
  (void)hear_of_many(both.a->fd);
  (void)hear_of_many(both.b->fd);
  pair_finish(both.a);
  pair_finish(both.b);
}

static void vmm_complete(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_COMPLETE });
}

static void vmm_timeline(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_TIMELINE, .own_context = true });
}

static void vmm_slot_events(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_SLOT_EVENTS });
}

static void legacy_timeline(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_TIMELINE, .legacy = true });
}

static void external_buffers(void **state) {
  (void)state;
  play(&(plan){ .sync = CUFRAMES_SYNC_TIMELINE, .external = true, .own_context = true });
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    FIXTURE(vmm_complete),    FIXTURE(vmm_timeline),     FIXTURE(vmm_slot_events),
    FIXTURE(legacy_timeline), FIXTURE(external_buffers),
  };
  setenv("CUDA_STANDIN_DELAY_US", "50", 1);
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return FIXTURE_RUN("failures_publisher", tests);
}
