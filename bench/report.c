/* report.c - the results: a table for people, Markdown for docs/benchmarks.md, JSON for programs. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

#define ROWS_MAX 128

static report_row rows[ROWS_MAX];
static size_t row_count;
static double load_before = NAN;

void report_begin(void) {
  double load[1];
  if (getloadavg(load, 1) == 1)
    load_before = load[0];
}

void report_add(const report_row *row) {
  if (row_count == ROWS_MAX)
    bench_die("more rows than fit");
  rows[row_count++] = *row;
}

/* How many times the bare cost; 1: as if there were nothing in between. NAN: nothing to compare. */
static double ratio_of(const report_row *row) {
  if (!(row->bare.median > 0 && row->figure.median > 0))
    return NAN;
  return row->unit == UNIT_RATE ? row->bare.median / row->figure.median : row->figure.median / row->bare.median;
}

/* ---- the machine ---- */

typedef struct machine {
  char cpu[96], kernel[32], date[16];
  long cores;
  bool is_virtual;
} machine;

static void cpu_describe(machine *m) {
  char line[4096];
  FILE *file = fopen("/proc/cpuinfo", "re");
  (void)snprintf(m->cpu, sizeof m->cpu, "unknown CPU");
  while (file && fgets(line, sizeof line, file)) {
    const char *value = strstr(line, ": ");
    if (value && strncmp(line, "model name", 10) == 0) {
      (void)snprintf(m->cpu, sizeof m->cpu, "%s", value + 2);
      m->cpu[strcspn(m->cpu, "\n\"\\")] = '\0';
    }
    m->is_virtual |= strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL;
  }
  if (file)
    (void)fclose(file);
}

static machine machine_look(void) {
  machine m = { .cores = sysconf(_SC_NPROCESSORS_ONLN) };
  struct utsname system;
  struct tm day;
  time_t now = time(NULL);
  cpu_describe(&m);
  if (uname(&system) == 0) { /* the version only: what follows it may name a machine */
    system.release[strspn(system.release, "0123456789.")] = '\0';
    (void)snprintf(m.kernel, sizeof m.kernel, "%.31s", system.release);
  }
  if (gmtime_r(&now, &day))
    (void)strftime(m.date, sizeof m.date, "%Y-%m-%d", &day);
  return m;
}

/* ---- tables ---- */

enum { WHAT, MEDIAN, P99, BESIDE, BARE_MEDIAN, BARE_P99, RATIO, GOAL, COLUMNS };
#define CELL 96

typedef char cells[COLUMNS][CELL];

static const cells heads = { "", "median", "p99", "beside it, in the same run", "median", "p99", "ratio", "goal" };

static bool is_text(int column) {
  return column == WHAT || column == BESIDE || column == GOAL;
}

static void value_text(char text[CELL], enum unit unit, double value) {
  if (isnan(value))
    text[0] = '\0';
  else if (unit == UNIT_RATE)
    (void)snprintf(text, CELL, "%.0f/s", value);
  else if (unit == UNIT_BYTES)
    (void)snprintf(text, CELL, "%.0f KiB", value / 1024);
  else if (value < 1e3)
    (void)snprintf(text, CELL, "%.0f ns", value);
  else if (value < 1e6)
    (void)snprintf(text, CELL, "%.*f us", value < 1e5 ? 1 : 0, value / 1e3);
  else
    (void)snprintf(text, CELL, "%.1f ms", value / 1e6);
}

static void row_write(const report_row *row, cells line) {
  double ratio = ratio_of(row);
  memset(line, 0, sizeof(cells));
  (void)snprintf(line[WHAT], CELL, "%s", row->what);
  value_text(line[MEDIAN], row->unit, row->figure.median);
  value_text(line[P99], row->unit, row->figure.p99);
  (void)snprintf(line[BESIDE], CELL, "%s", row->beside);
  value_text(line[BARE_MEDIAN], row->unit, row->bare.median);
  value_text(line[BARE_P99], row->unit, row->bare.p99);
  if (!isnan(ratio))
    (void)snprintf(line[RATIO], CELL, "%.2f", ratio);
  if (row->goal > 0)
    (void)snprintf(line[GOAL], CELL, "at most %g", row->goal);
}

