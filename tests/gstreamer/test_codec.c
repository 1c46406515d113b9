/* test_codec.c - codecs in GStreamer's words and in ours, there and back, and taken by the elements they are for. */
#include <gst/gst.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec.h"

#define BYTES(...)                                                                                                     \
  (const guint8[]){ __VA_ARGS__ }, sizeof(const guint8[]) {                                                            \
    __VA_ARGS__                                                                                                        \
  }

/* H.264 High, level 4.1, without sets; H.265 Main 10, level 4.1; AV1 Main; AAC-LC, 48 kHz, stereo. */
#define AVCC BYTES(1, 100, 0, 41, 0xff, 0xe0, 0)
#define HVCC BYTES(1, 2, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 123, 0xf0, 0, 0xfc, 0xfd, 0xfa, 0xfa, 0, 0, 0x0f, 0)
#define AV1C BYTES(0x81, 8, 0xc, 0)
#define ASC BYTES(0x11, 0x90)
#define OPUS_HEAD BYTES('O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0)
#define STREAMINFO                                                                                                     \
  BYTES(16, 0, 16, 0, 0, 0, 14, 0, 0x10, 0, 0xb, 0xb8, 2, 0xf0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, \
        14, 15, 16)
#define XIPH BYTES(2, 3, 4, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i')

typedef struct track {
  const gchar *codec;
  guint32 media;
  const guint8 *extradata;
  gsize size;
  const gchar *fields; /* that the caps have among others */
  const gchar *taker;  /* an element that takes them */
} track;

