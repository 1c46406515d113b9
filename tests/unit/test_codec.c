/* test_codec.c - the codec: round trips and hostile bytes. What the bytes are is in test_protocol_messages.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuframes/packet.h>

#include "wire/message.h"
#include "wire/schema.h"

#define HEADER 16u
#define TLV 8u
#define ROUNDS 300

typedef union any_message {
  cf_msg_hello hello;
  cf_msg_welcome welcome;
  cf_msg_refused refused;
  cf_msg_get_segment get_segment;
  cf_msg_segment segment;
  cf_msg_get_packets get_packets;
  cf_msg_packets packets;
  cf_msg_get_codec get_codec;
  cf_msg_codec codec;
  cf_msg_get_events get_events;
  cf_msg_get_side_data get_side_data;
  cf_msg_side_data side_data;
  cf_msg_events events;
  cf_msg_get_info get_info;
  cf_msg_info info;
  cf_info_seat seat;
  cf_info_track track;
  cf_info_mode mode;
} any_message;

/* ---- random messages ---- */

static uint64_t seed, state;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static uint32_t below(uint32_t limit) {
  return (uint32_t)(next_random() % limit);
}

/* Often 0, often small, often all of the width. */
static uint64_t number(void) {
  uint64_t value = next_random();
  uint32_t shape = below(4);
  return shape == 0 ? 0 : shape == 1 ? value % 300 : value;
}

static void text(char *to, size_t size) {
  size_t length = below(4) == 0 ? size - 1 : below((uint32_t)size);
  static const char *const wide[] = { "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xe2\x82\xac", "\xf4\x8f\xbf\xbf" };
  for (size_t i = 0; i < length;) {
    const char *character = wide[below(5)];
    if (below(4) == 0 && i + strlen(character) <= length) {
      memcpy(to + i, character, strlen(character));
      i += strlen(character);
    } else {
      to[i++] = (char)(0x20 + below(0x7f - 0x20));
    }
  }
}

/* By hand, field by field: a field that is missing in the codec's tables must be missed here. */
#define N(member) (m->member = (__typeof__(m->member))number())
#define T(member) text(m->member, sizeof m->member)

static void fill_format(cf_msg_format *m) {
  N(pixel_format), N(width), N(height), N(color), N(chroma_location), N(field_order), N(orientation), N(element);
  N(sample_aspect[0]), N(sample_aspect[1]);
  for (int i = 0; i < 4; i++)
    N(pitch[i]), N(offset[i]);
  m->dims = below(5);
  for (uint32_t i = 0; i < m->dims; i++)
    N(size[i]);
}

static void fill_hello(cf_msg_hello *m) {
  N(version_min), N(version_max), N(features), N(role), N(mode), N(leases), N(depth), N(sync_modes), T(label);
  N(sync_asked);
}

static void fill_welcome(cf_msg_welcome *m) {
  N(version), N(features), N(sync_mode), N(leases), N(depth), N(control_bytes), N(seat_bytes), T(device), N(instance);
}

static void fill_segment(cf_msg_segment *m) {
  N(segment), N(bytes), fill_format(&m->format);
  N(memory), N(start), N(whole);
  m->handle_words = below(2) * CF_HANDLE_WORDS;
  for (uint32_t i = 0; i < m->handle_words; i++)
    m->handle[i] = (uint32_t)number();
}

static void fill_events(cf_msg_events *m) {
  static uint8_t handles[CF_EVENTS_BYTES];
  N(segment), N(stride);
  m->handles.length = below(8) == 0 ? CF_EVENTS_BYTES : below(10) * CF_HANDLE_BYTES;
  m->handles.data = m->handles.length ? handles : NULL;
  for (uint32_t i = 0; i < m->handles.length; i++)
    handles[i] = (uint8_t)below(256);
}

