/* grid_device.h - where a grid's picture is made: on the host, or on a GPU with a stream of its own; and pictures of
 * the host brought there.
 *
 * On a GPU all work goes in order on the stream, and nothing waits for it but for who reuses memory that a copy still
 * reads, two copies later.
 * Threads  All calls come from one thread, on which the GPU's context stays current from open to close. */
#ifndef CUFRAMES_GRID_DEVICE_H
#define CUFRAMES_GRID_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/vision/picture.h>

typedef struct grid_device grid_device;

/* As --device says; "auto" is a GPU if there is one, and then why says why not (empty: there is one). NULL, with the
 * cause in why: it cannot be had. */
grid_device *grid_device_open(const char *device, char *why, size_t size);
/* Waits until the stream has done its work. */
void grid_device_close(grid_device *device);

/* "host", or "cuda:GPU-UUID". */
const char *grid_device_name(const grid_device *device);
bool grid_device_is_gpu(const grid_device *device);
void *grid_device_stream(const grid_device *device); /* NULL on the host */

/* A picture of the host as the device can read it. All zeros at first; it keeps its memory from picture to picture. */
typedef struct grid_copy {
  cuframes_format format;
  cuframes_picture picture; /* what there is to draw; format NULL: nothing was put yet */
  uint64_t address;         /* on a GPU */
  size_t size;
  struct grid_staging {
    void *memory, *done; /* pinned memory, and the event behind the copy from it */
    size_t size;
  } staging[2];
  unsigned turn;
} grid_copy;

/* Puts it there: on the host the planes are used where they lie, and must stay; on a GPU they are copied and may go. A
 * negative CUFRAMES_ERR_*, with the cause in why, and then the picture is what it was. */
int grid_device_put(grid_device *device, grid_copy *copy, const cuframes_format *format,
                    const void *const plane[CUFRAMES_PLANES], const uint32_t pitch[CUFRAMES_PLANES], char *why,
                    size_t size);
void grid_device_free(grid_device *device, grid_copy *copy);

#endif
