/* access.h - users and groups by their names, for the properties that say who may join. */
#ifndef CUFRAMES_GST_ACCESS_H
#define CUFRAMES_GST_ACCESS_H

#include <glib.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

/* Names or numbers separated by commas; blanks around them and empty ones do not count. NULL: none. *ids are the
 * caller's, on success, and NULL for none.
 * Errors: INVALID, with the name that there is not. */
int cf_gst_users(const gchar *list, guint32 **ids, gsize *count);
int cf_gst_groups(const gchar *list, guint32 **ids, gsize *count);

G_END_DECLS

#endif
