/* media_extra.c - options of FFmpeg that the user gave (--input-option): to the demuxer and its protocols, and what
 * these do not know to the decoder. What nobody knows is an error: a misspelt option would do nothing, unseen. */
#include <string.h>

#include "media.h"

/* Calls use() for each KEY=VALUE of the job's options. */
static void each(const media *m, void (*use)(const char *key, const char *value, void *user), void *user) {
  char key[PUBLISH_INPUT_OPTION_MAX];
  const char *at = m->job->options->input_options;
  while (at != NULL && *at != '\0') {
    const char *equals = strchr(at, '='), *end = strchr(at, '\n');
    char value[PUBLISH_INPUT_OPTION_MAX];
    snprintf(key, sizeof key, "%.*s", (int)(equals - at), at);
    snprintf(value, sizeof value, "%.*s", (int)(end - equals - 1), equals + 1);
    use(key, value, user);
    at = end + 1;
  }
}

static void set_one(const char *key, const char *value, void *options) {
  av_dict_set(options, key, value, 0);
}

void media_extra_options(const media *m, AVDictionary **options) {
  each(m, set_one, options);
}

typedef struct keeping {
  const AVDictionary *left; /* what the demuxer did not know */
  AVDictionary **kept;
} keeping;

static void keep_one(const char *key, const char *value, void *user) {
  const keeping *k = user;
  if (av_dict_get(k->left, key, NULL, AV_DICT_MATCH_CASE) != NULL)
    av_dict_set(k->kept, key, value, 0);
}

void media_extra_keep(media *m, const AVDictionary *left) {
  av_dict_free(&m->extra);
  each(m, keep_one, &(keeping){ .left = left, .kept = &m->extra });
}

int media_extra_check(media *m, AVDictionary *left) {
  const AVDictionaryEntry *first = av_dict_get(left, "", NULL, AV_DICT_IGNORE_SUFFIX);
  if (first == NULL)
    return 0;
  snprintf(m->reason, sizeof m->reason,
           "--input-option %s: neither the %s demuxer, nor its protocol, nor the %s decoder knows it", first->key,
           m->in->iformat->name, m->decoder->codec->name);
  return AVERROR_OPTION_NOT_FOUND;
}
