/* exchange_sim.h - runs the sources of src/exchange as coroutines. A scheduler may switch before every atomic
 * operation, and every task has a store buffer as x86 processors do: what it stores with less than seq_cst is seen by
 * the others later. Everything follows from one seed.
 *
 * For the one file that includes it and then the .c files to run: it redefines the atomic operations.
 */
#ifndef EXCHANGE_SIM_H
#define EXCHANGE_SIM_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#if defined(__SANITIZE_THREAD__)
#define SIM_WORKS_HERE false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIM_WORKS_HERE false
#else
#define SIM_WORKS_HERE true
#endif
#else
#define SIM_WORKS_HERE true
#endif

enum { SIM_TASKS = 16, SIM_BUFFER = 8, SIM_STACK = 128 * 1024 };

typedef struct sim_task {
  ucontext_t context;
  void (*run)(void *);
  void *argument;
  uint8_t *stack;
  bool alive;
  uint64_t stalled; /* until this step */
  struct sim_store {
    void *at;
    uint64_t value;
    size_t size;
  } buffer[SIM_BUFFER]; /* oldest first */
  unsigned buffered;
} sim_task;

/* How a schedule is drawn; all of it changes from schedule to schedule. */
typedef struct sim_habits {
  uint32_t stay;     /* of 256: go on with the same task */
  uint32_t first;    /* of 256: else go on with the first task */
  uint32_t drain;    /* of 256: a store leaves some buffer in this step */
  uint32_t stall;    /* of 65536: some task is stopped for a while */
  uint32_t hesitate; /* of 256: this task is, before a seq_cst operation */
  uint32_t longest;  /* while, in steps */
} sim_habits;

static struct sim {
  sim_task task[SIM_TASKS];
  sim_task *current;
  ucontext_t home;
  uint64_t random, step, last_step;
  sim_habits habits;
  bool failed;
  char failure[160];
} sim;

/* splitmix64 */
static uint64_t sim_random(void) {
  uint64_t x = sim.random += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

static uint32_t sim_below(uint32_t limit) {
  return (uint32_t)((sim_random() >> 32) * limit >> 32);
}

/* Ends the schedule; the first failure counts. */
__attribute__((format(printf, 1, 2))) static void sim_fail(const char *format, ...) {
  if (!sim.failed) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sim.failure, sizeof sim.failure, format, arguments);
    va_end(arguments);
  }
  sim.failed = true;
  if (sim.current) {
    sim_task *from = sim.current;
    sim.current = NULL;
    (void)swapcontext(&from->context, &sim.home); /* never comes back */
  }
}

static void sim_drain_one(sim_task *task) {
  struct sim_store *s = &task->buffer[0];
  memcpy(s->at, &s->value, s->size);
  memmove(s, s + 1, --task->buffered * sizeof *s);
}

static void sim_drain(sim_task *task) {
  while (task->buffered > 0)
    sim_drain_one(task);
}

static sim_task *sim_pick(void) {
  sim_task *ready[SIM_TASKS], *alive = NULL;
  uint32_t count = 0;
  for (sim_task *t = sim.task; t < sim.task + SIM_TASKS; t++) {
    if (t->alive && t->stalled <= sim.step)
      ready[count++] = t;
    if (t->alive && (!alive || t->stalled < alive->stalled))
      alive = t;
  }
  if (count > 0 && sim_below(256) < sim.habits.first)
    return ready[0];
  return count > 0 ? ready[sim_below(count)] : alive;
}

/* Goes on with some task; back home if none is left. */
static void sim_switch(void) {
  sim_task *from = sim.current, *to = sim_pick();
  sim.current = to;
  if (to != from)
    (void)swapcontext(&from->context, to ? &to->context : &sim.home);
}

static void sim_stall(sim_task *task) {
  task->stalled = sim.step + sim_below(sim.habits.longest);
}

/* Before every atomic operation, and wherever else a task lets others go first. */
static void sim_yield_for(memory_order order) {
  if (!sim.current)
    return;
  if (++sim.step > sim.last_step)
    sim_fail("no end after %llu steps", (unsigned long long)sim.step);
  if (sim_below(256) < sim.habits.drain) {
    sim_task *t = &sim.task[sim_below(SIM_TASKS)];
    if (t->buffered > 0)
      sim_drain_one(t);
  }
  if (sim_below(65536) < sim.habits.stall)
    sim_stall(&sim.task[sim_below(SIM_TASKS)]);
  if (order == memory_order_seq_cst && sim_below(256) < sim.habits.hesitate)
    sim_stall(sim.current);
  if (sim.current->stalled > sim.step || sim_below(256) >= sim.habits.stay)
    sim_switch();
}

