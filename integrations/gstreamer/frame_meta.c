/* frame_meta.c - see frame_meta.h. */
#include "frame_meta.h"

#include <string.h>

#include <gst/video/video-anc.h>
#include <gst/video/video-sei.h>

#include "side.h"

#define NTP_TO_UNIX (G_GUINT64_CONSTANT(2208988800) * GST_SECOND) /* from 1900 to 1970 */
#define UUID_BYTES 16

gint64 cf_gst_capture_time(GstBuffer *buffer) {
  gpointer state = NULL;
  GstMeta *meta;
  while ((meta = gst_buffer_iterate_meta_filtered(buffer, &state, GST_REFERENCE_TIMESTAMP_META_API_TYPE))) {
    const GstReferenceTimestampMeta *reference = (GstReferenceTimestampMeta *)meta;
    const GstStructure *words = gst_caps_get_structure(reference->reference, 0);
    if (gst_structure_has_name(words, "timestamp/x-unix") && reference->timestamp <= G_MAXINT64)
      return (gint64)reference->timestamp;
    if (gst_structure_has_name(words, "timestamp/x-ntp") && reference->timestamp >= NTP_TO_UNIX &&
        reference->timestamp != GST_CLOCK_TIME_NONE)
      return (gint64)(reference->timestamp - NTP_TO_UNIX);
  }
  return CUFRAMES_NO_TIME;
}

static gboolean add(cuframes_frame *frame, guint32 type, gconstpointer data, gsize size) {
  return cuframes_frame_add_side_data(frame, type, data, size) != CUFRAMES_ERR_NO_CAPACITY;
}

static gboolean add_user_data(cuframes_frame *frame, const GstVideoSEIUserDataUnregisteredMeta *meta) {
  GByteArray *bytes = g_byte_array_sized_new((guint)(UUID_BYTES + meta->size));
  g_byte_array_append(bytes, meta->uuid, UUID_BYTES);
  g_byte_array_append(bytes, meta->data, (guint)meta->size);
  const gboolean added = add(frame, CUFRAMES_SIDE_DATA_SEI_USER_DATA, bytes->data, bytes->len);
  g_byte_array_unref(bytes);
  return added;
}

/* What a cuframessrc had no other meta for. */
static gboolean add_own(cuframes_frame *frame, GstCustomMeta *meta) {
  guint type = 0;
  GBytes *bytes = NULL;
  gsize size = 0;
  gboolean added = TRUE;
  if (gst_structure_get(gst_custom_meta_get_structure(meta), "type", G_TYPE_UINT, &type, "data", G_TYPE_BYTES, &bytes,
                        NULL)) {
    gconstpointer data = g_bytes_get_data(bytes, &size);
    added = add(frame, type, data, size);
    g_bytes_unref(bytes);
  }
  return added;
}

static gboolean add_meta(cuframes_frame *frame, GstMeta *meta) {
  if (gst_meta_info_is_custom(meta->info) && gst_custom_meta_has_name((GstCustomMeta *)meta, CF_GST_SIDE_META))
    return add_own(frame, (GstCustomMeta *)meta);
  if (meta->info->api == GST_VIDEO_SEI_USER_DATA_UNREGISTERED_META_API_TYPE)
    return add_user_data(frame, (GstVideoSEIUserDataUnregisteredMeta *)meta);
  if (meta->info->api != GST_VIDEO_CAPTION_META_API_TYPE)
    return TRUE;
  const GstVideoCaptionMeta *captions = (GstVideoCaptionMeta *)meta;
  return captions->caption_type != GST_VIDEO_CAPTION_TYPE_CEA708_RAW ||
         add(frame, CUFRAMES_SIDE_DATA_A53_CAPTIONS, captions->data, captions->size);
}

gboolean cf_gst_add_side_data(cuframes_frame *frame, GstBuffer *buffer, const cf_gst_picture *picture) {
  static const cuframes_mastering_display no_display;
  static const cuframes_content_light no_light;
  gpointer state = NULL;
  GstMeta *meta;
  gboolean all = TRUE;
  while ((meta = gst_buffer_iterate_meta(buffer, &state)))
    all &= add_meta(frame, meta);
  if (memcmp(&picture->display, &no_display, sizeof no_display) != 0)
    all &= add(frame, CUFRAMES_SIDE_DATA_MASTERING_DISPLAY, &picture->display, sizeof picture->display);
  if (memcmp(&picture->light, &no_light, sizeof no_light) != 0)
    all &= add(frame, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &picture->light, sizeof picture->light);
  return all;
}
