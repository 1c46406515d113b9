/* format.c - see format.h. */
#include "format.h"

#include <string.h>

G_STATIC_ASSERT(sizeof(cf_gst_picture) == sizeof(cuframes_format) + 2 * sizeof(gint32) +
                                              sizeof(cuframes_mastering_display) + sizeof(cuframes_content_light) +
                                              sizeof(guint32));

/* For each of ours the format that a source gives comes first. The planes of the others lie in another order: `order`
 * says which of GStreamer's is the first, second and third of ours. */
static const struct {
  GstVideoFormat gst;
  guint32 ours;
  gint8 order[CUFRAMES_PLANES];
} known[] = {
  { GST_VIDEO_FORMAT_NV12, CUFRAMES_PIXEL_NV12, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_P010_10LE, CUFRAMES_PIXEL_P010, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_I420, CUFRAMES_PIXEL_YUV420P, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_Y42B, CUFRAMES_PIXEL_YUV422P, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_Y444, CUFRAMES_PIXEL_YUV444P, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_GRAY8, CUFRAMES_PIXEL_GRAY8, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_RGB, CUFRAMES_PIXEL_RGB24, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_RGBA, CUFRAMES_PIXEL_RGBA, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_BGRA, CUFRAMES_PIXEL_BGRA, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_BGR, CUFRAMES_PIXEL_BGR24, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_YUY2, CUFRAMES_PIXEL_YUYV422, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_UYVY, CUFRAMES_PIXEL_UYVY422, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_GRAY16_LE, CUFRAMES_PIXEL_GRAY16, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_I420_10LE, CUFRAMES_PIXEL_YUV420P10, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_I422_10LE, CUFRAMES_PIXEL_YUV422P10, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_RGBP, CUFRAMES_PIXEL_RGBP, { 0, 1, 2, 3 } },
  { GST_VIDEO_FORMAT_YV12, CUFRAMES_PIXEL_YUV420P, { 0, 2, 1, 3 } },
  { GST_VIDEO_FORMAT_BGRP, CUFRAMES_PIXEL_RGBP, { 2, 1, 0, 3 } },
  { GST_VIDEO_FORMAT_GBR, CUFRAMES_PIXEL_RGBP, { 2, 0, 1, 3 } },
};

guint32 cf_gst_pixel_format(GstVideoFormat format) {
  for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
    if (known[i].gst == format)
      return known[i].ours;
  return CUFRAMES_PIXEL_NONE;
}

GstVideoFormat cf_gst_video_format(guint32 pixel_format) {
  for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
    if (known[i].ours == pixel_format)
      return known[i].gst;
  return GST_VIDEO_FORMAT_UNKNOWN;
}

gint cf_gst_plane(GstVideoFormat format, gint plane) {
  for (gsize i = 0; i < G_N_ELEMENTS(known) && plane >= 0 && plane < CUFRAMES_PLANES; i++)
    if (known[i].gst == format)
      return known[i].order[plane];
  return plane;
}

/* ---- colour ---- */

/* "Unspecified" is 2 in the tables of H.273, and 0 in cuframes. */
static guint8 code_point(guint iso) {
  return iso == 2 || iso > G_MAXUINT8 ? 0 : (guint8)iso;
}

static guint iso(guint8 code_point) {
  return code_point == 0 ? 2 : code_point;
}

static cuframes_color color_of(const GstVideoColorimetry *from) {
  return (cuframes_color){
    .matrix = code_point(gst_video_color_matrix_to_iso(from->matrix)),
    .range = from->range == GST_VIDEO_COLOR_RANGE_0_255    ? 2
             : from->range == GST_VIDEO_COLOR_RANGE_16_235 ? 1
                                                           : 0,
    .primaries = code_point(gst_video_color_primaries_to_iso(from->primaries)),
    .transfer = code_point(gst_video_transfer_function_to_iso(from->transfer)),
  };
}

static gboolean is_said(const cuframes_color *color) {
  return color->matrix != 0 || color->range != 0 || color->primaries != 0 || color->transfer != 0;
}

