/* textfile.h - a text for node_exporter's textfile collector: whoever reads the file sees the whole of one look.
 *
 * Threads  One. */
#ifndef CUFRAMES_METRICS_TEXTFILE_H
#define CUFRAMES_METRICS_TEXTFILE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the text beside `path`, as ".NAME.tmp", and renames it. False: nothing changed there, and `why` says in words
 * what failed and what mends it. */
bool textfile_write(const char *path, const char *text, size_t length, char *why, size_t size);

/* Takes the file away, so that nobody takes for current what it says. */
void textfile_remove(const char *path);

#endif
