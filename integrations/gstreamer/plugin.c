/* plugin.c - the plugin's entry, and how errors and log lines of cuframes become GStreamer's. */
#include "plugin.h"

#include "side.h"

GST_DEBUG_CATEGORY(cf_gst_debug);
#define GST_CAT_DEFAULT cf_gst_debug

static gboolean (*const features[])(GstPlugin *) = {
  cf_gst_sink_register,
  cf_gst_src_register,
  cf_gst_packet_src_register,
  cf_gst_device_provider_register,
};

/* ---- errors ---- */

/* What an application that knows GStreamer, and not cuframes, can tell apart. */
static const struct {
  GQuark (*domain)(void);
  int error;
  gint code;
} known[] = {
  { gst_library_error_quark, CUFRAMES_ERR_INVALID, GST_LIBRARY_ERROR_SETTINGS },
  { gst_resource_error_quark, CUFRAMES_ERR_NO_MEMORY, GST_RESOURCE_ERROR_NO_SPACE_LEFT },
  { gst_library_error_quark, CUFRAMES_ERR_NAME, GST_LIBRARY_ERROR_SETTINGS },
  { gst_resource_error_quark, CUFRAMES_ERR_NAME_IN_USE, GST_RESOURCE_ERROR_BUSY },
  { gst_resource_error_quark, CUFRAMES_ERR_NO_SUCH_STREAM, GST_RESOURCE_ERROR_NOT_FOUND },
  { gst_resource_error_quark, CUFRAMES_ERR_DIRECTORY, GST_RESOURCE_ERROR_NOT_FOUND },
  { gst_resource_error_quark, CUFRAMES_ERR_PERMISSION, GST_RESOURCE_ERROR_NOT_AUTHORIZED },
  { gst_resource_error_quark, CUFRAMES_ERR_TIMEOUT, GST_RESOURCE_ERROR_FAILED },
  { gst_resource_error_quark, CUFRAMES_ERR_PUBLISHER_GONE, GST_RESOURCE_ERROR_READ },
  { gst_resource_error_quark, CUFRAMES_ERR_EVICTED, GST_RESOURCE_ERROR_READ },
  { gst_resource_error_quark, CUFRAMES_ERR_NO_CAPACITY, GST_RESOURCE_ERROR_NO_SPACE_LEFT },
  { gst_library_error_quark, CUFRAMES_ERR_VERSION, GST_LIBRARY_ERROR_INIT },
  { gst_stream_error_quark, CUFRAMES_ERR_FORMAT, GST_STREAM_ERROR_FORMAT },
  { gst_resource_error_quark, CUFRAMES_ERR_NO_PACKET_RING, GST_RESOURCE_ERROR_NOT_FOUND },
  { gst_library_error_quark, CUFRAMES_ERR_DEVICE, GST_LIBRARY_ERROR_FAILED },
  { gst_stream_error_quark, CUFRAMES_ERR_UNSUPPORTED, GST_STREAM_ERROR_NOT_IMPLEMENTED },
};

void cf_gst_element_error(GstElement *element, int error, const gchar *what) {
  GQuark domain = GST_RESOURCE_ERROR;
  gint code = GST_RESOURCE_ERROR_FAILED;
  for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
    if (known[i].error == error) {
      domain = known[i].domain();
      code = known[i].code;
    }
  const gchar *detail = cuframes_last_error();
  gchar *text = g_strdup_printf("%s: %s", what, *detail ? detail : cuframes_strerror(error));
  gchar *debug = g_strdup_printf("%s (cuframes %s: error %d)", cuframes_strerror(error), cuframes_version(), error);
  gst_element_message_full(element, GST_MESSAGE_ERROR, domain, code, text, debug, __FILE__, GST_FUNCTION, __LINE__);
}

void cf_gst_log(void *user, int level, const char *line) {
  static const GstDebugLevel levels[] = {
    [CUFRAMES_LOG_ERROR] = GST_LEVEL_ERROR,
    [CUFRAMES_LOG_WARNING] = GST_LEVEL_WARNING,
    [CUFRAMES_LOG_INFO] = GST_LEVEL_INFO,
    [CUFRAMES_LOG_DEBUG] = GST_LEVEL_DEBUG,
  };
  const GstDebugLevel as = level > 0 && level < (int)G_N_ELEMENTS(levels) ? levels[level] : GST_LEVEL_DEBUG;
  GST_CAT_LEVEL_LOG(cf_gst_debug, as, user, "%s", line);
}

/* ---- the plugin ---- */

static gboolean plugin_init(GstPlugin *plugin) {
  GST_DEBUG_CATEGORY_INIT(cf_gst_debug, "cuframes", 0, "streams of video frames and packets between processes");
  cf_gst_side_register();
  gboolean any = FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS(features); i++)
    any |= features[i](plugin);
  return any;
}

#define PACKAGE "cuframes"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, cuframes,
                  "Video frames and packets shared between processes, decoded once", plugin_init, CF_GST_VERSION,
                  "MIT/X11", PACKAGE, "cuframes")
