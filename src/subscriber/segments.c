/* subscriber/segments.c - the segments of a stream as one subscriber maps them: asked for once, kept while they are
 * used. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "api/format.h"
#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "subscriber/connection.h"

/* How long a publisher may take to hang up when its memory has gone. */
#define DYING_NS (100 * CF_MS)

/* What a publisher says of a segment must hold together before anybody computes with it. */
static int view_check(const cf_msg_segment *segment, cf_view *view) {
  if (cf_format_from_wire(&segment->format, &view->format) != CUFRAMES_OK ||
      cuframes_format_layout(&view->format, 0, &view->frame_bytes) != CUFRAMES_OK || view->frame_bytes > segment->bytes)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's segment %u has an impossible format", segment->segment);
  return CUFRAMES_OK;
}

/* A legacy handle is good only as long as its maker lives, and a killed one's memory may go before its socket does. */
static bool publisher_dies(const cf_connection *c) {
  return cf_poll_until(c->fd, POLLRDHUP, cf_now() + DYING_NS);
}

static int view_import(cf_connection *c, const cf_msg_segment *segment, int fd, cf_view *view) {
  cf_device_export from = { .kind = segment->memory,
                            .fd = fd,
                            .bytes = segment->bytes,
                            .start = segment->start,
                            .whole = segment->whole ? segment->whole : segment->bytes };
  memcpy(from.handle, segment->handle, sizeof from.handle);
  if (segment->memory == CF_MEMORY_FD && fd < 0)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher sent a segment without its descriptor");
  int result = c->device->ops->segment_import(c->device, &from, &view->memory);
  if (result != CUFRAMES_OK && segment->memory == CF_MEMORY_LEGACY && publisher_dies(c))
    result = cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher died before its memory could be mapped");
  return result;
}

/* Opens the events of a segment's slots. Without them its frames are waited for by the CPU. TIMEOUT: not yet. */
static int view_import_events(cf_connection *c, cf_view *view, int64_t deadline) {
  const cf_device_ops *ops = c->device->ops;
  uint8_t *handles = NULL;
  cf_msg_events events = { 0 };
  if (c->waiter.sync_mode != CUFRAMES_SYNC_SLOT_EVENTS)
    return CUFRAMES_OK;
  int result = cf_connection_ask_events(c, view->segment, deadline, &events, &handles);
  if (result != CUFRAMES_OK)
    return result == CUFRAMES_ERR_TIMEOUT ? result : CUFRAMES_OK;
  uint32_t count = events.handles.length / CF_HANDLE_BYTES;
  view->stride = events.stride;
  view->events = view->stride > 0 ? calloc(count, sizeof *view->events) : NULL;
  for (uint32_t i = 0; view->events && i < count; i++)
    if (ops->event_import(c->device, handles + (size_t)i * CF_HANDLE_BYTES, &view->events[i]) == CUFRAMES_OK)
      view->event_count = i + 1;
    else
      break;
  free(handles);
  return CUFRAMES_OK;
}

/* An answer about another segment would be mapped as this one. */
static int answer_check(uint32_t asked, uint32_t answered) {
  if (answered != asked)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher was asked for segment %u, and answers %u", asked, answered);
  return CUFRAMES_OK;
}

/* Maps the side data of a segment's frames. Together with the segment: when the publisher dies nobody hands out
 * descriptors any more, and next() is the place to hear that it cannot be had. TIMEOUT: not yet. */
static int view_map_side_data(cf_connection *c, cf_view *view, int64_t deadline) {
  cf_question question = { CF_MSG_GET_SIDE_DATA, CF_MSG_SIDE_DATA, view->segment, deadline, NULL };
  cf_msg_side_data side;
  int fd;
  if (c->reader.side_data_max == 0 || view->side)
    return CUFRAMES_OK;
  int result = cf_connection_ask(c, &question, &side, &fd);
  if (result != CUFRAMES_OK)
    return result;
  result = answer_check(view->segment, side.segment);
  if (result == CUFRAMES_OK)
    result = cf_memory_map(fd, side.bytes, CF_SEAL_PUBLIC, &view->side);
  cf_discard(fd, c->fd);
  if (result == CUFRAMES_OK)
    view->side_bytes = side.bytes;
  return result;
}

void cf_view_free(cf_connection *c, cf_view *view) {
  for (uint32_t i = 0; i < view->event_count; i++)
    c->device->ops->event_destroy(c->device, view->events[i]);
  free(view->events);
  c->device->ops->segment_destroy(c->device, &view->memory);
  cf_memory_unmap(view->side, view->side_bytes);
  free(view);
}