static const track tracks[] = {
  { "h264", CUFRAMES_MEDIA_VIDEO, AVCC,
    "video/x-h264,stream-format=(string)avc,alignment=(string)au,profile=(string)high,level=(string)4.1", "mp4mux" },
  { "hevc", CUFRAMES_MEDIA_VIDEO, HVCC,
    "video/x-h265,stream-format=(string)hvc1,alignment=(string)au,profile=(string)main-10,level=(string)4.1",
    "mp4mux" },
  { "av1", CUFRAMES_MEDIA_VIDEO, AV1C, "video/x-av1,stream-format=(string)obu-stream,alignment=(string)tu",
    "matroskamux" },
  { "vp8", CUFRAMES_MEDIA_VIDEO, NULL, 0, "video/x-vp8", "webmmux" },
  { "vp9", CUFRAMES_MEDIA_VIDEO, NULL, 0, "video/x-vp9", "webmmux" },
  { "mjpeg", CUFRAMES_MEDIA_VIDEO, NULL, 0, "image/jpeg", "jpegdec" },
  { "mpeg1video", CUFRAMES_MEDIA_VIDEO, NULL, 0, "video/mpeg,mpegversion=1,systemstream=false,parsed=true",
    "matroskamux" },
  { "mpeg2video", CUFRAMES_MEDIA_VIDEO, NULL, 0, "video/mpeg,mpegversion=2,systemstream=false,parsed=true",
    "matroskamux" },
  { "mpeg4", CUFRAMES_MEDIA_VIDEO, BYTES(0, 0, 1, 0xb0, 1), "video/mpeg,mpegversion=4,systemstream=false",
    "matroskamux" },
  { "aac", CUFRAMES_MEDIA_AUDIO, ASC,
    "audio/mpeg,mpegversion=4,framed=true,stream-format=(string)raw,profile=(string)lc", "mp4mux" },
  { "mp3", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/mpeg,mpegversion=1,layer=3,parsed=true", "matroskamux" },
  { "mp2", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/mpeg,mpegversion=1,layer=2,parsed=true", "matroskamux" },
  { "opus", CUFRAMES_MEDIA_AUDIO, OPUS_HEAD, "audio/x-opus,channel-mapping-family=0", "matroskamux" },
  { "vorbis", CUFRAMES_MEDIA_AUDIO, XIPH, "audio/x-vorbis", "matroskamux" },
  { "flac", CUFRAMES_MEDIA_AUDIO, STREAMINFO, "audio/x-flac,framed=true", "matroskamux" },
  { "ac3", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/x-ac3,framed=true", "matroskamux" },
  { "eac3", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/x-eac3,framed=true", "matroskamux" },
  { "pcm_alaw", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/x-alaw", "alawdec" },
  { "pcm_mulaw", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/x-mulaw", "mulawdec" },
  { "adpcm_g722", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/G722", "rtpg722pay" },
  { "pcm_s16le", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/x-raw,format=(string)S16LE,layout=(string)interleaved",
    "audioconvert" },
  { "pcm_s16be", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/x-raw,format=(string)S16BE,layout=(string)interleaved",
    "audioconvert" },
  { "pcm_f32le", CUFRAMES_MEDIA_AUDIO, NULL, 0, "audio/x-raw,format=(string)F32LE,layout=(string)interleaved",
    "audioconvert" },
  { "klv", CUFRAMES_MEDIA_DATA, NULL, 0, "meta/x-klv,parsed=true", "rtpklvpay" },
};

static cuframes_codec_params params_of(const track *t) {
  cuframes_codec_params params = { .struct_size = sizeof params, .media_type = t->media };
  params.profile = params.level = G_MAXUINT32;
  g_strlcpy(params.codec, t->codec, sizeof params.codec);
  if (t->media == CUFRAMES_MEDIA_AUDIO) {
    params.sample_rate = strcmp(t->codec, "adpcm_g722") == 0 ? 16000 : 48000;
    params.channels = g_strrstr(t->codec, "722") != NULL ? 1 : 2;
  } else if (t->media == CUFRAMES_MEDIA_VIDEO) {
    params.width = 1920;
    params.height = 1080;
    params.frame_rate_num = 30000;
    params.frame_rate_den = 1001;
    params.color = (cuframes_color){ .matrix = 9, .range = 1, .primaries = 9, .transfer = 16 };
    params.field_order = CUFRAMES_FIELDS_TOP_FIRST;
    params.sample_aspect_num = 4;
    params.sample_aspect_den = 3;
    params.mastering_display = (cuframes_mastering_display){ .primaries = { 8500, 39850, 6550, 2300, 35400, 14600 },
                                                             .white_point = { 15635, 16450 },
                                                             .max_luminance = 10000000,
                                                             .min_luminance = 50 };
    params.content_light = (cuframes_content_light){ .max_content = 1000, .max_average = 400 };
  }
  return params;
}

static void every_codec_comes_back(void **state) {
  (void)state;
  GstCaps *taken = gst_caps_from_string(CF_GST_PACKET_CAPS_SINK);
  for (gsize i = 0; i < G_N_ELEMENTS(tracks); i++) {
    const track *t = &tracks[i];
    cuframes_codec_params params = params_of(t), back = { 0 };
    GByteArray *extradata = NULL;
    GstCaps *caps = cf_gst_caps_of_params(&params, t->extradata, t->size), *like = gst_caps_from_string(t->fields);
    assert_non_null(caps);
    assert_true(gst_caps_is_fixed(caps));
    assert_true(gst_caps_is_subset(caps, like));
    assert_true(gst_caps_is_subset(caps, taken));
    assert_true(cf_gst_params_of_caps(caps, &back, &extradata));
    assert_int_equal(extradata->len, t->size);
    if (t->size > 0)
      assert_memory_equal(extradata->data, t->extradata, t->size);
    if (t->size > 0 && back.profile != G_MAXUINT32)
      params.profile = back.profile; /* out of the extradata: below */
    params.level = back.level;
    params.frame_size = back.frame_size;
    assert_memory_equal(&back, &params, sizeof params);
    g_byte_array_unref(extradata);
    gst_caps_unref(like);
    gst_caps_unref(caps);
  }
  gst_caps_unref(taken);
}

static void elements_take_them(void **state) {
  (void)state;
  for (gsize i = 0; i < G_N_ELEMENTS(tracks); i++) {
    const cuframes_codec_params params = params_of(&tracks[i]);
    GstElementFactory *factory = gst_element_factory_find(tracks[i].taker);
    GstCaps *caps = cf_gst_caps_of_params(&params, tracks[i].extradata, tracks[i].size);
    if (factory != NULL && !gst_element_factory_can_sink_all_caps(factory, caps))
      fail_msg("%s does not take %" GST_PTR_FORMAT, tracks[i].taker, (void *)caps);
    assert_true(factory != NULL || g_strcmp0(tracks[i].taker, "rtpklvpay") == 0);
    gst_clear_object(&factory);
    gst_caps_unref(caps);
  }
}

static void profiles_are_read(void **state) {
  static const struct {
    gsize row;
    guint32 profile, level;
  } profiles[] = { { 0, 100, 41 }, { 1, 2, 123 }, { 9, 1, G_MAXUINT32 } };
  (void)state;
  for (gsize i = 0; i < G_N_ELEMENTS(profiles); i++) {
    const track *t = &tracks[profiles[i].row];
    cuframes_codec_params params = params_of(t);
    GByteArray *extradata = NULL;
    GstCaps *caps = cf_gst_caps_of_params(&params, t->extradata, t->size);
    assert_true(cf_gst_params_of_caps(caps, &params, &extradata));
    assert_int_equal(params.profile, profiles[i].profile);
    assert_int_equal(params.level, profiles[i].level);
    g_byte_array_unref(extradata);
    gst_caps_unref(caps);
  }
}

/* As cameras and transport streams have them: no record. */
static void without_extradata_it_is_a_byte_stream(void **state) {
  static const struct {
    const gchar *codec, *caps;
  } streams[] = { { "h264", "video/x-h264,stream-format=(string)byte-stream,alignment=(string)au" },
                  { "hevc", "video/x-h265,stream-format=(string)byte-stream,alignment=(string)au" },
                  { "aac", "audio/mpeg,mpegversion=4,stream-format=(string)adts,framed=true" },
                  { "opus", "audio/x-opus,channel-mapping-family=0,channels=2" } };
  static const guint8 annex_b[] = { 0, 0, 0, 1, 0x67, 100, 0, 41 };
  (void)state;
  for (gsize i = 0; i < G_N_ELEMENTS(streams); i++) {
    const track t = { streams[i].codec, i < 2 ? CUFRAMES_MEDIA_VIDEO : CUFRAMES_MEDIA_AUDIO, NULL, 0, NULL, NULL };
    const cuframes_codec_params params = params_of(&t);
    GstCaps *caps = cf_gst_caps_of_params(&params, i < 2 ? annex_b : NULL, i < 2 ? sizeof annex_b : 0);
    GstCaps *like = gst_caps_from_string(streams[i].caps);
    assert_true(gst_caps_is_subset(caps, like));
    assert_false(gst_structure_has_field(gst_caps_get_structure(caps, 0), "codec_data"));
    gst_caps_unref(like);
    gst_caps_unref(caps);
  }
}

static void a_byte_stream_has_its_parameter_sets_in_its_packets(void **state) {
  static const struct {
    const gchar *caps, *codec;
  } streams[] = {
    { "video/x-h264,stream-format=(string)byte-stream,alignment=(string)au,width=64,height=48", "h264" },
    { "video/x-h265,stream-format=(string)byte-stream,alignment=(string)au,width=64,height=48", "hevc" },
  };
  (void)state;
  for (gsize i = 0; i < G_N_ELEMENTS(streams); i++) {
    GstCaps *caps = gst_caps_from_string(streams[i].caps);
    cuframes_codec_params params;
    GByteArray *extradata = NULL;
    assert_true(cf_gst_params_of_caps(caps, &params, &extradata));
    assert_string_equal(params.codec, streams[i].codec);
    assert_int_equal(params.width, 64);
    assert_int_equal(extradata->len, 0);
    g_byte_array_unref(extradata);
    gst_caps_unref(caps);
  }
}

static void what_is_unknown_or_incomplete_is_refused(void **state) {
  static const gchar *const refused[] = {
    "video/x-dirac,width=8,height=8",
    "video/x-h264,stream-format=(string)byte-stream,alignment=(string)au,codec_data=(buffer)0164000aff",
    "video/x-h264,stream-format=(string)avc,alignment=(string)au",
    "video/x-h264,stream-format=(string)avc,alignment=(string)au,codec_data=(buffer)0164",
    "audio/mpeg,mpegversion=4,framed=true,stream-format=(string)raw,rate=48000,channels=2",
    "audio/x-alaw",
    "audio/x-vorbis,rate=48000,channels=2",
  };
  cuframes_codec_params params, before;
  GByteArray *extradata = NULL;
  (void)state;
  memset(&params, 0x5a, sizeof params);
  before = params;
  for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
    GstCaps *caps = gst_caps_from_string(refused[i]);
    assert_false(cf_gst_params_of_caps(caps, &params, &extradata));
    assert_null(extradata);
    assert_memory_equal(&params, &before, sizeof params);
    gst_caps_unref(caps);
  }
  params = params_of(&tracks[0]);
  g_strlcpy(params.codec, "cuframes-annotation", sizeof params.codec);
  assert_null(cf_gst_caps_of_params(&params, NULL, 0));
}

/* Extradata of a peer: any bytes. */
static void any_extradata_is_survived(void **state) {
  guint8 bytes[64];
  GRand *random = g_rand_new_with_seed(18);
  (void)state;
  for (gint round = 0; round < 20000; round++) {
    const track *t = &tracks[g_rand_int_range(random, 0, G_N_ELEMENTS(tracks))];
    const cuframes_codec_params params = params_of(t);
    const gsize size = (gsize)g_rand_int_range(random, 0, sizeof bytes);
    for (gsize i = 0; i < size; i++)
      bytes[i] = (guint8)(g_rand_int_range(random, 0, 3) == 0 ? g_rand_int_range(random, 0, 256)
                          : i < t->size                       ? t->extradata[i]
                                                              : 0);
    guint8 *exact = g_memdup2(bytes, size); /* so that a tool sees what is read past the end */
    GstCaps *caps = cf_gst_caps_of_params(&params, exact, size);
    gst_clear_caps(&caps);
    g_free(exact);
  }
  g_rand_free(random);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_codec_comes_back),
    cmocka_unit_test(elements_take_them),
    cmocka_unit_test(profiles_are_read),
    cmocka_unit_test(without_extradata_it_is_a_byte_stream),
    cmocka_unit_test(a_byte_stream_has_its_parameter_sets_in_its_packets),
    cmocka_unit_test(what_is_unknown_or_incomplete_is_refused),
    cmocka_unit_test(any_extradata_is_survived),
  };
  gst_init(&argc, &argv);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
