/* fuzz_channel.c - whole messages as they come over a socket, with and without descriptors, as a publisher receives
 * them (none may come) and as a subscriber does (up to two). Nothing waits, and in the end every descriptor is closed.
 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "link/channel.h"
#include "link/discard.h"
#include "sent.h"
#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Receives one message. False: it is over. */
static bool receive(int fd, bool takes) {
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
  if (result == CUFRAMES_OK)
    (void)cf_message_type(message, length); /* others look closer */
  return result == CUFRAMES_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sent_input in = { data, size };
  int ends[2], descriptors = sent_descriptors();
  bool takes = sent_byte(&in) & 1, goes_on = true;
  sent_require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  while (in.size > 0 && goes_on) {
    uint8_t what = sent_byte(&in);
    if (what % 4)
      (void)sent_send(&in, ends[0], 0); /* or there is no room */
    else
      goes_on = receive(ends[1], takes);
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
