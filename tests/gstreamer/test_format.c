/* test_format.c - pictures in GStreamer's words and in ours, there and back. */
#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "format.h"

#define PIXELS (CUFRAMES_PIXEL_TENSOR - 1) /* of pictures */

static gboolean is_rgb(guint32 pixel) {
  return pixel == CUFRAMES_PIXEL_RGB24 || pixel == CUFRAMES_PIXEL_RGBA || pixel == CUFRAMES_PIXEL_BGRA ||
         pixel == CUFRAMES_PIXEL_BGR24 || pixel == CUFRAMES_PIXEL_RGBP;
}

static gboolean is_subsampled(guint32 pixel) {
  return !is_rgb(pixel) && pixel != CUFRAMES_PIXEL_YUV444P && pixel != CUFRAMES_PIXEL_GRAY8 &&
         pixel != CUFRAMES_PIXEL_GRAY16;
}

static cf_gst_picture picture_of(guint32 pixel, guint32 width, guint32 height) {
  cf_gst_picture picture;
  memset(&picture, 0, sizeof picture);
  picture.format.pixel_format = pixel;
  picture.format.width = width;
  picture.format.height = height;
  picture.fps_d = 1;
  return picture;
}

static cf_gst_picture there_and_back(const cf_gst_picture *picture) {
  cf_gst_picture back;
  GstCaps *caps = cf_gst_caps_of_picture(picture);
  assert_non_null(caps);
  assert_true(gst_caps_is_fixed(caps));
  assert_true(cf_gst_picture_of_caps(caps, &back));
  gst_caps_unref(caps);
  return back;
}

static gboolean caps_take(const gchar *template, const gchar *caps) {
  GstCaps *all = gst_caps_from_string(template), *one = gst_caps_from_string(caps);
  assert_non_null(all);
  assert_non_null(one);
  const gboolean is = gst_caps_is_subset(one, all);
  gst_caps_unref(all);
  gst_caps_unref(one);
  return is;
}

static cf_gst_picture parse(const gchar *text) {
  cf_gst_picture picture;
  GstCaps *caps = gst_caps_from_string(text);
  assert_non_null(caps);
  assert_true(cf_gst_picture_of_caps(caps, &picture));
  gst_caps_unref(caps);
  return picture;
}

/* Says everything that caps can say of such a picture. */
static void every_pixel_format_comes_back(void **state) {
  (void)state;
  for (guint32 pixel = 1; pixel <= PIXELS; pixel++) {
    cf_gst_picture said = picture_of(pixel, 1920, 1081), silent = said;
    said.format.color = (cuframes_color){ .matrix = 1, .range = 1, .primaries = 1, .transfer = 1 };
    if (is_rgb(pixel))
      said.format.color.matrix = 0;
    if (is_subsampled(pixel))
      said.format.chroma_location = CUFRAMES_CHROMA_LEFT;
    said.format.field_order = CUFRAMES_FIELDS_BOTTOM_FIRST;
    said.format.sample_aspect_num = 64;
    said.format.sample_aspect_den = 45;
    said.fps_n = 30000;
    said.fps_d = 1001;
    cf_gst_picture back = there_and_back(&said);
    assert_memory_equal(&back, &said, sizeof said);
    back = there_and_back(&silent);
    assert_memory_equal(&back, &silent, sizeof silent);

    GstCaps *caps = cf_gst_caps_of_picture(&said);
    gchar *text = gst_caps_to_string(caps);
    assert_true(caps_take(CF_GST_CAPS(CF_GST_FORMATS_SRC), text));
    assert_true(caps_take(CF_GST_CAPS(CF_GST_FORMATS_SINK), text));
    g_free(text);
    gst_caps_unref(caps);
  }
}

