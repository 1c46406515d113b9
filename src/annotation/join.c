/* annotation/join.c - the annotations of a stream, found by the frame that they are about. Stands on the public calls
 * for packets alone.
 *
 * What came is kept in a ring, in the order in which it came. A detector annotates frames in their order: once
 * something later was said, an earlier frame is no more waited for. How far each instance of a stream was annotated is
 * kept beside the ring, for what has left it was passed by, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "annotation/payload.h"
#include "api/options.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/process.h"

#define KEEP 64u
#define KEEP_MOST 4096u
#define REMEMBER 16u /* instances more than annotations are kept: for those that left the ring */
/* So many packets are read before the caller's question is looked at: one who publishes without end keeps nobody. */
#define READ_MOST 1024

typedef struct kept {
  cuframes_packet *packet;
  cuframes_frame_id of;
} kept;

/* An instance of a stream, and how far it was annotated. */
typedef struct source {
  uint64_t instance, seq; /* the highest that was annotated */
  uint64_t turn;          /* of the last that came; 0: the place is free */
  char stream[CUFRAMES_NAME_MAX + 1];
} source;

/* How reading ended, kept while something else is looked for. */
typedef struct reading {
  int result; /* OK: there is more; TIMEOUT: that was all */
  char detail[256];
} reading;

struct cuframes_join {
  uint32_t maker; /* os/process.h */
  cuframes_subscriber *subscriber;
  uint32_t type;               /* 0: all */
  uint32_t keep, first, count; /* of the ring */
  kept *ring;                  /* keep of them, the oldest at `first` */
  source *sources;             /* keep + REMEMBER, those annotated last: so each that the ring knows is among them */
  uint64_t turn;               /* annotations that were kept so far */
  reading unsaid;              /* an error that came beside an answer: what the next call says; OK: none */
};

static kept *kept_at(const cuframes_join *join, uint32_t age) {
  return &join->ring[(join->first + age) % join->keep];
}

/* NULL: none of that instance came, or so many others did since that it was forgotten. */
static source *source_of(const cuframes_join *join, const cuframes_frame_id *of) {
  for (uint32_t i = 0; i < join->keep + REMEMBER; i++) {
    source *s = &join->sources[i];
    if (s->turn != 0 && s->instance == of->instance && strcmp(s->stream, of->stream) == 0)
      return s;
  }
  return NULL;
}

static void source_note(cuframes_join *join, const cuframes_frame_id *of) {
  source *s = source_of(join, of);
  if (!s) { /* in place of the one that was silent for longest */
    s = join->sources;
    for (uint32_t i = 1; i < join->keep + REMEMBER; i++)
      if (join->sources[i].turn < s->turn)
        s = &join->sources[i];
    *s = (source){ .instance = of->instance };
    memcpy(s->stream, of->stream, sizeof s->stream);
  }
  s->turn = ++join->turn;
  if (s->seq < of->seq)
    s->seq = of->seq;
}

/* Takes the caller's reference. */
static void keep_packet(cuframes_join *join, cuframes_packet *packet, const cuframes_frame_id *of) {
  source_note(join, of);
  if (join->count == join->keep) {
    cuframes_packet_release(kept_at(join, 0)->packet);
    join->first = (join->first + 1) % join->keep;
    join->count--;
  }
  *kept_at(join, join->count++) = (kept){ .packet = packet, .of = *of };
}

/* ---- reading ---- */

/* Reads one packet, and keeps it if it is what is wanted. */
static int read_one(cuframes_join *join, int64_t timeout_ns) {
  cuframes_packet *packet;
  cuframes_frame_id of = { .struct_size = sizeof of };
  uint32_t type = 0;
  int result = cuframes_subscriber_next_packet(join->subscriber, timeout_ns, &packet);
  if (result == CUFRAMES_ERR_PACKET_OVERRUN) /* what was lost is as if it had never come: later ones tell */
    return CUFRAMES_OK;
  if (result != CUFRAMES_OK)
    return result;
  bool wanted = cf_annotation_is_one(cuframes_packet_data(packet), cuframes_packet_size(packet));
  if (wanted) /* or a packet of another track */
    result = cuframes_packet_annotation(packet, &of, &type, NULL, NULL);
  if (wanted && result == CUFRAMES_OK && (join->type == 0 || join->type == type))
    keep_packet(join, packet, &of);
  else
    cuframes_packet_release(packet);
  return result;
}

