/* wire/handshake.c - the state machine of one connection as a table, and the answer to a HELLO. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cuframes/subscriber.h>

#include "wire/handshake.h"

#define DEFAULT_LEASES 2u
#define DEFAULT_DEPTH 4u

#define TYPES (CF_MSG_SIDE_DATA + 1)

/* Whatever is not listed is CF_DO_CLOSE: a second HELLO, an answer sent to the one who answers, garbage. */
static const uint8_t actions[CF_PEER_STATES][TYPES] = {
  [CF_PEER_CONNECTED] = { [CF_MSG_HELLO] = CF_DO_ADMIT },
  [CF_PEER_SEATED] = { [CF_MSG_GET_SEGMENT] = CF_DO_SEND_SEGMENT,
                       [CF_MSG_GET_PACKETS] = CF_DO_SEND_PACKETS,
                       [CF_MSG_GET_CODEC] = CF_DO_SEND_CODEC,
                       [CF_MSG_GET_INFO] = CF_DO_SEND_INFO,
                       [CF_MSG_GET_EVENTS] = CF_DO_SEND_EVENTS,
                       [CF_MSG_GET_SIDE_DATA] = CF_DO_SEND_SIDE_DATA },
  [CF_PEER_WATCHING] = { [CF_MSG_GET_INFO] = CF_DO_SEND_INFO },
};

enum cf_peer_action cf_peer_action(enum cf_peer_state state, uint32_t type) {
  if ((unsigned)state >= CF_PEER_STATES || type >= TYPES)
    return CF_DO_CLOSE;
  return (enum cf_peer_action)actions[state][type];
}

enum cf_peer_state cf_peer_admitted(uint32_t role, bool accepted) {
  if (!accepted)
    return CF_PEER_CLOSED;
  switch (role) {
    case CF_ROLE_SUBSCRIBER: return CF_PEER_SEATED;
    case CF_ROLE_MONITOR: return CF_PEER_WATCHING;
    default: return CF_PEER_CLOSED;
  }
}

__attribute__((format(printf, 3, 4))) static int refuse(cf_msg_refused *refused, int code, const char *format, ...) {
  va_list arguments;
  memset(refused, 0, sizeof *refused);
  refused->code = code;
  va_start(arguments, format);
  (void)vsnprintf(refused->text, sizeof refused->text, format, arguments); /* cut is better than nothing */
  va_end(arguments);
  return code;
}

/* Comes first: only with a common version do the other fields mean what we think. */
static int agree_version(const cf_msg_hello *hello, cf_msg_welcome *welcome, cf_msg_refused *refused) {
  const char *peer = hello->role == CF_ROLE_MONITOR ? "monitor" : "subscriber";
  uint32_t low = hello->version_min > CF_WIRE_VERSION_MIN ? hello->version_min : CF_WIRE_VERSION_MIN;
  uint32_t high = hello->version_max < CF_WIRE_VERSION_MAX ? hello->version_max : CF_WIRE_VERSION_MAX;
  if (low > high) {
    bool peer_is_old = hello->version_max < CF_WIRE_VERSION_MIN || hello->version_min > hello->version_max;
    return refuse(refused, CUFRAMES_ERR_VERSION,
                  "%s speaks protocol versions %u to %u, this publisher %u to %u: use a newer cuframes for the %s",
                  peer, hello->version_min, hello->version_max, CF_WIRE_VERSION_MIN, CF_WIRE_VERSION_MAX,
                  peer_is_old ? peer : "publisher");
  }
  welcome->version = high;
  return 0;
}

static void name_sync_modes(uint32_t modes, char text[64]) {
  (void)snprintf(text, 64, "%s%s%s", modes & CUFRAMES_SYNC_TIMELINE ? " timeline" : "",
                 modes & CUFRAMES_SYNC_SLOT_EVENTS ? " slot-events" : "",
                 modes & CUFRAMES_SYNC_COMPLETE ? " complete" : "");
}

