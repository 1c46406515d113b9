/* feed.c - a source of packets for tests of recordings, in the stream's own time: as fast as it goes, and when told.
 *
 *   feed NAME FILM [SLOTS]
 *
 * FILM (recording.py makes it) is described tracks and packets; it is played again and again, its times go on. Each
 * packet carries a serial number, so that no two are alike: video in front, as a message that decoders skip (H.264 and
 * HEVC in MP4's form), sound as a data element (AAC). Commands on stdin, each answered with "done TIME COUNT": the
 * stream's ns, and how many packets were published:
 *
 *   play SECONDS     publish what lies within so much more of the stream
 *   film FILM        go on with another film, from its beginning
 *   restart          as a source that begins anew: the flag DISCONTINUITY, times from 0 on
 *   jump SECONDS     the times jump, and nothing says so
 *   timeless         packets have no times from here on
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

#define NS INT64_C(1000000000)
#define SERIAL_DIGITS 8

typedef struct film_packet {
  uint32_t track, flags, size;
  int64_t pts, dts, duration, order; /* order: when it is published */
  const uint8_t *data;
} film_packet;

typedef struct film {
  uint8_t *bytes;
  uint32_t media[CUFRAMES_TRACKS_MAX], tracks, count;
  int64_t length;
  bool hevc;
  film_packet *packets;
} film;

static int fail(const char *what) {
  fprintf(stderr, "feed: %s: %s\n", what, cuframes_last_error());
  return 1;
}

static void take(const uint8_t **at, void *to, size_t size) {
  memcpy(to, *at, size);
  *at += size;
}

static uint32_t take_number(const uint8_t **at) {
  uint32_t number;
  take(at, &number, sizeof number);
  return number;
}

static uint8_t *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  uint8_t *bytes = NULL;
  long size;
  if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 && (bytes = malloc((size_t)size)) != NULL) {
    rewind(file);
    if (fread(bytes, 1, (size_t)size, file) != (size_t)size) {
      free(bytes);
      bytes = NULL;
    }
  }
  if (file)
    fclose(file);
  return bytes;
}

/* Describes the tracks and finds the packets. The file is the test's own. */
static int load(film *f, const char *path, cuframes_publisher *publisher) {
  free(f->bytes);
  free(f->packets);
  *f = (film){ .bytes = read_file(path) };
  const uint8_t *at = f->bytes;
  if (!at)
    return fail(path);
  take(&at, &f->length, sizeof f->length);
  f->tracks = take_number(&at);
  f->count = take_number(&at);
  for (uint32_t i = 0; i < f->tracks; i++) {
    cuframes_codec_params params = { .struct_size = sizeof params, .profile = UINT32_MAX, .level = UINT32_MAX };
    f->media[i] = params.media_type = take_number(&at);
    take(&at, params.codec, sizeof params.codec);
    params.width = take_number(&at);
    params.height = take_number(&at);
    params.frame_rate_num = take_number(&at);
    params.frame_rate_den = take_number(&at);
    params.sample_rate = take_number(&at);
    params.channels = take_number(&at);
    params.frame_size = params.media_type == CUFRAMES_MEDIA_AUDIO ? 1024 : 0;
    f->hevc = f->hevc || !strcmp(params.codec, "hevc");
    const uint32_t extradata = take_number(&at);
    if (cuframes_publisher_set_codec_params(publisher, i, &params) ||
        (extradata && cuframes_publisher_set_codec_extradata(publisher, i, at, extradata)))
      return fail("codec parameters");
    at += extradata;
  }
  f->packets = calloc(f->count, sizeof *f->packets);
  for (uint32_t i = 0; f->packets && i < f->count; i++) {
    film_packet *p = &f->packets[i];
    p->track = take_number(&at);
    p->flags = take_number(&at);
    p->size = take_number(&at);
    take(&at, &p->pts, sizeof p->pts);
    take(&at, &p->dts, sizeof p->dts);
    take(&at, &p->duration, sizeof p->duration);
    take(&at, &p->order, sizeof p->order);
    p->data = at;
    at += p->size;
  }
  return f->packets ? 0 : fail("memory");
}