/* Reads what is there. */
static reading read_all(cuframes_join *join) {
  reading r = { .result = CUFRAMES_OK };
  for (int i = 0; i < READ_MOST && r.result == CUFRAMES_OK; i++)
    r.result = read_one(join, 0);
  snprintf(r.detail, sizeof r.detail, "%s", cf_last_detail());
  return r;
}

static bool has_failed(const reading *r) {
  return r->result != CUFRAMES_OK && r->result != CUFRAMES_ERR_TIMEOUT;
}

/* What is said once must not be lost when there is an answer, too: the next call says it. What lasts is found again. */
static void keep_error(cuframes_join *join, const reading *r) {
  if (r->result == CUFRAMES_ERR_PROTOCOL || r->result == CUFRAMES_ERR_INTERRUPTED)
    join->unsaid = *r;
}

static int say_error(cuframes_join *join, bool waits) {
  reading r = join->unsaid;
  if (r.result == CUFRAMES_ERR_INTERRUPTED && !waits) /* it is meant for who waits */
    return CUFRAMES_OK;
  join->unsaid.result = CUFRAMES_OK;
  return r.result == CUFRAMES_OK ? CUFRAMES_OK : cf_fail(r.result, "%s", r.detail);
}

void cuframes_join_interrupt(cuframes_join *join) {
  if (join)
    cuframes_subscriber_interrupt(join->subscriber);
}

/* ---- asking ---- */

static bool same_instance(const cuframes_frame_id *a, const cuframes_frame_id *b) {
  return a->instance == b->instance && strcmp(a->stream, b->stream) == 0;
}

/* Whether a later frame of the instance was annotated, this one was and is kept no more, or the stream goes on as
 * another instance. Of an instance that was never annotated nobody knows whether it is older or newer than another. */
static bool is_passed(const cuframes_join *join, const cuframes_frame_id *of) {
  const source *own = source_of(join, of);
  if (!own || own->seq >= of->seq)
    return own != NULL;
  for (uint32_t i = 0; i < join->keep + REMEMBER; i++) {
    const source *s = &join->sources[i];
    if (s->turn > own->turn && strcmp(s->stream, of->stream) == 0)
      return true;
  }
  return false;
}

/* OK: *found; STALE: it was passed by; TIMEOUT: neither. */
static int look_for(const cuframes_join *join, const cuframes_frame_id *of, cuframes_packet **found) {
  for (uint32_t age = 0; age < join->count; age++) {
    const kept *k = kept_at(join, age);
    if (same_instance(&k->of, of) && k->of.seq == of->seq) {
      *found = k->packet;
      return CUFRAMES_OK;
    }
  }
  if (is_passed(join, of))
    return cf_fail(CUFRAMES_ERR_STALE, "frame %llu of \"%s\" was passed by: its annotation will not come, or is gone",
                   (unsigned long long)of->seq, of->stream);
  return cf_fail(CUFRAMES_ERR_TIMEOUT, "frame %llu of \"%s\" was not annotated in the time given",
                 (unsigned long long)of->seq, of->stream);
}

static int look_before(const cuframes_join *join, const cuframes_frame_id *of, cuframes_packet **found) {
  const kept *best = NULL;
  for (uint32_t age = 0; age < join->count; age++) {
    const kept *k = kept_at(join, age);
    if (same_instance(&k->of, of) && k->of.seq <= of->seq && (!best || k->of.seq > best->of.seq))
      best = k;
  }
  if (!best)
    return cf_fail(CUFRAMES_ERR_TIMEOUT, "no frame of \"%s\" up to %llu was annotated yet", of->stream,
                   (unsigned long long)of->seq);
  *found = best->packet;
  return CUFRAMES_OK;
}

static int id_check(const cuframes_join *join, const cuframes_frame_id *of, cuframes_packet *const *packet,
                    cuframes_frame_id *id) {
  if (!join || !of || !packet)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_join: join, frame and packet must be given");
  int result = cf_process_check(join->maker, "join");
  if (result == CUFRAMES_OK)
    result = cf_options_copy(id, sizeof *id, of, "cuframes_frame_id");
  if (result == CUFRAMES_OK && id->reserved != 0)
    result = cf_fail(CUFRAMES_ERR_INVALID, "cuframes_frame_id.reserved is %u: it must be 0", id->reserved);
  id->stream[CUFRAMES_NAME_MAX] = '\0';
  return result;
}

