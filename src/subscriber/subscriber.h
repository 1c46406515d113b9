/* subscriber/subscriber.h - the parts of a subscriber: its life and next() (subscriber.c), joining again (rejoin.c),
 * sleeping (sleep.c) and being woken by death or interruption (watcher.c), waiting in others' place (notifier.c,
 * packet_notifier.c), the callback thread (callback.c), what a batch does with it (member.h), packets (packets.c), its
 * tie to a publisher (connection.h), and what a forked process does with it (forked.c).
 */
#ifndef CF_SUBSCRIBER_SUBSCRIBER_H
#define CF_SUBSCRIBER_SUBSCRIBER_H

#include <poll.h>

#include <cuframes/subscriber.h>

#include "subscriber/connection.h"

typedef struct cf_notifier_group cf_notifier_group;

enum cf_notifier_state {
  CF_NOTIFIER_IDLE,  /* the descriptor is readable, or next() has not found nothing yet */
  CF_NOTIFIER_ARMED, /* next() found nothing */
  CF_NOTIFIER_WAITS  /* its thread waits for more */
};

/* What a batch sleeps on, beside its members' words: whoever has something for it rings. */
typedef struct cf_bell {
  cf_flag rung;     /* moves; a word to sleep on */
  cf_flag doorbell; /* one more than a descriptor that is rung as well; 0: none */
} cf_bell;

/* Async-signal-safe. */
void cf_bell_ring(cf_bell *bell);

/* Who waits for news of a subscriber in the place of next(): behind cuframes_subscriber_fd(), and beyond what a batch
 * can sleep on itself, a thread of ours (notifier.c), under its group's lock; else a batch's own thread (member.h). */
typedef struct cf_notifier {
  cf_notifier_group *group; /* NULL: no thread of ours; of the thread that takes frames */
  int fd;                   /* a doorbell: the caller's to poll; -1: nobody asked for it */
  cf_bell *bell;            /* of the batch that it is a member of, in the place of fd; NULL: none */
  enum cf_notifier_state state;
  bool started; /* what the reader had taken when it was armed */
  uint64_t last;
  uint64_t serial;       /* of the connection then; 0: none */
  bool unmapped;         /* a frame was taken whose segment is asked for */
  bool full;             /* every lease is in hand: one is waited for */
  enum cf_sleeper who;   /* LEASES: full, with a frame left; else FRAMES */
  int64_t look_at;       /* nothing but this moment is waited for; 0: not so */
  uint32_t pending_slot; /* a frame of it that is waited for; pending_seq 0: none */
  uint64_t pending_seq;
  cf_connection *connection; /* while it waits: on which it counts as a sleeper; one reference, NULL: none */
  int64_t began;             /* to wait */
} cf_notifier;

/* The batch that takes the frames of a subscriber (member.h). */
typedef struct cf_membership {
  void *batch;
  void (*leave)(void *batch, cuframes_subscriber *subscriber); /* for destroy() */
} cf_membership;

/* Who takes the frames: one word, which next() looks at for each. */
enum cf_taker {
  CF_TAKER_CALLER,   /* whoever calls next() */
  CF_TAKER_CALLBACK, /* the callback thread */
  CF_TAKER_JOINS,    /* a batch, as soon as it has said which */
  CF_TAKER_BATCH     /* `membership` says which */
};

/* The callback thread is to end: after this callback, or its sleep is to end, too. */
enum cf_stop { CF_STOP_LATER = 1, CF_STOP_NOW };

typedef struct cf_callback {
  pthread_t thread;
  bool running; /* joinable; of the caller's threads */
  cuframes_frame_fn call;
  void *user;
  cf_flag stop;
  bool destroyed; /* by the callee: the thread frees the subscriber when that returns. Its own */
} cf_callback;

typedef struct cf_packet_pool cf_packet_pool;

/* Who waits for packets in the place of next_packet(), behind cuframes_subscriber_packet_fd() (packet_notifier.c).
 * Under its group's lock. */
