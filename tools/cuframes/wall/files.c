/* files.c - what other programs read: /NAME.ts and /NAME.mp4 of packets, /NAME.jpg and /NAME.mjpeg of pictures.
 *
 * A file is written here, by the muxer that records, from the packets that come for all. Its headers are sent with its
 * first bytes: what cannot begin gets an error as its answer. Who is behind goes on at a keyframe. Pictures are made of
 * frames, but for a stream whose packets are pictures already. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavformat/avio.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>

#include "common/av_compat.h"
#include "form.h"
#include "muxer/muxer.h"
#include "wall.h"

#define SECOND INT64_C(1000000000)
#define BEHIND (HTTP_STREAM_BYTES / 2) /* with more than this waiting a reader gets nothing until its next keyframe */
#define PATIENCE (10 * SECOND)         /* for a first packet */
#define BUFFER 65536
#define BOUNDARY "cuframes"

enum file_kind { FILE_TS, FILE_MP4, FILE_JPEG, FILE_MJPEG };

struct file_reader {
  file_reader *next;
  wall *wall;
  http_request *request; /* NULL: it has its answer, or has left */
  enum file_kind kind;
  char name[CUFRAMES_NAME_MAX + 1];
  int64_t asked_at;
  bool looked, begun;
  feed *feed;
  feed_reader reader;
  gallery *gallery;
  gallery_reader picture_reader;
  uint32_t width;
  double fps;
  int64_t due; /* of pictures that the stream has already: the next one */
  /* of packets */
  enum muxer_audio audio;
  AVIOContext *io;
  muxer *muxer;
  track_config *configs[CUFRAMES_TRACKS_MAX];
  bool behind, change_due;
  uint8_t *written; /* by the muxer, and not yet on its way */
  size_t written_size, written_room;
  bool failed;
};

#define MULTIPART "multipart/x-mixed-replace; boundary=" BOUNDARY

static const char *const types[] = { "video/mp2t", "video/mp4", "image/jpeg", MULTIPART };

/* ---- its end ---- */

static void free_muxer(file_reader *r) {
  muxer_free(r->muxer);
  r->muxer = NULL;
}

/* Lets go of it; its request has its answer, or is gone. */
static void end(file_reader *r) {
  for (file_reader **where = &r->wall->files; *where; where = &(*where)->next)
    if (*where == r) {
      *where = r->next;
      break;
    }
  if (r->feed)
    feed_remove(r->feed, &r->reader);
  if (r->gallery)
    gallery_remove(r->gallery, &r->picture_reader);
  free_muxer(r);
  if (r->io)
    av_freep(&r->io->buffer);
  avio_context_free(&r->io);
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    track_config_drop(r->configs[i]);
  free(r->written);
  free(r);
}

/* An answer in the place of the file; one that has begun ends. */
static void refuse(file_reader *r, unsigned status, const char *why) {
  char text[FEED_WHY + CUFRAMES_NAME_MAX + 8];
  if (r->begun) {
    http_stream_end(r->request);
  } else {
    snprintf(text, sizeof text, "%s: %s.", r->name, why);
    if (status == 503)
      (void)http_add_header(r->request, "retry-after", "1");
    http_answer_text(r->request, status, text);
  }
  end(r);
}

/* False: the reader is gone. */
static bool begin(file_reader *r) {
  if (r->begun)
    return true;
  r->begun = http_stream_begin(r->request, 200, types[r->kind]);
  if (!r->begun)
    end(r); /* too many are served, and it has been told so */
  return r->begun;
}

/* ---- packets ---- */

static int write_out(void *user, av_compat_written *data, int size) {
  file_reader *r = user;
  const size_t needed = r->written_size + (size_t)size;
  if (needed > r->written_room) {
    const size_t room = needed > 2 * r->written_room ? needed : 2 * r->written_room;
    uint8_t *grown = realloc(r->written, room);
    if (!grown)
      return AVERROR(ENOMEM);
    r->written = grown;
    r->written_room = room;
  }
  memcpy(r->written + r->written_size, data, (size_t)size);
  r->written_size = needed;
  return size;
}

/* What the muxer has written, on its way. False: the reader is gone. */
static bool send_written(file_reader *r) {
  if (r->written_size == 0)
    return true;
  if (!begin(r))
    return false;
  http_body *piece = http_body_new((char *)r->written, r->written_size);
  r->written = NULL;
  r->written_size = r->written_room = 0;
  const bool sent = piece && http_stream_write(r->request, piece);
  http_body_drop(piece);
  if (!sent) /* half of a file is no file */
    refuse(r, 503, "out of memory");
  return sent;
}