/* By GStreamer's own description of its formats: each component in the plane and at the byte where ours has it. */
static void components_lie_where_ours_do(void **state) {
  static const struct {
    guint32 ours;
    gint components, planes[4], bytes[4];
  } layouts[] = {
    { CUFRAMES_PIXEL_NV12, 3, { 0, 1, 1 }, { 0, 0, 1 } }, { CUFRAMES_PIXEL_P010, 3, { 0, 1, 1 }, { 0, 0, 2 } },
    { CUFRAMES_PIXEL_YUV420P, 3, { 0, 1, 2 }, { 0 } },    { CUFRAMES_PIXEL_YUV422P, 3, { 0, 1, 2 }, { 0 } },
    { CUFRAMES_PIXEL_YUV444P, 3, { 0, 1, 2 }, { 0 } },    { CUFRAMES_PIXEL_GRAY8, 1, { 0 }, { 0 } },
    { CUFRAMES_PIXEL_RGB24, 3, { 0 }, { 0, 1, 2 } },      { CUFRAMES_PIXEL_RGBA, 4, { 0 }, { 0, 1, 2, 3 } },
    { CUFRAMES_PIXEL_BGRA, 4, { 0 }, { 2, 1, 0, 3 } },    { CUFRAMES_PIXEL_BGR24, 3, { 0 }, { 2, 1, 0 } },
    { CUFRAMES_PIXEL_YUYV422, 3, { 0 }, { 0, 1, 3 } },    { CUFRAMES_PIXEL_UYVY422, 3, { 0 }, { 1, 0, 2 } },
    { CUFRAMES_PIXEL_GRAY16, 1, { 0 }, { 0 } },           { CUFRAMES_PIXEL_YUV420P10, 3, { 0, 1, 2 }, { 0 } },
    { CUFRAMES_PIXEL_YUV422P10, 3, { 0, 1, 2 }, { 0 } },  { CUFRAMES_PIXEL_RGBP, 3, { 0, 1, 2 }, { 0 } },
  };
  guint checked = 0;
  (void)state;
  for (gint gst = 1; gst <= GST_VIDEO_FORMAT_AV12; gst++) { /* the last one of 1.22 */
    const guint32 ours = cf_gst_pixel_format((GstVideoFormat)gst);
    const GstVideoFormatInfo *info = gst_video_format_get_info((GstVideoFormat)gst);
    for (gsize i = 0; i < G_N_ELEMENTS(layouts) && ours != CUFRAMES_PIXEL_NONE; i++) {
      if (layouts[i].ours != ours)
        continue;
      checked++;
      assert_int_equal((gint)GST_VIDEO_FORMAT_INFO_N_COMPONENTS(info), layouts[i].components);
      assert_int_equal((gint)GST_VIDEO_FORMAT_INFO_N_PLANES(info), cuframes_pixel_format_planes(ours));
      for (gint c = 0; c < layouts[i].components; c++) {
        assert_int_equal(GST_VIDEO_FORMAT_INFO_PLANE(info, c), cf_gst_plane((GstVideoFormat)gst, layouts[i].planes[c]));
        if (ours != CUFRAMES_PIXEL_P010) /* where versions of GStreamer count Cr's place in samples */
          assert_int_equal(GST_VIDEO_FORMAT_INFO_POFFSET(info, c), layouts[i].bytes[c]);
      }
    }
  }
  assert_int_equal(checked, PIXELS + 3); /* and YV12, BGRP, GBR */
}

static void colours_are_those_of_caps(void **state) {
  static const struct {
    const gchar *caps;
    cuframes_color color;
  } colours[] = {
    { "bt709", { .matrix = 1, .range = 1, .primaries = 1, .transfer = 1 } },
    { "bt601", { .matrix = 6, .range = 1, .primaries = 6, .transfer = 6 } },
    { "bt2020", { .matrix = 9, .range = 1, .primaries = 9, .transfer = 15 } },
    { "bt2020-10", { .matrix = 9, .range = 1, .primaries = 9, .transfer = 14 } },
    { "bt2100-pq", { .matrix = 9, .range = 1, .primaries = 9, .transfer = 16 } },
    { "bt2100-hlg", { .matrix = 9, .range = 1, .primaries = 9, .transfer = 18 } },
    { "smpte240m", { .matrix = 7, .range = 1, .primaries = 7, .transfer = 7 } },
    { "1:4:0:0", { .matrix = 6, .range = 2 } },
  };
  (void)state;
  for (gsize i = 0; i < G_N_ELEMENTS(colours); i++) {
    gchar *text = g_strdup_printf("video/x-raw,format=NV12,width=64,height=48,framerate=25/1,colorimetry=(string)%s",
                                  colours[i].caps);
    const cf_gst_picture picture = parse(text);
    assert_memory_equal(&picture.format.color, &colours[i].color, sizeof(cuframes_color));
    const cf_gst_picture back = there_and_back(&picture);
    assert_memory_equal(&back, &picture, sizeof back);
    g_free(text);
  }
  cf_gst_picture old = picture_of(CUFRAMES_PIXEL_NV12, 720, 576);
  old.format.color = (cuframes_color){ .matrix = 5, .range = 1, .primaries = 5, .transfer = 6 };
  const cf_gst_picture back = there_and_back(&old);
  assert_int_equal(back.format.color.matrix, 6); /* the same coefficients, by the one number that GStreamer has */
  assert_int_equal(back.format.color.primaries, 5);
}

