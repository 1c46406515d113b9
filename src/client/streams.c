/* client/streams.c - looking at all streams of a directory: all are asked at once, and there is one deadline, whoever
 * does not answer. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/monitor.h>

#include "client/query.h"
#include "os/clock.h"
#include "os/container.h"
#include "os/error.h"
#include "os/memory.h"

/* So many are asked at the same time: each takes a descriptor. */
#define ASKED_MOST 256
/* How soon a publisher with a full queue is tried again. */
#define AGAIN_NS (5 * CF_MS)

/* One stream of the list while it is asked. */
typedef struct question {
  cf_place place;
  cf_query query; /* query.fd is -1 until it is connected */
  char name[CUFRAMES_NAME_MAX + 1];
  bool done, ended; /* ended: while we looked; it is no entry */
  cuframes_stream_entry *entry;
} question;

/* What one list allocates; the public struct points into it. */
typedef struct stream_list {
  cuframes_streams streams; /* the caller's pointer */
  cuframes_stream_entry **entries;
} stream_list;

typedef struct asking {
  question *questions;
  size_t count, open;
  int directory;
  int64_t deadline;
  const cf_interrupt *interrupt;
  uint8_t *message;
} asking;

static void entry_free(cuframes_stream_entry *entry) {
  if (!entry)
    return;
  cuframes_stream_info_free((cuframes_stream_info *)entry->info); /* const only for the caller */
  free((char *)entry->detail);
  free(entry);
}

static void question_end(asking *a, question *q) {
  a->open -= q->query.fd >= 0;
  cf_query_end(&q->query);
  q->done = true;
}

/* What came of it: info, or the error. */
static int question_answer(asking *a, question *q, int error, cuframes_stream_info *info) {
  question_end(a, q);
  q->ended = error == CUFRAMES_ERR_NO_SUCH_STREAM;
  if (q->ended)
    return CUFRAMES_OK;
  char *detail = error == CUFRAMES_OK ? NULL : strdup(cf_last_detail());
  cuframes_stream_entry *entry = calloc(1, sizeof *entry);
  if (!entry || (error != CUFRAMES_OK && !detail)) {
    cuframes_stream_info_free(info);
    free(detail);
    free(entry);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  }
  memcpy(entry->name, q->name, sizeof entry->name);
  entry->error = error;
  entry->detail = detail;
  entry->info = info;
  q->entry = entry;
  return CUFRAMES_OK;
}

/* Goes on with one. `over`: there is no more time. */
static int question_step(asking *a, question *q, bool over) {
  cuframes_stream_info *info = NULL;
  int result = CUFRAMES_OK;
  if (q->query.fd < 0) {
    if (a->open >= ASKED_MOST && !over)
      return CUFRAMES_OK; /* when another is done */
    result = cf_query_begin(&q->query, &q->place, q->name, CF_AT_ONCE, NULL, a->message);
    a->open += q->query.fd >= 0;
    if (!over && (result == CUFRAMES_ERR_TIMEOUT || (result == CUFRAMES_ERR_NO_MEMORY && a->open > 0)))
      return CUFRAMES_OK; /* its queue is full, or there is no descriptor; soon there may be room */
  }
  if (result == CUFRAMES_OK)
    result = cf_query_step(&q->query, CF_AT_ONCE, NULL, a->message, &info);
  return result == CUFRAMES_ERR_TIMEOUT && !over ? CUFRAMES_OK : question_answer(a, q, result, info);
}

/* One turn over all. *fds: what to wait for then; *waits: of how many; *again: whether somebody is to be tried anew. */
static int turn(asking *a, bool over, struct pollfd *fds, size_t *waits, bool *again) {
  *waits = 0;
  *again = false;
  for (size_t i = 0; i < a->count; i++) {
    question *q = &a->questions[i];
    int result = q->done ? CUFRAMES_OK : question_step(a, q, over);
    if (result != CUFRAMES_OK)
      return result;
    if (q->done)
      continue;
    if (q->query.fd >= 0)
      fds[(*waits)++] = (struct pollfd){ .fd = q->query.fd, .events = POLLIN };
    else
      *again = true;
  }
  return CUFRAMES_OK;
}

