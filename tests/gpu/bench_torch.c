/* bench_torch.c - our hand-off beside torch.multiprocessing (bench_torch.py), on the same card, in the same run. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "bench_gpu.h"

#define FRAMES_MAX 1000u

/* The numbers in `"ns": [...]`. */
static bool read_times(const char *text, samples *list) {
  const char *at = strstr(text, "\"ns\": [");
  if (!at)
    return false;
  for (at += strlen("\"ns\": ["); *at && *at != ']' && list->count < FRAMES_MAX;) {
    char *end;
    double value = strtod(at, &end);
    if (end == at)
      return false;
    samples_add(list, value);
    at = end + strspn(end, ", ");
  }
  return list->count > 0;
}

/* Gives its exit status. */
static int run(char *output, size_t size) {
  processes_mind(false); /* the shell's end is none of a process */
  FILE *pipe = popen("exec timeout 90 python3 " BENCH_TORCH, "re");
  if (!pipe)
    bench_die("no shell");
  size_t length = fread(output, 1, size - 1, pipe);
  output[length] = '\0';
  int status = pclose(pipe);
  processes_mind(true);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void bench_torch(bool quick) {
  static char output[64 << 10];
  if (quick) {
    bench_say("left out of a quick run");
    return;
  }
  int status = run(output, sizeof output);
  samples *list = samples_new(FRAMES_MAX);
  if (status == 0 && read_times(output, list)) {
    report_row row = { .section = "Hand-off to one sleeping consumer, beside torch",
                       .figure = handoff_to_one(),
                       .beside = "torch.multiprocessing queue",
                       .bare = samples_figure(list, 0),
                       .goal = 0.2 };
    row_add(row, "cuframes, from work done to next, mode complete");
  } else {
    output[strcspn(output, "\n")] = '\0';
    bench_say("left out: %s", status == 127 ? "there is no python3" : *output ? output : "bench_torch.py failed");
  }
  samples_free(list);
}
