/* support/fixture.c - runtime directory, deadlines, and what a test must not leave behind. */
#include "support/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "support/child.h"

#define DESCRIPTORS 1024

static char directory[64];
static bool open_before[DESCRIPTORS];
static int mappings_before;
static unsigned skipped;

const char *fixture_directory(void) {
  return directory;
}

const char *fixture_path(const char *format, ...) {
  static char paths[4][512];
  static unsigned next;
  char *path = paths[next++ % 4];
  int n = snprintf(path, sizeof paths[0], "%s/", directory);
  va_list args;
  va_start(args, format);
  vsnprintf(path + n, sizeof paths[0] - (size_t)n, format, args);
  va_end(args);
  return path;
}

static int directory_visit(const char *path, void (*visit)(const char *name, void *user), void *user) {
  DIR *open = opendir(path);
  int count = 0;
  CHECK(open != NULL);
  for (struct dirent *entry; (entry = readdir(open)) != NULL;) {
    char own[16];
    snprintf(own, sizeof own, "%d", dirfd(open));
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || strcmp(entry->d_name, own) == 0)
      continue;
    count++;
    if (visit)
      visit(entry->d_name, user);
  }
  closedir(open);
  return count;
}

int fixture_files(void) {
  return directory_visit(directory, NULL, NULL);
}

int fixture_descriptors(void) {
  return directory_visit("/proc/self/fd", NULL, NULL);
}

int fixture_mappings(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[512];
  int count = 0;
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps))
    count += strstr(line, "memfd:cuframes") != NULL;
  fclose(maps);
  return count;
}

/* So much longer than on an idle machine everything may take. */
static double slowness(void) {
  const char *sanitizer = getenv("CUFRAMES_SANITIZE"), *factor = getenv("CUFRAMES_TEST_TIMEOUT");
  double times = factor ? strtod(factor, NULL) : 1;
  return (sanitizer && sanitizer[0] ? 4 : 1) * (times > 1 ? times : 1);
}

int64_t patience(void) {
  return (int64_t)(120 * slowness()) * SECOND;
}

static char slow[256]; /* what was so, since it was asked for */

const char *fixture_was_slow(void) {
  static char said[sizeof slow];
  memcpy(said, slow, sizeof slow);
  slow[0] = '\0';
  return said[0] ? said : NULL;
}

static bool is_elsewhere(void) {
  return child_is_one() || syscall(SYS_gettid) != getpid();
}

void soon(const char *file, int line, const char *text, int64_t elapsed_ns, int64_t ms) {
  char sentence[sizeof slow];
  if ((double)elapsed_ns < (double)(ms * MS) * slowness())
    return;
  snprintf(sentence, sizeof sentence, "%s is less than %lld ms (%.1f ms)", text, (long long)ms,
           (double)elapsed_ns / (double)MS);
  if (elapsed_ns >= patience() / 2)
    check_failed(file, line, sentence);
  if (syscall(SYS_gettid) == getpid())
    snprintf(slow, sizeof slow, "%.80s:%d: %.160s", file, line, sentence);
}

int threads_called(const char *name) {
  DIR *tasks = opendir("/proc/self/task");
  int count = 0;
  CHECK(tasks != NULL);
  for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
    char path[300], comm[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = fopen(path, "re");
    if (!file)
      continue;
    if (fgets(comm, sizeof comm, file) != NULL)
      count += strcspn(comm, "\n") == strlen(name) && strncmp(comm, name, strlen(name)) == 0;
    fclose(file);
  }
  closedir(tasks);
  return count;
}

void pause_ms(int ms) {
  (void)poll(NULL, 0, ms);
}

int64_t cpu_time(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (int64_t)used.tv_sec * SECOND + used.tv_nsec;
}

_Noreturn void skip_because(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("skipped: ", stdout);
  vprintf(format, args);
  putchar('\n');
  fflush(stdout);
  va_end(args);
  skipped++;
  child_give_up();
  _skip(__FILE__, __LINE__);
  abort(); /* _skip() does not return */
}

unsigned fixture_skipped(void) {
  return skipped;
}

int fixture_run_all(const char *name, const struct CMUnitTest *tests, size_t count) {
  int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
  return failed == 0 && count > 0 && skipped == count ? 77 : failed;
}

void (*check_context)(void);
const char *(*check_driver_error)(int error);

