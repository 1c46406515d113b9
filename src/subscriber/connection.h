/* subscriber/connection.h - one subscriber's tie to one publisher: its life (connection.c), frames (leases.c) and the
 * segments that they lie in (segments.c).
 *
 * A subscriber has one at a time and takes a new one when it reconnects; frames in hand keep the one that they came
 * from. Reference-counted: the subscriber, the thread that takes frames and its packet reader hold one. Frames in hand
 * keep it as well.
 * Threads: any; the socket is a request and its answer, one at a time under a mutex.
 */
#ifndef CF_SUBSCRIBER_CONNECTION_H
#define CF_SUBSCRIBER_CONNECTION_H

#include <pthread.h>

#include <cuframes/subscriber.h>

#include "api/frame.h"
#include "api/log.h"
#include "client/client.h"
#include "completion/uses.h"
#include "completion/waiter.h"
#include "device/device.h"
#include "exchange/frame_reader.h"
#include "exchange/packet_ring.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/lock.h"
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
  void *side; /* side data of its frames; NULL: the stream has none */
  uint64_t side_bytes;
  void **events; /* of its slots, in sync mode slot-events; event_count of them */
  uint32_t event_count;
  uint64_t stride; /* bytes from one slot to the next, where there are events */
  struct cf_view *next;
} cf_view;

/* The thread that takes frames asks for their memory, others for packets: each has one question at a time. */
enum cf_asker { CF_ASKER_FRAMES, CF_ASKER_PACKETS, CF_ASKERS };

/* Threads that sleep on the publisher's words: who waits for frames, and the notifier for it; and who waits for
 * packets. Each is woken and interrupted by itself. */
enum cf_sleeper {
  CF_SLEEPER_FRAMES,
  CF_SLEEPER_LEASES, /* for frames as well, of which one is left: only a lease is missing, and no publisher */
  CF_SLEEPER_PACKETS,
  CF_SLEEPERS
};

/* A question whose answer was not taken yet. */
typedef struct cf_asked {
  uint32_t type; /* 0: none */
  uint32_t answer_type;
  uint32_t of;           /* which segment or track */
  int64_t due, deadline; /* for the answer: at first, and now */
  bool answered;         /* while another asker waited for his own: */
  int result, fd;
  uint8_t *bytes; /* the message, if it is no refusal */
  size_t length;
  char detail[256]; /* why it is one */
} cf_asked;

/* A connection as the watcher sees it (watcher.c). */
typedef struct cf_watched {
  struct cf_connection *next; /* of its subscriber; the list has a reference of each */
  int64_t dying_until;        /* it is GONE, and by then at the latest ABANDONED; 0: not so */
  int end, death;             /* where its descriptors are in the poll set; -1: nowhere */
} cf_watched;

