/* plugin.h - what the plugin consists of, and what its elements say alike. */
#ifndef CUFRAMES_GST_PLUGIN_H
#define CUFRAMES_GST_PLUGIN_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN(cf_gst_debug);

/* One function for each element, device provider and so on, which registers it: plugin.c calls them all. */
gboolean cf_gst_sink_register(GstPlugin *plugin);
gboolean cf_gst_src_register(GstPlugin *plugin);
gboolean cf_gst_packet_src_register(GstPlugin *plugin);
gboolean cf_gst_device_provider_register(GstPlugin *plugin);

/* An error message of the element, which ends its pipeline: the domain and code of GStreamer that come nearest to this
 * error of cuframes, `what` ("cannot publish 'cam'"), and what the call of this thread that failed said of it, with
 * the remedy. From any thread; not with a lock of the element held, for the application may be told at once. */
void cf_gst_element_error(GstElement *element, int error, const gchar *what);

/* For the option `log` of cuframes, with any object of GStreamer as log_user: into GStreamer's debug log. */
void cf_gst_log(void *user, int level, const char *line);

G_END_DECLS

#endif
