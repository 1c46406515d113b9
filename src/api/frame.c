/* api/frame.c - what a frame in hand says of itself. */
#include "api/frame.h"

#include "os/clock.h"
#include "os/error.h"

static bool has_plane(const cuframes_frame *frame, int plane) {
  return frame && plane >= 0 && plane < cuframes_pixel_format_planes(frame->format->pixel_format);
}

void *cuframes_frame_plane(const cuframes_frame *frame, int plane) {
  return has_plane(frame, plane) ? frame->base + frame->format->offset[plane] : NULL;
}

uint32_t cuframes_frame_pitch(const cuframes_frame *frame, int plane) {
  return has_plane(frame, plane) ? frame->format->pitch[plane] : 0;
}

uint32_t cuframes_frame_width(const cuframes_frame *frame) {
  return frame->format->width;
}

uint32_t cuframes_frame_height(const cuframes_frame *frame) {
  return frame->format->height;
}

uint32_t cuframes_frame_pixel_format(const cuframes_frame *frame) {
  return frame->format->pixel_format;
}

cuframes_color cuframes_frame_color(const cuframes_frame *frame) {
  return frame->format->color;
}

const cuframes_format *cuframes_frame_format(const cuframes_frame *frame) {
  return frame->format;
}

uint64_t cuframes_frame_seq(const cuframes_frame *frame) {
  return frame->seq;
}

int64_t cuframes_frame_pts(const cuframes_frame *frame) {
  return frame->pts;
}

int64_t cuframes_frame_duration(const cuframes_frame *frame) {
  return frame->duration;
}

int64_t cuframes_frame_timestamp(const cuframes_frame *frame) {
  return frame->timestamp;
}

uint32_t cuframes_frame_flags(const cuframes_frame *frame) {
  return frame->flags;
}

const char *cuframes_frame_device(const cuframes_frame *frame) {
  return frame->device->name;
}

int cuframes_frame_wait(const cuframes_frame *frame, int64_t timeout_ns) {
  if (!frame || frame->state != CF_FRAME_LEASED)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_frame_wait: not a frame that a subscriber holds");
  return frame->ops->wait(frame, cf_deadline(timeout_ns));
}

/* The plane's rows on the device, and what a copy between it and host memory of that pitch must move. */
static int plane_rows(const cuframes_frame *frame, int plane, const void *host, size_t *host_pitch, cf_rows *rows,
                      uint32_t *row_bytes, uint32_t *count) {
  if (!has_plane(frame, plane) || !host)
    return cf_fail(CUFRAMES_ERR_INVALID, "copying plane %d: no such plane, or no memory given", plane);
  int result = cuframes_format_plane_size(frame->format, plane, row_bytes, count);
  if (result != CUFRAMES_OK)
    return result;
  if (*host_pitch == 0)
    *host_pitch = *row_bytes;
  if (*host_pitch < *row_bytes)
    return cf_fail(CUFRAMES_ERR_INVALID, "a pitch of %zu bytes for rows of %u", *host_pitch, *row_bytes);
  *rows = (cf_rows){ cuframes_frame_plane(frame, plane), frame->format->pitch[plane] };
  return CUFRAMES_OK;
}

static int not_open(void) {
  return cf_fail(CUFRAMES_ERR_INVALID, "only a publisher's open frame can be written");
}

int cuframes_frame_copy_to_host(const cuframes_frame *frame, int plane, void *dst, size_t dst_pitch) {
  cf_rows rows;
  uint32_t row_bytes, count;
  int result = plane_rows(frame, plane, dst, &dst_pitch, &rows, &row_bytes, &count);
  if (result == CUFRAMES_OK && frame->state == CF_FRAME_LEASED)
    result = frame->ops->wait(frame, CF_NEVER);
  if (result != CUFRAMES_OK)
    return result;
  return frame->device->ops->copy_to_host(frame->device, (cf_rows){ dst, dst_pitch }, rows, row_bytes, count);
}

int cuframes_frame_copy_from_host(cuframes_frame *frame, int plane, const void *src, size_t src_pitch) {
  cf_rows rows;
  uint32_t row_bytes, count;
  int result = plane_rows(frame, plane, src, &src_pitch, &rows, &row_bytes, &count);
  if (result != CUFRAMES_OK)
    return result;
  if (frame->state != CF_FRAME_OPEN)
    return not_open();
  return frame->device->ops->copy_from_host(frame->device, rows, (cf_rows){ (void *)src, src_pitch }, row_bytes, count);
}

int cuframes_frame_copy_from_device(cuframes_frame *frame, int plane, const void *src, size_t src_pitch, void *stream) {
  cf_rows rows;
  uint32_t row_bytes, count;
  int result = plane_rows(frame, plane, src, &src_pitch, &rows, &row_bytes, &count);
  if (result != CUFRAMES_OK)
    return result;
  if (frame->state != CF_FRAME_OPEN)
    return not_open();
  return frame->device->ops->copy_on(frame->device, stream, rows, (cf_rows){ (void *)src, src_pitch }, row_bytes,
                                     count);
}

static int not_leased(const cuframes_frame *frame) {
  return cf_fail(CUFRAMES_ERR_INVALID, frame->state == CF_FRAME_OPEN
                                           ? "a publisher's frame is ended by publish or cancel"
                                           : "the frame was released before");
}

int cuframes_frame_release(cuframes_frame *frame) {
  if (!frame)
    return CUFRAMES_OK;
  return frame->state == CF_FRAME_LEASED ? frame->ops->release(frame) : not_leased(frame);
}

int cuframes_frame_release_on(cuframes_frame *frame, void *stream) {
  if (!frame)
    return CUFRAMES_OK;
  if (frame->state != CF_FRAME_LEASED)
    return not_leased(frame);
  return frame->ops->release_on(frame, stream);
}
