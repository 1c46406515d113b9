/* bodies.h - queues of bodies (http.h) that wait to be sent. */
#ifndef CUFRAMES_HTTP_BODIES_H
#define CUFRAMES_HTTP_BODIES_H

#include <stdbool.h>
#include <stddef.h>

#include "http.h"

struct http_body {
  unsigned references;
  unsigned queued; /* places in queues */
  size_t length;
  const char *text;
  char *owned;                 /* by malloc(); NULL: nothing but the body itself */
  void (*release)(void *user); /* of somebody else's bytes; NULL: they stay */
  void *user;
  char room[];
};

/* A part of a message, or of a stream. */
typedef struct http_piece {
  http_body *body;
  bool binary;
  bool goes_on; /* the message, with the next piece */
} http_piece;

/* First in, first out; starts as all zeros. Its room doubles as it must, and stays. */
typedef struct http_queue {
  http_piece *pieces;
  size_t first, count, room;
  size_t bytes;
} http_queue;

/* `held` is what all queues of a server hold: a body counts once, in however many of them it is. */

/* Makes room for so many more. False: out of memory. */
bool queue_reserve(http_queue *queue, size_t count);
/* Takes a reference of its own; there is room. */
void queue_add(http_queue *queue, http_piece piece, size_t *held);
/* Only if there is one. */
http_piece *queue_first(const http_queue *queue);
void queue_shift(http_queue *queue, size_t *held);
void queue_free(http_queue *queue, size_t *held);

#endif
