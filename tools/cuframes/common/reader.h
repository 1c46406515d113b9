/* reader.h - what the commands that read a stream share: their common options, joining the stream with them,
 * and pictures where the CPU can see them.
 */
#ifndef CUFRAMES_READER_H
#define CUFRAMES_READER_H

#include <getopt.h>

#include "cli.h"

/* Longest wait inside the library: a signal is noticed within this time. */
#define READER_SLICE_NS 200000000ll
#define READER_QUERY_NS 2000000000ll

typedef struct reader_config {
  const char *name, *directory, *label;
  int64_t wait_ns; /* for the stream to appear and begin; 0: not at all, CUFRAMES_WAIT_FOREVER */
  const char *device;
  uint32_t mode, leases, depth, sync;
  bool reconnect, json;
  bool any_state;     /* a query takes a stream as it is, also one that has not begun */
  bool check;         /* whether it is live is the exit code */
  int64_t max_age_ns; /* with it; 0: not said */
  bool (*given_up)(
      void *user);  /* asked while it is waited for: nobody wants it any more; NULL: as long as --wait says */
  void *user;       /* of given_up */
  int64_t first_by; /* until then a stream that had not begun when it was joined may take; 0: it had, or no --wait */
} reader_config;

/* Values that getopt_long gives for the options below; a command's own ones start at READER_OWN. */
enum reader_option {
  READER_HELP = 0x100,
  READER_NAME,
  READER_DIR,
  READER_JSON,
  READER_WAIT,
  READER_RECONNECT,
  READER_LEASES,
  READER_DEPTH,
  READER_LABEL,
  READER_MODE,
  READER_DEVICE,
  READER_SYNC,
  READER_CHECK,
  READER_MAX_AGE,
  READER_OWN
};

/* clang-format off */
#define READER_OPTIONS_BASIC                    \
  { "help", no_argument, NULL, READER_HELP },   \
  { "dir", required_argument, NULL, READER_DIR }, \
  { "json", no_argument, NULL, READER_JSON }

#define READER_OPTIONS_NAME                         \
  { "name", required_argument, NULL, READER_NAME }, \
  { "wait", optional_argument, NULL, READER_WAIT }

#define READER_OPTIONS_JOIN                             \
  { "reconnect", no_argument, NULL, READER_RECONNECT }, \
  { "leases", required_argument, NULL, READER_LEASES }, \
  { "depth", required_argument, NULL, READER_DEPTH },   \
  { "label", required_argument, NULL, READER_LABEL },   \
  { "mode", required_argument, NULL, READER_MODE }

/* Of those that look at pictures. */
#define READER_OPTIONS_FRAMES                          \
  { "device", required_argument, NULL, READER_DEVICE }, \
  { "sync", required_argument, NULL, READER_SYNC }

/* Of those that tell whether a stream is live. */
#define READER_OPTIONS_CHECK                      \
  { "check", no_argument, NULL, READER_CHECK },   \
  { "max-age", required_argument, NULL, READER_MAX_AGE }
/* clang-format on */

#define READER_HELP_WAIT "  --wait[=SECONDS]   wait for the stream to appear and to begin (without a value: for ever)\n"
#define READER_HELP_JOIN                                                                                               \
  "  --reconnect        when the publisher goes, wait for it and go on\n"                                              \
  "  --mode MODE        newest (default) or ordered\n"                                                                 \
  "  --leases N         frames held at the same time (default 2)\n"                                                    \
  "  --depth N          ordered: frames that may wait for this subscriber (default 4)\n"                               \
  "  --label TEXT       shown by info and top (default: the command)\n"
#define READER_HELP_FRAMES                                                                                             \
  "  --device DEVICE    auto (default): wherever the stream is; host: refuse a stream on a GPU; cuda, cuda:NUMBER,\n"  \
  "                     cuda:GPU-UUID: refuse one that is not, and use this GPU\n"                                     \
  "  --sync MODE        how to learn that a GPU has done a picture: complete (default), timeline or slot-events\n"
#define READER_HELP_BASIC                                                                                              \
  "  --dir DIR          runtime directory (default: $CUFRAMES_DIR, /run/cuframes, ...)\n"                              \
  "  --json             print JSON\n"                                                                                  \
  "  --help             this text\n"

/* Whether what --check asks and --max-age fit each other: CLI_OK, or CLI_USAGE after a message. */
int reader_check_options(const reader_config *options);

/* Takes one option of the lists above. CLI_OK, or CLI_USAGE after a message. */
int reader_option(reader_config *options, int option, char **argv, int argc);

/* What remains after the options: the one NAME (unless it came by --name) and, where `file` is not NULL, one FILE
 * (left as it is if there is none). CLI_OK or CLI_USAGE. */
int reader_take_name(reader_config *options, int argc, char **argv, const char **file);

/* Says that memory is out; gives CLI_FAILED. */
int reader_no_memory(void);

/* Asks the publisher, waiting for it, and for its first picture if it has none yet, as --wait says. *info is the
 * caller's. Gives an exit code, after a message. */
int reader_query(const reader_config *options, cuframes_stream_info **info);

/* What keeps pictures from coming, "reconnecting 34 s: connection refused", into STATE_TEXT bytes (stream_state.h).
 * False: the publisher is not there, does not say, or says that they come. */
bool reader_trouble(const reader_config *options, char *text, size_t size);
/* The same as a note, after a message that nothing came; or that there are no pictures in it. */
void reader_say_trouble(const reader_config *options);

/* Joins the stream, waiting for it as --wait says. Gives an exit code, after a message (none when stopped by a
 * signal, or when given_up() said so: then CLI_FAILED). */
int reader_join(reader_config *options, cuframes_subscriber **subscriber);

/* cuframes_subscriber_enable_packets(); a publisher may be listed a moment before it adds its ring. Gives an exit code,
 * after a message as reader_join(). */
int reader_enable_packets(const reader_config *options, cuframes_subscriber *subscriber, uint32_t start);

/* How long the first frame may take where others may take so long (negative: for ever): --wait holds for it, too. */
int64_t reader_first_timeout(const reader_config *options, int64_t timeout_ns);

/* Waits until CLOCK_MONOTONIC `deadline` or the end by a signal, which gives false. */
bool reader_pause(int64_t deadline);

/* cuframes_subscriber_next() with a timeout (negative: for ever) that a signal ends: CUFRAMES_ERR_INTERRUPTED. */
int reader_next(cuframes_subscriber *subscriber, int64_t timeout_ns, cuframes_frame **frame);

/* The planes of a frame for the CPU: where they lie if that is host memory, else in `copy`. */
typedef struct picture_planes {
  const uint8_t *plane[CUFRAMES_PLANES];
  uint32_t pitch[CUFRAMES_PLANES];
  uint8_t *copy;
  size_t copy_bytes;
} picture_planes;

/* In place is where the planes lie, if the CPU can reach them there; else, and without, it is a copy.
 * A copy has rows of whole 64 bytes and 64 bytes behind the last one, as swscale wants to read.
 * Valid until the frame is released or the picture is used again. 0 or a negative CUFRAMES_ERR_*. */
int picture_view(picture_planes *view, const cuframes_frame *frame, bool in_place);
void picture_free(picture_planes *view);

/* Whether a stream has pictures; else it carries packets alone. */
bool has_pictures(const cuframes_format *format);

#endif