static void sim_yield(void) {
  sim_yield_for(memory_order_relaxed);
}

static void sim_enter(void) {
  sim_task *me = sim.current;
  me->run(me->argument);
  sim_drain(me);
  me->alive = false;
  sim_switch();
}

static void sim_prepare(sim_task *t) {
  t->alive = true;
  t->stalled = 0;
  t->buffered = 0;
  if (!t->stack && !(t->stack = malloc(SIM_STACK)))
    abort();
  (void)getcontext(&t->context);
  t->context.uc_stack = (stack_t){ .ss_sp = t->stack, .ss_size = SIM_STACK };
  t->context.uc_link = NULL;
  makecontext(&t->context, sim_enter, 0);
}

/* Starts a task; there are never as many as places. */
static sim_task *sim_spawn(void (*run)(void *), void *argument) {
  sim_task *t = sim.task;
  while (t->alive)
    t++;
  t->run = run;
  t->argument = argument;
  sim_prepare(t);
  return t;
}

/* kill -9: where it stands, it stays. What it has stored gets out. */
static void sim_kill(sim_task *task) {
  sim_drain(task);
  task->alive = false;
}

/* Runs what was spawned until all have ended or one failed. */
static void sim_run(uint64_t most_steps) {
  sim.step = 0;
  sim.last_step = most_steps;
  sim.current = sim_pick();
  if (sim.current)
    (void)swapcontext(&sim.home, &sim.current->context);
  sim.current = NULL;
  for (sim_task *t = sim.task; t < sim.task + SIM_TASKS; t++) {
    t->alive = false;
    t->buffered = 0;
  }
}

static void sim_free(void) {
  for (sim_task *t = sim.task; t < sim.task + SIM_TASKS; t++)
    free(t->stack);
  memset(&sim, 0, sizeof sim);
}

/* ---- memory ---- */

static void sim_load(const volatile void *at, void *value, size_t size, memory_order order) {
  sim_yield_for(order);
  for (unsigned i = sim.current ? sim.current->buffered : 0; i-- > 0;) {
    if (sim.current->buffer[i].at == at) {
      memcpy(value, &sim.current->buffer[i].value, size);
      return;
    }
  }
  memcpy(value, (const void *)at, size);
}

static void sim_store(volatile void *at, const void *value, size_t size, memory_order order) {
  sim_yield_for(order);
  sim_task *t = sim.current;
  if (!t || order == memory_order_seq_cst) {
    if (t)
      sim_drain(t);
    memcpy((void *)at, value, size);
    return;
  }
  if (t->buffered == SIM_BUFFER)
    sim_drain_one(t);
  struct sim_store *s = &t->buffer[t->buffered++];
  *s = (struct sim_store){ .at = (void *)at, .size = size };
  memcpy(&s->value, value, size);
}

static void sim_lock(void) { /* what a locked instruction does first */
  sim_yield();
  if (sim.current)
    sim_drain(sim.current);
}

#define SIM_TYPE(p) __typeof__((void)0, *(p))
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_weak_explicit
#define atomic_load_explicit(p, order)                                                                                 \
  __extension__({                                                                                                      \
    SIM_TYPE(p) sim_value;                                                                                             \
    sim_load((p), &sim_value, sizeof sim_value, (order));                                                              \
    sim_value;                                                                                                         \
  })
#define atomic_store_explicit(p, v, order)                                                                             \
  __extension__({                                                                                                      \
    SIM_TYPE(p) sim_value = (v);                                                                                       \
    sim_store((p), &sim_value, sizeof sim_value, (order));                                                             \
  })
#define SIM_CHANGE(p, changed)                                                                                         \
  __extension__({                                                                                                      \
    sim_lock();                                                                                                        \
    SIM_TYPE(p) sim_old, sim_new;                                                                                      \
    memcpy(&sim_old, (const void *)(p), sizeof sim_old);                                                               \
    sim_new = (changed);                                                                                               \
    memcpy((void *)(p), &sim_new, sizeof sim_new);                                                                     \
    sim_old;                                                                                                           \
  })
#define atomic_fetch_add_explicit(p, v, order) SIM_CHANGE(p, sim_old + (v))
#define atomic_fetch_sub_explicit(p, v, order) SIM_CHANGE(p, sim_old - (v))
#define atomic_exchange_explicit(p, v, order) SIM_CHANGE(p, (v))
#define atomic_compare_exchange_weak_explicit(p, expected, v, success, failure)                                        \
  __extension__({                                                                                                      \
    SIM_TYPE(p) sim_before = *(expected);                                                                              \
    *(expected) = SIM_CHANGE(p, sim_old == sim_before ? (v) : sim_old);                                                \
    *(expected) == sim_before;                                                                                         \
  })

#endif
