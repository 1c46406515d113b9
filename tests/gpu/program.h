/* program.h - what the programs here share: their options, what GPU there is, lines for the table of tests/gpu/run, and
 * talk with the forked processes that play.
 *
 * A test makes no CUDA call itself: CUDA does not survive a fork. Its processes are children (support/child.h), and
 * every one begins with gpu_begin().
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "cuda/gpu.h"
#include "support/child.h"
#include "support/fixture.h"

/* What the command line says. 0: the program's own default, which is that for a GPU. */
typedef struct program_options {
  double seconds;         /* --seconds S: of each cell */
  uint64_t frames;        /* --frames N */
  uint32_t width, height; /* --size WxH; 1920x1080 unless said otherwise */
  uint32_t cycles;        /* --cycles N */
  uint32_t changes;       /* --changes N */
  uint64_t seed;          /* --seed N; one of its own unless said otherwise */
} program_options;
extern program_options program;

/* The first GPU, as a child saw it. */
typedef struct program_facts {
  bool there, standin;
  char why_not[512]; /* why there is none */
  char name[64];
  int devices;
  bool vmm, legacy, timeline, pools;
} program_facts;
extern program_facts facts;

#define SHOW(test)                                                                                                     \
  (struct CMUnitTest) {                                                                                                \
#test, fixture_run, program_begin, fixture_end, &(CMUnitTestFunction) {                                            \
      test                                                                                                             \
    }                                                                                                                  \
  }
#define SHOW_STATE(test, name, state)                                                                                  \
  (struct CMUnitTest) {                                                                                                \
    name, test, program_begin, fixture_end, state                                                                      \
  }
int program_begin(void **state);

/* main(): takes --list, --only PATTERN and the options above. Gives 77 where there is no GPU, and when everything that
 * ran was skipped. */
int program_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count);
#define PROGRAM_RUN(argc, argv, tests) program_run(argc, argv, tests, sizeof tests / sizeof(tests)[0])

/* Numbers of the test that runs now. */
void program_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A format of the size asked for. */
cuframes_format program_format(uint32_t pixel_format);
/* 0 .. below-1, from the seed. It begins anew with program_reseed(), so that a test does not depend on those before. */
uint64_t program_random(uint64_t below);
void program_reseed(uint64_t salt);

/* As say() and hear(), with bytes. */
void tell(int fd, const void *bytes, size_t size);
void learn(int fd, void *bytes, size_t size);

/* Removes what killed publishers left; nobody else publishes. */
void sweep_up(void);

/* A word that a kernel may count into or wait for, and its value now. Of the device; 0 at first. */
cu_deviceptr word_new(void);
uint64_t word_value(cu_deviceptr word);

#endif
