/* fuzz_handshake.c - one connection as the publisher sees it: the input is what this publisher offers and then a
 * sequence of messages, built from fields or of any bytes. What is answered, and when, is compared with the rules of
 * docs/protocol.md as they are written down once more here.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/subscriber.h>

#include "wire/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
  const uint8_t *data;
  size_t size;
} input;

typedef struct connection {
  enum cf_peer_state state;
  bool greeted, monitor, over; /* what the rules remember */
  cf_offer offer;
} connection;

static void require(bool holds) {
  if (!holds)
    abort();
}

static uint8_t take(input *in) {
  if (in->size == 0)
    return 0;
  in->size--;
  return *in->data++;
}

/* Small numbers mostly, limits often, anything sometimes. */
static uint32_t take_number(input *in) {
  static const uint32_t borders[] = { 0, 1, 2, 64, 256, 0x7fffffff, 0x80000000, UINT32_MAX };
  uint8_t b = take(in);
  if (b < 0xc0)
    return b % 24;
  if (b < 0xf0)
    return borders[b % 8];
  return (uint32_t)take(in) << 24 | (uint32_t)take(in) << 16 | (uint32_t)take(in) << 8 | take(in);
}

static bool is_one_bit(uint32_t bits) {
  return bits != 0 && (bits & (bits - 1)) == 0;
}

/* What a WELCOME may grant to this HELLO. */
static void check_welcome(const cf_msg_hello *hello, const cf_offer *offer, const cf_msg_welcome *welcome) {
  require(welcome->version >= CF_WIRE_VERSION_MIN && welcome->version <= CF_WIRE_VERSION_MAX);
  require(welcome->version >= hello->version_min && welcome->version <= hello->version_max);
  require((welcome->features & ~(hello->features & offer->features)) == 0);
  require(welcome->control_bytes == 0 && welcome->seat_bytes == 0 && welcome->instance == 0);
  if (hello->role == CF_ROLE_MONITOR) {
    require(welcome->leases == 0 && welcome->depth == 0 && welcome->sync_mode == 0);
    return;
  }
  require(hello->role == CF_ROLE_SUBSCRIBER && hello->mode <= CUFRAMES_MODE_PACKETS);
  require(is_one_bit(welcome->sync_mode) && (welcome->sync_mode & offer->sync_modes));
  require(!hello->sync_modes || (welcome->sync_mode & hello->sync_modes));
  bool frames = hello->mode != CUFRAMES_MODE_PACKETS, ordered = hello->mode == CUFRAMES_MODE_ORDERED;
  require(frames ? welcome->leases > 0 && welcome->leases <= offer->max_leases : welcome->leases == 0);
  require(!frames || !hello->leases || welcome->leases == hello->leases);
  require(ordered ? welcome->depth > 0 && welcome->depth <= offer->max_depth : welcome->depth == 0);
  require(!ordered || !hello->depth || welcome->depth == hello->depth);
}

static bool negotiate(const cf_msg_hello *hello, const cf_offer *offer) {
  static uint8_t bytes[CF_WIRE_MESSAGE_MAX];
  cf_msg_welcome welcome, untouched, again;
  cf_msg_refused refused;
  memset(&welcome, 0x5a, sizeof welcome);
  memset(&untouched, 0x5a, sizeof untouched);
  memset(&refused, 0, sizeof refused);
  int error = cf_negotiate(hello, offer, &welcome, &refused);
  if (error) {
    require(error < 0 && refused.code == error && memcmp(&welcome, &untouched, sizeof welcome) == 0);
    require(refused.text[0] != '\0' && memchr(refused.text, '\0', sizeof refused.text));
    require(cf_message_encode(CF_MSG_REFUSED, &refused, bytes, sizeof bytes) > 0);
    return false;
  }
  check_welcome(hello, offer, &welcome);
  memset(&again, 0, sizeof again);
  size_t length = cf_message_encode(CF_MSG_WELCOME, &welcome, bytes, sizeof bytes);
  require(length > 0 && cf_message_decode(CF_MSG_WELCOME, bytes, length, &again));
  require(again.version == welcome.version && again.leases == welcome.leases && again.depth == welcome.depth);
  return true;
}

