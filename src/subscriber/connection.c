/* subscriber/connection.c - one subscriber's tie to one publisher. */
#include "subscriber/connection.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client/client.h"
#include "link/channel.h"
#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "wire/handshake.h"

#define PADDING 64 /* zero bytes that decoders read past the end */

/* ---- joining and leaving ---- */

/* Opens the stream's device as the subscriber wants it: NULL for whatever it is. */
static int device_open(cf_connection *c, const char *there, const char *wanted) {
  bool host = strcmp(there, "host") == 0;
  if (wanted && strcmp(wanted, "auto") == 0)
    wanted = NULL;
  if (wanted && strcmp(wanted, "host") == 0) {
    if (!host)
      return cf_fail(CUFRAMES_ERR_UNSUPPORTED,
                     "the stream's frames lie on %s, and this subscriber takes host memory only: publish it with "
                     "device host, or take any device and copy to the host",
                     there);
    wanted = NULL;
  }
  if (wanted && strcmp(wanted, "cuda") != 0 && strncmp(wanted, "cuda:", 5) != 0)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED,
                   "no device \"%.63s\": expected auto, host, cuda, cuda:NUMBER or cuda:GPU-UUID", wanted);
  if (!host && c->mode_packets) /* it touches no frame, and so needs no GPU */
    there = "host";
  cf_device_request request = { .name = there, .for_gpu = c->mode_packets ? NULL : wanted };
  return cf_device_open(&request, &c->device);
}

/* Opens the device, and maps the control page and the seat, which WELCOME brought. */
static int pages_map(cf_connection *c, const cf_msg_welcome *welcome, const char *device, const int fds[2]) {
  void *seat;
  int result = device_open(c, welcome->device, device);
  if (result != CUFRAMES_OK)
    return result;
  if (!(c->device->sync_modes & welcome->sync_mode))
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the publisher can do what was asked, the GPU driver here cannot");
  result = cf_memory_map(fds[0], welcome->control_bytes, CF_SEAL_PUBLIC, &c->control);
  if (result != CUFRAMES_OK)
    return result;
  c->control_bytes = welcome->control_bytes;
  result = cf_memory_map(fds[1], welcome->seat_bytes, CF_SEAL_PAIR, &seat);
  if (result != CUFRAMES_OK)
    return result;
  c->seat = seat;
  c->seat_bytes = welcome->seat_bytes;
  return CUFRAMES_OK;
}

static int leases_make(cf_connection *c, uint32_t leases) {
  c->frames = calloc(leases ? leases : 1, sizeof *c->frames);
  if (!c->frames)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  c->leases = leases;
  c->free_leases = c->every_lease = leases == 64 ? UINT64_MAX : (UINT64_C(1) << leases) - 1;
  cf_uses_open(&c->uses, c->device, leases);
  return CUFRAMES_OK;
}

/* Begins to read in the seat. */
static int seat_begin(cf_connection *c, const cf_msg_welcome *welcome, bool ordered) {
  bool must_wake;
  cf_credentials publisher;
  if (!cf_reader_init(&c->reader, c->control, c->control_bytes, c->seat, ordered) ||
      !cf_reader_begin(&c->reader, &must_wake))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "invalid control page from the publisher");
  bool known = cf_credentials_of(c->fd, &publisher) == CUFRAMES_OK;
  int result = cf_waiter_open(&c->waiter, c->device, &c->reader, c->seat_bytes, welcome->sync_mode,
                              known ? cf_peer_pidfd(c->fd, &publisher) : -1);
  if (result != CUFRAMES_OK)
    return result;
  if (must_wake)
    (void)cf_futex_wake(&c->seat->room, INT32_MAX);
  if (cf_reader_ended(&c->reader)) /* its last moment: one who reconnects would read its last packets once more */
    return cf_fail(CUFRAMES_ERR_NO_SUCH_STREAM, "the publisher ends just now");
  return CUFRAMES_OK;
}

