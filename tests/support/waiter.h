/* support/waiter.h - a thread that waits for a frame or a packet, while the test does what should end the wait. */
#ifndef SUPPORT_WAITER_H
#define SUPPORT_WAITER_H

#include <pthread.h>
#include <sys/types.h>

#include "support/stream.h"

typedef struct waiter {
  cuframes_subscriber *subscriber;
  int64_t timeout_ns;
  bool for_packet;
  int result;
  cuframes_frame *frame;   /* or */
  cuframes_packet *packet; /* what came, and when */
  int64_t ended;
  pthread_t thread;
  pid_t thread_id;
  pthread_mutex_t lock;
} waiter;

/* Starts to wait; returns when the thread sleeps. */
void waiter_start(waiter *w, cuframes_subscriber *subscriber, int64_t timeout_ns);
void waiter_start_packet(waiter *w, cuframes_subscriber *subscriber, int64_t timeout_ns);
/* Joins the thread: the result of its call. */
int waiter_end(waiter *w);

#endif
