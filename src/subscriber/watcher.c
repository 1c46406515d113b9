/* subscriber/watcher.c - the thread that sees what no publisher can say: that it died. One for all subscribers of this
 * process, from the first to the last.
 *
 * It sleeps in poll() on their sockets and costs nothing meanwhile. Who sleeps on a publisher's words has announced
 * himself before he looked at the flags (sleep.c); the watcher sets a flag before it wakes the words, and does so until
 * no sleeper is left that may have missed it. It also joins again for those who want that (rejoin.c). Nothing that it
 * does waits: a publisher that is slow to die, or to answer, holds up nobody else's.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"
#include "subscriber/subscriber.h"
#include "wire/message.h"

#define WAKE_AGAIN_NS CF_MS
#define LOOK_AGAIN_NS (10 * CF_MS) /* where it cannot sleep on all of them */
#define POLLED 64                  /* descriptors at first; there is room for more when they come */

/* What it sleeps on in one turn. */
typedef struct turn {
  struct pollfd *fds;
  size_t count, room;
  int64_t deadline;
} turn;

static struct watcher {
  pthread_mutex_t life; /* of the thread; taken before `lock` */
  pthread_mutex_t lock; /* of the list; taken before a subscriber's */
  cuframes_subscriber *first;
  pthread_t thread;
  cf_flag stop;
  cf_flag turns; /* begun; also a word to sleep on */
  int doorbell;
  uint8_t *message;
  turn turn;
} watcher = { .life = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .doorbell = -1 };

/* ---- one turn ---- */

/* Gives the place of a descriptor in the poll set; -1 if there is none to wait for, or no memory. */
static int turn_add(turn *t, struct pollfd wanted) {
  if (wanted.fd < 0)
    return -1;
  if (t->count == t->room) {
    size_t room = t->room ? 2 * t->room : POLLED;
    struct pollfd *larger = realloc(t->fds, room * sizeof *larger);
    if (!larger) {
      t->deadline = cf_now() + CF_MS; /* there may be memory soon; until then it is looked at, too */
      return -1;
    }
    t->fds = larger;
    t->room = room;
  }
  t->fds[t->count] = wanted;
  return (int)t->count++;
}

static void turn_by(turn *t, int64_t deadline) {
  if (deadline < t->deadline)
    t->deadline = deadline;
}

static bool turn_says(const turn *t, int place) {
  return place >= 0 && t->fds[place].revents != 0;
}

/* Everything that sleeps on a word of the connection's and should not is woken. */
static void sleepers_wake(const cuframes_subscriber *s, cf_connection *c, enum cf_sleeper who, turn *t) {
  if (cf_flag_get(&c->sleepers[who]) == 0 || !cf_must_not_sleep(s, c, who))
    return;
  if (who != CF_SLEEPER_PACKETS) {
    (void)cf_futex_wake(&c->reader.control->wake, INT32_MAX);
    cf_connection_announce_release(c); /* for who waits for a lease */
  } else                               /* it sleeps: the region is there */
    (void)cf_futex_wake(&c->packet_reader.region->wake, INT32_MAX);
  turn_by(t, cf_now() + WAKE_AGAIN_NS); /* one may have been between its look and its sleep */
}

static bool has_sleepers(const cf_connection *c) {
  uint32_t count = 0;
  for (int who = 0; who < CF_SLEEPERS; who++)
    count += cf_flag_get(&c->sleepers[who]);
  return count > 0;
}

/* From the end of a connection, whoever saw it, to streams that go on. */
static void connection_die(cf_connection *c, turn *t) {
  cf_watched *w = &c->watched;
  if (cf_connection_life(c) != CF_GONE)
    return;
  if (w->dying_until == 0)
    w->dying_until = cf_connection_lose(c) ? cf_now() + cf_waiter_death_ns(&c->waiter) : 1;
  if (turn_says(t, w->death) || cf_now() >= w->dying_until)
    cf_connection_abandon(c);
}

/* The connection is over, and nobody will sleep on it. */
static bool is_done(const cuframes_subscriber *s, const cf_connection *c) {
  return c != s->connection && c != s->left_over && cf_connection_life(c) >= CF_ABANDONED && !has_sleepers(c);
}

/* After the sleep: what happened. With the locks held. */
static void subscriber_look(cuframes_subscriber *s, turn *t) {
  for (cf_connection *c = s->watched; c; c = c->watched.next) {
    /* the process, too: a child that it left may hold the socket open */
    if (turn_says(t, c->watched.end) || turn_says(t, c->watched.death))
      (void)cf_connection_move(c, CF_GONE);
    connection_die(c, t);
  }
}

/* Before it: what there is to do, and to wait for. */
static void subscriber_prepare(cuframes_subscriber *s, turn *t) {
  for (cf_connection **link = &s->watched, *c; (c = *link);) {
    cf_watched *w = &c->watched;
    w->end = w->death = -1;
    connection_die(c, t);
    for (int who = 0; who < CF_SLEEPERS; who++)
      sleepers_wake(s, c, (enum cf_sleeper)who, t);
    if (is_done(s, c)) {
      *link = w->next;
      cf_connection_drop(c);
      continue;
    }
    if (cf_connection_life(c) == CF_LIVE)
      w->end = turn_add(t, (struct pollfd){ .fd = c->fd, .events = POLLRDHUP });
    if (cf_connection_life(c) <= CF_GONE)
      w->death = turn_add(t, (struct pollfd){ .fd = c->waiter.pidfd, .events = POLLIN });
    if (cf_connection_life(c) == CF_GONE)
      turn_by(t, w->dying_until);
    link = &w->next;
  }
  (void)turn_add(t, cf_rejoin_step(s, watcher.message, &t->deadline)); /* its next step looks itself */
}