/* The codec of a video that stays out of the file, where none is in it; NULL: it has one, or there is none. */
static const char *left_out(const file_reader *r) {
  const char *codec = NULL;
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    const track_config *c = r->configs[i];
    if (!c || c->params.media_type != CUFRAMES_MEDIA_VIDEO)
      continue;
    if (muxer_has(r->muxer, i))
      return NULL;
    codec = c->params.codec;
  }
  return codec;
}

/* False: there is no file, and maybe no reader any more. Sound alone is not what was asked for where there is video. */
static bool begin_muxer(file_reader *r) {
  char why[FEED_WHY];
  const muxer_options options = {
    .container = r->kind == FILE_TS ? "mpegts" : "mp4", .audio = r->audio, .io = r->io, .source_times = true
  };
  r->muxer = muxer_create("-", &options);
  for (uint32_t i = 0; r->muxer && i < CUFRAMES_TRACKS_MAX; i++) {
    const track_config *c = r->configs[i];
    if (c && c->params.media_type != CUFRAMES_MEDIA_DATA)
      (void)muxer_describe(r->muxer, i, &c->params, c->extradata,
                           c->extradata_size); /* what it cannot hold stays out */
  }
  const char *codec = r->muxer ? left_out(r) : NULL;
  if (codec) {
    snprintf(why, sizeof why, "its video is %s, which %s cannot hold; ask for %s", codec,
             r->kind == FILE_TS ? "MPEG-TS" : "MP4", r->kind == FILE_TS ? ".mp4 or .mjpeg" : ".mjpeg");
    refuse(r, 404, why);
    return false;
  }
  return r->muxer != NULL;
}

/* The track that files begin with. */
static bool is_start(const file_reader *r, const sample *s) {
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (r->configs[i] && r->configs[i]->params.media_type == CUFRAMES_MEDIA_VIDEO && muxer_has(r->muxer, i))
      return s->track == i && s->flags & SAMPLE_KEY;
  return true;
}

/* The file cannot go on with what the stream has become: an MP4 ends, a TS goes on with another beginning. False: not
 * with this packet. */
static bool change(file_reader *r, const sample *s, bool *gone) {
  if (r->kind == FILE_MP4) {
    (void)muxer_finish(r->muxer);
    *gone = true;
    if (send_written(r))
      refuse(r, 503, "it has changed");
    return false;
  }
  r->change_due = true;
  if (!is_start(r, s))
    return false;
  r->change_due = false;
  (void)muxer_finish(r->muxer);
  free_muxer(r);
  return begin_muxer(r);
}

static void take(file_reader *r, sample *s) {
  bool gone = false;
  if (!s->packet || (!r->muxer && !begin_muxer(r)) || !muxer_has(r->muxer, s->track))
    return;
  if (r->begun && http_stream_waiting(r->request) > BEHIND) {
    r->behind = true;
    return;
  }
  if (r->behind)
    muxer_resync(r->muxer);
  r->behind = false;
  const bool fits = muxer_takes(r->muxer, s->packet);
  if ((!fits || (r->change_due && is_start(r, s))) && !change(r, s, &gone))
    return;
  if (!muxer_write(r->muxer, s->packet))
    refuse(r, 503, muxer_problem(r->muxer));
  else
    (void)send_written(r);
}

static void on_config(void *user, track_config *c) {
  file_reader *r = user;
  track_config_drop(r->configs[c->track]);
  r->configs[c->track] = track_config_ref(c);
  if (r->muxer && muxer_has(r->muxer, c->track))
    (void)muxer_describe(r->muxer, c->track, &c->params, c->extradata, c->extradata_size);
}

static void on_sample(void *user, sample *s) {
  take(user, s);
}

static void on_state(void *user, enum feed_state state, const char *why) {
  file_reader *r = user;
  if (state == FEED_BARE && !feed_config(r->feed, SAMPLE_VIDEO) && !feed_config(r->feed, SAMPLE_AUDIO))
    refuse(r, 404, r->begun ? why : "it carries no packets; its pictures are in .mjpeg and .jpg");
}

