/* reader.c - see reader.h. */
#include "reader.h"

#include "gpu.h"
#include "plugin.h"

#define GST_CAT_DEFAULT cf_gst_debug

#define DEFAULT_LEASES 16 /* queues of a pipeline keep some frames each */
#define DEFAULT_DEPTH 4
#define LEASE_WAIT (2 * GST_MSECOND)  /* for a lease that a GPU still uses */
#define LOOK_FIRST (10 * GST_MSECOND) /* between looks for a name; each pause is twice the one before */
#define LOOK_LEAST (250 * GST_MSECOND)

/* ---- properties ---- */

static GType mode_type(void) {
  static const GEnumValue values[] = {
    { CUFRAMES_MODE_NEWEST, "Always the newest frame; those that come too fast are skipped", "newest" },
    { CUFRAMES_MODE_ORDERED, "Every frame in its order; the publisher says what happens to who is too slow",
      "ordered" },
    { 0, NULL, NULL },
  };
  static gsize type;
  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstCuframesMode", values));
  return type;
}

static GType sync_type(void) {
  static const GEnumValue values[] = {
    { CUFRAMES_SYNC_COMPLETE, "Frames come when the GPU has completed them", "complete" },
    { CUFRAMES_SYNC_TIMELINE, "Frames come when they are submitted, and this GPU's stream waits", "timeline" },
    { CUFRAMES_SYNC_SLOT_EVENTS, "Likewise by events, for drivers without 64-bit stream operations", "slot-events" },
    { 0, NULL, NULL },
  };
  static gsize type;
  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstCuframesSync", values));
  return type;
}

static GType start_type(void) {
  static const GEnumValue values[] = {
    { CUFRAMES_PACKETS_FROM_KEYFRAME, "With the last keyframe that there is", "keyframe" },
    { CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME, "With the next keyframe to come", "next" },
    { CUFRAMES_PACKETS_FROM_OLDEST, "With the oldest packet that there is", "oldest" },
    { 0, NULL, NULL },
  };
  static gsize type;
  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstCuframesStart", values));
  return type;
}

void cf_gst_reader_install(GObjectClass *object_class, guint first, gboolean packets) {
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  GParamSpec *specs[] = {
    g_param_spec_string("stream", "Stream", "Name of the stream, as `cuframes list` shows it", NULL, flags),
    g_param_spec_string("directory", "Runtime directory",
                        "Where streams are found (default: as all of cuframes finds it)", NULL, flags),
    g_param_spec_string("label", "Label", "Shown by `cuframes info` (default: the program's name)", NULL, flags),
    g_param_spec_boolean("reconnect", "Reconnect",
                         "When the publisher goes, wait for the stream to come back, instead of ending", FALSE, flags),
    g_param_spec_int64("connect-timeout", "Timeout of joining",
                       "How long to wait for the stream to appear (ns; 0: not at all, -1: for ever)", -1, G_MAXINT64, 0,
                       flags),
    g_param_spec_uint64("timeout", "Timeout",
                        packets ? "After so long without a packet it is an error (ns; 0: never)"
                                : "After so long without a frame it is an error (ns; 0: never)",
                        0, G_MAXINT64, 0, flags),
    packets ? g_param_spec_enum("start", "Start", "Where packets begin", start_type(), CUFRAMES_PACKETS_FROM_KEYFRAME,
                                flags)
            : g_param_spec_enum("mode", "Mode", "Which frames", mode_type(), CUFRAMES_MODE_NEWEST, flags),
    packets
        ? NULL
        : g_param_spec_string("device", "Device",
                              "host: refuse a stream on a GPU; cuda, cuda:NUMBER, cuda:GPU-UUID: refuse one in host "
                              "memory, and map it for that GPU (default: where the stream is)",
                              NULL, flags),
    packets ? NULL
            : g_param_spec_uint("leases", "Leases",
                                "Frames that the pipeline may hold where they lie; beyond all but one they are copied",
                                2, 64, DEFAULT_LEASES, flags),
    packets ? NULL
            : g_param_spec_uint("depth", "Depth", "Ordered: frames that may wait for this element", 1, 256,
                                DEFAULT_DEPTH, flags),
    packets ? NULL
            : g_param_spec_enum("sync-mode", "Sync mode", "When frames of a GPU come", sync_type(),
                                CUFRAMES_SYNC_COMPLETE, flags),
  };
  for (gsize i = 0; i < G_N_ELEMENTS(specs); i++)
    if (specs[i] != NULL)
      g_object_class_install_property(object_class, first++, specs[i]);
  if (packets)
    gst_type_mark_as_plugin_api(start_type(), 0);
  else {
    gst_type_mark_as_plugin_api(mode_type(), 0);
    gst_type_mark_as_plugin_api(sync_type(), 0);
  }
}