static void each(void (*act)(cuframes_subscriber *s, turn *t), turn *t) {
  pthread_mutex_lock(&watcher.lock);
  for (cuframes_subscriber *s = watcher.first; s; s = s->next_watched) {
    pthread_mutex_lock(&s->lock);
    act(s, t);
    pthread_mutex_unlock(&s->lock);
  }
  pthread_mutex_unlock(&watcher.lock);
}

/* poll() takes no more descriptors than the process may have open, which may have become fewer: then one by one. */
static void turn_sleep(turn *t) {
  if (poll(t->fds, t->count, cf_deadline_poll_ms(t->deadline)) >= 0 || errno != EINVAL)
    return; /* after another error we look at everything once more */
  int ready = 0;
  for (size_t i = 0; i < t->count; i++)
    ready += poll(&t->fds[i], 1, 0);
  int64_t soon = cf_now() + LOOK_AGAIN_NS;
  if (ready == 0)
    (void)poll(NULL, 0, cf_deadline_poll_ms(soon < t->deadline ? soon : t->deadline));
}

static void *watcher_run(void *unused) {
  struct pollfd bell = { .fd = watcher.doorbell, .events = POLLIN };
  turn *t = &watcher.turn;
  (void)unused;
  while (!cf_flag_get(&watcher.stop)) {
    (void)cf_flag_add(&watcher.turns, 1);
    (void)cf_futex_wake(&watcher.turns.value, INT32_MAX);
    t->count = 0;
    t->deadline = CF_NEVER;
    (void)turn_add(t, bell);
    each(subscriber_prepare, t);
    turn_sleep(t);
    cf_doorbell_drain(watcher.doorbell);
    each(subscriber_look, t);
  }
  return NULL;
}

/* ---- its life ---- */

/* A forked process has the memory and not the thread: it begins anew, and has no subscribers. */
static void forget_after_fork(void) {
  pthread_mutex_init(&watcher.life, NULL);
  pthread_mutex_init(&watcher.lock, NULL);
  cf_notifiers_forget();
  watcher.first = NULL;
  watcher.doorbell = -1;
  watcher.message = NULL;
  watcher.turn = (turn){ 0 };
}

/* With `life` held. */
static int thread_start(void) {
  cf_process_hook(forget_after_fork);
  watcher.message = malloc(CF_WIRE_MESSAGE_MAX);
  watcher.turn = (turn){ .fds = calloc(POLLED, sizeof(struct pollfd)), .room = POLLED };
  if (!watcher.message || !watcher.turn.fds)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  int result = cf_doorbell_create(&watcher.doorbell);
  cf_flag_set(&watcher.stop, 0);
  if (result == CUFRAMES_OK)
    result = cf_thread_start(&watcher.thread, "cuframes-watch", watcher_run, NULL);
  return result;
}

static void thread_free(void) {
  cf_close(watcher.doorbell);
  watcher.doorbell = -1;
  free(watcher.message);
  watcher.message = NULL;
  free(watcher.turn.fds);
  watcher.turn = (turn){ 0 };
}

void cf_watcher_watch(cuframes_subscriber *s, cf_connection *connection) {
  cf_connection_hold(connection);
  connection->watched = (cf_watched){ .next = s->watched, .end = -1, .death = -1 };
  s->watched = connection;
}

int cf_watcher_add(cuframes_subscriber *s) {
  int result = CUFRAMES_OK;
  pthread_mutex_lock(&watcher.life);
  if (watcher.doorbell < 0)
    result = thread_start();
  if (result == CUFRAMES_OK) {
    pthread_mutex_lock(&watcher.lock);
    cf_watcher_watch(s, s->connection);
    s->next_watched = watcher.first;
    watcher.first = s;
    pthread_mutex_unlock(&watcher.lock);
    cf_watcher_ring();
  } else {
    thread_free();
  }
  pthread_mutex_unlock(&watcher.life);
  return result;
}

void cf_watcher_remove(cuframes_subscriber *s) {
  pthread_mutex_lock(&watcher.life);
  pthread_mutex_lock(&watcher.lock);
  cuframes_subscriber **link = &watcher.first;
  while (*link && *link != s)
    link = &(*link)->next_watched;
  bool ours = *link != NULL;
  if (ours)
    *link = s->next_watched;
  bool last = ours && !watcher.first;
  pthread_mutex_unlock(&watcher.lock);
  if (last) {
    cf_flag_set(&watcher.stop, 1);
    cf_watcher_ring();
    (void)pthread_join(watcher.thread, NULL); /* it is joinable and ours */
    thread_free();
  } else if (ours) { /* a socket that is closed while it is polled stays open for the other side */
    uint32_t seen = cf_flag_get(&watcher.turns);
    cf_watcher_ring();
    while (cf_flag_get(&watcher.turns) == seen)
      (void)cf_futex_wait(&watcher.turns.value, seen, CF_NEVER);
  }
  pthread_mutex_unlock(&watcher.life);
  while (s->watched) {
    cf_connection *connection = s->watched;
    s->watched = connection->watched.next;
    cf_connection_drop(connection);
  }
}

void cf_watcher_ring(void) {
  if (watcher.doorbell >= 0)
    cf_doorbell_ring(watcher.doorbell);
}
