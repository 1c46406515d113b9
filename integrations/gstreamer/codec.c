/* codec.c - see codec.h. */
#include "codec.h"

#include <string.h>

#include <gst/audio/audio.h>
#include <gst/pbutils/codec-utils.h>
#include <gst/video/video.h>

#include "format.h"

#define UNKNOWN G_MAXUINT32
#define AVCC_MIN 7  /* bytes of the smallest avcC: no parameter sets */
#define HVCC_MIN 23 /* of hvcC */
#define FLAC_STREAMINFO 34
#define FLAC_FIRST (13 + 4 + FLAC_STREAMINFO) /* of the first stream header: Ogg's mapping of FLAC */
#define XIPH_HEADERS 3                        /* of Vorbis: identification, comments, set-up */

/* What a row has beside its caps. */
enum special { PLAIN, H264, H265, AV1, AAC, OPUS, FLAC, VORBIS, RAW };

/* The first row with a name is the one that caps are made of; the first one with caps is the one that they are. */
static const struct {
  const gchar *codec;
  guint32 media;
  enum special special;
  const gchar *caps;
} known[] = {
  { "h264", CUFRAMES_MEDIA_VIDEO, H264, "video/x-h264, alignment=(string)au" },
  { "hevc", CUFRAMES_MEDIA_VIDEO, H265, "video/x-h265, alignment=(string)au" },
  { "av1", CUFRAMES_MEDIA_VIDEO, AV1, "video/x-av1, stream-format=(string)obu-stream, alignment=(string)tu" },
  { "vp8", CUFRAMES_MEDIA_VIDEO, PLAIN, "video/x-vp8" },
  { "vp9", CUFRAMES_MEDIA_VIDEO, PLAIN, "video/x-vp9" },
  { "mjpeg", CUFRAMES_MEDIA_VIDEO, PLAIN, "image/jpeg" },
  { "mpeg1video", CUFRAMES_MEDIA_VIDEO, PLAIN, "video/mpeg, mpegversion=(int)1, systemstream=(boolean)false" },
  { "mpeg2video", CUFRAMES_MEDIA_VIDEO, PLAIN, "video/mpeg, mpegversion=(int)2, systemstream=(boolean)false" },
  { "mpeg4", CUFRAMES_MEDIA_VIDEO, PLAIN, "video/mpeg, mpegversion=(int)4, systemstream=(boolean)false" },
  { "aac", CUFRAMES_MEDIA_AUDIO, AAC, "audio/mpeg, mpegversion=(int)4, framed=(boolean)true" },
  { "mp3", CUFRAMES_MEDIA_AUDIO, PLAIN, "audio/mpeg, mpegversion=(int)1, layer=(int)3, parsed=(boolean)true" },
  { "mp2", CUFRAMES_MEDIA_AUDIO, PLAIN, "audio/mpeg, mpegversion=(int)1, layer=(int)2, parsed=(boolean)true" },
  { "opus", CUFRAMES_MEDIA_AUDIO, OPUS, "audio/x-opus" },
  { "vorbis", CUFRAMES_MEDIA_AUDIO, VORBIS, "audio/x-vorbis" },
  { "flac", CUFRAMES_MEDIA_AUDIO, FLAC, "audio/x-flac, framed=(boolean)true" },
  { "ac3", CUFRAMES_MEDIA_AUDIO, PLAIN, "audio/x-ac3, framed=(boolean)true" },
  { "eac3", CUFRAMES_MEDIA_AUDIO, PLAIN, "audio/x-eac3, framed=(boolean)true" },
  { "pcm_alaw", CUFRAMES_MEDIA_AUDIO, PLAIN, "audio/x-alaw" },
  { "pcm_mulaw", CUFRAMES_MEDIA_AUDIO, PLAIN, "audio/x-mulaw" },
  { "adpcm_g722", CUFRAMES_MEDIA_AUDIO, PLAIN, "audio/G722" },
  { "pcm_u8", CUFRAMES_MEDIA_AUDIO, RAW, "audio/x-raw, format=(string)U8" },
  { "pcm_s16le", CUFRAMES_MEDIA_AUDIO, RAW, "audio/x-raw, format=(string)S16LE" },
  { "pcm_s16be", CUFRAMES_MEDIA_AUDIO, RAW, "audio/x-raw, format=(string)S16BE" },
  { "pcm_s24le", CUFRAMES_MEDIA_AUDIO, RAW, "audio/x-raw, format=(string)S24LE" },
  { "pcm_s32le", CUFRAMES_MEDIA_AUDIO, RAW, "audio/x-raw, format=(string)S32LE" },
  { "pcm_f32le", CUFRAMES_MEDIA_AUDIO, RAW, "audio/x-raw, format=(string)F32LE" },
  { "klv", CUFRAMES_MEDIA_DATA, PLAIN, "meta/x-klv, parsed=(boolean)true" },
};

