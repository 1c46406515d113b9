/* viewer.c - a page that looks: its tiles, what waits for it, and what it does not get because it is behind.
 *
 * What is to be sent waits here and not in the connection, but for a window: so what has become old can still be
 * dropped. Video goes on at a keyframe then. Samples are shared by all who wait for them, up to the connection; the
 * head that names the tile is put before one when its turn has come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "message.h"
#include "say.h"
#include "wall.h"

#define SECOND INT64_C(1000000000)
#define WINDOW (512UL << 10)                /* bytes that are on their way */
#define QUEUE_BYTES (HTTP_SOCKET_BYTES / 2) /* with more than this a viewer is behind */
#define LATE SECOND                         /* and when something has waited so long */
#define ITEMS_MAX 16384                     /* which nobody reaches who is asked for what is late */
#define PICTURE_FPS 1
#define MESSAGE_TEXTS_MAX 4096 /* that wait: one who asks and does not read is hung up */

typedef struct tile {
  struct tile *next;
  viewer *viewer;
  message_tile wanted;
  bool kept;  /* while a new list is looked at */
  feed *feed; /* NULL: the stream is not there yet, or pictures are wanted */
  gallery *gallery;
  feed_reader reader;
  gallery_reader picture_reader;
  bool needs_key, discontinuity, was_live, instead; /* instead: pictures, since there are no packets to be had */
  uint32_t configs[SAMPLE_DATA + 1];                /* the last one told, by kind */
  uint64_t dropped;                                 /* not told yet */
  char waits[FEED_WHY];                             /* what was said last of why nothing comes; empty: it comes */
} tile;

/* What waits: a text, or a sample for a tile. */
typedef struct item {
  http_body *text;
  bool is_list;   /* of the streams: the newest there is when its turn has come */
  int64_t queued; /* CLOCK_MONOTONIC ns */
  tile *tile;
  sample *sample;
  uint8_t flags;
} item;

struct viewer {
  viewer *next;
  wall *wall;
  http_socket *socket;
  tile *tiles;
  item *items;
  size_t first, count, room; /* a ring */
  size_t bytes, texts;
  char detail[CUFRAMES_NAME_MAX + 1];
  bool failed; /* out of memory, or it does not read: it is being closed */
};

/* ---- the queue ---- */

static item *at(viewer *v, size_t index) {
  return &v->items[(v->first + index) % v->room];
}

static size_t size_of(const item *i) {
  return i->sample ? i->sample->size : 0;
}

static void item_clear(item *i) {
  http_body_drop(i->text);
  sample_drop(i->sample);
  *i = (item){ 0 };
}

static void fail(viewer *v, unsigned code, const char *why) {
  if (!v->failed)
    http_socket_close(v->socket, code, why);
  v->failed = true;
}

static bool grow(viewer *v) {
  const size_t room = v->room ? 2 * v->room : 64;
  item *items = calloc(room, sizeof *items);
  if (!items)
    return false;
  for (size_t i = 0; i < v->count; i++)
    items[i] = *at(v, i);
  free(v->items);
  v->items = items;
  v->first = 0;
  v->room = room;
  return true;
}

/* Takes the item over. */
static void push(viewer *v, item i) {
  if (v->failed || v->count >= ITEMS_MAX || (v->count == v->room && !grow(v))) {
    item_clear(&i);
    fail(v, 1013, "too much waits for this page");
    return;
  }
  i.queued = cuframes_now();
  *at(v, v->count++) = i;
  v->bytes += size_of(&i);
  v->texts += i.text != NULL;
  if (v->texts > MESSAGE_TEXTS_MAX)
    fail(v, 1008, "this page asks and does not read");
}

/* The one that has been sent, or is not to be. */
static void pop(viewer *v) {
  item *i = at(v, 0);
  v->bytes -= size_of(i);
  v->texts -= i->text != NULL;
  item_clear(i);
  v->first = (v->first + 1) % v->room;
  v->count--;
}

/* Leaves out what `drop` says. Gives how many. */
static size_t leave_out(viewer *v, bool (*drop)(const item *i, size_t index, const void *user), const void *user) {
  size_t kept = 0, dropped = 0;
  for (size_t i = 0; i < v->count; i++) {
    item *one = at(v, i);
    if (drop(one, i, user)) {
      v->bytes -= size_of(one);
      v->texts -= one->text != NULL;
      item_clear(one);
      dropped++;
    } else {
      const item moved = *one;
      *one = (item){ 0 };
      *at(v, kept++) = moved;
    }
  }
  v->count = kept;
  return dropped;
}