typedef struct cf_packet_notifier {
  cf_notifier_group *group; /* NULL: nobody; of the thread that takes packets, and `fd` likewise */
  int fd;                   /* a doorbell: the caller's to poll; -1: nobody asked for it */
  bool waits;
  cf_connection *connection; /* while it waits: where packets come from; one reference. NULL: for another one */
  cf_packet_reader reader;   /* of that, as next_packet() left it */
  int64_t look_at;           /* nothing but this moment is waited for; 0: not so */
  cf_flag stop;              /* its sleep is to end */
} cf_packet_notifier;

typedef struct cf_packet_side {
  bool enabled;
  enum cuframes_packet_start start_again; /* on the next connection */
  bool new_epoch;                         /* the next packet is the first of another publisher */
  cf_connection *connection;              /* where packets come from; one reference */
  uint32_t params[CUFRAMES_TRACKS_MAX];   /* the newest generation of parameters that the caller knows of */
  cf_packet_pool *pool;
  cf_packet_notifier notifier;
  pthread_mutex_t lock; /* of extradata */
  void *extradata;      /* last given out */
  cf_counter delivered, lost;
} cf_packet_side;

enum cf_rejoin_state {
  CF_REJOIN_NONE,   /* not wanted, or just being taken over */
  CF_REJOIN_DUE,    /* to be tried at `at` */
  CF_REJOIN_ASKED,  /* HELLO was said; WELCOME must come by `at` */
  CF_REJOIN_JOINED, /* the publisher let us in: `joined` is to be taken over */
  CF_REJOIN_FAILED  /* or refused: `error` is to be said */
};

/* Joining again when the publisher comes back: the watcher talks with it, and the next thread of the caller's that
 * wants a connection takes over. Under the subscriber's lock. */
typedef struct cf_rejoin {
  enum cf_rejoin_state state;
  int64_t at, back_off;
  int64_t joined_at; /* the last time */
  cf_joined joined;  /* ASKED: only the socket */
  int error;
  char detail[256];
  int answer; /* where the socket is in the watcher's poll set; -1: nowhere */
} cf_rejoin;

struct cuframes_subscriber {
  /* What each frame touches comes first, on as few cache lines as may be. Of the thread that takes frames, where
   * nothing else is said. */
  uint32_t maker;        /* os/process.h; constant */
  uint32_t taking_since; /* as `changes` was when `taking` was right */
  cf_connection *taking; /* where frames come from; one reference, NULL: none yet */
  cf_flag changes;       /* moves with connection and left_over, under the lock */
  bool any_frame;
  uint8_t spun_for; /* frames that came while it spun, since it last looked how long one took */
  uint32_t last_epoch;
  uint32_t last_segment; /* of that connection */
  uint64_t last_serial;  /* of the connection that gave the last frame */
  cf_frame *pending;     /* taken, and not complete yet */
  int64_t spin_ns;       /* constant */
  cf_flag taker;         /* enum cf_taker; any thread */
  cf_callback callback;
  cf_counter delivered, skipped;
  uint64_t skipped_before; /* on earlier connections */
  cf_msg_hello hello;
  cuframes_format last_format;
  cf_counter reconnects, lost_before;
  cf_membership membership; /* while taker is CF_TAKER_BATCH */

  char name[CUFRAMES_NAME_MAX + 1];
  char *directory; /* as given, or NULL */
  char *device;    /* as given, or NULL */
  bool reconnect;
  cf_logger logger;
  cf_log_limit log_limit; /* of what a publisher can make it say */
  cf_handles *handles;    /* of frames */

  pthread_mutex_t connect_lock; /* one thread makes a connection at a time */
  uint64_t serial;              /* of the newest connection; under connect_lock */
  pthread_mutex_t lock;         /* what follows */
  cf_connection *connection;    /* NULL while there is none; one reference */
  cf_connection *left_over;     /* the one before, which may still have frames; NULL: none. One reference */
  cf_rejoin rejoin;
  cf_connection *watched; /* the watcher's list */

  cf_flag interruptions;                   /* so many have been */
  cf_flag interruptions_seen[CF_SLEEPERS]; /* and of so many each waiter knows: its own to write */
  cf_flag joins; /* moves when there may be a connection, and at an interruption: a word to sleep on */
  struct cuframes_subscriber *next_watched; /* of this process */