static GstBuffer *buffer_of(gconstpointer data, gsize size) {
  return size > 0 ? gst_buffer_new_memdup(data, size) : gst_buffer_new();
}

static void set_codec_data(GstCaps *caps, gconstpointer data, gsize size) {
  GstBuffer *buffer = buffer_of(data, size);
  gst_caps_set_simple(caps, "codec_data", GST_TYPE_BUFFER, buffer, NULL);
  gst_buffer_unref(buffer);
}

static void add_header(GValue *headers, gconstpointer data, gsize size) {
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_BUFFER);
  gst_value_take_buffer(&value, buffer_of(data, size));
  gst_value_array_append_and_take_value(headers, &value);
}

static void set_headers(GstCaps *caps, GValue *headers) {
  gst_structure_take_value(gst_caps_get_structure(caps, 0), "streamheader", headers);
}

/* ---- into caps ---- */

static void set_h264(GstCaps *caps, const guint8 *extradata, gsize size) {
  const gboolean is_record = size >= AVCC_MIN && extradata[0] == 1;
  gst_caps_set_simple(caps, "stream-format", G_TYPE_STRING, is_record ? "avc" : "byte-stream", NULL);
  if (!is_record)
    return;
  set_codec_data(caps, extradata, size);
  (void)gst_codec_utils_h264_caps_set_level_and_profile(caps, extradata + 1, 3); /* FALSE: a profile without a name */
}

static void set_h265(GstCaps *caps, const guint8 *extradata, gsize size) {
  const gboolean is_record = size >= HVCC_MIN && extradata[0] == 1;
  gst_caps_set_simple(caps, "stream-format", G_TYPE_STRING, is_record ? "hvc1" : "byte-stream", NULL);
  if (!is_record)
    return;
  set_codec_data(caps, extradata, size);
  (void)gst_codec_utils_h265_caps_set_level_tier_and_profile(caps, extradata + 1, 12);
}

/* FFmpeg's is the record of MP4, or the sequence header as it is in the packets, too. */
static void set_av1(GstCaps *caps, const guint8 *extradata, gsize size) {
  if (size >= 4 && extradata[0] == 0x81)
    set_codec_data(caps, extradata, size);
}

/* Without its configuration each packet has a header of its own. */
static void set_aac(GstCaps *caps, const guint8 *extradata, gsize size) {
  gst_caps_set_simple(caps, "stream-format", G_TYPE_STRING, size >= 2 ? "raw" : "adts", NULL);
  if (size < 2)
    return;
  set_codec_data(caps, extradata, size);
  (void)gst_codec_utils_aac_caps_set_level_and_profile(caps, extradata, (guint)size);
}

static GstCaps *opus_caps(const cuframes_codec_params *params, const guint8 *extradata, gsize size) {
  GstCaps *caps = NULL;
  if (size >= 19) {
    GstBuffer *header = buffer_of(extradata, size);
    caps = gst_codec_utils_opus_create_caps_from_header(header, NULL);
    gst_buffer_unref(header);
  }
  if (caps == NULL && params->channels >= 1 && params->channels <= 2)
    caps = gst_codec_utils_opus_create_caps(params->sample_rate, (guint8)params->channels, 0, 1, params->channels == 2,
                                            NULL);
  return caps;
}

/* Of FFmpeg's, which is the block STREAMINFO, with or without what stands before it in a file. */
static void set_flac(GstCaps *caps, const guint8 *extradata, gsize size) {
  static const guint8 before[] = { 0x7f, 'F', 'L', 'A', 'C', 1, 0, 0, 1, 'f', 'L', 'a', 'C', 0, 0, 0, FLAC_STREAMINFO };
  static const guint8 no_comments[] = { 0x84, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0 }; /* the last block, of 8 bytes */
  GValue headers = G_VALUE_INIT;
  guint8 first[FLAC_FIRST];
  const gsize skip = size >= 8 + FLAC_STREAMINFO && memcmp(extradata, "fLaC", 4) == 0 ? 8 : 0;
  if (size < skip + FLAC_STREAMINFO)
    return;
  memcpy(first, before, sizeof before);
  memcpy(first + sizeof before, extradata + skip, FLAC_STREAMINFO);
  g_value_init(&headers, GST_TYPE_ARRAY);
  add_header(&headers, first, sizeof first);
  add_header(&headers, no_comments, sizeof no_comments);
  set_headers(caps, &headers);
}

