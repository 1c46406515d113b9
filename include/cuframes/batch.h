/* cuframes/batch.h - many subscribers served by one thread: what there is of all of them, in one call.
 *
 * A batch is a set of subscribers, one of each camera for example. cuframes_batch_next() sleeps on all of them at
 * once, in one system call for up to 127, and takes their frames when it returns, so that these are the newest at that
 * moment. A camera that stands still, dies or returns holds nobody up: those that wait for it wait beside.
 *
 * Members    A subscriber is in one batch at most, and as long as it is one, its frames come from the batch:
 *            cuframes_subscriber_next(), _next_on(), _fd() and _start() say BUSY. Packets, the source, statistics and
 *            interrupt() are as ever; interrupting a member makes an entry with INTERRUPTED. spin_ns is not used.
 * Ownership  The batch does not own its members: cuframes_batch_destroy() lets go of them, and they are ordinary
 *            subscribers again. Destroying a member takes it out first. Frames are their caller's, and outlive both.
 * Threads    One thread at a time is in next(); add(), remove(), interrupt(), get_stats() and the destroying of a
 *            member may come from any thread at any time, also while next() waits. destroy() is the last call.
 * Processes  As a subscriber a batch is of the process that made it: after fork() the child may only destroy it.
 */
#ifndef CUFRAMES_BATCH_H
#define CUFRAMES_BATCH_H

#include <cuframes/subscriber.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cuframes_batch cuframes_batch;

/** For `min`: a frame of every member that is alive. So is a member whose publisher is there, says nothing else of its
 *  source than that it is live (cuframes/source.h), has published within options.quiet_ns, and which has a lease to
 *  spare. Nobody else is waited for. When none is alive, one member is enough. */
#define CUFRAMES_BATCH_ALIVE UINT32_MAX

typedef struct cuframes_batch_options {
  uint32_t struct_size; /**< sizeof(cuframes_batch_options) */
  uint32_t reserved;    /**< 0 */
  int64_t quiet_ns;     /**< for CUFRAMES_BATCH_ALIVE: a member that has had no new frame for so long, nor joined
                             since, is not waited for until it has one; 0: 1 s */
} cuframes_batch_options;

/** What one member had. */
typedef struct cuframes_batch_entry {
  cuframes_frame *frame; /**< the caller's to release; NULL: error says why */
  cuframes_subscriber *subscriber;
  void *user;     /**< as given to cuframes_batch_add() */
  uint32_t index; /**< of the member, as cuframes_batch_add() gave it */
  int32_t error;  /**< CUFRAMES_OK, or what cuframes_subscriber_next() would say. It is said once: EVICTED
                       and PUBLISHER_GONE (not with reconnect) are the member's last words, and it should be removed;
                       after others, which may pass, it is looked at again, and the same error is not repeated before
                       another entry came, but for INTERRUPTED */
  int64_t age_ns; /**< of the frame: from its publishing to the return of the call */
  uint64_t reserved[2];
} cuframes_batch_entry;

/** An empty batch. options may be NULL.
 *  Errors: INVALID, NO_MEMORY.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_batch_create(const cuframes_batch_options *options, cuframes_batch **batch);

/** Lets go of the members and frees the batch; NULL is fine.
 *  Thread-safety: the last call on the batch. Blocks: never. */
CUFRAMES_API void cuframes_batch_destroy(cuframes_batch *batch);

/** Makes a subscriber a member. Nobody may take frames from it meanwhile. *index (may be NULL): its number, the lowest
 *  that is free; it stays the same until the member is removed. On failure nothing has changed.
 *  Errors: INVALID, BUSY (it is in a batch already, or its callback thread runs), UNSUPPORTED (packets only),
 *  NO_MEMORY, SYSTEM (a thread could not be started: from the 128th member on).
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_batch_add(cuframes_batch *batch, cuframes_subscriber *subscriber, void *user,
                                    uint32_t *index);

/** Makes it an ordinary subscriber again. Frames of it that were given out stay in hand.
 *  Errors: INVALID (it is not in this batch).
 *  Thread-safety: any thread. Blocks: until a next() in another thread has let go of it, which takes a moment. */
CUFRAMES_API int cuframes_batch_remove(cuframes_batch *batch, cuframes_subscriber *subscriber);

