/* device_provider.c - see device_provider.h.
 *
 * A stream is a device once it has pictures. While somebody watches, a thread asks once a second which there are: a
 * publisher may die without a word, and tells nobody when it comes. */
#include "device_provider.h"

#include "format.h"
#include "plugin.h"

#define GST_CAT_DEFAULT cf_gst_debug

#define LOOK_EVERY G_TIME_SPAN_SECOND
#define ANSWER_WITHIN ((gint64)GST_SECOND)

/* ---- a device ---- */

struct _GstCuframesDevice {
  GstDevice parent;
  gchar *stream;
};

G_DEFINE_FINAL_TYPE(GstCuframesDevice, cf_gst_device, GST_TYPE_DEVICE)

static GstElement *create_element(GstDevice *device, const gchar *name) {
  GstElement *element = gst_element_factory_make("cuframessrc", name);
  if (element != NULL)
    g_object_set(element, "stream", CF_GST_DEVICE(device)->stream, NULL);
  return element;
}

static void device_finalize(GObject *object) {
  g_free(CF_GST_DEVICE(object)->stream);
  G_OBJECT_CLASS(cf_gst_device_parent_class)->finalize(object);
}

static void cf_gst_device_class_init(GstCuframesDeviceClass *class) {
  G_OBJECT_CLASS(class)->finalize = device_finalize;
  GST_DEVICE_CLASS(class)->create_element = create_element;
}

static void cf_gst_device_init(GstCuframesDevice *device) {
  device->stream = NULL;
}

/* A floating reference; NULL: a stream without pictures that GStreamer has. */
static GstDevice *device_of(const cuframes_stream_info *info) {
  cf_gst_picture picture = { .format = info->format, .fps_d = 1 };
  GstCaps *caps = cf_gst_caps_of_picture(&picture);
  if (caps == NULL)
    return NULL;
  gst_structure_remove_field(gst_caps_get_structure(caps, 0), "framerate"); /* which it does not promise */
  GstStructure *words = gst_structure_new("cuframes-device", "device.api", G_TYPE_STRING, "cuframes", "cuframes.stream",
                                          G_TYPE_STRING, info->name, "cuframes.description", G_TYPE_STRING,
                                          info->description, "cuframes.device", G_TYPE_STRING, info->device, NULL);
  GstCuframesDevice *device = g_object_new(CF_GST_TYPE_DEVICE, "display-name", info->name, "device-class",
                                           "Video/Source", "caps", caps, "properties", words, NULL);
  device->stream = g_strdup(info->name);
  gst_structure_free(words);
  gst_caps_unref(caps);
  return GST_DEVICE(device);
}

/* ---- the provider ---- */

struct _GstCuframesDeviceProvider {
  GstDeviceProvider parent;
  GThread *thread;
  GMutex lock;
  GCond wake;
  gboolean stopping; /* lock */
};

G_DEFINE_FINAL_TYPE(GstCuframesDeviceProvider, cf_gst_device_provider, GST_TYPE_DEVICE_PROVIDER)

/* All that there are now, floating. */
static GList *probe(GstDeviceProvider *provider) {
  cuframes_streams *streams = NULL;
  GList *devices = NULL;
  if (cuframes_stream_list(NULL, ANSWER_WITHIN, &streams) != CUFRAMES_OK) {
    GST_WARNING_OBJECT(provider, "%s", cuframes_last_error());
    return NULL;
  }
  for (gsize i = 0; i < streams->count; i++) {
    GstDevice *device = streams->entries[i]->info != NULL ? device_of(streams->entries[i]->info) : NULL;
    if (device != NULL)
      devices = g_list_prepend(devices, device);
  }
  cuframes_streams_free(streams);
  return g_list_reverse(devices);
}

static gboolean is_same(GstDevice *one, GstDevice *other) {
  GstCaps *a = gst_device_get_caps(one), *b = gst_device_get_caps(other);
  const gboolean same =
      g_str_equal(CF_GST_DEVICE(one)->stream, CF_GST_DEVICE(other)->stream) && gst_caps_is_equal(a, b);
  gst_caps_unref(a);
  gst_caps_unref(b);
  return same;
}

