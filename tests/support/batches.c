/* support/batches.c - batches to test with. */
#include "support/batches.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/child.h"

cuframes_batch *batch_new(void) {
  cuframes_batch_options options = { .struct_size = sizeof options, .quiet_ns = patience() };
  cuframes_batch *batch = NULL;
  CHECK_OK(cuframes_batch_create(&options, &batch));
  return batch;
}

cuframes_publisher *camera_publisher(uint32_t number) {
  char name[16];
  snprintf(name, sizeof name, "s%u", number);
  return publisher_new(name);
}

void cameras_start(cameras *c, uint32_t count, const cuframes_subscriber_options *options) {
  cuframes_subscriber_options standard = subscriber_options(CUFRAMES_MODE_NEWEST);
  CHECK(count <= ENTRIES);
  c->count = count;
  c->batch = batch_new();
  for (uint32_t i = 0; i < count; i++) {
    char name[16];
    uint32_t index = UINT32_MAX;
    c->publisher[i] = camera_publisher(i);
    snprintf(name, sizeof name, "s%u", i);
    c->subscriber[i] = subscriber_join(name, options ? options : &standard);
    CHECK_OK(cuframes_batch_add(c->batch, c->subscriber[i], &c->subscriber[i], &index));
    CHECK(index == i);
  }
}

void cameras_end(cameras *c) {
  cuframes_batch_destroy(c->batch);
  for (uint32_t i = 0; i < c->count; i++) {
    cuframes_subscriber_destroy(c->subscriber[i]);
    cuframes_publisher_destroy(c->publisher[i]);
  }
}

static void entry_check(const cuframes_batch_entry *e) {
  CHECK(e->subscriber != NULL && e->index < ENTRIES);
  CHECK((e->frame != NULL) == (e->error == CUFRAMES_OK));
  CHECK(e->reserved[0] == 0 && e->reserved[1] == 0);
  if (e->frame)
    CHECK(e->age_ns >= 0 && e->age_ns <= cuframes_now() - cuframes_frame_timestamp(e->frame));
}

int batch_take(cuframes_batch *batch, uint32_t min, int64_t timeout_ns, uint32_t count, batched *b) {
  b->got = 0;
  b->result = cuframes_batch_next(batch, min, timeout_ns, b->entries, count, &b->got);
  CHECK((b->result == CUFRAMES_OK) == (b->got > 0));
  for (uint32_t i = 0; i < b->got; i++) {
    entry_check(&b->entries[i]);
    for (uint32_t k = 0; k < i; k++)
      CHECK(b->entries[k].index != b->entries[i].index);
  }
  return b->result;
}

void batch_expect(cuframes_batch *batch, uint32_t min, batched *b, uint32_t got) {
  CHECK_OK(batch_take(batch, min, patience(), ENTRIES, b));
  CHECK_BETWEEN(b->got, got, got);
}

const cuframes_batch_entry *entry_of(const batched *b, const cuframes_subscriber *subscriber) {
  for (uint32_t i = 0; i < b->got; i++)
    if (b->entries[i].subscriber == subscriber)
      return &b->entries[i];
  return NULL;
}

uint64_t number_of(const batched *b, const cuframes_subscriber *subscriber) {
  const cuframes_batch_entry *e = entry_of(b, subscriber);
  return e && e->frame ? picture_number(e->frame) : 0;
}

void batched_release(batched *b) {
  for (uint32_t i = 0; i < b->got; i++)
    cuframes_frame_release(b->entries[i].frame);
  b->got = 0;
}

uint64_t batch_sleeps(cuframes_batch *batch) {
  cuframes_batch_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_batch_get_stats(batch, &stats));
  return stats.sleeps;
}

/* ---- a thread in next() ---- */

static void *waiter_run(void *argument) {
  batch_waiter *w = argument;
  pthread_mutex_lock(&w->lock);
  w->thread_id = (pid_t)syscall(SYS_gettid);
  pthread_mutex_unlock(&w->lock);
  (void)batch_take(w->batch, w->min, w->timeout_ns, ENTRIES, &w->got);
  return NULL;
}

void batch_waiter_start(batch_waiter *w, cuframes_batch *batch, uint32_t min, int64_t timeout_ns) {
  pid_t id = 0;
  w->batch = batch;
  w->min = min;
  w->timeout_ns = timeout_ns;
  w->thread_id = 0;
  pthread_mutex_init(&w->lock, NULL);
  CHECK(pthread_create(&w->thread, NULL, waiter_run, w) == 0);
  while (id == 0) {
    pthread_mutex_lock(&w->lock);
    id = w->thread_id;
    pthread_mutex_unlock(&w->lock);
    pause_ms(id == 0);
  }
  thread_wait_asleep(id);
}

int batch_waiter_end(batch_waiter *w) {
  CHECK(pthread_join(w->thread, NULL) == 0);
  pthread_mutex_destroy(&w->lock);
  return w->got.result;
}

/* ---- kernels ---- */

void kernel_forget_futex_waitv(void) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449, 0, 1), /* its number on every architecture */
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = sizeof filter / sizeof *filter, .filter = filter };
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}