/* The packet behind its serial number. */
static size_t stamp(uint8_t *to, const film *f, const film_packet *p, uint64_t serial) {
  static const uint8_t h264[] = { 0, 0, 0, 28, 6, 5, 24 }, hevc[] = { 0, 0, 0, 29, 0x4e, 1, 5, 24 };
  size_t used = 0;
  if (f->media[p->track] == CUFRAMES_MEDIA_VIDEO) {
    used = f->hevc ? sizeof hevc : sizeof h264;
    memcpy(to, f->hevc ? hevc : h264, used);
    used += (size_t)sprintf((char *)to + used, "cuframes serial:%0*" PRIu64, SERIAL_DIGITS, serial);
    to[used++] = 0x80;
  } else {
    to[used++] = 0x80; /* a data stream element, and whole bytes again behind it */
    to[used++] = SERIAL_DIGITS;
    used += (size_t)sprintf((char *)to + used, "%0*" PRIu64, SERIAL_DIGITS, serial);
  }
  memcpy(to + used, p->data, p->size);
  return used + p->size;
}

typedef struct feed {
  cuframes_publisher *publisher;
  film film;
  uint32_t next;        /* of the film's packets */
  int64_t base, played; /* ns: where this round of the film begins; up to which it is played */
  uint64_t serial;
  bool timeless;
  uint8_t *buffer;
} feed;

static int play(feed *s, int64_t ns) {
  const int64_t end = s->played + ns;
  for (;;) {
    const film_packet *p = &s->film.packets[s->next];
    if (s->base + p->order >= end)
      break;
    cuframes_packet_info info = { .struct_size = sizeof info,
                                  .track = p->track,
                                  .data = s->buffer,
                                  .size = stamp(s->buffer, &s->film, p, s->serial++),
                                  .pts = s->timeless ? CUFRAMES_NO_TIME : s->base + p->pts,
                                  .dts = s->timeless ? CUFRAMES_NO_TIME : s->base + p->dts,
                                  .duration = p->duration,
                                  .flags = p->flags };
    if (cuframes_publisher_publish_packet(s->publisher, &info))
      return fail("publish");
    if (++s->next == s->film.count) {
      s->next = 0;
      s->base += s->film.length;
    }
  }
  s->played = end;
  return 0;
}

static void begin_at(feed *s, int64_t time) {
  s->next = 0;
  s->base = s->played = time;
}

static int obey(feed *s, const char *word, const char *value) {
  if (!strcmp(word, "play"))
    return play(s, (int64_t)(strtod(value, NULL) * 1e9));
  if (!strcmp(word, "film")) {
    begin_at(s, s->base + (s->next ? s->film.length : 0));
    return load(&s->film, value, s->publisher);
  }
  if (!strcmp(word, "restart")) {
    begin_at(s, 0);
    return cuframes_publisher_discontinuity(s->publisher) ? fail("restart") : 0;
  }
  if (!strcmp(word, "timeless")) {
    s->timeless = true;
    return 0;
  }
  if (!strcmp(word, "jump")) {
    const int64_t by = (int64_t)(strtod(value, NULL) * 1e9);
    s->base += by;
    s->played += by;
    return 0;
  }
  fprintf(stderr, "feed: %s?\n", word);
  return 1;
}

int main(int argc, char **argv) {
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring,
                                        .slots = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 65536,
                                        .data_bytes = 64 << 20 };
  cuframes_publisher_options options = { .struct_size = sizeof options, .packets = &ring };
  feed s = { .buffer = malloc(1 << 20) };
  char line[4096], word[16], value[4080];
  int code = 0;
  if (argc < 3 || !s.buffer)
    return 2;
  if (cuframes_publisher_create(argv[1], &options, &s.publisher))
    return fail("cannot publish");
  code = load(&s.film, argv[2], s.publisher);
  puts("ready");
  while (!code && fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
    *word = *value = '\0';
    (void)sscanf(line, "%15s %4079s", word, value); /* what is missing is empty */
    code = obey(&s, word, value);
    if (!code)
      printf("done %" PRId64 " %" PRIu64 "\n", s.played, s.serial);
  }
  cuframes_publisher_destroy(s.publisher);
  free(s.film.bytes);
  free(s.film.packets);
  free(s.buffer);
  return code;
}