static int ask_all(asking *a) {
  struct pollfd *fds = calloc(a->count + 1, sizeof *fds);
  size_t waits = 0;
  bool again = false, over = false;
  int result = fds ? CUFRAMES_OK : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  while (result == CUFRAMES_OK) {
    over = cf_now() >= a->deadline;
    result = turn(a, over, fds, &waits, &again);
    if (result != CUFRAMES_OK || over || (waits == 0 && !again))
      break;
    result = cf_interrupt_check(a->interrupt);
    if (result != CUFRAMES_OK)
      break;
    int64_t soon = cf_now() + AGAIN_NS, until = cf_interrupt_until(a->interrupt, a->deadline);
    (void)poll(fds, waits, cf_deadline_poll_ms(again && soon < until ? soon : until)); /* or look again */
  }
  free(fds);
  return result;
}

/* ---- the list ---- */

static int question_add(void *user, const cf_place *place, const char *name) {
  asking *a = user;
  question *more = realloc(a->questions, (a->count + 1) * sizeof *more);
  if (!more)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  a->questions = more;
  if (a->directory < 0) /* the place's is good for this call alone */
    a->directory = fcntl(place->directory, F_DUPFD_CLOEXEC, 0);
  if (a->directory < 0)
    return cf_fail_errno("opening the runtime directory once more");
  question *q = &more[a->count++];
  *q = (question){ .place = *place, .query = { .fd = -1 } };
  q->place.directory = a->directory;
  strncpy(q->name, name, sizeof q->name - 1);
  return CUFRAMES_OK;
}

static int list_make(asking *a, stream_list **made) {
  stream_list *l = calloc(1, sizeof *l);
  cuframes_stream_entry **entries = calloc(a->count + 1, sizeof *entries);
  if (!l || !entries) {
    free(l);
    free(entries);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  }
  for (size_t i = 0; i < a->count; i++) {
    if (a->questions[i].entry)
      entries[l->streams.count++] = a->questions[i].entry;
    a->questions[i].entry = NULL;
  }
  l->entries = entries;
  l->streams.entries = (const cuframes_stream_entry *const *)entries;
  *made = l;
  return CUFRAMES_OK;
}

static int list(const char *directory, int64_t deadline, const cf_interrupt *interrupt, cuframes_streams **streams) {
  if (!streams)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_stream_list: streams must be given");
  asking a = { .directory = -1, .deadline = deadline, .interrupt = interrupt, .message = malloc(CF_WIRE_MESSAGE_MAX) };
  stream_list *made = NULL;
  int result =
      a.message ? cf_directory_visit(directory, question_add, &a) : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (result == CUFRAMES_OK)
    result = ask_all(&a);
  if (result == CUFRAMES_OK)
    result = list_make(&a, &made);
  for (size_t i = 0; i < a.count; i++) {
    entry_free(a.questions[i].entry);
    if (!a.questions[i].done)
      question_end(&a, &a.questions[i]);
  }
  cf_close(a.directory);
  free(a.questions);
  free(a.message);
  if (result == CUFRAMES_OK)
    *streams = &made->streams;
  return result;
}

int cuframes_stream_list(const char *directory, int64_t timeout_ns, cuframes_streams **streams) {
  return list(directory, cf_deadline(timeout_ns), NULL, streams);
}

int cuframes_stream_list_with(const cuframes_query_options *options, cuframes_streams **streams) {
  cuframes_query_options o;
  int result = cf_query_options_take(options, &o);
  if (result != CUFRAMES_OK)
    return result;
  const cf_interrupt interrupt = { o.interrupt, o.interrupt_user };
  return list(o.directory, cf_deadline(o.timeout_ns), &interrupt, streams);
}

void cuframes_streams_free(cuframes_streams *streams) {
  if (!streams)
    return;
  stream_list *l = CF_CONTAINER_OF(streams, stream_list, streams);
  for (size_t i = 0; i < l->streams.count; i++)
    entry_free(l->entries[i]);
  free(l->entries);
  free(l);
}