/* Over GStreamer's default for this format and size, where nothing is said. Without a matrix elements would drop
 * all of it, the range, too; and without a range they would take limited values for full ones. */
static void set_color(const cuframes_color *color, GstVideoColorimetry *to) {
  if (!is_said(color))
    return;
  const gboolean is_rgb = to->matrix == GST_VIDEO_COLOR_MATRIX_RGB;
  const GstVideoColorMatrix matrix = gst_video_color_matrix_from_iso(iso(color->matrix));
  if (!is_rgb && matrix != GST_VIDEO_COLOR_MATRIX_UNKNOWN && matrix != GST_VIDEO_COLOR_MATRIX_RGB)
    to->matrix = matrix;
  if (color->range != 0)
    to->range = color->range == 2 ? GST_VIDEO_COLOR_RANGE_0_255 : GST_VIDEO_COLOR_RANGE_16_235;
  to->primaries = gst_video_color_primaries_from_iso(iso(color->primaries));
  to->transfer = gst_video_transfer_function_from_iso(iso(color->transfer));
}

/* ---- where chroma lies ---- */

static const struct {
  GstVideoChromaSite gst;
  guint8 ours;
} sites[] = {
  { GST_VIDEO_CHROMA_SITE_MPEG2, CUFRAMES_CHROMA_LEFT },
  { GST_VIDEO_CHROMA_SITE_JPEG, CUFRAMES_CHROMA_CENTER },
  { GST_VIDEO_CHROMA_SITE_COSITED, CUFRAMES_CHROMA_TOP_LEFT },
  { GST_VIDEO_CHROMA_SITE_V_COSITED, CUFRAMES_CHROMA_TOP },
};

static guint8 site_of(GstVideoChromaSite site) {
  for (gsize i = 0; i < G_N_ELEMENTS(sites); i++)
    if (sites[i].gst == site)
      return sites[i].ours;
  return CUFRAMES_CHROMA_NOT_SAID;
}

static GstVideoChromaSite site_back(guint8 location) {
  for (gsize i = 0; i < G_N_ELEMENTS(sites); i++)
    if (sites[i].ours == location)
      return sites[i].gst;
  return GST_VIDEO_CHROMA_SITE_UNKNOWN;
}

/* Whether there is less chroma than luma, so that it must lie somewhere. */
static gboolean has_site(const GstVideoInfo *info) {
  return GST_VIDEO_INFO_IS_YUV(info) && GST_VIDEO_INFO_N_COMPONENTS(info) > 1 &&
         (GST_VIDEO_FORMAT_INFO_W_SUB(info->finfo, 1) != 0 || GST_VIDEO_FORMAT_INFO_H_SUB(info->finfo, 1) != 0);
}

/* ---- fields ---- */

static guint8 fields_of(const GstVideoInfo *info) {
  if (GST_VIDEO_INFO_INTERLACE_MODE(info) == GST_VIDEO_INTERLACE_MODE_PROGRESSIVE)
    return CUFRAMES_FIELDS_PROGRESSIVE;
  switch (GST_VIDEO_INFO_FIELD_ORDER(info)) {
    case GST_VIDEO_FIELD_ORDER_TOP_FIELD_FIRST: return CUFRAMES_FIELDS_TOP_FIRST;
    case GST_VIDEO_FIELD_ORDER_BOTTOM_FIELD_FIRST: return CUFRAMES_FIELDS_BOTTOM_FIRST;
    default: return CUFRAMES_FIELDS_NOT_SAID;
  }
}