/* A range without a matrix, as of a camera's JPEG: elements must not fall back on limited values. */
static void a_range_alone_survives(void **state) {
  GstVideoInfo info;
  (void)state;
  for (guint32 pixel = 1; pixel <= PIXELS; pixel++)
    for (guint8 range = 1; range <= 2; range++) {
      cf_gst_picture picture = picture_of(pixel, 640, 480);
      picture.format.color.range = range;
      GstCaps *caps = cf_gst_caps_of_picture(&picture);
      assert_true(gst_video_info_from_caps(&info, caps));
      assert_int_equal(info.colorimetry.range, range == 2 ? GST_VIDEO_COLOR_RANGE_0_255 : GST_VIDEO_COLOR_RANGE_16_235);
      assert_int_equal(there_and_back(&picture).format.color.range, range);
      gst_caps_unref(caps);
      picture.format.color = (cuframes_color){ .matrix = is_rgb(pixel) ? 0 : 1, .primaries = 1 };
      assert_int_not_equal(there_and_back(&picture).format.color.range, 0); /* GStreamer takes 0 for full */
    }
}

static void chroma_sites_come_back(void **state) {
  (void)state;
  for (guint8 site = 0; site <= CUFRAMES_CHROMA_BOTTOM; site++) {
    cf_gst_picture picture = picture_of(CUFRAMES_PIXEL_YUV420P, 64, 64);
    picture.format.chroma_location = site;
    const guint8 back = there_and_back(&picture).format.chroma_location;
    assert_int_equal(back, site <= CUFRAMES_CHROMA_TOP ? site : CUFRAMES_CHROMA_NOT_SAID);
  }
  assert_int_equal(parse("video/x-raw,format=I420,width=8,height=8,chroma-site=(string)mpeg2").format.chroma_location,
                   CUFRAMES_CHROMA_LEFT);
  assert_int_equal(parse("video/x-raw,format=I420,width=8,height=8,chroma-site=(string)jpeg").format.chroma_location,
                   CUFRAMES_CHROMA_CENTER);
  assert_int_equal(parse("video/x-raw,format=I420,width=8,height=8,chroma-site=(string)dv").format.chroma_location,
                   CUFRAMES_CHROMA_NOT_SAID);
}

/* Also beside a colour that is not said, where GStreamer would put its default over it. */
static void elements_believe_a_chroma_site(void **state) {
  GstVideoInfo info;
  cf_gst_picture picture = picture_of(CUFRAMES_PIXEL_NV12, 64, 64);
  (void)state;
  picture.format.chroma_location = CUFRAMES_CHROMA_TOP_LEFT;
  GstCaps *caps = cf_gst_caps_of_picture(&picture);
  assert_true(gst_video_info_from_caps(&info, caps));
  assert_int_equal(GST_VIDEO_INFO_CHROMA_SITE(&info), GST_VIDEO_CHROMA_SITE_COSITED);
  gst_caps_unref(caps);
}

static void light_comes_back(void **state) {
  cf_gst_picture picture = picture_of(CUFRAMES_PIXEL_P010, 3840, 2160);
  (void)state;
  picture.display = (cuframes_mastering_display){ .primaries = { 8500, 39850, 6550, 2300, 35400, 14600 },
                                                  .white_point = { 15635, 16450 },
                                                  .max_luminance = 10000000,
                                                  .min_luminance = 50 };
  picture.light = (cuframes_content_light){ .max_content = 1000, .max_average = 400 };
  const cf_gst_picture back = there_and_back(&picture);
  assert_memory_equal(&back, &picture, sizeof back);
  GstVideoMasteringDisplayInfo display;
  GstCaps *caps = cf_gst_caps_of_picture(&picture);
  assert_true(gst_video_mastering_display_info_from_caps(&display, caps));
  assert_int_equal(display.display_primaries[0].x, 35400); /* red */
  assert_int_equal(display.display_primaries[1].y, 39850); /* green */
  assert_int_equal(display.display_primaries[2].x, 6550);  /* blue */
  gst_caps_unref(caps);
}