static int connection_map(cf_connection *c, const cf_msg_welcome *welcome, const cf_join *join, const int fds[2]) {
  if (welcome->leases > CF_LEASES_MAX || welcome->control_bytes > (UINT64_C(1) << 20) ||
      welcome->seat_bytes < sizeof(cf_seat) || welcome->seat_bytes > (UINT64_C(1) << 20))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's WELCOME has impossible sizes");
  uint32_t asked = join->hello->sync_modes | CUFRAMES_SYNC_COMPLETE;
  if ((welcome->sync_mode & asked) == 0 || (welcome->sync_mode & (welcome->sync_mode - 1)) != 0)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the publisher chose sync mode %u, which was not asked for",
                   welcome->sync_mode);
  memcpy(c->device_name, welcome->device, sizeof c->device_name); /* terminated by the codec */
  c->instance = welcome->instance;
  int result = pages_map(c, welcome, join->device, fds);
  if (result == CUFRAMES_OK)
    result = leases_make(c, welcome->leases);
  if (result == CUFRAMES_OK)
    result = seat_begin(c, welcome, join->hello->mode == CUFRAMES_MODE_ORDERED);
  return result;
}

/* ---- life ---- */

bool cf_connection_move(cf_connection *c, enum cf_life to) {
  static const bool step[CF_DRAINED + 1][CF_DRAINED + 1] = {
    [CF_LIVE] = { [CF_GONE] = true, [CF_DRAINED] = true },
    [CF_GONE] = { [CF_ABANDONED] = true, [CF_DRAINED] = true },
    [CF_ABANDONED] = { [CF_DRAINED] = true },
  };
  uint32_t from = cf_flag_get(&c->life);
  while (step[from][to])
    if (cf_flag_change(&c->life, &from, to))
      return true;
  return false;
}

static void asked_clear(cf_asked *asked) {
  if (asked->answered) {
    cf_discard(asked->fd, -1); /* nobody has looked at it */
    free(asked->bytes);
  }
  *asked = (cf_asked){ .fd = -1 };
}

static void connection_free(void *connection) {
  cf_connection *c = connection;
  cf_waiter_quiesce(&c->waiter);
  if (c->unfinished)
    cf_view_free(c, c->unfinished);
  for (int i = 0; i < CF_ASKERS; i++)
    asked_clear(&c->asked[i]);
  while (c->views) {
    cf_view *view = c->views;
    c->views = view->next;
    cf_view_free(c, view);
  }
  cf_waiter_close(&c->waiter);
  cf_uses_close(&c->uses);
  cf_memory_unmap(c->region, c->region_bytes);
  cf_memory_unmap(c->seat, c->seat_bytes);
  cf_memory_unmap(c->control, c->control_bytes);
  cf_device_close(c->device);
  (void)cf_hang_up(c->fd); /* last: the publisher may now use our slots; or it stays open, and has ended */
  pthread_mutex_destroy(&c->request_lock);
  free(c->frames);
  cf_handles_drop(c->handles);
  free(c->message);
  free(c);
}

/* Waits for the segments there are, and not for more; what keeps one from being mapped who takes a frame will hear. */
static int segments_wait(cf_connection *c, int64_t deadline, const cf_interrupt *interrupt) {
  uint32_t floor;
  int64_t until;
  do {
    const int result = cf_interrupt_check(interrupt);
    if (result != CUFRAMES_OK)
      return result;
    until = cf_interrupt_until(interrupt, deadline);
    if (cf_views_look_ahead(c, until) != CUFRAMES_OK)
      return CUFRAMES_OK;
  } while (until < deadline && cf_reader_segments(&c->reader, &floor) != c->segments_known);
  return CUFRAMES_OK;
}

