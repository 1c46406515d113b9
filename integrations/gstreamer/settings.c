/* settings.c - see settings.h. One table says all of a property but its range and default. */
#include "settings.h"

#define DEFAULT_MAX_OPEN 32
#define DEFAULT_SIDE_DATA 4096
#define DEFAULT_MODE 0660
#define DEFAULT_PACKET_SLOTS 2048
#define DEFAULT_PACKET_BYTES (G_GUINT64_CONSTANT(16) << 20)

typedef struct property {
  const gchar *name, *nick, *blurb;
  GType (*type)(void); /* of an enumeration; else `kind` */
  GType kind;
  gsize offset;
  guint64 least, most, preset;
} property;

static GType reserve_type(void) {
  static const GEnumValue values[] = {
    { CUFRAMES_RESERVE_NEED, "Slots for the frames that are in use, and more ahead of need", "need" },
    { CUFRAMES_RESERVE_FULL, "Slots for all that subscribers may hold, before each is let in", "full" },
    { 0, NULL, NULL },
  };
  static gsize type;
  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstCuframesReserve", values));
  return type;
}

static GType policy_type(void) {
  static const GEnumValue values[] = {
    { CUFRAMES_POLICY_WAIT, "Wait ordered-timeout for it, then evict it", "wait" },
    { CUFRAMES_POLICY_DROP, "Drop the new frame for everybody", "drop" },
    { 0, NULL, NULL },
  };
  static gsize type;
  if (g_once_init_enter(&type))
    g_once_init_leave(&type, g_enum_register_static("GstCuframesPolicy", values));
  return type;
}

#define STRING(field, name, nick, blurb)                                                                               \
  { name, nick, blurb, NULL, G_TYPE_STRING, G_STRUCT_OFFSET(cf_gst_settings, field), 0, 0, 0 }
#define UINT(field, name, nick, blurb, least, most, preset)                                                            \
  { name, nick, blurb, NULL, G_TYPE_UINT, G_STRUCT_OFFSET(cf_gst_settings, field), least, most, preset }
#define UINT64(field, name, nick, blurb, least, most, preset)                                                          \
  { name, nick, blurb, NULL, G_TYPE_UINT64, G_STRUCT_OFFSET(cf_gst_settings, field), least, most, preset }
#define ENUM(field, name, nick, blurb, type, preset)                                                                   \
  { name, nick, blurb, type, 0, G_STRUCT_OFFSET(cf_gst_settings, field), 0, 0, preset }
#define BOOL(field, name, nick, blurb, preset)                                                                         \
  { name, nick, blurb, NULL, G_TYPE_BOOLEAN, G_STRUCT_OFFSET(cf_gst_settings, field), 0, 0, preset }

/* clang-format off */
static const property properties[] = {
  STRING(stream, "stream", "Stream", "Name of the stream: letters, digits, '.', '_' and '-', at most 63"),
  STRING(directory, "directory", "Runtime directory", "Where streams are found (default: as all of cuframes finds it)"),
  STRING(description, "description", "Description", "Where the pictures come from, for `cuframes list`"),
  STRING(device, "device", "Device", "Where frames lie: host (default), cuda, cuda:NUMBER, cuda:GPU-UUID, or auto; "
         "into memory of a GPU each frame is uploaded"),
  UINT(slots, "slots", "Slots", "Frames allocated at first (0: 6)", 0, 1024, 0),
  UINT(max_slots, "max-slots", "Most slots", "Up to which their number grows; subscribers that could hold more are "
       "refused (0: 1024)", 0, 1024, 0),
  UINT(max_open, "max-open", "Most open frames", "Slots that upstream fills or still looks at, at most; beyond that it "
       "gets ordinary memory, which is copied", 1, 127, DEFAULT_MAX_OPEN),
  ENUM(reserve, "reserve", "Reserve", "How many slots are there ahead of need", reserve_type, CUFRAMES_RESERVE_NEED),
  ENUM(policy, "policy", "Policy", "When an ordered subscriber is full", policy_type, CUFRAMES_POLICY_WAIT),
  UINT64(ordered_timeout, "ordered-timeout", "Timeout of ordered subscribers", "How long one that is full is waited "
         "for (ns)", 1, G_MAXINT64, GST_SECOND),
  UINT(mode, "mode", "Mode", "Permissions of the socket; 0660 is octal, as in C", 0, 0777, DEFAULT_MODE),
  STRING(group, "group", "Group", "Give the socket to this group (name or number)"),
  STRING(allow_users, "allow-users", "Users", "Let only these users in, names or numbers separated by commas"),
  STRING(allow_groups, "allow-groups", "Groups", "Let only these groups in, likewise"),
  UINT(side_data, "side-data", "Side data", "Bytes per frame for SEI user data, captions and HDR metadata", 0,
       CUFRAMES_SIDE_DATA_MAX, DEFAULT_SIDE_DATA),
  UINT(wait_subscribers, "wait-subscribers", "Wait for subscribers", "Before the first frame, wait until so many have "
       "joined", 0, 256, 0),
  UINT64(wait_timeout, "wait-timeout", "Timeout of wait-subscribers", "How long at most (ns); then it goes on without "
         "them", 0, G_MAXINT64, 10 * GST_SECOND),
  UINT(packet_slots, "packet-slots", "Packet slots", "Packets kept for those who come late", 1, 1 << 20,
       DEFAULT_PACKET_SLOTS),
  UINT64(packet_bytes, "packet-bytes", "Packet bytes", "Bytes of packets kept; the largest packet is a quarter of it",
         4096, G_GUINT64_CONSTANT(1) << 40, DEFAULT_PACKET_BYTES),
  BOOL(zero_copy, "zero-copy", "Zero copy", "Offer slots to upstream, so that it decodes or draws straight into them",
       TRUE),
};
/* clang-format on */