guint8 cf_gst_fields_of_buffer(const GstVideoInfo *info, GstBuffer *buffer) {
  const GstVideoInterlaceMode mode = GST_VIDEO_INFO_INTERLACE_MODE(info);
  if (mode == GST_VIDEO_INTERLACE_MODE_PROGRESSIVE ||
      (mode == GST_VIDEO_INTERLACE_MODE_MIXED && !GST_BUFFER_FLAG_IS_SET(buffer, GST_VIDEO_BUFFER_FLAG_INTERLACED)))
    return CUFRAMES_FIELDS_PROGRESSIVE;
  const guint8 order = mode == GST_VIDEO_INTERLACE_MODE_INTERLEAVED ? fields_of(info) : CUFRAMES_FIELDS_NOT_SAID;
  if (order != CUFRAMES_FIELDS_NOT_SAID)
    return order;
  return GST_BUFFER_FLAG_IS_SET(buffer, GST_VIDEO_BUFFER_FLAG_TFF) ? CUFRAMES_FIELDS_TOP_FIRST
                                                                   : CUFRAMES_FIELDS_BOTTOM_FIRST;
}

guint cf_gst_field_flags(guint8 field_order) {
  switch (field_order) {
    case CUFRAMES_FIELDS_TOP_FIRST: return GST_VIDEO_BUFFER_FLAG_INTERLACED | GST_VIDEO_BUFFER_FLAG_TFF;
    case CUFRAMES_FIELDS_BOTTOM_FIRST: return GST_VIDEO_BUFFER_FLAG_INTERLACED;
    default: return 0;
  }
}

static void set_fields(guint8 field_order, GstVideoInfo *info) {
  if (field_order != CUFRAMES_FIELDS_TOP_FIRST && field_order != CUFRAMES_FIELDS_BOTTOM_FIRST)
    return;
  GST_VIDEO_INFO_INTERLACE_MODE(info) = GST_VIDEO_INTERLACE_MODE_INTERLEAVED;
  GST_VIDEO_INFO_FIELD_ORDER(info) = field_order == CUFRAMES_FIELDS_TOP_FIRST
                                         ? GST_VIDEO_FIELD_ORDER_TOP_FIELD_FIRST
                                         : GST_VIDEO_FIELD_ORDER_BOTTOM_FIELD_FIRST;
}

/* ---- orientation ---- */

static const gchar *const orientation_tags[] = {
  [CUFRAMES_ORIENTATION_TOP_LEFT] = "rotate-0",           [CUFRAMES_ORIENTATION_TOP_RIGHT] = "flip-rotate-0",
  [CUFRAMES_ORIENTATION_BOTTOM_RIGHT] = "rotate-180",     [CUFRAMES_ORIENTATION_BOTTOM_LEFT] = "flip-rotate-180",
  [CUFRAMES_ORIENTATION_LEFT_TOP] = "flip-rotate-270",    [CUFRAMES_ORIENTATION_RIGHT_TOP] = "rotate-90",
  [CUFRAMES_ORIENTATION_RIGHT_BOTTOM] = "flip-rotate-90", [CUFRAMES_ORIENTATION_LEFT_BOTTOM] = "rotate-270",
};

const gchar *cf_gst_orientation_tag(guint8 orientation) {
  return orientation < G_N_ELEMENTS(orientation_tags) ? orientation_tags[orientation] : NULL;
}

guint8 cf_gst_orientation_of_tag(const gchar *value) {
  for (guint8 i = CUFRAMES_ORIENTATION_TOP_LEFT; value != NULL && i < G_N_ELEMENTS(orientation_tags); i++)
    if (strcmp(orientation_tags[i], value) == 0)
      return i;
  return CUFRAMES_ORIENTATION_NOT_SAID;
}

/* ---- light: GStreamer has red, green, blue; the messages of H.265, and so cuframes, green, blue, red ---- */

static const gint from_rgb[3] = { 1, 2, 0 };

cuframes_mastering_display cf_gst_display(const GstVideoMasteringDisplayInfo *from) {
  cuframes_mastering_display ours = {
    .white_point = { from->white_point.x, from->white_point.y },
    .max_luminance = from->max_display_mastering_luminance,
    .min_luminance = from->min_display_mastering_luminance,
  };
  for (gint i = 0; i < 3; i++) {
    ours.primaries[2 * i] = from->display_primaries[from_rgb[i]].x;
    ours.primaries[2 * i + 1] = from->display_primaries[from_rgb[i]].y;
  }
  return ours;
}

