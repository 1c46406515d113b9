/* held.h - the cameras that this node has: their leases, and a copy on the disk for the agent after this one. */
#ifndef FLEET_HELD_H
#define FLEET_HELD_H

#include <cuframes/packet.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "camera.h"

/* Confirmed: `until` lies ahead. Unconfirmed: it has passed, and the camera goes on (an exclusive one rests).
 * Superseded: another node has a higher epoch; it ends here when that one gives pictures, or a lease later. */
typedef struct held {
  char name[CAMERA_NAME_MAX + 1];
  uint64_t epoch;     /* revision of the claim; 0: not known */
  uint64_t revision;  /* of the lease as it was written last; 0: not known */
  uint64_t camera;    /* revision of its description */
  int64_t until;      /* the lease is ours so long at least; 0: not known */
  int64_t superseded; /* since when another node has it; 0: none has */
  int64_t offered;    /* since when it is offered to another node, and not renewed; 0: it is not */
  char offered_to[CAMERA_NAME_MAX + 1];
  char state[24], codec[CUFRAMES_CODEC_NAME_MAX + 1]; /* as the stream is now, for the registry */
  char told[24];                                      /* the state that is there */
  bool exclusive, cold;                               /* cold: of a run before, and has not been started since */
  bool dropped;                                       /* to be taken out of the list */
  json_t *stream, *labels;
} held;

typedef struct held_list {
  held *cameras;
  size_t count;
  char path[512];
  bool changed; /* not on the disk yet */
} held_list;

held *held_find(const held_list *list, const char *name);
/* NULL: out of memory. Pointers into the list are void afterwards. */
held *held_add(held_list *list, const char *name);
void held_describe(held *h, const camera_info *c, uint64_t revision);
/* Takes out those that were dropped. */
void held_sweep(held_list *list);
void held_save(held_list *list);
void held_load(held_list *list, const char *state_directory);
void held_free(held_list *list);

#endif
