/* uri.c - see uri.h. */
#include "uri.h"

#include <string.h>

/* ---- which of the two ---- */

static const gchar *const frames_protocols[] = { CF_GST_URI_FRAMES, NULL };
static const gchar *const packets_protocols[] = { CF_GST_URI_PACKETS, NULL };

static GstURIType get_type(GType type) {
  (void)type;
  return GST_URI_SRC;
}

static const gchar *const *get_frames_protocols(GType type) {
  (void)type;
  return frames_protocols;
}

static const gchar *const *get_packets_protocols(GType type) {
  (void)type;
  return packets_protocols;
}

static const gchar *protocol_of(GstURIHandler *handler) {
  return gst_uri_handler_get_protocols(handler)[0];
}

/* ---- there and back ---- */

static gchar *get_uri(GstURIHandler *handler) {
  gchar *stream = NULL;
  g_object_get(handler, "stream", &stream, NULL);
  gchar *escaped = stream != NULL ? g_uri_escape_string(stream, NULL, FALSE) : NULL;
  gchar *uri = escaped != NULL ? g_strdup_printf("%s://%s", protocol_of(handler), escaped) : NULL;
  g_free(escaped);
  g_free(stream);
  return uri;
}

static gboolean bad(GError **error, const gchar *format, const gchar *what) {
  gchar *text = g_strdup_printf(format, what);
  g_set_error_literal(error, GST_URI_ERROR, GST_URI_ERROR_BAD_URI, text);
  g_free(text);
  return FALSE;
}

/* One PROPERTY=VALUE, still encoded. */
static gboolean set_option(GstURIHandler *handler, const gchar *option, GError **error) {
  gchar **parts = g_strsplit(option, "=", 2);
  gchar *name = g_uri_unescape_string(parts[0], NULL);
  gchar *value = parts[1] != NULL ? g_uri_unescape_string(parts[1], NULL) : NULL;
  GParamSpec *spec = name != NULL ? g_object_class_find_property(G_OBJECT_GET_CLASS(handler), name) : NULL;
  GValue parsed = G_VALUE_INIT;
  gboolean good = value != NULL && spec != NULL && (spec->flags & G_PARAM_WRITABLE) && !g_str_equal(name, "name");
  if (good) {
    g_value_init(&parsed, spec->value_type);
    good = gst_value_deserialize_with_pspec(&parsed, value, spec) && !g_param_value_validate(spec, &parsed);
    if (good)
      g_object_set_property(G_OBJECT(handler), name, &parsed);
    g_value_unset(&parsed);
  }
  g_free(name);
  g_free(value);
  g_strfreev(parts);
  return good ? TRUE : bad(error, "'%s' in the address is no property with a value that it can have", option);
}

/* Up to the slash that some programs put behind a host. */
static gboolean set_stream(GstURIHandler *handler, const gchar *encoded, GError **error) {
  gchar *bare = g_str_has_suffix(encoded, "/") ? g_strndup(encoded, strlen(encoded) - 1) : g_strdup(encoded);
  gchar *stream = *bare != '\0' ? g_uri_unescape_string(bare, "/") : NULL;
  if (stream != NULL)
    g_object_set(handler, "stream", stream, NULL);
  g_free(stream);
  g_free(bare);
  return stream != NULL ? TRUE : bad(error, "'%s' names no stream; write cuframes://NAME", encoded);
}

static gboolean set_uri(GstURIHandler *handler, const gchar *uri, GError **error) {
  if (GST_STATE(handler) > GST_STATE_READY) {
    g_set_error_literal(error, GST_URI_ERROR, GST_URI_ERROR_BAD_STATE, "it runs; stop it before");
    return FALSE;
  }
  gchar *protocol = gst_uri_is_valid(uri) ? gst_uri_get_protocol(uri) : NULL;
  if (protocol == NULL || !g_str_equal(protocol, protocol_of(handler))) {
    g_free(protocol);
    return bad(error, "'%s' is no address of a stream; write cuframes://NAME", uri);
  }
  /* Not gst_uri_get_location(), which decodes, and refuses an encoded slash: a value may have both, and '&'. */
  const gchar *rest = uri + strlen(protocol) + strlen("://");
  gchar **halves = g_strsplit(rest, "?", 2);
  gchar **options = g_strsplit(halves[0] != NULL && halves[1] != NULL ? halves[1] : "", "&", -1);
  gboolean good = set_stream(handler, halves[0] != NULL ? halves[0] : "", error);
  for (gchar **option = options; good && *option != NULL; option++)
    good = **option == '\0' || set_option(handler, *option, error);
  g_strfreev(options);
  g_strfreev(halves);
  g_free(protocol);
  return good;
}

void cf_gst_uri_handler_init(gpointer iface, const gchar *protocol) {
  GstURIHandlerInterface *handler = iface;
  handler->get_type = get_type;
  handler->get_protocols = g_str_equal(protocol, CF_GST_URI_FRAMES) ? get_frames_protocols : get_packets_protocols;
  handler->get_uri = get_uri;
  handler->set_uri = set_uri;
}