static void fields_are_said_by_caps_and_buffers(void **state) {
  GstVideoInfo info;
  GstBuffer *buffer = gst_buffer_new();
  (void)state;
  for (guint8 order = CUFRAMES_FIELDS_PROGRESSIVE; order <= CUFRAMES_FIELDS_BOTTOM_FIRST; order++) {
    cf_gst_picture picture = picture_of(CUFRAMES_PIXEL_NV12, 720, 576);
    picture.format.field_order = order;
    assert_int_equal(there_and_back(&picture).format.field_order, order);
    assert_true(gst_video_info_set_format(&info, GST_VIDEO_FORMAT_NV12, 720, 576));
    for (gint mode = GST_VIDEO_INTERLACE_MODE_INTERLEAVED; mode <= GST_VIDEO_INTERLACE_MODE_MIXED; mode++) {
      if (mode == GST_VIDEO_INTERLACE_MODE_INTERLEAVED && order == CUFRAMES_FIELDS_PROGRESSIVE)
        continue;
      GST_VIDEO_INFO_INTERLACE_MODE(&info) = (GstVideoInterlaceMode)mode;
      GST_BUFFER_FLAG_UNSET(buffer, GST_VIDEO_BUFFER_FLAG_INTERLACED | GST_VIDEO_BUFFER_FLAG_TFF);
      GST_BUFFER_FLAG_SET(buffer, cf_gst_field_flags(order));
      assert_int_equal(cf_gst_fields_of_buffer(&info, buffer), order);
    }
  }
  const cf_gst_picture said = parse("video/x-raw,format=NV12,width=720,height=576,framerate=25/1,"
                                    "interlace-mode=(string)interleaved,field-order=(string)top-field-first");
  assert_int_equal(said.format.field_order, CUFRAMES_FIELDS_TOP_FIRST);
  gst_buffer_unref(buffer);
}

static void what_cannot_be_shared_is_refused(void **state) {
  static const gchar *const refused[] = {
    "video/x-raw,format=Y444_10LE,width=8,height=8,framerate=25/1",
    "video/x-raw,format=BGRx,width=8,height=8,framerate=25/1",
    "video/x-raw,format=NV12,width=70000,height=8,framerate=25/1",
    "video/x-raw,format=NV12,width=8,height=8,framerate=25/1,interlace-mode=(string)fields",
    "video/x-bayer,format=bggr,width=8,height=8",
  };
  cf_gst_picture picture, before;
  (void)state;
  memset(&picture, 0x5a, sizeof picture);
  before = picture;
  for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
    GstCaps *caps = gst_caps_from_string(refused[i]);
    assert_false(cf_gst_picture_of_caps(caps, &picture));
    assert_memory_equal(&picture, &before, sizeof picture);
    gst_caps_unref(caps);
  }
  picture = picture_of(CUFRAMES_PIXEL_TENSOR, 0, 0);
  assert_null(cf_gst_caps_of_picture(&picture));
  assert_true(caps_take(CF_GST_CAPS_FEATURE("memory:CUDAMemory", CF_GST_FORMATS_SINK),
                        "video/x-raw(memory:CUDAMemory),format=NV12,width=8,height=8,framerate=25/1,"
                        "interlace-mode=(string)progressive"));
}

static void strides_and_offsets_are_the_frames_own(void **state) {
  (void)state;
  for (guint32 pixel = 1; pixel <= PIXELS; pixel++) {
    cuframes_format format = picture_of(pixel, 101, 35).format;
    guint64 bytes = 0, at = 4096;
    GstVideoInfo info;
    assert_int_equal(cuframes_format_layout(&format, 256, &bytes), CUFRAMES_OK);
    const gint planes = cuframes_pixel_format_planes(pixel);
    for (gint i = planes - 1; i >= 0; i--) { /* the last one first, with a gap before each */
      guint32 rows = 0;
      assert_int_equal(cuframes_format_plane_size(&format, i, NULL, &rows), CUFRAMES_OK);
      format.offset[i] = at;
      at += (guint64)format.pitch[i] * rows + 512;
    }
    assert_int_equal(cf_gst_base(&format), 4096);
    assert_true(cf_gst_info_of_format(&format, 4096, &info));
    assert_int_equal(GST_VIDEO_INFO_SIZE(&info), at - 512 - 4096);
    for (gint i = 0; i < planes; i++) {
      const gint plane = cf_gst_plane(GST_VIDEO_INFO_FORMAT(&info), i);
      assert_int_equal(GST_VIDEO_INFO_PLANE_STRIDE(&info, plane), format.pitch[i]);
      assert_int_equal(GST_VIDEO_INFO_PLANE_OFFSET(&info, plane), format.offset[i] - 4096);
    }
    assert_false(cf_gst_info_of_format(&format, 8192, &info));
  }
}

