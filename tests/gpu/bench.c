/* bench.c - the program cuframes-gpu-bench: measures cuframes on a GPU, beside the barest way to do the same, and
 * prints what it found. */
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "bench_gpu.h"

#define PROCESSES 33u
#define QUICK_PROCESSES 9u

static const struct {
  const char *name, *about;
  void (*run)(bool quick);
} benchmarks[] = {
  { "handoff", "a picture to 1 to 16 subscribers that sleep, beside the bare wake of as many", bench_handoff },
  { "spin", "a picture to a subscriber that spins", bench_near },
  { "timeline", "from stream to stream, beside a bare write-value and wait-value pair", bench_timeline },
  { "gpu-cost", "the publisher's extra GPU time per frame, 1 to 32 subscribers", bench_gpu_cost },
  { "cpu-cost", "the publisher's extra CPU time per frame, 1 to 32 subscribers", bench_cpu_cost },
  { "rate", "frames per second end to end, beside the copies alone", bench_rate },
  { "cameras", "64 streams to 8 processes, and further streams opened beside them", bench_cameras },
  { "growth", "joining, growing, importing", bench_growth },
  { "vision", "pictures to a tensor, beside the same in torch operations; 16 pictures to one", bench_vision },
  { "torch", "the hand-off beside torch.multiprocessing's, if python3 has torch", bench_torch },
};
#define BENCHMARKS (sizeof benchmarks / sizeof benchmarks[0])

static void usage(FILE *out) {
  fprintf(out,
          "usage: cuframes-gpu-bench [--quick] [--json | --markdown] [--only NAME]...\n"
          "Measures this machine's first GPU and prints medians, each beside the barest way to do the same, in one\n"
          "run. Takes about 80 seconds, 34 processes and half a GiB of GPU memory for each. Exit status 77: no CUDA.\n"
          "  --quick      less than ten seconds, rough numbers, 10 processes\n"
          "  --json       for programs\n"
          "  --markdown   for docs/benchmarks.md\n"
          "  --only NAME  one of:\n");
  for (size_t i = 0; i < BENCHMARKS; i++)
    fprintf(out, "                 %-9s %s\n", benchmarks[i].name, benchmarks[i].about);
}

static bool select_one(const char *name, unsigned *selected) {
  for (size_t i = 0; i < BENCHMARKS; i++) {
    if (strcmp(benchmarks[i].name, name) == 0) {
      *selected |= 1u << i;
      return true;
    }
  }
  bench_say("no benchmark \"%s\"", name);
  return false;
}

static void print(enum report_form form, bool quick) {
  bool json = form == REPORT_JSON;
  if (json)
    printf("{\"gpu\": ");
  device_describe(stdout, json);
  if (json)
    printf(",\n\"report\": ");
  report_print(stdout, form, quick);
  if (json)
    printf("}\n");
}

int main(int argc, char **argv) {
  static const struct option options[] = {
    { "quick", no_argument, NULL, 'q' },    { "json", no_argument, NULL, 'j' },
    { "markdown", no_argument, NULL, 'm' }, { "only", required_argument, NULL, 'o' },
    { "help", no_argument, NULL, 'h' },     { NULL, 0, NULL, 0 },
  };
  bool quick = false, good = true, watched = isatty(STDERR_FILENO);
  enum report_form form = REPORT_TEXT;
  unsigned selected = 0;
  for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    switch (c) {
      case 'q': quick = true; break;
      case 'j': form = REPORT_JSON; break;
      case 'm': form = REPORT_MARKDOWN; break;
      case 'o': good &= select_one(optarg, &selected); break;
      case 'h': usage(stdout); return 0;
      default: good = false;
    }
  }
  if (!good || optind < argc) {
    usage(stderr);
    return 2;
  }
  bench_init();
  if (!processes_probe())
    return SKIPPED;
  report_begin();
  device_words();
  growth_line();
  processes_begin(quick ? QUICK_PROCESSES : PROCESSES); /* before this process touches CUDA */
  device_begin(true);
  for (size_t i = 0; i < BENCHMARKS; i++) {
    if (selected && !(selected & 1u << i))
      continue;
    int64_t from = now_ns();
    if (watched)
      bench_say("%s: %s", benchmarks[i].name, benchmarks[i].about);
    benchmarks[i].run(quick);
    if (watched)
      bench_say("%s: done in %.1f s", benchmarks[i].name, (double)(now_ns() - from) / (double)SECOND);
  }
  print(form, quick);
  processes_end();
  device_end();
  return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
