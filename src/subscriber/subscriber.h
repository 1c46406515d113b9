/* subscriber/subscriber.h - the parts of a subscriber: its life and next() (subscriber.c), sleeping (sleep.c) and
 * being woken by death or interruption (watcher.c), the descriptor to poll (notifier.c), the callback thread
 * (callback.c), packets (packets.c), and its tie to a publisher (connection.h).
 */
#ifndef CF_SUBSCRIBER_SUBSCRIBER_H
#define CF_SUBSCRIBER_SUBSCRIBER_H

#include <cuframes/subscriber.h>

#include "subscriber/connection.h"

/* The thread behind cuframes_subscriber_fd(): sleeps like any reader and then makes the descriptor readable. */
typedef struct cf_notifier {
  pthread_t thread;
  bool running;
  int fd; /* a doorbell: the caller's to poll */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool armed, stop;
  bool started; /* what the reader had taken when it was armed */
  uint64_t last;
  uint64_t serial;       /* of the connection then; 0: none */
  uint32_t pending_slot; /* a frame of it that is waited for; pending_seq 0: none */
  uint64_t pending_seq;
} cf_notifier;

typedef struct cf_callback {
  pthread_t thread;
  bool running; /* joinable; of the caller's threads */
  cuframes_frame_fn call;
  void *user;
  cf_flag stop;
} cf_callback;

typedef struct cf_packet_pool cf_packet_pool;

typedef struct cf_packet_side {
  bool enabled;
  bool new_epoch;                       /* the next packet is the first of another publisher */
  cf_connection *connection;            /* where packets come from; one reference */
  uint32_t params[CUFRAMES_TRACKS_MAX]; /* the newest generation of parameters that the caller knows of */
  cf_packet_pool *pool;
  pthread_mutex_t lock; /* of extradata */
  void *extradata;      /* last given out */
  cf_counter delivered, lost;
} cf_packet_side;

struct cuframes_subscriber {
  char name[CUFRAMES_NAME_MAX + 1];
  char *directory; /* as given, or NULL */
  char *device;    /* as given, or NULL */
  cf_msg_hello hello;
  bool reconnect;
  int64_t spin_ns;
  cf_logger logger;
  cf_handles *handles; /* of frames */

  pthread_mutex_t connect_lock; /* one thread connects at a time */
  pthread_mutex_t lock;         /* of `connection`, and of who borrows one */
  pthread_cond_t returned;
  cf_connection *connection;    /* NULL while there is none; one reference */
  int64_t connect_at, back_off; /* when to try again; under connect_lock */
  uint64_t serial;              /* of the newest connection; under connect_lock */

  cf_flag interrupted; /* also a word to sleep on */
  cf_flag stop;        /* the watcher's end */
  pthread_t watcher;
  bool watching;
  int doorbell; /* the watcher's */

  cf_notifier notifier;
  cf_callback callback;
  cf_packet_side packets;

  /* of the thread that takes frames */
  uint64_t last_serial; /* of the connection that gave the last frame */
  cf_frame *pending;    /* taken, and not complete yet */
  bool any_frame;
  uint32_t last_epoch;
  cuframes_format last_format;
  uint64_t skipped_before; /* on earlier connections */
  cf_counter delivered, skipped, reconnects, lost_before;
};

/* The connection there is, with a reference for the caller; NULL: none. */
cf_connection *cf_subscriber_current(cuframes_subscriber *subscriber);
/* For the subscriber's own threads, which hold no reference: to give back the last one may mean to wait for the GPU,
 * which may wait for a fence that the watcher signals. Who retires the connection waits for its return. NULL is
 * fine. */
cf_connection *cf_subscriber_borrow(cuframes_subscriber *subscriber);
void cf_subscriber_return(cuframes_subscriber *subscriber, cf_connection *connection);
/* The connection to use, with a reference for the caller; connects again if that is wanted and due.
 * TIMEOUT: not yet; otherwise the error is for the user. */
int cf_subscriber_connection(cuframes_subscriber *subscriber, cf_connection **connection);
/* That connection is over. */
void cf_subscriber_retire(cuframes_subscriber *subscriber, cf_connection *connection);
/* next() for the callback thread too. */
int cf_subscriber_next(cuframes_subscriber *subscriber, int64_t timeout_ns, const cf_take_how *how,
                       cuframes_frame **frame);

int cf_watcher_start(cuframes_subscriber *subscriber);
void cf_watcher_stop(cuframes_subscriber *subscriber);
/* The connection was replaced: look at the new one. */
void cf_watcher_update(cuframes_subscriber *subscriber);
/* Wakes every thread of the subscriber that sleeps on the connection's words and should not. */
void cf_watcher_wake(cuframes_subscriber *subscriber, cf_connection *connection);

/* Something has happened that no publisher wakes for. */
bool cf_must_not_sleep(const cuframes_subscriber *subscriber, const cf_connection *connection);
/* Sleep until there may be something new: a frame after `last` / a packet, the end, an interruption, the deadline. */
void cf_sleep_for_frame(cuframes_subscriber *subscriber, cf_connection *connection, bool started, uint64_t last,
                        int64_t deadline);
void cf_sleep_for_packet(cuframes_subscriber *subscriber, cf_connection *connection, uint32_t wake, int64_t deadline);
/* Sleep while there is no connection, until it is time to try again. */
void cf_sleep_for_connection(cuframes_subscriber *subscriber, int64_t deadline);

/* next() had nothing: make the descriptor readable when that changes. connection NULL: there is none. */
void cf_notifier_arm(cuframes_subscriber *subscriber, const cf_connection *connection);
void cf_notifier_stop(cuframes_subscriber *subscriber);

void cf_callback_stop(cuframes_subscriber *subscriber);

void cf_packet_side_free(cuframes_subscriber *subscriber);

#endif