/* What the rules say: the table of handshake.c from memory of the conversation instead of states. */
static enum cf_peer_action wanted(const connection *c, uint32_t type) {
  if (c->over)
    return CF_DO_CLOSE;
  if (!c->greeted)
    return type == CF_MSG_HELLO ? CF_DO_ADMIT : CF_DO_CLOSE;
  if (type == CF_MSG_GET_INFO)
    return CF_DO_SEND_INFO;
  if (c->monitor)
    return CF_DO_CLOSE;
  switch (type) {
    case CF_MSG_GET_SEGMENT: return CF_DO_SEND_SEGMENT;
    case CF_MSG_GET_PACKETS: return CF_DO_SEND_PACKETS;
    case CF_MSG_GET_CODEC: return CF_DO_SEND_CODEC;
    case CF_MSG_GET_EVENTS: return CF_DO_SEND_EVENTS;
    case CF_MSG_GET_SIDE_DATA: return CF_DO_SEND_SIDE_DATA;
    default: return CF_DO_CLOSE;
  }
}

static void hear(connection *c, const uint8_t *message, size_t length) {
  uint32_t type = cf_message_type(message, length);
  enum cf_peer_action action = cf_peer_action(c->state, type);
  require(action == wanted(c, type));
  if (action == CF_DO_ADMIT) {
    cf_msg_hello hello;
    bool accepted = cf_message_decode(CF_MSG_HELLO, message, length, &hello) && negotiate(&hello, &c->offer);
    c->state = cf_peer_admitted(accepted ? hello.role : CF_ROLE_SUBSCRIBER, accepted);
    require((c->state == CF_PEER_CLOSED) == !accepted);
    c->greeted = true;
    c->monitor = accepted && hello.role == CF_ROLE_MONITOR;
    c->over = !accepted;
  } else if (action == CF_DO_CLOSE) {
    c->state = CF_PEER_CLOSED;
    c->over = true;
  }
}

/* A sound message of a type, its numbers from the input. */
static void hear_fields(connection *c, input *in, uint32_t type) {
  static uint8_t bytes[CF_WIRE_MESSAGE_MAX];
  union {
    cf_msg_hello hello;
    cf_msg_get_segment segment;
    cf_msg_get_codec codec;
    uint8_t zero[4096];
  } fields;
  memset(&fields, 0, sizeof fields);
  if (type == CF_MSG_HELLO) {
    fields.hello = (cf_msg_hello){ .version_min = take_number(in),
                                   .version_max = take_number(in),
                                   .features = take_number(in),
                                   .role = take_number(in),
                                   .mode = take_number(in),
                                   .leases = take_number(in),
                                   .depth = take_number(in),
                                   .sync_modes = take_number(in) };
    memset(fields.hello.label, 'a' + take(in) % 26, take(in) % CF_LABEL_BYTES);
  } else if (type == CF_MSG_GET_SEGMENT) {
    fields.segment.segment = take_number(in);
  } else if (type == CF_MSG_GET_CODEC) {
    fields.codec.track = take_number(in);
  }
  size_t length = cf_message_encode(type, &fields, bytes, sizeof bytes);
  if (length > 0)
    hear(c, bytes, length);
}

/* Bytes as they are; a copy of their own, so that a read past the end is seen. */
static void hear_bytes(connection *c, input *in, size_t length) {
  if (length > in->size)
    length = in->size;
  uint8_t *bytes = malloc(length ? length : 1);
  require(bytes != NULL);
  memcpy(bytes, in->data, length);
  in->data += length;
  in->size -= length;
  hear(c, bytes, length);
  free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input in = { data, size };
  connection c = { .state = CF_PEER_CONNECTED };
  c.offer = (cf_offer){ .features = take_number(&in), .sync_modes = take_number(&in) };
  c.offer.max_leases = take_number(&in);
  c.offer.max_depth = take_number(&in);
  while (in.size > 0) {
    uint8_t op = take(&in);
    if (op < 0xe0)
      hear_fields(&c, &in, op % (CF_MSG_SIDE_DATA + 2));
    else if (op < 0xf0)
      hear_bytes(&c, &in, take(&in));
    else /* states and types that are none */
      require(cf_peer_action((enum cf_peer_state)(CF_PEER_STATES + take_number(&in) % 9), take_number(&in)) ==
              CF_DO_CLOSE);
    if (c.over && op % 4 == 0) /* the next client */
      c = (connection){ .state = CF_PEER_CONNECTED, .offer = c.offer };
  }
  return 0;
}
