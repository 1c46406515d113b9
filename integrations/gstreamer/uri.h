/* uri.h - cuframes://NAME?PROPERTY=VALUE&..., and cuframes-packets://..., for the two sources. */
#ifndef CUFRAMES_GST_URI_H
#define CUFRAMES_GST_URI_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define CF_GST_URI_FRAMES "cuframes"
#define CF_GST_URI_PACKETS "cuframes-packets"

/* Fills the interface for an element with the property `stream`. Name and values may be percent-encoded; a value is
 * read as gst-launch-1.0 reads it, and an unknown property is an error, as is one that does not name a stream.
 * The URI that is got is the stream's alone. */
void cf_gst_uri_handler_init(gpointer iface, const gchar *protocol);

G_END_DECLS

#endif
