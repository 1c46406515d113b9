/* copy.c - the stand-in's copies and fills: rows, from host or device memory to host or device memory.
 *
 * Host memory that the driver does not know is read before an asynchronous copy from it returns, and written before
 * one to it does, as pageable memory is on a GPU. With delays configured a copy stops in the middle once, so that who
 * looks too early sees half of it.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* One end of a copy. */
typedef struct end {
  uint64_t address; /* of its first byte */
  size_t pitch;
  bool raw; /* host memory of which the driver knows nothing: an address of the CPU */
} end;

typedef struct copy_op {
  si_op op;
  end from, to;
  size_t width, height;
  void *staged; /* what was read ahead; the operation's own */
} copy_op;

typedef struct fill_op {
  si_op op;
  uint64_t address;
  size_t bytes;
  unsigned char value;
} fill_op;

static uint64_t extent(const end *e, size_t width, size_t height) {
  return (height - 1) * e->pitch + width;
}

static cu_result pin_end(si_context *context, const end *e, const copy_op *copy, int how, si_pin *pin) {
  if (e->raw) {
    *pin = (si_pin){ .memory = (uint8_t *)(uintptr_t)e->address };
    return CUDA_SUCCESS;
  }
  return si_pin_range(context, e->address, extent(e, copy->width, copy->height), how, pin);
}

static void unpin_end(const si_pin *pin) {
  if (pin->space)
    si_unpin(pin);
}

static bool copy_rows(si_stream *stream, const copy_op *copy, uint8_t *to, const uint8_t *from) {
  if (copy->height == 1) { /* the middle is in the row */
    size_t half = copy->width / 2;
    memcpy(to, from, half);
    if (!si_stream_pause(stream))
      return false;
    memcpy(to + half, from + half, copy->width - half);
    return true;
  }
  for (size_t y = 0; y < copy->height; y++) {
    if (y == copy->height / 2 && !si_stream_pause(stream))
      return false;
    memcpy(to + y * copy->to.pitch, from + y * copy->from.pitch, copy->width);
  }
  return true;
}

static cu_result run_copy(si_stream *stream, si_op *op) {
  const copy_op *copy = (const copy_op *)op;
  si_pin from, to;
  cu_result result = pin_end(stream->context, &copy->from, copy, SI_READS, &from);
  if (result != CUDA_SUCCESS)
    return result;
  result = pin_end(stream->context, &copy->to, copy, SI_WRITES, &to);
  if (result == CUDA_SUCCESS) {
    result = copy_rows(stream, copy, to.memory, from.memory) ? CUDA_SUCCESS : SI_STOPPED;
    unpin_end(&to);
  }
  unpin_end(&from);
  return result;
}

static void drop_copy(si_op *op) {
  free(((copy_op *)op)->staged);
}

/* Reads a raw source ahead, so that it is the caller's again. */
static cu_result stage(copy_op *copy) {
  copy->staged = malloc(copy->width * copy->height);
  if (!copy->staged)
    return CUDA_ERROR_OUT_OF_MEMORY;
  for (size_t y = 0; y < copy->height; y++)
    memcpy((uint8_t *)copy->staged + y * copy->width,
           (const uint8_t *)(uintptr_t)copy->from.address + y * copy->from.pitch, copy->width);
  copy->from = (end){ .address = (uint64_t)(uintptr_t)copy->staged, .pitch = copy->width, .raw = true };
  return CUDA_SUCCESS;
}

/* What is told of an address: that of host memory becomes raw if it is not the driver's. */
static cu_result look(end *e, bool host, size_t width, size_t height) {
  uint64_t bytes = extent(e, width, height);
  pthread_mutex_lock(&si_lock);
  const si_space *space = si_space_find(e->address);
  bool device = space && space->kind != SI_REGISTERED && space->kind != SI_HOST;
  bool known = si_range_known(e->address, bytes);
  pthread_mutex_unlock(&si_lock);
  if (host) {
    e->raw = !known;
    return device || e->address == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  }
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static cu_result start_copy(si_context *context, cu_stream stream, copy_op *copy, bool from_host, bool to_host,
                            bool wait) {
  if (copy->width == 0 || copy->height == 0)
    return CUDA_SUCCESS;
  cu_result result = look(&copy->from, from_host, copy->width, copy->height);
  if (result == CUDA_SUCCESS)
    result = look(&copy->to, to_host, copy->width, copy->height);
  if (result == CUDA_SUCCESS && copy->from.raw && !wait && !copy->to.raw)
    result = stage(copy);
  if (result != CUDA_SUCCESS)
    return result;
  copy->op = (si_op){ .run = run_copy, .drop = drop_copy };
  return si_enqueue(context, stream, &copy->op, sizeof *copy, wait || copy->to.raw);
}

static copy_op line(uint64_t to, uint64_t from, size_t bytes) {
  return (copy_op){
    .from = { .address = from, .pitch = bytes }, .to = { .address = to, .pitch = bytes }, .width = bytes, .height = 1
  };
}

cu_result cuMemcpyHtoD_v2(cu_deviceptr to, const void *from, size_t bytes) {
  SI_ENTER(cuMemcpyHtoD, SI_CONTEXT);
  copy_op copy = line(to, (uint64_t)(uintptr_t)from, bytes);
  return start_copy(context, NULL, &copy, true, false, true);
}

cu_result cuMemcpyDtoH_v2(void *to, cu_deviceptr from, size_t bytes) {
  SI_ENTER(cuMemcpyDtoH, SI_CONTEXT);
  copy_op copy = line((uint64_t)(uintptr_t)to, from, bytes);
  return start_copy(context, NULL, &copy, false, true, true);
}

cu_result cuMemcpyHtoDAsync_v2(cu_deviceptr to, const void *from, size_t bytes, cu_stream stream) {
  SI_ENTER(cuMemcpyHtoDAsync, SI_CONTEXT);
  copy_op copy = line(to, (uint64_t)(uintptr_t)from, bytes);
  return start_copy(context, stream, &copy, true, false, false);
}

cu_result cuMemcpyDtoHAsync_v2(void *to, cu_deviceptr from, size_t bytes, cu_stream stream) {
  SI_ENTER(cuMemcpyDtoHAsync, SI_CONTEXT);
  copy_op copy = line((uint64_t)(uintptr_t)to, from, bytes);
  return start_copy(context, stream, &copy, false, true, false);
}

cu_result cuMemcpyDtoDAsync_v2(cu_deviceptr to, cu_deviceptr from, size_t bytes, cu_stream stream) {
  SI_ENTER(cuMemcpyDtoDAsync, SI_CONTEXT);
  copy_op copy = line(to, from, bytes);
  return start_copy(context, stream, &copy, false, false, false);
}

/* Fills in one end of a two-dimensional copy. */
static bool end_2d(end *e, bool *host, cu_memory_type type, const void *memory, uint64_t address, size_t pitch,
                   size_t x, size_t y, size_t width) {
  if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED)
    return false;
  *host = type == CU_MEMORYTYPE_HOST;
  if (pitch == 0)
    pitch = width + x;
  if (x > pitch || width > pitch - x)
    return false;
  *e = (end){ .address = (*host ? (uint64_t)(uintptr_t)memory : address) + y * pitch + x, .pitch = pitch };
  return true;
}

