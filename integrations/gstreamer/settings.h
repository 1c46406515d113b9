/* settings.h - the properties of cuframessink that say how the stream is published. */
#ifndef CUFRAMES_GST_SETTINGS_H
#define CUFRAMES_GST_SETTINGS_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

/* Values of the properties; the strings are owned. */
typedef struct cf_gst_settings {
  gchar *stream, *directory, *description, *device, *group, *allow_users, *allow_groups;
  guint slots, max_slots, max_open, side_data, mode, wait_subscribers, packet_slots;
  guint64 ordered_timeout, wait_timeout, packet_bytes;
  gint reserve, policy;
  gboolean zero_copy;
} cf_gst_settings;

/* Adds the properties to the class, from number `first` on; gives the first number that is free behind them. */
guint cf_gst_settings_install(GObjectClass *object_class, guint first);

/* All at their defaults. */
void cf_gst_settings_init(cf_gst_settings *settings);
void cf_gst_settings_clear(cf_gst_settings *settings);
void cf_gst_settings_copy(const cf_gst_settings *from, cf_gst_settings *to);

/* One of them, by the name of its property; the caller holds what locks them. */
void cf_gst_settings_set(cf_gst_settings *settings, const GParamSpec *pspec, const GValue *value);
void cf_gst_settings_get(const cf_gst_settings *settings, const GParamSpec *pspec, GValue *value);

G_END_DECLS

#endif
