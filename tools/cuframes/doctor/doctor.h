/* doctor.h - what the parts of `cuframes doctor` share: what was asked, what was found, and facts for later parts.
 *
 * Each part looks at one subject, in a process of its own (guard.h), so that none of them can hang or take the program
 * with it. What it finds lies in memory that these processes share; they run one behind the other.
 */
#ifndef CUFRAMES_DOCTOR_H
#define CUFRAMES_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

#include "common/shell_word.h"

enum finding_state {
  FOUND_WELL,
  FOUND_NOTE,    /* good to know, and keeps nobody from sharing */
  FOUND_UNKNOWN, /* cannot be seen from here */
  FOUND_PROBLEM
};

#define FINDING_TEXT 640

typedef struct finding {
  enum finding_state state;
  char subject[16], check[24];
  char what[FINDING_TEXT], why[FINDING_TEXT], mend[FINDING_TEXT]; /* why and mend: of problems alone */
} finding;

#define FINDINGS_MOST 512 /* a stream has up to 256 readers, and each is said something of */
#define DOCTOR_PATH 256

typedef struct doctor {
  /* What was asked for. */
  const char *name;      /* NULL: none, this is about publishing and reading in general */
  const char *directory; /* as it was given; NULL: the default */
  const char *device;    /* "auto" unless said otherwise */
  uint32_t sync;         /* bits of enum cuframes_sync; 0: not asked for */
  int64_t limit_ns;      /* of a part */

  /* Facts that a part found, for those behind it. */
  char path[DOCTOR_PATH];                           /* the runtime directory; "": none can be found */
  char stream_device[CUFRAMES_DEVICE_NAME_MAX + 1]; /* of the stream; "": not known */
  bool stream_answers;                              /* it was asked, and told of itself */
  bool stream_pictures;                             /* it has some */
  bool stream_barred;                               /* no use joining it: that is said already */
  bool connect_barred;                              /* nor a stream of our own: no connection is let through at all */
  int publisher;                                    /* its process, 0: not visible here */
  bool in_container;
  bool gpu_expected;  /* something says that there is a GPU */
  bool gpu_works;     /* there is one, and nothing was found against it */
  bool gpu_barred;    /* no use trying: that is said already */
  bool low_limits;    /* no use trying anything: likewise */
  bool kernel_barred; /* likewise: a call that everything needs is not to be had */

  /* Where the trial publishes: made by the program itself, which removes it. "": there is no place. */
  char trial_directory[DOCTOR_PATH];

  const char *part; /* that runs */
  char stage[160];  /* what it is doing, for when it hangs or dies */
  size_t finding_count;
  finding findings[FINDINGS_MOST];
} doctor;

/* Adds what a part found. The sentence is `what`; of a problem finding_why() and finding_mend() add the cause and the
 * command that mends it. Never NULL: past FINDINGS_MOST the last one is replaced. */
finding *found(doctor *d, enum finding_state state, const char *check, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void finding_why(finding *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_mend(finding *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Why, and what mends it, of an error of the library with its sentence: of the stream, or of doctor's own in the
 * trial. */
void finding_error(finding *f, const doctor *d, int error, const char *sentence);
size_t finding_count(const doctor *d, enum finding_state state);

/* Says what the part is doing from here on. */
void doctor_stage(doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of a directory as a word for a shell. */
#define SHELL_WORD SHELL_WORD_FOR(DOCTOR_PATH)

/* The parts, in their order. */
void doctor_directory(doctor *d);
void doctor_leftovers(doctor *d);
void doctor_kernel(doctor *d);
void doctor_limits(doctor *d);
/* Of a publisher that can be seen: whether it can take one more reader, for which its pool may grow so much. */
void doctor_publisher_limits(doctor *d, int pid, uint64_t growth);
/* Of one that does not answer: whether it has no descriptor left, with which it would take a connection; then that was
 * said. */
bool doctor_publisher_is_full(doctor *d, int pid);
void doctor_stream(doctor *d);
void doctor_hardware(doctor *d);
void doctor_container(doctor *d);
void doctor_accounts(doctor *d);
void doctor_device(doctor *d);
void doctor_trial(doctor *d);
void doctor_join(doctor *d);

/* Whether a device ("auto", "host", "cuda", "cuda:...") is a GPU; "auto" is none. */
bool device_is_gpu(const char *device);
/* The GPU that this is about, "cuda..." as asked or as the stream says; NULL: none. */
const char *doctor_gpu(const doctor *d);

#endif
