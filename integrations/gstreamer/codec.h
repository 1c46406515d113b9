/* codec.h - codecs of packets in GStreamer's words and in those of cuframes, which are FFmpeg's.
 *
 * All functions may be called from any thread, and none of them waits. */
#ifndef CUFRAMES_GST_CODEC_H
#define CUFRAMES_GST_CODEC_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

/* What a sink of packets takes. H.264 and H.265 as MP4 and Matroska have them, with their parameter sets in codec_data,
 * which a parser before it (h264parse, h265parse) prefers, or as byte streams. */
#define CF_GST_PACKET_CAPS_SINK                                                                                        \
  "video/x-h264, stream-format = (string) { avc, avc3, byte-stream }, alignment = (string) au;"                        \
  "video/x-h265, stream-format = (string) { hvc1, hev1, byte-stream }, alignment = (string) au;"                       \
  "video/x-av1, stream-format = (string) obu-stream, alignment = (string) tu;"                                         \
  "video/x-vp8; video/x-vp9; image/jpeg;"                                                                              \
  "video/mpeg, mpegversion = (int) { 1, 2, 4 }, systemstream = (boolean) false, parsed = (boolean) true;"              \
  "audio/mpeg, mpegversion = (int) 4, stream-format = (string) raw, framed = (boolean) true;"                          \
  "audio/mpeg, mpegversion = (int) 1, layer = (int) { 2, 3 }, parsed = (boolean) true;"                                \
  "audio/x-opus; audio/x-vorbis;"                                                                                      \
  "audio/x-flac, framed = (boolean) true; audio/x-ac3, framed = (boolean) true; audio/x-eac3, framed = (boolean) "     \
  "true;"                                                                                                              \
  "audio/x-alaw; audio/x-mulaw; audio/G722;"                                                                           \
  "audio/x-raw, format = (string) { U8, S16LE, S16BE, S24LE, S32LE, F32LE }, layout = (string) interleaved;"           \
  "meta/x-klv, parsed = (boolean) true"

/* New caps, the caller's, for packets of a track; NULL: GStreamer has no such caps, or this function knows none. */
GstCaps *cf_gst_caps_of_params(const cuframes_codec_params *params, gconstpointer extradata, gsize size);

/* What fixed caps say: *params, its struct_size set, and extradata, the caller's, which may be of 0 bytes. FALSE:
 * another codec than those above, or one without what must be there (rate and channels of sound; codec_data of H.264,
 * H.265 and AAC; of a byte stream extradata is empty, and the first keyframe has it); nothing is touched then. */
gboolean cf_gst_params_of_caps(const GstCaps *caps, cuframes_codec_params *params, GByteArray **extradata);

G_END_DECLS

#endif
