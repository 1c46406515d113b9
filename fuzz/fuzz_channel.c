/* fuzz_channel.c - whole messages as they come over a socket, with and without descriptors, as a publisher receives
 * them (none may come) and as a subscriber does (up to two). Nothing waits, and in the end every descriptor is closed.
 * What comes to a publisher is a conversation: a handshake, and requests that are answered or end it.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cuframes/subscriber.h>

#include "link/channel.h"
#include "link/discard.h"
#include "sent.h"
#include "wire/handshake.h"
#include "wire/message.h"
#include "wire/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A HELLO in its turn: what it is granted. */
static enum cf_peer_state greet(const uint8_t *message, size_t length) {
  static const cf_offer offer = { .sync_modes = CUFRAMES_SYNC_COMPLETE, .max_leases = 16, .max_depth = 32 };
  cf_msg_hello hello;
  cf_msg_welcome welcome;
  cf_msg_refused refused;
  memset(&welcome, 0, sizeof welcome);
  memset(&refused, 0, sizeof refused);
  if (!cf_message_decode(CF_MSG_HELLO, message, length, &hello))
    return CF_PEER_CLOSED;
  size_t label = strnlen(hello.label, sizeof hello.label);
  sent_require(label < sizeof hello.label && cf_text_is_shown((const uint8_t *)hello.label, label));
  bool accepted = cf_negotiate(&hello, &offer, &welcome, &refused) == CUFRAMES_OK;
  sent_require(accepted ? welcome.leases <= offer.max_leases && welcome.depth <= offer.max_depth : refused.code < 0);
  return cf_peer_admitted(hello.role, accepted);
}

/* What a publisher makes of a message. False: the end. */
static bool converse(enum cf_peer_state *state, const uint8_t *message, size_t length) {
  union {
    cf_msg_get_segment segment;
    cf_msg_get_codec codec;
    uint64_t room[64];
  } asked;
  uint32_t type = cf_message_type(message, length);
  enum cf_peer_action action = cf_peer_action(*state, type);
  if (action == CF_DO_ADMIT)
    *state = greet(message, length);
  else if (action == CF_DO_CLOSE)
    *state = CF_PEER_CLOSED;
  else if (!cf_message_decode(type, message, length, &asked)) /* a request that does not hold together */
    *state = CF_PEER_CLOSED;
  return *state != CF_PEER_CLOSED;
}

/* Receives one message; `state` is of a publisher's peer. False: it is over. */
static bool receive(int fd, bool takes, enum cf_peer_state *state) {
  static uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = 0;
  cf_fds fds;
  int result = cf_receive(fd, message, sizeof message, &length, takes ? &fds : NULL);
  sent_require(!takes || (fds.count >= 0 && fds.count <= 2));
  sent_require(result == CUFRAMES_OK || !takes || fds.count == 0);
  if (takes)
    cf_fds_discard(&fds, fd);
  if (result == CF_RECEIVE_NOTHING)
    return true;
  sent_require(result == CUFRAMES_OK || result == CF_RECEIVE_CLOSED || result == CUFRAMES_ERR_PROTOCOL);
  sent_require(result != CUFRAMES_OK || (length > 0 && length <= sizeof message));
  if (result == CUFRAMES_OK && !takes)
    return converse(state, message, length);
  if (result == CUFRAMES_OK)
    (void)cf_message_type(message, length); /* fuzz_answers.c looks closer */
  return result == CUFRAMES_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sent_input in = { data, size };
  int ends[2], descriptors = sent_descriptors();
  bool takes = sent_byte(&in) & 1, goes_on = true;
  enum cf_peer_state state = CF_PEER_CONNECTED;
  sent_require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  while (in.size > 0 && goes_on) {
    uint8_t what = sent_byte(&in);
    if (what % 4)
      (void)sent_send(&in, ends[0], 0); /* or there is no room */
    else
      goes_on = receive(ends[1], takes, &state);
  }
  if (takes) /* the other end may have gone first */
    close(ends[0]);
  sent_require(cf_hang_up(ends[1]));
  if (!takes) {
    struct pollfd end = { .fd = ends[0], .events = POLLIN };
    sent_require(poll(&end, 1, 0) == 1 && (end.revents & POLLHUP));
    close(ends[0]);
  }
  sent_wait_closed(descriptors);
  return 0;
}
