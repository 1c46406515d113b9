/* media_extra.c - options of FFmpeg that the user gave (--input-option): to the demuxer and its protocols, and what
 * these do not know to the decoder. An option that this FFmpeg does not have is a usage error, for a misspelt one would
 * do nothing, unseen; one that it has, and that is for something else, is said. */
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <libavutil/parseutils.h>
#include <string.h>

#include "common/cli.h"
#include "common/suggest.h"
#include "media.h"
#include "media_extra.h"

/* Calls use() for each KEY=VALUE, which have a newline behind them. */
static void each(const char *options, void (*use)(const char *key, const char *value, void *user), void *user) {
  char key[PUBLISH_INPUT_OPTION_MAX];
  const char *at = options;
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
  each(m->job->options->input_options, set_one, options);
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
  each(m->job->options->input_options, keep_one, &(keeping){ .left = left, .kept = &m->extra });
}

void media_extra_check(media *m, AVDictionary *left) {
  const AVDictionaryEntry *entry = NULL;
  while (!m->extra_said && (entry = av_dict_get(left, "", entry, AV_DICT_IGNORE_SUFFIX)) != NULL)
    publish_job_warn(m->job,
                     "--input-option %s does nothing here: neither the %s demuxer, nor its protocol, nor the %s "
                     "decoder has it",
                     entry->key, m->in->iformat->name, m->decoder->codec->name);
  m->extra_said = true;
}

/* --- before anything is opened --- */

/* Options that would take something out of our hands. */
static const char *refused(const char *key) {
  static const char *const keys[][2] = {
    { "timeout", "is set by --timeout" },
    { "stimeout", "is set by --timeout" },
    { "rw_timeout", "is set by --timeout" },
    { "rtsp_transport", "is set by --rtsp-transport" },
    { "list_formats", "only lists them: `v4l2-ctl --list-formats-ext` does, too" },
    { "list_standards", "only lists them: `v4l2-ctl --list-standards` does, too" },
    { "threads", "is not for you to set: the decoder's threads share its slots" },
    { "thread_type", "is not for you to set: the decoder's threads share its slots" },
    { "lowres", "would make pictures of another size than is announced" },
    { "apply_cropping", "would make pictures of another size than is announced" },
  };
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (strcmp(keys[i][0], key) == 0)
      return keys[i][1];
  return NULL;
}

static bool is_boolean(const char *value) {
  static const char *const words[] = { "true",    "y",        "yes", "enable", "enabled", "on", "false", "n", "no",
                                       "disable", "disabled", "off", "auto",   "0",       "1",  "-1",    NULL };
  for (size_t i = 0; words[i] != NULL; i++)
    if (av_strcasecmp(words[i], value) == 0)
      return true;
  return false;
}

/* Whether FFmpeg will take it; of kinds that only it can judge: yes. */
static bool is_value(const AVClass *class, const AVOption *option, const char *value) {
  /* FFmpeg judges values for an object, of which it wants the class here, and a name for its log. */
  AVClass plain = *class;
  const AVClass *object = &plain;
  union {
    int i;
    int64_t i64;
    float f;
    double d;
    AVRational q;
  } to;
  plain.item_name = av_default_item_name;
  plain.parent_log_context_offset = 0;
  switch (option->type) {
    case AV_OPT_TYPE_INT: return av_opt_eval_int(&object, option, value, &to.i) >= 0;
    case AV_OPT_TYPE_FLAGS: return av_opt_eval_flags(&object, option, value, &to.i) >= 0;
    case AV_OPT_TYPE_INT64: return av_opt_eval_int64(&object, option, value, &to.i64) >= 0;
    case AV_OPT_TYPE_FLOAT: return av_opt_eval_float(&object, option, value, &to.f) >= 0;
    case AV_OPT_TYPE_DOUBLE: return av_opt_eval_double(&object, option, value, &to.d) >= 0;
    case AV_OPT_TYPE_RATIONAL: return av_opt_eval_q(&object, option, value, &to.q) >= 0;
    case AV_OPT_TYPE_VIDEO_RATE: return av_parse_video_rate(&to.q, value) >= 0;
    case AV_OPT_TYPE_DURATION: return av_parse_time(&to.i64, value, 1) >= 0;
    case AV_OPT_TYPE_BOOL: return is_boolean(value);
    default: return true;
  }
}

typedef struct looking {
  const char *key, *value;
  bool known, fits;
  suggestion guess;
} looking;

/* In a class and all that are inside it: demuxers, protocols, decoders. */
static void look(looking *l, const AVClass *class) {
  const AVOption *option = NULL;
  const AVClass *child;
  void *state = NULL;
  while ((option = av_opt_next(&class, option)) != NULL) {
    if (option->type == AV_OPT_TYPE_CONST || !(option->flags & AV_OPT_FLAG_DECODING_PARAM))
      continue;
    suggest_offer(&l->guess, option->name);
    if (strcmp(option->name, l->key) == 0) {
      l->known = true;
      l->fits = l->fits || is_value(class, option, l->value);
    }
  }
  while ((child = av_opt_child_class_iterate(class, &state)) != NULL)
    look(l, child);
}

static void check_one(const char *key, const char *value, void *user) {
  int *code = user;
  looking l = { .key = key, .value = value, .guess = { .typed = key } };
  if (*code != CLI_OK)
    return;
  const char *why = refused(key);
  if (why != NULL) {
    *code = cli_usage("--input-option %s %s", key, why);
    return;
  }
  cli_avlog_hold(true);
  look(&l, avformat_get_class());
  look(&l, avcodec_get_class());
  cli_avlog_hold(false);
  if (!l.known)
    *code = cli_usage("--input-option %s: this FFmpeg has no such option for an input%s", key,
                      suggest_text("", l.guess.best).text);
  else if (!l.fits) /* the value may be a secret */
    *code = cli_usage("--input-option %s: FFmpeg does not take that value: `ffmpeg -h full` says which ones", key);
}

int media_extra_validate(const char *options) {
  int code = CLI_OK;
  each(options, check_one, &code);
  return code;
}
