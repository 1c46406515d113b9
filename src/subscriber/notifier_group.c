/* subscriber/notifier_group.c - the threads that sleep in the place of others. One sleeps on the words of many
 * subscribers at once, where the kernel can do that (Linux 5.16); elsewhere each has its own.
 */
#include "subscriber/notifier_group.h"

#include <stdlib.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/thread.h"

static pthread_mutex_t groups_lock = PTHREAD_MUTEX_INITIALIZER; /* of the list; taken before a group's */
static cf_notifier_group *groups;

static void *group_run(void *argument) {
  cf_notifier_group *g = argument;
  cf_futex_pair pairs[CF_FUTEX_MANY];
  pthread_mutex_lock(&g->lock);
  while (!g->stop) {
    int64_t deadline = CF_NEVER;
    unsigned count = 0;
    cf_futex_pair changed = { &g->changed.value, cf_flag_get(&g->changed) };
    for (unsigned i = 0; i < g->count; i++)
      count += g->member[i].as->step(g->member[i].subscriber, &pairs[count], &deadline);
    if (count == 0 || cf_futex_most() > 1) /* else its one subscriber's word is moved for every reason */
      pairs[count++] = changed;
    pthread_mutex_unlock(&g->lock);
    cf_futex_wait_any(pairs, count, deadline);
    pthread_mutex_lock(&g->lock);
  }
  pthread_mutex_unlock(&g->lock);
  return NULL;
}

void cf_notifier_group_change(cf_notifier_group *g) {
  (void)cf_flag_add(&g->changed, 1);
  (void)cf_futex_wake(&g->changed.value, 1);
}

/* A group with room; with the lock of the list held. */
static int group_find(cf_notifier_group **found) {
  unsigned room = cf_futex_most() > 1 ? cf_futex_most() - 1 : 1;
  for (cf_notifier_group *g = groups; g; g = g->next)
    if (g->count < room) {
      *found = g;
      return CUFRAMES_OK;
    }
  cf_notifier_group *g = calloc(1, sizeof *g);
  if (!g)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  pthread_mutex_init(&g->lock, NULL);
  int result = cf_thread_start(&g->thread, "cuframes-notify", group_run, g);
  if (result != CUFRAMES_OK) {
    pthread_mutex_destroy(&g->lock);
    free(g);
    return result;
  }
  g->next = groups;
  groups = g;
  *found = g;
  return CUFRAMES_OK;
}

/* Nobody is left in it. With the lock of the list held. */
static void group_end(cf_notifier_group *g) {
  cf_notifier_group **link = &groups;
  while (*link != g)
    link = &(*link)->next;
  *link = g->next;
  pthread_mutex_lock(&g->lock);
  g->stop = true;
  cf_notifier_group_change(g);
  pthread_mutex_unlock(&g->lock);
  (void)pthread_join(g->thread, NULL); /* it is joinable and ours */
  pthread_mutex_destroy(&g->lock);
  free(g);
}

void cf_notifiers_forget(void) {
  pthread_mutex_init(&groups_lock, NULL);
  groups = NULL; /* their threads are not here, and their locks have no owner */
}

int cf_notifier_group_join(cf_notifier_group **group, cuframes_subscriber *s, const cf_notified *as) {
  cf_notifier_group *g = NULL;
  pthread_mutex_lock(&groups_lock);
  int result = group_find(&g);
  if (result == CUFRAMES_OK) {
    pthread_mutex_lock(&g->lock);
    g->member[g->count].subscriber = s;
    g->member[g->count++].as = as;
    pthread_mutex_unlock(&g->lock);
    *group = g;
  }
  pthread_mutex_unlock(&groups_lock);
  return result;
}

void cf_notifier_group_leave(cf_notifier_group **group, cuframes_subscriber *s, const cf_notified *as) {
  cf_notifier_group *g = *group;
  if (!g)
    return;
  pthread_mutex_lock(&groups_lock);
  pthread_mutex_lock(&g->lock);
  as->end(s);
  for (unsigned i = 0; i < g->count; i++)
    if (g->member[i].subscriber == s && g->member[i].as == as) {
      g->member[i] = g->member[--g->count];
      break;
    }
  cf_notifier_group_change(g);
  bool empty = g->count == 0;
  pthread_mutex_unlock(&g->lock);
  if (empty)
    group_end(g);
  pthread_mutex_unlock(&groups_lock);
  *group = NULL;
}
