/* bench_vision.c - pictures to a tensor, on the GPU: the time that it takes there and on the CPU, beside the same in
 * torch operations (bench_vision.py), on the same card, in the same run.
 *
 * GPU time is that between two events around the launches. For launches one behind the other the stream is held at a
 * word until all are submitted, so that the CPU's time does not count. The pictures are more than the caches hold, and
 * taken in turn.
 */
#include <cuframes/vision.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "bench_gpu.h"

#define PICTURES 64u /* distinct */
#define SIDE 640u
#define LAUNCHES 32u /* fit into the queue of a stream */
#define BY_TABLES 4u /* of what is more than parameters hold, before all tables are under way */
#define BATCHES 3u
#define TORCH_GOAL (1.0 / 25)
#define TILES 16u
#define WALL_WIDTH 3840u
#define WALL_HEIGHT 2160u

static const char section[] = "1080p NV12 to a tensor, 640x640 letterboxed, float16 NCHW: GPU time a picture";
static const char section_wall[] = "16 x 1080p NV12 put together to 3840x2160 NV12";
static const char section_cpu[] = "1080p NV12 to a tensor: the caller's time for a call";
static const struct {
  uint32_t pictures;
  double most; /* ns a picture; 0: none */
  unsigned launches;
} batches[BATCHES] = { { 1, 8000, LAUNCHES }, { 8, 0, LAUNCHES }, { 32, 2200, BY_TABLES } };

static cuframes_format format = {
  .pixel_format = CUFRAMES_PIXEL_NV12, .width = WIDTH, .height = HEIGHT, .pitch = { PITCH, PITCH }
};
static cuframes_picture pictures[2 * PICTURES]; /* twice, so that every batch is a part of it */
static cu_deviceptr planes, tensor;
static cu_event events[2];
static unsigned turn;

static void begin(void) {
  size_t bytes = (size_t)SIDE * SIDE * 3 * 2 * batches[BATCHES - 1].pictures;
  CHECK_CUDA(cu.cuMemAlloc(&planes, PICTURES * PICTURE));
  CHECK_CUDA(cu.cuMemsetD8Async(planes, 0x55, PICTURES * PICTURE, work));
  CHECK_CUDA(cu.cuMemAlloc(&tensor, bytes));
  for (int i = 0; i < 2; i++)
    CHECK_CUDA(cu.cuEventCreate(&events[i], CU_EVENT_DEFAULT));
  for (unsigned i = 0; i < 2 * PICTURES; i++) {
    cu_deviceptr plane = planes + i % PICTURES * PICTURE;
    pictures[i] = (cuframes_picture){ .format = &format };
    pictures[i].plane[0] = (const void *)(uintptr_t)plane;
    pictures[i].plane[1] = (const void *)(uintptr_t)(plane + (size_t)PITCH * HEIGHT);
  }
}

static void end(void) {
  CHECK_CUDA(cu.cuStreamSynchronize(work));
  for (int i = 0; i < 2; i++)
    CHECK_CUDA(cu.cuEventDestroy(events[i]));
  CHECK_CUDA(cu.cuMemFree(tensor));
  CHECK_CUDA(cu.cuMemFree(planes));
}

static void launch(cuframes_preprocess *preprocess, uint32_t count) {
  bench_check(cuframes_preprocess_run(preprocess, &pictures[turn], count, (void *)(uintptr_t)tensor, work, NULL),
              "preprocess");
  turn = (turn + count) % PICTURES;
}

/* What is measured: `count` pictures made into a tensor, or put together. */
typedef struct way {
  cuframes_preprocess *preprocess;
  cuframes_compositor *compositor;
  const cuframes_picture *output;
  uint32_t count;
} way;

