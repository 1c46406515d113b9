/* json.h - streams and subscribers as JSON (jansson), for every command that has --json. */
#ifndef CUFRAMES_JSON_H
#define CUFRAMES_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include <cuframes/cuframes.h>

/* Text that came from another process: what is not UTF-8 is shown as '?'. */
json_t *cli_json_text(const char *text);

/* A number with at most `decimals` decimals: no 24.000000000000004 on the screen. */
json_t *cli_json_rounded(double value, int decimals);

/* What list says of a stream, and with `full` everything that info and top say. */
json_t *cli_json_stream(const cuframes_stream_info *info, bool full);

/* Adds what pictures of a format say of themselves, null where they do not; object may be NULL. */
void cli_json_add_words(json_t *object, const cuframes_format *format);

/* Prints it and a newline on stdout and lets go of it. compact: on one line, for JSON lines. Gives an exit code. An
 * output that takes nothing more is the business of cli_output_flush() and cli_output_end(). */
int cli_json_print(json_t *value, bool compact);

/* What of a configuration file holds for a whole run and cannot change while it goes on. */
typedef struct cli_fixed {
  const char *name;
  bool differs;
} cli_fixed;
/* Those that differ: said, in words and as an array. */
json_t *cli_json_fixed(const cli_fixed *all, size_t count);

/* Puts an event on its way to stdout, as a line of its own, and lets go of it: nobody waits for whoever reads them
 * (output.h). If some before it were dropped, it says how many: "dropped_events". NULL: out of memory, so dropped. */
void cli_json_event(json_t *event);

/* As text on one line without secrets, and lets go of it. The caller's, by free(); NULL: out of memory. */
char *cli_json_line(json_t *value);

/* Of "cuda:GPU-UUID", so much is enough to tell GPUs apart. */
#define DEVICE_COLUMNS 17

/* A stream's pictures in two words, "1280x720 nv12" or "1x3x640x640 float32", as text of `size` bytes; FORMAT_TEXT is
 * enough for any. */
#define FORMAT_TEXT 96
#define SOURCE_TEXT 1024 /* what list and info show of a description, without secrets */
void format_text(char *text, size_t size, const cuframes_format *format);
/* "12.3 MiB". */
void bytes_text(char *text, size_t size, uint64_t bytes);
/* What they say of themselves beside that, ", top-first, pixels 64:45", or nothing; FORMAT_TEXT is enough. */
void words_text(char *text, size_t size, const cuframes_format *format);
/* NULL: not said. */
const char *chroma_text(uint8_t location);
const char *fields_text(uint8_t field_order);
const char *mode_text(uint32_t mode);
/* The sync mode that a subscriber would have liked most, "timeline". */
const char *sync_asked_text(const cuframes_subscriber_info *seat);

#endif
