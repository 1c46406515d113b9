/* api/format.c - pixel formats and the layout of a picture in memory. */
#include "api/format.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "os/error.h"
#include "wire/message.h"

#define OFFSET_MAX (UINT64_C(1) << 40)
#define PLANE_BYTES_MAX                                                                                                \
  (UINT64_C(65535) * INT32_MAX) /* of the largest picture; a thousand slots of it can be counted */

/* A plane holds 1 / 2^shift of the pixels in each direction, and so many bytes for each of them. */
typedef struct plane_kind {
  uint8_t shift_x, shift_y, bytes;
} plane_kind;

typedef struct pixel_kind {
  const char *name;
  int planes;
  plane_kind plane[CUFRAMES_PLANES];
} pixel_kind;

static const pixel_kind kinds[] = {
  [CUFRAMES_PIXEL_NV12] = { "nv12", 2, { { 0, 0, 1 }, { 1, 1, 2 } } },
  [CUFRAMES_PIXEL_P010] = { "p010", 2, { { 0, 0, 2 }, { 1, 1, 4 } } },
  [CUFRAMES_PIXEL_YUV420P] = { "yuv420p", 3, { { 0, 0, 1 }, { 1, 1, 1 }, { 1, 1, 1 } } },
  [CUFRAMES_PIXEL_YUV422P] = { "yuv422p", 3, { { 0, 0, 1 }, { 1, 0, 1 }, { 1, 0, 1 } } },
  [CUFRAMES_PIXEL_YUV444P] = { "yuv444p", 3, { { 0, 0, 1 }, { 0, 0, 1 }, { 0, 0, 1 } } },
  [CUFRAMES_PIXEL_GRAY8] = { "gray8", 1, { { 0, 0, 1 } } },
  [CUFRAMES_PIXEL_RGB24] = { "rgb24", 1, { { 0, 0, 3 } } },
  [CUFRAMES_PIXEL_RGBA] = { "rgba", 1, { { 0, 0, 4 } } },
  [CUFRAMES_PIXEL_BGRA] = { "bgra", 1, { { 0, 0, 4 } } },
  [CUFRAMES_PIXEL_BGR24] = { "bgr24", 1, { { 0, 0, 3 } } },
  [CUFRAMES_PIXEL_YUYV422] = { "yuyv422", 1, { { 1, 0, 4 } } },
  [CUFRAMES_PIXEL_UYVY422] = { "uyvy422", 1, { { 1, 0, 4 } } },
  [CUFRAMES_PIXEL_GRAY16] = { "gray16", 1, { { 0, 0, 2 } } },
  [CUFRAMES_PIXEL_YUV420P10] = { "yuv420p10", 3, { { 0, 0, 2 }, { 1, 1, 2 }, { 1, 1, 2 } } },
  [CUFRAMES_PIXEL_YUV422P10] = { "yuv422p10", 3, { { 0, 0, 2 }, { 1, 0, 2 }, { 1, 0, 2 } } },
  [CUFRAMES_PIXEL_RGBP] = { "rgbp", 3, { { 0, 0, 1 }, { 0, 0, 1 }, { 0, 0, 1 } } },
  [CUFRAMES_PIXEL_TENSOR] = { "tensor", 1, { { 0 } } },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static const pixel_kind *kind_of(uint32_t pixel_format) {
  return pixel_format < KINDS && kinds[pixel_format].name ? &kinds[pixel_format] : NULL;
}

int cuframes_pixel_format_planes(uint32_t pixel_format) {
  const pixel_kind *kind = kind_of(pixel_format);
  return kind ? kind->planes : 0;
}

const char *cuframes_pixel_format_name(uint32_t pixel_format) {
  const pixel_kind *kind = kind_of(pixel_format);
  return kind ? kind->name : "unknown";
}

uint32_t cuframes_pixel_format_from_name(const char *name) {
  for (uint32_t i = 0; name && i < KINDS; i++)
    if (kinds[i].name && strcmp(kinds[i].name, name) == 0)
      return i;
  return CUFRAMES_PIXEL_NONE;
}

static const struct {
  const char *name;
  uint32_t bytes;
} elements[] = {
  [CUFRAMES_ELEMENT_UINT8] = { "uint8", 1 },     [CUFRAMES_ELEMENT_INT8] = { "int8", 1 },
  [CUFRAMES_ELEMENT_FLOAT16] = { "float16", 2 }, [CUFRAMES_ELEMENT_FLOAT32] = { "float32", 4 },
  [CUFRAMES_ELEMENT_INT32] = { "int32", 4 },
};
#define ELEMENTS (sizeof elements / sizeof elements[0])

uint32_t cuframes_element_size(uint32_t element) {
  return element < ELEMENTS ? elements[element].bytes : 0;
}

const char *cuframes_element_name(uint32_t element) {
  return element < ELEMENTS && elements[element].name ? elements[element].name : "unknown";
}

uint32_t cuframes_element_from_name(const char *name) {
  for (uint32_t i = 0; name && i < ELEMENTS; i++)
    if (elements[i].name && strcmp(elements[i].name, name) == 0)
      return i;
  return CUFRAMES_ELEMENT_NONE;
}

/* ---- what a format says ---- */

int cf_format_aspect_check(uint32_t num, uint32_t den) {
  if ((num == 0) != (den == 0) || num > INT32_MAX || den > INT32_MAX)
    return cf_fail(CUFRAMES_ERR_FORMAT, "a sample aspect ratio of %u:%u (1 to %d each, or 0:0)", num, den, INT32_MAX);
  return CUFRAMES_OK;
}

int cf_format_words_check(cuframes_color color, uint32_t chroma_location, uint32_t field_order, uint32_t orientation) {
  const struct {
    const char *what;
    uint32_t value, most;
  } words[] = {
    { "colour range", color.range, 2 },
    { "chroma location", chroma_location, CUFRAMES_CHROMA_BOTTOM },
    { "field order", field_order, CUFRAMES_FIELDS_BOTTOM_FIRST },
    { "orientation", orientation, CUFRAMES_ORIENTATION_LEFT_BOTTOM },
  };
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (words[i].value > words[i].most)
      return cf_fail(CUFRAMES_ERR_FORMAT, "there is no %s %u (0 to %u)", words[i].what, words[i].value, words[i].most);
  return CUFRAMES_OK;
}

/* The fields that no plane depends on. */
static int check_words(const cuframes_format *f) {
  uint32_t reserved = f->reserved8;
  for (size_t i = 0; i < sizeof f->reserved / sizeof f->reserved[0]; i++)
    reserved |= f->reserved[i];
  if (reserved)
    return cf_fail(CUFRAMES_ERR_FORMAT, "a reserved field of the format is not 0: clear the whole struct first");
  int result = cf_format_words_check(f->color, f->chroma_location, f->field_order, f->orientation);
  return result == CUFRAMES_OK ? cf_format_aspect_check(f->sample_aspect_num, f->sample_aspect_den) : result;
}

static int check_size(const cuframes_format *f) {
  static const cuframes_tensor none;
  if (f->width == 0 || f->height == 0 || f->width > CUFRAMES_SIZE_MAX || f->height > CUFRAMES_SIZE_MAX)
    return cf_fail(CUFRAMES_ERR_FORMAT, "invalid size %ux%u (1 to %d each)", f->width, f->height, CUFRAMES_SIZE_MAX);
  if (memcmp(&f->tensor, &none, sizeof none) != 0)
    return cf_fail(CUFRAMES_ERR_FORMAT, "%s has no tensor: its fields must be 0",
                   cuframes_pixel_format_name(f->pixel_format));
  return CUFRAMES_OK;
}

/* The rows of a tensor. What it takes as a whole is limited with its pitch. */
static int tensor_size(const cuframes_format *f, uint32_t *row_bytes, uint32_t *rows) {
  const cuframes_tensor *t = &f->tensor;
  uint32_t element = cuframes_element_size(t->element);
  uint64_t outer = 1;
  if (f->width != 0 || f->height != 0)
    return cf_fail(CUFRAMES_ERR_FORMAT, "a tensor has no width and height: %ux%u must be 0", f->width, f->height);
  if (element == 0)
    return cf_fail(CUFRAMES_ERR_FORMAT, "element type %u of the tensor is unknown", t->element);
  if (t->dims < 1 || t->dims > CUFRAMES_TENSOR_DIMS_MAX)
    return cf_fail(CUFRAMES_ERR_FORMAT, "a tensor of %u dimensions (1 to %d)", t->dims, CUFRAMES_TENSOR_DIMS_MAX);
  for (uint32_t i = 0; i < CUFRAMES_TENSOR_DIMS_MAX; i++)
    if ((t->size[i] != 0) != (i < t->dims))
      return cf_fail(CUFRAMES_ERR_FORMAT, "size %u of a tensor of %u dimensions is %u", i, t->dims, t->size[i]);
  uint64_t inner = (uint64_t)t->size[t->dims - 1] * element;
  for (uint32_t i = 0; i + 1 < t->dims && outer <= UINT32_MAX; i++)
    outer *= t->size[i];
  if (inner > INT32_MAX || outer > UINT32_MAX)
    return cf_fail(CUFRAMES_ERR_FORMAT, "a tensor is too large: its rows of %" PRIu64 " bytes (at most %d) are %s %u",
                   inner, INT32_MAX, outer > UINT32_MAX ? "more than" : "fewer than", UINT32_MAX);
  *row_bytes = (uint32_t)inner;
  *rows = (uint32_t)outer;
  return CUFRAMES_OK;
}

/* ---- planes ---- */

static uint32_t shifted_up(uint32_t size, unsigned shift) {
  return (size + (1u << shift) - 1) >> shift;
}

/* Of a plane that there is. */
static int plane_size(const cuframes_format *format, const plane_kind *plane, uint32_t *row_bytes, uint32_t *rows) {
  if (format->pixel_format == CUFRAMES_PIXEL_TENSOR)
    return tensor_size(format, row_bytes, rows);
  *row_bytes = shifted_up(format->width, plane->shift_x) * plane->bytes;
  *rows = shifted_up(format->height, plane->shift_y);
  return CUFRAMES_OK;
}

__attribute__((hot)) bool cf_format_plane(const cuframes_format *format, int plane, uint32_t *row_bytes,
                                          uint32_t *rows) {
  const pixel_kind *kind = kind_of(format->pixel_format);
  return kind && plane >= 0 && plane < kind->planes &&
         plane_size(format, &kind->plane[plane], row_bytes, rows) == CUFRAMES_OK;
}

int cuframes_format_plane_size(const cuframes_format *format, int plane, uint32_t *row_bytes, uint32_t *rows) {
  const pixel_kind *kind = format ? kind_of(format->pixel_format) : NULL;
  if (!kind)
    return cf_fail(CUFRAMES_ERR_FORMAT, "pixel format %u is unknown", format ? format->pixel_format : 0);
  if (plane < 0 || plane >= kind->planes)
    return cf_fail(CUFRAMES_ERR_FORMAT, "%s has planes 0 to %d, not %d", kind->name, kind->planes - 1, plane);
  uint32_t bytes = 0, count = 0;
  int result = check_words(format);
  if (result == CUFRAMES_OK && format->pixel_format != CUFRAMES_PIXEL_TENSOR)
    result = check_size(format);
  if (result == CUFRAMES_OK)
    result = plane_size(format, &kind->plane[plane], &bytes, &count);
  if (result != CUFRAMES_OK)
    return result;
  if (row_bytes)
    *row_bytes = bytes;
  if (rows)
    *rows = count;
  return CUFRAMES_OK;
}

static bool planes_overlap(const cuframes_format *f, const uint64_t *bytes, int planes) {
  for (int a = 0; a < planes; a++)
    for (int b = a + 1; b < planes; b++)
      if (f->offset[a] < f->offset[b] + bytes[b] && f->offset[b] < f->offset[a] + bytes[a])
        return true;
  return false;
}

int cuframes_format_layout(cuframes_format *format, uint32_t pitch_align, uint64_t *frame_bytes) {
  if (!format)
    return cf_fail(CUFRAMES_ERR_INVALID, "no format given");
  if (pitch_align == 0)
    pitch_align = 64;
  if ((pitch_align & (pitch_align - 1)) != 0 || pitch_align > 65536)
    return cf_fail(CUFRAMES_ERR_INVALID, "a pitch alignment of %u is not a power of two up to 65536", pitch_align);
  if (format->pixel_format == CUFRAMES_PIXEL_TENSOR)
    pitch_align = 1; /* an array without gaps is what everybody expects */
  cuframes_format f = *format;
  int planes = cuframes_pixel_format_planes(f.pixel_format);
  uint64_t bytes[CUFRAMES_PLANES] = { 0 }, end = 0;
  bool given = false;
  for (int i = 0; i < planes; i++)
    given = given || f.offset[i] != 0;
  for (int i = 0; i == 0 || i < planes; i++) {
    uint32_t row_bytes = 0, rows = 0;
    int result = cuframes_format_plane_size(&f, i, &row_bytes, &rows);
    if (result != CUFRAMES_OK)
      return result;
    if (f.pitch[i] == 0)
      f.pitch[i] = (row_bytes + pitch_align - 1) & ~(pitch_align - 1);
    if (f.pitch[i] < row_bytes || f.pitch[i] > INT32_MAX)
      return cf_fail(CUFRAMES_ERR_FORMAT, "a pitch of %u for plane %d: a row has %u bytes, and the most is %d",
                     f.pitch[i], i, row_bytes, INT32_MAX);
    bytes[i] = (uint64_t)f.pitch[i] * rows;
    if (!given)
      f.offset[i] = end;
    if (f.offset[i] > OFFSET_MAX)
      return cf_fail(CUFRAMES_ERR_FORMAT, "plane %d starts at byte %" PRIu64 ", which is too far", i, f.offset[i]);
    if (bytes[i] > PLANE_BYTES_MAX)
      return cf_fail(CUFRAMES_ERR_FORMAT, "plane %d takes %" PRIu64 " bytes, which is too much", i, bytes[i]);
    if (f.offset[i] + bytes[i] > end)
      end = f.offset[i] + bytes[i];
  }
  if (planes_overlap(&f, bytes, planes))
    return cf_fail(CUFRAMES_ERR_FORMAT, "the planes overlap at these offsets and pitches");
  for (int i = planes; i < CUFRAMES_PLANES; i++) { /* of planes that there are not: equal formats compare equal */
    f.pitch[i] = 0;
    f.offset[i] = 0;
  }
  *format = f;
  if (frame_bytes)
    *frame_bytes = end + f.padding;
  return CUFRAMES_OK;
}

/* ---- on the wire ---- */

uint32_t cf_color_pack(cuframes_color color) {
  return color.matrix | (uint32_t)color.range << 8 | (uint32_t)color.primaries << 16 | (uint32_t)color.transfer << 24;
}

cuframes_color cf_color_unpack(uint32_t packed) {
  return (cuframes_color){ .matrix = (uint8_t)packed,
                           .range = (uint8_t)(packed >> 8),
                           .primaries = (uint8_t)(packed >> 16),
                           .transfer = (uint8_t)(packed >> 24) };
}

void cf_light_to_wire(const cuframes_codec_params *params, cf_msg_codec *wire) {
  const cuframes_mastering_display *display = &params->mastering_display;
  for (int i = 0; i < 6; i++)
    wire->mastering_display[i] = display->primaries[i];
  wire->mastering_display[6] = display->white_point[0];
  wire->mastering_display[7] = display->white_point[1];
  wire->mastering_display[8] = display->max_luminance;
  wire->mastering_display[9] = display->min_luminance;
  wire->content_light[0] = params->content_light.max_content;
  wire->content_light[1] = params->content_light.max_average;
}

bool cf_light_from_wire(const cf_msg_codec *wire, cuframes_codec_params *params) {
  cuframes_mastering_display *display = &params->mastering_display;
  uint32_t all = wire->content_light[0] | wire->content_light[1];
  for (int i = 0; i < 8; i++)
    all |= wire->mastering_display[i];
  for (int i = 0; i < 6; i++)
    display->primaries[i] = (uint16_t)wire->mastering_display[i];
  display->white_point[0] = (uint16_t)wire->mastering_display[6];
  display->white_point[1] = (uint16_t)wire->mastering_display[7];
  display->max_luminance = wire->mastering_display[8];
  display->min_luminance = wire->mastering_display[9];
  params->content_light = (cuframes_content_light){ .max_content = (uint16_t)wire->content_light[0],
                                                    .max_average = (uint16_t)wire->content_light[1] };
  return all <= UINT16_MAX;
}

void cf_format_to_wire(const cuframes_format *format, cf_msg_format *wire) {
  *wire = (cf_msg_format){ .pixel_format = format->pixel_format,
                           .width = format->width,
                           .height = format->height,
                           .color = cf_color_pack(format->color),
                           .chroma_location = format->chroma_location,
                           .field_order = format->field_order,
                           .orientation = format->orientation,
                           .sample_aspect = { format->sample_aspect_num, format->sample_aspect_den },
                           .element = format->tensor.element,
                           .dims = format->tensor.dims };
  memcpy(wire->pitch, format->pitch, sizeof wire->pitch);
  memcpy(wire->offset, format->offset, sizeof wire->offset);
  memcpy(wire->size, format->tensor.size, sizeof wire->size);
}

int cf_format_from_wire(const cf_msg_format *wire, cuframes_format *format) {
  cuframes_format f = { .pixel_format = wire->pixel_format,
                        .width = wire->width,
                        .height = wire->height,
                        .color = cf_color_unpack(wire->color),
                        .chroma_location = (uint8_t)wire->chroma_location,
                        .field_order = (uint8_t)wire->field_order,
                        .orientation = (uint8_t)wire->orientation,
                        .sample_aspect_num = wire->sample_aspect[0],
                        .sample_aspect_den = wire->sample_aspect[1],
                        .tensor = { .element = wire->element, .dims = wire->dims } };
  memcpy(f.pitch, wire->pitch, sizeof f.pitch);
  memcpy(f.offset, wire->offset, sizeof f.offset);
  memcpy(f.tensor.size, wire->size, sizeof f.tensor.size);
  /* in the width that they came in: 257 must not become 1 */
  int result = cf_format_words_check(f.color, wire->chroma_location, wire->field_order, wire->orientation);
  if (result == CUFRAMES_OK)
    result = cf_format_aspect_check(f.sample_aspect_num, f.sample_aspect_den);
  if (result == CUFRAMES_OK)
    *format = f;
  return result;
}