/* A subscriber sets only the bits that it wants, so the most demanding common one is what it asks for. */
static int agree_sync_mode(const cf_msg_hello *hello, const cf_offer *offer, cf_msg_welcome *welcome,
                           cf_msg_refused *refused) {
  static const uint32_t preference[] = { CUFRAMES_SYNC_TIMELINE, CUFRAMES_SYNC_SLOT_EVENTS, CUFRAMES_SYNC_COMPLETE };
  uint32_t asked = hello->sync_modes ? hello->sync_modes : CUFRAMES_SYNC_COMPLETE;
  for (size_t i = 0; i < sizeof preference / sizeof preference[0]; i++) {
    if (asked & offer->sync_modes & preference[i]) {
      welcome->sync_mode = preference[i];
      return 0;
    }
  }
  char wanted[64], there[64];
  name_sync_modes(asked, wanted);
  name_sync_modes(offer->sync_modes, there);
  return refuse(refused, CUFRAMES_ERR_UNSUPPORTED,
                "subscriber can synchronise by:%s (bits 0x%x), this publisher by:%s (bits 0x%x): nothing in common",
                wanted[0] ? wanted : " nothing known", asked, there[0] ? there : " nothing", offer->sync_modes);
}

/* asked 0: the default, or the limit if that is less. */
static int agree_count(uint32_t asked, uint32_t otherwise, uint32_t limit, const char *what, uint32_t *granted,
                       cf_msg_refused *refused) {
  uint32_t wanted = asked ? asked : otherwise < limit ? otherwise : limit;
  if (wanted == 0 || wanted > limit) {
    return refuse(refused, CUFRAMES_ERR_NO_CAPACITY, "subscriber asked for %u %s, this publisher grants at most %u",
                  asked ? asked : otherwise, what, limit);
  }
  *granted = wanted;
  return 0;
}

static int agree_seat(const cf_msg_hello *hello, const cf_offer *offer, cf_msg_welcome *welcome,
                      cf_msg_refused *refused) {
  if (hello->mode > CUFRAMES_MODE_PACKETS) {
    return refuse(refused, CUFRAMES_ERR_INVALID,
                  "subscriber asked for mode %u, this publisher knows %d (newest), %d (ordered) and %d (packets)",
                  hello->mode, CUFRAMES_MODE_NEWEST, CUFRAMES_MODE_ORDERED, CUFRAMES_MODE_PACKETS);
  }
  int error = agree_sync_mode(hello, offer, welcome, refused);
  if (!error && hello->mode != CUFRAMES_MODE_PACKETS) /* who takes no frames costs no slots */
    error = agree_count(hello->leases, DEFAULT_LEASES, offer->max_leases, "leases", &welcome->leases, refused);
  if (!error && hello->mode == CUFRAMES_MODE_ORDERED) /* newest keeps nothing waiting */
    error = agree_count(hello->depth, DEFAULT_DEPTH, offer->max_depth, "frames of depth", &welcome->depth, refused);
  return error;
}

int cf_negotiate(const cf_msg_hello *hello, const cf_offer *offer, cf_msg_welcome *welcome, cf_msg_refused *refused) {
  cf_msg_welcome agreed;
  memset(&agreed, 0, sizeof agreed);
  int error = agree_version(hello, &agreed, refused);
  if (error)
    return error;
  agreed.features = hello->features & offer->features;
  if (hello->role == CF_ROLE_SUBSCRIBER) {
    error = agree_seat(hello, offer, &agreed, refused);
  } else if (hello->role != CF_ROLE_MONITOR) {
    error =
        refuse(refused, CUFRAMES_ERR_INVALID, "peer has role %u, this publisher knows %d (subscriber) and %d (monitor)",
               hello->role, CF_ROLE_SUBSCRIBER, CF_ROLE_MONITOR);
  }
  if (!error)
    *welcome = agreed;
  return error;
}
