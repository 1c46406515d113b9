/* link/discard.h - letting go of what a peer chose: a connection with messages that nobody read, and descriptors that
 * came with one.
 *
 * The last one to close a file may have to wait for it, a TCP socket with SO_LINGER as long as its maker likes. A
 * descriptor in a message is such a file, and receiving the message without taking it, or closing the connection,
 * closes it. So nobody who must not wait does that: threads of their own do, a few for each user whose files they are.
 *
 * Threads: any. Nothing here waits.
 */
#ifndef CF_LINK_DISCARD_H
#define CF_LINK_DISCARD_H

#include <stdbool.h>
#include <stdint.h>

/* Ends a connection for both sides and closes it, by another thread if descriptors may be in its queue. False: too much
 * waits to be closed already; the connection has ended, fd stays open and the caller's. -1 is fine. */
bool cf_hang_up(int fd);

/* Closes a descriptor that the peer of that connection (-1: nobody known) sent, which is anything, and keeps errno.
 * What cannot be closed because too much waits stays open until this process ends. -1 is fine. */
void cf_discard(int fd, int connection);

/* Whether as many closings of that user's files are held up as there are threads for. */
bool cf_discard_is_burdened_by(uint32_t uid);

/* Whether so much waits to be closed that nobody may add to it. */
bool cf_discard_is_full(void);

#endif
