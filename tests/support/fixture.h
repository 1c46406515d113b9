/* support/fixture.h - what surrounds every test: a runtime directory of its own, deadlines, and a look at the end
 * whether anything was left behind: descriptors, shared memory, children, files.
 *
 * No test may fail because the machine is slow or busy. A limit on what must come is patience(), whatever it is; what
 * should be quick is judged by SOON and TOOK.
 *
 * CHECK, CHECK_OK and CHECK_RESULT work in the test, in its forked children and in its threads: in the test they fail
 * it, elsewhere they say why on stderr and end the process, which the test notices.
 */
#ifndef SUPPORT_FIXTURE_H
#define SUPPORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cuframes/cuframes.h>

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* One test: set-up, the test itself (again if something in it was slow, see SOON below), tear-down. */
int fixture_begin(void **state);
void fixture_run(void **state);
int fixture_end(void **state);
#define FIXTURE(test)                                                                                                  \
  (struct CMUnitTest) {                                                                                                \
    .name = #test, .test_func = fixture_run, .setup_func = fixture_begin, .teardown_func = fixture_end,                \
    .initial_state = &(CMUnitTestFunction) {                                                                           \
      test                                                                                                             \
    }                                                                                                                  \
  }
/* Runs them; for main(). Gives 77 if some were skipped and no other ran, so that the file counts as skipped. */
int fixture_run_all(const char *name, const struct CMUnitTest *tests, size_t count);
#define FIXTURE_RUN(name, tests) fixture_run_all(name, tests, sizeof(tests) / sizeof(tests)[0])

/* Ends the test, skipped, with the reason, which the summary of all tests repeats. In the test, not in a child, and
 * before it has made anything but children, which are ended. support/rights.h has the usual reasons. */
_Noreturn void skip_because(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How many have been. */
unsigned fixture_skipped(void);

/* The runtime directory of this test; $CUFRAMES_DIR names it too. */
const char *fixture_directory(void);
/* A path in it, valid until the fourth call after this one. */
const char *fixture_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Files in it. */
int fixture_files(void);
/* Open descriptors, and mappings of cuframes' shared memory, of this process. */
int fixture_descriptors(void);
int fixture_mappings(void);

/* How long a test waits for what must come, in ns: two minutes; eight where a sanitizer makes everything slow; times
 * $CUFRAMES_TEST_TIMEOUT. It is there to find what hangs, and long enough for any machine. */
int64_t patience(void);
/* Lets ms go by inside a loop that has a deadline. */
void pause_ms(int ms);
/* How many threads of this process have that name; one that was joined may be among them for a moment. */
int threads_called(const char *name);
/* CPU time of this process in ns. */
int64_t cpu_time(void);

/* Says more before a check fails, and names the GPU driver's errors; NULL: nobody does. */
extern void (*check_context)(void);
extern const char *(*check_driver_error)(int error);

_Noreturn void check_failed(const char *file, int line, const char *text);
void check_result(const char *file, int line, const char *call, int result, int wanted);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
#define CHECK_RESULT(call, wanted) check_result(__FILE__, __LINE__, #call, (call), (wanted))
#define CHECK_OK(call) CHECK_RESULT(call, 0)

/* least <= value <= most, of whatever integers. */
#define CHECK_BETWEEN(value, least, most) check_between(__FILE__, __LINE__, #value, (int64_t)(value), (least), (most))
void check_between(const char *file, int line, const char *text, int64_t value, int64_t least, int64_t most);

/* What takes a moment when all is well, and may take longer because others want the processor too. SOON notes it when
 * it took so many ms or more, and fixture_run() (in tests/crash the run of one step) repeats what was slow: the test
 * fails if it is so every time, and at once when it took half of one's patience, since what is to be woken was not.
 * In other threads, and in processes that do not ask fixture_was_slow(), only the latter. Like patience(), the ms grow
 * with sanitizer and variable. */
#define SOON(elapsed_ns, ms) soon(__FILE__, __LINE__, #elapsed_ns, (elapsed_ns), (ms))
void soon(const char *file, int line, const char *text, int64_t elapsed_ns, int64_t ms);
/* The same for a call that takes its time: since `start` at least so many ms have gone by. */
#define TOOK(start, least_ms, ms)                                                                                      \
  do {                                                                                                                 \
    int64_t took_ = cuframes_now() - (start);                                                                          \
    CHECK(took_ >= (least_ms)*MS);                                                                                     \
    soon(__FILE__, __LINE__, "the time since " #start, took_, (ms));                                                   \
  } while (0)
/* What SOON noted since this was last called; NULL: nothing. */
const char *fixture_was_slow(void);
/* How often something is tried that was slow each time. */
#define SLOW_MOST 10

/* Waits until the condition holds, looking every millisecond. */
#define WAIT_FOR(condition)                                                                                            \
  do {                                                                                                                 \
    int64_t wait_end_ = cuframes_now() + patience();                                                                   \
    while (!(condition)) {                                                                                             \
      if (cuframes_now() > wait_end_)                                                                                  \
        check_failed(__FILE__, __LINE__, "in time: " #condition);                                                      \
      pause_ms(1);                                                                                                     \
    }                                                                                                                  \
  } while (0)

/* The last failure's detail names this. */
void detail_names(const char *text);

#endif