int cf_connection_open(const cf_join *join, cf_joined *joined, int64_t deadline, cf_connection **connection) {
  cf_connection *c = calloc(1, sizeof *c);
  if (!c) {
    cf_joined_close(joined);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  }
  c->fd = joined->fd;
  c->logger = join->logger;
  strncpy(c->name, join->name, sizeof c->name - 1);
  c->handles = cf_handles_hold(join->handles);
  cf_waiter_init(&c->waiter);
  cf_uses_init(&c->uses);
  c->references = 1;
  pthread_mutex_init(&c->request_lock, NULL);
  c->message = malloc(CF_WIRE_MESSAGE_MAX);
  c->mode_packets = join->hello->mode == CUFRAMES_MODE_PACKETS;
  int result = c->message ? connection_map(c, &joined->welcome, join, joined->fds)
                          : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  cf_joined_discard_fds(joined, c->fd);
  joined->fd = -1;
  if (result == CUFRAMES_OK && !c->mode_packets)
    result = segments_wait(c, deadline, join->interrupt);
  if (result != CUFRAMES_OK) {
    connection_free(c);
    return result;
  }
  *connection = c;
  return CUFRAMES_OK;
}

void cf_connection_leave(cf_connection *c) {
  if (cf_reader_leave(&c->reader))
    (void)cf_futex_wake(&c->seat->room, INT32_MAX);
}

void cf_connection_hold(cf_connection *c) {
  cf_lock_take(&c->lock);
  c->references++;
  cf_lock_give(&c->lock);
}

void cf_connection_unlock(cf_connection *c) {
  bool last = c->references == 0 && c->free_leases == c->every_lease;
  cf_lock_give(&c->lock);
  if (!last)
    return;
  if (c->waiter.gpu)
    cf_handles_run(c->handles, connection_free, c);
  else
    connection_free(c);
}

void cf_connection_drop(cf_connection *c) {
  if (!c)
    return;
  cf_lock_take(&c->lock);
  c->references--;
  cf_connection_unlock(c);
}

/* ---- requests ---- */

static enum cf_asker asker_of(uint32_t type) {
  return type == CF_MSG_GET_PACKETS || type == CF_MSG_GET_CODEC ? CF_ASKER_PACKETS : CF_ASKER_FRAMES;
}

static bool answer_has_fd(uint32_t answer_type) {
  return answer_type == CF_MSG_SEGMENT || answer_type == CF_MSG_PACKETS || answer_type == CF_MSG_SIDE_DATA;
}

static bool is_open(const cf_asked *asked) {
  return asked->type != 0 && !asked->answered;
}

/* Keeps an answer for who asked for it. */
static void answer_park(cf_connection *c, cf_asked *asked, int result, size_t length, int fd) {
  asked->answered = true;
  asked->fd = fd;
  asked->bytes = result == CUFRAMES_OK ? malloc(length) : NULL;
  asked->length = length;
  if (asked->bytes)
    memcpy(asked->bytes, c->message, length);
  else if (result == CUFRAMES_OK)
    result = cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  asked->result = result;
  snprintf(asked->detail, sizeof asked->detail, "%s", cf_last_detail());
}

/* Nobody answers any more. One who was stopped meanwhile, perhaps with the publisher, gives it a moment more, once: who
 * only looks from time to time is late each time. */
static bool asked_too_long_ago(cf_asked *asked) {
  bool moved = asked->deadline > asked->due;
  return moved ? cf_now() >= asked->deadline : cf_deadline_over(&asked->deadline, cf_now());
}

/* Receives the next answer that is due, whoever asked, until the deadline; it is parked. TIMEOUT, INTERRUPTED: none has
 * come. */
static int answer_receive(cf_connection *c, int64_t deadline, const cf_interrupt *interrupt) {
  cf_asked *frames = &c->asked[CF_ASKER_FRAMES], *packets = &c->asked[CF_ASKER_PACKETS];
  cf_asked *next = is_open(packets) && (c->packets_first || !is_open(frames)) ? packets : frames;
  size_t length = 0;
  int fd = -1;
  int result = cf_client_answer(c->fd, next->answer_type, deadline < next->deadline ? deadline : next->deadline,
                                interrupt, c->message, &length, answer_has_fd(next->answer_type) ? &fd : NULL);
  if (result == CUFRAMES_ERR_INTERRUPTED)
    return result;
  if (result == CUFRAMES_ERR_TIMEOUT && !asked_too_long_ago(next))
    return cf_fail(result, "the publisher has not answered yet"); /* it may still come */
  if (result == CUFRAMES_ERR_NO_MEMORY && length == 0)
    return result; /* it has come, and waits until there is a descriptor free for it */
  if (result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_PUBLISHER_GONE) {
    (void)cf_connection_move(c, CF_GONE); /* a late answer would be taken for the next one's */
    result = cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher does not answer");
  }
  answer_park(c, next, result, length, fd);
  return CUFRAMES_OK;
}

