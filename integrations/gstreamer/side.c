/* side.c - see side.h. */
#include "side.h"

#include <string.h>

#define UUID_BYTES 16

void cf_gst_side_register(void) {
  static const gchar *no_tags[] = { NULL }; /* it stays true whatever becomes of the picture */
  if (gst_meta_get_info(CF_GST_SIDE_META) == NULL)
    (void)gst_meta_register_custom(CF_GST_SIDE_META, no_tags, NULL, NULL, NULL);
}

static void add_custom(GstBuffer *buffer, guint type, gconstpointer data, gsize size) {
  GstCustomMeta *meta = gst_buffer_add_custom_meta(buffer, CF_GST_SIDE_META);
  GBytes *bytes = g_bytes_new(data, size);
  gst_structure_set(gst_custom_meta_get_structure(meta), "type", G_TYPE_UINT, type, "data", G_TYPE_BYTES, bytes, NULL);
  g_bytes_unref(bytes);
}

static void add(GstBuffer *buffer, guint32 type, gconstpointer data, gsize size) {
  switch (type) {
    case CUFRAMES_SIDE_DATA_A53_CAPTIONS:
      if (size > 0)
        gst_buffer_add_video_caption_meta(buffer, GST_VIDEO_CAPTION_TYPE_CEA708_RAW, data, size);
      break;
    case CUFRAMES_SIDE_DATA_SEI_USER_DATA: {
      guint8 uuid[UUID_BYTES];
      if (size <= UUID_BYTES)
        break;
      memcpy(uuid, data, UUID_BYTES);
      gst_buffer_add_video_sei_user_data_unregistered_meta(buffer, uuid, (guint8 *)data + UUID_BYTES,
                                                           size - UUID_BYTES);
      break;
    }
    case CUFRAMES_SIDE_DATA_MASTERING_DISPLAY:
    case CUFRAMES_SIDE_DATA_CONTENT_LIGHT: break;
    default: add_custom(buffer, type, data, size);
  }
}

void cf_gst_side_add(const cuframes_frame *frame, GstBuffer *buffer) {
  const gint64 taken = cuframes_frame_capture_time(frame);
  guint32 type = 0;
  gsize size = 0;
  gconstpointer data;
  for (guint32 i = 0; (data = cuframes_frame_side_data_at(frame, i, &type, &size)) != NULL; i++)
    add(buffer, type, data, size);
  if (taken != CUFRAMES_NO_TIME && taken >= 0) {
    GstCaps *caps = gst_caps_new_empty_simple(CF_GST_CAPTURE_CAPS);
    gst_buffer_add_reference_timestamp_meta(buffer, caps, (GstClockTime)taken, GST_CLOCK_TIME_NONE);
    gst_caps_unref(caps);
  }
}

void cf_gst_side_light(const cuframes_frame *frame, cf_gst_picture *picture) {
  gsize size = 0;
  gconstpointer data = cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_MASTERING_DISPLAY, &size);
  if (data != NULL && size >= sizeof picture->display)
    memcpy(&picture->display, data, sizeof picture->display);
  data = cuframes_frame_side_data(frame, CUFRAMES_SIDE_DATA_CONTENT_LIGHT, &size);
  if (data != NULL && size >= sizeof picture->light)
    memcpy(&picture->light, data, sizeof picture->light);
}
