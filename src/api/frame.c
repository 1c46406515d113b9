/* api/frame.c - what a frame in hand says of itself. */
#include "api/frame.h"

#include <stdio.h>

#include "api/format.h"
#include "api/options.h"
#include "os/clock.h"
#include "os/error.h"

static bool has_plane(const cuframes_frame *frame, int plane) {
  return frame && cf_process_is(frame->maker) && plane >= 0 &&
         plane < cuframes_pixel_format_planes(frame->body->format->pixel_format);
}

void *cuframes_frame_plane(const cuframes_frame *frame, int plane) {
  return has_plane(frame, plane) ? frame->body->base + frame->body->format->offset[plane] : NULL;
}

uint32_t cuframes_frame_pitch(const cuframes_frame *frame, int plane) {
  return has_plane(frame, plane) ? frame->body->format->pitch[plane] : 0;
}

uint32_t cuframes_frame_width(const cuframes_frame *frame) {
  return frame ? frame->body->format->width : 0;
}

uint32_t cuframes_frame_height(const cuframes_frame *frame) {
  return frame ? frame->body->format->height : 0;
}

uint32_t cuframes_frame_pixel_format(const cuframes_frame *frame) {
  return frame ? frame->body->format->pixel_format : 0;
}

cuframes_color cuframes_frame_color(const cuframes_frame *frame) {
  return frame ? frame->body->format->color : (cuframes_color){ 0 };
}

const cuframes_format *cuframes_frame_format(const cuframes_frame *frame) {
  return frame ? frame->body->format : NULL;
}

uint64_t cuframes_frame_seq(const cuframes_frame *frame) {
  return frame ? frame->body->seq : 0;
}

int64_t cuframes_frame_pts(const cuframes_frame *frame) {
  return frame ? frame->body->pts : CUFRAMES_NO_TIME;
}

int64_t cuframes_frame_duration(const cuframes_frame *frame) {
  return frame ? frame->body->duration : 0;
}

int64_t cuframes_frame_timestamp(const cuframes_frame *frame) {
  return frame ? frame->body->timestamp : CUFRAMES_NO_TIME;
}

int64_t cuframes_frame_capture_time(const cuframes_frame *frame) {
  return frame && frame->body->capture_time != 0 ? frame->body->capture_time : CUFRAMES_NO_TIME;
}

uint32_t cuframes_frame_flags(const cuframes_frame *frame) {
  return frame ? frame->body->flags : 0;
}

const char *cuframes_frame_device(const cuframes_frame *frame) {
  return frame ? frame->body->device->name : NULL;
}

static int not_ours(const cuframes_frame *frame) {
  (void)cf_process_check(frame->maker, "frame"); /* for its sentence */
  return CUFRAMES_ERR_INVALID;
}

int cuframes_frame_identify(const cuframes_frame *frame, cuframes_frame_id *id) {
  if (!frame || frame->body->seq == 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_frame_identify: the frame was not published yet, or none is given");
  cuframes_frame_id found = { .seq = frame->body->seq, .pts = frame->body->pts };
  frame->body->ops->identify(frame->body, &found);
  return cf_stats_give(id, &found, sizeof found, "cuframes_frame_id");
}

int cuframes_frame_wait(const cuframes_frame *frame, int64_t timeout_ns) {
  if (!frame || frame->body->state != CF_FRAME_LEASED)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_frame_wait: not a frame that a subscriber holds");
  if (!cf_process_is(frame->maker))
    return not_ours(frame);
  return frame->body->ops->wait(frame->body, cf_deadline(timeout_ns));
}

/* The plane's rows on the device, and what a copy between it and host memory of that pitch must move. */
__attribute__((hot)) static int plane_rows(const cuframes_frame *frame, int plane, const void *host, size_t *host_pitch,
                                           cf_rows *rows, uint32_t *row_bytes, uint32_t *count) {
  if (frame && !cf_process_is(frame->maker))
    return not_ours(frame);
  const cuframes_format *format = frame ? frame->body->format : NULL;
  if (!format || !host || !cf_format_plane(format, plane, row_bytes, count))
    return cf_fail(CUFRAMES_ERR_INVALID, "copying plane %d: no such plane, or no memory given", plane);
  if (*host_pitch == 0)
    *host_pitch = *row_bytes;
  if (*host_pitch < *row_bytes)
    return cf_fail(CUFRAMES_ERR_INVALID, "a pitch of %zu bytes for rows of %u", *host_pitch, *row_bytes);
  *rows = (cf_rows){ frame->body->base + format->offset[plane], format->pitch[plane] };
  return CUFRAMES_OK;
}

static int not_open(void) {
  return cf_fail(CUFRAMES_ERR_INVALID, "only a publisher's open frame can be written");
}

int cuframes_frame_copy_to_host(const cuframes_frame *frame, int plane, void *dst, size_t dst_pitch) {
  cf_rows rows;
  uint32_t row_bytes, count;
  int result = plane_rows(frame, plane, dst, &dst_pitch, &rows, &row_bytes, &count);
  if (result == CUFRAMES_OK && frame->body->state == CF_FRAME_LEASED)
    result = frame->body->ops->wait(frame->body, CF_NEVER);
  if (result != CUFRAMES_OK)
    return result;
  return frame->body->device->ops->copy_to_host(frame->body->device, (cf_rows){ dst, dst_pitch }, rows, row_bytes,
                                                count);
}

/* Passes on what came of writing into a frame. */
static int written(cuframes_frame *frame, int result) {
  char detail[512];
  if (result != CUFRAMES_ERR_DEVICE || !frame->body->ops->look)
    return result;
  snprintf(detail, sizeof detail, "%s", cf_last_detail());
  frame->body->ops->look(frame->body);
  return cf_fail(result, "%s", detail);
}

int cuframes_frame_copy_from_host(cuframes_frame *frame, int plane, const void *src, size_t src_pitch) {
  cf_rows rows;
  uint32_t row_bytes, count;
  int result = plane_rows(frame, plane, src, &src_pitch, &rows, &row_bytes, &count);
  if (result != CUFRAMES_OK)
    return result;
  if (frame->body->state != CF_FRAME_OPEN)
    return not_open();
  result = frame->body->device->ops->copy_from_host(frame->body->device, rows, (cf_rows){ (void *)src, src_pitch },
                                                    row_bytes, count);
  return written(frame, result);
}

__attribute__((hot)) int cuframes_frame_copy_from_device(cuframes_frame *frame, int plane, const void *src,
                                                         size_t src_pitch, void *stream) {
  cf_rows rows;
  uint32_t row_bytes, count;
  int result = plane_rows(frame, plane, src, &src_pitch, &rows, &row_bytes, &count);
  if (result != CUFRAMES_OK)
    return result;
  if (frame->body->state != CF_FRAME_OPEN)
    return not_open();
  result = frame->body->device->ops->copy_on(frame->body->device, stream, rows, (cf_rows){ (void *)src, src_pitch },
                                             row_bytes, count);
  return written(frame, result);
}