static bool send_sample(viewer *v, const item *i) {
  char *head = NULL;
  http_body *parts[] = { http_body_room(SAMPLE_HEAD, &head), sample_body(i->sample) };
  bool sent = false;
  if (parts[0] && parts[1]) {
    sample_head((uint8_t *)head, i->sample, i->tile->wanted.tile, i->flags);
    sent = http_socket_send_parts(v->socket, true, parts, 2);
  }
  http_body_drop(parts[0]);
  http_body_drop(parts[1]);
  return sent;
}

static bool send_item(viewer *v, const item *i) {
  http_body *text = i->is_list ? v->wall->found.message : i->text;
  if (i->sample)
    return send_sample(v, i);
  return !text || http_socket_send(v->socket, false, text);
}

/* Sends as much as may be on its way. */
static void pump(viewer *v) {
  while (!v->failed && v->count > 0 && http_socket_waiting(v->socket) < WINDOW) {
    if (!send_item(v, at(v, 0)))
      break; /* tried again when there is room */
    pop(v);
  }
  if (v->count > 0 && !v->failed)
    http_socket_notify(v->socket, WINDOW / 2);
}

static void tell(viewer *v, http_body *text) {
  if (!text)
    return; /* out of memory: what is said again is said then */
  push(v, (item){ .text = text });
  pump(v);
}

/* ---- who is behind ---- */

typedef struct cut {
  const tile *tile;
  size_t from; /* items of the tile before this index are left out */
} cut;

static bool is_cut(const item *i, size_t index, const void *user) {
  const cut *c = user;
  return i->tile == c->tile && i->sample && index < c->from;
}

/* Goes on with the newest keyframe that waits, if it is not late itself, else with the next one. */
static void drop_late(viewer *v, tile *t, int64_t now) {
  cut c = { .tile = t, .from = v->count };
  for (size_t i = v->count; i-- > 0;) {
    const item *one = at(v, i);
    if (one->tile != t || !one->sample || one->sample->kind != SAMPLE_VIDEO || !(one->flags & SAMPLE_KEY))
      continue;
    if (now - one->queued < LATE / 2 && v->bytes <= HTTP_SOCKET_BYTES)
      c.from = i;
    break;
  }
  t->needs_key = c.from == v->count;
  t->dropped += leave_out(v, is_cut, &c);
  t->discontinuity = true;
}

static bool is_late(viewer *v, const tile *t, int64_t now) {
  for (size_t i = 0; i < v->count; i++) {
    const item *one = at(v, i);
    if (now - one->queued <= LATE)
      return false; /* those behind it came later */
    if (one->tile == t && one->sample)
      return true;
  }
  return false;
}

static void look_at_age(viewer *v) {
  const int64_t now = cuframes_now();
  const bool full = v->bytes > QUEUE_BYTES;
  if (v->count == 0 || (!full && now - at(v, 0)->queued <= LATE))
    return;
  for (tile *t = v->tiles; t; t = t->next)
    if (full || is_late(v, t, now))
      drop_late(v, t, now);
}

/* ---- what a tile gets ---- */

static void give_config(tile *t, const track_config *c) {
  if (!c->codec[0] || (c->kind != SAMPLE_VIDEO && !(c->kind == SAMPLE_AUDIO && t->wanted.audio)))
    return;
  http_body *text = say_track(t->wanted.tile, c);
  if (!text)
    return;
  t->configs[c->kind] = c->number;
  push(t->viewer, (item){ .text = text, .tile = t });
}

static bool wants(const tile *t, const sample *s) {
  switch (s->kind) {
    case SAMPLE_VIDEO: return t->configs[SAMPLE_VIDEO] == s->config;
    case SAMPLE_AUDIO: return t->wanted.audio && t->configs[SAMPLE_AUDIO] == s->config;
    case SAMPLE_JPEG: return true;
    case SAMPLE_DATA: return t->wanted.data;
    default: return false;
  }
}

static void stop_pictures(tile *t) {
  if (t->gallery)
    gallery_remove(t->gallery, &t->picture_reader);
  t->gallery = NULL;
  t->instead = false;
}