  cf_notifier notifier;
  cf_packet_side packets;
  cf_interrupt interrupt; /* of calls that ask the publisher; constant */
};

/* The connection there is, with a reference for the caller; NULL: none. */
cf_connection *cf_subscriber_current(cuframes_subscriber *subscriber);
/* The same for who takes frames: the one before as long as it is left over. */
cf_connection *cf_subscriber_current_for_frames(cuframes_subscriber *subscriber);
/* The connection to use, with a reference for the caller; takes over what the watcher joined again. Never waits for a
 * publisher. TIMEOUT: there is none at present; otherwise the error is for the user. */
int cf_subscriber_connection(cuframes_subscriber *subscriber, cf_connection **connection);
/* The same for the thread that takes frames: first the one that was left with some. The reference is s->taking's, good
 * until the next call. anew(): when `changes` has moved. */
int cf_subscriber_connection_anew(cuframes_subscriber *subscriber, cf_connection **connection);
static inline int cf_subscriber_connection_for_frames(cuframes_subscriber *subscriber, cf_connection **connection) {
  if (!subscriber->taking || subscriber->taking_since != cf_flag_get(&subscriber->changes))
    return cf_subscriber_connection_anew(subscriber, connection);
  *connection = subscriber->taking; /* as nearly always: no lock, no count */
  return CUFRAMES_OK;
}
/* That connection is over. Its frames were taken, or are left for the thread that takes frames. Never waits. */
enum cf_frames { CF_FRAMES_LEFT, CF_FRAMES_TAKEN };
void cf_subscriber_retire(cuframes_subscriber *subscriber, cf_connection *connection, enum cf_frames frames);
/* Takes what is there now, or says that there is something: TIMEOUT: nothing. PUBLISHER_GONE of a connection that the
 * subscriber has still is for the caller to retire, where it is to join again. */
int cf_subscriber_take(cuframes_subscriber *subscriber, cf_connection *connection, cf_take_how *how,
                       cuframes_frame **frame);
int cf_subscriber_look(cuframes_subscriber *subscriber, cf_connection *connection, cf_take_how *how);
/* BUSY if somebody else than the caller takes its frames: its callback thread, or a batch. */
int cf_subscriber_check_taker(const cuframes_subscriber *subscriber);
/* Makes that somebody else. BUSY: another one is. */
int cf_subscriber_taker_begin(cuframes_subscriber *subscriber, enum cf_taker taker);
/* next() for the callback thread too. */
int cf_subscriber_next(cuframes_subscriber *subscriber, cf_take_how *how, cuframes_frame **frame);

/* ---- the watcher: one thread for all subscribers of the process ---- */

/* From now on, with the connection there is: its death is seen, and the subscriber joins again if it wants that. */
int cf_watcher_add(cuframes_subscriber *subscriber);
/* Until here. NULL connection: none. Fine for one that was not added. */
void cf_watcher_remove(cuframes_subscriber *subscriber);
/* Sees to the connection, too, until it is over and nobody sleeps on it. Under the subscriber's lock. */
void cf_watcher_watch(cuframes_subscriber *subscriber, cf_connection *connection);
/* Something has changed: look. Async-signal-safe. */
void cf_watcher_ring(void);

/* ---- joining again ---- */

/* Whether an error of joining may pass. */
bool cf_rejoin_may_help(int error);
/* All of these under the subscriber's lock. */
void cf_rejoin_begin(cuframes_subscriber *subscriber);
/* It did not work: once more after a while, or at once. */
void cf_rejoin_again(cuframes_subscriber *subscriber, bool at_once);
/* Takes what was joined. TIMEOUT: nothing yet; otherwise what the publisher refused with. */
int cf_rejoin_take(cuframes_subscriber *subscriber, cf_joined *joined);
void cf_rejoin_stop(cuframes_subscriber *subscriber);
/* Whether there is something to take. */
static inline bool cf_rejoin_is_ready(const cf_rejoin *rejoin) {
  return rejoin->state == CF_REJOIN_JOINED || rejoin->state == CF_REJOIN_FAILED;
}
/* The watcher's part: goes on as far as that needs no waiting; what to wait for, and when to go on without. */
struct pollfd cf_rejoin_step(cuframes_subscriber *subscriber, uint8_t *message, int64_t *deadline);
/* For who waits for a connection. */
void cf_joins_announce(cuframes_subscriber *subscriber);

