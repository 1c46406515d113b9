/* api/connection.c - one subscriber's tie to one publisher. */
#include "api/connection.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "link/channel.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"

#define PADDING 64 /* zero bytes that decoders read past the end */

static int views_look_ahead(cf_connection *c);

/* ---- joining and leaving ---- */

/* Maps what WELCOME brought. */
static int connection_map(cf_connection *c, const cf_msg_welcome *welcome, const cf_msg_hello *hello,
                          const int fds[2]) {
  if (welcome->leases > CF_LEASES_MAX || welcome->control_bytes > (UINT64_C(1) << 20) ||
      welcome->seat_bytes < sizeof(cf_seat) || welcome->seat_bytes > (UINT64_C(1) << 20))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's WELCOME has impossible sizes");
  if (welcome->sync_mode != CF_SYNC_COMPLETE)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the publisher chose sync mode %u, which was not asked for",
                   welcome->sync_mode);
  int result = cf_device_open(welcome->device, &c->device);
  if (result == CUFRAMES_OK)
    result = cf_memory_map(fds[0], welcome->control_bytes, CF_SEAL_PUBLIC, &c->control);
  if (result != CUFRAMES_OK)
    return result;
  c->control_bytes = welcome->control_bytes;
  void *seat;
  result = cf_memory_map(fds[1], welcome->seat_bytes, CF_SEAL_PAIR, &seat);
  if (result != CUFRAMES_OK)
    return result;
  c->seat = seat;
  c->seat_bytes = welcome->seat_bytes;
  c->leases = welcome->leases;
  c->free_leases = c->leases == 64 ? UINT64_MAX : (UINT64_C(1) << c->leases) - 1;
  c->frames = calloc(c->leases ? c->leases : 1, sizeof *c->frames);
  if (!c->frames)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  bool ring;
  if (!cf_reader_init(&c->reader, c->control, c->control_bytes, c->seat, hello->mode == CUFRAMES_MODE_ORDERED) ||
      !cf_reader_begin(&c->reader, &ring))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's control page is not sound");
  if (ring)
    (void)cf_futex_wake(&c->seat->room, INT32_MAX);
  if (cf_reader_ended(&c->reader)) /* its last moment: one who reconnects would read its last packets once more */
    return cf_fail(CUFRAMES_ERR_NO_SUCH_STREAM, "the publisher ends just now");
  return CUFRAMES_OK;
}

int cf_connection_open(const char *directory, const char *name, const cf_msg_hello *hello, int64_t deadline,
                       cf_connection **connection) {
  cf_msg_welcome welcome;
  int fds[2];
  cf_connection *c = calloc(1, sizeof *c);
  if (!c)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  c->fd = -1;
  cf_flag_set(&c->references, 1);
  pthread_mutex_init(&c->request_lock, NULL);
  pthread_mutex_init(&c->lock, NULL);
  c->message = malloc(CF_WIRE_MESSAGE_MAX);
  c->mode_packets = hello->mode == CUFRAMES_MODE_PACKETS;
  int result = c->message ? cf_rendezvous(directory, name, hello, deadline, c->message, &c->fd, &welcome, fds, 2)
                          : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (result == CUFRAMES_OK) {
    result = connection_map(c, &welcome, hello, fds);
    cf_close(fds[0]);
    cf_close(fds[1]);
  }
  if (result != CUFRAMES_OK) {
    cf_connection_drop(c);
    return result;
  }
  if (!c->mode_packets)
    (void)views_look_ahead(c); /* who takes a frame will hear */
  *connection = c;
  return CUFRAMES_OK;
}

void cf_connection_hold(cf_connection *c) {
  (void)cf_flag_add(&c->references, 1);
}

void cf_connection_leave(cf_connection *c) {
  if (cf_reader_leave(&c->reader))
    (void)cf_futex_wake(&c->seat->room, INT32_MAX);
}

void cf_connection_drop(cf_connection *c) {
  if (!c || cf_flag_add(&c->references, -1) > 0)
    return;
  while (c->views) {
    cf_view *view = c->views;
    c->views = view->next;
    c->device->ops->segment_destroy(c->device, &view->memory);
    free(view);
  }
  cf_memory_unmap(c->region, c->region_bytes);
  cf_memory_unmap(c->seat, c->seat_bytes);
  cf_memory_unmap(c->control, c->control_bytes);
  cf_device_close(c->device);
  cf_close(c->fd); /* last: the publisher may now use our slots */
  pthread_mutex_destroy(&c->request_lock);
  pthread_mutex_destroy(&c->lock);
  free(c->frames);
  free(c->message);
  free(c);
}

