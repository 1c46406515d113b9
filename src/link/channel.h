/* link/channel.h - whole messages with descriptors over a SOCK_SEQPACKET socket, and who is at its other end. */
#ifndef CF_LINK_CHANNEL_H
#define CF_LINK_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/interrupt.h"

/* Descriptors that came with a message; the receiver owns them. */
typedef struct cf_fds {
  int fd[2];
  int count;
} cf_fds;

/* Listens at path (which must be free) with these permission bits and, if gid > 0, that group. Non-blocking.
 * directory: a descriptor of the directory that the file is in, so that nobody can lead us elsewhere, and the path may
 * be longer than an address; -1: go by the path. Nobody can connect before mode and group are right, nor send
 * descriptors if the kernel can refuse them (SO_PASSRIGHTS, Linux 6.16).
 * Errors: DIRECTORY, PERMISSION, SYSTEM. */
int cf_listen(int directory, const char *path, mode_t mode, int64_t gid, int *listener);

/* No more connections; those that wait are hung up on. Never waits. -1 is fine. */
void cf_listen_end(int listener);

/* Connects to path, in that directory as above; waits for room in the publisher's queue until the deadline, or until
 * `interrupt` (NULL: nobody) says to give up. Non-blocking afterwards.
 * Errors: NO_SUCH_STREAM, PERMISSION, TIMEOUT, INTERRUPTED, SYSTEM. */
int cf_connect(int directory, const char *path, const char *name, int64_t deadline, const cf_interrupt *interrupt,
               int *fd);

enum { CF_RECEIVE_NOTHING = 1, CF_RECEIVE_CLOSED = 2 };

/* Sends one message; never blocks, never raises SIGPIPE. Errors: TIMEOUT (the peer does not read),
 * NO_MEMORY (too many descriptors are on their way), SYSTEM. */
int cf_send(int fd, const void *message, size_t length, const int *fds, int fd_count);

/* Receives one message without waiting. fds: where descriptors that come with it go, at most two; NULL: none may
 * come. CUFRAMES_OK, CF_RECEIVE_NOTHING, CF_RECEIVE_CLOSED, or PROTOCOL (cut off, empty, more descriptors), NO_MEMORY
 * (no descriptor is free: the message waits). fds is set in every case. Closes no file of the peer's for the last time:
 * discard.h says why; what is wrong stays in the queue for cf_hang_up(). */
int cf_receive(int fd, void *buffer, size_t capacity, size_t *length, cf_fds *fds);

/* The same, waiting likewise: CUFRAMES_OK, TIMEOUT, INTERRUPTED, PUBLISHER_GONE (closed), PROTOCOL. */
int cf_receive_by(int fd, int64_t deadline, const cf_interrupt *interrupt, void *buffer, size_t capacity,
                  size_t *length, cf_fds *fds);

/* Closes them as what the peer of that connection chose. */
void cf_fds_discard(cf_fds *fds, int connection);
/* The same when the connection is not known any more. */
void cf_fds_close(cf_fds *fds);

/* Who is at the other end, by the kernel's word. */
typedef struct cf_credentials {
  int32_t pid; /* in our PID namespace, 0: not visible */
  uint32_t uid, gid;
} cf_credentials;

int cf_credentials_of(int fd, cf_credentials *credentials);

/* A descriptor that becomes readable when the peer's process is dead, -1 if there is none to have. */
int cf_peer_pidfd(int fd, const cf_credentials *credentials);

#endif