void cf_gst_display_back(const cuframes_mastering_display *from, GstVideoMasteringDisplayInfo *to) {
  gst_video_mastering_display_info_init(to);
  for (gint i = 0; i < 3; i++) {
    to->display_primaries[from_rgb[i]].x = from->primaries[2 * i];
    to->display_primaries[from_rgb[i]].y = from->primaries[2 * i + 1];
  }
  to->white_point.x = from->white_point[0];
  to->white_point.y = from->white_point[1];
  to->max_display_mastering_luminance = from->max_luminance;
  to->min_display_mastering_luminance = from->min_luminance;
}

static gboolean is_display_said(const cuframes_mastering_display *display) {
  static const cuframes_mastering_display none;
  return memcmp(display, &none, sizeof none) != 0;
}

static void add_light(const cf_gst_picture *picture, GstCaps *caps) {
  GstVideoMasteringDisplayInfo display;
  GstVideoContentLightLevel light;
  if (is_display_said(&picture->display)) {
    cf_gst_display_back(&picture->display, &display);
    gst_video_mastering_display_info_add_to_caps(&display, caps);
  }
  if (picture->light.max_content != 0 || picture->light.max_average != 0) {
    gst_video_content_light_level_init(&light);
    light.max_content_light_level = picture->light.max_content;
    light.max_frame_average_light_level = picture->light.max_average;
    gst_video_content_light_level_add_to_caps(&light, caps);
  }
}

static void take_light(const GstCaps *caps, cf_gst_picture *picture) {
  GstVideoMasteringDisplayInfo display;
  GstVideoContentLightLevel light;
  if (gst_video_mastering_display_info_from_caps(&display, caps))
    picture->display = cf_gst_display(&display);
  if (gst_video_content_light_level_from_caps(&light, caps))
    picture->light = (cuframes_content_light){ light.max_content_light_level, light.max_frame_average_light_level };
}

/* ---- caps ---- */

gboolean cf_gst_picture_of_caps(const GstCaps *caps, cf_gst_picture *picture) {
  GstVideoInfo info;
  cf_gst_picture made;
  memset(&made, 0, sizeof made);
  if (!gst_video_info_from_caps(&info, caps))
    return FALSE;
  const GstStructure *said = gst_caps_get_structure(caps, 0);
  const GstVideoInterlaceMode mode = GST_VIDEO_INFO_INTERLACE_MODE(&info);
  made.format.pixel_format = cf_gst_pixel_format(GST_VIDEO_INFO_FORMAT(&info));
  if (made.format.pixel_format == CUFRAMES_PIXEL_NONE || mode > GST_VIDEO_INTERLACE_MODE_MIXED ||
      GST_VIDEO_INFO_WIDTH(&info) > CUFRAMES_SIZE_MAX || GST_VIDEO_INFO_HEIGHT(&info) > CUFRAMES_SIZE_MAX)
    return FALSE;
  made.format.width = (guint32)GST_VIDEO_INFO_WIDTH(&info);
  made.format.height = (guint32)GST_VIDEO_INFO_HEIGHT(&info);
  if (gst_structure_has_field(said, "colorimetry"))
    made.format.color = color_of(&info.colorimetry);
  const gchar *site = gst_structure_get_string(said, "chroma-site"); /* over which the info may have put a default */
  if (site != NULL && has_site(&info))
    made.format.chroma_location = site_of(gst_video_chroma_site_from_string(site));
  if (gst_structure_has_field(said, "interlace-mode"))
    made.format.field_order = fields_of(&info);
  if (gst_structure_has_field(said, "pixel-aspect-ratio") && GST_VIDEO_INFO_PAR_N(&info) > 0 &&
      GST_VIDEO_INFO_PAR_D(&info) > 0) {
    made.format.sample_aspect_num = (guint32)GST_VIDEO_INFO_PAR_N(&info);
    made.format.sample_aspect_den = (guint32)GST_VIDEO_INFO_PAR_D(&info);
  }
  made.fps_n = MAX(GST_VIDEO_INFO_FPS_N(&info), 0);
  made.fps_d = made.fps_n > 0 ? MAX(GST_VIDEO_INFO_FPS_D(&info), 1) : 1;
  take_light(caps, &made);
  *picture = made;
  return TRUE;
}

