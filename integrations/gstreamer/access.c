/* access.c - see access.h. */
#include "access.h"

#include <grp.h>
#include <pwd.h>

#define TEXT_MOST (1 << 20) /* bytes of one entry; a group of thousands has a long one */

/* One look-up with so much room for the entry's texts; ERANGE: that was too little. */
typedef int (*look_up)(const gchar *name, gchar *text, gsize size, guint32 *id, gboolean *found);

static int look_up_user(const gchar *name, gchar *text, gsize size, guint32 *id, gboolean *found) {
  struct passwd entry, *result = NULL;
  const int error = getpwnam_r(name, &entry, text, size, &result);
  *found = result != NULL;
  if (result)
    *id = result->pw_uid;
  return error;
}

static int look_up_group(const gchar *name, gchar *text, gsize size, guint32 *id, gboolean *found) {
  struct group entry, *result = NULL;
  const int error = getgrnam_r(name, &entry, text, size, &result);
  *found = result != NULL;
  if (result)
    *id = result->gr_gid;
  return error;
}

static gboolean id_of(const gchar *name, look_up function, guint32 *id) {
  guint64 number;
  if (g_ascii_string_to_unsigned(name, 10, 0, G_MAXUINT32 - 1, &number, NULL)) {
    *id = (guint32)number;
    return TRUE;
  }
  gboolean found = FALSE;
  for (gsize size = 1024; size <= TEXT_MOST; size *= 4) {
    gchar *text = g_malloc(size);
    const int error = function(name, text, size, id, &found);
    g_free(text);
    if (error != ERANGE)
      break;
  }
  return found;
}

static int ids_of(const gchar *list, const gchar *kind, look_up function, guint32 **ids, gsize *count) {
  gchar **names = g_strsplit(list ? list : "", ",", -1);
  guint32 *made = g_new(guint32, g_strv_length(names) + 1);
  gsize found = 0;
  int result = CUFRAMES_OK;
  for (gchar **name = names; *name && result == CUFRAMES_OK; name++) {
    const gchar *stripped = g_strstrip(*name);
    if (!*stripped)
      continue;
    if (id_of(stripped, function, &made[found]))
      found++;
    else {
      gchar *sentence = g_strdup_printf("there is no %s \"%s\" here", kind, stripped);
      result = cuframes_set_last_error(CUFRAMES_ERR_INVALID, sentence);
      g_free(sentence);
    }
  }
  g_strfreev(names);
  if (result != CUFRAMES_OK || found == 0)
    g_clear_pointer(&made, g_free);
  if (result == CUFRAMES_OK) {
    *ids = made;
    *count = found;
  }
  return result;
}

int cf_gst_users(const gchar *list, guint32 **ids, gsize *count) {
  return ids_of(list, "user", look_up_user, ids, count);
}

int cf_gst_groups(const gchar *list, guint32 **ids, gsize *count) {
  return ids_of(list, "group", look_up_group, ids, count);
}
