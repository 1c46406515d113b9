/* output.c - see output.h: two queues, a thread each, and one order. */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "secrets.h"

#define SECOND INT64_C(1000000000)
#define SLICE_MS 100
#define PATIENCE_NS (SECOND / 2) /* after which who reads one of the two does not keep the other back any more */
#define END_NS SECOND
#define LAST_NS (SECOND / 10)         /* for stderr, if events took all of that */
#define BUSY_NS (10 * SECOND)         /* after END_NS, where there is room: for a machine on which threads wait long */
#define ERR_BYTES ((size_t)256 << 10) /* some thousand lines */
#define OUT_BYTES ((size_t)1 << 20)
#define ITEM_BYTES 64 /* what an item takes beside its text, about */

typedef struct item {
  struct item *next;
  uint64_t ticket; /* its place among all, of both queues */
  uint64_t lines;  /* that are lost with it: one, or those that it says were dropped */
  size_t size;
  char text[];
} item;

typedef struct channel {
  int fd;
  int error; /* of the last write, errno */
  size_t room;
  pthread_t thread;
  item *first, *last; /* the first one is being written if `since` is set */
  size_t bytes;
  uint64_t put, written; /* how many */
  int64_t since;         /* when the write began that is going on; 0: none is */
  uint64_t dropped;
  bool started, ended;
  bool slow; /* a write took longer than PATIENCE_NS, and there is still something from then */
  bool full; /* what comes is dropped until half of the queue has gone */
} channel;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all that follows */
static pthread_cond_t moved;                             /* any change; on CLOCK_MONOTONIC */
static bool ready, ending;
static int64_t end_at; /* when the second at the end is over; 0: it has not begun */
static uint64_t tickets;
static channel channels[] = { { .fd = STDERR_FILENO, .room = ERR_BYTES }, { .fd = STDOUT_FILENO, .room = OUT_BYTES } };
static void (*on_error)(void *user);
static void *on_error_user;