/* What is not said is left away, not set to GStreamer's default, so that a sink at the other end learns the same. But
 * elements believe a chroma site only beside a colour. */
static void unsay(const cuframes_format *format, const GstVideoInfo *info, GstCaps *caps) {
  GstStructure *said = gst_caps_get_structure(caps, 0);
  const gboolean site = has_site(info) && site_back(format->chroma_location) != GST_VIDEO_CHROMA_SITE_UNKNOWN;
  if (!site)
    gst_structure_remove_field(said, "chroma-site");
  if (!site && !is_said(&format->color))
    gst_structure_remove_field(said, "colorimetry");
  if (format->field_order == CUFRAMES_FIELDS_NOT_SAID)
    gst_structure_remove_field(said, "interlace-mode");
  if (format->sample_aspect_num == 0 || format->sample_aspect_den == 0)
    gst_structure_remove_field(said, "pixel-aspect-ratio");
}

/* Of the words alone: strides are not looked at. */
static gboolean info_of_words(const cuframes_format *format, GstVideoInfo *info) {
  const GstVideoFormat gst = cf_gst_video_format(format->pixel_format);
  if (gst == GST_VIDEO_FORMAT_UNKNOWN || !gst_video_info_set_format(info, gst, format->width, format->height))
    return FALSE;
  set_color(&format->color, &info->colorimetry);
  set_fields(format->field_order, info);
  if (has_site(info) && site_back(format->chroma_location) != GST_VIDEO_CHROMA_SITE_UNKNOWN)
    GST_VIDEO_INFO_CHROMA_SITE(info) = site_back(format->chroma_location);
  if (format->sample_aspect_num != 0 && format->sample_aspect_den != 0) {
    GST_VIDEO_INFO_PAR_N(info) = (gint)MIN(format->sample_aspect_num, G_MAXINT32);
    GST_VIDEO_INFO_PAR_D(info) = (gint)MIN(format->sample_aspect_den, G_MAXINT32);
  }
  return TRUE;
}

GstCaps *cf_gst_caps_of_picture(const cf_gst_picture *picture) {
  GstVideoInfo info;
  if (!info_of_words(&picture->format, &info))
    return NULL;
  GST_VIDEO_INFO_FPS_N(&info) = MAX(picture->fps_n, 0);
  GST_VIDEO_INFO_FPS_D(&info) = picture->fps_n > 0 ? MAX(picture->fps_d, 1) : 1;
  GstCaps *caps = gst_video_info_to_caps(&info);
  unsay(&picture->format, &info, caps);
  add_light(picture, caps);
  return caps;
}

void cf_gst_add_words(const cf_gst_picture *picture, GstCaps *caps) {
  static const gchar *const orders[] = {
    [CUFRAMES_FIELDS_TOP_FIRST] = "top-field-first", [CUFRAMES_FIELDS_BOTTOM_FIRST] = "bottom-field-first"
  };
  const cuframes_format *format = &picture->format;
  GstVideoColorimetry color = { .range = GST_VIDEO_COLOR_RANGE_UNKNOWN, .matrix = GST_VIDEO_COLOR_MATRIX_UNKNOWN };
  set_color(&format->color, &color);
  gchar *text = is_said(&format->color) ? gst_video_colorimetry_to_string(&color) : NULL;
  if (text != NULL)
    gst_caps_set_simple(caps, "colorimetry", G_TYPE_STRING, text, NULL);
  g_free(text);
  if (format->field_order == CUFRAMES_FIELDS_PROGRESSIVE)
    gst_caps_set_simple(caps, "interlace-mode", G_TYPE_STRING, "progressive", NULL);
  else if (format->field_order < G_N_ELEMENTS(orders) && orders[format->field_order] != NULL)
    gst_caps_set_simple(caps, "interlace-mode", G_TYPE_STRING, "interleaved", "field-order", G_TYPE_STRING,
                        orders[format->field_order], NULL);
  if (format->sample_aspect_num > 0 && format->sample_aspect_den > 0 && format->sample_aspect_num <= G_MAXINT32 &&
      format->sample_aspect_den <= G_MAXINT32)
    gst_caps_set_simple(caps, "pixel-aspect-ratio", GST_TYPE_FRACTION, (gint)format->sample_aspect_num,
                        (gint)format->sample_aspect_den, NULL);
  add_light(picture, caps);
}

