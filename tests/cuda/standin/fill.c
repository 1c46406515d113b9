/* fill.c - the stand-in's fills of rows, which GStreamer makes memory black with. Values are 1, 2 or 4 bytes wide. The
 * calls are none of those in this library's list: they count as fills of a line. */
#include <string.h>

#include "internal.h"

typedef struct rows_op {
  si_op op;
  uint64_t address;
  size_t pitch, width, height; /* width: values in a row */
  uint32_t value;
  size_t bytes; /* of a value */
} rows_op;

static cu_result run_rows(si_stream *stream, si_op *op) {
  const rows_op *rows = (const rows_op *)op;
  si_pin pin;
  uint64_t extent = (rows->height - 1) * rows->pitch + rows->width * rows->bytes;
  cu_result result = si_pin_range(stream->context, rows->address, extent, SI_WRITES, &pin);
  if (result != CUDA_SUCCESS)
    return result;
  for (size_t y = 0; y < rows->height; y++)
    for (size_t x = 0; x < rows->width; x++)
      memcpy(pin.memory + y * rows->pitch + x * rows->bytes, &rows->value, rows->bytes); /* its low bytes */
  si_unpin(&pin);
  return CUDA_SUCCESS;
}

static cu_result fill(cu_stream stream, rows_op rows) {
  SI_ENTER(cuMemsetD8Async, SI_CONTEXT);
  if (rows.width == 0 || rows.height == 0)
    return CUDA_SUCCESS;
  if (rows.width > rows.pitch / rows.bytes)
    return CUDA_ERROR_INVALID_VALUE;
  rows.op = (si_op){ .run = run_rows };
  return si_enqueue(context, stream, &rows.op, sizeof rows, false);
}

#define FILL(name, async, type)                                                                                        \
  STANDIN_API cu_result name(cu_deviceptr address, size_t pitch, type value, size_t width, size_t height);             \
  cu_result name(cu_deviceptr address, size_t pitch, type value, size_t width, size_t height) {                        \
    return async(address, pitch, value, width, height, NULL);                                                          \
  }
#define FILL_ASYNC(name, type)                                                                                         \
  STANDIN_API cu_result name(cu_deviceptr address, size_t pitch, type value, size_t width, size_t height,              \
                             cu_stream stream);                                                                        \
  cu_result name(cu_deviceptr address, size_t pitch, type value, size_t width, size_t height, cu_stream stream) {      \
    return fill(stream, (rows_op){ .address = address,                                                                 \
                                   .pitch = pitch,                                                                     \
                                   .width = width,                                                                     \
                                   .height = height,                                                                   \
                                   .value = value,                                                                     \
                                   .bytes = sizeof value });                                                           \
  }

FILL_ASYNC(cuMemsetD2D8Async, uint8_t)
FILL_ASYNC(cuMemsetD2D16Async, uint16_t)
FILL_ASYNC(cuMemsetD2D32Async, uint32_t)
FILL(cuMemsetD2D8_v2, cuMemsetD2D8Async, uint8_t)
FILL(cuMemsetD2D16_v2, cuMemsetD2D16Async, uint16_t)
FILL(cuMemsetD2D32_v2, cuMemsetD2D32Async, uint32_t)
