/* media_variants.c - the variants of an HLS film, of which one is chosen before any is fetched.
 *
 * libavformat reads the playlists and the first pieces of all variants before it says what there is. The list of them
 * tells size and rate, so it is read here first, and libavformat is not given the playlists of those that are not
 * wanted: it leaves out what it cannot open. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "media.h"

#define TEXT_MOST (256 << 10)
#define VARIANTS_MOST 64
#define ATTRIBUTE_MOST 512

typedef struct variant {
  long width, height; /* 0: not told */
  int64_t rate;
  char audio[128]; /* group of its sound; "": none */
  const char *uri; /* in the text; its line */
  size_t length;
} variant;

/* The value of NAME=VALUE or NAME="VALUE" in a line's list. False: it is not there. */
static bool attribute(const char *line, size_t length, const char *name, char *value, size_t size) {
  const char *at = memchr(line, ':', length), *end = line + length;
  while (at != NULL && ++at < end) {
    const char *equals = memchr(at, '=', (size_t)(end - at));
    if (equals == NULL)
      return false;
    const bool quoted = equals + 1 < end && equals[1] == '"';
    const char *from = equals + 1 + quoted, *stop = memchr(from, quoted ? '"' : ',', (size_t)(end - from));
    stop = stop != NULL ? stop : end;
    at += strspn(at, " ");
    if ((size_t)(equals - at) == strlen(name) && strncmp(at, name, strlen(name)) == 0) {
      snprintf(value, size, "%.*s", (int)(stop - from), from);
      return true;
    }
    at = memchr(stop, ',', (size_t)(end - stop));
  }
  return false;
}

static bool has_picture(const char *codecs) {
  static const char *const videos[] = { "avc", "hvc", "hev", "dvh", "av01", "vp0", "vp8", "vp9", "mp4v" };
  for (size_t i = 0; i < sizeof videos / sizeof *videos; i++)
    if (strstr(codecs, videos[i]) != NULL)
      return true;
  return false;
}

/* Calls `found` for each line. */
static void each_line(const char *text, void (*found)(void *user, const char *line, size_t length), void *user) {
  while (*text != '\0') {
    const size_t length = strcspn(text, "\r\n");
    if (length > 0)
      found(user, text, length);
    text += length;
    text += strspn(text, "\r\n");
  }
}

typedef struct list {
  variant all[VARIANTS_MOST];
  unsigned count;
  variant next;   /* its address is in a line that comes */
  bool open, odd; /* odd: something is told that nobody can choose by */
} list;

static void take_line(void *user, const char *line, size_t length) {
  list *l = user;
  char value[ATTRIBUTE_MOST];
  static const char start[] = "#EXT-X-STREAM-INF:";
  if (length > sizeof start && strncmp(line, start, sizeof start - 1) == 0) {
    l->next = (variant){ 0 };
    l->open = !attribute(line, length, "CODECS", value, sizeof value) || has_picture(value);
    if (attribute(line, length, "RESOLUTION", value, sizeof value) &&
        sscanf(value, "%ldx%ld", &l->next.width, &l->next.height) != 2)
      l->odd = true;
    if (attribute(line, length, "BANDWIDTH", value, sizeof value))
      l->next.rate = strtoll(value, NULL, 10);
    (void)attribute(line, length, "AUDIO", l->next.audio, sizeof l->next.audio);
  } else if (*line != '#' && l->open) {
    l->odd = l->odd || l->count == VARIANTS_MOST || l->next.width <= 0 || l->next.height <= 0;
    l->next.uri = line;
    l->next.length = length;
    if (l->count < VARIANTS_MOST)
      l->all[l->count++] = l->next;
    l->open = false;
  }
}

static media_candidate candidate_of(const variant *v) {
  return (media_candidate){ .width = v->width, .height = v->height, .rate = v->rate };
}

typedef struct sorting {
  media *m;
  const variant *wanted;
} sorting;

static void add(char **lines, const char *uri, size_t length) {
  while (strncmp(uri, "./", 2) == 0 || strncmp(uri, "../", 3) == 0) {
    const size_t dots = uri[1] == '/' ? 2 : 3;
    uri += dots;
    length -= dots;
  }
  const size_t before = *lines != NULL ? strlen(*lines) : 0;
  char *more = realloc(*lines, before + length + 2);
  if (more == NULL)
    return; /* it is fetched, for nobody */
  *lines = more;
  snprintf(more + before, length + 2, "%.*s\n", (int)length, uri);
}