static void begin_feed(file_reader *r) {
  uint8_t *buffer = av_malloc(BUFFER);
  r->io = buffer ? avio_alloc_context(buffer, BUFFER, 1, r, NULL, write_out, NULL) : NULL;
  feed *f = r->io ? wall_feed(r->wall, r->name) : NULL;
  if (!f) {
    if (!r->io)
      av_free(buffer);
    refuse(r, 503, "out of memory");
    return;
  }
  r->feed = f;
  r->reader = (feed_reader){ .config = on_config, .sample = on_sample, .state = on_state, .user = r };
  feed_add(f, &r->reader);
  if (f->state == FEED_BARE) {
    on_state(r, f->state, f->why);
    return;
  }
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (f->configs[i])
      on_config(r, f->configs[i]);
  wall *w = r->wall;
  for (size_t i = 0; i < f->head_count; i++) {
    take(r, f->head[i]);
    if (w->files != r) /* new ones are put in front: it has ended */
      return;
  }
}

/* ---- pictures ---- */

static void on_picture(void *user, sample *s) {
  file_reader *r = user;
  char head[128];
  char *bytes = NULL;
  if (r->kind == FILE_JPEG) {
    http_body *body = http_body_room(s->size, &bytes);
    if (body)
      memcpy(bytes, s->data, s->size);
    http_answer(r->request, body ? 200 : 503, types[r->kind], body);
    http_body_drop(body);
    end(r);
    return;
  }
  if (!begin(r) || http_stream_waiting(r->request) > BEHIND)
    return;
  const int length =
      snprintf(head, sizeof head, "--" BOUNDARY "\r\nContent-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n", s->size);
  http_body *part = http_body_room((size_t)length + s->size + 2, &bytes);
  if (!part)
    return;
  char *at = mempcpy(bytes, head, (size_t)length);
  at = mempcpy(at, s->data, s->size);
  at[0] = '\r';
  at[1] = '\n';
  (void)http_stream_write(r->request, part); /* a picture less */
  http_body_drop(part);
}

static void on_no_picture(void *user, const char *why) {
  file_reader *r = user;
  if (!r->begun)
    refuse(r, 503, why);
}

static void begin_gallery(file_reader *r) {
  gallery *g = wall_gallery(r->wall, r->name);
  if (!g) {
    refuse(r, 503, "out of memory");
    return;
  }
  r->gallery = g;
  r->picture_reader = (gallery_reader){ .width = r->width,
                                        .interval_ns = r->kind == FILE_MJPEG ? (int64_t)(1e9 / r->fps) : 0,
                                        .picture = on_picture,
                                        .none = on_no_picture,
                                        .user = r };
  gallery_add(g, &r->picture_reader);
}

/* ---- pictures that the stream has already ---- */

/* From its beginning to its end, with the tables that some cameras leave out. */
static bool is_whole_jpeg(const uint8_t *data, size_t size) {
  enum { START = 0xd8, TABLES = 0xc4, SCAN = 0xda, END = 0xd9 };
  bool tables = false;
  while (size > 0 && data[size - 1] == 0)
    size--; /* some pad them */
  if (size < 4 || data[0] != 0xff || data[1] != START || data[size - 2] != 0xff || data[size - 1] != END)
    return false;
  for (size_t at = 2; at + 4 <= size && data[at] == 0xff && data[at + 1] != SCAN;
       at += 2 + ((size_t)data[at + 2] << 8 | data[at + 3]))
    tables |= data[at + 1] == TABLES;
  return tables;
}

/* Whether its packets are JPEG in the size and the way up that is wanted. */
static bool has_pictures(const file_reader *r) {
  const cuframes_stream_entry *entry = look_find(&r->wall->found, r->name);
  const cuframes_stream_info *info = entry ? entry->info : NULL;
  if (r->width || !info || info->format.orientation > CUFRAMES_ORIENTATION_TOP_LEFT)
    return false;
  for (size_t i = 0; i < info->track_count; i++)
    if (info->tracks[i]->media_type == CUFRAMES_MEDIA_VIDEO)
      return form_is_jpeg(info->tracks[i]->codec);
  return false;
}

/* They are not what they seemed. */
static void turn_to_gallery(file_reader *r) {
  feed_remove(r->feed, &r->reader);
  r->feed = NULL;
  begin_gallery(r);
}

static void on_jpeg(void *user, sample *s) {
  file_reader *r = user;
  const int64_t now = cuframes_now();
  if (s->kind != SAMPLE_JPEG || now < r->due)
    return;
  if (!is_whole_jpeg(s->data, s->size)) {
    turn_to_gallery(r);
    return;
  }
  const int64_t interval = (int64_t)(1e9 / r->fps);
  r->due = now + interval - interval / 8; /* they do not come to the millisecond */
  on_picture(r, s);
}