static void give_sample(tile *t, sample *s, bool head, bool hidden) {
  viewer *v = t->viewer;
  if (!wants(t, s))
    return;
  const bool video = s->kind == SAMPLE_VIDEO;
  if (video && t->needs_key && !(s->flags & SAMPLE_KEY)) {
    t->dropped += !head && t->dropped > 0; /* of what is never begun nothing is told */
    return;
  }
  if (video || s->kind == SAMPLE_JPEG)
    t->waits[0] = '\0';
  if (t->dropped > 0 && (video || s->kind == SAMPLE_JPEG)) {
    http_body *text = say_dropped(t->wanted.tile, t->dropped);
    if (text)
      push(v, (item){ .text = text, .tile = t });
    t->dropped = 0;
  }
  const uint8_t flags =
      (uint8_t)(s->flags | (video && t->discontinuity ? SAMPLE_DISCONTINUITY : 0) | (hidden ? SAMPLE_HIDDEN : 0));
  if (video)
    t->needs_key = t->discontinuity = false;
  push(v, (item){ .tile = t, .sample = sample_ref(s), .flags = flags });
}

static void on_config(void *user, track_config *c) {
  give_config(user, c);
}

static void on_sample(void *user, sample *s) {
  tile *t = user;
  if (t->instead && s->kind != SAMPLE_DATA && wants(t, s))
    stop_pictures(t); /* there are packets now */
  give_sample(t, s, false, false);
  look_at_age(t->viewer);
  pump(t->viewer);
}

/* Says once why nothing comes. */
static void say_waits(tile *t, const char *key, const char *why) {
  if (strcmp(t->waits, why) == 0)
    return;
  snprintf(t->waits, sizeof t->waits, "%s", why);
  tell(t->viewer, say_why(t->wanted.tile, key, why));
}

static void on_picture(void *user, sample *s) {
  tile *t = user;
  give_sample(t, s, false, false);
  look_at_age(t->viewer);
  pump(t->viewer);
}

static void on_no_picture(void *user, const char *why) {
  tile *t = user;
  say_waits(t, "waiting", why);
}

static void begin_pictures(tile *t) {
  const double fps = t->wanted.fps > 0 ? t->wanted.fps : PICTURE_FPS;
  gallery *g = t->gallery ? NULL : wall_gallery(t->viewer->wall, t->wanted.stream);
  if (!g)
    return;
  t->gallery = g;
  t->picture_reader = (gallery_reader){ .width = t->wanted.width,
                                        .interval_ns = (int64_t)(1e9 / fps),
                                        .picture = on_picture,
                                        .none = on_no_picture,
                                        .user = t };
  gallery_add(g, &t->picture_reader);
}

static void on_state(void *user, enum feed_state state, const char *why) {
  tile *t = user;
  if (state == FEED_ABSENT) {
    if (t->was_live)
      tell(t->viewer, say_gone(t->wanted.tile));
    say_waits(t, "waiting", why);
    t->needs_key = true;
    stop_pictures(t);
  } else if (state == FEED_BARE) {
    say_waits(t, "pictures", why);
    t->instead = true;
    begin_pictures(t);
  }
  t->was_live = state == FEED_LIVE || state == FEED_BARE;
}

static bool is_picture(const sample *s) {
  return s->kind == SAMPLE_VIDEO || s->kind == SAMPLE_JPEG;
}

/* What has come since the newest keyframe, so that there is a picture at once: all but the last is there only to be
 * decoded. */
static void give_head(tile *t) {
  const feed *f = t->feed;
  size_t last = f->head_count;
  for (size_t i = 0; i < f->head_count; i++)
    if (is_picture(f->head[i]))
      last = i;
  for (size_t i = 0; i < f->head_count; i++)
    if (is_picture(f->head[i]))
      give_sample(t, f->head[i], true, i != last);
}

static void begin_feed(tile *t) {
  feed *f = wall_feed(t->viewer->wall, t->wanted.stream);
  if (!f)
    return;
  t->feed = f;
  t->reader = (feed_reader){ .config = on_config, .sample = on_sample, .state = on_state, .user = t };
  feed_add(f, &t->reader);
  on_state(t, f->state, f->why);
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (f->configs[i])
      give_config(t, f->configs[i]);
  give_head(t);
}

/* ---- tiles ---- */

/* Begins when the stream is there: what is not asks for no thread. */
static void begin(tile *t) {
  const wall *w = t->viewer->wall;
  if (t->feed || t->gallery)
    return;
  if (!w->has_found) {
    wall_look(t->viewer->wall, true);
    return;
  }
  if (!look_allows(w->look, t->wanted.stream) || !look_find(&w->found, t->wanted.stream)) {
    say_waits(t, "waiting", "nobody publishes it");
    return;
  }
  if (t->wanted.pictures)
    begin_pictures(t);
  else
    begin_feed(t);
  pump(t->viewer);
}

static bool is_of(const item *i, size_t index, const void *user) {
  (void)index;
  return i->tile == user;
}

