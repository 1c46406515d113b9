/* wire/handshake.h - which message may come when: the state machine of one connection, seen by the publisher,
 * and the negotiation of a HELLO. Pure.
 */
#ifndef CF_WIRE_HANDSHAKE_H
#define CF_WIRE_HANDSHAKE_H

#include "wire/message.h"

/* Longest that either side waits for the other's next message while it joins, and a subscriber for an answer. */
#define CF_HANDSHAKE_NS (2 * INT64_C(1000000000))

enum cf_peer_state {
  CF_PEER_CONNECTED, /* nothing said yet; the handshake deadline runs */
  CF_PEER_SEATED,    /* a subscriber with a seat */
  CF_PEER_WATCHING,  /* a monitor */
  CF_PEER_CLOSED,    /* refused or broken; nothing more is read */
  CF_PEER_STATES
};

/* What the publisher has to do about a message. */
enum cf_peer_action {
  CF_DO_CLOSE = 0, /* the protocol forbids it here: close without an answer */
  CF_DO_ADMIT,     /* HELLO: negotiate, then WELCOME or REFUSED */
  CF_DO_SEND_SEGMENT,
  CF_DO_SEND_PACKETS,
  CF_DO_SEND_CODEC,
  CF_DO_SEND_INFO,
  CF_DO_SEND_EVENTS,
  CF_DO_SEND_SIDE_DATA
};

/* The transition table. type is what cf_message_type() gave (0 for garbage). */
enum cf_peer_action cf_peer_action(enum cf_peer_state state, uint32_t type);

/* The state after a HELLO was answered: role as in HELLO, accepted or refused. */
enum cf_peer_state cf_peer_admitted(uint32_t role, bool accepted);

/* What this publisher can give. */
typedef struct cf_offer {
  uint64_t features;
  uint32_t sync_modes; /* bits of enum cuframes_sync */
  uint32_t max_leases, max_depth;
} cf_offer;

/* Negotiates version, features, sync mode, leases and depth (0 asked: the default of 2 leases, depth 4).
 * Depth is 0 in newest mode; a monitor gets version and features only.
 * 0 and *welcome filled in (its sizes, device and instance stay zero), or a negative CUFRAMES_ERR_* and *refused
 * with code and a sentence that says what was asked and what there is. */
int cf_negotiate(const cf_msg_hello *hello, const cf_offer *offer, cf_msg_welcome *welcome, cf_msg_refused *refused);

#endif