/** Waits until `min` members have something new, or the time is over; then takes what there is, of at most `count`
 *  members, each once: in newest mode its newest frame, in ordered mode the one after the last. An error of a member
 *  counts as something new. With fewer than `min` when the time is over it gives those; TIMEOUT only if there is none.
 *
 *  `min` is CUFRAMES_BATCH_ALIVE or a number: 0 is 1, and more than `count`, or than the members that have not said
 *  their last words, is as many. A number of members all of which are waited for waits for one that is dead as well, up
 *  to the timeout. When more than `count` have something they take turns: the next call begins behind the last that
 *  gave an entry.
 *
 *  A member whose leases are all in hand has nothing new until one is given back. A member that is away joins again as
 *  ever (reconnect), beside. On a GPU, in sync mode complete, a member is ready when its picture is complete; that
 *  wakes nobody, so it is looked at in growing steps, 20 us to 0.5 ms, within the same wait. Such a picture is held
 *  meanwhile; if there is a newer one that is complete, that is given instead, where the member has a lease to spare.
 *
 *  entries: room for `count`; *got of them are filled, in the order of their turns. The frames are the caller's. On
 *  failure nothing is taken.
 *  Errors: TIMEOUT (the detail says what the members are doing), PUBLISHER_GONE (there are members, and all of them
 *  have said their last words: nothing will come before one is added), INTERRUPTED, INVALID, BUSY (another thread is
 *  in next()).
 *  Thread-safety: one thread at a time. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_batch_next(cuframes_batch *batch, uint32_t min, int64_t timeout_ns,
                                     cuframes_batch_entry *entries, uint32_t count, uint32_t *got);

/** As next(), for work on a GPU: frames of members in the sync modes timeline and slot-events are given at once, and
 *  the stream waits for their pictures. Members in sync mode complete, and those on "host", are as in next(). A member
 *  whose frames the stream cannot wait for (another context's) has an entry with INVALID.
 *  Errors: those of next().
 *  Thread-safety: one thread at a time. Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_batch_next_on(cuframes_batch *batch, uint32_t min, int64_t timeout_ns, void *stream,
                                        cuframes_batch_entry *entries, uint32_t count, uint32_t *got);

/** The wait of next() without taking anything: for who waits in steps, since next() with a shorter time gives fewer.
 *  CUFRAMES_OK: `min` members have something new, and next() gives it at once. on_stream: nonzero: what next_on() would
 *  give, so pictures in the sync modes timeline and slot-events need not be complete. `min` as in next().
 *  Errors: TIMEOUT (fewer have, or none), PUBLISHER_GONE, INTERRUPTED, INVALID, BUSY.
 *  Thread-safety: the thread that calls next(). Blocks: up to timeout_ns. */
CUFRAMES_API int cuframes_batch_wait(cuframes_batch *batch, uint32_t min, int on_stream, int64_t timeout_ns);

/** Ends a wait of next() in another thread, now or the next one, with INTERRUPTED; or, when it has frames already, with
 *  those, and INTERRUPTED the next time.
 *  Thread-safety: any thread, and signal handlers. Blocks: never. */
CUFRAMES_API void cuframes_batch_interrupt(cuframes_batch *batch);

/** A descriptor for poll, epoll or an event loop: readable when cuframes_batch_next() with min 1 and timeout 0 may have
 *  something to say. Call it until TIMEOUT, then poll again. It stays the batch's and the same; do not read it. From
 *  here on a thread of the library (one for 127 members) sleeps in the caller's place.
 *  Errors: INVALID, NO_MEMORY, SYSTEM, BUSY (another thread is in next()).
 *  Thread-safety: the thread that calls next(). Blocks: never. */
CUFRAMES_API int cuframes_batch_fd(cuframes_batch *batch, int *fd);

typedef struct cuframes_batch_stats {
  uint32_t struct_size; /**< set by the caller: sizeof(cuframes_batch_stats) */
  uint32_t members;
  uint64_t calls;  /**< of next() that returned entries */
  uint64_t frames; /**< given */
  uint64_t errors; /**< entries with one */
  uint64_t sleeps; /**< times that next() slept: much more than calls says that `min` is reached in many steps */
} cuframes_batch_stats;

/** What the batch has had so far.
 *  Errors: INVALID.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API int cuframes_batch_get_stats(cuframes_batch *batch, cuframes_batch_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
