/* bodies.c - see bodies.h and http.h. */
#include "bodies.h"

#include <stdint.h>
#include <stdlib.h>

#define ROOM_AT_FIRST 16

http_body *http_body_new(char *text, size_t length) {
  http_body *body = calloc(1, sizeof *body);
  if (!body) {
    free(text);
    return NULL;
  }
  *body = (http_body){ .references = 1, .length = length, .text = text, .owned = text };
  return body;
}

http_body *http_body_room(size_t length, char **bytes) {
  http_body *body = length < SIZE_MAX - sizeof *body ? malloc(sizeof *body + length) : NULL;
  if (!body)
    return NULL;
  *body = (http_body){ .references = 1, .length = length, .text = body->room };
  *bytes = body->room;
  return body;
}

http_body *http_body_static(const char *text, size_t length) {
  http_body *body = calloc(1, sizeof *body);
  if (body)
    *body = (http_body){ .references = 1, .length = length, .text = text };
  return body;
}

http_body *http_body_shared(const char *bytes, size_t length, void (*release)(void *user), void *user) {
  http_body *body = calloc(1, sizeof *body);
  if (body)
    *body = (http_body){ .references = 1, .length = length, .text = bytes, .release = release, .user = user };
  return body;
}

http_body *http_body_ref(http_body *body) {
  body->references++;
  return body;
}

void http_body_drop(http_body *body) {
  if (!body || --body->references > 0)
    return;
  if (body->release)
    body->release(body->user);
  free(body->owned);
  free(body);
}

static bool queue_grow(http_queue *queue) {
  const size_t room = queue->room ? 2 * queue->room : ROOM_AT_FIRST;
  http_piece *pieces = calloc(room, sizeof *pieces);
  if (!pieces)
    return false;
  for (size_t i = 0; queue->room > 0 && i < queue->count; i++)
    pieces[i] = queue->pieces[(queue->first + i) % queue->room];
  free(queue->pieces);
  queue->pieces = pieces;
  queue->first = 0;
  queue->room = room;
  return true;
}

bool queue_reserve(http_queue *queue, size_t count) {
  while (queue->room - queue->count < count)
    if (!queue_grow(queue))
      return false;
  return true;
}

void queue_add(http_queue *queue, http_piece piece, size_t *held) {
  piece.body->references++;
  if (piece.body->queued++ == 0)
    *held += piece.body->length;
  queue->pieces[(queue->first + queue->count++) % queue->room] = piece;
  queue->bytes += piece.body->length;
}

http_piece *queue_first(const http_queue *queue) {
  return &queue->pieces[queue->first];
}

void queue_shift(http_queue *queue, size_t *held) {
  http_body *body = queue_first(queue)->body;
  queue->first = (queue->first + 1) % queue->room;
  queue->count--;
  queue->bytes -= body->length;
  if (--body->queued == 0)
    *held -= body->length;
  http_body_drop(body);
}

void queue_free(http_queue *queue, size_t *held) {
  while (queue->count > 0)
    queue_shift(queue, held);
  free(queue->pieces);
  *queue = (http_queue){ 0 };
}