void cf_gst_reader_init(cf_gst_reader *reader, GstElement *element) {
  *reader = (cf_gst_reader){ .element = element,
                             .leases = DEFAULT_LEASES,
                             .depth = DEFAULT_DEPTH,
                             .mode = CUFRAMES_MODE_NEWEST,
                             .sync = CUFRAMES_SYNC_COMPLETE };
  g_mutex_init(&reader->use);
  g_mutex_init(&reader->lock);
  g_cond_init(&reader->wake);
}

void cf_gst_reader_clear(cf_gst_reader *reader) {
  g_free(reader->stream);
  g_free(reader->directory);
  g_free(reader->label);
  g_free(reader->device);
  g_mutex_clear(&reader->use);
  g_mutex_clear(&reader->lock);
  g_cond_clear(&reader->wake);
}

/* The field of a property. */
static gpointer field(cf_gst_reader *reader, const gchar *name) {
  const struct {
    const gchar *name;
    gpointer field;
  } fields[] = {
    { "stream", &reader->stream },   { "directory", &reader->directory },
    { "label", &reader->label },     { "device", &reader->device },
    { "leases", &reader->leases },   { "depth", &reader->depth },
    { "mode", &reader->mode },       { "sync-mode", &reader->sync },
    { "start", &reader->start },     { "reconnect", &reader->reconnect },
    { "timeout", &reader->timeout }, { "connect-timeout", &reader->connect_timeout },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
    if (g_str_equal(fields[i].name, name))
      return fields[i].field;
  return NULL;
}

void cf_gst_reader_set(cf_gst_reader *reader, const GParamSpec *pspec, const GValue *value) {
  gpointer to = field(reader, pspec->name);
  GST_OBJECT_LOCK(reader->element);
  if (G_VALUE_HOLDS_STRING(value)) {
    g_free(*(gchar **)to);
    *(gchar **)to = g_value_dup_string(value);
  } else if (G_VALUE_HOLDS_ENUM(value))
    *(gint *)to = g_value_get_enum(value);
  else if (G_VALUE_HOLDS_BOOLEAN(value))
    *(gboolean *)to = g_value_get_boolean(value);
  else if (G_VALUE_HOLDS_UINT(value))
    *(guint *)to = g_value_get_uint(value);
  else if (G_VALUE_HOLDS_INT64(value))
    *(gint64 *)to = g_value_get_int64(value);
  else
    *(guint64 *)to = g_value_get_uint64(value);
  GST_OBJECT_UNLOCK(reader->element);
}

void cf_gst_reader_get(cf_gst_reader *reader, const GParamSpec *pspec, GValue *value) {
  gconstpointer from = field(reader, pspec->name);
  GST_OBJECT_LOCK(reader->element);
  if (G_VALUE_HOLDS_STRING(value))
    g_value_set_string(value, *(gchar *const *)from);
  else if (G_VALUE_HOLDS_ENUM(value))
    g_value_set_enum(value, *(const gint *)from);
  else if (G_VALUE_HOLDS_BOOLEAN(value))
    g_value_set_boolean(value, *(const gboolean *)from);
  else if (G_VALUE_HOLDS_UINT(value))
    g_value_set_uint(value, *(const guint *)from);
  else if (G_VALUE_HOLDS_INT64(value))
    g_value_set_int64(value, *(const gint64 *)from);
  else
    g_value_set_uint64(value, *(const guint64 *)from);
  GST_OBJECT_UNLOCK(reader->element);
}

/* ---- flushing ---- */

void cf_gst_reader_set_flushing(cf_gst_reader *reader, guint why, gboolean flushing) {
  g_mutex_lock(&reader->lock);
  reader->flushing = flushing ? reader->flushing | why : reader->flushing & ~why;
  if (flushing && reader->subscriber != NULL)
    cuframes_subscriber_interrupt(reader->subscriber);
  g_cond_broadcast(&reader->wake);
  g_mutex_unlock(&reader->lock);
}

guint cf_gst_reader_is_flushing(cf_gst_reader *reader) {
  g_mutex_lock(&reader->lock);
  const guint flushing = reader->flushing;
  g_mutex_unlock(&reader->lock);
  return flushing;
}

gboolean cf_gst_reader_pause(cf_gst_reader *reader, gint64 ns) {
  const gint64 limit = g_get_monotonic_time() + ns / 1000;
  g_mutex_lock(&reader->lock);
  while (reader->flushing == 0 && g_cond_wait_until(&reader->wake, &reader->lock, limit))
    ;
  const gboolean flushing = reader->flushing != 0;
  g_mutex_unlock(&reader->lock);
  return !flushing;
}

/* ---- joining ---- */

/* What the library asks while it waits for a publisher's answer: a cuframes_interrupt_fn. */
static int gives_up(gpointer reader) {
  return cf_gst_reader_is_flushing(reader) != 0;
}

static gint64 limit_of(gint64 timeout) {
  const gint64 now = cuframes_now();
  return timeout < 0 || timeout > G_MAXINT64 - now ? G_MAXINT64 : now + timeout;
}

static gboolean may_appear(int error) {
  return error == CUFRAMES_ERR_NO_SUCH_STREAM || error == CUFRAMES_ERR_TIMEOUT;
}

int cf_gst_reader_ask(cf_gst_reader *reader, cuframes_stream_info **info) {
  GST_OBJECT_LOCK(reader->element);
  gchar *name = g_strdup(reader->stream != NULL ? reader->stream : "");
  gchar *directory = g_strdup(reader->directory);
  const gint64 limit = limit_of(reader->connect_timeout);
  GST_OBJECT_UNLOCK(reader->element);
  const cuframes_query_options options = {
    .struct_size = sizeof options,
    .directory = directory,
    .interrupt = gives_up,
    .interrupt_user = reader,
  };
  gint64 pause = LOOK_FIRST;
  int error = cuframes_stream_query_with(name, &options, info);
  while (may_appear(error) && cuframes_now() < limit) {
    error = cf_gst_reader_pause(reader, MIN(pause, limit - cuframes_now()))
                ? cuframes_stream_query_with(name, &options, info)
                : CUFRAMES_ERR_INTERRUPTED;
    pause = MIN(2 * pause, (gint64)LOOK_LEAST);
  }
  g_free(name);
  g_free(directory);
  reader->appear_limit = error == CUFRAMES_ERR_INTERRUPTED ? 0 : limit;
  return error;
}

/* Of connect-timeout, of which asking may have used some. */
static gint64 time_left(cf_gst_reader *reader, gint64 timeout) {
  const gint64 limit = reader->appear_limit;
  reader->appear_limit = 0;
  return limit == 0 || limit == G_MAXINT64 ? timeout : MAX(limit - cuframes_now(), 0);
}

/* With the name, which is the caller's, and the strings of *options, too. */
static gchar *join_options(cf_gst_reader *reader, cuframes_subscriber_options *options) {
  GST_OBJECT_LOCK(reader->element);
  *options = (cuframes_subscriber_options){
    .struct_size = sizeof *options,
    .mode = (guint32)reader->mode,
    .directory = g_strdup(reader->directory),
    .label = g_strdup(reader->label),
    .leases = reader->leases,
    .depth = reader->depth,
    .reconnect = (guint32)reader->reconnect,
    .sync = (guint32)reader->sync,
    .device = g_strdup(reader->device),
    .connect_timeout_ns = time_left(reader, reader->connect_timeout),
    .log = cf_gst_log,
    .interrupt = gives_up,
    .interrupt_user = reader,
  };
  gchar *name = g_strdup(reader->stream != NULL ? reader->stream : "");
  GST_OBJECT_UNLOCK(reader->element);
  if (options->mode == CUFRAMES_MODE_PACKETS)
    options->leases = options->depth = options->sync = 0;
  return name;
}

static void tell(cf_gst_reader *reader, const gchar *what, const gchar *name, int error) {
  gchar *text = g_strdup_printf("%s '%s'", what, name);
  cf_gst_element_error(reader->element, error, text);
  g_free(text);
}

GstFlowReturn cf_gst_reader_join(cf_gst_reader *reader) {
  cuframes_subscriber_options options;
  cuframes_subscriber *subscriber = NULL;
  if (reader->subscriber != NULL)
    return GST_FLOW_OK;
  reader->waiting_since = 0;
  gchar *name = join_options(reader, &options);
  cf_gst_gpu_enter(reader->gpu);
  const int error = cuframes_subscriber_create(name, &options, &subscriber);
  cf_gst_gpu_leave(reader->gpu);
  g_mutex_lock(&reader->lock);
  reader->subscriber = subscriber;
  const gboolean flushing = reader->flushing != 0;
  g_mutex_unlock(&reader->lock);
  if (error != CUFRAMES_OK && !flushing && error != CUFRAMES_ERR_INTERRUPTED)
    tell(reader, "cannot read", name, error);
  g_free(name);
  g_free((gchar *)options.directory);
  g_free((gchar *)options.label);
  g_free((gchar *)options.device);
  if (flushing || error == CUFRAMES_ERR_INTERRUPTED) /* for a flush that may be over */
    return GST_FLOW_FLUSHING;
  return error == CUFRAMES_OK ? GST_FLOW_OK : GST_FLOW_ERROR;
}

gboolean cf_gst_reader_begin(cf_gst_reader *reader) {
  g_mutex_lock(&reader->lock);
  while (reader->flushing == CF_GST_FLUSH_PAUSED)
    g_cond_wait(&reader->wake, &reader->lock);
  const gboolean flushed = (reader->flushing & CF_GST_FLUSH_PADS) != 0;
  g_mutex_unlock(&reader->lock);
  if (!flushed)
    g_mutex_lock(&reader->use);
  return !flushed;
}

void cf_gst_reader_done(cf_gst_reader *reader) {
  g_mutex_unlock(&reader->use);
}

void cf_gst_reader_drop(cf_gst_reader *reader) {
  g_mutex_lock(&reader->lock);
  cuframes_subscriber *subscriber = reader->subscriber;
  reader->subscriber = NULL;
  g_mutex_unlock(&reader->lock);
  cuframes_subscriber_destroy(subscriber);
}

void cf_gst_reader_leave(cf_gst_reader *reader) {
  g_mutex_lock(&reader->use);
  cf_gst_reader_drop(reader);
  g_mutex_unlock(&reader->use);
}

/* ---- waiting ---- */

gint64 cf_gst_reader_wait_ns(cf_gst_reader *reader) {
  GST_OBJECT_LOCK(reader->element);
  const guint64 timeout = reader->timeout;
  GST_OBJECT_UNLOCK(reader->element);
  const gint64 now = cuframes_now();
  if (reader->waiting_since == 0)
    reader->waiting_since = now;
  if (timeout == 0)
    return CUFRAMES_WAIT_FOREVER;
  const gint64 waited = now - reader->waiting_since;
  return waited < (gint64)timeout ? (gint64)timeout - waited : 0;
}

void cf_gst_reader_came(cf_gst_reader *reader) {
  reader->waiting_since = 0;
}

/* An ordered one lost its place; with reconnect it takes a new one. */
static GstFlowReturn evicted(cf_gst_reader *reader, const gchar *name, gboolean reconnect) {
  if (!reconnect) {
    tell(reader, "lost its place at", name, CUFRAMES_ERR_EVICTED);
    return GST_FLOW_ERROR;
  }
  GST_ELEMENT_WARNING(reader->element, RESOURCE, READ, ("Too slow for '%s': frames are lost", name),
                      ("%s; it joins again", cuframes_last_error()));
  cf_gst_reader_drop(reader);
  return cf_gst_reader_join(reader);
}

GstFlowReturn cf_gst_reader_judge(cf_gst_reader *reader, int error) {
  if (cf_gst_reader_is_flushing(reader))
    return GST_FLOW_FLUSHING;
  GST_OBJECT_LOCK(reader->element);
  gchar *name = g_strdup(reader->stream);
  const gboolean reconnect = reader->reconnect;
  GST_OBJECT_UNLOCK(reader->element);
  GstFlowReturn result = GST_FLOW_OK;
  switch (error) {
    case CUFRAMES_ERR_INTERRUPTED: /* for a flush that is over */
    case CUFRAMES_ERR_LOST: break;
    case CUFRAMES_ERR_LEASE_LIMIT:
      result = cf_gst_reader_pause(reader, LEASE_WAIT) ? GST_FLOW_OK : GST_FLOW_FLUSHING;
      break;
    case CUFRAMES_ERR_PUBLISHER_GONE: result = GST_FLOW_EOS; break;
    case CUFRAMES_ERR_EVICTED: result = evicted(reader, name, reconnect); break;
    default: tell(reader, "nothing came from", name, error); result = GST_FLOW_ERROR;
  }
  g_free(name);
  return result;
}