/* Sizes as Xiph codes them: bytes of 255, and the rest. */
static gboolean xiph_size(const guint8 *data, gsize size, gsize *at, gsize *coded) {
  gsize sum = 0;
  while (*at < size) {
    const guint8 byte = data[(*at)++];
    sum += byte;
    if (byte < 255) {
      *coded = sum;
      return TRUE;
    }
  }
  return FALSE;
}

/* FFmpeg has the three headers behind each other, after a 2 and the sizes of the first two. */
static gboolean set_vorbis(GstCaps *caps, const guint8 *extradata, gsize size) {
  GValue headers = G_VALUE_INIT;
  gsize at = 1, sizes[XIPH_HEADERS];
  if (size < 3 || extradata[0] != XIPH_HEADERS - 1 || !xiph_size(extradata, size, &at, &sizes[0]) ||
      !xiph_size(extradata, size, &at, &sizes[1]) || sizes[0] > size - at || sizes[1] > size - at - sizes[0])
    return FALSE;
  sizes[2] = size - at - sizes[0] - sizes[1];
  g_value_init(&headers, GST_TYPE_ARRAY);
  for (gint i = 0; i < XIPH_HEADERS; i++) {
    add_header(&headers, extradata + at, sizes[i]);
    at += sizes[i];
  }
  set_headers(caps, &headers);
  return TRUE;
}

static void set_raw(GstCaps *caps, guint32 channels) {
  gst_caps_set_simple(caps, "layout", G_TYPE_STRING, "interleaved", NULL);
  if (channels > 2)
    gst_caps_set_simple(caps, "channel-mask", GST_TYPE_BITMASK,
                        channels <= 8 ? gst_audio_channel_get_fallback_mask((gint)channels) : 0, NULL);
}

static void set_video(GstCaps *caps, const cuframes_codec_params *params) {
  cf_gst_picture picture;
  memset(&picture, 0, sizeof picture);
  if (params->width > 0 && params->height > 0)
    gst_caps_set_simple(caps, "width", G_TYPE_INT, (gint)params->width, "height", G_TYPE_INT, (gint)params->height,
                        NULL);
  if (params->frame_rate_num > 0 && params->frame_rate_den > 0 && params->frame_rate_num <= G_MAXINT32 &&
      params->frame_rate_den <= G_MAXINT32)
    gst_caps_set_simple(caps, "framerate", GST_TYPE_FRACTION, (gint)params->frame_rate_num,
                        (gint)params->frame_rate_den, NULL);
  picture.format.color = params->color;
  picture.format.field_order = params->field_order;
  picture.format.sample_aspect_num = params->sample_aspect_num;
  picture.format.sample_aspect_den = params->sample_aspect_den;
  picture.display = params->mastering_display;
  picture.light = params->content_light;
  cf_gst_add_words(&picture, caps);
}

GstCaps *cf_gst_caps_of_params(const cuframes_codec_params *params, gconstpointer extradata, gsize size) {
  gsize row = 0;
  while (row < G_N_ELEMENTS(known) && strcmp(known[row].codec, params->codec) != 0)
    row++;
  if (row == G_N_ELEMENTS(known))
    return NULL;
  GstCaps *caps =
      known[row].special == OPUS ? opus_caps(params, extradata, size) : gst_caps_from_string(known[row].caps);
  gboolean good = caps != NULL;
  switch (good ? known[row].special : PLAIN) {
    case H264: set_h264(caps, extradata, size); break;
    case H265: set_h265(caps, extradata, size); break;
    case AV1: set_av1(caps, extradata, size); break;
    case AAC: set_aac(caps, extradata, size); break;
    case FLAC: set_flac(caps, extradata, size); break;
    case VORBIS: good = set_vorbis(caps, extradata, size); break;
    case RAW: set_raw(caps, params->channels); break;
    default: break;
  }
  if (good && strcmp(params->codec, "mpeg4") == 0 && size > 0)
    set_codec_data(caps, extradata, size);
  if (good && g_str_has_prefix(params->codec, "mpeg"))
    gst_caps_set_simple(caps, "parsed", G_TYPE_BOOLEAN, TRUE, NULL);
  if (good && known[row].media == CUFRAMES_MEDIA_VIDEO)
    set_video(caps, params);
  if (good && known[row].media == CUFRAMES_MEDIA_AUDIO && known[row].special != OPUS && params->sample_rate > 0 &&
      params->channels > 0 && params->sample_rate <= G_MAXINT32 && params->channels <= G_MAXINT32)
    gst_caps_set_simple(caps, "rate", G_TYPE_INT, (gint)params->sample_rate, "channels", G_TYPE_INT,
                        (gint)params->channels, NULL);
  if (!good)
    gst_clear_caps(&caps);
  return caps;
}

