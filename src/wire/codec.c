/* wire/codec.c - messages to bytes and back, driven by one table per message type.
 *
 * A new field is a line in its table, a new message a table and a line in `schemas`; docs/protocol.md lists the
 * same tables and a test compares them. Tags are for ever: one that is given up is not used again.
 */
#include <string.h>

#include <cuframes/packet.h>

#include "wire/message.h"
#include "wire/schema.h"
#include "wire/text.h"

#define HEADER_BYTES 16u
#define TLV_BYTES 8u

#define NUMBERS(kind, tag, fields, member, width)                                                                      \
  { tag, kind, offsetof(fields, member), sizeof(((fields *)0)->member) / (width), 0, #member }
#define U32(tag, fields, member) NUMBERS(CF_FIELD_U32, tag, fields, member, 4)
#define I32(tag, fields, member) NUMBERS(CF_FIELD_I32, tag, fields, member, 4)
#define U64(tag, fields, member) NUMBERS(CF_FIELD_U64, tag, fields, member, 8)
#define I64(tag, fields, member) NUMBERS(CF_FIELD_I64, tag, fields, member, 8)
#define TEXT(tag, fields, member)                                                                                      \
  { tag, CF_FIELD_TEXT, offsetof(fields, member), sizeof(((fields *)0)->member) - 1, 0, #member }
#define BYTES(tag, fields, member, most)                                                                               \
  { tag, CF_FIELD_BYTES, offsetof(fields, member), most, 0, #member }
#define LIST(tag, fields, member, count)                                                                               \
  { tag, CF_FIELD_LIST, offsetof(fields, member), sizeof(((fields *)0)->member) / 4, offsetof(fields, count), #member }
/* Those of a cf_msg_format, which is a part of the struct. */
#define FORMAT_NUMBERS(kind, tag, fields, member, width)                                                               \
  { tag, kind, offsetof(fields, format.member), sizeof(((fields *)0)->format.member) / (width), 0, #member }
#define FORMAT_U32(tag, fields, member) FORMAT_NUMBERS(CF_FIELD_U32, tag, fields, member, 4)
#define FORMAT_U64(tag, fields, member) FORMAT_NUMBERS(CF_FIELD_U64, tag, fields, member, 8)
#define FORMAT_LIST(tag, fields, member, count)                                                                        \
  {                                                                                                                    \
    tag, CF_FIELD_LIST, offsetof(fields, format.member), sizeof(((fields *)0)->format.member) / 4,                     \
        offsetof(fields, format.count), #member                                                                        \
  }
#define GROUP(group, name)                                                                                             \
  { CF_GROUP_TAG(group), CF_FIELD_GROUP, 0, group, 0, name }

/* One line, one field. */
/* clang-format off */
static const cf_schema_field hello_fields[] = {
  U32(1, cf_msg_hello, version_min),
  U32(2, cf_msg_hello, version_max),
  U64(3, cf_msg_hello, features),
  U32(4, cf_msg_hello, role),
  U32(5, cf_msg_hello, mode),
  U32(6, cf_msg_hello, leases),
  U32(7, cf_msg_hello, depth),
  U32(8, cf_msg_hello, sync_modes),
  TEXT(9, cf_msg_hello, label),
  U32(10, cf_msg_hello, sync_asked),
};

static const cf_schema_field welcome_fields[] = {
  U32(1, cf_msg_welcome, version),
  U64(2, cf_msg_welcome, features),
  U32(3, cf_msg_welcome, sync_mode),
  U32(4, cf_msg_welcome, leases),
  U32(5, cf_msg_welcome, depth),
  U64(6, cf_msg_welcome, control_bytes),
  U64(7, cf_msg_welcome, seat_bytes),
  TEXT(8, cf_msg_welcome, device),
  U64(9, cf_msg_welcome, instance),
};

static const cf_schema_field refused_fields[] = {
  I32(1, cf_msg_refused, code),
  TEXT(2, cf_msg_refused, text),
};

static const cf_schema_field get_segment_fields[] = {
  U32(1, cf_msg_get_segment, segment),
};

static const cf_schema_field segment_fields[] = {
  U32(1, cf_msg_segment, segment),
  U64(2, cf_msg_segment, bytes),
  FORMAT_U32(3, cf_msg_segment, pixel_format),
  FORMAT_U32(4, cf_msg_segment, width),
  FORMAT_U32(5, cf_msg_segment, height),
  FORMAT_U32(6, cf_msg_segment, color),
  FORMAT_U32(7, cf_msg_segment, pitch),
  FORMAT_U64(8, cf_msg_segment, offset),
  U32(9, cf_msg_segment, memory),
  LIST(10, cf_msg_segment, handle, handle_words),
  U64(11, cf_msg_segment, start),
  U64(12, cf_msg_segment, whole),
  FORMAT_U32(13, cf_msg_segment, chroma_location),
  FORMAT_U32(14, cf_msg_segment, field_order),
  FORMAT_U32(15, cf_msg_segment, orientation),
  FORMAT_U32(16, cf_msg_segment, sample_aspect),
  FORMAT_U32(17, cf_msg_segment, element),
  FORMAT_LIST(18, cf_msg_segment, size, dims),
};

static const cf_schema_field get_events_fields[] = {
  U32(1, cf_msg_get_events, segment),
};

static const cf_schema_field events_fields[] = {
  U32(1, cf_msg_events, segment),
  BYTES(2, cf_msg_events, handles, CF_EVENTS_BYTES),
  U64(3, cf_msg_events, stride),
};

static const cf_schema_field get_side_data_fields[] = {
  U32(1, cf_msg_get_side_data, segment),
};

static const cf_schema_field side_data_fields[] = {
  U32(1, cf_msg_side_data, segment),
  U64(2, cf_msg_side_data, bytes),
};

static const cf_schema_field packets_fields[] = {
  U64(1, cf_msg_packets, bytes),
  U32(2, cf_msg_packets, track_count),
};

static const cf_schema_field get_codec_fields[] = {
  U32(1, cf_msg_get_codec, track),
};

static const cf_schema_field codec_fields[] = {
  U32(1, cf_msg_codec, track),
  U32(2, cf_msg_codec, track_count),
  U32(3, cf_msg_codec, media_type),
  TEXT(4, cf_msg_codec, codec),
  U32(5, cf_msg_codec, profile),
  U32(6, cf_msg_codec, level),
  U32(7, cf_msg_codec, width),
  U32(8, cf_msg_codec, height),
  U32(9, cf_msg_codec, frame_rate_num),
  U32(10, cf_msg_codec, frame_rate_den),
  U32(11, cf_msg_codec, sample_rate),
  U32(12, cf_msg_codec, channels),
  U32(13, cf_msg_codec, frame_size),
  U32(14, cf_msg_codec, time_base_num),
  U32(15, cf_msg_codec, time_base_den),
  U64(16, cf_msg_codec, bit_rate),
  BYTES(17, cf_msg_codec, extradata, CUFRAMES_EXTRADATA_MAX),
  U32(18, cf_msg_codec, color),
  U32(19, cf_msg_codec, chroma_location),
  U32(20, cf_msg_codec, field_order),
  U32(21, cf_msg_codec, orientation),
  U32(22, cf_msg_codec, sample_aspect),
  U32(23, cf_msg_codec, mastering_display),
  U32(24, cf_msg_codec, content_light),
};

static const cf_schema_field info_fields[] = {
  TEXT(1, cf_msg_info, name),
  TEXT(2, cf_msg_info, device),
  TEXT(3, cf_msg_info, description),
  I32(4, cf_msg_info, pid),
  FORMAT_U32(5, cf_msg_info, pixel_format),
  FORMAT_U32(6, cf_msg_info, width),
  FORMAT_U32(7, cf_msg_info, height),
  FORMAT_U32(8, cf_msg_info, color),
  FORMAT_U32(9, cf_msg_info, pitch),
  FORMAT_U64(10, cf_msg_info, offset),
  U64(11, cf_msg_info, frame_rate_micro),
  U64(12, cf_msg_info, frames),
  U64(13, cf_msg_info, dropped),
  U64(14, cf_msg_info, evictions),
  I64(15, cf_msg_info, timestamp),
  U32(16, cf_msg_info, slots),
  U32(17, cf_msg_info, max_slots),
  U32(18, cf_msg_info, slots_pinned),
  U32(19, cf_msg_info, segments),
  U64(20, cf_msg_info, memory_bytes),
  U64(21, cf_msg_info, packets),
  U64(22, cf_msg_info, packet_bytes),
  U32(23, cf_msg_info, packet_slots),
  U64(24, cf_msg_info, packet_data_bytes),
  TEXT(25, cf_msg_info, memory),
  FORMAT_U32(26, cf_msg_info, chroma_location),
  FORMAT_U32(27, cf_msg_info, field_order),
  FORMAT_U32(28, cf_msg_info, orientation),
  FORMAT_U32(29, cf_msg_info, sample_aspect),
  FORMAT_U32(30, cf_msg_info, element),
  FORMAT_LIST(31, cf_msg_info, size, dims),
  U32(32, cf_msg_info, source_state),
  I64(33, cf_msg_info, source_since),
  I64(34, cf_msg_info, source_attempt),
  TEXT(35, cf_msg_info, source_reason),
  U64(36, cf_msg_info, reconnects),
  I64(37, cf_msg_info, started),
  U64(38, cf_msg_info, device_bytes),
  GROUP(CF_GROUP_SEAT, "seat"),
  GROUP(CF_GROUP_TRACK, "tracks"),
  GROUP(CF_GROUP_MODE, "modes"),
};

static const cf_schema_field seat_fields[] = {
  TEXT(1, cf_info_seat, label),
  U32(2, cf_info_seat, mode),
  I32(3, cf_info_seat, pid),
  U32(4, cf_info_seat, uid),
  U32(5, cf_info_seat, gid),
  U32(6, cf_info_seat, leases),
  U32(7, cf_info_seat, depth),
  U32(8, cf_info_seat, packets),
  U32(9, cf_info_seat, evicted),
  U32(10, cf_info_seat, sync_mode),
  U64(11, cf_info_seat, lag),
  U64(12, cf_info_seat, delivered),
  U64(13, cf_info_seat, skipped),
  LIST(14, cf_info_seat, held, held_count),
  U32(15, cf_info_seat, sync_asked),
  U64(16, cf_info_seat, packets_read),
  U64(17, cf_info_seat, packets_lost),
};

static const cf_schema_field track_fields[] = {
  U32(1, cf_info_track, media_type),
  TEXT(2, cf_info_track, codec),
  U64(3, cf_info_track, packets),
  I64(4, cf_info_track, timestamp),
  U64(5, cf_info_track, bit_rate),
  U64(6, cf_info_track, keyframe_interval),
  U32(7, cf_info_track, keyframe_frames),
  U64(8, cf_info_track, keyframe_longest),
  U32(9, cf_info_track, keyframe_longest_frames),
  I64(10, cf_info_track, keyframe_timestamp),
};

static const cf_schema_field mode_fields[] = {
  U32(1, cf_info_mode, mode),
  U64(2, cf_info_mode, joined),
  U64(3, cf_info_mode, delivered),
  U64(4, cf_info_mode, skipped),
  U64(5, cf_info_mode, latency_sum),
  U64(6, cf_info_mode, latency),
  U64(7, cf_info_mode, packets_read),
  U64(8, cf_info_mode, packets_lost),
};

/* clang-format on */

typedef struct schema {
  uint32_t type;
  uint32_t count;
  const cf_schema_field *fields;
  size_t struct_bytes;
} schema;

#define SCHEMA(type, table, fields)                                                                                    \
  { type, sizeof(table) / sizeof((table)[0]), table, sizeof(fields) }

static const schema schemas[] = {
  SCHEMA(CF_MSG_HELLO, hello_fields, cf_msg_hello),
  SCHEMA(CF_MSG_WELCOME, welcome_fields, cf_msg_welcome),
  SCHEMA(CF_MSG_REFUSED, refused_fields, cf_msg_refused),
  SCHEMA(CF_MSG_GET_SEGMENT, get_segment_fields, cf_msg_get_segment),
  SCHEMA(CF_MSG_SEGMENT, segment_fields, cf_msg_segment),
  { CF_MSG_GET_PACKETS, 0, NULL, sizeof(cf_msg_get_packets) },
  SCHEMA(CF_MSG_PACKETS, packets_fields, cf_msg_packets),
  SCHEMA(CF_MSG_GET_CODEC, get_codec_fields, cf_msg_get_codec),
  SCHEMA(CF_MSG_CODEC, codec_fields, cf_msg_codec),
  { CF_MSG_GET_INFO, 0, NULL, sizeof(cf_msg_get_info) },
  SCHEMA(CF_MSG_INFO, info_fields, cf_msg_info),
  SCHEMA(CF_MSG_GET_EVENTS, get_events_fields, cf_msg_get_events),
  SCHEMA(CF_MSG_EVENTS, events_fields, cf_msg_events),
  SCHEMA(CF_MSG_GET_SIDE_DATA, get_side_data_fields, cf_msg_get_side_data),
  SCHEMA(CF_MSG_SIDE_DATA, side_data_fields, cf_msg_side_data),
  SCHEMA(CF_SCHEMA_GROUP(CF_GROUP_SEAT), seat_fields, cf_info_seat),
  SCHEMA(CF_SCHEMA_GROUP(CF_GROUP_TRACK), track_fields, cf_info_track),
  SCHEMA(CF_SCHEMA_GROUP(CF_GROUP_MODE), mode_fields, cf_info_mode),
};

/* Fields already met are remembered as bits of 64. */
_Static_assert(sizeof(info_fields) / sizeof(info_fields[0]) <= 64, "more fields than bits");

static const schema *schema_of(uint32_t type) {
  for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++)
    if (schemas[i].type == type)
      return &schemas[i];
  return NULL;
}

const cf_schema_field *cf_message_schema(uint32_t type, size_t index) {
  const schema *s = schema_of(type);
  return s && index < s->count ? &s->fields[index] : NULL;
}

static void put(uint8_t *to, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++)
    to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; i++)
    value |= (uint64_t)from[i] << (8 * i);
  return value;
}

/* Bytes of one number of a field, on the wire as in the struct. */
static size_t number_width(const cf_schema_field *field) {
  return field->kind == CF_FIELD_U64 || field->kind == CF_FIELD_I64 ? 8 : 4;
}

static uint64_t load_number(const uint8_t *from, size_t width) {
  uint64_t wide;
  uint32_t narrow;
  if (width == 8) {
    memcpy(&wide, from, sizeof wide);
    return wide;
  }
  memcpy(&narrow, from, sizeof narrow);
  return narrow;
}

static void store_number(uint8_t *to, uint64_t value, size_t width) {
  uint32_t narrow = (uint32_t)value;
  if (width == 8)
    memcpy(to, &value, sizeof value);
  else
    memcpy(to, &narrow, sizeof narrow);
}

/* ---- structs to bytes ---- */

typedef struct writer {
  uint8_t *buffer;
  size_t used, capacity;
} writer;

/* Writes the head of a TLV and gives where its value goes; NULL if there is no room. */
static uint8_t *open_tlv(writer *w, uint32_t tag, size_t length) {
  if (w->capacity - w->used < TLV_BYTES || w->capacity - w->used - TLV_BYTES < length)
    return NULL;
  uint8_t *tlv = w->buffer + w->used;
  put(tlv, tag, 2);
  put(tlv + 2, 0, 2);
  put(tlv + 4, length, 4);
  w->used += TLV_BYTES + length;
  return tlv + TLV_BYTES;
}

static bool write_numbers(writer *w, const cf_schema_field *field, const uint8_t *from, size_t count, bool even_zero) {
  size_t width = number_width(field);
  uint64_t any = even_zero;
  for (size_t i = 0; i < count; i++)
    any |= load_number(from + i * width, width);
  if (any == 0)
    return true;
  uint8_t *to = open_tlv(w, field->tag, count * width);
  for (size_t i = 0; to && i < count; i++)
    put(to + i * width, load_number(from + i * width, width), width);
  return to;
}

/* What a receiver would refuse goes out as '?': a newline in a label must not cost the connection. */
static bool write_text(writer *w, const cf_schema_field *field, const uint8_t *from) {
  size_t length = strnlen((const char *)from, field->max);
  if (length == 0)
    return true;
  uint8_t *to = open_tlv(w, field->tag, length);
  for (size_t i = 0; to && i < length;) {
    size_t good = cf_text_character(from + i, length - i);
    for (size_t end = i + (good ? good : 1); i < end; i++)
      to[i] = good ? from[i] : '?';
  }
  return to;
}

static bool write_bytes(writer *w, const cf_schema_field *field, const uint8_t *from) {
  cf_bytes bytes;
  memcpy(&bytes, from, sizeof bytes);
  if (bytes.length == 0)
    return true;
  if (!bytes.data || bytes.length > field->max)
    return false;
  uint8_t *to = open_tlv(w, field->tag, bytes.length);
  if (to)
    memcpy(to, bytes.data, bytes.length);
  return to;
}

static bool write_list(writer *w, const cf_schema_field *field, const uint8_t *fields) {
  uint64_t count = load_number(fields + field->count_offset, 4);
  if (count > field->max)
    return false;
  return count == 0 || write_numbers(w, field, fields + field->offset, (size_t)count, true);
}

static bool write_field(writer *w, const cf_schema_field *field, const uint8_t *fields) {
  const uint8_t *from = fields + field->offset;
  switch ((enum cf_field_kind)field->kind) {
    case CF_FIELD_U32:
    case CF_FIELD_I32:
    case CF_FIELD_U64:
    case CF_FIELD_I64: return write_numbers(w, field, from, field->max, false);
    case CF_FIELD_TEXT: return write_text(w, field, from);
    case CF_FIELD_BYTES: return write_bytes(w, field, from);
    case CF_FIELD_LIST: return write_list(w, field, fields);
    case CF_FIELD_GROUP: return true; /* cf_message_append() writes them */
  }
  return false;
}

static bool write_fields(writer *w, const schema *s, const void *fields) {
  for (size_t i = 0; i < s->count; i++)
    if (!write_field(w, &s->fields[i], fields))
      return false;
  return true;
}

static size_t room(size_t capacity) {
  return capacity < CF_WIRE_MESSAGE_MAX ? capacity : CF_WIRE_MESSAGE_MAX;
}

size_t cf_message_encode(uint32_t type, const void *fields, uint8_t *buffer, size_t capacity) {
  const schema *s = schema_of(type);
  writer w = { buffer, HEADER_BYTES, room(capacity) };
  if (!s || type > UINT16_MAX || w.capacity < HEADER_BYTES || !write_fields(&w, s, fields))
    return 0;
  put(buffer, CF_WIRE_MAGIC, 4);
  put(buffer + 4, type, 2);
  put(buffer + 6, 0, 2);
  put(buffer + 8, w.used, 4);
  put(buffer + 12, 0, 4);
  return w.used;
}

bool cf_message_append(enum cf_info_group group, const void *fields, uint8_t *buffer, size_t *length, size_t capacity) {
  const schema *s = schema_of(CF_SCHEMA_GROUP(group));
  writer w = { buffer, *length, room(capacity) };
  if (!s || *length < HEADER_BYTES || *length > w.capacity || get(buffer + 4, 2) != CF_MSG_INFO ||
      !open_tlv(&w, CF_GROUP_TAG(group), 0) || !write_fields(&w, s, fields))
    return false;
  put(buffer + *length + 4, w.used - *length - TLV_BYTES, 4);
  put(buffer + 8, w.used, 4);
  *length = w.used;
  return true;
}

/* ---- bytes to structs ---- */

typedef struct tlv {
  uint32_t tag;
  uint32_t length;
  const uint8_t *value;
} tlv;

/* Steps over one TLV. False at the end, then *at is length, or where one runs over the end, then it is not. */
static bool next_tlv(const uint8_t *chain, size_t length, size_t *at, tlv *out) {
  if (*at > length || length - *at < TLV_BYTES)
    return false;
  const uint8_t *head = chain + *at;
  out->tag = (uint32_t)get(head, 2);
  out->length = (uint32_t)get(head + 4, 4);
  out->value = head + TLV_BYTES;
  if (out->length > length - *at - TLV_BYTES)
    return false;
  *at += TLV_BYTES + out->length;
  return true;
}

uint32_t cf_message_type(const uint8_t *message, size_t length) {
  if (length < HEADER_BYTES || length > CF_WIRE_MESSAGE_MAX || get(message, 4) != CF_WIRE_MAGIC ||
      get(message + 8, 4) != length)
    return 0;
  tlv item;
  size_t at = HEADER_BYTES;
  while (next_tlv(message, length, &at, &item)) {
  }
  return at == length ? (uint32_t)get(message + 4, 2) : 0;
}

static bool is_text(const tlv *item, uint32_t max) {
  return item->length <= max && cf_text_is_shown(item->value, item->length);
}

static bool check_fields(const schema *s, const uint8_t *chain, size_t length);

static bool check_value(const cf_schema_field *field, const tlv *item) {
  switch ((enum cf_field_kind)field->kind) {
    case CF_FIELD_U32:
    case CF_FIELD_I32:
    case CF_FIELD_U64:
    case CF_FIELD_I64: return item->length == field->max * number_width(field);
    case CF_FIELD_TEXT: return is_text(item, field->max);
    case CF_FIELD_BYTES: return item->length <= field->max;
    case CF_FIELD_LIST: return item->length % 4 == 0 && item->length / 4 <= field->max;
    case CF_FIELD_GROUP: /* groups hold no groups: this is as deep as it gets */
      return check_fields(schema_of(CF_SCHEMA_GROUP(field->max)), item->value, item->length);
  }
  return false;
}

/* Takes a value that check_value() passed. */
static void read_value(const cf_schema_field *field, const tlv *item, uint8_t *fields) {
  uint8_t *to = fields + field->offset;
  size_t width = number_width(field);
  const uint8_t *data = item->length > 0 ? item->value : NULL;
  switch ((enum cf_field_kind)field->kind) {
    case CF_FIELD_LIST:
      store_number(fields + field->count_offset, item->length / width, 4);
      /* fall through */
    case CF_FIELD_U32:
    case CF_FIELD_I32:
    case CF_FIELD_U64:
    case CF_FIELD_I64:
      for (size_t i = 0; i < item->length / width; i++)
        store_number(to + i * width, get(item->value + i * width, width), width);
      break;
    case CF_FIELD_TEXT:
      memcpy(to, item->value, item->length); /* its end is zero already */
      break;
    case CF_FIELD_BYTES:
      memcpy(to + offsetof(cf_bytes, data), &data, sizeof data);
      store_number(to + offsetof(cf_bytes, length), item->length, 4);
      break;
    case CF_FIELD_GROUP: break;
  }
}

/* Index of the field with this tag, s->count if it is unknown. */
static size_t find_field(const schema *s, uint32_t tag) {
  size_t i = 0;
  while (i < s->count && s->fields[i].tag != tag)
    i++;
  return i;
}

static bool check_fields(const schema *s, const uint8_t *chain, size_t length) {
  uint64_t seen = 0;
  size_t at = 0;
  tlv item;
  while (next_tlv(chain, length, &at, &item)) {
    size_t i = find_field(s, item.tag);
    if (i == s->count)
      continue;
    bool again = s->fields[i].kind != CF_FIELD_GROUP && (seen >> i & 1) != 0;
    if (again || !check_value(&s->fields[i], &item))
      return false;
    seen |= (uint64_t)1 << i;
  }
  return at == length;
}

/* Checks everything before it writes anything, so that *fields is untouched on failure. */
static bool read_fields(const schema *s, const uint8_t *chain, size_t length, void *fields) {
  if (!check_fields(s, chain, length))
    return false;
  memset(fields, 0, s->struct_bytes);
  size_t at = 0;
  tlv item;
  while (next_tlv(chain, length, &at, &item)) {
    size_t i = find_field(s, item.tag);
    if (i < s->count)
      read_value(&s->fields[i], &item, fields);
  }
  return true;
}

bool cf_message_decode(uint32_t type, const uint8_t *message, size_t length, void *fields) {
  const schema *s = schema_of(type);
  if (!s || cf_message_type(message, length) != type)
    return false;
  return read_fields(s, message + HEADER_BYTES, length - HEADER_BYTES, fields);
}

bool cf_message_next_group(enum cf_info_group group, const uint8_t *message, size_t length, size_t *cursor,
                           void *fields) {
  const schema *s = schema_of(CF_SCHEMA_GROUP(group));
  if (!s || cf_message_type(message, length) != CF_MSG_INFO)
    return false;
  size_t at = *cursor < HEADER_BYTES ? HEADER_BYTES : *cursor;
  tlv item;
  while (next_tlv(message, length, &at, &item)) {
    if (item.tag == CF_GROUP_TAG(group)) {
      bool whole = read_fields(s, item.value, item.length, fields);
      *cursor = whole ? at : *cursor;
      return whole;
    }
  }
  return false;
}