/* TIMEOUT's detail, for want of that, where what the publisher says of its source tells why. */
void cf_source_explain(const cf_connection *connection, const char *missing);

/* ---- sleeping ---- */

/* Whether a waiter was interrupted since it last took that; take() does. */
bool cf_is_interrupted(const cuframes_subscriber *subscriber, enum cf_sleeper who);
bool cf_take_interruption(cuframes_subscriber *subscriber, enum cf_sleeper who);
/* Something has happened that no publisher wakes for. connection NULL: there is none. */
bool cf_must_not_sleep(const cuframes_subscriber *subscriber, const cf_connection *connection, enum cf_sleeper who);
/* Sleep until there may be something new: a frame after `last` / a packet, the end, an interruption, the deadline. */
void cf_sleep_for_frame(cuframes_subscriber *subscriber, cf_connection *connection, bool started, uint64_t last,
                        int64_t deadline);
void cf_sleep_for_packet(cuframes_subscriber *subscriber, cf_connection *connection, uint32_t wake, int64_t deadline);
/* Sleep while there is no connection, until there may be one. */
void cf_sleep_for_connection(cuframes_subscriber *subscriber, enum cf_sleeper who, int64_t deadline);

/* next() had nothing: make the descriptor readable, or ring the bell, when that changes. connection NULL: there is
 * none. look_at: not before that moment; 0: at any. Nothing without a group. */
void cf_notifier_arm(cuframes_subscriber *subscriber, cf_connection *connection, int64_t look_at);
/* A thread of ours is to wait for it from now on, and no longer. */
int cf_notifier_join(cuframes_subscriber *subscriber);
void cf_notifier_leave(cuframes_subscriber *subscriber);
void cf_notifier_stop(cuframes_subscriber *subscriber);
/* Whether its thread still waits. */
bool cf_notifier_waits(cuframes_subscriber *subscriber);
/* Without a group, for the thread that takes frames: begins to wait for what it does not have; whether that has not
 * come, then *pair is to be slept on, until the deadline, which only becomes earlier; and gives up waiting. */
void cf_notifier_begin(cuframes_subscriber *subscriber, cf_connection *connection, int64_t look_at);
bool cf_notifier_step(cuframes_subscriber *subscriber, cf_futex_pair *pair, int64_t *deadline);
void cf_notifier_end(cuframes_subscriber *subscriber);
/* The same for packets: next_packet() had none. gone: the publisher is, and another one is waited for. */
void cf_packet_notifier_arm(cuframes_subscriber *subscriber, bool gone);
void cf_packet_notifier_stop(cuframes_subscriber *subscriber);
/* In a process that was forked: the threads are not there. */
void cf_notifiers_forget(void);
/* destroy() in a process that was forked from the maker's (forked.c). */
void cf_subscriber_forget(cuframes_subscriber *subscriber);
/* Whether a call is made by the maker's process. */
static inline int cf_subscriber_check(const cuframes_subscriber *subscriber) {
  return cf_process_is(subscriber->maker) ? 0 : cf_process_check(subscriber->maker, "subscriber");
}

void cf_callback_stop(cuframes_subscriber *subscriber);
/* For destroy(). True: this is the callback thread, and frees the subscriber after this callback. */
bool cf_callback_destroys(cuframes_subscriber *subscriber);
/* What destroy() does when no callback runs any more. */
void cf_subscriber_free(cuframes_subscriber *subscriber);
static inline bool cf_callback_stops(const cuframes_subscriber *subscriber) {
  return cf_flag_get(&subscriber->callback.stop) == CF_STOP_NOW;
}

void cf_packet_side_free(cuframes_subscriber *subscriber);

#endif
