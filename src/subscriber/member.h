/* subscriber/member.h - a subscriber whose frames a batch takes (src/batch/).
 *
 * The batch's thread is the one that takes frames: it looks at each member, sleeps on what those wait for that have
 * nothing, and takes. It waits for a member itself (begin, step, end), or a thread of the library does in its place and
 * rings the bell (delegated).
 * Threads: all but destroy()'s call of leave() under the batch's lock.
 */
#ifndef CF_SUBSCRIBER_MEMBER_H
#define CF_SUBSCRIBER_MEMBER_H

#include "subscriber/subscriber.h"

/* Joins a batch, which rings at `bell` what is waited for by others. leave(batch, subscriber) is called when the
 * subscriber is destroyed as a member.
 * Errors: BUSY, UNSUPPORTED, INVALID (another process's). */
int cf_member_join(cuframes_subscriber *subscriber, cf_bell *bell, void *batch,
                   void (*leave)(void *batch, cuframes_subscriber *subscriber));
/* It is an ordinary subscriber again. Waits for a thread that waits for it. */
void cf_member_part(cuframes_subscriber *subscriber);

/* From here on a thread of the library waits for it. Errors: NO_MEMORY, SYSTEM. */
int cf_member_delegate(cuframes_subscriber *subscriber);

/* What taking a frame would give, without waiting: OK, TIMEOUT (nothing new), BUSY (only a GPU keeps it from us),
 * LEASE_LIMIT, or an error that was not said before. Takes over a connection that the watcher has made. */
int cf_member_look(cuframes_subscriber *subscriber, cf_take_how *how);
/* After a look that said OK: the frame. As a rule OK. */
int cf_member_take(cuframes_subscriber *subscriber, cf_take_how *how, cuframes_frame **frame);

/* Of the last look: the connection's number, 0 if there is none; and whether its publisher gives frames, as far as it
 * says. */
uint64_t cf_member_connection(const cuframes_subscriber *subscriber);
bool cf_member_is_live(const cuframes_subscriber *subscriber);

/* After a look that gave nothing. look_at: not before that moment; 0: when something has changed. */
void cf_member_wait_begin(cuframes_subscriber *subscriber, int64_t look_at);
/* Whether it still waits; then, if it is not delegated, *pair is to be slept on, until the deadline. */
bool cf_member_waits(cuframes_subscriber *subscriber, cf_futex_pair *pair, int64_t *deadline);
/* It is not waited for any more. Nothing for one that is delegated: it rings once, perhaps in vain. */
void cf_member_wait_end(cuframes_subscriber *subscriber);

#endif