static void line_print(FILE *out, const cells line, const int width[COLUMNS], bool markdown) {
  for (int i = 0; i < COLUMNS; i++)
    fprintf(out, "%s%*s",
            markdown ? i > 0 ? " | " : "| "
            : i > 0  ? "  "
                     : "",
            is_text(i) ? -width[i] : width[i], line[i]);
  fprintf(out, markdown ? " |\n" : "\n");
}

static void section_print(FILE *out, const char *section, bool markdown) {
  cells line;
  int width[COLUMNS];
  for (int i = 0; i < COLUMNS; i++)
    width[i] = (int)strlen(heads[i]);
  for (size_t r = 0; r < row_count; r++) {
    row_write(&rows[r], line);
    for (int i = 0; i < COLUMNS && strcmp(rows[r].section, section) == 0; i++)
      width[i] = (int)strlen(line[i]) > width[i] ? (int)strlen(line[i]) : width[i];
  }
  fprintf(out, markdown ? "\n### %s\n\n" : "\n%s\n", section);
  line_print(out, heads, width, markdown);
  for (int i = 0; i < COLUMNS && markdown; i++)
    fprintf(out, "|%s%s", is_text(i) ? "---" : "---:", i == COLUMNS - 1 ? "|\n" : "");
  for (size_t r = 0; r < row_count; r++) {
    row_write(&rows[r], line);
    if (strcmp(rows[r].section, section) == 0)
      line_print(out, line, width, markdown);
  }
}

static void tables_print(FILE *out, bool quick, bool markdown) {
  machine m = machine_look();
  fprintf(out, "%s, %ld cores%s; Linux %s; cuframes %s; %s; load average before the run %.1f%s.\n", m.cpu, m.cores,
          m.is_virtual ? " of a virtual machine" : "", m.kernel, cuframes_version(), m.date, load_before,
          quick ? "; a quick run, so rough numbers" : "");
  for (size_t r = 0; r < row_count; r++) {
    bool is_first = true;
    for (size_t before = 0; before < r; before++)
      is_first &= strcmp(rows[before].section, rows[r].section) != 0;
    if (is_first)
      section_print(out, rows[r].section, markdown);
  }
}

/* ---- JSON ---- */

static void number_print(FILE *out, const char *key, double value) {
  if (isnan(value))
    fprintf(out, ", \"%s\": null", key);
  else
    fprintf(out, ", \"%s\": %.6g", key, value);
}

/* No text here needs escaping. */
static void json_print(FILE *out, bool quick) {
  static const char *const units[] = { [UNIT_TIME] = "ns", [UNIT_RATE] = "1/s", [UNIT_BYTES] = "bytes" };
  machine m = machine_look();
  fprintf(out, "{\"machine\": {\"cpu\": \"%s\", \"cores\": %ld, \"virtual\": %s, \"kernel\": \"%s\"", m.cpu, m.cores,
          m.is_virtual ? "true" : "false", m.kernel);
  number_print(out, "load_before", load_before);
  fprintf(out, "},\n \"date\": \"%s\", \"version\": \"%s\", \"quick\": %s,\n \"rows\": [", m.date, cuframes_version(),
          quick ? "true" : "false");
  for (size_t r = 0; r < row_count; r++) {
    const report_row *row = &rows[r];
    fprintf(out, "%s\n  {\"section\": \"%s\", \"what\": \"%s\", \"unit\": \"%s\"", r > 0 ? "," : "", row->section,
            row->what, units[row->unit]);
    number_print(out, "median", row->figure.median);
    number_print(out, "p99", row->figure.p99);
    fprintf(out, ", \"beside\": \"%s\"", row->beside);
    number_print(out, "bare_median", row->bare.median);
    number_print(out, "bare_p99", row->bare.p99);
    number_print(out, "ratio", ratio_of(row));
    number_print(out, "goal", row->goal > 0 ? row->goal : NAN);
    fprintf(out, "}");
  }
  fprintf(out, "\n ]}\n");
}

void report_print(FILE *out, enum report_form form, bool quick) {
  if (form == REPORT_JSON)
    json_print(out, quick);
  else
    tables_print(out, quick, form == REPORT_MARKDOWN);
}

void report_save(const char *path, bool quick) {
  FILE *file = fopen(path, "we");
  if (!file)
    bench_die("%s: %s", path, strerror(errno));
  json_print(file, quick);
  bool failed = fflush(file) != 0 || ferror(file);
  if (fclose(file) != 0 || failed)
    bench_die("%s: it could not be written", path);
}