static struct timespec timespec_of(int64_t ns) {
  return (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
}

static void wait_until(int64_t when) {
  struct timespec at = timespec_of(when);
  (void)pthread_cond_timedwait(&moved, &lock, &at); /* the caller looks at the time */
}

/* Gives 0 or the errno. It may have been made non-blocking by others who have it, too: then we wait by poll(). */
static int write_all(int fd, const char *text, size_t size) {
  while (size > 0) {
    ssize_t done = write(fd, text, size);
    if (done >= 0) {
      text += done;
      size -= (size_t)done;
    } else if (errno == EAGAIN) {
      (void)poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, SLICE_MS);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

/* --- with `lock` held --- */

static bool append(channel *c, const char *text, size_t size, uint64_t lines) {
  item *added = malloc(sizeof *added + size);
  if (added == NULL)
    return false;
  added->next = NULL;
  added->ticket = ++tickets;
  added->lines = lines;
  added->size = size;
  memcpy(added->text, text, size);
  if (c->last != NULL)
    c->last->next = added;
  else
    c->first = added;
  c->last = added;
  c->bytes += size + ITEM_BYTES;
  c->put++;
  pthread_cond_broadcast(&moved);
  return true;
}

static void take_first(channel *c) {
  item *gone = c->first;
  c->first = gone->next;
  if (c->first == NULL)
    c->last = NULL;
  c->bytes -= gone->size + ITEM_BYTES;
  c->written++;
  free(gone);
}

/* stderr says itself what was dropped; of stdout, whoever makes the next event does. */
static void append_loss(channel *c) {
  char line[256];
  if (c->dropped == 0 || c->fd != STDERR_FILENO)
    return;
  int length =
      snprintf(line, sizeof line, "cuframes: %llu lines were dropped: %s%s\n", (unsigned long long)c->dropped,
               c->error ? "stderr could not be written: " : "nobody read stderr", c->error ? strerror(c->error) : "");
  if (append(c, line, (size_t)length, c->dropped)) {
    c->dropped = 0;
    c->error = 0;
  }
}

static bool is_stuck(channel *c, int64_t now) {
  c->slow = c->slow || (c->since != 0 && now - c->since >= PATIENCE_NS);
  return c->slow;
}

/* Whether the other queue has something older that will come out soon. */
static bool is_others_turn(const channel *c, int64_t now) {
  channel *other = &channels[c == channels];
  return other->first != NULL && other->first->ticket < c->first->ticket && !is_stuck(other, now);
}

/* One more item has gone out, or could not. True: nothing will, any more, and that is to be told. */
static bool note_written(channel *c, int error) {
  bool fatal = error != 0 && c->fd == STDOUT_FILENO;
  c->since = 0;
  if (error != 0) {
    c->dropped += c->first->lines;
    c->error = error;
  }
  take_first(c);
  if (c->first == NULL)
    c->slow = false;
  if (c->bytes <= c->room / 2)
    c->full = false;
  if (c->first == NULL && c->error == 0)
    append_loss(c); /* it is read again */
  while (fatal && c->first != NULL)
    take_first(c);
  pthread_cond_broadcast(&moved);
  return fatal;
}

/* Waits for a change at the end. False: it is over. Once `until` has passed that is so where nobody reads; where
 * somebody does, the writer has not had its turn yet, and what it has would be lost for nothing. */
static bool wait_at_end(const channel *c, int64_t until) {
  const int64_t now = cuframes_now();
  struct pollfd room = { .fd = c->fd, .events = POLLOUT };
  if (now >= until && (now >= until + BUSY_NS || poll(&room, 1, 0) == 0))
    return false;
  wait_until(now < until ? until : now + SLICE_MS * (SECOND / 1000));
  return true;
}

/* --- the threads --- */

static void *writer(void *argument) {
  channel *c = argument;
  pthread_mutex_lock(&lock);
  while (c->first != NULL || !ending) {
    int64_t now = cuframes_now();
    if (c->first == NULL) {
      pthread_cond_wait(&moved, &lock);
      continue;
    }
    if (is_others_turn(c, now)) {
      wait_until(now + PATIENCE_NS);
      continue;
    }
    const item *next = c->first;
    c->since = now;
    pthread_mutex_unlock(&lock);
    int error = write_all(c->fd, next->text, next->size);
    pthread_mutex_lock(&lock);
    if (note_written(c, error) && on_error != NULL)
      on_error(on_error_user); /* under the lock, so that it is not called after its end */
  }
  c->ended = true;
  pthread_cond_broadcast(&moved);
  pthread_mutex_unlock(&lock);
  return NULL;
}

/* With `lock` held. Signals are for the threads that look at them. */
static bool start(channel *c) {
  sigset_t all, before;
  if (c->started || !ready)
    return c->started;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  c->started = pthread_create(&c->thread, NULL, writer, c) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return c->started;
}

bool output_put(enum output to, const char *text, size_t size) {
  channel *c = &channels[to];
  pthread_mutex_lock(&lock);
  if (!start(c)) { /* there is no thread to be had: better late than never */
    pthread_mutex_unlock(&lock);
    return write_all(c->fd, text, size) == 0;
  }
  bool gone = ending || (to == OUTPUT_OUT && c->error != 0);
  if (!gone && c->first != NULL && c->bytes + size + ITEM_BYTES > c->room)
    c->full = true;
  if (!gone && !c->full)
    append_loss(c);
  bool queued = !gone && !c->full && append(c, text, size, 1);
  if (!queued && !gone)
    c->dropped++;
  pthread_mutex_unlock(&lock);
  return queued;
}

bool output_is_idle(enum output to) {
  pthread_mutex_lock(&lock);
  bool idle = channels[to].first == NULL;
  pthread_mutex_unlock(&lock);
  return idle;
}

uint64_t output_take_dropped(void) {
  channel *c = &channels[OUTPUT_OUT];
  pthread_mutex_lock(&lock);
  uint64_t count = c->dropped;
  c->dropped = 0;
  pthread_mutex_unlock(&lock);
  return count;
}

void output_give_dropped(uint64_t count) {
  pthread_mutex_lock(&lock);
  channels[OUTPUT_OUT].dropped += count;
  pthread_mutex_unlock(&lock);
}

/* Waits until what was put there so far has gone out, so that results come behind it; not for who stopped reading. */
static void settle(channel *c) {
  pthread_mutex_lock(&lock);
  const uint64_t all = c->put;
  for (int64_t now = cuframes_now(); c->written < all && !is_stuck(c, now); now = cuframes_now())
    wait_until(now + PATIENCE_NS);
  pthread_mutex_unlock(&lock);
}

int output_error(void) {
  pthread_mutex_lock(&lock);
  int error = channels[OUTPUT_OUT].error;
  pthread_mutex_unlock(&lock);
  return error;
}

void output_on_error(void (*call)(void *user), void *user) {
  pthread_mutex_lock(&lock);
  on_error = call;
  on_error_user = user;
  pthread_mutex_unlock(&lock);
}

uint64_t output_end_events(void) {
  channel *c = &channels[OUTPUT_OUT];
  pthread_mutex_lock(&lock);
  end_at = cuframes_now() + END_NS;
  while (c->first != NULL && wait_at_end(c, end_at)) {
  }
  uint64_t lost = c->error ? 0 : c->dropped;
  for (const item *left = c->first; left != NULL; left = left->next)
    lost += left->lines;
  pthread_mutex_unlock(&lock);
  return lost;
}

/* Ends a writer, if it can be ended by then. Of events that are left it is known already that nobody reads them. */
static void end_channel(channel *c, int64_t until) {
  pthread_mutex_lock(&lock);
  const bool given_up = c->fd == STDOUT_FILENO && c->first != NULL;
  while (c->started && !c->ended && !given_up && wait_at_end(c, until)) {
  }
  const bool started = c->started, ended = c->ended;
  pthread_mutex_unlock(&lock);
  if (ended)
    pthread_join(c->thread, NULL);
  else if (started)
    pthread_detach(c->thread); /* it is in a write() that nobody ends; the process does */
}

void output_end(void) {
  pthread_mutex_lock(&lock);
  const int64_t least = cuframes_now() + LAST_NS, until = end_at > least ? end_at : least;
  ending = true;
  pthread_cond_broadcast(&moved);
  pthread_mutex_unlock(&lock);
  end_channel(&channels[OUTPUT_ERR], until);
  end_channel(&channels[OUTPUT_OUT], until);
}

/* --- stdio's files: stderr as a queue; stdout for results that a command prints in its own time --- */

/* Whoever said it, and whatever it is about: no secret goes there. */
static ssize_t say(void *cookie, const char *text, size_t size) {
  const size_t room = size * sizeof "***" + 1;
  char *given = malloc(size + 1), *shown = malloc(room);
  (void)cookie;
  if (given != NULL && shown != NULL) {
    memcpy(given, text, size);
    given[size] = '\0';
    secrets_hide(shown, room, given);
    (void)output_put(OUTPUT_ERR, shown, strlen(shown)); /* what is dropped is counted */
  }
  free(given);
  free(shown);
  return (ssize_t)size;
}

static void note_print_error(int error) {
  pthread_mutex_lock(&lock);
  if (channels[OUTPUT_OUT].error == 0)
    channels[OUTPUT_OUT].error = error;
  pthread_mutex_unlock(&lock);
}

/* A write() that is only begun when it need not wait, so that a signal is seen in between. Gives what was written. */
static ssize_t print(void *cookie, const char *text, size_t size) {
  size_t done = 0;
  (void)cookie;
  settle(&channels[OUTPUT_ERR]);
  settle(&channels[OUTPUT_OUT]);
  int error = output_error();
  while (error == 0 && done < size) {
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    int ready_now = poll(&out, 1, SLICE_MS);
    if (ready_now <= 0) {
      error = cli_stopped ? EINTR : 0;
      continue;
    }
    ssize_t part = write(STDOUT_FILENO, text + done, size - done < PIPE_BUF ? size - done : PIPE_BUF);
    if (part >= 0)
      done += (size_t)part;
    else if (errno != EAGAIN && (errno != EINTR || cli_stopped))
      error = errno;
  }
  if (error != 0)
    note_print_error(error);
  errno = error;
  return (ssize_t)done;
}

void output_begin(void) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  ready = pthread_cond_init(&moved, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  FILE *printed = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = print });
  FILE *said = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = say });
  if (printed != NULL)
    stdout = printed;
  if (said != NULL && setvbuf(said, NULL, _IONBF, 0) == 0)
    stderr = said;
}
