/* api/format.c - pixel formats and the layout of a picture in memory. */
#include "api/format.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "os/error.h"

#define FRAME_BYTES_MAX (UINT64_C(1) << 40)

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

static uint32_t shifted_up(uint32_t size, unsigned shift) {
  return (size + (1u << shift) - 1) >> shift;
}

int cuframes_format_plane_size(const cuframes_format *format, int plane, uint32_t *row_bytes, uint32_t *rows) {
  const pixel_kind *kind = format ? kind_of(format->pixel_format) : NULL;
  if (!kind)
    return cf_fail(CUFRAMES_ERR_FORMAT, "pixel format %u is unknown", format ? format->pixel_format : 0);
  if (plane < 0 || plane >= kind->planes)
    return cf_fail(CUFRAMES_ERR_FORMAT, "%s has planes 0 to %d, not %d", kind->name, kind->planes - 1, plane);
  if (format->width == 0 || format->height == 0 || format->width > CUFRAMES_SIZE_MAX ||
      format->height > CUFRAMES_SIZE_MAX)
    return cf_fail(CUFRAMES_ERR_FORMAT, "invalid size %ux%u (1 to %d each)", format->width, format->height,
                   CUFRAMES_SIZE_MAX);
  const plane_kind *p = &kind->plane[plane];
  if (row_bytes)
    *row_bytes = shifted_up(format->width, p->shift_x) * p->bytes;
  if (rows)
    *rows = shifted_up(format->height, p->shift_y);
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
  cuframes_format f = *format;
  int planes = cuframes_pixel_format_planes(f.pixel_format);
  uint64_t bytes[CUFRAMES_PLANES] = { 0 }, end = 0;
  bool given = f.offset[0] || f.offset[1] || f.offset[2] || f.offset[3];
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
    if (f.offset[i] > FRAME_BYTES_MAX)
      return cf_fail(CUFRAMES_ERR_FORMAT, "plane %d starts at byte %" PRIu64 ", which is too far", i, f.offset[i]);
    if (f.offset[i] + bytes[i] > end)
      end = f.offset[i] + bytes[i];
  }
  if (planes_overlap(&f, bytes, planes))
    return cf_fail(CUFRAMES_ERR_FORMAT, "the planes overlap at these offsets and pitches");
  *format = f;
  if (frame_bytes)
    *frame_bytes = end;
  return CUFRAMES_OK;
}

uint32_t cf_color_pack(cuframes_color color) {
  return color.matrix | (uint32_t)color.range << 8 | (uint32_t)color.primaries << 16 | (uint32_t)color.transfer << 24;
}

cuframes_color cf_color_unpack(uint32_t packed) {
  return (cuframes_color){ .matrix = (uint8_t)packed,
                           .range = (uint8_t)(packed >> 8),
                           .primaries = (uint8_t)(packed >> 16),
                           .transfer = (uint8_t)(packed >> 24) };
}