void cf_gst_take_words(const GstCaps *caps, cf_gst_picture *picture) {
  const GstStructure *said = gst_caps_get_structure(caps, 0);
  const gchar *color_text = gst_structure_get_string(said, "colorimetry");
  const gchar *mode = gst_structure_get_string(said, "interlace-mode");
  const gchar *order = gst_structure_get_string(said, "field-order");
  GstVideoColorimetry color;
  gint n = 0, d = 0;
  memset(picture, 0, sizeof *picture);
  picture->fps_d = 1;
  if (color_text != NULL && gst_video_colorimetry_from_string(&color, color_text))
    picture->format.color = color_of(&color);
  if (g_strcmp0(mode, "progressive") == 0)
    picture->format.field_order = CUFRAMES_FIELDS_PROGRESSIVE;
  else if (g_strcmp0(mode, "interleaved") == 0 && order != NULL)
    picture->format.field_order =
        strcmp(order, "top-field-first") == 0 ? CUFRAMES_FIELDS_TOP_FIRST : CUFRAMES_FIELDS_BOTTOM_FIRST;
  if (gst_structure_get_fraction(said, "pixel-aspect-ratio", &n, &d) && n > 0 && d > 0) {
    picture->format.sample_aspect_num = (guint32)n;
    picture->format.sample_aspect_den = (guint32)d;
  }
  take_light(caps, picture);
}

void cf_gst_rate_of_duration(gint64 duration, gint32 *fps_n, gint32 *fps_d) {
  gint n = 0, d = 1;
  if (duration > 0)
    (void)gst_video_guess_framerate((GstClockTime)duration, &n,
                                    &d); /* FALSE: not a common one, and n and d all the same */
  *fps_n = n;
  *fps_d = d;
}

guint64 cf_gst_base(const cuframes_format *format) {
  const gint planes = cuframes_pixel_format_planes(format->pixel_format);
  guint64 base = format->offset[0];
  for (gint i = 1; i < planes; i++)
    base = MIN(base, format->offset[i]);
  return base;
}

gboolean cf_gst_info_of_format(const cuframes_format *format, guint64 base, GstVideoInfo *info) {
  GstVideoInfo made;
  guint64 end = 0;
  if (!info_of_words(format, &made))
    return FALSE;
  const gint planes = cuframes_pixel_format_planes(format->pixel_format);
  for (gint i = 0; i < planes; i++) {
    const gint to = cf_gst_plane(GST_VIDEO_INFO_FORMAT(&made), i);
    guint32 rows = 0;
    if (cuframes_format_plane_size(format, i, NULL, &rows) != CUFRAMES_OK || format->pitch[i] > G_MAXINT32 ||
        format->offset[i] < base)
      return FALSE;
    GST_VIDEO_INFO_PLANE_STRIDE(&made, to) = (gint)format->pitch[i];
    GST_VIDEO_INFO_PLANE_OFFSET(&made, to) = (gsize)(format->offset[i] - base);
    end = MAX(end, format->offset[i] - base + (guint64)format->pitch[i] * rows);
  }
  made.size = (gsize)end;
  *info = made;
  return TRUE;
}
