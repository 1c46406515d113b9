/* device/host/host.c - the host device: segments are sealed memfds, pictures lie in ordinary memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/subscriber.h>

#include "device/device.h"
#include "os/error.h"
#include "os/memory.h"

static int host_open(const cf_device_request *request, cf_device **device) {
  if (strcmp(request->name, "host") != 0)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "unknown device \"%.63s\": of the host there is only \"host\"",
                   request->name);
  if (request->for_gpu || request->legacy)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "%s",
                   request->legacy ? "legacy handles are for GPU memory, and the device is host"
                                   : "the stream lies in host memory, and a GPU was asked for (device)");
  cf_device *host = calloc(1, sizeof *host);
  if (!host)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  host->ops = &cf_host_device;
  snprintf(host->name, sizeof host->name, "host");
  snprintf(host->reason, sizeof host->reason, "asked for");
  snprintf(host->memory, sizeof host->memory, "memfd");
  host->sync_modes = CUFRAMES_SYNC_COMPLETE;
  host->pitch_align = 64; /* a cache line, and as wide as vector instructions load */
  host->slot_align = 4096;
  *device = host;
  return CUFRAMES_OK;
}

static void host_close(cf_device *device) {
  free(device);
}

static int host_segment_create(cf_device *device, uint64_t bytes, cf_device_segment *segment) {
  (void)device;
  cf_device_segment made = { .bytes = cf_page_round(bytes) };
  made.exported.bytes = made.exported.whole = made.bytes;
  int result = cf_memory_create("cuframes-segment", made.bytes, CF_SEAL_PUBLIC, &made.exported.fd, &made.address);
  if (result != CUFRAMES_OK)
    return result;
  cf_memory_touch(made.address, made.bytes); /* or the thread of frames does, with each slot's first picture */
  *segment = made;
  return CUFRAMES_OK;
}

static int host_segment_adopt(cf_device *device, void *address, uint64_t bytes, cf_device_segment *segment) {
  (void)device, (void)address, (void)bytes, (void)segment;
  return cf_fail(CUFRAMES_ERR_UNSUPPORTED,
                 "host memory of the application cannot be shared: only memory that was made to be shared can");
}

static int host_segment_import(cf_device *device, const cf_device_export *from, cf_device_segment *segment) {
  (void)device;
  if (from->kind != CF_EXPORT_FD || from->start != 0)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "invalid kind of host memory from the publisher: %u", from->kind);
  cf_device_segment mapped = { .bytes = from->bytes, .exported = { .fd = -1 } };
  int result = cf_memory_map(from->fd, from->bytes, CF_SEAL_PUBLIC, &mapped.address);
  if (result != CUFRAMES_OK)
    return result;
  *segment = mapped;
  return CUFRAMES_OK;
}

static void host_segment_destroy(cf_device *device, cf_device_segment *segment) {
  (void)device;
  cf_memory_unmap(segment->address, segment->bytes);
  cf_close(segment->exported.fd);
  *segment = (cf_device_segment){ .exported = { .fd = -1 } };
}

static int copy_rows(cf_device *device, cf_rows to, cf_rows from, size_t row_bytes, uint32_t rows) {
  (void)device;
  if (to.pitch == row_bytes && from.pitch == row_bytes) {
    memcpy(to.data, from.data, row_bytes * rows);
    return CUFRAMES_OK;
  }
  for (uint32_t y = 0; y < rows; y++)
    memcpy((uint8_t *)to.data + y * to.pitch, (const uint8_t *)from.data + y * from.pitch, row_bytes);
  return CUFRAMES_OK;
}

static int copy_on(cf_device *device, void *stream, cf_rows to, cf_rows from, size_t row_bytes, uint32_t rows) {
  (void)stream;
  return copy_rows(device, to, from, row_bytes, rows);
}

const cf_device_ops cf_host_device = {
  .kind = "host",
  .open = host_open,
  .close = host_close,
  .segment_create = host_segment_create,
  .segment_adopt = host_segment_adopt,
  .segment_import = host_segment_import,
  .segment_destroy = host_segment_destroy,
  .copy_to_host = copy_rows,
  .copy_from_host = copy_rows,
  .copy_on = copy_on,
};