static void fill_codec(cf_msg_codec *m) {
  static uint8_t extradata[CUFRAMES_EXTRADATA_MAX];
  N(track), N(track_count), N(media_type), T(codec), N(profile), N(level), N(width), N(height);
  N(frame_rate_num), N(frame_rate_den), N(sample_rate), N(channels), N(frame_size), N(time_base_num);
  N(time_base_den), N(bit_rate), N(color), N(chroma_location), N(field_order), N(orientation);
  N(sample_aspect[0]), N(sample_aspect[1]), N(content_light[0]), N(content_light[1]);
  for (int i = 0; i < 10; i++)
    N(mastering_display[i]);
  m->extradata.length = below(8) == 0 ? CUFRAMES_EXTRADATA_MAX : below(100);
  m->extradata.data = m->extradata.length ? extradata : NULL;
  for (uint32_t i = 0; i < m->extradata.length; i++)
    extradata[i] = (uint8_t)below(256);
}

static void fill_info(cf_msg_info *m) {
  T(name), T(device), T(description), N(pid), fill_format(&m->format);
  N(frame_rate_micro), N(frames), N(dropped), N(evictions), N(timestamp), N(slots), N(max_slots), N(slots_pinned);
  N(segments), N(memory_bytes), N(packets), N(packet_bytes), N(packet_slots), N(packet_data_bytes), T(memory);
  N(source_state), N(source_since), N(source_attempt), T(source_reason), N(reconnects), N(started), N(device_bytes);
}

static void fill_mode(cf_info_mode *m) {
  N(mode), N(joined), N(delivered), N(skipped), N(latency_sum), N(packets_read), N(packets_lost);
  for (uint32_t i = 0; i < CF_LATENCY_BUCKETS; i++)
    N(latency[i]);
}

static void fill_seat(cf_info_seat *m) {
  T(label), N(mode), N(pid), N(uid), N(gid), N(leases), N(depth), N(packets), N(evicted), N(sync_mode), N(lag);
  N(delivered), N(skipped), N(sync_asked), N(packets_read), N(packets_lost);
  m->held_count = below(4) == 0 ? CF_HELD_MAX : below(CF_HELD_MAX + 1);
  for (uint32_t i = 0; i < m->held_count; i++)
    m->held[i] = (uint32_t)number();
}

static void fill(uint32_t type, any_message *to) {
  memset(to, 0, sizeof *to);
  switch (type) {
    case CF_MSG_HELLO: fill_hello(&to->hello); break;
    case CF_MSG_WELCOME: fill_welcome(&to->welcome); break;
    case CF_MSG_REFUSED:
      to->refused.code = (int32_t)number();
      text(to->refused.text, sizeof to->refused.text);
      break;
    case CF_MSG_GET_SEGMENT: to->get_segment.segment = (uint32_t)number(); break;
    case CF_MSG_SEGMENT: fill_segment(&to->segment); break;
    case CF_MSG_PACKETS:
      to->packets.bytes = number();
      to->packets.track_count = (uint32_t)number();
      break;
    case CF_MSG_GET_CODEC: to->get_codec.track = (uint32_t)number(); break;
    case CF_MSG_CODEC: fill_codec(&to->codec); break;
    case CF_MSG_INFO: fill_info(&to->info); break;
    case CF_MSG_GET_EVENTS: to->get_events.segment = (uint32_t)number(); break;
    case CF_MSG_EVENTS: fill_events(&to->events); break;
    case CF_MSG_GET_SIDE_DATA: to->get_side_data.segment = (uint32_t)number(); break;
    case CF_MSG_SIDE_DATA:
      to->side_data.segment = (uint32_t)number();
      to->side_data.bytes = number();
      break;
    case CF_SCHEMA_GROUP(CF_GROUP_SEAT): fill_seat(&to->seat); break;
    case CF_SCHEMA_GROUP(CF_GROUP_MODE): fill_mode(&to->mode); break;
    case CF_SCHEMA_GROUP(CF_GROUP_TRACK):
      to->track.media_type = (uint32_t)number();
      text(to->track.codec, sizeof to->track.codec);
      to->track.packets = number();
      to->track.timestamp = (int64_t)number();
      to->track.bit_rate = number();
      to->track.keyframe_interval = number();
      to->track.keyframe_frames = (uint32_t)number();
      to->track.keyframe_longest = number();
      to->track.keyframe_longest_frames = (uint32_t)number();
      to->track.keyframe_timestamp = (int64_t)number();
      break;
    default: break; /* the others have no fields */
  }
}