_Noreturn void check_failed(const char *file, int line, const char *text) {
  if (check_context)
    check_context();
  if (is_elsewhere()) {
    fprintf(stderr, "%s:%d: in process %d: not so: %s\n", file, line, (int)getpid(), text);
    _exit(99);
  }
  print_error("%s:%d: not so: %s\n", file, line, text);
  _fail(file, line);
  abort(); /* _fail() does not return */
}

/* Errors of the library are negative, those of the GPU driver positive. */
static const char *error_name(int error) {
  const char *name = error > 0 && check_driver_error ? check_driver_error(error) : NULL;
  return error <= 0 ? cuframes_strerror(error) : name ? name : "an error of the GPU driver";
}

void check_result(const char *file, int line, const char *call, int result, int wanted) {
  if (result == wanted)
    return;
  char text[1024];
  snprintf(text, sizeof text, "%s gave %d (%s; %s) instead of %d (%s)", call, result, error_name(result),
           result < 0 ? cuframes_last_error() : "", wanted, error_name(wanted));
  check_failed(file, line, text);
}

void check_between(const char *file, int line, const char *text, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most)
    return;
  char sentence[256];
  snprintf(sentence, sizeof sentence, "%s is %lld, between %lld and %lld", text, (long long)value, (long long)least,
           (long long)most);
  check_failed(file, line, sentence);
}

void detail_names(const char *text) {
  if (!strstr(cuframes_last_error(), text)) {
    char sentence[1024];
    snprintf(sentence, sizeof sentence, "\"%s\" names \"%s\"", cuframes_last_error(), text);
    check_failed(__FILE__, __LINE__, sentence);
  }
}

/* ---- before and after ---- */

static void note_open(const char *name, void *unused) {
  (void)unused;
  int fd = atoi(name);
  if (fd < DESCRIPTORS)
    open_before[fd] = true;
}

int fixture_begin(void **state) {
  (void)state;
  const char *base = getenv("TMPDIR");
  umask(022); /* tests say what mode they expect of a file */
  /* The path of a socket in it has at most 107 bytes, 68 of them for the longest name. */
  snprintf(directory, sizeof directory, "%.28s/cf-XXXXXX", base && base[0] && strlen(base) <= 28 ? base : "/tmp");
  if (!mkdtemp(directory) || setenv("CUFRAMES_DIR", directory, 1) != 0)
    return -1;
  memset(open_before, 0, sizeof open_before);
  (void)directory_visit("/proc/self/fd", note_open, NULL);
  mappings_before = fixture_mappings();
  return 0;
}

static void complain_open(const char *name, void *count) {
  char path[64], target[256];
  if (open_before[atoi(name) % DESCRIPTORS])
    return;
  snprintf(path, sizeof path, "/proc/self/fd/%.16s", name);
  ssize_t length = readlink(path, target, sizeof target - 1);
  target[length > 0 ? length : 0] = '\0';
  print_error("left open: descriptor %s, %s\n", name, target);
  ++*(int *)count;
}

static void complain_file(const char *name, void *count) {
  print_error("left in the runtime directory: %s\n", name);
  ++*(int *)count;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where) {
  (void)status;
  (void)kind;
  (void)where;
  return remove(path);
}

int fixture_end(void **state) {
  (void)state;
  int left = child_end_all();
  /* closing what others sent is done by threads, which nobody waits for */
  for (int64_t end = cuframes_now() + patience(); threads_called("cuframes-close") > 0 && cuframes_now() < end;)
    pause_ms(1);
  (void)directory_visit("/proc/self/fd", complain_open, &left);
  (void)directory_visit(directory, complain_file, &left);
  if (fixture_mappings() != mappings_before) {
    print_error("mappings of shared memory: %d before, %d now\n", mappings_before, fixture_mappings());
    left++;
  }
  if (nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0) { /* also what a test left in it that failed */
    print_error("cannot remove %s: %s\n", directory, strerror(errno));
    left++;
  }
  unsetenv("CUFRAMES_DIR");
  return left == 0 ? 0 : -1;
}

void fixture_run(void **state) {
  CMUnitTestFunction test = *(CMUnitTestFunction *)*state;
  void *none = NULL;
  const char *why;
  (void)fixture_was_slow();
  for (int runs = 1;; runs++) {
    test(&none);
    if ((why = fixture_was_slow()) == NULL)
      return;
    if (runs == SLOW_MOST)
      fail_msg("not so in any of %d runs: %s", runs, why);
    print_message("slow, once more: %s\n", why);
    CHECK(fixture_end(&none) == 0);
    CHECK(fixture_begin(&none) == 0);
  }
}
