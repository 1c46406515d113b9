/* format.h - pictures in GStreamer's words and in those of cuframes: caps, strides, fields, orientation.
 *
 * What GStreamer has no word for is lost on the way into caps, and is not said when it comes back: chroma at the
 * bottom, primaries and transfers that are none of its own; matrix 5 becomes 6, which is the same. Where caps must say
 * a matrix, a range or a colour and the frame does not, they say what GStreamer's elements would take for it. All
 * functions may be called from any thread, and none of them waits. */
#ifndef CUFRAMES_GST_FORMAT_H
#define CUFRAMES_GST_FORMAT_H

#include <gst/gst.h>
#include <gst/video/video.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

/* The formats that a source gives, and those that a sink takes: a plane may have to change its place (YV12, GBR). */
#define CF_GST_FORMATS_SRC                                                                                             \
  "{ NV12, I420, P010_10LE, I420_10LE, I422_10LE, Y42B, Y444, YUY2, UYVY, RGBA, BGRA, RGB, BGR, RGBP, GRAY8, "         \
  "GRAY16_LE }"
#define CF_GST_FORMATS_SINK                                                                                            \
  "{ NV12, I420, YV12, P010_10LE, I420_10LE, I422_10LE, Y42B, Y444, YUY2, UYVY, RGBA, BGRA, RGB, BGR, RGBP, BGRP, "    \
  "GBR, GRAY8, GRAY16_LE }"

/* Caps of a pad template, of system memory or of memory with such a feature. Two fields in one buffer, one below the
 * other, and buffers of one field each are no picture here. */
#define CF_GST_CAPS(formats) GST_VIDEO_CAPS_MAKE(formats) ", interlace-mode = (string) " CF_GST_INTERLACE
#define CF_GST_CAPS_FEATURE(feature, formats)                                                                          \
  GST_VIDEO_CAPS_MAKE_WITH_FEATURES(feature, formats) ", interlace-mode = (string) " CF_GST_INTERLACE
#define CF_GST_INTERLACE "{ progressive, interleaved, mixed }"

/* What caps say of pictures; what is not said is 0. There is no padding, so that two compare by memcmp(). */
typedef struct cf_gst_picture {
  cuframes_format format;             /* orientation: not said, which is a tag's; no pitches, no offsets */
  gint32 fps_n, fps_d;                /* 0 and 1: not said, or it varies */
  cuframes_mastering_display display; /* all 0: not said */
  cuframes_content_light light;       /* likewise */
  guint32 reserved;                   /* 0 */
} cf_gst_picture;

/* CUFRAMES_PIXEL_NONE: cuframes has none like it. */
guint32 cf_gst_pixel_format(GstVideoFormat format);
/* GST_VIDEO_FORMAT_UNKNOWN: GStreamer has none like it, as for a tensor. */
GstVideoFormat cf_gst_video_format(guint32 pixel_format);
/* Which plane of GStreamer's format holds what is plane `plane` of the pixel format that it is mapped to. */
gint cf_gst_plane(GstVideoFormat format, gint plane);

/* What fixed caps say, whatever their features. FALSE: pictures that cuframes has none like, or a size that it cannot
 * have; *picture is untouched. */
gboolean cf_gst_picture_of_caps(const GstCaps *caps, cf_gst_picture *picture);
/* New caps of system memory: the caller's. NULL: GStreamer has no pictures of this format. */
GstCaps *cf_gst_caps_of_picture(const cf_gst_picture *picture);

/* The words alone, for caps of encoded pictures: colour, fields, the shape of a pixel, light. Nothing that is not said
 * is added; where caps say nothing of one it is 0. *picture is written as a whole. */
void cf_gst_add_words(const cf_gst_picture *picture, GstCaps *caps);
void cf_gst_take_words(const GstCaps *caps, cf_gst_picture *picture);

/* The rate of frames that last so long, ns: a common one if it is close to that. 0 and 1 for 0. */
void cf_gst_rate_of_duration(gint64 duration, gint32 *fps_n, gint32 *fps_d);

/* GstVideoInfo for frames of this format, with its own strides and offsets, which count from `base` bytes behind the
 * start of the frame, and the size that is left from there to the end of the last plane. FALSE as above, or if a stride
 * or size does not fit. */
gboolean cf_gst_info_of_format(const cuframes_format *format, guint64 base, GstVideoInfo *info);
/* Where the first byte of the first plane is, in bytes from the start of the frame. */
guint64 cf_gst_base(const cuframes_format *format);

/* enum cuframes_field_order of a buffer with such caps, and the flags that a buffer gets for it. */
guint8 cf_gst_fields_of_buffer(const GstVideoInfo *info, GstBuffer *buffer);
guint cf_gst_field_flags(guint8 field_order);

/* The value of GST_TAG_IMAGE_ORIENTATION, static; NULL: not said. */
const gchar *cf_gst_orientation_tag(guint8 orientation);
/* enum cuframes_orientation; NOT_SAID for NULL and for what is none of its values. */
guint8 cf_gst_orientation_of_tag(const gchar *value);

/* Mastering display and content light in both words; all 0: not said. */
cuframes_mastering_display cf_gst_display(const GstVideoMasteringDisplayInfo *from);
void cf_gst_display_back(const cuframes_mastering_display *from, GstVideoMasteringDisplayInfo *to);

G_END_DECLS

#endif
