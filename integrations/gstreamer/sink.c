/* sink.c - see sink.h: the element, its properties and its pads. */
#include "sink.h"

#include "plugin.h"
#include "settings.h"

#define GST_CAT_DEFAULT cf_gst_debug

enum { PROPERTY_NONE, PROPERTY_STATS, PROPERTY_SETTINGS };

struct _GstCuframesSink {
  GstBin parent;
  cf_gst_settings settings; /* object lock */
};

G_DEFINE_FINAL_TYPE(GstCuframesSink, cf_gst_sink, GST_TYPE_BIN)

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
  GstCuframesSink *sink = CF_GST_SINK(object);
  if (id < PROPERTY_SETTINGS) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    return;
  }
  GST_OBJECT_LOCK(sink);
  cf_gst_settings_set(&sink->settings, pspec, value);
  GST_OBJECT_UNLOCK(sink);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  GstCuframesSink *sink = CF_GST_SINK(object);
  if (id < PROPERTY_SETTINGS) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    return;
  }
  GST_OBJECT_LOCK(sink);
  cf_gst_settings_get(&sink->settings, pspec, value);
  GST_OBJECT_UNLOCK(sink);
}

static void finalize(GObject *object) {
  cf_gst_settings_clear(&CF_GST_SINK(object)->settings);
  G_OBJECT_CLASS(cf_gst_sink_parent_class)->finalize(object);
}

static void cf_gst_sink_class_init(GstCuframesSinkClass *class) {
  GObjectClass *object_class = G_OBJECT_CLASS(class);
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  cf_gst_settings_install(object_class, PROPERTY_SETTINGS);
  gst_element_class_set_static_metadata(GST_ELEMENT_CLASS(class), "cuframes sink", "Sink/Video",
                                        "Publishes frames, and packets beside them, for any number of processes",
                                        "The cuframes authors");
}

static void cf_gst_sink_init(GstCuframesSink *sink) {
  cf_gst_settings_init(&sink->settings);
}

gboolean cf_gst_sink_register(GstPlugin *plugin) {
  return gst_element_register(plugin, "cuframessink", GST_RANK_NONE, CF_GST_TYPE_SINK);
}
