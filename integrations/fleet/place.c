/* place.c - rendezvous hashing, weighted by how many cameras a node may have. */
#include "place.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "camera.h"

#define CAMERAS_MOST 100000
#define UNEVEN 0.1 /* of what a node may have: less is not worth a move */

bool node_read(node_info *n, const char *name, const char *value, size_t length) {
  *n = (node_info){ .value = json_loadb(value, length, JSON_REJECT_DUPLICATES, NULL) };
  const json_int_t cameras = json_integer_value(json_object_get(n->value, "cameras"));
  const json_int_t most = json_integer_value(json_object_get(n->value, "cameras_max"));
  n->name = json_string_value(json_object_get(n->value, "node"));
  if (n->name == NULL || strcmp(n->name, name) != 0 || cameras < 0 || cameras > CAMERAS_MOST || most < 0 ||
      most > CAMERAS_MOST) {
    json_decref(n->value);
    return false;
  }
  n->cameras = (unsigned)cameras;
  n->most = (unsigned)most;
  n->leaving = json_is_true(json_object_get(n->value, "leaving"));
  n->makes_room = json_is_true(json_object_get(n->value, "makes_room"));
  n->labels = json_object_get(n->value, "labels");
  n->moves = json_object_get(n->value, "moves");
  return true;
}

bool node_has_room(const node_info *n) {
  return !n->leaving && n->cameras < n->most;
}

bool node_can(const node_info *n, const json_t *labels) {
  return node_has_room(n) && camera_labels_fit(labels, n->labels);
}

static uint64_t hash(uint64_t state, const char *text) {
  for (; *text != '\0'; text++)
    state = (state ^ (unsigned char)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
  return state;
}

double place_weight(const char *camera, const node_info *n) {
  uint64_t bits = hash(hash(UINT64_C(0xcbf29ce484222325), camera) * 31, n->name);
  bits = (bits ^ bits >> 33) * UINT64_C(0xff51afd7ed558ccd);
  bits = (bits ^ bits >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  bits ^= bits >> 33;
  const double even = ((double)(bits >> 11) + 0.5) / 9007199254740992.0; /* above 0, below 1 */
  return (double)n->most / -log(even);
}

size_t place_rank(const char *camera, const json_t *labels, const node_info *own, const node_info *nodes,
                  size_t count) {
  const double weight = place_weight(camera, own);
  size_t before = 0;
  for (size_t i = 0; i < count; i++)
    if (strcmp(nodes[i].name, own->name) != 0 && node_can(&nodes[i], labels) &&
        place_weight(camera, &nodes[i]) > weight)
      before++;
  return before;
}

bool place_is_uneven(const node_info *from, const node_info *to) {
  if (!node_has_room(to) || from->cameras == 0 || from->most == 0)
    return false;
  const double gives = ((double)from->cameras - 1) / from->most, takes = ((double)to->cameras + 1) / to->most;
  return takes <= gives && (double)from->cameras / from->most - (double)to->cameras / to->most > UNEVEN;
}