static void compose(const way *w) {
  static cuframes_layer layers[TILES];
  for (uint32_t i = 0; i < TILES; i++) {
    layers[i] = (cuframes_layer){ .x = (int32_t)(i % 4 * WALL_WIDTH / 4),
                                  .y = (int32_t)(i / 4 * WALL_HEIGHT / 4),
                                  .width = WALL_WIDTH / 4,
                                  .height = WALL_HEIGHT / 4,
                                  .color = { 0, 0, 0, 255 } };
    layers[i].picture = pictures[turn + i];
  }
  bench_check(cuframes_compositor_run(w->compositor, layers, TILES, w->output, work), "compose");
  turn = (turn + TILES) % PICTURES;
}

static void step(const way *w) {
  if (w->compositor)
    compose(w);
  else
    launch(w->preprocess, w->count);
}

/* GPU time of a launch, in ns, of so many one behind the other. */
static double launches(const way *w, unsigned number) {
  float milliseconds;
  uint64_t value = atomic_load_explicit(word_at(WORD_FENCE), memory_order_relaxed) + 1;
  CHECK_CUDA(cu.cuStreamSynchronize(work));
  counter_wait(work, WORD_FENCE, value);
  CHECK_CUDA(cu.cuEventRecord(events[0], work));
  for (unsigned i = 0; i < number; i++)
    step(w);
  CHECK_CUDA(cu.cuEventRecord(events[1], work));
  word_store(WORD_FENCE, value);
  CHECK_CUDA(cu.cuStreamSynchronize(work));
  CHECK_CUDA(cu.cuEventElapsedTime(&milliseconds, events[0], events[1]));
  return (double)milliseconds * 1e6 / number;
}

/* A picture, of a launch that makes `count`. */
static figure measure(way w, unsigned number, unsigned rounds) {
  samples *list = samples_new(rounds);
  (void)launches(&w, number);
  for (unsigned i = 0; i < rounds; i++) {
    bench_go_on();
    samples_add(list, launches(&w, number) / w.count);
  }
  figure seen = samples_figure(list, 0);
  samples_free(list);
  return seen;
}

static void measure_cpu(cuframes_preprocess *preprocess, uint32_t count, unsigned rounds) {
  stopwatch watch;
  stopwatch_init(&watch, rounds);
  for (unsigned i = 0; i < rounds; i++) {
    bench_go_on();
    CHECK_CUDA(cu.cuStreamSynchronize(work));
    stopwatch_start(&watch);
    launch(preprocess, count);
    stopwatch_stop(&watch);
  }
  row_add((report_row){ .section = section_cpu, .figure = stopwatch_wall(&watch), .bare = NO_FIGURE }, "%u picture%s",
          count, count > 1 ? "s" : "");
  stopwatch_free(&watch);
}

/* ---- torch ---- */

/* Medians a picture in ns, by batch; false with a reason. */
static bool ask_torch(double medians[BATCHES], char *why, size_t size) {
  char command[512], said[2048] = "";
  (void)snprintf(command, sizeof command, "exec timeout 120 python3 %s", BENCH_VISION);
  processes_mind(false); /* the shell's end is none of a process */
  FILE *pipe = popen(command, "re");
  if (!pipe)
    bench_die("no shell");
  size_t length = fread(said, 1, sizeof said - 1, pipe);
  said[length] = '\0';
  int status = pclose(pipe);
  processes_mind(true);
  said[strcspn(said, "\n")] = '\0';
  char *at = strstr(said, "\"ns\": [");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !at) {
    (void)snprintf(why, size, "%s", *said ? said : "bench_vision.py failed, or there is no python3");
    return false;
  }
  at += strlen("\"ns\": [");
  for (unsigned i = 0; i < BATCHES; i++) {
    medians[i] = strtod(at, &at);
    at += strspn(at, ", ");
  }
  return true;
}

