/* containers.c - see containers.h.
 *
 * libavformat's own answer, avformat_query_codec(), is not asked: it denies what Matroska stores by the codes of AVI
 * and WAV, and TS takes all there is, as data that nothing reads. This table says what was written, read back and
 * decoded to the same pictures and samples, and tests/cli/test_record_codecs.py goes through it. */
#include "containers.h"

#include <stdio.h>
#include <string.h>

#include <libavformat/avformat.h>

#include "common/cli_avlog.h"

enum { MP4 = 1, MATROSKA = 2, TS = 4, NUT = 8 };

static const struct row {
  const char *codec;
  unsigned in;
} rows[] = {
  { "h264", MP4 | MATROSKA | TS | NUT },
  { "hevc", MP4 | MATROSKA | TS | NUT },
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  { "vvc", MP4 | TS },
#endif
  { "mpeg4", MP4 | MATROSKA | TS | NUT },
  { "mpeg2video", MP4 | MATROSKA | TS | NUT },
  { "mpeg1video", MP4 | MATROSKA | TS | NUT },
  { "av1", MP4 | MATROSKA | NUT },
  { "vp9", MP4 | MATROSKA | NUT },
  { "vp8", MATROSKA | NUT },
  { "mjpeg", MP4 | MATROSKA | NUT },
  { "jpeg2000", MP4 | MATROSKA | NUT },
  { "png", MP4 | MATROSKA | NUT },
  { "dirac", MATROSKA | TS | NUT },
  { "h263", MATROSKA | NUT },
  { "flv1", MATROSKA | NUT },
  { "dvvideo", MATROSKA },
  { "ffv1", MATROSKA | NUT },
  { "msmpeg4v2", MATROSKA },
  { "wmv1", MATROSKA },
  { "wmv2", MATROSKA },
  { "dnxhd", MATROSKA },
  { "huffyuv", MATROSKA },
  { "ffvhuff", MATROSKA },
  { "magicyuv", MATROSKA },
  { "msmpeg4v3", MATROSKA | NUT },
  { "theora", MATROSKA | NUT },
  { "prores", MATROSKA },
  { "aac", MP4 | MATROSKA | TS | NUT },
  { "aac_latm", TS },
  { "mp3", MP4 | MATROSKA | TS | NUT },
  { "mp2", MP4 | MATROSKA | TS | NUT },
  { "ac3", MP4 | MATROSKA | TS | NUT },
  { "eac3", MP4 | MATROSKA | TS },
  { "dts", MP4 | MATROSKA | TS | NUT },
  { "opus", MP4 | MATROSKA | TS | NUT },
  { "vorbis", MP4 | MATROSKA | NUT },
  { "flac", MP4 | MATROSKA | NUT },
  { "alac", MP4 | MATROSKA },
  { "truehd", MATROSKA | TS },
  { "pcm_alaw", MATROSKA | NUT },
  { "pcm_mulaw", MATROSKA | NUT },
  { "adpcm_g722", MATROSKA | NUT },
  { "adpcm_g726", MATROSKA },
  { "pcm_u8", MATROSKA | NUT },
  { "pcm_s16le", MATROSKA | NUT },
  { "pcm_s16be", MATROSKA | NUT },
  { "pcm_s24le", MATROSKA | NUT },
  { "pcm_s24be", MATROSKA | NUT },
  { "pcm_s32le", MATROSKA | NUT },
  { "pcm_s32be", MATROSKA | NUT },
  { "pcm_f32le", MATROSKA | NUT },
  { "wavpack", MATROSKA },
  { "pcm_f64le", MATROSKA | NUT },
};

static unsigned held_by(const char *codec) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp(rows[i].codec, codec) == 0)
      return rows[i].in;
  return 0;
}

bool containers_hold(const char *container, const char *codec) {
  const unsigned bit = strcmp(container, "mp4") == 0      ? MP4
                       : strcmp(container, "mpegts") == 0 ? TS
                       : strcmp(container, "nut") == 0    ? NUT
                                                          : MATROSKA;
  return (held_by(codec) & bit) != 0;
}

void containers_advise(const char *codec, bool audio, char *text, size_t size) {
  const unsigned in = held_by(codec);
  const char *name = in & MATROSKA ? ".mkv" : in & MP4 ? ".mp4" : in & TS ? ".ts" : NULL;
  if (name)
    snprintf(text, size, "%s holds it%s", name, audio ? ", or --audio aac encodes it" : "");
  else
    snprintf(text, size, "%s", audio ? "--audio aac encodes it" : "no container here does");
}

bool containers_play(const char *container, const char *path) {
  char address[4200];
  AVFormatContext *in = NULL;
  AVPacket *packet = av_packet_alloc();
  snprintf(address, sizeof(address), "file:%s", path);
  cli_avlog_hold(true);
  int error = packet ? avformat_open_input(&in, address, av_find_input_format(container), NULL) : AVERROR(ENOMEM);
  if (!error)
    error = av_read_frame(in, packet);
  cli_avlog_hold(false);
  avformat_close_input(&in);
  av_packet_free(&packet);
  return error != AVERROR_EOF && error != AVERROR_INVALIDDATA;
}
