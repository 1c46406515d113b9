/* bench.c - the program cuframes-bench: runs the benchmarks that were asked for and prints what they found. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const struct {
  const char *name, *about;
  void (*run)(bool quick);
} benchmarks[] = {
  { "sleep", "a frame to a subscriber that sleeps, beside a futex ping", bench_sleep },
  { "spin", "a frame to a subscriber that spins, beside a cache-line ping", bench_spin },
  { "wake", "1 to 64 sleeping subscribers, beside the bare wake of as many", bench_wake },
  { "poll", "1 to 256 subscribers that do not sleep, beside none at all", bench_poll },
  { "pictures", "1080p and 4K, beside the copy alone", bench_pictures },
  { "packets", "packets of 1, 20 and 200 kB, beside memcpy", bench_packets },
  { "calls", "a lease, a query, joining and leaving", bench_calls },
  { "idle", "100 streams on which nothing happens", bench_idle },
};
#define BENCHMARKS (sizeof benchmarks / sizeof benchmarks[0])

static void usage(FILE *out) {
  fprintf(out, "usage: cuframes-bench [--quick] [--json | --markdown] [--save FILE] [--only NAME]...\n"
               "Measures this machine and prints medians, each beside the barest way to do the same, in one run.\n"
               "  --quick      about ten seconds, rough numbers\n"
               "  --json       for programs\n"
               "  --markdown   for docs/benchmarks.md (`make bench`)\n"
               "  --save FILE  the same as JSON into FILE, beside what is printed\n"
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

int main(int argc, char **argv) {
  static const struct option options[] = {
    { "quick", no_argument, NULL, 'q' },
    { "json", no_argument, NULL, 'j' },
    { "markdown", no_argument, NULL, 'm' },
    { "only", required_argument, NULL, 'o' },
    { "save", required_argument, NULL, 's' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
  };
  bool quick = false, good = true;
  enum report_form form = REPORT_TEXT;
  const char *save = NULL;
  unsigned selected = 0;
  for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    switch (c) {
      case 'q': quick = true; break;
      case 'j': form = REPORT_JSON; break;
      case 'm': form = REPORT_MARKDOWN; break;
      case 'o': good &= select_one(optarg, &selected); break;
      case 's': save = optarg; break;
      case 'h': usage(stdout); return 0;
      default: good = false;
    }
  }
  if (!good || optind < argc) {
    usage(stderr);
    return 2;
  }
  bench_init();
  report_begin();
  for (size_t i = 0; i < BENCHMARKS; i++) {
    if (selected && !(selected & 1u << i))
      continue;
    bench_say("%s: %s", benchmarks[i].name, benchmarks[i].about);
    benchmarks[i].run(quick);
  }
  report_print(stdout, form, quick);
  if (save)
    report_save(save, quick);
  return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
