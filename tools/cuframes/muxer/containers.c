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

enum { MP4 = 1, MATROSKA = 2, TS = 4 };

static const struct row {
  const char *codec;
  unsigned in;
} rows[] = {
  { "h264", MP4 | MATROSKA | TS },
  { "hevc", MP4 | MATROSKA | TS },
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  { "vvc", MP4 | TS },
#endif
  { "mpeg4", MP4 | MATROSKA | TS },
  { "mpeg2video", MP4 | MATROSKA | TS },
  { "mpeg1video", MP4 | MATROSKA | TS },
  { "av1", MP4 | MATROSKA },
  { "vp9", MP4 | MATROSKA },
  { "vp8", MATROSKA },
  { "mjpeg", MP4 | MATROSKA },
  { "jpeg2000", MP4 | MATROSKA },
  { "png", MP4 | MATROSKA },
  { "dirac", MATROSKA | TS },
  { "h263", MATROSKA },
  { "flv1", MATROSKA },
  { "dvvideo", MATROSKA },
  { "ffv1", MATROSKA },
  { "msmpeg4v3", MATROSKA },
  { "theora", MATROSKA },
  { "prores", MATROSKA },
  { "aac", MP4 | MATROSKA | TS },
  { "aac_latm", TS },
  { "mp3", MP4 | MATROSKA | TS },
  { "mp2", MP4 | MATROSKA | TS },
  { "ac3", MP4 | MATROSKA | TS },
  { "eac3", MP4 | MATROSKA | TS },
  { "dts", MP4 | MATROSKA | TS },
  { "opus", MP4 | MATROSKA | TS },
  { "vorbis", MP4 | MATROSKA },
  { "flac", MP4 | MATROSKA },
  { "alac", MP4 | MATROSKA },
  { "truehd", MATROSKA | TS },
  { "pcm_alaw", MATROSKA },
  { "pcm_mulaw", MATROSKA },
  { "adpcm_g722", MATROSKA },
  { "adpcm_g726", MATROSKA },
  { "pcm_u8", MATROSKA },
  { "pcm_s16le", MATROSKA },
  { "pcm_s16be", MATROSKA },
  { "pcm_s24le", MATROSKA },
  { "pcm_s24be", MATROSKA },
  { "pcm_s32le", MATROSKA },
  { "pcm_s32be", MATROSKA },
  { "pcm_f32le", MATROSKA },
  { "pcm_f64le", MATROSKA },
};

static unsigned held_by(const char *codec) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp(rows[i].codec, codec) == 0)
      return rows[i].in;
  return 0;
}

bool containers_hold(const char *container, const char *codec) {
  const unsigned bit = strcmp(container, "mp4") == 0 ? MP4 : strcmp(container, "mpegts") == 0 ? TS : MATROSKA;
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