/* ---- requests ---- */

static int ask(cf_connection *c, uint32_t type, const void *fields, uint32_t answer_type, size_t *length, int *fd) {
  if (cf_flag_get(&c->gone))
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher is gone");
  int result = cf_request(c->fd, type, fields, cf_now() + CF_HANDSHAKE_NS, answer_type, c->message, length, fd);
  if (result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_PUBLISHER_GONE) {
    cf_flag_set(&c->gone, 1); /* a late answer would be taken for the next one's */
    result = cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher does not answer");
  }
  return result;
}

int cf_connection_ask(cf_connection *c, uint32_t type, const void *fields, uint32_t answer_type, void *answer,
                      int *fd) {
  size_t length = 0;
  pthread_mutex_lock(&c->request_lock);
  int result = ask(c, type, fields, answer_type, &length, fd);
  if (result == CUFRAMES_OK && !cf_message_decode(answer_type, c->message, length, answer)) {
    if (fd)
      cf_close(*fd);
    result = cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's answer is malformed");
  }
  pthread_mutex_unlock(&c->request_lock);
  return result;
}

int cf_connection_ask_codec(cf_connection *c, uint32_t stream, cf_msg_codec *codec, uint8_t **extradata) {
  cf_msg_get_codec get = { .stream = stream };
  cf_msg_codec answer;
  size_t length = 0;
  pthread_mutex_lock(&c->request_lock);
  int result = ask(c, CF_MSG_GET_CODEC, &get, CF_MSG_CODEC, &length, NULL);
  if (result == CUFRAMES_OK && !cf_message_decode(CF_MSG_CODEC, c->message, length, &answer))
    result = cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's CODEC answer is malformed");
  if (result == CUFRAMES_OK) {
    uint8_t *copy = calloc(1, (size_t)answer.extradata.length + PADDING);
    if (copy) {
      if (answer.extradata.length > 0)
        memcpy(copy, answer.extradata.data, answer.extradata.length);
      answer.extradata.data = copy;
      *extradata = copy;
      *codec = answer;
    } else {
      result = cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
    }
  }
  pthread_mutex_unlock(&c->request_lock);
  return result;
}

int cf_connection_map_packets(cf_connection *c, bool from_next) {
  if (cf_flag_get(&c->packets_mapped))
    return CUFRAMES_OK;
  cf_msg_get_packets get = { 0 };
  cf_msg_packets packets;
  int fd;
  int result = cf_connection_ask(c, CF_MSG_GET_PACKETS, &get, CF_MSG_PACKETS, &packets, &fd);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_memory_map(fd, packets.bytes, CF_SEAL_PUBLIC, &c->region);
  cf_close(fd);
  if (result != CUFRAMES_OK)
    return result;
  c->region_bytes = packets.bytes;
  if (!cf_packet_reader_init(&c->packet_reader, c->region, c->region_bytes, from_next)) {
    cf_memory_unmap(c->region, c->region_bytes);
    c->region = NULL;
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's packet region is not sound");
  }
  cf_flag_set(&c->packets_mapped, 1);
  return CUFRAMES_OK;
}

/* ---- segments ---- */

/* What a publisher says of a segment must hold together before anybody computes with it. */
static int view_check(const cf_msg_segment *segment, cf_view *view) {
  view->format = (cuframes_format){ .pixel_format = segment->pixel_format,
                                    .width = segment->width,
                                    .height = segment->height,
                                    .color = cf_color_unpack(segment->color) };
  memcpy(view->format.pitch, segment->pitch, sizeof view->format.pitch);
  memcpy(view->format.offset, segment->offset, sizeof view->format.offset);
  if (cuframes_format_layout(&view->format, 0, &view->frame_bytes) != CUFRAMES_OK || view->frame_bytes > segment->bytes)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's segment %u has an impossible format", segment->segment);
  return CUFRAMES_OK;
}

