/* drivers.c - which driver a child of a test has. */
#include "drivers.h"

#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *driver;

/* C knows no conversion between data and function pointers; POSIX has them alike. */
static void find(void *function, const char *name) {
  void *found = dlsym(driver, name);
  CHECK(found != NULL);
  memcpy(function, &found, sizeof found);
}

void drivers_begin(int argc, char **argv) {
  setenv("CUDA_STANDIN_DELAY_US", "200", 1);
  program.width = 320;
  program.height = 180;
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
}

void driver_use(const char *name, const char *variables) {
  static char copy[512];
  char path[512], *rest = NULL;
  const char *base = getenv("CUDA_STANDINS");
  CHECK(base != NULL);
  snprintf(copy, sizeof copy, "%s", variables ? variables : "");
  for (char *one = strtok_r(copy, ";", &rest); one; one = strtok_r(NULL, ";", &rest))
    putenv(one);
  snprintf(path, sizeof path, "%s/%s/libcuda.so.1", base, name);
  driver = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  CHECK(driver != NULL);
}

void driver_fail(const char *name, unsigned nth, int error) {
  int (*fail_call)(const char *, unsigned, int);
  find((void *)&fail_call, "standin_fail");
  CHECK(fail_call(name, nth, error) == 0);
}

void driver_lose(unsigned nth, int error) {
  void (*lose)(unsigned, int);
  find((void *)&lose, "standin_lose");
  lose(nth, error);
}

unsigned long driver_calls(const char *name) {
  unsigned long (*calls)(const char *);
  find((void *)&calls, "standin_calls");
  return calls(name);
}

void driver_nothing_left(void) {
  long (*live)(standin_kind);
  find((void *)&live, "standin_live");
  for (int kind = 0; kind < STANDIN_SWEPT; kind++)
    CHECK(live((standin_kind)kind) == 0);
}

bool driver_is_installed(void) {
  void *there = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (there)
    dlclose(there);
  return there != NULL;
}

cuframes_stream_info *query(const char *name) {
  cuframes_stream_info *info = NULL;
  CHECK_OK(cuframes_stream_query(NULL, name, patience(), &info));
  return info;
}

void run_source(int test, void *user) {
  static source s;
  const setting *set = user;
  struct pollfd asked = { .fd = test, .events = POLLIN };
  driver_use(set->driver, set->variables);
  source_begin(&s, &set->source);
  do {
    source_publish(&s);
    if (s.number == 1)
      say(test, 0);
  } while (poll(&asked, 1, 2) == 0);
  hear(test);
  source_end(&s);
}

child *source_start(const setting *s) {
  child *c = child_start(run_source, (void *)(uintptr_t)s);
  hear(c->fd);
  return c;
}

void source_stop(child *c) {
  say(c->fd, 0);
  child_finish(c);
}

void run_observer(int test, void *user) {
  static checker v;
  struct pollfd asked = { .fd = test, .events = POLLIN };
  driver_use(STANDIN, NULL);
  checker_begin(&v, &(checker_options){ .name = user, .sync = CUFRAMES_SYNC_TIMELINE, .release_on = true });
  do {
    CHECK_OK(checker_look(&v, patience()));
    if (v.report.frames == 1)
      say(test, 0);
  } while (poll(&asked, 1, 0) == 0);
  hear(test);
  for (uint64_t enough = v.report.frames + 5; v.report.frames < enough;)
    CHECK_OK(checker_look(&v, patience()));
  checker_report report = checker_end(&v);
  tell(test, &report, sizeof report);
}
