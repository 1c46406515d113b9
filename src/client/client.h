/* client/client.h - the side of the rendezvous socket that asks: joining a publisher, then one request and its answer
 * at a time. Subscribers and monitors use it.
 *
 * Threads: any, one at a time on one socket. A call blocks until its deadline at most, or until `interrupt`
 * (os/interrupt.h) says to give up: INTERRUPTED.
 */
#ifndef CF_CLIENT_CLIENT_H
#define CF_CLIENT_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <cuframes/common.h>

#include "link/directory.h"
#include "os/interrupt.h"
#include "wire/message.h"

/* A publisher that let us in: the socket, what its WELCOME said, and the descriptors that came with it. */
typedef struct cf_joined {
  int fd;
  int fds[2];
  cf_msg_welcome welcome;
} cf_joined;

/* Opens a socket to a publisher and says HELLO. message: a buffer of CF_WIRE_MESSAGE_MAX bytes. A deadline that has
 * passed: does not wait for room in the publisher's queue. On success *fd is the caller's, and the answer is due.
 * Errors: NAME, DIRECTORY, and those of the next one. */
int cf_client_hello(const char *directory, const char *name, const cf_msg_hello *hello, int64_t deadline,
                    const cf_interrupt *interrupt, uint8_t *message, int *fd);
/* The same where the directory is open already. Errors: NO_SUCH_STREAM, PERMISSION, PROTOCOL (what this publisher's
 * user sent before cannot be closed), TIMEOUT, SYSTEM. */
int cf_client_hello_at(const cf_place *place, const char *name, const cf_msg_hello *hello, int64_t deadline,
                       const cf_interrupt *interrupt, uint8_t *message, int *fd);
/* Waits until the deadline for the WELCOME that answers the hello, with exactly so many descriptors. On success fd and
 * descriptors are *joined's; otherwise fd stays the caller's.
 * Errors: TIMEOUT (not yet), NO_SUCH_STREAM, VERSION, PROTOCOL, SYSTEM, or the code of the refusal. */
int cf_client_welcome(int fd, const char *name, const cf_msg_hello *hello, int64_t deadline,
                      const cf_interrupt *interrupt, uint8_t *message, int wanted_fds, cf_joined *joined);
/* One after the other. */
int cf_client_join(const char *directory, const char *name, const cf_msg_hello *hello, int64_t deadline,
                   const cf_interrupt *interrupt, uint8_t *message, int wanted_fds, cf_joined *joined);
/* Closes what joining brought; never waits, whatever it was. */
void cf_joined_close(cf_joined *joined);
/* The descriptors alone, which came over that connection. */
void cf_joined_discard_fds(cf_joined *joined, int connection);

/* Sends a request, which waits for nothing. Errors: PUBLISHER_GONE, TIMEOUT (it does not read). */
int cf_client_request(int fd, uint32_t type, const void *fields, uint8_t *message);
/* Waits until the deadline for its answer; *length bytes of it are in message then. *answer_fd: the descriptor that
 * came with it, -1 if a SEGMENT came without; NULL: none is expected.
 * Errors: PUBLISHER_GONE, TIMEOUT (not yet), PROTOCOL, SYSTEM, or the code of the refusal. */
int cf_client_answer(int fd, uint32_t answer_type, int64_t deadline, const cf_interrupt *interrupt, uint8_t *message,
                     size_t *length, int *answer_fd);

#endif