static void bench_wall(bool quick) {
  cuframes_compositor *compositor;
  cuframes_compositor_options options = { .struct_size = sizeof options, .device = "cuda:0" };
  cuframes_format wall = {
    .pixel_format = CUFRAMES_PIXEL_NV12, .width = WALL_WIDTH, .height = WALL_HEIGHT, .pitch = { 4096, 4096 }
  };
  cuframes_picture output = { .format = &wall };
  cu_deviceptr memory;
  stopwatch watch;
  unsigned rounds = quick ? 2 : 200;
  CHECK_CUDA(cu.cuMemAlloc(&memory, (size_t)4096 * WALL_HEIGHT * 3 / 2));
  output.plane[0] = (const void *)(uintptr_t)memory;
  output.plane[1] = (const void *)(uintptr_t)(memory + (size_t)4096 * WALL_HEIGHT);
  bench_check(cuframes_compositor_create(&options, &compositor), "a compositor");
  way w = { .compositor = compositor, .output = &output, .count = 1 };
  row_limit(section_wall, measure(w, quick ? 1 : BY_TABLES, quick ? 2 : 50), 1e6, "GPU time");
  stopwatch_init(&watch, rounds);
  for (unsigned i = 0; i < rounds; i++) {
    CHECK_CUDA(cu.cuStreamSynchronize(work));
    stopwatch_start(&watch);
    step(&w);
    stopwatch_stop(&watch);
  }
  row_add((report_row){ .section = section_wall, .figure = stopwatch_wall(&watch), .bare = NO_FIGURE },
          "the caller's time for the call");
  stopwatch_free(&watch);
  cuframes_compositor_destroy(compositor);
  CHECK_CUDA(cu.cuMemFree(memory));
}

void bench_vision(bool quick) {
  cuframes_preprocess *preprocess;
  cuframes_preprocess_options options = { .struct_size = sizeof options,
                                          .width = SIDE,
                                          .height = SIDE,
                                          .element = CUFRAMES_ELEMENT_FLOAT16,
                                          .device = "cuda:0" };
  unsigned rounds = quick ? 3 : 200;
  figure seen[BATCHES];
  begin();
  bench_check(cuframes_preprocess_create(&options, &preprocess), "a preprocess");
  row_limit(section, measure((way){ .preprocess = preprocess, .count = 1 }, 1, rounds), batches[0].most,
            "1 picture, a launch alone");
  for (unsigned i = 0; i < BATCHES; i++) {
    uint32_t count = batches[i].pictures;
    seen[i] = measure((way){ .preprocess = preprocess, .count = count }, quick ? 2 : batches[i].launches,
                      quick ? 2 : rounds / count + 8);
    if (batches[i].most > 0)
      row_limit(section, seen[i], batches[i].most, "%u picture%s, launches one behind the other", count,
                count > 1 ? "s" : "");
    else
      row_add((report_row){ .section = section, .figure = seen[i], .bare = NO_FIGURE },
              "%u pictures, launches one behind the other", count);
    measure_cpu(preprocess, count, quick ? 3 : 500);
  }
  options.filter = CUFRAMES_FILTER_AREA;
  cuframes_preprocess_destroy(preprocess);
  bench_check(cuframes_preprocess_create(&options, &preprocess), "a preprocess");
  row_add((report_row){ .section = section,
                        .figure = measure((way){ .preprocess = preprocess, .count = 32 }, quick ? 1 : BY_TABLES,
                                          quick ? 2 : 20),
                        .bare = NO_FIGURE },
          "32 pictures, filter area");
  cuframes_preprocess_destroy(preprocess);
  bench_wall(quick);
  end();
  double torch[BATCHES];
  char why[256];
  if (quick)
    bench_say("torch operations are left out of a quick run");
  else if (!ask_torch(torch, why, sizeof why))
    bench_say("torch operations are left out: %s", why);
  else
    for (unsigned i = 0; i < BATCHES; i++)
      row_add((report_row){ .section = section,
                            .figure = seen[i],
                            .beside = "the same in torch operations",
                            .bare = { torch[i], NAN },
                            .goal = TORCH_GOAL },
              "%u picture%s, beside torch", batches[i].pictures, batches[i].pictures > 1 ? "s" : "");
}