static void on_jpeg_config(void *user, track_config *c) {
  if (c->kind == SAMPLE_VIDEO && !form_is_jpeg(c->params.codec))
    turn_to_gallery(user);
}

static void on_jpeg_state(void *user, enum feed_state state, const char *why) {
  (void)why;
  if (state == FEED_BARE)
    turn_to_gallery(user);
}

static void begin_jpegs(file_reader *r) {
  feed *f = wall_feed(r->wall, r->name);
  if (!f) {
    refuse(r, 503, "out of memory");
    return;
  }
  r->feed = f;
  r->reader = (feed_reader){ .config = on_jpeg_config, .sample = on_jpeg, .state = on_jpeg_state, .user = r };
  feed_add(f, &r->reader);
  if (f->state == FEED_BARE)
    turn_to_gallery(r);
  else if (f->head_count > 0)
    on_jpeg(r, f->head[f->head_count - 1]);
}

/* ---- asking ---- */

/* "NAME.kind" taken apart. */
static bool take_path(const char *path, char *name, enum file_kind *kind) {
  static const char *const ends[] = { ".ts", ".mp4", ".jpg", ".mjpeg" };
  const char *dot = strrchr(path, '.');
  if (*path != '/' || !dot || dot - path - 1 > CUFRAMES_NAME_MAX || dot == path + 1)
    return false;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (strcmp(dot, ends[i]) == 0) {
      *kind = (enum file_kind)i;
      snprintf(name, CUFRAMES_NAME_MAX + 1, "%.*s", (int)(dot - path - 1), path + 1);
      return true;
    }
  return false;
}

/* A number of the query; absent: as it was. False: it is none, or out of range. */
static bool take_number(const http_request *request, const char *key, double least, double most, double *number) {
  char text[32], *rest;
  if (!http_query(request, key, text, sizeof text))
    return true;
  const double value = strtod(text, &rest);
  if (rest == text || *rest || !(value >= least && value <= most))
    return false;
  *number = value;
  return true;
}

/* Begins it, if the stream is there. */
static void start(file_reader *r) {
  r->looked = true;
  if (!look_allows(r->wall->look, r->name) || !look_find(&r->wall->found, r->name))
    refuse(r, 404, "there is no such stream; /streams.json has those that there are");
  else if ((r->kind == FILE_JPEG || r->kind == FILE_MJPEG) && has_pictures(r))
    begin_jpegs(r);
  else if (r->kind == FILE_JPEG || r->kind == FILE_MJPEG)
    begin_gallery(r);
  else
    begin_feed(r);
}

bool files_asked(wall *w, http_request *request, const char *path) {
  char name[CUFRAMES_NAME_MAX + 1], text[16];
  enum file_kind kind;
  double width = 0, fps = 5;
  if (!take_path(path, name, &kind))
    return false;
  if (!take_number(request, "width", 16, 8192, &width) || !take_number(request, "fps", 0.1, 10, &fps)) {
    http_answer_text(request, 400, "?width= is a number of pixels from 16 to 8192, ?fps= one from 0.1 to 10.");
    return true;
  }
  const bool says_audio = http_query(request, "audio", text, sizeof text);
  if (says_audio && strcmp(text, "none") != 0 && strcmp(text, "copy") != 0) {
    http_answer_text(request, 400, "?audio= is none or copy.");
    return true;
  }
  file_reader *r = calloc(1, sizeof *r);
  if (!r) {
    http_answer_text(request, 503, "Out of memory.");
    return true;
  }
  *r = (file_reader){ .next = w->files,
                      .wall = w,
                      .request = request,
                      .kind = kind,
                      .asked_at = cuframes_now(),
                      .width = (uint32_t)width,
                      .fps = fps,
                      .audio = says_audio && strcmp(text, "none") == 0 ? MUXER_AUDIO_NONE : MUXER_AUDIO_COPY };
  snprintf(r->name, sizeof r->name, "%s", name);
  w->files = r;
  http_request_set_user(request, r);
  if (w->has_found && look_find(&w->found, name))
    start(r);
  wall_look(w, true);
  return true;
}

void files_looked(wall *w) {
  for (file_reader *r = w->files, *next; r; r = next) {
    next = r->next;
    if (!r->looked)
      start(r);
    else if (!r->begun && cuframes_now() - r->asked_at > PATIENCE)
      refuse(r, 503, r->feed && *r->feed->why ? r->feed->why : "nothing has come of it so far");
  }
}

void files_left(http_request *request) {
  file_reader *r = http_request_user(request);
  if (r)
    end(r);
}