static void rates_are_common_ones(void **state) {
  static const struct {
    gint64 duration;
    gint32 n, d;
  } rates[] = { { 0, 0, 1 },
                { 40000000, 25, 1 },
                { 33366667, 30000, 1001 },
                { 33333333, 30, 1 },
                { 16683333, 60000, 1001 },
                { 1000000000, 1, 1 },
                { 10000000000, 1, 10 },
                { -5, 0, 1 } };
  (void)state;
  for (gsize i = 0; i < G_N_ELEMENTS(rates); i++) {
    gint32 n = -1, d = -1;
    cf_gst_rate_of_duration(rates[i].duration, &n, &d);
    assert_int_equal(n, rates[i].n);
    assert_int_equal(d, rates[i].d);
  }
}

/* What is to be done to a stored picture of 3 x 2 samples, 1 2 3 over 4 5 6, by the definition in cuframes/format.h. */
static const struct {
  gint width, height;
  guint8 samples[6];
} upright[] = {
  [CUFRAMES_ORIENTATION_TOP_LEFT] = { 3, 2, { 1, 2, 3, 4, 5, 6 } },
  [CUFRAMES_ORIENTATION_TOP_RIGHT] = { 3, 2, { 3, 2, 1, 6, 5, 4 } },
  [CUFRAMES_ORIENTATION_BOTTOM_RIGHT] = { 3, 2, { 6, 5, 4, 3, 2, 1 } },
  [CUFRAMES_ORIENTATION_BOTTOM_LEFT] = { 3, 2, { 4, 5, 6, 1, 2, 3 } },
  [CUFRAMES_ORIENTATION_LEFT_TOP] = { 2, 3, { 1, 4, 2, 5, 3, 6 } },
  [CUFRAMES_ORIENTATION_RIGHT_TOP] = { 2, 3, { 4, 1, 5, 2, 6, 3 } },
  [CUFRAMES_ORIENTATION_RIGHT_BOTTOM] = { 2, 3, { 6, 3, 5, 2, 4, 1 } },
  [CUFRAMES_ORIENTATION_LEFT_BOTTOM] = { 2, 3, { 3, 6, 2, 5, 1, 4 } },
};

/* GStreamer's own element turns a picture as the tag says. */
static void orientations_turn_as_they_should(void **state) {
  (void)state;
  for (guint8 o = CUFRAMES_ORIENTATION_TOP_LEFT; o <= CUFRAMES_ORIENTATION_LEFT_BOTTOM; o++) {
    GstHarness *h = gst_harness_new_parse("videoflip video-direction=auto");
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 8, NULL);
    gst_buffer_memset(buffer, 0, 0, 8);
    gst_buffer_fill(buffer, 0, "\1\2\3", 3);
    gst_buffer_fill(buffer, 4, "\4\5\6", 3);
    gst_harness_set_src_caps_str(h, "video/x-raw,format=GRAY8,width=3,height=2,framerate=25/1");
    gst_harness_push_event(
        h, gst_event_new_tag(gst_tag_list_new(GST_TAG_IMAGE_ORIENTATION, cf_gst_orientation_tag(o), NULL)));
    GstBuffer *turned = gst_harness_push_and_pull(h, buffer);
    assert_non_null(turned);
    for (gint y = 0; y < upright[o].height; y++) {
      guint8 row[4] = { 0 };
      assert_int_equal(gst_buffer_extract(turned, (gsize)y * 4, row, 4), 4);
      assert_memory_equal(row, upright[o].samples + y * upright[o].width, (gsize)upright[o].width);
    }
    assert_int_equal(cf_gst_orientation_of_tag(cf_gst_orientation_tag(o)), o);
    gst_buffer_unref(turned);
    gst_harness_teardown(h);
  }
  assert_null(cf_gst_orientation_tag(CUFRAMES_ORIENTATION_NOT_SAID));
  assert_null(cf_gst_orientation_tag(9));
  assert_int_equal(cf_gst_orientation_of_tag(NULL), CUFRAMES_ORIENTATION_NOT_SAID);
  assert_int_equal(cf_gst_orientation_of_tag("rotate-45"), CUFRAMES_ORIENTATION_NOT_SAID);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_pixel_format_comes_back),
    cmocka_unit_test(components_lie_where_ours_do),
    cmocka_unit_test(colours_are_those_of_caps),
    cmocka_unit_test(a_range_alone_survives),
    cmocka_unit_test(chroma_sites_come_back),
    cmocka_unit_test(elements_believe_a_chroma_site),
    cmocka_unit_test(light_comes_back),
    cmocka_unit_test(fields_are_said_by_caps_and_buffers),
    cmocka_unit_test(what_cannot_be_shared_is_refused),
    cmocka_unit_test(strides_and_offsets_are_the_frames_own),
    cmocka_unit_test(rates_are_common_ones),
    cmocka_unit_test(orientations_turn_as_they_should),
  };
  gst_init(&argc, &argv);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
