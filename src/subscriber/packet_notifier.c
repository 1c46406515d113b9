/* subscriber/packet_notifier.c - a descriptor that is readable when there may be packets: a thread (notifier_group.c)
 * waits in the place of who takes them, as notifier.c does for frames.
 *
 * next_packet() that found nothing arms it with what it had looked at. The thread reads that copy alone, since who
 * takes packets goes on with his own.
 */
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"
#include "subscriber/notifier_group.h"

#define RING_SOON (10 * CF_MS) /* until a publisher that is back has its packet ring */

/* next_packet() may have something to say. */
static bool is_news(cuframes_subscriber *s) {
  const cf_packet_notifier *n = &s->packets.notifier;
  cf_connection *c = n->connection;
  if (c)
    return cf_packet_reader_news(&n->reader) || cf_must_not_sleep(s, c, CF_SLEEPER_PACKETS) ||
           cf_reader_ended(&c->reader);
  if (n->look_at != 0)
    return cf_now() >= n->look_at || cf_must_not_sleep(s, NULL, CF_SLEEPER_PACKETS);
  pthread_mutex_lock(&s->lock);
  bool ready = s->connection || cf_rejoin_is_ready(&s->rejoin);
  pthread_mutex_unlock(&s->lock);
  return ready || cf_must_not_sleep(s, NULL, CF_SLEEPER_PACKETS);
}

static void end(cuframes_subscriber *s) {
  cf_packet_notifier *n = &s->packets.notifier;
  if (n->connection) {
    cf_reader_end_packet_wait(&n->connection->reader);
    (void)cf_flag_add(&n->connection->sleepers[CF_SLEEPER_PACKETS], -1);
    cf_connection_drop(n->connection);
  }
  n->connection = NULL;
  n->waits = false;
}

static bool step(cuframes_subscriber *s, cf_futex_pair *pair, int64_t *deadline) {
  cf_packet_notifier *n = &s->packets.notifier;
  if (!n->waits)
    return false;
  pair->word = n->connection ? &n->reader.region->wake : &s->joins.value;
  pair->expected = cf_futex_load(pair->word); /* before the look: what it misses moves the word */
  if (is_news(s)) {
    end(s);
    cf_doorbell_ring(n->fd);
    return false;
  }
  if (n->connection)
    cf_reader_note_packet_wait(&n->connection->reader, pair->expected);
  if (n->look_at != 0 && n->look_at < *deadline)
    *deadline = n->look_at;
  return true;
}

static const cf_notified for_packets = { step, end };

void cf_packet_notifier_arm(cuframes_subscriber *s, bool gone) {
  cf_packet_notifier *n = &s->packets.notifier;
  if (!n->group)
    return;
  pthread_mutex_lock(&n->group->lock);
  if (!n->waits) {
    cf_doorbell_drain(n->fd);
    n->waits = true;
    n->look_at = 0;
    if (gone) {
      pthread_mutex_lock(&s->lock);
      n->look_at = s->connection ? cf_now() + RING_SOON : 0; /* its ring is a moment behind its name */
      pthread_mutex_unlock(&s->lock);
    } else { /* he announces himself before the thread looks, as any sleeper (sleep.c) */
      n->connection = s->packets.connection;
      n->reader = n->connection->packet_reader;
      cf_connection_hold(n->connection);
      (void)cf_flag_add(&n->connection->sleepers[CF_SLEEPER_PACKETS], 1);
      (void)cf_reader_prepare_packet_wait(&n->connection->reader, &n->reader.region->wake);
    }
    cf_notifier_group_change(n->group);
  }
  pthread_mutex_unlock(&n->group->lock);
}

/* A thread that sleeps on its one word alone is made to look. */
static void make_idle(cuframes_subscriber *s) {
  cf_packet_notifier *n = &s->packets.notifier;
  cf_flag_set(&n->stop, 1);
  cf_joins_announce(s);
  cf_watcher_ring();
  for (int64_t began = cf_now();;) {
    pthread_mutex_lock(&n->group->lock);
    bool waits = n->waits;
    pthread_mutex_unlock(&n->group->lock);
    if (!waits)
      break;
    cf_wait_turn(began, CF_NEVER);
  }
}

void cf_packet_notifier_stop(cuframes_subscriber *s) {
  cf_packet_notifier *n = &s->packets.notifier;
  if (n->group && cf_futex_most() == 1)
    make_idle(s);
  cf_notifier_group_leave(&n->group, s, &for_packets);
  cf_close(n->fd);
}

int cuframes_subscriber_packet_fd(cuframes_subscriber *s, int *fd) {
  if (!s || !fd)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_packet_fd: subscriber and fd must be given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  if (!s->packets.enabled)
    return cf_fail(CUFRAMES_ERR_NO_PACKET_RING, "call cuframes_subscriber_enable_packets() first");
  cf_packet_notifier *n = &s->packets.notifier;
  int result = n->fd < 0 ? cf_doorbell_create(&n->fd) : CUFRAMES_OK;
  if (result == CUFRAMES_OK && !n->group) {
    result = cf_notifier_group_join(&n->group, s, &for_packets);
    if (result == CUFRAMES_OK)
      cf_doorbell_ring(n->fd); /* the first poll: there may be packets; next_packet() arms it when there are none */
  }
  if (result == CUFRAMES_OK)
    *fd = n->fd;
  return result;
}
