/* bench_gpu.h - what the GPU benchmarks share beyond bench/bench.h: processes, the device, the spinning observer.
 *
 * The processes are forked at the start of the program, before any CUDA call of it, and start CUDA anew, each for
 * itself; they live as long as the program, since 32 contexts take seconds to make. The program itself is the
 * publisher.
 */
#ifndef BENCH_GPU_H
#define BENCH_GPU_H

#include <math.h>
#include <stdio.h>

#include "bench/bench.h"
#include "device/cuda/driver.h"

/* ---- processes (bench_processes.c) ---- */

/* Of a measurement: where both sides find what they share. In memory of processes_memory(). */
typedef void (*process_fn)(void *argument, unsigned index);

#define SKIPPED 77 /* exit status */

/* Whether there is CUDA here; says why not. */
bool processes_probe(void);
/* Forks the processes, each with a context of its own. While this process has no other thread and no CUDA. */
void processes_begin(unsigned count);
/* Memory that all share, at the same address, zeroed. It stays until the end of the program. */
void *processes_memory(size_t bytes);
/* Has the first `processes` of them run a measurement. */
void processes_run(unsigned processes, process_fn run, void *argument);
/* Waits for the end of the measurement. */
void processes_wait(void);
void processes_end(void);
/* While other children may come and go. */
void processes_mind(bool mind);

/* ---- the device (bench_device.c) ---- */

#define WIDTH 1920u
#define HEIGHT 1080u
#define PITCH 2048u /* of pictures that are not cuframes' */
#define PICTURE ((size_t)PITCH * HEIGHT * 3 / 2)
#define BARE_PICTURES 8u

extern cf_cuda_driver cu;
extern cu_stream work; /* of this process, for its pictures */

void cu_check(cu_result result, const char *what);
#define CHECK_CUDA(call) cu_check((call), #call)

/* Words in memory that all processes share and every GPU context of theirs can reach, a cache line each. */
enum word { WORD_DONE, WORD_SEEN, WORD_BARE, WORD_FENCE, WORD_START, WORD_END, WORD_ANY, WORDS };

/* Before the fork. */
void device_words(void);
_Atomic uint64_t *word_at(enum word word);
/* The stream writes it, or waits until it is that or more. */
void word_write(cu_stream stream, enum word word, uint64_t value);
void counter_wait(cu_stream stream, enum word word, uint64_t value);
/* The CPU writes it. */
void word_store(enum word word, uint64_t value);

/* Driver, context, stream, words; in each process. The publisher's has pictures to copy, too. */
void device_begin(bool pictures);
void device_end(void);
/* Copies a picture, both planes, on the stream `work`: between memory that cuframes has nothing to do with, or into a
 * frame. as_a_frame: into memory of the frames' kind, and the driver is asked before each plane what a frame's is. */
void work_copy(unsigned number, bool as_a_frame);
/* Asks the driver what must be known for each frame: the current context, and whether the stream captures. */
void work_ask(void);
void work_fill(cuframes_frame *frame, unsigned number);
/* "name", driver and so on as JSON members, or as a line. */
void device_describe(FILE *out, bool json);

cuframes_publisher *gpu_publish(const char *name, uint32_t width, uint32_t height, cuframes_publisher_options options);
/* Publishes on the stream `work`. */
void gpu_send(cuframes_publisher *publisher, cuframes_frame *frame, int64_t pts);
cuframes_subscriber *gpu_join(const char *name, cuframes_subscriber_options options);

/* ---- the observer (bench_observer.c) ---- */

/* A thread on a core of its own that looks at words without a pause and notes the time when they change: what a CPU can
 * know at the earliest of a GPU's work, about three microseconds after it. */
void observer_begin(void);
void observer_end(void);
/* Has it watch for one word, then for another one (WORDS: only for the first), to be that value or more. */
void observer_watch(enum word first, uint64_t first_value, enum word second, uint64_t second_value);
/* Waits until both were seen. */
void observer_hear(int64_t *first, int64_t *second);
/* Readers are kept off its core. */
void pin_reader(unsigned index);

/* ---- the report ---- */

/* A row with a text made of a format. */
void row_add(report_row row, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A row beside the most that its figure should be. */
void row_limit(const char *section, figure seen, double most, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define NO_FIGURE ((figure){ NAN, NAN })

/* ---- the benchmarks ---- */

void bench_handoff(bool quick);
void bench_near(bool quick);
void bench_timeline(bool quick);
void bench_gpu_cost(bool quick);
void bench_cpu_cost(bool quick);
void bench_rate(bool quick);
void bench_cameras(bool quick);
void bench_growth(bool quick);
/* Before the fork: what descriptors go through. */
void growth_line(void);
void bench_torch(bool quick);
void bench_vision(bool quick);

/* From the work's end to the return of next() of one sleeper; NO_FIGURE before bench_handoff() ran. */
figure handoff_to_one(void);

/* Subscribers that take and release whatever comes until the end of the stream; for other measurements, too. */
typedef struct audience {
  const char *name;
  tally arrived, taken;
  uint32_t mode, sync;
  bool on_stream;           /* takes and releases in the order of a stream */
  bool counts;              /* into taken */
  _Atomic uint32_t granted; /* the sync mode that they have */
} audience;
void audience_run(void *argument, unsigned index);

#endif