static void end_tile(tile *t) {
  stop_pictures(t);
  if (t->feed)
    feed_remove(t->feed, &t->reader);
  t->feed = NULL;
  (void)leave_out(t->viewer, is_of, t);
}

static bool same(const message_tile *a, const message_tile *b) {
  return strcmp(a->stream, b->stream) == 0 && a->pictures == b->pictures && a->audio == b->audio &&
         a->data == b->data && a->fps == b->fps && a->width == b->width;
}

static void watch_one(viewer *v, const message_tile *wanted) {
  tile *t = v->tiles;
  while (t && t->wanted.tile != wanted->tile)
    t = t->next;
  if (t && same(&t->wanted, wanted) && !wanted->again) {
    t->kept = true;
    return;
  }
  if (t)
    end_tile(t);
  tile *next = t ? t->next : v->tiles;
  if (!t) {
    t = calloc(1, sizeof *t);
    if (!t) {
      fail(v, 1013, "out of memory");
      return;
    }
    v->tiles = t;
  }
  *t = (tile){ .next = next, .viewer = v, .wanted = *wanted, .kept = true, .needs_key = true };
  begin(t);
}

static void watch(viewer *v, const message *m) {
  for (tile *t = v->tiles; t; t = t->next)
    t->kept = false;
  for (size_t i = 0; i < m->count; i++)
    watch_one(v, &m->tiles[i]);
  for (tile **where = &v->tiles; *where;) {
    tile *t = *where;
    if (t->kept) {
      where = &t->next;
      continue;
    }
    *where = t->next;
    end_tile(t);
    free(t);
  }
}

/* ---- what it hears ---- */

static void tell_detail(viewer *v) {
  const cuframes_stream_entry *entry = v->wall->has_found ? look_find(&v->wall->found, v->detail) : NULL;
  if (*v->detail && v->wall->has_found)
    tell(v, say_detail(entry && look_allows(v->wall->look, v->detail) ? entry->info : NULL));
}

static bool is_list(const item *i, size_t index, const void *user) {
  (void)index;
  (void)user;
  return i->is_list;
}

static void tell_streams(viewer *v) {
  (void)leave_out(v, is_list, NULL); /* who has not read the last one gets the newest alone */
  push(v, (item){ .is_list = true });
}

void viewers_looked(wall *w) {
  for (viewer *v = w->viewers; v; v = v->next) {
    tell_streams(v);
    tell_detail(v);
    for (tile *t = v->tiles; t; t = t->next)
      begin(t);
    look_at_age(v);
    pump(v);
  }
}

size_t viewers_watching(const wall *w, const char *name) {
  size_t count = 0;
  for (const viewer *v = w->viewers; v; v = v->next)
    for (const tile *t = v->tiles; t; t = t->next)
      count += strcmp(t->wanted.stream, name) == 0 && (t->feed || t->gallery);
  return count;
}

void viewer_said(viewer *v, const char *text, size_t length) {
  message m;
  char why[MESSAGE_WHY];
  switch (message_parse(text, length, &m, why)) {
    case MESSAGE_WRONG: tell(v, say_error(why)); return;
    case MESSAGE_NO_JSON: fail(v, 1007, why); return;
    default: break;
  }
  if (m.kind == MESSAGE_WATCH) {
    watch(v, &m);
  } else if (m.kind == MESSAGE_PING) {
    tell(v, say_pong(m.ping));
  } else {
    snprintf(v->detail, sizeof v->detail, "%s", m.detail);
    tell_detail(v);
  }
  message_clear(&m);
  pump(v);
}

/* ---- its life ---- */

bool viewer_open(wall *w, http_socket *socket) {
  viewer *v = calloc(1, sizeof *v);
  if (!v)
    return false;
  *v = (viewer){ .next = w->viewers, .wall = w, .socket = socket };
  w->viewers = v;
  http_socket_set_user(socket, v);
  tell(v, say_hello());
  if (w->has_found)
    tell_streams(v);
  wall_look(w, true);
  pump(v);
  return true;
}

void viewer_ready(viewer *v) {
  look_at_age(v);
  pump(v);
}

void viewer_left(viewer *v) {
  for (viewer **where = &v->wall->viewers; *where; where = &(*where)->next)
    if (*where == v) {
      *where = v->next;
      break;
    }
  v->failed = true;
  while (v->tiles) {
    tile *t = v->tiles;
    v->tiles = t->next;
    end_tile(t);
    free(t);
  }
  while (v->count > 0)
    pop(v);
  free(v->items);
  free(v);
}