/* Sound that belongs to other variants. */
static void leave_out_sound(void *user, const char *line, size_t length) {
  const sorting *s = user;
  static const char start[] = "#EXT-X-MEDIA:";
  char group[128], uri[ATTRIBUTE_MOST];
  if (length > sizeof start && strncmp(line, start, sizeof start - 1) == 0 &&
      attribute(line, length, "GROUP-ID", group, sizeof group) && attribute(line, length, "URI", uri, sizeof uri))
    add(strcmp(group, s->wanted->audio) == 0 ? &s->m->variants_wanted : &s->m->variants_left_out, uri, strlen(uri));
}

static void say(media *m, const list *l, const variant *wanted) {
  char text[sizeof m->said_choice];
  int length =
      snprintf(text, sizeof text,
               "of %u videos the one of %ldx%ld at %lld kbit/s is taken (--variant chooses); left out:", l->count,
               wanted->width, wanted->height, (long long)wanted->rate / 1000);
  for (unsigned i = 0, named = 0; i < l->count && length > 0 && (size_t)length < sizeof text; i++)
    if (&l->all[i] != wanted)
      length += snprintf(text + length, sizeof text - (size_t)length, "%s %ldx%ld at %lld kbit/s",
                         named++ > 0 ? "," : "", l->all[i].width, l->all[i].height, (long long)l->all[i].rate / 1000);
  if (strcmp(text, m->said_choice) != 0)
    publish_job_note(m->job, "%s", text);
  memcpy(m->said_choice, text, sizeof text);
}

static void choose(media *m, const char *text) {
  list *l = calloc(1, sizeof *l);
  if (l != NULL && strncmp(text, "#EXTM3U", 7) == 0)
    each_line(text, take_line, l);
  if (l != NULL && l->count > 1 && !l->odd) {
    const variant *wanted = &l->all[0];
    for (unsigned i = 1; i < l->count; i++)
      if (media_candidate_is_better(m, candidate_of(&l->all[i]), candidate_of(wanted)))
        wanted = &l->all[i];
    for (unsigned i = 0; i < l->count; i++)
      add(&l->all[i] == wanted ? &m->variants_wanted : &m->variants_left_out, l->all[i].uri, l->all[i].length);
    each_line(text, leave_out_sound, &(sorting){ .m = m, .wanted = wanted });
    say(m, l, wanted);
  }
  free(l);
}

static bool is_playlist(const char *address) {
  static const char end[] = ".m3u8";
  const size_t length = strcspn(address, "?#");
  return strncmp(address, "http", 4) == 0 && length > sizeof end &&
         strncasecmp(address + length - (sizeof end - 1), end, sizeof end - 1) == 0;
}

int media_variants_begin(media *m, const AVDictionary *options) {
  media_variants_free(m);
  if (m->path != NULL || m->device != NULL || !is_playlist(m->job->options->address))
    return 0;
  AVDictionary *copy = NULL;
  AVIOContext *from = NULL;
  char *text = malloc(TEXT_MOST + 1);
  (void)av_dict_copy(&copy, options, 0); /* at worst some are missing, and it fails */
  int error = text == NULL
                  ? AVERROR(ENOMEM)
                  : avio_open2(&from, m->job->options->address, AVIO_FLAG_READ, &m->in->interrupt_callback, &copy);
  av_dict_free(&copy);
  if (error >= 0) {
    const int size = avio_read(from, (unsigned char *)text, TEXT_MOST);
    text[size > 0 ? size : 0] = '\0';
    if (size > 0 && size < TEXT_MOST)
      choose(m, text);
    (void)avio_closep(&from); /* it was only read */
  }
  free(text);
  return error < 0 ? error : 0;
}

/* Whether an address ends with one of these. */
static bool is_among(const char *lines, const char *url) {
  const size_t whole = strlen(url);
  for (const char *at = lines; at != NULL && *at != '\0';) {
    const size_t length = strcspn(at, "\n");
    if (length > 0 && length <= whole && memcmp(url + whole - length, at, length) == 0 &&
        (length == whole || *at == '/' || url[whole - length - 1] == '/'))
      return true;
    at += length + 1;
  }
  return false;
}

bool media_variants_is_left_out(const media *m, const char *url) {
  return is_among(m->variants_left_out, url) && !is_among(m->variants_wanted, url);
}

void media_variants_free(media *m) {
  free(m->variants_wanted);
  free(m->variants_left_out);
  m->variants_wanted = m->variants_left_out = NULL;
}