/* ---- out of caps ---- */

static GByteArray *bytes_of(const GValue *value) {
  GByteArray *bytes = g_byte_array_new();
  GstBuffer *buffer = value != NULL && G_VALUE_HOLDS(value, GST_TYPE_BUFFER) ? gst_value_get_buffer(value) : NULL;
  GstMapInfo map;
  if (buffer != NULL && gst_buffer_map(buffer, &map, GST_MAP_READ)) {
    g_byte_array_append(bytes, map.data, (guint)map.size);
    gst_buffer_unmap(buffer, &map);
  }
  return bytes;
}

static GByteArray *header_of(const GstStructure *s, guint index) {
  const GValue *headers = gst_structure_get_value(s, "streamheader");
  const gboolean there = headers != NULL && GST_VALUE_HOLDS_ARRAY(headers) && index < gst_value_array_get_size(headers);
  return bytes_of(there ? gst_value_array_get_value(headers, index) : NULL);
}

static GByteArray *vorbis_extradata(const GstStructure *s) {
  GByteArray *made = g_byte_array_new(), *headers[XIPH_HEADERS];
  guint8 byte = XIPH_HEADERS - 1;
  g_byte_array_append(made, &byte, 1);
  for (guint i = 0; i < XIPH_HEADERS; i++) {
    headers[i] = header_of(s, i);
    if (i == XIPH_HEADERS - 1)
      continue;
    for (guint left = headers[i]->len;; left -= 255) {
      byte = (guint8)MIN(left, 255);
      g_byte_array_append(made, &byte, 1);
      if (left < 255)
        break;
    }
  }
  for (guint i = 0; i < XIPH_HEADERS; i++) {
    g_byte_array_append(made, headers[i]->data, headers[i]->len);
    g_byte_array_unref(headers[i]);
  }
  return made;
}

static GByteArray *opus_extradata(const GstCaps *caps, cuframes_codec_params *params) {
  GByteArray *bytes = header_of(gst_caps_get_structure(caps, 0), 0);
  guint32 rate = 48000;
  guint8 channels = 0, family = 0, streams = 1, coupled = 0, mapping[256] = { 0 };
  if (!gst_codec_utils_opus_parse_caps((GstCaps *)caps, &rate, &channels, &family, &streams, &coupled, mapping))
    return bytes;
  params->sample_rate = 48000; /* whatever it was made of, this is what it is decoded to */
  params->channels = channels;
  if (bytes->len > 0)
    return bytes;
  GstBuffer *header =
      gst_codec_utils_opus_create_header(rate, channels, family, streams, coupled, family != 0 ? mapping : NULL, 0, 0);
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_BUFFER);
  gst_value_take_buffer(&value, header);
  g_byte_array_unref(bytes);
  bytes = bytes_of(&value);
  g_value_unset(&value);
  return bytes;
}

static GByteArray *extradata_of(const GstCaps *caps, enum special special, cuframes_codec_params *params) {
  const GstStructure *s = gst_caps_get_structure(caps, 0);
  if (special == OPUS)
    return opus_extradata(caps, params);
  if (special == VORBIS)
    return vorbis_extradata(s);
  if (special != FLAC)
    return bytes_of(gst_structure_get_value(s, "codec_data"));
  GByteArray *first = header_of(s, 0);
  if (first->len >= FLAC_FIRST)
    g_byte_array_remove_range(first, 0, FLAC_FIRST - FLAC_STREAMINFO);
  return first;
}