static bool same_bytes(cf_bytes *sent, const cf_bytes *got) {
  if (got->length != sent->length || (got->length > 0 && memcmp(got->data, sent->data, got->length) != 0))
    return false;
  sent->data = got->data; /* the pointers differ */
  return true;
}

static bool same(uint32_t type, any_message *sent, const any_message *got) {
  if (type == CF_MSG_CODEC && !same_bytes(&sent->codec.extradata, &got->codec.extradata))
    return false;
  if (type == CF_MSG_EVENTS && !same_bytes(&sent->events.handles, &got->events.handles))
    return false;
  return memcmp(sent, got, sizeof *got) == 0;
}

/* ---- memory whose end is the end of the world: a read or write behind it crashes, sanitizer or not ---- */

static uint8_t *guard_end;

static int set_up(void **unused) {
  (void)unused;
  size_t bytes = 2 * CF_WIRE_MESSAGE_MAX, page = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *memory = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const char *given = getenv("CF_SEED");
  struct timespec now;
  if (memory == MAP_FAILED || mprotect(memory + bytes, page, PROT_NONE) != 0)
    return -1;
  guard_end = memory + bytes;
  (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail; any number will do */
  seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
  seed = seed ? seed : 1;
  return 0;
}

static int reseed(void **unused) {
  (void)unused;
  state = seed;
  return 0;
}

static void require(bool condition, const char *what, uint32_t type, size_t at) {
  if (!condition)
    fail_msg("%s: type 0x%x, at %zu (again with CF_SEED=%llu)", what, type, at, (unsigned long long)seed);
}

/* A copy that ends at the guard. */
static uint8_t *guarded(const uint8_t *bytes, size_t length) {
  return memcpy(guard_end - length, bytes, length);
}

static bool decodes(uint32_t type, const uint8_t *bytes, size_t length) {
  any_message got, before;
  memset(&before, 0x5a, sizeof before);
  memset(&got, 0x5a, sizeof got);
  bool good = cf_message_decode(type, guarded(bytes, length), length, &got);
  require(good || memcmp(&got, &before, sizeof got) == 0, "untouched on failure", type, length);
  return good;
}

static void set_length(uint8_t *message, size_t length) {
  for (int i = 0; i < 4; i++)
    message[8 + i] = (uint8_t)(length >> (8 * i));
}

/* ---- messages made by hand ---- */

static uint8_t raw[CF_WIRE_MESSAGE_MAX + 64];
static size_t raw_length;

static void begin(uint32_t type) {
  raw_length = HEADER;
  memset(raw, 0, HEADER);
  memcpy(raw, "CUFR", 4);
  raw[4] = (uint8_t)type;
  raw[5] = (uint8_t)(type >> 8);
  set_length(raw, raw_length);
}

static void add(uint32_t tag, const void *value, size_t length) {
  uint8_t *tlv = raw + raw_length;
  memset(tlv, 0, TLV);
  tlv[0] = (uint8_t)tag;
  tlv[1] = (uint8_t)(tag >> 8);
  for (int i = 0; i < 4; i++)
    tlv[4 + i] = (uint8_t)(length >> (8 * i));
  memcpy(tlv + TLV, value, length);
  raw_length += TLV + length;
  set_length(raw, raw_length);
}

static bool raw_decodes(uint32_t type) {
  return decodes(type, raw, raw_length);
}

/* Is a message of this one field good? */
static bool field_is_good(uint32_t type, uint32_t tag, const void *value, size_t length) {
  begin(type);
  add(tag, value, length);
  return raw_decodes(type);
}

static const uint8_t zeros[CUFRAMES_EXTRADATA_MAX + 1];

/* ---- the tests ---- */

static void every_message_survives_a_round_trip(void **unused) {
  (void)unused;
  static uint8_t buffer[CF_WIRE_MESSAGE_MAX];
  for (uint32_t type = CF_MSG_HELLO; type <= CF_MSG_SIDE_DATA; type++) {
    for (int round = 0; round < ROUNDS; round++) {
      any_message sent, got;
      fill(type, &sent);
      memset(&got, 0, sizeof got);
      size_t length = cf_message_encode(type, &sent, buffer, sizeof buffer);
      require(length >= HEADER, "encodes", type, length);
      uint8_t *message = guarded(buffer, length);
      require(cf_message_type(message, length) == type, "type", type, length);
      require(cf_message_decode(type, message, length, &got), "decodes", type, length);
      require(same(type, &sent, &got), "round trip", type, length);
      require(!decodes(type % CF_MSG_SIDE_DATA + 1, buffer, length), "not as another type", type, length);
    }
  }
}

static void zero_fields_are_not_sent(void **unused) {
  (void)unused;
  uint8_t buffer[HEADER];
  any_message zero;
  memset(&zero, 0, sizeof zero);
  for (uint32_t type = CF_MSG_HELLO; type <= CF_MSG_SIDE_DATA; type++) {
    assert_int_equal(cf_message_encode(type, &zero, buffer, sizeof buffer), HEADER);
    begin(type);
    assert_memory_equal(buffer, raw, HEADER);
    assert_true(raw_decodes(type));
  }
}

static void encoding_never_writes_past_its_buffer(void **unused) {
  (void)unused;
  static uint8_t buffer[CF_WIRE_MESSAGE_MAX];
  for (uint32_t type = CF_MSG_HELLO; type <= CF_MSG_SIDE_DATA; type++) {
    any_message sent;
    fill(type, &sent);
    if (type == CF_MSG_CODEC)
      sent.codec.extradata.length = sent.codec.extradata.length % 100;
    size_t length = cf_message_encode(type, &sent, buffer, sizeof buffer);
    for (size_t capacity = 0; capacity < length; capacity++)
      require(cf_message_encode(type, &sent, guard_end - capacity, capacity) == 0, "no room", type, capacity);
    require(cf_message_encode(type, &sent, guard_end - length, length) == length, "just enough", type, length);
    require(memcmp(guard_end - length, buffer, length) == 0, "the same bytes", type, length);
  }
}

static void every_truncation_is_refused(void **unused) {
  (void)unused;
  static uint8_t buffer[CF_WIRE_MESSAGE_MAX];
  for (uint32_t type = CF_MSG_HELLO; type <= CF_MSG_SIDE_DATA; type++) {
    any_message sent;
    fill(type, &sent);
    if (type == CF_MSG_CODEC)
      sent.codec.extradata.length = sent.codec.extradata.length % 100;
    if (type == CF_MSG_EVENTS)
      sent.events.handles.length = sent.events.handles.length % (9 * CF_HANDLE_BYTES);
    size_t length = cf_message_encode(type, &sent, buffer, sizeof buffer), border = HEADER;
    for (size_t cut = 0; cut < length; cut++) {
      set_length(buffer, length);
      require(cf_message_type(guarded(buffer, cut), cut) == 0 && !decodes(type, buffer, cut), "cut", type, cut);
      if (cut > border)
        border += TLV + buffer[border + 4] + 256u * buffer[border + 5];
      set_length(buffer, cut); /* a liar: only where a field ends is this a message */
      bool good = cut == border && cut >= HEADER;
      require(decodes(type, buffer, cut) == good, "cut with its length put right", type, cut);
      require(cf_message_type(guarded(buffer, cut), cut) == (good ? type : 0), "type of a cut", type, cut);
    }
    require(!decodes(type, buffer, length), "length too small", type, length);
  }
}

static void damaged_messages_are_read_within_their_bounds(void **unused) {
  (void)unused;
  static uint8_t buffer[CF_WIRE_MESSAGE_MAX];
  for (int round = 0; round < 20000; round++) {
    any_message sent, seat, got;
    uint32_t type = round % 2 ? CF_MSG_INFO : CF_MSG_HELLO + below(CF_MSG_SIDE_DATA);
    fill(type, &sent);
    fill(CF_SCHEMA_GROUP(CF_GROUP_SEAT), &seat);
    size_t length = cf_message_encode(type, &sent, buffer, 4096);
    if (length == 0)
      continue;
    (void)cf_message_append(CF_GROUP_SEAT, &seat, buffer, &length, sizeof buffer); /* INFO only */
    for (uint32_t damage = 1 + below(4); damage > 0; damage--)
      buffer[below((uint32_t)length)] = (uint8_t)number();
    size_t at = 0, count = 0;
    (void)decodes(type, buffer, length); /* what matters is that nothing crashes */
    while (cf_message_next_group(CF_GROUP_SEAT, guarded(buffer, length), length, &at, &got))
      require(++count < 100 && got.seat.held_count <= CF_HELD_MAX, "group", type, at);
  }
}

static void unknown_fields_are_skipped(void **unused) {
  (void)unused;
  any_message got;
  begin(CF_MSG_GET_SEGMENT);
  add(0, "", 0);
  add(99, "whatever\n", 9);
  add(1, "\x07\0\0\0", 4);
  add(0xffff, zeros, 1000);
  add(99, "again", 5);
  add(CF_GROUP_TAG(CF_GROUP_SEAT), "not a group here", 16);
  assert_true(cf_message_decode(CF_MSG_GET_SEGMENT, guarded(raw, raw_length), raw_length, &got));
  assert_int_equal(got.get_segment.segment, 7);
}

static void unknown_types_are_named_and_garbage_is_not(void **unused) {
  (void)unused;
  static const uint32_t types[] = { CF_MSG_SIDE_DATA + 1, 255, 256, 0xffff };
  uint8_t buffer[64];
  any_message fields;
  memset(&fields, 0, sizeof fields);
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    begin(types[i]);
    assert_int_equal(cf_message_type(raw, raw_length), types[i]);
    assert_false(raw_decodes(types[i]));
    assert_int_equal(cf_message_encode(types[i], &fields, buffer, sizeof buffer), 0);
  }
  assert_int_equal(cf_message_encode(0, &fields, buffer, sizeof buffer), 0);
  assert_int_equal(cf_message_encode(CF_SCHEMA_GROUP(CF_GROUP_SEAT), &fields, buffer, sizeof buffer), 0);
  begin(0);
  assert_int_equal(cf_message_type(raw, raw_length), 0);
  assert_false(raw_decodes(0));
  for (int i = 0; i < 4; i++) {
    begin(CF_MSG_HELLO);
    raw[i] ^= 0x20;
    assert_int_equal(cf_message_type(raw, raw_length), 0);
    assert_false(raw_decodes(CF_MSG_HELLO));
  }
  begin(CF_MSG_HELLO);
  memset(raw + 6, 0xff, 2); /* reserved: ignored */
  memset(raw + 12, 0xff, 4);
  assert_true(raw_decodes(CF_MSG_HELLO));
  add(1, zeros, 4);
  memset(raw + HEADER + 2, 0xff, 2);
  assert_true(raw_decodes(CF_MSG_HELLO));
  begin(CF_MSG_HELLO);
  add(99, zeros, sizeof zeros);
  add(99, zeros, CF_WIRE_MESSAGE_MAX - raw_length - TLV);
  assert_int_equal(cf_message_type(raw, raw_length), CF_MSG_HELLO); /* the largest there is */
  begin(CF_MSG_HELLO);
  add(99, zeros, sizeof zeros);
  add(99, zeros, CF_WIRE_MESSAGE_MAX - raw_length - TLV + 1);
  assert_int_equal(cf_message_type(raw, raw_length), 0);
}