typedef struct cf_connection {
  /* What each frame touches comes first, on as few cache lines as may be. */
  cf_flag life; /* enum cf_life */
  cf_lock lock; /* of what is marked with *, and of what is said to be under it */
  /* of the thread that takes frames */
  uint32_t segments_known; /* the newest one looked at */
  uint32_t floor_known;    /* segments below it were unmapped */
  uint64_t serial;         /* tells the subscriber's connections apart: 1, 2, 3, ... */
  bool is_unmapped;        /* a frame was leased whose segment is still to be mapped: `unmapped` */
  bool mode_packets;
  cf_flag release_awaited; /* somebody sleeps on `releases`, or is about to */
  cf_seat *seat;
  uint64_t free_leases; /* * bit per lease: those that hold no frame */
  uint64_t returning;   /* * bit per lease that streams give back */
  cf_view *views;       /* * */
  cf_frame *frames;     /* * one per lease */
  cf_handles *handles;
  cf_device *device;
  uint32_t references; /* * */
  uint32_t leases;     /* granted */
  cf_waiter waiter;    /* for the GPU to complete pictures */
  cf_frame_reader reader;

  cf_flag sleepers[CF_SLEEPERS]; /* threads that sleep on the publisher's words, or are about to */
  cf_flag releases;              /* moves when somebody waits for a frame to be given back: a word to sleep on */
  int fd;
  pthread_mutex_t request_lock; /* socket, message buffer and what was asked */
  uint8_t *message;
  cf_asked asked[CF_ASKERS];
  bool packets_first; /* of two questions, whose answer comes first */
  void *control;
  uint64_t control_bytes;
  uint64_t seat_bytes;
  cf_uses uses;         /* for the GPU to be done with frames */
  char device_name[64]; /* of the stream */
  char name[CUFRAMES_NAME_MAX + 1];
  uint64_t instance; /* of the publisher */
  cf_flag forgotten; /* in a process that was forked from the maker's: one more than frames in hand there. 0: not so */
  /* of the thread that takes frames */
  uint32_t unmapped_lease;
  cf_taken unmapped;
  cf_view *unfinished; /* mapped, but its events have not come */

  cf_logger logger;     /* * silent once the subscriber was destroyed */
  uint64_t every_lease; /* bit per lease */
  cf_counter lost;      /* frames that were LOST */

  cf_watched watched; /* the watcher's */

  cf_flag packets_mapped; /* what follows is there: the watcher asks, too */
  void *region;
  uint64_t region_bytes;
  uint32_t track_count;
  cf_packet_reader packet_reader;
} cf_connection;

/* How to join. */
typedef struct cf_join {
  const char *name, *device; /* as in cuframes_subscriber_create() and its options */
  const cf_msg_hello *hello;
  cf_handles *handles;
  cf_logger logger;
  const cf_interrupt *interrupt;
} cf_join;

/* Makes a connection of what joining brought, and takes that over in every case. Waits until the deadline at most for
 * the segments there are; INTERRUPTED: join->interrupt said to give up. On success the caller holds one reference. */
int cf_connection_open(const cf_join *join, cf_joined *joined, int64_t deadline, cf_connection **connection);
void cf_connection_hold(cf_connection *connection);
/* Gives a reference back; with the last one, and without a frame in hand, it leaves the stream. A GPU that may use its
 * memory is waited for by a thread of its own; or here, when there is no subscriber any more to wait for that. NULL is
 * fine. */
void cf_connection_drop(cf_connection *connection);
/* The same for a frame: gives the lock back under which its lease was given back. */
void cf_connection_unlock(cf_connection *connection);

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
/* The publisher is dead, or this connection was given up, in two steps that wait for nothing: to GONE, with what is
 * LOST marked. True: a stream waits for a picture, and the process's death should be waited for (waiter.h); */
bool cf_connection_lose(cf_connection *connection);
/* then to ABANDONED, and streams go on. Any thread, any number of times. */
void cf_connection_abandon(cf_connection *connection);
/* Nobody takes frames from it any more: to DRAINED, and what streams were to give back is waited for, by a thread of
 * its own if that is a GPU. Takes the caller's reference. */
void cf_connection_end(cf_connection *connection);

/* How a frame may be handed out. */
typedef struct cf_take_how {
  bool on_stream; /* `stream` waits for the picture, if the sync mode has that; else the caller does */
  bool spun;      /* the caller spins: what is there now came in this moment */
  void *stream;
  int64_t timeout_ns;
  int64_t deadline; /* 0: not yet known, since a frame that is there costs no look at the clock */
} cf_take_how;

static inline int64_t cf_take_deadline(cf_take_how *how) {
  if (how->deadline == 0)
    how->deadline = cf_deadline(how->timeout_ns);
  return how->deadline;
}

/* Takes the next frame if there is one: CUFRAMES_OK, TIMEOUT (nothing new, or its segment did not come in the time
 * given), BUSY (only the GPU keeps it from us: the
 * picture is not complete, or a lease not yet given back), LEASE_LIMIT, PUBLISHER_GONE, EVICTED, PROTOCOL, or what
 * mapping its segment says. gone: the connection was, before the caller looks for its last frames. *pending: a frame
 * of this connection, taken and not complete yet; NULL: none. One thread at a time. */
