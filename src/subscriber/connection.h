/* subscriber/connection.h - one subscriber's tie to one publisher: its life (connection.c), frames (leases.c) and the
 * segments that they lie in (segments.c).
 *
 * A subscriber has one at a time and takes a new one when it reconnects; frames in hand keep the one that they came
 * from. Reference-counted: the subscriber, its packet reader and each frame in hand hold one.
 * Threads: any; the socket is a request and its answer, one at a time under a mutex.
 */
#ifndef CF_SUBSCRIBER_CONNECTION_H
#define CF_SUBSCRIBER_CONNECTION_H

#include <pthread.h>

#include <cuframes/subscriber.h>

#include "api/frame.h"
#include "api/log.h"
#include "completion/uses.h"
#include "completion/waiter.h"
#include "device/device.h"
#include "exchange/frame_reader.h"
#include "exchange/packet_ring.h"
#include "os/futex.h"
#include "wire/message.h"

/* The life of a connection, which only goes on:
 *   LIVE -> GONE       the publisher hung up, does not answer, or was given up: no more requests; the frames that
 *                      are left may still be taken
 *   GONE -> ABANDONED  its pictures that were not complete are LOST, and the streams that waited for them go on
 *   LIVE, GONE, ABANDONED -> DRAINED
 *                      nobody takes frames any more, and what streams were to give back is waited for
 * cf_connection_move() is the only way from one to the next. */
enum cf_life { CF_LIVE, CF_GONE, CF_ABANDONED, CF_DRAINED };

/* A segment as this subscriber maps it. */
typedef struct cf_view {
  uint32_t segment;
  uint32_t frames;      /* in hand */
  uint64_t frame_bytes; /* from the slot's first byte to the end of its last plane */
  cuframes_format format;
  cf_device_segment memory;
  void **events; /* of its slots, in sync mode slot-events; event_count of them */
  uint32_t event_count;
  uint64_t stride; /* bytes from one slot to the next, where there are events */
  struct cf_view *next;
} cf_view;

typedef struct cf_connection {
  cf_flag references;
  cf_flag life;            /* enum cf_life */
  cf_flag sleepers;        /* threads that sleep on the publisher's words, or are about to */
  cf_flag releases;        /* moves with every frame given back: a word to sleep on */
  cf_flag release_awaited; /* somebody sleeps on it, or is about to */
  int fd;
  pthread_mutex_t request_lock; /* socket and message buffer */
  uint8_t *message;
  cf_device *device;
  void *control;
  uint64_t control_bytes;
  cf_seat *seat;
  uint64_t seat_bytes;
  cf_frame_reader reader;
  bool mode_packets;
  cf_waiter waiter;        /* for the GPU to complete pictures */
  cf_uses uses;            /* and to be done with them */
  char device_name[64];    /* of the stream */
  uint64_t serial;         /* tells the subscriber's connections apart: 1, 2, 3, ... */
  uint32_t borrowed;       /* by the subscriber's own threads; under the subscriber's lock */
  uint32_t segments_known; /* the newest one looked at; of the thread that takes frames */
  uint32_t floor_known;    /* segments below it were unmapped; likewise */

  pthread_mutex_t lock; /* what follows */
  cf_logger logger;     /* silent once the subscriber was destroyed */
  uint32_t leases;      /* granted */
  uint64_t free_leases; /* bit per lease */
  uint64_t returning;   /* bit per lease that streams give back */
  cf_view *views;
  cf_frame *frames; /* one per lease */
  cf_handles *handles;
  cf_counter lost; /* frames that were LOST */

  cf_flag packets_mapped; /* what follows is there: the watcher asks, too */
  void *region;
  uint64_t region_bytes;
  uint32_t track_count;
  cf_packet_reader packet_reader;
} cf_connection;

/* How to join. */
typedef struct cf_join {
  const char *directory, *name, *device; /* as in cuframes_subscriber_options */
  const cf_msg_hello *hello;
  cf_handles *handles;
  cf_logger logger;
} cf_join;

/* Joins. Blocks until the deadline at most. On success the caller holds one reference. */
int cf_connection_open(const cf_join *join, int64_t deadline, cf_connection **connection);
void cf_connection_hold(cf_connection *connection);
/* Gives a reference back; the last one leaves the stream, and waits for a GPU that may use its memory: not for the
 * library's threads. NULL is fine. */
void cf_connection_drop(cf_connection *connection);

static inline enum cf_life cf_connection_life(const cf_connection *connection) {
  return (enum cf_life)cf_flag_get(&connection->life);
}
/* Moves on, if that is a step of the table above. False: it is not, and nothing happened. */
bool cf_connection_move(cf_connection *connection, enum cf_life to);
/* No frame will come that is not there yet. */
static inline bool cf_connection_gone(const cf_connection *connection) {
  return cf_flag_get(&connection->life) != CF_LIVE;
}

/* Wants no more frames; those in hand stay good and keep the connection open. */
void cf_connection_leave(cf_connection *connection);
/* The publisher is dead, or this connection was given up: to GONE, then to ABANDONED. Any thread, any number of
 * times. */
void cf_connection_abandon(cf_connection *connection);
/* Nobody takes frames from it any more: to DRAINED. */
void cf_connection_drain(cf_connection *connection);

/* How a frame may be handed out. */
typedef struct cf_take_how {
  bool on_stream; /* `stream` waits for the picture, if the sync mode has that; else the caller does */
  void *stream;
} cf_take_how;

/* Takes the next frame if there is one: CUFRAMES_OK, TIMEOUT (nothing new), BUSY (only the GPU keeps it from us: the
 * picture is not complete, or a lease not yet given back), LEASE_LIMIT, PUBLISHER_GONE, EVICTED, PROTOCOL, or what
 * mapping its segment says. gone: the connection was, before the caller looks for its last frames. *pending: a frame
 * of this connection, taken and not complete yet; NULL: none. It has a reference of the connection, and on success
 * the caller's goes to the frame. One thread at a time. */
int cf_connection_take(cf_connection *connection, const cf_take_how *how, bool gone, cf_frame **pending,
                       cf_frame **frame);
/* Gives a frame back that nobody has a handle of, and its reference of the connection. */
void cf_connection_put_back(cf_frame *frame);

/* Segments; look_ahead() and hold() are of the thread that takes frames. */
/* Maps the segments that came since the last look. NO_MEMORY or SYSTEM: one of them cannot be mapped now. */
int cf_views_look_ahead(cf_connection *connection);
/* The view of a segment, mapped if it was not, with one frame more counted in it. */
int cf_view_hold(cf_connection *connection, uint32_t segment, cf_view **view);
void cf_view_free(cf_connection *connection, cf_view *view);

/* Sends a request and decodes its answer of the given type. Descriptors go to *fd (one is wanted; NULL: none).
 * A refusal is its code. */
int cf_connection_ask(cf_connection *connection, uint32_t type, const void *fields, uint32_t answer_type, void *answer,
                      int *fd);

/* As cf_connection_ask() for CODEC, whose extradata is copied into a new buffer padded with 64 zero bytes. */
int cf_connection_ask_codec(cf_connection *connection, uint32_t track, cf_msg_codec *codec, uint8_t **extradata);

/* The same for EVENTS: count handles of CF_HANDLE_BYTES, in a buffer that the caller frees. */
int cf_connection_ask_events(cf_connection *connection, uint32_t segment, uint8_t **handles, uint32_t *count,
                             uint64_t *stride);

/* Maps the packet region if it is not mapped yet and starts reading. */
int cf_connection_map_packets(cf_connection *connection, bool from_next);

#endif
