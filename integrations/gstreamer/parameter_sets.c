/* parameter_sets.c - see parameter_sets.h. Numbers of NAL units are of ITU-T H.264, table 7-1, and H.265, table 7-1. */
#include "parameter_sets.h"

#include <string.h>

static gboolean is_h264(const gchar *codec) {
  return strcmp(codec, "h264") == 0;
}

gboolean cf_gst_has_parameter_sets(const gchar *codec) {
  return is_h264(codec) || strcmp(codec, "hevc") == 0;
}

/* Where the next start code (0 0 1) begins; `size` if there is none. */
static gsize start_code(const guint8 *data, gsize size, gsize from) {
  for (gsize i = from; i + 3 <= size; i++)
    if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1)
      return i;
  return size;
}

static gboolean is_parameter_set(const gchar *codec, guint8 first) {
  const guint kind = is_h264(codec) ? first & 0x1f : (first >> 1) & 0x3f;
  return is_h264(codec) ? kind == 7 || kind == 8 : kind >= 32 && kind <= 34;
}

/* Behind them is the picture, which is most of the bytes and need not be looked through. */
static gboolean is_picture(const gchar *codec, guint8 first) {
  const guint kind = is_h264(codec) ? first & 0x1f : (first >> 1) & 0x3f;
  return is_h264(codec) ? kind >= 1 && kind <= 5 : kind < 32;
}

GByteArray *cf_gst_parameter_sets(const gchar *codec, const guint8 *data, gsize size) {
  static const guint8 code[] = { 0, 0, 0, 1 };
  GByteArray *sets = g_byte_array_new();
  gsize at = start_code(data, size, 0);
  while (at + 3 < size) {
    const gsize begin = at + 3;
    if (is_picture(codec, data[begin]))
      break;
    gsize end = at = start_code(data, size, begin);
    while (end > begin && data[end - 1] == 0)
      end--; /* zeros before a start code belong to it */
    if (!is_parameter_set(codec, data[begin]) || end == begin)
      continue;
    g_byte_array_append(sets, code, sizeof code);
    g_byte_array_append(sets, data + begin, (guint)(end - begin));
  }
  return sets;
}
