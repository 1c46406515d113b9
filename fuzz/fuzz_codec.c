/* fuzz_codec.c - any bytes as every message type: what decodes must encode and decode to the same again.
 *
 * The input is taken as a message, and once more as the fields behind a sound header, so that the fuzzer need not
 * keep finding the magic and the length.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/subscriber.h>

#include "wire/handshake.h"
#include "wire/schema.h"

#define HEADER 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef union any_message {
  cf_msg_hello hello;
  cf_msg_welcome welcome;
  cf_msg_refused refused;
  cf_msg_segment segment;
  cf_msg_codec codec;
  cf_msg_events events;
  cf_msg_side_data side_data;
  cf_msg_info info;
  cf_info_seat seat;
  cf_info_track track;
  cf_info_mode mode;
} any_message;

static uint8_t again[CF_WIRE_MESSAGE_MAX];

static void require(int condition) {
  if (!condition)
    abort();
}

static void require_same_bytes(cf_bytes *a, const cf_bytes *b) {
  require(a->length == b->length);
  require(a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
  a->data = b->data;
}

static void require_same(uint32_t type, any_message *a, const any_message *b) {
  if (type == CF_MSG_CODEC)
    require_same_bytes(&a->codec.extradata, &b->codec.extradata);
  if (type == CF_MSG_EVENTS)
    require_same_bytes(&a->events.handles, &b->events.handles);
  require(memcmp(a, b, sizeof *a) == 0);
}

static void try_hello(const cf_msg_hello *hello) {
  static const cf_offer offer = {
    .features = 1, .sync_modes = CUFRAMES_SYNC_COMPLETE, .max_leases = 16, .max_depth = 32
  };
  any_message welcome, refused;
  memset(&refused, 0, sizeof refused);
  if (cf_negotiate(hello, &offer, &welcome.welcome, &refused.refused) != 0)
    require(cf_message_encode(CF_MSG_REFUSED, &refused, again, sizeof again) > HEADER);
  else
    require(welcome.welcome.leases <= offer.max_leases && welcome.welcome.depth <= offer.max_depth);
}

/* Gives the length of the message in `again`. */
static size_t try_type(uint32_t type, const uint8_t *message, size_t length) {
  any_message first, second;
  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  if (!cf_message_decode(type, message, length, &first))
    return 0;
  require(cf_message_type(message, length) == type);
  if (type == CF_MSG_HELLO)
    try_hello(&first.hello);
  size_t made = cf_message_encode(type, &first, again, sizeof again);
  require(made >= HEADER && made <= length);
  require(cf_message_decode(type, again, made, &second));
  require_same(type, &first, &second);
  return made;
}

static void try_groups(enum cf_info_group group, const uint8_t *message, size_t length, size_t made) {
  any_message first, second;
  size_t at = 0, made_at = 0;
  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  /* Each step checks the whole message again: a few of them will do. */
  for (int i = 0; i < 16 && cf_message_next_group(group, message, length, &at, &first); i++) {
    require(group != CF_GROUP_SEAT || first.seat.held_count <= CF_HELD_MAX);
    if (made > 0) {
      require(cf_message_append(group, &first, again, &made, sizeof again));
      require(cf_message_next_group(group, again, made, &made_at, &second));
      require_same(CF_SCHEMA_GROUP(group), &first, &second);
    }
  }
}

static void try_message(const uint8_t *message, size_t length) {
  (void)cf_message_type(message, length);
  for (uint32_t type = 0; type <= CF_MSG_SIDE_DATA + 1; type++) {
    size_t made = try_type(type, message, length);
    try_groups(CF_GROUP_SEAT, message, length, type == CF_MSG_INFO ? made : 0);
    made = try_type(type, message, length);
    try_groups(CF_GROUP_TRACK, message, length, type == CF_MSG_INFO ? made : 0);
    made = try_type(type, message, length);
    try_groups(CF_GROUP_MODE, message, length, type == CF_MSG_INFO ? made : 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try_message(data, size);
  if (size > 0 && size - 1 <= CF_WIRE_MESSAGE_MAX - HEADER) {
    size_t length = HEADER + size - 1;
    uint8_t *message = calloc(1, length); /* of its own, so that a read past its end is seen */
    if (!message)
      return 0;
    memcpy(message, "CUFR", 4);
    message[4] = data[0];
    for (int i = 0; i < 4; i++)
      message[8 + i] = (uint8_t)(length >> (8 * i));
    memcpy(message + HEADER, data + 1, size - 1);
    try_message(message, length);
    free(message);
  }
  return 0;
}