int cuframes_join_find(cuframes_join *join, const cuframes_frame_id *of, int64_t timeout_ns, cuframes_packet **packet) {
  cuframes_frame_id id;
  cuframes_packet *found = NULL;
  int result = id_check(join, of, packet, &id);
  if (result == CUFRAMES_OK)
    result = say_error(join, true);
  if (result != CUFRAMES_OK)
    return result;
  int64_t deadline = cf_deadline(timeout_ns);
  for (;;) {
    reading r = read_all(join);
    result = look_for(join, &id, &found);
    if (result == CUFRAMES_OK || result == CUFRAMES_ERR_STALE) {
      keep_error(join, &r);
      if (result == CUFRAMES_OK)
        *packet = cuframes_packet_ref(found);
      return result;
    }
    if (has_failed(&r))
      return cf_fail(r.result, "%s", r.detail);
    int64_t left = deadline == CF_NEVER ? CUFRAMES_WAIT_FOREVER : deadline - cf_now();
    if (deadline != CF_NEVER && left <= 0)
      return result;
    if (r.result == CUFRAMES_ERR_TIMEOUT)
      r.result = read_one(join, left);
    if (has_failed(&r))
      return r.result;
  }
}

int cuframes_join_latest(cuframes_join *join, const cuframes_frame_id *of, cuframes_packet **packet) {
  cuframes_frame_id id;
  cuframes_packet *found = NULL;
  int result = id_check(join, of, packet, &id);
  if (result == CUFRAMES_OK)
    result = say_error(join, false);
  if (result != CUFRAMES_OK)
    return result;
  reading r = read_all(join);
  result = look_before(join, &id, &found);
  if (result == CUFRAMES_OK || r.result == CUFRAMES_ERR_INTERRUPTED)
    keep_error(join, &r);
  else if (has_failed(&r))
    result = cf_fail(r.result, "%s", r.detail);
  if (result == CUFRAMES_OK)
    *packet = cuframes_packet_ref(found);
  return result;
}

/* ---- life ---- */

/* Its packet ring, which may come a moment after its name. */
static int ring_wait(cuframes_join *join, int64_t deadline) {
  for (int64_t began = cf_now();; cf_wait_turn(began, deadline)) {
    int result = cuframes_subscriber_enable_packets(join->subscriber, CUFRAMES_PACKETS_FROM_OLDEST);
    if (result != CUFRAMES_ERR_NO_PACKET_RING || cf_now() >= deadline)
      return result;
  }
}

int cuframes_join_create(const char *name, const cuframes_join_options *options, cuframes_join **join) {
  cuframes_join_options o;
  if (!join)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_join_create: join must be given");
  int result = cf_options_copy(&o, sizeof o, options, "cuframes_join_options");
  if (result != CUFRAMES_OK)
    return result;
  if (o.keep > KEEP_MOST)
    return cf_fail(CUFRAMES_ERR_INVALID, "keep is %u: expected at most %u", o.keep, KEEP_MOST);
  int64_t deadline = cf_deadline(o.connect_timeout_ns);
  cuframes_subscriber_options s = { .struct_size = sizeof s,
                                    .mode = CUFRAMES_MODE_PACKETS,
                                    .directory = o.directory,
                                    .label = o.label,
                                    .reconnect = o.reconnect,
                                    .connect_timeout_ns = o.connect_timeout_ns,
                                    .log = o.log,
                                    .log_user = o.log_user,
                                    .interrupt = o.interrupt,
                                    .interrupt_user = o.interrupt_user };
  cuframes_join *j = calloc(1, sizeof *j);
  if (!j)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  j->maker = cf_process_here();
  j->type = o.type;
  j->keep = o.keep ? o.keep : KEEP;
  j->ring = calloc(j->keep, sizeof *j->ring);
  j->sources = calloc(j->keep + REMEMBER, sizeof *j->sources);
  result = j->ring && j->sources ? cuframes_subscriber_create(name, &s, &j->subscriber)
                                 : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (result == CUFRAMES_OK)
    result = ring_wait(j, deadline);
  if (result != CUFRAMES_OK) {
    cuframes_join_destroy(j);
    return result;
  }
  *join = j;
  return CUFRAMES_OK;
}

void cuframes_join_destroy(cuframes_join *join) {
  if (!join)
    return;
  for (uint32_t age = 0; age < join->count; age++)
    cuframes_packet_release(kept_at(join, age)->packet);
  cuframes_subscriber_destroy(join->subscriber);
  free(join->sources);
  free(join->ring);
  free(join);
}
