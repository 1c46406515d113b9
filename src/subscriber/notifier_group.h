/* subscriber/notifier_group.h - a thread that sleeps in the place of many: who waits for frames (notifier.c) and who
 * waits for packets (packet_notifier.c) behind a descriptor.
 */
#ifndef CF_SUBSCRIBER_NOTIFIER_GROUP_H
#define CF_SUBSCRIBER_NOTIFIER_GROUP_H

#include "subscriber/subscriber.h"

/* What the thread does for a subscriber, with the group's lock held. */
typedef struct cf_notified {
  /* Goes on with it. True: it waits, *pair is to be slept on, and not beyond *deadline, which it may make earlier. When
   * it waits no longer it has told its caller. */
  bool (*step)(cuframes_subscriber *subscriber, cf_futex_pair *pair, int64_t *deadline);
  void (*end)(cuframes_subscriber *subscriber); /* gives up waiting */
} cf_notified;

struct cf_notifier_group {
  cf_notifier_group *next;
  pthread_t thread;
  pthread_mutex_t lock; /* what follows, and the notifiers of its members */
  cf_flag changed;      /* moves when something of that does; the thread sleeps on it, too, if it can */
  bool stop;
  unsigned count;
  struct {
    cuframes_subscriber *subscriber;
    const cf_notified *as;
  } member[CF_FUTEX_MANY - 1];
};

/* A thread with room serves it from now on. Errors: NO_MEMORY, SYSTEM. */
int cf_notifier_group_join(cf_notifier_group **group, cuframes_subscriber *subscriber, const cf_notified *as);
/* No thread does; *group becomes NULL. Where a thread sleeps on one word alone (cf_futex_most() == 1) the caller has
 * ended the wait before. Nothing for NULL. */
void cf_notifier_group_leave(cf_notifier_group **group, cuframes_subscriber *subscriber, const cf_notified *as);
/* A member was armed: the thread is to look. With the group's lock held. */
void cf_notifier_group_change(cf_notifier_group *group);

#endif