/* Takes the parked answer: its bytes into the message buffer, its descriptor to *fd. */
static int answer_take(cf_connection *c, cf_asked *asked, size_t *length, int *fd) {
  int result = asked->result;
  if (result == CUFRAMES_OK) {
    memcpy(c->message, asked->bytes, asked->length);
    *length = asked->length;
    if (answer_has_fd(asked->answer_type)) {
      *fd = asked->fd;
      asked->fd = -1;
    }
  } else {
    (void)cf_fail(result, "%s", asked->detail);
  }
  asked_clear(asked);
  return result;
}

static int question_send(cf_connection *c, const cf_question *q, cf_asked *asked) {
  if (cf_client_request(c->fd, q->type, &q->of, c->message) != CUFRAMES_OK) {
    (void)cf_connection_move(c, CF_GONE);
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher does not answer");
  }
  int64_t due = cf_now() + CF_HANDSHAKE_NS;
  *asked =
      (cf_asked){ .type = q->type, .answer_type = q->answer_type, .of = q->of, .deadline = due, .due = due, .fd = -1 };
  c->packets_first = asker_of(q->type) == CF_ASKER_FRAMES && is_open(&c->asked[CF_ASKER_PACKETS]);
  return CUFRAMES_OK;
}

static int ask(cf_connection *c, const cf_question *q, size_t *length, int *fd) {
  cf_asked *asked = &c->asked[asker_of(q->type)];
  bool gone = cf_connection_gone(c); /* and then what it answered before may still be there */
  int64_t deadline = gone ? CF_AT_ONCE : q->deadline;
  for (;;) {
    bool ours = asked->type == q->type && asked->of == q->of;
    int result = CUFRAMES_OK;
    if (ours && asked->answered)
      return answer_take(c, asked, length, fd);
    if (asked->answered) /* to what is not wanted any more */
      asked_clear(asked);
    if (asked->type == 0)
      result = gone ? cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher is gone") : question_send(c, q, asked);
    if (result == CUFRAMES_OK)
      result = answer_receive(c, deadline, gone ? NULL : q->interrupt);
    if (result != CUFRAMES_OK)
      return gone ? cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher is gone") : result;
  }
}

/* One thread asks at a time; the others wait for its answer as long as they may wait for their own. */
static int request_begin(cf_connection *c, int64_t deadline, const cf_interrupt *interrupt) {
  if (deadline == CF_NEVER && !interrupt)
    return pthread_mutex_lock(&c->request_lock) == 0 ? CUFRAMES_OK : cf_fail(CUFRAMES_ERR_SYSTEM, "pthread_mutex_lock");
  int64_t began = cf_now(), ask_at = 0;
  while (pthread_mutex_trylock(&c->request_lock) != 0) {
    int64_t now = cf_now();
    int result = now >= deadline ? cf_fail(CUFRAMES_ERR_TIMEOUT, "another thread asks the publisher just now")
                 : now >= ask_at ? cf_interrupt_check(interrupt)
                                 : CUFRAMES_OK;
    if (result != CUFRAMES_OK)
      return result;
    if (now >= ask_at)
      ask_at = cf_interrupt_until(interrupt, CF_NEVER);
    cf_wait_turn(began, deadline);
  }
  return CUFRAMES_OK;
}

/* Asks; on success the lock is held, and the answer decoded. */
static int ask_and_decode(cf_connection *c, const cf_question *q, void *answer, int *fd) {
  size_t length = 0;
  if (fd)
    *fd = -1;
  int result = request_begin(c, q->deadline, q->interrupt);
  if (result != CUFRAMES_OK)
    return result;
  result = ask(c, q, &length, fd);
  if (result == CUFRAMES_OK && !cf_message_decode(q->answer_type, c->message, length, answer)) {
    if (fd)
      cf_discard(*fd, c->fd);
    result = cf_fail(CUFRAMES_ERR_PROTOCOL, "malformed answer %u from the publisher", q->answer_type);
  }
  if (result != CUFRAMES_OK)
    pthread_mutex_unlock(&c->request_lock);
  return result;
}

