/* device/device.h - where slots live: what every kind of device must be able to do.
 *
 * A device makes segments (memory that other processes can map) and moves pictures in and out of them. The host
 * device keeps them in sealed memfds; src/device/cuda keeps them in GPU memory. One conformance suite runs over all.
 * Threads: any thread may call any operation at any time, on different segments.
 */
#ifndef CF_DEVICE_DEVICE_H
#define CF_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cf_device cf_device;

/* How a segment is handed to other processes. */
typedef struct cf_device_export {
  uint32_t kind;      /* enum cf_memory_kind of wire/message.h; CF_EXPORT_FD is what a plain descriptor is */
  int fd;             /* -1: none belongs to it */
  uint8_t handle[64]; /* of kinds that have one */
  uint64_t bytes;     /* of the segment */
  uint64_t start;     /* where it begins in the allocation that is shared */
  uint64_t whole;     /* bytes of that allocation */
} cf_device_export;
enum { CF_EXPORT_FD = 0, CF_EXPORT_LEGACY = 1, CF_EXPORT_POOL = 2 };

/* A segment in this process: made here or imported. */
typedef struct cf_device_segment {
  void *address; /* of its first byte, in the device's address space */
  uint64_t bytes;
  cf_device_export exported; /* the maker's; its fd is -1 for an importer */
  void *state;               /* the device's own */
} cf_device_segment;

/* Rows of a picture, on the device or in host memory. */
typedef struct cf_rows {
  void *data;
  size_t pitch; /* bytes from one row to the next */
} cf_rows;

/* Host memory (a control page, a seat) made visible to the device: its streams can write counters and wait for them. */
typedef struct cf_device_counters {
  void *host;
  uint64_t bytes;
  uint64_t address; /* of the same bytes, for the device */
} cf_device_counters;

/* A counter, and the value that it is to become or to reach. */
typedef struct cf_device_write {
  const cf_device_counters *in;
  void *counter; /* 64 bits, within in->host */
  uint64_t value;
} cf_device_write;

/* What is asked of a device. */
typedef struct cf_device_request {
  const char *name;    /* "host", "auto", "cuda", "cuda:N", or a wire name, "cuda:GPU-UUID"; NULL: host */
  const char *for_gpu; /* import only: map what `name` made for this GPU, "cuda...", instead; NULL: for itself */
  bool legacy;         /* share by legacy handles */
} cf_device_request;

