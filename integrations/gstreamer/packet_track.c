/* packet_track.c - see packet_track.h. */
#include "packet_track.h"

#include <string.h>

#include "codec.h"
#include "parameter_sets.h"

void cf_gst_track_clear(cf_gst_track *track) {
  gst_clear_caps(&track->caps);
  g_clear_pointer(&track->sets, g_byte_array_unref);
  *track = (cf_gst_track){ .pad = NULL };
}

/* Of a byte stream, which caps cannot say. */
static GByteArray *sets_of(const cuframes_codec_params *params, const guint8 *extradata, gsize size) {
  const gboolean is_stream = size >= 4 && extradata[0] == 0 && cf_gst_has_parameter_sets(params->codec);
  return is_stream ? g_byte_array_append(g_byte_array_new(), extradata, (guint)size) : NULL;
}

int cf_gst_track_ask(cf_gst_track *track, cuframes_subscriber *subscriber, guint number, gboolean *changed) {
  cuframes_codec_params params = { .struct_size = sizeof params };
  const void *extradata = NULL;
  size_t size = 0;
  *changed = FALSE;
  const int error = cuframes_subscriber_get_codec_params(subscriber, number, &params, &extradata, &size);
  if (error != CUFRAMES_OK)
    return error;
  GstCaps *caps = cf_gst_caps_of_params(&params, extradata, size);
  track->ask_again = FALSE;
  track->unknown = caps == NULL;
  track->media_type = params.media_type;
  g_strlcpy(track->codec, params.codec, sizeof track->codec);
  g_clear_pointer(&track->sets, g_byte_array_unref);
  track->sets = sets_of(&params, extradata, size);
  *changed = caps != NULL && (track->caps == NULL || !gst_caps_is_equal(caps, track->caps));
  gst_clear_caps(&track->caps);
  track->caps = caps;
  return CUFRAMES_OK;
}

static void release(gpointer packet) {
  cuframes_packet_release(packet);
}

/* Whether the keyframe has no sets of its own, and needs some. */
static gboolean lacks_sets(const cf_gst_track *track, gconstpointer data, gsize size) {
  if (track->sets == NULL)
    return FALSE;
  GByteArray *own = cf_gst_parameter_sets(track->codec, data, size);
  const gboolean lacks = own->len == 0;
  g_byte_array_unref(own);
  return lacks;
}

GstBuffer *cf_gst_track_buffer(cf_gst_track *track, cuframes_packet *packet) {
  const guint32 flags = cuframes_packet_flags(packet);
  const gsize size = cuframes_packet_size(packet);
  gpointer data = (gpointer)cuframes_packet_data(packet);
  const gboolean is_key = (flags & CUFRAMES_PACKET_KEY) != 0;
  const gint64 duration = cuframes_packet_duration(packet);
  GstBuffer *buffer = gst_buffer_new();
  if (is_key && lacks_sets(track, data, size))
    gst_buffer_append_memory(buffer,
                             gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, track->sets->data, track->sets->len, 0,
                                                    track->sets->len, g_byte_array_ref(track->sets),
                                                    (GDestroyNotify)g_byte_array_unref));
  GST_BUFFER_OFFSET(buffer) = cuframes_packet_seq(packet);
  if (duration > 0)
    GST_BUFFER_DURATION(buffer) = (GstClockTime)duration;
  if (!is_key && track->media_type == CUFRAMES_MEDIA_VIDEO)
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  if (flags & CUFRAMES_PACKET_CORRUPT)
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_CORRUPTED);
  if (flags & CUFRAMES_PACKET_HIDDEN)
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DECODE_ONLY);
  if (flags & CUFRAMES_PACKET_DISPOSABLE)
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DROPPABLE);
  if (track->discont)
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  track->discont = FALSE;
  gst_buffer_append_memory(buffer,
                           gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, data, size, 0, size, packet, release));
  return buffer;
}