static gboolean is_in(GList *devices, GstDevice *device) {
  for (; devices != NULL; devices = devices->next)
    if (is_same(devices->data, device))
      return TRUE;
  return FALSE;
}

/* Those that have gone, or have other pictures, and then those that have come. */
static void look(GstDeviceProvider *provider) {
  GList *now = probe(provider);
  GST_OBJECT_LOCK(provider);
  GList *known = g_list_copy_deep(provider->devices, (GCopyFunc)(gpointer)gst_object_ref, NULL);
  GST_OBJECT_UNLOCK(provider);
  for (GList *at = known; at != NULL; at = at->next)
    if (!is_in(now, at->data))
      gst_device_provider_device_remove(provider, at->data);
  for (GList *at = now; at != NULL; at = at->next) {
    if (!is_in(known, at->data))
      gst_device_provider_device_add(provider, gst_object_ref(at->data));
    gst_object_unref(at->data);
  }
  g_list_free_full(known, gst_object_unref);
  g_list_free(now);
}

static gpointer watch(gpointer data) {
  GstCuframesDeviceProvider *provider = data;
  gint64 at = g_get_monotonic_time();
  g_mutex_lock(&provider->lock);
  while (!provider->stopping) {
    at += LOOK_EVERY;
    while (!provider->stopping && g_cond_wait_until(&provider->wake, &provider->lock, at))
      ;
    const gboolean stopping = provider->stopping;
    g_mutex_unlock(&provider->lock);
    if (!stopping)
      look(GST_DEVICE_PROVIDER(provider));
    at = MAX(at, g_get_monotonic_time() - LOOK_EVERY);
    g_mutex_lock(&provider->lock);
  }
  g_mutex_unlock(&provider->lock);
  return NULL;
}

static gboolean start(GstDeviceProvider *base) {
  GstCuframesDeviceProvider *provider = CF_GST_DEVICE_PROVIDER(base);
  provider->stopping = FALSE;
  look(base);
  provider->thread = g_thread_new("cuframes-devices", watch, provider);
  return TRUE;
}

static void stop(GstDeviceProvider *base) {
  GstCuframesDeviceProvider *provider = CF_GST_DEVICE_PROVIDER(base);
  g_mutex_lock(&provider->lock);
  provider->stopping = TRUE;
  g_cond_broadcast(&provider->wake);
  g_mutex_unlock(&provider->lock);
  (void)g_thread_join(provider->thread);
  provider->thread = NULL;
}

static void finalize(GObject *object) {
  GstCuframesDeviceProvider *provider = CF_GST_DEVICE_PROVIDER(object);
  g_mutex_clear(&provider->lock);
  g_cond_clear(&provider->wake);
  G_OBJECT_CLASS(cf_gst_device_provider_parent_class)->finalize(object);
}

static void cf_gst_device_provider_class_init(GstCuframesDeviceProviderClass *class) {
  GstDeviceProviderClass *provider_class = GST_DEVICE_PROVIDER_CLASS(class);
  G_OBJECT_CLASS(class)->finalize = finalize;
  provider_class->probe = probe;
  provider_class->start = start;
  provider_class->stop = stop;
  gst_device_provider_class_set_static_metadata(provider_class, "cuframes streams", "Source/Video",
                                                "Lists the streams that processes of this machine publish",
                                                "The cuframes authors");
}

static void cf_gst_device_provider_init(GstCuframesDeviceProvider *provider) {
  g_mutex_init(&provider->lock);
  g_cond_init(&provider->wake);
}

gboolean cf_gst_device_provider_register(GstPlugin *plugin) {
  return gst_device_provider_register(plugin, "cuframesdeviceprovider", GST_RANK_PRIMARY, CF_GST_TYPE_DEVICE_PROVIDER);
}