static void fields_must_come_once(void **unused) {
  (void)unused;
  for (uint32_t type = CF_MSG_HELLO; type <= CF_MSG_SIDE_DATA; type++) {
    const cf_schema_field *field;
    for (size_t i = 0; (field = cf_message_schema(type, i)) != NULL; i++) {
      bool wide = field->kind == CF_FIELD_U64 || field->kind == CF_FIELD_I64;
      bool is_text = field->kind == CF_FIELD_TEXT || field->kind == CF_FIELD_BYTES || field->kind == CF_FIELD_GROUP;
      size_t length = is_text ? 0 : field->max * (wide ? 8u : 4u);
      assert_true(field_is_good(type, field->tag, zeros, length));
      add(field->tag, zeros, length);
      assert_true(raw_decodes(type) == (field->kind == CF_FIELD_GROUP));
    }
  }
}

static void values_must_have_their_length(void **unused) {
  (void)unused;
  char label[CF_LABEL_BYTES + 1];
  memset(label, 'x', sizeof label);
  for (size_t length = 0; length < 40; length++) {
    assert_true(field_is_good(CF_MSG_HELLO, 1, zeros, length) == (length == 4));
    assert_true(field_is_good(CF_MSG_HELLO, 3, zeros, length) == (length == 8));
    assert_true(field_is_good(CF_MSG_REFUSED, 1, zeros, length) == (length == 4));
    assert_true(field_is_good(CF_MSG_INFO, 15, zeros, length) == (length == 8));
    assert_true(field_is_good(CF_MSG_SEGMENT, 7, zeros, length) == (length == 16));
    assert_true(field_is_good(CF_MSG_SEGMENT, 8, zeros, length) == (length == 32));
  }
  assert_true(field_is_good(CF_MSG_HELLO, 9, label, CF_LABEL_BYTES - 1));
  assert_false(field_is_good(CF_MSG_HELLO, 9, label, CF_LABEL_BYTES));
  assert_true(field_is_good(CF_MSG_HELLO, 9, label, 0));
  assert_true(field_is_good(CF_MSG_CODEC, 17, zeros, CUFRAMES_EXTRADATA_MAX));
  assert_false(field_is_good(CF_MSG_CODEC, 17, zeros, CUFRAMES_EXTRADATA_MAX + 1));
  for (int byte = 0; byte < 256; byte++) {
    char name[3] = { 'a', (char)byte, 'b' };
    assert_true(field_is_good(CF_MSG_HELLO, 9, name, 3) == (byte >= 0x20 && byte < 0x7f));
  }
  static const struct {
    const char *text;
    bool good;
  } texts[] = {
    { "\xc2\xa0", true },
    { "\xc2\x9b", false },
    { "\xc2\x80", false },
    { "\x9b", false },
    { "\xd8\x9c", false },
    { "\xe2\x80\x8d", true },
    { "\xe2\x80\x8e", false },
    { "\xe2\x80\xa8", false },
    { "\xe2\x80\xae", false },
    { "\xe2\x80\xaf", true },
    { "\xe2\x81\xa6", false },
    { "\xe2\x81\xa9", false },
    { "\xe2\x81\xaa", true },
    { "\xc1\xbf", false },
    { "\xe0\x9f\xbf", false },
    { "\xed\x9f\xbf", true },
    { "\xed\xa0\x80", false },
    { "\xf0\x8f\xbf\xbf", false },
    { "\xf0\x9f\x98\x80", true },
    { "\xf4\x90\x80\x80", false },
    { "\xe2\x82", false },
    { "\xc2", false },
    { "\xff", false },
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (field_is_good(CF_MSG_HELLO, 9, texts[i].text, strlen(texts[i].text)) != texts[i].good)
      fail_msg("text %d is %s", (int)i, texts[i].good ? "refused" : "taken");
  begin(CF_MSG_HELLO);
  add(9, "label", 5);
  memset(raw + HEADER + 4, 0xff, 4); /* a length that would wrap around */
  assert_int_equal(cf_message_type(guarded(raw, raw_length), raw_length), 0);
  assert_false(raw_decodes(CF_MSG_HELLO));
}

static void senders_mistakes_do_not_go_out(void **unused) {
  (void)unused;
  uint8_t buffer[1024];
  cf_msg_hello hello, got;
  cf_msg_codec codec;
  memset(&hello, 0, sizeof hello);
  memset(hello.label, 'x', sizeof hello.label); /* no terminating zero */
  memcpy(hello.label, "a\nb\x7f\t", 5);
  size_t length = cf_message_encode(CF_MSG_HELLO, &hello, buffer, sizeof buffer);
  assert_true(cf_message_decode(CF_MSG_HELLO, buffer, length, &got));
  assert_int_equal(strlen(got.label), CF_LABEL_BYTES - 1);
  assert_memory_equal(got.label, "a?b??xxx", 8);
  memset(&codec, 0, sizeof codec);
  codec.extradata.length = 1;
  assert_int_equal(cf_message_encode(CF_MSG_CODEC, &codec, buffer, sizeof buffer), 0);
  codec.extradata.data = zeros;
  codec.extradata.length = CUFRAMES_EXTRADATA_MAX + 1;
  assert_int_equal(cf_message_encode(CF_MSG_CODEC, &codec, raw, CF_WIRE_MESSAGE_MAX), 0);
}

/* ---- groups ---- */

static void groups_survive_a_round_trip_in_their_order(void **unused) {
  (void)unused;
  static uint8_t buffer[CF_WIRE_MESSAGE_MAX];
  enum { GROUPS = 40 };
  static any_message sent[GROUPS];
  any_message got;
  for (int round = 0; round < 50; round++) {
    any_message info;
    fill(CF_MSG_INFO, &info);
    size_t length = cf_message_encode(CF_MSG_INFO, &info, buffer, sizeof buffer);
    for (int i = 0; i < GROUPS; i++) {
      enum cf_info_group group = (enum cf_info_group)(CF_GROUP_SEAT + i % 3);
      fill(CF_SCHEMA_GROUP(group), &sent[i]);
      require(cf_message_append(group, &sent[i], buffer, &length, sizeof buffer), "append", group, length);
    }
    uint8_t *message = guarded(buffer, length);
    memset(&got, 0, sizeof got);
    require(cf_message_decode(CF_MSG_INFO, message, length, &got) && same(CF_MSG_INFO, &info, &got), "info",
            CF_MSG_INFO, length);
    for (uint32_t group = CF_GROUP_SEAT; group <= CF_GROUP_MODE; group++) {
      size_t at = 0;
      for (int i = 0; i < GROUPS; i++) {
        if (CF_GROUP_SEAT + (uint32_t)i % 3 == group) {
          memset(&got, 0, sizeof got);
          require(cf_message_next_group(group, message, length, &at, &got), "group", group, at);
          require(same(CF_SCHEMA_GROUP(group), &sent[i], &got), "group's fields", group, at);
        }
      }
      require(!cf_message_next_group(group, message, length, &at, &got), "the end", group, at);
    }
  }
}

static void a_group_is_appended_whole_or_not_at_all(void **unused) {
  (void)unused;
  uint8_t buffer[2048], copy[2048];
  any_message info, seat;
  size_t before, length;
  fill(CF_MSG_INFO, &info);
  fill(CF_SCHEMA_GROUP(CF_GROUP_SEAT), &seat);
  before = length = cf_message_encode(CF_MSG_INFO, &info, buffer, sizeof buffer);
  memcpy(copy, buffer, length);
  assert_true(cf_message_append(CF_GROUP_SEAT, &seat, buffer, &length, sizeof buffer));
  size_t full = length;
  for (size_t capacity = before - 1; capacity < full; capacity++) {
    uint8_t *message = guard_end - capacity;
    memcpy(message, copy, capacity < before ? capacity : before);
    length = before;
    require(!cf_message_append(CF_GROUP_SEAT, &seat, message, &length, capacity), "no room", 0, capacity);
    require(length == before && (capacity < before || memcmp(message, copy, before) == 0), "unchanged", 0, capacity);
  }
  seat.seat.held_count = CF_HELD_MAX + 1;
  length = before;
  assert_false(cf_message_append(CF_GROUP_SEAT, &seat, buffer, &length, sizeof buffer));
  assert_false(cf_message_append((enum cf_info_group)(CF_GROUP_MODE + 1), &seat, buffer, &length, sizeof buffer));
  begin(CF_MSG_GET_INFO);
  length = HEADER;
  seat.seat.held_count = 0;
  assert_false(cf_message_append(CF_GROUP_SEAT, &seat, raw, &length, sizeof raw));
  begin(CF_MSG_INFO);
  length = HEADER - 1;
  assert_false(cf_message_append(CF_GROUP_SEAT, &seat, raw, &length, sizeof raw));
}

/* An INFO with a seat of one hand-made field, then a sound one. */
static void begin_seat(uint32_t tag, size_t promised, size_t length) {
  uint8_t inner[TLV + CF_HELD_MAX * 4 + 8] = { (uint8_t)tag, 0, 0, 0, (uint8_t)promised, (uint8_t)(promised >> 8) };
  begin(CF_MSG_INFO);
  add(CF_GROUP_TAG(CF_GROUP_SEAT), inner, TLV + length);
  add(CF_GROUP_TAG(CF_GROUP_SEAT), "", 0);
}

static int seats(void) {
  any_message got;
  size_t at = 0;
  int count = 0;
  while (cf_message_next_group(CF_GROUP_SEAT, guarded(raw, raw_length), raw_length, &at, &got))
    count++;
  return count;
}

static void broken_groups_are_refused(void **unused) {
  (void)unused;
  static const struct {
    uint32_t tag;
    size_t promised, length;
    bool good;
  } cases[] = {
    { 2, 4, 4, true },
    { 2, 5, 4, false },
    { 2, 3, 4, false },
    { 2, 0xffff, 4, false },
    { 11, 8, 8, true },
    { 11, 4, 4, false },
    { 14, 0, 0, true },
    { 14, 4 * CF_HELD_MAX, 4 * CF_HELD_MAX, true },
    { 14, 6, 6, false },
    { 14, 1, 1, false },
    { 14, 4 * CF_HELD_MAX + 4, 4 * CF_HELD_MAX + 4, false },
    { 200, 6, 6, true },
    { 1, 3, 3, false /* zero bytes in a text */ },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    begin_seat(cases[i].tag, cases[i].promised, cases[i].length);
    require(raw_decodes(CF_MSG_INFO) == cases[i].good, "info with this seat", cases[i].tag, i);
    require(seats() == (cases[i].good ? 2 : 0), "seats", cases[i].tag, i);
  }
  begin(CF_MSG_INFO);
  add(CF_GROUP_TAG(CF_GROUP_TRACK), "\1\0\0\0\4\0\0\0\1\0\0\0\1\0\0\0\4\0\0\0\1\0\0\0", 24);
  assert_false(raw_decodes(CF_MSG_INFO)); /* twice the same field */
  begin(CF_MSG_INFO);
  add(CF_GROUP_TAG(CF_GROUP_TRACK), "\1\0\0\0", 4); /* shorter than a field */
  assert_false(raw_decodes(CF_MSG_INFO));
  begin(CF_MSG_HELLO);
  add(CF_GROUP_TAG(CF_GROUP_SEAT), "", 0);
  assert_int_equal(seats(), 0); /* of another type */
  begin(CF_MSG_INFO);
  add(CF_GROUP_TAG(CF_GROUP_SEAT), "\1\0\0\0\13\0\0\0abc", 11); /* the last text of all, 8 bytes too long */
  assert_false(raw_decodes(CF_MSG_INFO));
  assert_int_equal(seats(), 0);
  size_t at;
  any_message got;
  begin_seat(2, 4, 4);
  for (size_t behind = 1; behind < 100; behind++) { /* a cursor that is none */
    at = raw_length + behind;
    assert_false(cf_message_next_group(CF_GROUP_SEAT, guarded(raw, raw_length), raw_length, &at, &got));
  }
  at = 0;
  assert_false(cf_message_next_group((enum cf_info_group)0, raw, raw_length, &at, &got));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(every_message_survives_a_round_trip, reseed),
    cmocka_unit_test_setup(zero_fields_are_not_sent, reseed),
    cmocka_unit_test_setup(encoding_never_writes_past_its_buffer, reseed),
    cmocka_unit_test_setup(every_truncation_is_refused, reseed),
    cmocka_unit_test_setup(damaged_messages_are_read_within_their_bounds, reseed),
    cmocka_unit_test_setup(unknown_fields_are_skipped, reseed),
    cmocka_unit_test_setup(unknown_types_are_named_and_garbage_is_not, reseed),
    cmocka_unit_test_setup(fields_must_come_once, reseed),
    cmocka_unit_test_setup(values_must_have_their_length, reseed),
    cmocka_unit_test_setup(senders_mistakes_do_not_go_out, reseed),
    cmocka_unit_test_setup(groups_survive_a_round_trip_in_their_order, reseed),
    cmocka_unit_test_setup(a_group_is_appended_whole_or_not_at_all, reseed),
    cmocka_unit_test_setup(broken_groups_are_refused, reseed),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
