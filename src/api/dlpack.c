/* api/dlpack.c - planes as arrays and as DLPack tensors. */
#include <stdlib.h>
#include <string.h>

#include <cuframes/dlpack.h>

#include "api/frame.h"
#include "api/options.h"
#include "os/error.h"

/* DLPack's own structs, as its specification lays them out. */
typedef struct dl_tensor {
  void *data;
  struct {
    int32_t type, index;
  } device;
  int32_t dims;
  struct {
    uint8_t code, bits;
    uint16_t lanes;
  } type;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} dl_tensor;

typedef struct dl_unversioned {
  dl_tensor tensor;
  void *context;
  void (*deleter)(struct dl_unversioned *self);
} dl_unversioned;

typedef struct dl_versioned {
  struct {
    uint32_t major, minor;
  } version;
  void *context;
  void (*deleter)(struct dl_versioned *self);
  uint64_t flags;
  dl_tensor tensor;
} dl_versioned;

enum { DL_READ_ONLY = 1, DL_IS_COPIED = 2 };
enum { DL_HOST = 1, DL_GPU = 2 };
enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2 };

/* What a consumer holds. */
typedef struct holder {
  union {
    dl_unversioned unversioned;
    dl_versioned versioned;
  } managed;
  int64_t shape[4], strides[4];
  cuframes_frame *frame; /* NULL: it is a copy */
  void *stream;
  bool has_stream;
} holder;

/* ---- arrays ---- */

static const struct element {
  uint8_t type, bits;
} elements[] = {
  [CUFRAMES_ELEMENT_UINT8] = { DL_UINT, 8 },     [CUFRAMES_ELEMENT_INT8] = { DL_INT, 8 },
  [CUFRAMES_ELEMENT_FLOAT16] = { DL_FLOAT, 16 }, [CUFRAMES_ELEMENT_FLOAT32] = { DL_FLOAT, 32 },
  [CUFRAMES_ELEMENT_INT32] = { DL_INT, 32 },
};

/* Samples of a plane that lie together at each place, and the bits of one. */
static void samples(uint32_t pixel_format, int plane, uint32_t *together, uint8_t *bits) {
  *together = 1;
  *bits = 8;
  switch (pixel_format) {
    case CUFRAMES_PIXEL_P010:
      *bits = 16;
      *together = plane == 1 ? 2 : 1;
      break;
    case CUFRAMES_PIXEL_NV12: *together = plane == 1 ? 2 : 1; break;
    case CUFRAMES_PIXEL_GRAY16:
    case CUFRAMES_PIXEL_YUV420P10:
    case CUFRAMES_PIXEL_YUV422P10: *bits = 16; break;
    case CUFRAMES_PIXEL_RGB24:
    case CUFRAMES_PIXEL_BGR24: *together = 3; break;
    case CUFRAMES_PIXEL_RGBA:
    case CUFRAMES_PIXEL_BGRA:
    case CUFRAMES_PIXEL_YUYV422:
    case CUFRAMES_PIXEL_UYVY422: *together = 4; break;
    default: break;
  }
}

static int array_of_tensor(const cuframes_tensor *tensor, uint32_t pitch, cuframes_array *array) {
  if (tensor->element >= sizeof elements / sizeof elements[0])
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "elements of type %u, which this version does not know", tensor->element);
  array->type = elements[tensor->element].type;
  array->bits = elements[tensor->element].bits;
  array->dims = tensor->dims;
  for (uint32_t i = tensor->dims; i-- > 0;) {
    bool row = i + 2 == tensor->dims;
    array->shape[i] = tensor->size[i];
    array->strides[i] = i + 1 == tensor->dims ? 1
                        : row                 ? pitch / (array->bits / 8u)
                                              : array->strides[i + 1] * tensor->size[i + 1];
  }
  return CUFRAMES_OK;
}

static int array_of_picture(const cuframes_format *format, int plane, cuframes_array *array) {
  uint32_t row_bytes, rows, together;
  int result = cuframes_format_plane_size(format, plane, &row_bytes, &rows);
  if (result != CUFRAMES_OK)
    return result;
  samples(format->pixel_format, plane, &together, &array->bits);
  uint32_t bytes = array->bits / 8u;
  array->type = DL_UINT;
  array->dims = together > 1 ? 3 : 2;
  array->shape[0] = rows;
  array->shape[1] = row_bytes / (bytes * together);
  array->shape[2] = together > 1 ? together : 0;
  array->strides[0] = format->pitch[plane] / bytes;
  array->strides[1] = together;
  array->strides[2] = together > 1 ? 1 : 0;
  return CUFRAMES_OK;
}

static int array_describe(const cuframes_frame *frame, int plane, cuframes_array *array) {
  *array = (cuframes_array){ .data = NULL };
  if (!frame)
    return cf_fail(CUFRAMES_ERR_INVALID, "plane %d: no frame is given", plane);
  if (!cf_process_is(frame->maker))
    return cf_process_check(frame->maker, "frame");
  array->data = cuframes_frame_plane(frame, plane);
  if (!array->data || cf_flag_get(&frame->references) == 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "plane %d: the frame has no such plane, or was released", plane);
  const cuframes_format *format = frame->body->format;
  int result = format->pixel_format == CUFRAMES_PIXEL_TENSOR ? array_of_tensor(&format->tensor, format->pitch[0], array)
                                                             : array_of_picture(format, plane, array);
  if (result != CUFRAMES_OK)
    return result;
  if (format->pitch[plane] % (array->bits / 8u) != 0)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "a pitch of %u bytes is no whole number of elements of %u bits",
                   format->pitch[plane], array->bits);
  array->read_only = frame->body->state != CF_FRAME_OPEN;
  array->device_type = frame->body->device->has_streams ? DL_GPU : DL_HOST;
  array->device_index = frame->body->device->index;
  return CUFRAMES_OK;
}