static int view_fetch(cf_connection *c, uint32_t number, cf_view **fetched) {
  cf_msg_get_segment get = { .segment = number };
  cf_msg_segment segment;
  int fd;
  int result = cf_connection_ask(c, CF_MSG_GET_SEGMENT, &get, CF_MSG_SEGMENT, &segment, &fd);
  if (result != CUFRAMES_OK)
    return result;
  cf_view *view = calloc(1, sizeof *view);
  if (!view)
    result = cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (result == CUFRAMES_OK)
    result = view_check(&segment, view);
  if (result == CUFRAMES_OK)
    result = c->device->ops->segment_import(c->device, fd, segment.bytes, &view->memory);
  cf_close(fd);
  if (result != CUFRAMES_OK) {
    free(view);
    return result;
  }
  view->segment = number;
  *fetched = view;
  return CUFRAMES_OK;
}

/* Unmaps segments that the publisher has given up and of which no frame is in hand. With the lock held. */
static void views_prune(cf_connection *c) {
  uint32_t floor = cf_reader_segment_floor(&c->reader);
  for (cf_view **link = &c->views; *link;) {
    cf_view *view = *link;
    if (view->segment < floor && view->frames == 0) {
      *link = view->next;
      c->device->ops->segment_destroy(c->device, &view->memory);
      free(view);
    } else {
      link = &view->next;
    }
  }
}

/* The view of a segment, with one frame more counted in it, if it is mapped. With the lock held. */
static cf_view *view_count_one(cf_connection *c, uint32_t number) {
  cf_view *view = c->views;
  while (view && view->segment != number)
    view = view->next;
  if (view)
    view->frames++;
  return view;
}

/* The same, mapped if it was not. */
static int view_hold(cf_connection *c, uint32_t number, cf_view **held) {
  cf_view *view;
  pthread_mutex_lock(&c->lock);
  view = view_count_one(c, number);
  pthread_mutex_unlock(&c->lock);
  if (!view) { /* only the thread that takes frames adds views */
    int result = view_fetch(c, number, &view);
    if (result != CUFRAMES_OK)
      return result;
    view->frames = 1;
    pthread_mutex_lock(&c->lock);
    views_prune(c);
    view->next = c->views;
    c->views = view;
    pthread_mutex_unlock(&c->lock);
  }
  *held = view;
  return CUFRAMES_OK;
}

/* A look ahead goes no further back than this: what lies behind it is old. */
#define LOOK_AHEAD 8u

/* Maps the segments that came since the last look. When the publisher dies nobody hands out descriptors any more, and
 * the frames that wait for us in a segment we never asked for would be lost. */
static int views_look_ahead(cf_connection *c) {
  uint32_t top = cf_reader_segment_top(&c->reader), floor = cf_reader_segment_floor(&c->reader);
  uint32_t number = c->segments_known + 1;
  if (top == c->segments_known)
    return CUFRAMES_OK;
  c->segments_known = top;
  if (number < floor)
    number = floor;
  if (top >= LOOK_AHEAD && number <= top - LOOK_AHEAD)
    number = top - LOOK_AHEAD + 1;
  for (; number != 0 && number <= top; number++) {
    cf_view *view;
    int result = view_hold(c, number, &view);
    if (result == CUFRAMES_OK) {
      pthread_mutex_lock(&c->lock);
      view->frames--;
      pthread_mutex_unlock(&c->lock);
    } else if (result == CUFRAMES_ERR_NO_MEMORY || result == CUFRAMES_ERR_SYSTEM) {
      c->segments_known = number - 1;
      return result; /* before a frame in it is taken, which would be lost */
    } else if (result != CUFRAMES_ERR_STALE) {
      return CUFRAMES_OK; /* who takes a frame in it will hear why */
    }
  }
  return CUFRAMES_OK;
}

/* ---- frames ---- */

static void lease_unreserve(cf_connection *c, uint32_t k) {
  pthread_mutex_lock(&c->lock);
  c->free_leases |= UINT64_C(1) << k;
  pthread_mutex_unlock(&c->lock);
}

static int take_error(enum cf_take take) {
  switch (take) {
    case CF_TAKE_OK: return CUFRAMES_OK;
    case CF_TAKE_NONE: return cf_fail(CUFRAMES_ERR_TIMEOUT, "no new frame in the time given");
    case CF_TAKE_ENDED: return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher ended the stream");
    case CF_TAKE_EVICTED:
      return cf_fail(
          CUFRAMES_ERR_EVICTED,
          "the publisher gave up waiting for this subscriber: connect again, with more depth or less work per frame");
    case CF_TAKE_BROKEN: break;
  }
  return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's control page makes no sense");
}