static const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

static GParamSpec *spec(const property *p) {
  if (p->type)
    return g_param_spec_enum(p->name, p->nick, p->blurb, p->type(), (gint)p->preset, flags);
  if (p->kind == G_TYPE_STRING)
    return g_param_spec_string(p->name, p->nick, p->blurb, NULL, flags);
  if (p->kind == G_TYPE_BOOLEAN)
    return g_param_spec_boolean(p->name, p->nick, p->blurb, p->preset != 0, flags);
  if (p->kind == G_TYPE_UINT)
    return g_param_spec_uint(p->name, p->nick, p->blurb, (guint)p->least, (guint)p->most, (guint)p->preset, flags);
  return g_param_spec_uint64(p->name, p->nick, p->blurb, p->least, p->most, p->preset, flags);
}

guint cf_gst_settings_install(GObjectClass *object_class, guint first) {
  for (gsize i = 0; i < G_N_ELEMENTS(properties); i++)
    g_object_class_install_property(object_class, first + (guint)i, spec(&properties[i]));
  gst_type_mark_as_plugin_api(reserve_type(), 0);
  gst_type_mark_as_plugin_api(policy_type(), 0);
  return first + (guint)G_N_ELEMENTS(properties);
}

static const property *find(const GParamSpec *pspec) {
  for (gsize i = 0; i < G_N_ELEMENTS(properties); i++)
    if (g_str_equal(properties[i].name, pspec->name))
      return &properties[i];
  return NULL;
}

/* The field of a property, of the type that its kind says. */
static gpointer field(const cf_gst_settings *settings, const property *p) {
  return (gchar *)(gpointer)settings + p->offset;
}

void cf_gst_settings_init(cf_gst_settings *settings) {
  *settings = (cf_gst_settings){ 0 };
  for (gsize i = 0; i < G_N_ELEMENTS(properties); i++) {
    const property *p = &properties[i];
    if (p->type || p->kind == G_TYPE_BOOLEAN)
      *(gint *)field(settings, p) = (gint)p->preset;
    else if (p->kind == G_TYPE_UINT)
      *(guint *)field(settings, p) = (guint)p->preset;
    else if (p->kind == G_TYPE_UINT64)
      *(guint64 *)field(settings, p) = p->preset;
  }
}

void cf_gst_settings_clear(cf_gst_settings *settings) {
  for (gsize i = 0; i < G_N_ELEMENTS(properties); i++)
    if (properties[i].kind == G_TYPE_STRING)
      g_clear_pointer((gchar **)field(settings, &properties[i]), g_free);
}

void cf_gst_settings_copy(const cf_gst_settings *from, cf_gst_settings *to) {
  *to = *from;
  for (gsize i = 0; i < G_N_ELEMENTS(properties); i++)
    if (properties[i].kind == G_TYPE_STRING)
      *(gchar **)field(to, &properties[i]) = g_strdup(*(gchar **)field(from, &properties[i]));
}

void cf_gst_settings_set(cf_gst_settings *settings, const GParamSpec *pspec, const GValue *value) {
  const property *p = find(pspec);
  if (!p)
    return;
  if (p->type)
    *(gint *)field(settings, p) = g_value_get_enum(value);
  else if (p->kind == G_TYPE_STRING) {
    g_free(*(gchar **)field(settings, p));
    *(gchar **)field(settings, p) = g_value_dup_string(value);
  } else if (p->kind == G_TYPE_BOOLEAN)
    *(gboolean *)field(settings, p) = g_value_get_boolean(value);
  else if (p->kind == G_TYPE_UINT)
    *(guint *)field(settings, p) = g_value_get_uint(value);
  else
    *(guint64 *)field(settings, p) = g_value_get_uint64(value);
}

void cf_gst_settings_get(const cf_gst_settings *settings, const GParamSpec *pspec, GValue *value) {
  const property *p = find(pspec);
  if (!p)
    return;
  if (p->type)
    g_value_set_enum(value, *(gint *)field(settings, p));
  else if (p->kind == G_TYPE_STRING)
    g_value_set_string(value, *(gchar **)field(settings, p));
  else if (p->kind == G_TYPE_BOOLEAN)
    g_value_set_boolean(value, *(gboolean *)field(settings, p));
  else if (p->kind == G_TYPE_UINT)
    g_value_set_uint(value, *(guint *)field(settings, p));
  else
    g_value_set_uint64(value, *(guint64 *)field(settings, p));
}
