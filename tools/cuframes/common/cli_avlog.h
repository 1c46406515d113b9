/* cli_avlog.h - what FFmpeg's libraries say, brought into the program's own messages. */
#ifndef CUFRAMES_CLI_AVLOG_H
#define CUFRAMES_CLI_AVLOG_H

#include <stdbool.h>

/* From now on FFmpeg's warnings and errors become cli_note() lines, a few per second at most. Each is prefixed with
 * the owner that is the `opaque` of the AVCodecContext or AVFormatContext it is about (which must therefore be NULL or
 * such a one, that outlives the context); else with the name that the calling thread gave. */
typedef struct cli_avlog_owner {
  const char *prefix; /* the first member of what `opaque` points to */
} cli_avlog_owner;
void cli_avlog_install(void);
void cli_avlog_thread(const char *prefix);

/* While held, lines of the calling thread are not printed; the last one of them is kept, for an error message.
 * Never NULL; "" if there was none since hold(true). */
void cli_avlog_hold(bool hold);
const char *cli_avlog_last(void);

/* Whether, since then, a server asked the calling thread for a digest that FFmpeg cannot compute. It says nothing of
 * that itself. */
bool cli_avlog_strange_digest(void);

/* What kind of document the web server sent that the calling thread asked last since then ("text/html"), if it is one
 * for people or programs to read; "": it is none, or nothing was sent. */
const char *cli_avlog_document(void);

/* Whether that server sends parts without end, one picture each; whether it says that it sends a JPEG. */
bool cli_avlog_multipart(void);
bool cli_avlog_jpeg(void);

/* The calling thread's first line since its last mark, "" if there was none; printed or not. */
void cli_avlog_mark(void);
const char *cli_avlog_first(void);

#endif