static void frame_fill(cf_connection *c, uint32_t k, const cf_taken *taken, cf_view *view) {
  c->frames[k] = (cuframes_frame){ .state = CF_FRAME_LEASED,
                                   .owner = c,
                                   .device = c->device,
                                   .segment = view,
                                   .base = (uint8_t *)view->memory.address + taken->offset,
                                   .format = &view->format,
                                   .slot = taken->slot,
                                   .lease = k,
                                   .seq = taken->seq,
                                   .pts = taken->pts,
                                   .duration = taken->duration,
                                   .timestamp = taken->timestamp,
                                   .flags = taken->flags & (CUFRAMES_FRAME_KEY | CUFRAMES_FRAME_CORRUPT) };
}

/* Every lease is in hand. But who has nothing more to expect should hear that. */
static int hands_full(cf_connection *c, bool gone) {
  enum cf_take next = cf_reader_peek(&c->reader);
  if (next == CF_TAKE_EVICTED || next == CF_TAKE_ENDED || (next == CF_TAKE_NONE && gone))
    return take_error(next == CF_TAKE_NONE ? CF_TAKE_ENDED : next);
  return cf_fail(CUFRAMES_ERR_LEASE_LIMIT,
                 "all %u frames that this subscriber may hold are in hand: release one, or ask for more leases",
                 c->leases);
}

int cf_connection_take(cf_connection *c, cuframes_frame **frame, uint32_t *epoch) {
  uint32_t k;
  bool gone = cf_flag_get(&c->gone) != 0; /* before the look: the last frames are still to be taken */
  cf_taken taken;
  cf_view *view = NULL;
  bool ring;
  int ahead = views_look_ahead(c);
  if (ahead != CUFRAMES_OK)
    return ahead;
  pthread_mutex_lock(&c->lock); /* once: who spins for a frame feels each turn */
  bool hands_are_full = c->free_leases == 0;
  k = hands_are_full ? 0 : (uint32_t)__builtin_ctzll(c->free_leases);
  enum cf_take take = hands_are_full ? CF_TAKE_NONE : cf_reader_take(&c->reader, k, &taken, &ring);
  if (take == CF_TAKE_OK) {
    c->free_leases &= c->free_leases - 1;
    view = view_count_one(c, taken.segment);
  }
  pthread_mutex_unlock(&c->lock);
  if (hands_are_full)
    return hands_full(c, gone);
  if (take != CF_TAKE_OK)
    return take_error(take);
  if (ring)
    (void)cf_futex_wake(&c->seat->room, INT32_MAX);
  int result = view ? CUFRAMES_OK : view_hold(c, taken.segment, &view);
  if (result == CUFRAMES_OK &&
      (taken.offset > view->memory.bytes || view->memory.bytes - taken.offset < view->frame_bytes)) {
    pthread_mutex_lock(&c->lock);
    view->frames--;
    pthread_mutex_unlock(&c->lock);
    result = cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's frame lies outside its segment");
  }
  if (result != CUFRAMES_OK) {
    cf_reader_release(c->seat, k);
    lease_unreserve(c, k);
    return result;
  }
  frame_fill(c, k, &taken, view);
  cf_connection_hold(c);
  *epoch = taken.epoch;
  *frame = &c->frames[k];
  return CUFRAMES_OK;
}

int cf_connection_release(cuframes_frame *frame) {
  cf_connection *c = frame->owner;
  cf_view *view = frame->segment;
  uint32_t k = frame->lease;
  pthread_mutex_lock(&c->lock);
  bool leased = frame->state == CF_FRAME_LEASED;
  if (leased) {
    frame->state = CF_FRAME_FREE;
    view->frames--;
    cf_reader_release(c->seat, k);
    c->free_leases |= UINT64_C(1) << k;
  }
  pthread_mutex_unlock(&c->lock);
  if (!leased)
    return cf_fail(CUFRAMES_ERR_INVALID, "the frame was released before");
  (void)cf_flag_add(&c->releases, 1);
  if (cf_flag_swap(&c->release_awaited, 0))
    (void)cf_futex_wake(&c->releases.value, INT32_MAX);
  bool over = cf_flag_get(&c->gone) || cf_reader_over(&c->reader);
  cf_connection_drop(c);
  return over ? cf_fail(CUFRAMES_ERR_STALE, "the frame's connection is over: the publisher is gone or evicted us")
              : CUFRAMES_OK;
}