static cu_result copy_2d(si_context *context, const cu_copy_2d *what, cu_stream stream, bool wait) {
  copy_op copy = { 0 };
  bool from_host, to_host;
  if (!what ||
      !end_2d(&copy.from, &from_host, what->from_type, what->from_host, what->from_device, what->from_pitch,
              what->from_x, what->from_y, what->width) ||
      !end_2d(&copy.to, &to_host, what->to_type, what->to_host, what->to_device, what->to_pitch, what->to_x, what->to_y,
              what->width))
    return CUDA_ERROR_INVALID_VALUE;
  copy.width = what->width;
  copy.height = what->height;
  return start_copy(context, stream, &copy, from_host, to_host, wait);
}

cu_result cuMemcpy2DAsync_v2(const cu_copy_2d *what, cu_stream stream) {
  SI_ENTER(cuMemcpy2DAsync, SI_CONTEXT);
  return copy_2d(context, what, stream, false);
}

/* The two below are for others than this library, and count as their asynchronous sisters. */
STANDIN_API cu_result cuMemcpy2D_v2(const cu_copy_2d *what);
cu_result cuMemcpy2D_v2(const cu_copy_2d *what) {
  SI_ENTER(cuMemcpy2DAsync, SI_CONTEXT);
  return copy_2d(context, what, NULL, true);
}

STANDIN_API cu_result cuMemcpyDtoD_v2(cu_deviceptr to, cu_deviceptr from, size_t bytes);
cu_result cuMemcpyDtoD_v2(cu_deviceptr to, cu_deviceptr from, size_t bytes) {
  SI_ENTER(cuMemcpyDtoDAsync, SI_CONTEXT);
  copy_op copy = line(to, from, bytes);
  return start_copy(context, NULL, &copy, false, false, false);
}

static cu_result run_fill(si_stream *stream, si_op *op) {
  const fill_op *fill = (const fill_op *)op;
  si_pin pin;
  cu_result result = si_pin_range(stream->context, fill->address, fill->bytes, SI_WRITES, &pin);
  if (result != CUDA_SUCCESS)
    return result;
  memset(pin.memory, fill->value, fill->bytes / 2);
  if (si_stream_pause(stream))
    memset(pin.memory + fill->bytes / 2, fill->value, fill->bytes - fill->bytes / 2);
  else
    result = SI_STOPPED;
  si_unpin(&pin);
  return result;
}

static cu_result start_fill(si_context *context, cu_stream stream, uint64_t address, unsigned char value, size_t bytes,
                            bool wait) {
  if (bytes == 0)
    return CUDA_SUCCESS;
  pthread_mutex_lock(&si_lock);
  bool known = si_range_known(address, bytes);
  pthread_mutex_unlock(&si_lock);
  if (!known)
    return CUDA_ERROR_INVALID_VALUE;
  fill_op fill = { .op = { .run = run_fill }, .address = address, .bytes = bytes, .value = value };
  return si_enqueue(context, stream, &fill.op, sizeof fill, wait);
}

/* Asynchronous on device memory, as the driver's. */
cu_result cuMemsetD8_v2(cu_deviceptr address, unsigned char value, size_t bytes) {
  SI_ENTER(cuMemsetD8, SI_CONTEXT);
  return start_fill(context, NULL, address, value, bytes, false);
}

cu_result cuMemsetD8Async(cu_deviceptr address, unsigned char value, size_t bytes, cu_stream stream) {
  SI_ENTER(cuMemsetD8Async, SI_CONTEXT);
  return start_fill(context, stream, address, value, bytes, false);
}
