/* codec_name.c - see codec_name.h. */
#include "codec_name.h"

#include <stdio.h>

static void hevc_name(char *name, size_t size, const uint8_t *hvcc) {
  static const char *const spaces[] = { "", "A", "B", "C" };
  uint32_t compatible = 0;
  for (int i = 0; i < 32; i++) /* its bits the other way round */
    compatible |= (uint32_t)(hvcc[2 + i / 8] >> (7 - i % 8) & 1) << i;
  int used = snprintf(name, size, "hvc1.%s%u.%X.%c%u", spaces[hvcc[1] >> 6], hvcc[1] & 31u, compatible,
                      hvcc[1] & 32 ? 'H' : 'L', hvcc[12]);
  int last = 11;
  while (last >= 6 && hvcc[last] == 0)
    last--;
  for (int i = 6; i <= last && used > 0 && (size_t)used < size; i++)
    used += snprintf(name + used, size - (size_t)used, ".%X", hvcc[i]);
}

static void av1_name(char *name, size_t size, const uint8_t *av1c) {
  const unsigned depth = av1c[2] & 0x40 ? (av1c[2] & 0x20 ? 12 : 10) : 8;
  snprintf(name, size, "av01.%u.%02u%c.%02u", av1c[1] >> 5, av1c[1] & 31u, av1c[2] & 0x80 ? 'H' : 'M', depth);
}

static bool aac_name(char *name, size_t size, const uint8_t *config, size_t length) {
  if (length < 2)
    return false;
  unsigned object = config[0] >> 3;
  if (object == 31)
    object = 32 + ((config[0] & 7u) << 3 | config[1] >> 5);
  snprintf(name, size, "mp4a.40.%u", object);
  return true;
}

bool codec_name(char *name, size_t size, enum AVCodecID codec, const uint8_t *record, size_t length) {
  const char *plain = NULL;
  switch (codec) {
    case AV_CODEC_ID_H264:
      if (length < 7)
        return false;
      snprintf(name, size, "avc1.%02x%02x%02x", record[1], record[2], record[3]);
      return true;
    case AV_CODEC_ID_HEVC:
      if (length < 23)
        return false;
      hevc_name(name, size, record);
      return true;
    case AV_CODEC_ID_AV1:
      if (length < 4)
        return false;
      av1_name(name, size, record);
      return true;
    case AV_CODEC_ID_VP9:
      if (length < 7) /* behind the four bytes of version and flags */
        return false;
      snprintf(name, size, "vp09.%02u.%02u.%02u", record[4], record[5], record[6] >> 4);
      return true;
    case AV_CODEC_ID_AAC: return aac_name(name, size, record, length);
    case AV_CODEC_ID_VP8: plain = "vp8"; break;
    case AV_CODEC_ID_OPUS: plain = "opus"; break;
    case AV_CODEC_ID_MP3: plain = "mp3"; break;
    case AV_CODEC_ID_PCM_MULAW: plain = "ulaw"; break;
    case AV_CODEC_ID_PCM_ALAW: plain = "alaw"; break;
    default: return false;
  }
  snprintf(name, size, "%s", plain);
  return true;
}
