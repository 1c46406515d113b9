/* containers.h - which codec a container holds so that players read it back. */
#ifndef CUFRAMES_CONTAINERS_H
#define CUFRAMES_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `container` ("mp4", "matroska", "mpegts", "nut") holds `codec`, by FFmpeg's name. */
bool containers_hold(const char *container, const char *codec);

/* What to use instead, as the end of a sentence: "; .mkv holds it", ", nor does another container here". */
void containers_advise(const char *codec, bool audio, char *text, size_t size);

/* Whether a reader finds a packet in the file. True as well if that cannot be found out. */
bool containers_play(const char *container, const char *path);

#endif