int cuframes_frame_array(const cuframes_frame *frame, int plane, cuframes_array *array) {
  cuframes_array found;
  int result = array_describe(frame, plane, &found);
  return result == CUFRAMES_OK ? cf_stats_give(array, &found, sizeof found, "cuframes_array") : result;
}

uint32_t cuframes_frame_references(const cuframes_frame *frame) {
  return frame ? cf_flag_get(&frame->references) : 0;
}

/* ---- tensors ---- */

static void holder_end(holder *h) {
  if (h->frame && h->has_stream)
    cuframes_frame_release_on(h->frame, h->stream);
  else
    cuframes_frame_release(h->frame);
  free(h);
}

static void versioned_end(dl_versioned *self) {
  holder_end(self->context);
}

static void unversioned_end(dl_unversioned *self) {
  holder_end(self->context);
}

/* The copy lies behind the holder, and goes with it. */
static int holder_copy(const cuframes_frame *frame, int plane, cuframes_array *array, holder **out) {
  enum { ALIGNED = 64 };
  size_t bytes = array->bits / 8u;
  for (uint32_t i = array->dims; i-- > 0;) {
    array->strides[i] = i + 1 == array->dims ? 1 : array->strides[i + 1] * array->shape[i + 1];
    bytes *= (size_t)array->shape[i];
  }
  size_t start = (sizeof(holder) + ALIGNED - 1) / ALIGNED * ALIGNED;
  holder *h = aligned_alloc(ALIGNED, start + (bytes + ALIGNED - 1) / ALIGNED * ALIGNED);
  if (!h)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "no memory for a copy of plane %d, %zu bytes", plane, bytes);
  *h = (holder){ .frame = NULL };
  int result = cuframes_frame_copy_to_host(frame, plane, (char *)h + start, 0);
  if (result != CUFRAMES_OK) {
    free(h);
    return result;
  }
  array->data = (char *)h + start;
  array->device_type = DL_HOST;
  array->device_index = 0;
  array->read_only = 0;
  *out = h;
  return CUFRAMES_OK;
}

static int holder_view(cuframes_frame *frame, void *stream, uint32_t flags, holder **out) {
  holder *h = calloc(1, sizeof *h);
  if (!h)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "no memory for a tensor");
  cf_device *device = frame->body->device;
  h->stream = cf_device_stream_of_thread(stream) ? NULL : stream; /* which a thread's own holds up, also by a capture */
  h->has_stream = (flags & CUFRAMES_DLPACK_NO_STREAM) == 0;
  int result =
      h->has_stream && device->has_streams ? device->ops->stream_capture_check(device, h->stream) : CUFRAMES_OK;
  if (result != CUFRAMES_OK) {
    free(h);
    return result;
  }
  h->frame = cuframes_frame_ref(frame);
  if (!h->frame) {
    free(h);
    return cf_fail(CUFRAMES_ERR_INVALID, "the frame was released");
  }
  *out = h;
  return CUFRAMES_OK;
}

int cuframes_frame_dlpack(cuframes_frame *frame, int plane, void *stream, uint32_t flags, void **tensor) {
  const uint32_t known = CUFRAMES_DLPACK_UNVERSIONED | CUFRAMES_DLPACK_COPY | CUFRAMES_DLPACK_NO_STREAM;
  cuframes_array array;
  holder *h = NULL;
  if (!tensor || (flags & ~known) != 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_frame_dlpack: no place for the tensor, or unknown flags 0x%x",
                   flags & ~known);
  int result = array_describe(frame, plane, &array);
  if (result != CUFRAMES_OK)
    return result;
  bool copy = (flags & CUFRAMES_DLPACK_COPY) != 0;
  result = copy ? holder_copy(frame, plane, &array, &h) : holder_view(frame, stream, flags, &h);
  if (result != CUFRAMES_OK)
    return result;

  memcpy(h->shape, array.shape, sizeof h->shape);
  memcpy(h->strides, array.strides, sizeof h->strides);
  dl_tensor described = {
    .data = array.data,
    .device = { (int32_t)array.device_type, (int32_t)array.device_index },
    .dims = (int32_t)array.dims,
    .type = { array.type, array.bits, 1 },
    .shape = h->shape,
    .strides = h->strides, /* always said: consumers disagree about what none means */
  };
  if (flags & CUFRAMES_DLPACK_UNVERSIONED)
    h->managed.unversioned = (dl_unversioned){ described, h, unversioned_end };
  else
    h->managed.versioned = (dl_versioned){
      .version = { 1, 0 },
      .context = h,
      .deleter = versioned_end,
      .flags = (array.read_only ? (uint64_t)DL_READ_ONLY : 0) | (copy ? (uint64_t)DL_IS_COPIED : 0),
      .tensor = described,
    };
  *tensor = &h->managed;
  return CUFRAMES_OK;
}