/* Asks for a segment and maps it. */
static int view_map(cf_connection *c, uint32_t number, int64_t deadline, cf_view **mapped) {
  cf_question question = { CF_MSG_GET_SEGMENT, CF_MSG_SEGMENT, number, deadline, NULL };
  cf_msg_segment segment;
  int fd;
  int result = cf_connection_ask(c, &question, &segment, &fd);
  if (result != CUFRAMES_OK)
    return result;
  cf_view *view = calloc(1, sizeof *view);
  if (!view)
    result = cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (result == CUFRAMES_OK)
    result = answer_check(number, segment.segment);
  if (result == CUFRAMES_OK)
    result = view_check(&segment, view);
  if (result == CUFRAMES_OK)
    result = view_import(c, &segment, fd, view);
  if (result == CUFRAMES_OK) /* the device knows what it is */
    cf_close(fd);
  else
    cf_discard(fd, c->fd);
  if (result != CUFRAMES_OK) {
    free(view);
    return result;
  }
  view->segment = number;
  *mapped = view;
  return CUFRAMES_OK;
}

/* Maps a segment with all that belongs to it. TIMEOUT: not all has come, and the next call goes on. */
static int view_fetch(cf_connection *c, uint32_t number, int64_t deadline, cf_view **fetched) {
  int result = CUFRAMES_OK;
  if (c->unfinished && c->unfinished->segment != number) {
    cf_view_free(c, c->unfinished);
    c->unfinished = NULL;
  }
  if (!c->unfinished)
    result = view_map(c, number, deadline, &c->unfinished);
  if (result == CUFRAMES_OK)
    result = view_map_side_data(c, c->unfinished, deadline);
  if (result == CUFRAMES_OK)
    result = view_import_events(c, c->unfinished, deadline);
  if (result != CUFRAMES_OK)
    return result;
  *fetched = c->unfinished;
  c->unfinished = NULL;
  return CUFRAMES_OK;
}

/* Unmaps segments that the publisher has given up and of which no frame is in hand. Without the lock: the driver may
 * wait for the work of other frames first, and so for a fence, and who signals fences needs the lock. */
static void views_prune(cf_connection *c) {
  cf_view *unused = NULL;
  cf_lock_take(&c->lock);
  for (cf_view **link = &c->views; *link;) {
    cf_view *view = *link;
    if (view->segment < c->floor_known && view->frames == 0) {
      *link = view->next;
      view->next = unused;
      unused = view;
    } else {
      link = &view->next;
    }
  }
  cf_lock_give(&c->lock);
  while (unused) {
    cf_view *view = unused;
    unused = view->next;
    cf_view_free(c, view);
  }
}

__attribute__((hot)) int cf_view_hold(cf_connection *c, uint32_t number, int64_t deadline, cf_view **held) {
  cf_lock_take(&c->lock);
  cf_view *view = c->views;
  while (view && view->segment != number)
    view = view->next;
  if (view)
    view->frames++;
  cf_lock_give(&c->lock);
  if (!view) { /* only the thread that takes frames adds views */
    int result = view_fetch(c, number, deadline, &view);
    if (result != CUFRAMES_OK)
      return result;
    view->frames = 1;
    views_prune(c);
    cf_lock_take(&c->lock);
    view->next = c->views;
    c->views = view;
    cf_lock_give(&c->lock);
  }
  *held = view;
  return CUFRAMES_OK;
}

/* A look ahead goes no further back than this: what lies behind it is old. */
#define LOOK_AHEAD 8u

/* Maps the segments that came since the last look. When the publisher dies nobody hands out descriptors any more, and
 * the frames that wait for us in a segment we never asked for would be lost. */
int cf_views_look_ahead(cf_connection *c, int64_t deadline) {
  uint32_t floor, top = cf_reader_segments(&c->reader, &floor), number = c->segments_known + 1;
  if (floor != c->floor_known) {
    c->floor_known = floor;
    views_prune(c);
  }
  if (top == c->segments_known)
    return CUFRAMES_OK;
  c->segments_known = top;
  if (number < floor)
    number = floor;
  if (top >= LOOK_AHEAD && number <= top - LOOK_AHEAD)
    number = top - LOOK_AHEAD + 1;
  for (; number != 0 && number <= top; number++) {
    cf_view *view;
    int result = cf_view_hold(c, number, deadline, &view);
    if (result == CUFRAMES_OK) {
      cf_lock_take(&c->lock);
      view->frames--;
      cf_lock_give(&c->lock);
    } else if (result == CUFRAMES_ERR_TIMEOUT) { /* the next look goes on */
      c->segments_known = number - 1;
      return CUFRAMES_OK;
    } else if (result == CUFRAMES_ERR_NO_MEMORY || result == CUFRAMES_ERR_SYSTEM) {
      c->segments_known = number - 1;
      return result; /* before a frame in it is taken, which would be lost */
    } else if (result != CUFRAMES_ERR_STALE) {
      return CUFRAMES_OK; /* who takes a frame in it will hear why */
    }
  }
  return CUFRAMES_OK;
}
