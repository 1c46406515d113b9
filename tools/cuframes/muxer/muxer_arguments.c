/* muxer_arguments.c - see muxer_arguments.h. */
#include "muxer_arguments.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/cli.h"
#include "common/suggest.h"

const char *muxer_container_of(const char *text) {
  static const char *const kinds[][2] = { { "mp4", "mp4" },           { "m4v", "mp4" },   { "mkv", "matroska" },
                                          { "matroska", "matroska" }, { "ts", "mpegts" }, { "mpegts", "mpegts" } };
  for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
    if (!strcasecmp(text, kinds[i][0]))
      return kinds[i][1];
  return NULL;
}

int muxer_take_audio(const char *text, enum muxer_audio *audio) {
  static const char *const words[] = {
    [MUXER_AUDIO_COPY] = "copy", [MUXER_AUDIO_AAC] = "aac", [MUXER_AUDIO_NONE] = "none", NULL
  };
  for (int i = 0; words[i]; i++) {
    if (strcmp(text, words[i]) == 0) {
      *audio = (enum muxer_audio)i;
      return CLI_OK;
    }
  }
  return cli_usage("--audio is copy, aac or none, not '%s'%s", text, suggest_text("", suggest_from(text, words)).text);
}

/* One word of --tracks. */
static bool take_track(muxer_tracks *tracks, const char *word, size_t length) {
  char *end;
  if (length == 5 && strncmp(word, "video", length) == 0)
    return tracks->video = true;
  if (length == 5 && strncmp(word, "audio", length) == 0)
    return tracks->audio = true;
  const unsigned long number = strtoul(word, &end, 10);
  if (length == 0 || *word < '0' || *word > '9' || end != word + length || number >= CUFRAMES_TRACKS_MAX)
    return false;
  tracks->indices |= 1u << number;
  return true;
}

int muxer_take_tracks(const char *text, muxer_tracks *tracks) {
  const char *word = text;
  for (;;) {
    const size_t length = strcspn(word, ",");
    if (!take_track(tracks, word, length))
      return cli_usage("--tracks is a list of numbers below %d, 'video' and 'audio', such as video,3; not '%s'",
                       CUFRAMES_TRACKS_MAX, text);
    if (word[length] == '\0')
      return CLI_OK;
    word += length + 1;
  }
}
