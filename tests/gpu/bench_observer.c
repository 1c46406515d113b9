/* bench_observer.c - a spinning thread that notes when words change, and who stays on which core. */
#include <pthread.h>
#include <sched.h>

#include "bench_gpu.h"

#define FEW_CORES 4 /* with fewer it has to share its core */

typedef struct watch {
  enum word word;
  uint64_t value;
  int64_t at;
} watch;

static pthread_t thread;
static watch watches[2];
/* Of requests; the thread follows. What is between belongs to the thread while they differ, else to the caller. */
static _Atomic uint32_t asked, answered;
static _Atomic bool ended;

static void turn(uint32_t *turns) {
  if (cpu_count() < FEW_CORES && ++*turns % 64 == 0)
    (void)sched_yield();
  else
    spin_pause();
}

static void look(watch *w) {
  uint32_t turns = 0;
  const _Atomic uint64_t *word = word_at(w->word);
  while (atomic_load_explicit(word, memory_order_acquire) < w->value) {
    if (atomic_load_explicit(&ended, memory_order_relaxed))
      return;
    turn(&turns);
  }
  w->at = now_ns();
}

static void *observer_run(void *unused) {
  uint32_t turns = 0;
  cpu_pin_reader(0);
  while (!atomic_load_explicit(&ended, memory_order_relaxed)) {
    uint32_t request = atomic_load_explicit(&asked, memory_order_acquire);
    if (request == atomic_load_explicit(&answered, memory_order_relaxed)) {
      turn(&turns);
      continue;
    }
    look(&watches[0]);
    if (watches[1].word != WORDS)
      look(&watches[1]);
    atomic_store_explicit(&answered, request, memory_order_release);
  }
  return unused;
}

void observer_begin(void) {
  atomic_store_explicit(&ended, false, memory_order_relaxed);
  if (pthread_create(&thread, NULL, observer_run, NULL) != 0)
    bench_die("no thread");
}

void observer_end(void) {
  atomic_store_explicit(&ended, true, memory_order_relaxed);
  (void)pthread_join(thread, NULL); /* it is there */
}

void observer_watch(enum word first, uint64_t first_value, enum word second, uint64_t second_value) {
  watches[0] = (watch){ .word = first, .value = first_value };
  watches[1] = (watch){ .word = second, .value = second_value };
  atomic_fetch_add_explicit(&asked, 1, memory_order_release);
}

void observer_hear(int64_t *first, int64_t *second) {
  int64_t deadline = now_ns() + 30 * SECOND;
  uint32_t turns = 0;
  while (atomic_load_explicit(&answered, memory_order_acquire) != atomic_load_explicit(&asked, memory_order_relaxed)) {
    if (++turns % 1024 == 0) {
      bench_go_on();
      if (now_ns() > deadline)
        bench_die("the GPU does not do what it was told: word %d stays below %llu", watches[watches[0].at ? 1 : 0].word,
                  (unsigned long long)watches[watches[0].at ? 1 : 0].value);
    }
    turn(&turns);
  }
  if (first)
    *first = watches[0].at;
  if (second)
    *second = watches[1].at;
}

void pin_reader(unsigned index) {
  unsigned others = cpu_count() > 2 ? (unsigned)cpu_count() - 2 : 1; /* but the sender's and the observer's */
  cpu_pin_reader(1 + index % others);
}
