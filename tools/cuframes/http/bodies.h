/* bodies.h - queues of bodies (http.h) that wait to be sent. */
#ifndef CUFRAMES_HTTP_BODIES_H
#define CUFRAMES_HTTP_BODIES_H

#include <stdbool.h>
#include <stddef.h>

#include "http.h"

struct http_body {
  unsigned references;
  size_t length;
  const char *text;
  char *owned; /* by malloc(); NULL: nothing but the body itself */
  char room[];
};

typedef struct http_piece {
  http_body *body;
  bool binary;
} http_piece;

/* First in, first out; starts as all zeros. Its room doubles as it must, and stays. */
typedef struct http_queue {
  http_piece *pieces;
  size_t first, count, room;
  size_t bytes;
} http_queue;

/* Takes a reference of its own. False: out of memory. */
bool queue_add(http_queue *queue, http_body *body, bool binary);
/* Only if there is one. */
http_piece *queue_first(const http_queue *queue);
void queue_shift(http_queue *queue);
void queue_free(http_queue *queue);

#endif
