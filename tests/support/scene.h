/* support/scene.h - what surrounds every test: a runtime directory of its own, deadlines, and a look at the end whether
 * anything was left behind: descriptors, shared memory, children, files.
 *
 * NEED, IS and OK work in the test, in its forked children and in its threads: in the test they fail it, elsewhere they
 * say why on stderr and end the process, which the test notices.
 */
#ifndef SUPPORT_SCENE_H
#define SUPPORT_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cuframes/cuframes.h>

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* Set-up and tear-down of one test. */
int scene_begin(void **state);
int scene_end(void **state);
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_begin, scene_end)

/* The runtime directory of this test; $CUFRAMES_DIR names it too. */
const char *scene_directory(void);
/* A path in it, valid until the fourth call after this one. */
const char *scene_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Files in it. */
int scene_files(void);
/* Open descriptors, and mappings of cuframes' shared memory, of this process. */
int scene_descriptors(void);
int scene_mappings(void);

/* A number of ms in ns, more of them where a sanitizer makes everything slow. */
int64_t patience(int64_t ms);
/* Lets ms go by inside a loop that has a deadline. */
void pause_ms(int ms);
/* CPU time of this process in ns. */
int64_t cpu_time(void);

_Noreturn void need_failed(const char *file, int line, const char *text);
void is_result(const char *file, int line, const char *call, int result, int wanted);

#define NEED(condition) ((condition) ? (void)0 : need_failed(__FILE__, __LINE__, #condition))
#define IS(call, wanted) is_result(__FILE__, __LINE__, #call, (call), (wanted))
#define OK(call) IS(call, CUFRAMES_OK)

/* Waits until the condition holds, looking every millisecond. */
#define WAIT_FOR(condition, ms)                                                                                        \
  do {                                                                                                                 \
    int64_t wait_end_ = cuframes_now() + patience(ms);                                                                 \
    while (!(condition)) {                                                                                             \
      if (cuframes_now() > wait_end_)                                                                                  \
        need_failed(__FILE__, __LINE__, "in time: " #condition);                                                       \
      pause_ms(1);                                                                                                     \
    }                                                                                                                  \
  } while (0)

/* The last failure's detail names this. */
void detail_names(const char *text);

#endif
