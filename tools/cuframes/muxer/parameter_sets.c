/* parameter_sets.c - see parameter_sets.h. */
#include "parameter_sets.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t start_code[] = { 0, 0, 0, 1 };

/* What a unit is to us. */
enum unit { UNIT_OTHER, UNIT_DELIMITER, UNIT_SEQUENCE, UNIT_PICTURE, UNIT_SLICE };

/* A unit: where it lies, without start code or length. */
typedef struct span {
  const uint8_t *data;
  size_t size;
} span;

void parameter_sets_free(parameter_sets *sets) {
  free(sets->data);
  *sets = (parameter_sets){ 0 };
}

bool parameter_sets_known(enum AVCodecID codec) {
  return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
}

static enum unit unit_of(enum AVCodecID codec, uint8_t first) {
  const int type = codec == AV_CODEC_ID_H264 ? first & 31 : first >> 1 & 63;
  if (codec == AV_CODEC_ID_H264) {
    switch (type) {
      case 1:
      case 2:
      case 5: return UNIT_SLICE;
      case 7:
      case 13:
      case 15: return UNIT_SEQUENCE;
      case 8: return UNIT_PICTURE;
      case 9: return UNIT_DELIMITER;
      default: return UNIT_OTHER;
    }
  }
  switch (type) {
    case 32: /* of the video: a decoder takes it together with the sequence's */
    case 33: return UNIT_SEQUENCE;
    case 34: return UNIT_PICTURE;
    case 35: return UNIT_DELIMITER;
    default: return type < 32 ? UNIT_SLICE : UNIT_OTHER;
  }
}

/* Where the next start code begins at or behind `from`; size: nowhere. */
static size_t find_start(const uint8_t *data, size_t size, size_t from) {
  for (size_t i = from; i + 3 <= size; i++)
    if (data[i + 2] > 1)
      i += 2;
    else if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1)
      return i;
  return size;
}

/* Takes the next unit off the packet. False: there is none, or it is cut off. */
static bool next_unit(int length_bytes, span *packet, span *unit) {
  if (length_bytes == 0) {
    size_t begin = find_start(packet->data, packet->size, 0);
    while (find_start(packet->data, packet->size, begin + 3) == begin + 3 && begin + 3 < packet->size)
      begin += 3; /* a unit of nothing */
    if (begin + 3 >= packet->size)
      return false;
    const size_t end = find_start(packet->data, packet->size, begin + 3);
    *unit = (span){ packet->data + begin + 3, end - begin - 3 };
    *packet = (span){ packet->data + end, packet->size - end };
    while (unit->size > 1 && unit->data[unit->size - 1] == 0) /* of the next start code, or padding */
      unit->size--;
    return true;
  }
  size_t length = 0;
  if (packet->size < (size_t)length_bytes)
    return false;
  for (int i = 0; i < length_bytes; i++)
    length = length << 8 | packet->data[i];
  if (length == 0 || length > packet->size - (size_t)length_bytes)
    return false;
  *unit = (span){ packet->data + length_bytes, length };
  *packet = (span){ unit->data + length, packet->size - (size_t)length_bytes - length };
  return true;
}

static bool append(parameter_sets *sets, span unit) {
  uint8_t *data = realloc(sets->data, sets->size + sizeof start_code + unit.size);
  if (data == NULL) {
    parameter_sets_free(sets);
    return false;
  }
  memcpy(data + sets->size, start_code, sizeof start_code);
  memcpy(data + sets->size + sizeof start_code, unit.data, unit.size);
  sets->data = data;
  sets->size += sizeof start_code + unit.size;
  return true;
}

bool parameter_sets_of_packet(enum AVCodecID codec, int length_bytes, const uint8_t *data, size_t size,
                              parameter_sets *sets) {
  span packet = { data, size }, unit;
  *sets = (parameter_sets){ 0 };
  while (next_unit(length_bytes, &packet, &unit)) {
    const enum unit what = unit_of(codec, unit.data[0]);
    if (what == UNIT_SLICE)
      break; /* they stand before the picture, and the picture is long */
    if ((what == UNIT_SEQUENCE || what == UNIT_PICTURE) && !append(sets, unit))
      return false;
  }
  return true;
}

int parameter_sets_length_bytes(enum AVCodecID codec, const uint8_t *extradata, size_t size) {
  if (codec == AV_CODEC_ID_H264)
    return size >= 7 && extradata[0] == 1 ? (extradata[4] & 3) + 1 : 0;
  /* hvcC begins with its version, which some wrote as 0; Annex B begins with three or more bytes of start code */
  const bool annex_b = size >= 4 && extradata[0] == 0 && extradata[1] == 0 && extradata[2] <= 1;
  return codec == AV_CODEC_ID_HEVC && size >= 23 && !annex_b ? (extradata[21] & 3) + 1 : 0;
}

