/* client/client.c - joining a publisher over its socket: HELLO and WELCOME, then one request and answer at a time. */
#include "client/client.h"

#include <string.h>

#include "link/channel.h"
#include "link/directory.h"
#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"

/* Whether a publisher may refuse with that: a code of a later version would mean nothing here, BUSY is the last one
 * that is sent, and what this side alone can know is not a publisher's to say. */
static bool is_refusal(int32_t code) {
  return code < 0 && code >= CUFRAMES_ERR_BUSY && code != CUFRAMES_ERR_TIMEOUT && code != CUFRAMES_ERR_INTERRUPTED &&
         code != CUFRAMES_ERR_LEASE_LIMIT;
}

/* The answer's refusal as this thread's failure. */
static int refused(const uint8_t *message, size_t length) {
  cf_msg_refused r;
  if (!cf_message_decode(CF_MSG_REFUSED, message, length, &r) || !is_refusal(r.code))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher refused with a malformed message");
  return cf_fail(r.code, "%s", r.text[0] ? r.text : cuframes_strerror(r.code));
}

/* Receives the answer of that type with exactly so many descriptors, or with one or none (AT_MOST_ONE; -1: none). */
#define AT_MOST_ONE (-1)
static int answer_check(uint32_t type, const uint8_t *message, size_t length, const cf_fds *got, int wanted) {
  uint32_t came = cf_message_type(message, length);
  if (came == CF_MSG_REFUSED)
    return refused(message, length);
  if (came != type)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher answered with message type %u, expected %u", came, type);
  if (wanted == AT_MOST_ONE ? got->count > 1 : got->count != wanted)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher sent %d descriptors, expected %d", got->count, wanted);
  return CUFRAMES_OK;
}

/* With that many descriptors they are the caller's; otherwise they are whatever the publisher chose. */
static int answer_receive(int fd, int64_t deadline, const cf_interrupt *interrupt, uint32_t type, uint8_t *message,
                          size_t *length, int *fds, int wanted) {
  cf_fds got;
  int result = cf_receive_by(fd, deadline, interrupt, message, CF_WIRE_MESSAGE_MAX, length, &got);
  if (result != CUFRAMES_OK)
    return result;
  result = answer_check(type, message, *length, &got, wanted);
  if (result != CUFRAMES_OK) {
    cf_fds_discard(&got, fd);
    return result;
  }
  if (wanted == AT_MOST_ONE)
    fds[0] = got.count == 1 ? got.fd[0] : -1;
  for (int i = 0; i < wanted; i++)
    fds[i] = got.fd[i];
  return CUFRAMES_OK;
}

int cf_client_hello(const char *directory, const char *name, const cf_msg_hello *hello, int64_t deadline,
                    const cf_interrupt *interrupt, uint8_t *message, int *fd) {
  cf_place place;
  int result = cf_place_find(directory, name, &place);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_client_hello_at(&place, name, hello, deadline, interrupt, message, fd);
  cf_close(place.directory);
  return result;
}

/* Who publishes that way that he cannot be left any more is not joined again: each time would cost a descriptor. */
static int publisher_check(int fd, const char *name) {
  cf_credentials publisher;
  int result = cf_credentials_of(fd, &publisher);
  if (result != CUFRAMES_OK || !cf_discard_is_burdened_by(publisher.uid))
    return result;
  return cf_fail(CUFRAMES_ERR_PROTOCOL, "what user %u, who publishes \"%s\", sent cannot be closed: end that publisher",
                 publisher.uid, name);
}

int cf_client_hello_at(const cf_place *place, const char *name, const cf_msg_hello *hello, int64_t deadline,
                       const cf_interrupt *interrupt, uint8_t *message, int *fd) {
  int connected;
  int result = cf_connect(place->directory, place->path, name, deadline, interrupt, &connected);
  if (result != CUFRAMES_OK)
    return result;
  result = publisher_check(connected, name);
  if (result != CUFRAMES_OK) {
    (void)cf_hang_up(connected); /* or it stays open */
    return result;
  }
  *fd = connected;
  size_t length = cf_message_encode(CF_MSG_HELLO, hello, message, CF_WIRE_MESSAGE_MAX);
  /* a refusal may come before our HELLO was read: then sending fails, and the answer says why */
  (void)cf_send(*fd, message, length, NULL, 0);
  return CUFRAMES_OK;
}

int cf_client_welcome(int fd, const char *name, const cf_msg_hello *hello, int64_t deadline,
                      const cf_interrupt *interrupt, uint8_t *message, int wanted_fds, cf_joined *joined) {
  cf_joined j = { .fd = fd, .fds = { -1, -1 } };
  size_t length = 0;
  int result = answer_receive(fd, deadline, interrupt, CF_MSG_WELCOME, message, &length, j.fds, wanted_fds);
  if (result == CUFRAMES_ERR_PUBLISHER_GONE)
    return cf_fail(CUFRAMES_ERR_NO_SUCH_STREAM, "no stream \"%s\": its publisher closed the connection", name);
  if (result != CUFRAMES_OK)
    return result;
  if (!cf_message_decode(CF_MSG_WELCOME, message, length, &j.welcome))
    result = cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's WELCOME is malformed");
  else if (j.welcome.version < hello->version_min || j.welcome.version > hello->version_max)
    result = cf_fail(CUFRAMES_ERR_VERSION,
                     "the publisher chose protocol version %u, and we speak %u to %u: use a newer cuframes for %s",
                     j.welcome.version, hello->version_min, hello->version_max,
                     j.welcome.version < hello->version_min ? "the publisher" : "this program");
  if (result != CUFRAMES_OK) {
    cf_joined_discard_fds(&j, fd); /* fd stays the caller's */
    return result;
  }
  *joined = j;
  return CUFRAMES_OK;
}

int cf_client_join(const char *directory, const char *name, const cf_msg_hello *hello, int64_t deadline,
                   const cf_interrupt *interrupt, uint8_t *message, int wanted_fds, cf_joined *joined) {
  int fd;
  int result = cf_client_hello(directory, name, hello, deadline, interrupt, message, &fd);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_client_welcome(fd, name, hello, deadline, interrupt, message, wanted_fds, joined);
  if (result != CUFRAMES_OK)
    (void)cf_hang_up(fd); /* or it stays open */
  return result;
}

void cf_joined_discard_fds(cf_joined *joined, int connection) {
  for (int i = 0; i < 2; i++) {
    cf_discard(joined->fds[i], connection);
    joined->fds[i] = -1;
  }
}

void cf_joined_close(cf_joined *joined) {
  cf_joined_discard_fds(joined, joined->fd);
  (void)cf_hang_up(joined->fd); /* or it stays open */
  *joined = (cf_joined){ .fd = -1, .fds = { -1, -1 } };
}

int cf_client_request(int fd, uint32_t type, const void *fields, uint8_t *message) {
  size_t size = cf_message_encode(type, fields, message, CF_WIRE_MESSAGE_MAX);
  int result = cf_send(fd, message, size, NULL, 0);
  return result == CUFRAMES_ERR_SYSTEM ? cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher closed the connection")
                                       : result;
}

int cf_client_answer(int fd, uint32_t answer_type, int64_t deadline, const cf_interrupt *interrupt, uint8_t *message,
                     size_t *length, int *answer_fd) {
  int ignored, wanted = !answer_fd ? 0 : answer_type == CF_MSG_SEGMENT ? AT_MOST_ONE : 1;
  return answer_receive(fd, deadline, interrupt, answer_type, message, length, answer_fd ? answer_fd : &ignored,
                        wanted);
}
