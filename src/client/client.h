/* client/client.h - the side of the rendezvous socket that asks: joining a publisher, then one request and its answer
 * at a time. Subscribers and monitors use it.
 *
 * Threads: any, one at a time on one socket. Every call blocks until its answer or the deadline.
 */
#ifndef CF_CLIENT_CLIENT_H
#define CF_CLIENT_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <cuframes/common.h>

#include "wire/message.h"

/* Opens a socket to a publisher, says HELLO and waits for WELCOME. message: a buffer of CF_WIRE_MESSAGE_MAX bytes. On
 * success *fd and so many descriptors in fds are the caller's.
 * Errors: NAME, NO_SUCH_STREAM, PERMISSION, TIMEOUT, VERSION, PROTOCOL, SYSTEM, or the code of the refusal. */
int cf_client_join(const char *directory, const char *name, const cf_msg_hello *hello, int64_t deadline,
                   uint8_t *message, int *fd, cf_msg_welcome *welcome, int fds[2], int wanted_fds);

/* Sends a request; *length bytes of its answer are in message afterwards. *answer_fd: the descriptor that came with it,
 * -1 if a SEGMENT came without; NULL: none is expected.
 * Errors: PUBLISHER_GONE, TIMEOUT, PROTOCOL, SYSTEM, or the code of the refusal. */
int cf_client_ask(int fd, uint32_t type, const void *fields, int64_t deadline, uint32_t answer_type, uint8_t *message,
                  size_t *length, int *answer_fd);

#endif