/* `count` sets behind their lengths of two bytes. */
static bool take_counted(span *record, unsigned count, parameter_sets *sets) {
  for (span unit; count > 0 && next_unit(2, record, &unit); count--)
    if (!append(sets, unit))
      return false;
  return true;
}

bool parameter_sets_of_extradata(enum AVCodecID codec, const uint8_t *extradata, size_t size, parameter_sets *sets) {
  *sets = (parameter_sets){ 0 };
  if (parameter_sets_length_bytes(codec, extradata, size) == 0)
    return parameter_sets_of_packet(codec, 0, extradata, size, sets);
  if (codec == AV_CODEC_ID_H264) {
    span record = { extradata + 6, size - 6 };
    if (!take_counted(&record, extradata[5] & 31u, sets))
      return false;
    if (record.size == 0)
      return true;
    const unsigned pictures = record.data[0];
    record = (span){ record.data + 1, record.size - 1 };
    return take_counted(&record, pictures, sets);
  }
  span record = { extradata + 23, size - 23 };
  for (unsigned arrays = extradata[22]; arrays > 0 && record.size >= 3; arrays--) {
    const unsigned count = (unsigned)record.data[1] << 8 | record.data[2];
    const enum unit what = unit_of(codec, (uint8_t)((record.data[0] & 63) << 1));
    parameter_sets other = { 0 }; /* such as messages that hold for all pictures */
    record = (span){ record.data + 3, record.size - 3 };
    if (!take_counted(&record, count, what == UNIT_SEQUENCE || what == UNIT_PICTURE ? sets : &other))
      return false;
    parameter_sets_free(&other);
  }
  return true;
}

bool parameter_sets_whole(enum AVCodecID codec, const parameter_sets *sets) {
  span rest = { sets->data, sets->size }, unit;
  bool sequence = false, picture = false;
  while (next_unit(0, &rest, &unit)) {
    sequence = sequence || unit_of(codec, unit.data[0]) == UNIT_SEQUENCE;
    picture = picture || unit_of(codec, unit.data[0]) == UNIT_PICTURE;
  }
  return sequence && picture;
}

static bool has(const parameter_sets *sets, span wanted) {
  span rest = { sets->data, sets->size }, unit;
  while (next_unit(0, &rest, &unit))
    if (unit.size == wanted.size && memcmp(unit.data, wanted.data, unit.size) == 0)
      return true;
  return false;
}

bool parameter_sets_add(parameter_sets *sets, const parameter_sets *more) {
  span rest = { more->data, more->size }, unit;
  while (next_unit(0, &rest, &unit))
    if (!has(sets, unit) && !append(sets, unit))
      return false;
  return true;
}

bool parameter_sets_go_on(enum AVCodecID codec, const parameter_sets *before, const parameter_sets *now) {
  span rest = { now->data, now->size }, unit;
  while (next_unit(0, &rest, &unit))
    if (unit_of(codec, unit.data[0]) == UNIT_SEQUENCE && !has(before, unit))
      return false;
  return true;
}

size_t parameter_sets_to_lengths(enum AVCodecID codec, int length_bytes, const uint8_t *data, size_t size,
                                 const parameter_sets *but, uint8_t *to) {
  span packet = { data, size }, unit;
  size_t used = 0;
  while (next_unit(length_bytes, &packet, &unit)) {
    const enum unit what = unit_of(codec, unit.data[0]);
    if (what == UNIT_DELIMITER || ((what == UNIT_SEQUENCE || what == UNIT_PICTURE) && has(but, unit)))
      continue;
    if (to) {
      for (int i = 0; i < 4; i++)
        to[used + (size_t)i] = (uint8_t)(unit.size >> (24 - 8 * i));
      memcpy(to + used + 4, unit.data, unit.size);
    }
    used += 4 + unit.size;
  }
  return used;
}

size_t parameter_sets_place(enum AVCodecID codec, const uint8_t *data, size_t size) {
  span rest = { data, size }, unit;
  if (!next_unit(0, &rest, &unit) || unit_of(codec, unit.data[0]) != UNIT_DELIMITER)
    return 0;
  size_t place = size - rest.size;
  while (place > 0 && data[place - 1] == 0 && place > (size_t)(unit.data - data) + unit.size)
    place--; /* the next start code may have four bytes */
  return place;
}