typedef struct cf_device_ops {
  /* "host", "cuda": the first part of the name on the wire. */
  const char *kind;

  /* Opens the device that was requested. The caller owns *device.
   * Errors: UNSUPPORTED (no such device, or not here; the detail says what there is), DEVICE, NO_MEMORY. */
  int (*open)(const cf_device_request *request, cf_device **device);
  /* After every segment is gone. */
  void (*close)(cf_device *device);

  /* Makes a zeroed segment of at least `bytes` bytes, exported. The caller owns it.
   * Errors: NO_MEMORY, DEVICE, SYSTEM. */
  int (*segment_create)(cf_device *device, uint64_t bytes, cf_device_segment *segment);
  /* Makes a segment of memory that the application owns, and exports it.
   * Errors: UNSUPPORTED (it cannot be exported), INVALID (not memory of this device, too small), DEVICE. */
  int (*segment_adopt)(cf_device *device, void *address, uint64_t bytes, cf_device_segment *segment);
  /* Maps a peer's segment read-only. from->fd stays the caller's and may be closed afterwards.
   * Refuses memory that a peer could take away or change the size of: PROTOCOL. */
  int (*segment_import)(cf_device *device, const cf_device_export *from, cf_device_segment *segment);
  /* Unmaps, closes; for the maker the memory lives on while importers map it. The device must
   * have done its work in it. */
  void (*segment_destroy)(cf_device *device, cf_device_segment *segment);

  /* Copies rows between host memory and the device; done when it returns. */
  int (*copy_to_host)(cf_device *device, cf_rows host, cf_rows from, size_t row_bytes, uint32_t rows);
  int (*copy_from_host)(cf_device *device, cf_rows to, cf_rows host, size_t row_bytes, uint32_t rows);
  /* Copies rows within the device, in the order of the stream. On the host: done when it returns. */
  int (*copy_on)(cf_device *device, void *stream, cf_rows to, cf_rows from, size_t row_bytes, uint32_t rows);

  /* What follows only devices with streams have; NULL for the host. */

  /* Whether work can be put on this stream now, and if so the device is ready for it. What is marked "on a stream"
   * below is called between this and stream_end(), on the same thread: so the driver is asked once for a frame what
   * must be known for each of its calls. INVALID: the stream belongs to another context, or captures a graph, which
   * would do the work later, and again and again. On failure there is nothing to end. */
  int (*stream_begin)(cf_device *device, void *stream, bool *began);
  void (*stream_end)(cf_device *device, bool began);
  /* Only whether it captures; of any context. */
  int (*stream_capture_check)(cf_device *device, void *stream);
  /* Makes host memory visible. It must stay mapped until counters_close(), and no work may use it then. */
  int (*counters_open)(cf_device *device, void *memory, uint64_t bytes, cf_device_counters *counters);
  void (*counters_close)(cf_device *device, cf_device_counters *counters);
  /* On a stream: when it has done all that is on it, writes the counters, one after the other. */
  int (*counters_write)(cf_device *device, void *stream, const cf_device_write *writes, uint32_t count);
  /* On a stream: the same of one counter, without holding the stream up: it costs more CPU, and comes some
   * microseconds later. */
  int (*counter_write_on_side)(cf_device *device, void *stream, const cf_device_write *write);
  /* On a stream: it goes on when every counter that was written on the side stream so far is there. */
  int (*side_wait)(cf_device *device, void *stream);
  /* On a stream: it goes on when the counter has reached the value. Only in sync mode timeline. */
  int (*counter_wait)(cf_device *device, void *stream, const cf_device_write *wait);

  /* Interprocess events, for sync mode slot-events. */
  int (*event_create)(cf_device *device, void **event, uint8_t handle[64]);
  int (*event_import)(cf_device *device, const uint8_t handle[64], void **event);
  void (*event_destroy)(cf_device *device, void *event);
  /* On a stream. */
  int (*event_record)(cf_device *device, void *event, void *stream);
  int (*event_wait)(cf_device *device, void *event, void *stream);

  /* Waits for what is on a stream, be it of another context; returns at once if it is no stream (any more). If it
   * captures a graph, first for the end of that, up to 10 seconds. */
  void (*stream_drain)(cf_device *device, void *stream);
  /* Waits for all work of this process on the device. */
  void (*settle)(cf_device *device);
  /* Asks the device whether anything of this process still works on it, or will ever again. */
  bool (*is_lost)(cf_device *device);
} cf_device_ops;

struct cf_device {
  const cf_device_ops *ops;
  char name[64];        /* on the wire; "host", "cuda:GPU-UUID" */
  char reason[192];     /* why it was chosen, a sentence */
  char memory[16];      /* how segments are shared, a word: "memfd", "vmm", "legacy" */
  uint32_t sync_modes;  /* bits of enum cuframes_sync that it can do; only COMPLETE for the host */
  uint32_t pitch_align; /* of rows, bytes, a power of two */
  uint32_t slot_align;  /* of frames in a segment, bytes, a power of two */
  bool has_streams;     /* pictures are completed by its streams, and planes are no CPU addresses */
  uint32_t index;       /* of the GPU, as this process counts; 0 for the host */
};

/* Opens the device that was requested.
 * Errors: UNSUPPORTED (unknown, or not here), DEVICE, NO_MEMORY. */
int cf_device_open(const cf_device_request *request, cf_device **device);
/* NULL is fine. */
void cf_device_close(cf_device *device);

/* Whether the handle is a thread's own default stream (CU_STREAM_PER_THREAD): another stream on each thread. */
static inline bool cf_device_stream_of_thread(const void *stream) {
  return (uintptr_t)stream == 2;
}

extern const cf_device_ops cf_host_device, cf_cuda_device;

#endif
