/* completion/uses.h - streams that still use frames whose last reference has ended: each writes a counter of this
 * process when it has come so far.
 *
 * Threads: any.
 */
#ifndef CF_COMPLETION_USES_H
#define CF_COMPLETION_USES_H

#include <pthread.h>

#include "device/device.h"
#include "os/futex.h"

/* Streams that use one frame. */
#define CF_USES_MAX 8u

typedef struct cf_use cf_use;

/* Of all frames of an owner, which are its rows. */
typedef struct cf_uses {
  cf_device *device;
  uint32_t rows;
  pthread_mutex_t lock;
  uint64_t tickets; /* given out */
  cf_use *use;      /* rows x CF_USES_MAX, once a stream used one; under the lock */
  uint64_t *counter;
  cf_device_counters counters;
} cf_uses;

/* Of zeroed uses. */
void cf_uses_init(cf_uses *uses);
/* After init, once: how many rows. Nothing is allocated before the first add(). */
void cf_uses_open(cf_uses *uses, cf_device *device, uint32_t rows);
/* When nothing is in use. */
void cf_uses_close(cf_uses *uses);

/* The stream uses the frame of that row with all that is on it now; *count: streams that use the row, 0 at first.
 * Errors: INVALID (another context's), BUSY (too many streams), NO_MEMORY, DEVICE. */
int cf_uses_add(cf_uses *uses, uint32_t row, cf_flag *count, void *stream);
/* Each of them has come so far. Nobody may add to that row meanwhile. Never waits. */
bool cf_uses_done(cf_uses *uses, uint32_t row, uint32_t count);

#endif