int cf_connection_ask(cf_connection *c, const cf_question *question, void *answer, int *fd) {
  int result = ask_and_decode(c, question, answer, fd);
  if (result == CUFRAMES_OK)
    pthread_mutex_unlock(&c->request_lock);
  return result;
}

bool cf_connection_answer_due(cf_connection *c) {
  struct pollfd answer = { .fd = c->fd, .events = POLLIN };
  if (pthread_mutex_trylock(&c->request_lock) != 0)
    return false; /* another thread is at it */
  const cf_asked *asked = &c->asked[CF_ASKER_FRAMES];
  bool due = !is_open(asked) || cf_now() >= asked->deadline || poll(&answer, 1, 0) != 0;
  pthread_mutex_unlock(&c->request_lock);
  return due;
}

/* A copy of bytes in the message buffer, with zeroes behind them. */
static int bytes_copy(const cf_bytes *bytes, size_t padding, uint8_t **copy) {
  *copy = calloc(1, (size_t)bytes->length + padding);
  if (!*copy)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (bytes->length > 0)
    memcpy(*copy, bytes->data, bytes->length);
  return CUFRAMES_OK;
}

int cf_connection_ask_codec(cf_connection *c, uint32_t track, const cf_interrupt *interrupt, cf_msg_codec *codec,
                            uint8_t **extradata) {
  cf_question question = { CF_MSG_GET_CODEC, CF_MSG_CODEC, track, CF_NEVER, interrupt };
  cf_msg_codec answer;
  int result = ask_and_decode(c, &question, &answer, NULL);
  if (result != CUFRAMES_OK)
    return result;
  result = bytes_copy(&answer.extradata, PADDING, extradata); /* it lies in the message buffer */
  pthread_mutex_unlock(&c->request_lock);
  if (result != CUFRAMES_OK)
    return result;
  *codec = answer;
  codec->extradata.data = *extradata;
  return CUFRAMES_OK;
}

int cf_connection_ask_events(cf_connection *c, uint32_t segment, int64_t deadline, cf_msg_events *events,
                             uint8_t **handles) {
  cf_question question = { CF_MSG_GET_EVENTS, CF_MSG_EVENTS, segment, deadline, NULL };
  cf_msg_events answer;
  int result = ask_and_decode(c, &question, &answer, NULL);
  if (result != CUFRAMES_OK)
    return result;
  result = bytes_copy(&answer.handles, 1, handles);
  pthread_mutex_unlock(&c->request_lock);
  if (result != CUFRAMES_OK)
    return result;
  *events = answer;
  events->handles.data = *handles;
  return CUFRAMES_OK;
}

int cf_connection_map_packets(cf_connection *c, enum cuframes_packet_start start, int64_t deadline,
                              const cf_interrupt *interrupt) {
  if (cf_flag_get(&c->packets_mapped))
    return CUFRAMES_OK;
  cf_question question = { CF_MSG_GET_PACKETS, CF_MSG_PACKETS, 0, deadline, interrupt };
  cf_msg_packets packets;
  int fd;
  int result = cf_connection_ask(c, &question, &packets, &fd);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_memory_map(fd, packets.bytes, CF_SEAL_PUBLIC, &c->region);
  cf_discard(fd, c->fd);
  if (result != CUFRAMES_OK)
    return result;
  c->region_bytes = packets.bytes;
  bool from_next = start == CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME;
  bool sound = cf_packet_reader_init(&c->packet_reader, c->region, c->region_bytes, from_next);
  if (sound && start == CUFRAMES_PACKETS_FROM_OLDEST)
    sound = cf_packet_reader_rewind(&c->packet_reader);
  if (!sound) {
    cf_memory_unmap(c->region, c->region_bytes);
    c->region = NULL;
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "invalid packet region from the publisher");
  }
  cf_flag_set(&c->packets_mapped, 1);
  return CUFRAMES_OK;
}