int cf_connection_take(cf_connection *connection, cf_take_how *how, bool gone, cf_frame **pending, cf_frame **frame);
/* The same, but for a frame that needs no waiting nothing is taken: OK says that there is one. One that must be waited
 * for, and one whose segment had to be mapped, becomes *pending. */
int cf_connection_look(cf_connection *connection, cf_take_how *how, bool gone, cf_frame **pending);
/* As cf_connection_take(); where *pending is complete and there is a newer frame that is, too, that one, if there is a
 * lease for it, and the other is given back. One that is newer and not complete becomes *pending. */
int cf_connection_take_newest(cf_connection *connection, cf_take_how *how, bool gone, cf_frame **pending,
                              cf_frame **frame);
/* Whether a lease is free; any thread. Streams may be to give one back. */
bool cf_connection_has_lease(cf_connection *connection);
bool cf_connection_is_returning(cf_connection *connection);
/* The lease that the next frame gets, of the thread that takes frames; CF_LEASES_MAX: none is free. */
uint32_t cf_connection_next_lease(cf_connection *connection);
/* Who waits for a lease is to look: one was given back, or none ever will be. */
void cf_connection_announce_release(cf_connection *connection);
/* In a process that was forked from the maker's: frees what this process has of it, but for what frames in hand need;
 * forked.c says how. Any number of times. */
void cf_connection_forget(cf_connection *connection);
/* The same for a frame. */
void cf_connection_forget_frame(cf_frame *frame);
/* Gives a frame back that nobody has a handle of. */
void cf_connection_put_back(cf_frame *frame);

/* Segments; look_ahead() and hold() are of the thread that takes frames. */
/* Maps the segments that came since the last look. NO_MEMORY or SYSTEM: one of them cannot be mapped now. */
int cf_views_look_ahead(cf_connection *connection, int64_t deadline);
/* The view of a segment, mapped if it was not, with one frame more counted in it. TIMEOUT: not yet. */
int cf_view_hold(cf_connection *connection, uint32_t segment, int64_t deadline, cf_view **view);
void cf_view_free(cf_connection *connection, cf_view *view);

/* What is asked of a publisher. */
typedef struct cf_question {
  uint32_t type, answer_type;
  uint32_t of;                   /* which segment or track: the one field of each request */
  int64_t deadline;              /* of the caller; one that has passed does not wait at all */
  const cf_interrupt *interrupt; /* of the caller; NULL: there is only the deadline */
} cf_question;

/* Sends a request and decodes its answer; the descriptor of SEGMENT and PACKETS goes to *fd. TIMEOUT, INTERRUPTED: the
 * answer has not come by then; who asks the same again gets it. A publisher that does not answer for CF_HANDSHAKE_NS is
 * gone. A refusal is its code. */
int cf_connection_ask(cf_connection *connection, const cf_question *question, void *answer, int *fd);

/* Whether asking would get on: there is an answer, time is up for it, or nothing is asked any more, since another
 * thread took what came. */
bool cf_connection_answer_due(cf_connection *connection);

/* As cf_connection_ask() for CODEC, whose extradata is copied into a new buffer padded with 64 zero bytes. */
int cf_connection_ask_codec(cf_connection *connection, uint32_t track, const cf_interrupt *interrupt,
                            cf_msg_codec *codec, uint8_t **extradata);

/* The same for EVENTS, whose handles are copied into a new buffer. */
int cf_connection_ask_events(cf_connection *connection, uint32_t segment, int64_t deadline, cf_msg_events *events,
                             uint8_t **handles);

/* Maps the packet region if it is not mapped yet and starts reading. */
int cf_connection_map_packets(cf_connection *connection, enum cuframes_packet_start start, int64_t deadline,
                              const cf_interrupt *interrupt);

#endif