static void profile_of(const GByteArray *extradata, enum special special, cuframes_codec_params *params) {
  const guint8 *data = extradata->data;
  if (special == H264 && extradata->len >= AVCC_MIN) {
    params->profile = data[1];
    params->level = data[3];
  } else if (special == H265 && extradata->len >= HVCC_MIN) {
    params->profile = data[1] & 0x1f;
    params->level = data[12];
  } else if (special == AAC && extradata->len >= 2 && data[0] >> 3 >= 1 && data[0] >> 3 <= 30) {
    params->profile = (guint32)(data[0] >> 3) - 1; /* the object type, of which FFmpeg counts from 0 */
    params->frame_size = 1024;
  }
}

static void video_of(const GstCaps *caps, cuframes_codec_params *params) {
  const GstStructure *s = gst_caps_get_structure(caps, 0);
  cf_gst_picture picture;
  gint width = 0, height = 0, n = 0, d = 1;
  (void)gst_structure_get_int(s, "width", &width);
  (void)gst_structure_get_int(s, "height", &height);
  if (width > 0 && height > 0) {
    params->width = (guint32)width;
    params->height = (guint32)height;
  }
  if (gst_structure_get_fraction(s, "framerate", &n, &d) && n > 0 && d > 0) {
    params->frame_rate_num = (guint32)n;
    params->frame_rate_den = (guint32)d;
  }
  cf_gst_take_words(caps, &picture);
  params->color = picture.format.color;
  params->field_order = picture.format.field_order;
  params->sample_aspect_num = picture.format.sample_aspect_num;
  params->sample_aspect_den = picture.format.sample_aspect_den;
  params->mastering_display = picture.display;
  params->content_light = picture.light;
}

static void audio_of(const GstStructure *s, cuframes_codec_params *params) {
  gint rate = 0, channels = 0;
  if (gst_structure_get_int(s, "rate", &rate) && gst_structure_get_int(s, "channels", &channels) && rate > 0 &&
      channels > 0) {
    params->sample_rate = (guint32)rate;
    params->channels = (guint32)channels;
  }
}

/* Parameter sets are in the packets then. */
static gboolean is_byte_stream(const GstCaps *caps) {
  return g_strcmp0(gst_structure_get_string(gst_caps_get_structure(caps, 0), "stream-format"), "byte-stream") == 0;
}

/* Whether what cannot be done without is there. */
static gboolean is_complete(enum special special, const cuframes_codec_params *params, const GByteArray *extradata) {
  if (params->media_type == CUFRAMES_MEDIA_AUDIO && params->sample_rate == 0)
    return FALSE;
  switch (special) {
    case H264: return extradata->len >= AVCC_MIN && extradata->data[0] == 1;
    case H265: return extradata->len >= HVCC_MIN;
    case AAC: return extradata->len >= 2;
    case VORBIS: return extradata->len > XIPH_HEADERS;
    default: return extradata->len <= CUFRAMES_EXTRADATA_MAX;
  }
}

gboolean cf_gst_params_of_caps(const GstCaps *caps, cuframes_codec_params *params, GByteArray **extradata) {
  cuframes_codec_params made = { .struct_size = sizeof made, .profile = UNKNOWN, .level = UNKNOWN };
  gsize row = 0;
  gboolean found = FALSE;
  while (!found && row < G_N_ELEMENTS(known)) {
    GstCaps *like = gst_caps_from_string(known[row].caps);
    found = gst_caps_is_subset(caps, like);
    gst_caps_unref(like);
    row += !found;
  }
  if (!found)
    return FALSE;
  g_strlcpy(made.codec, known[row].codec, sizeof made.codec);
  made.media_type = known[row].media;
  if (made.media_type == CUFRAMES_MEDIA_VIDEO)
    video_of(caps, &made);
  else if (made.media_type == CUFRAMES_MEDIA_AUDIO)
    audio_of(gst_caps_get_structure(caps, 0), &made);
  GByteArray *bytes = extradata_of(caps, known[row].special, &made);
  profile_of(bytes, known[row].special, &made);
  const gboolean good = is_byte_stream(caps) ? bytes->len == 0 : is_complete(known[row].special, &made, bytes);
  if (!good || bytes->len > CUFRAMES_EXTRADATA_MAX) {
    g_byte_array_unref(bytes);
    return FALSE;
  }
  *params = made;
  *extradata = bytes;
  return TRUE;
}
