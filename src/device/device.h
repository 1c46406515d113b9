/* device/device.h - where slots live: what every kind of device must be able to do.
 *
 * A device makes segments (memory that other processes can map) and moves pictures in and out of them. The host
 * device keeps them in sealed memfds; src/device/cuda keeps them in GPU memory. One conformance suite runs over all.
 * Threads: any thread may call any operation at any time, on different segments.
 */
#ifndef CF_DEVICE_DEVICE_H
#define CF_DEVICE_DEVICE_H

#include <stddef.h>
#include <stdint.h>

typedef struct cf_device cf_device;

/* A segment in this process: made here or imported. */
typedef struct cf_device_segment {
  void *address; /* of its first byte, in the device's address space */
  uint64_t bytes;
  int fd;      /* the maker's descriptor to send to importers; -1 for an importer */
  void *state; /* the device's own */
} cf_device_segment;

/* Rows of a picture, on the device or in host memory. */
typedef struct cf_rows {
  void *data;
  size_t pitch; /* bytes from one row to the next */
} cf_rows;

typedef struct cf_device_ops {
  /* "host", "cuda": the first part of the name on the wire. */
  const char *kind;

  /* Opens the device that `name` (as on the wire, or "auto") says. The caller owns *device. */
  int (*open)(const char *name, cf_device **device);
  /* After every segment is gone. */
  void (*close)(cf_device *device);

  /* Makes a zeroed segment of at least `bytes` bytes, exported. The caller owns it.
   * Errors: NO_MEMORY, DEVICE, SYSTEM. */
  int (*segment_create)(cf_device *device, uint64_t bytes, cf_device_segment *segment);
  /* Maps a peer's segment of `bytes` bytes read-only. fd stays the caller's and may be closed afterwards.
   * Refuses memory that a peer could take away or change the size of: PROTOCOL. */
  int (*segment_import)(cf_device *device, int fd, uint64_t bytes, cf_device_segment *segment);
  /* Unmaps, closes; for the maker the memory lives on while importers map it. */
  void (*segment_destroy)(cf_device *device, cf_device_segment *segment);

  /* Copies rows between host memory and the device; done when it returns. */
  int (*copy_to_host)(cf_device *device, cf_rows host, cf_rows from, size_t row_bytes, uint32_t rows);
  int (*copy_from_host)(cf_device *device, cf_rows to, cf_rows host, size_t row_bytes, uint32_t rows);
} cf_device_ops;

struct cf_device {
  const cf_device_ops *ops;
  char name[64];        /* on the wire; "host", "cuda:UUID" */
  char reason[192];     /* why it was chosen, a sentence */
  uint32_t pitch_align; /* of rows, bytes, a power of two */
  uint32_t slot_align;  /* of frames in a segment, bytes, a power of two */
};

/* Opens the device of that name: "auto" or NULL for the best there is, else a kind or a wire name.
 * Errors: UNSUPPORTED (unknown or not in this build), DEVICE, NO_MEMORY. */
int cf_device_open(const char *name, cf_device **device);
/* NULL is fine. */
void cf_device_close(cf_device *device);

extern const cf_device_ops cf_host_device;

#endif
