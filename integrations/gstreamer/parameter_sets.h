/* parameter_sets.h - parameter sets of H.264 and H.265 in byte streams, where caps have none: recorders need them. */
#ifndef CUFRAMES_GST_PARAMETER_SETS_H
#define CUFRAMES_GST_PARAMETER_SETS_H

#include <glib.h>

G_BEGIN_DECLS

/* Whether packets of this codec may bring them. */
gboolean cf_gst_has_parameter_sets(const gchar *codec);

/* Those of an access unit of a byte stream, in their order, each behind a start code of 4 bytes; empty if there are
 * none. The caller's. */
GByteArray *cf_gst_parameter_sets(const gchar *codec, const guint8 *data, gsize size);

G_END_DECLS

#endif
