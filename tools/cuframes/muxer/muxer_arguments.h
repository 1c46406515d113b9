/* muxer_arguments.h - what is asked of a muxer on the command line, for the commands that write packets. */
#ifndef CUFRAMES_MUXER_ARGUMENTS_H
#define CUFRAMES_MUXER_ARGUMENTS_H

#include "muxer.h"

#define MUXER_HELP_TRACKS                                                                                              \
  "  --audio KIND       copy (default): as it is; aac: encoded, where it is not AAC; none: left out\n"                 \
  "  --tracks LIST      only these: numbers as info shows them, 'video', 'audio', such as 0,2 or video,3\n"

/* FFmpeg's name of a container by what people call it, or by a file's extension; NULL: it is none of ours. */
const char *muxer_container_of(const char *text);

/* The values of --audio and --tracks. CLI_OK, or CLI_USAGE after a message. */
int muxer_take_audio(const char *text, enum muxer_audio *audio);
int muxer_take_tracks(const char *text, muxer_tracks *tracks);

#endif
