/* place.h - which node a camera belongs on: a hash that each node computes alike. */
#ifndef FLEET_PLACE_H
#define FLEET_PLACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What a node says of itself in the bucket of nodes. */
typedef struct node_info {
  const char *name; /* these point into `value` */
  const json_t *labels;
  const json_t *moves; /* cameras that it gives to others, and to whom */
  unsigned cameras, most;
  bool leaving;
  bool makes_room; /* what it gives is not for the sake of balance */
  json_t *value;
} node_info;

/* Whether it can be used; a value that cannot is no node. *n is the caller's, json_decref(n->value) frees it. */
bool node_read(node_info *n, const char *name, const char *value, size_t length);

bool node_has_room(const node_info *n);
bool node_can(const node_info *n, const json_t *labels);

/* The larger, the more a camera belongs there: of many cameras each node gets as its `most` is to that of all. A node
 * that comes takes some from each other, one that goes leaves its own to all others. */
double place_weight(const char *camera, const node_info *n);

/* How many of the others come before `own`: those that can have the camera, have room, and a larger weight. */
size_t place_rank(const char *camera, const json_t *labels, const node_info *own, const node_info *nodes, size_t count);

/* Whether `to` is clearly emptier than `from`, also when it has one more: such a move is never undone by the next. */
bool place_is_uneven(const node_info *from, const node_info *to);

#endif
