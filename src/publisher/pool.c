/* publisher/pool.c - segments of slots that grow, shrink and change format. */
#include "publisher/pool.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/side_data.h"
#include "os/container.h"
#include "os/error.h"
#include "os/memory.h"

/* Slots that the pool invariant asks for. */
static uint64_t slots_needed(const cf_pool *pool, uint64_t cost) {
  return 1 + (uint64_t)pool->max_open + cost;
}

static void events_free(cf_pool *pool, cf_segment *segment) {
  for (uint32_t i = 0; segment->events && i < segment->run.count; i++)
    pool->device->ops->event_destroy(pool->device, segment->events[i]);
  free(segment->events);
  free(segment->event_handles);
  segment->events = NULL;
  segment->event_handles = NULL;
}

static int events_make(cf_pool *pool, cf_segment *segment) {
  uint32_t count = segment->run.count;
  segment->events = calloc(count, sizeof *segment->events);
  segment->event_handles = calloc(count, sizeof *segment->event_handles);
  int result =
      segment->events && segment->event_handles ? CUFRAMES_OK : cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  for (uint32_t i = 0; i < count && result == CUFRAMES_OK; i++)
    result = pool->device->ops->event_create(pool->device, &segment->events[i], segment->event_handles[i]);
  if (result != CUFRAMES_OK)
    events_free(pool, segment);
  return result;
}

static int side_data_make(const cf_pool *pool, cf_segment *segment) {
  segment->side_fd = -1;
  if (pool->side_data_max == 0)
    return CUFRAMES_OK;
  segment->side_bytes = cf_page_round((uint64_t)segment->run.count * cf_side_data_stride(pool->side_data_max));
  return cf_memory_create("cuframes-side-data", segment->side_bytes, CF_SEAL_PUBLIC, &segment->side_fd, &segment->side);
}

static void side_data_free(cf_segment *segment) {
  cf_memory_unmap(segment->side, segment->side_bytes);
  cf_close(segment->side_fd);
}

static void segment_free(cf_pool *pool, cf_segment *segment) {
  uint64_t bytes = segment->memory.bytes + segment->side_bytes, on_device = segment->memory.bytes;
  if (segment->cancelled && pool->device->has_streams)
    pool->device->ops->settle(pool->device);
  pool->device->ops->segment_destroy(pool->device, &segment->memory);
  events_free(pool, segment);
  side_data_free(segment);
  cf_counter_add(&pool->memory_bytes, -bytes); /* now it is true */
  cf_counter_add(&pool->device_bytes, -on_device);
  cf_counter_add(&pool->segment_count, (uint64_t)-1);
  cf_counter_add(&pool->slot_count, -(uint64_t)segment->run.count);
  free(segment);
}

/* Allocates a segment, or takes the application's memory. Without the lock: it may take long. */
static int segment_make(const cf_pool *pool, const cuframes_format *format, uint64_t stride, uint32_t slots,
                        void *external, cf_segment **made) {
  const cf_device_ops *ops = pool->device->ops;
  cf_segment *segment = calloc(1, sizeof *segment);
  if (!segment)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (stride > UINT64_MAX / slots) {
    free(segment);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "%u frames of %" PRIu64 " bytes are too many", slots, stride);
  }
  segment->run.count = slots;
  segment->run.stride = stride;
  segment->format = *format;
  segment->external = external;
  int result = side_data_make(pool, segment);
  if (result == CUFRAMES_OK)
    result = external ? ops->segment_adopt(pool->device, external, stride, &segment->memory)
                      : ops->segment_create(pool->device, stride * slots, &segment->memory);
  if (result != CUFRAMES_OK) {
    side_data_free(segment);
    free(segment);
    return result;
  }
  *made = segment;
  return CUFRAMES_OK;
}

/* One that nobody knows yet. */
static void segment_discard(const cf_pool *pool, cf_segment *segment) {
  pool->device->ops->segment_destroy(pool->device, &segment->memory);
  side_data_free(segment);
  free(segment);
}

/* With the lock held: it gets its number and its events, and is in the list, but not yet with the writer. On failure it
 * is gone. */
static int segment_enter(cf_pool *pool, cf_segment *segment) {
  int result = pool->events ? events_make(pool, segment) : CUFRAMES_OK;
  if (result != CUFRAMES_OK) {
    segment_discard(pool, segment);
    return result;
  }
  segment->run.segment = pool->next_segment++;
  segment->next = pool->segments;
  pool->segments = segment;
  cf_counter_add(&pool->memory_bytes, segment->memory.bytes + segment->side_bytes);
  cf_counter_add(&pool->device_bytes, segment->memory.bytes);
  cf_counter_add(&pool->segment_count, 1);
  cf_counter_add(&pool->slot_count, segment->run.count);
  cf_writer_set_top(pool->writer, segment->run.segment);
  return CUFRAMES_OK;
}

static int layout(const cf_pool *pool, const cuframes_format *wanted, cuframes_format *format, uint64_t *stride) {
  uint64_t align = pool->device->slot_align, bytes;
  *format = *wanted;
  int result = cuframes_format_layout(format, pool->device->pitch_align, &bytes);
  if (result == CUFRAMES_OK) /* a buffer of the application need not end at a boundary */
    *stride = pool->external ? bytes : (bytes + align - 1) & ~(align - 1);
  return result;
}

/* With the lock held, or before there is anybody. */
static void max_open_set(cf_pool *pool, uint32_t max_open) {
  pool->max_open = max_open;
  pool->base_slots = pool->full && pool->asked_slots < 1 + max_open ? 1 + max_open : pool->asked_slots;
}

int cf_pool_init(cf_pool *pool, cf_device *device, cf_frame_writer *writer, const cf_pool_plan *plan) {
  memset(pool, 0, sizeof *pool);
  pthread_mutex_init(&pool->lock, NULL);
  pool->device = device;
  pool->writer = writer;
  pool->asked_slots = plan->base_slots;
  cf_flag_set(&pool->max_slots, plan->max_slots);
  pool->full = plan->full;
  max_open_set(pool, plan->max_open);
  pool->side_data_max = plan->side_data_max;
  pool->next_segment = 1;
  pool->external = plan->external;
  cf_writer_set_floor(writer, 1);
  cf_segment *first;
  bool none = cf_pool_format_is_none(&plan->format);
  int result = none ? CUFRAMES_OK : layout(pool, &plan->format, &pool->format, &pool->stride);
  if (result != CUFRAMES_OK || plan->external || none)
    return result;
  result = segment_make(pool, &pool->format, pool->stride, pool->base_slots, NULL, &first);
  if (result == CUFRAMES_OK)
    result = segment_enter(pool, first);
  if (result != CUFRAMES_OK)
    return result;
  first->base = true;
  pool->slots = pool->base_slots;
  cf_writer_offer(writer, &first->run);
  cf_writer_adopt(writer);
  return CUFRAMES_OK;
}

void cf_pool_free(cf_pool *pool) {
  if (!pool->device)
    return;
  while (pool->segments) {
    cf_segment *segment = pool->segments;
    pool->segments = segment->next;
    segment_free(pool, segment);
  }
  pthread_mutex_destroy(&pool->lock);
}

/* With the lock held. */
static void depth_change(cf_pool *pool, uint32_t depth, int change) {
  pool->depths[depth] = (uint16_t)(pool->depths[depth] + change);
  uint32_t most = CF_DEPTH_MAX;
  while (most > 0 && pool->depths[most] == 0)
    most--;
  cf_flag_set(&pool->depth, most);
}

int cf_pool_admit(cf_pool *pool, uint32_t leases, uint32_t depth) {
  int result = CUFRAMES_OK;
  uint32_t cost = cf_seat_cost(leases, depth);
  pthread_mutex_lock(&pool->lock);
  uint64_t needed = slots_needed(pool, (uint64_t)pool->cost + cost);
  if (pool->external && needed > pool->slots)
    result =
        cf_fail(CUFRAMES_ERR_NO_CAPACITY,
                "no room for this subscriber: it would take %" PRIu64 " buffers, and the publisher has registered %u",
                needed, pool->slots);
  else if (needed > cf_flag_get(&pool->max_slots))
    result = cf_fail(CUFRAMES_ERR_NO_CAPACITY,
                     "no room for this subscriber: it may take %" PRIu64
                     " slots with the others, and the publisher's limit is %u (--max-slots)",
                     needed, cf_flag_get(&pool->max_slots));
  if (result == CUFRAMES_OK) {
    pool->cost += cost;
    depth_change(pool, depth, 1);
  }
  pthread_mutex_unlock(&pool->lock);
  return result;
}

/* With the lock held: slots that are to be there, whoever needs how many. */
static uint64_t slots_promised(const cf_pool *pool) {
  const uint32_t most = cf_flag_get(&pool->max_slots);
  uint64_t first = (uint64_t)pool->base_slots + cf_flag_get(&pool->depth);
  return pool->full ? slots_needed(pool, pool->cost) : first < most ? first : most;
}

/* With the lock held. */
static uint32_t lacks(const cf_pool *pool) {
  uint64_t promised = slots_promised(pool);
  bool none = cf_pool_format_is_none(&pool->format); /* then slots come with the format */
  return !pool->external && !none && promised > pool->slots ? (uint32_t)promised - pool->slots : 0;
}

uint32_t cf_pool_lacks(cf_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  uint32_t slots = lacks(pool);
  pthread_mutex_unlock(&pool->lock);
  return slots;
}

uint32_t cf_pool_room(const cf_pool *pool) {
  uint64_t all = cf_counter_get(&pool->slot_count); /* of all formats, also those that retire */
  const uint32_t most = cf_flag_get(&pool->max_slots);
  return all < most ? most - (uint32_t)all : 0;
}

/* With the lock held: how many slots to make when so many are missing; few segments are better than many. 0: none,
 * since whoever needed some has left meanwhile. */
static uint32_t growth(const cf_pool *pool, uint32_t missing) {
  uint32_t more = lacks(pool);
  if (more < missing)
    more = missing;
  if (missing > 0 && more < pool->slots / 4)
    more = pool->slots / 4;
  return more;
}

int cf_pool_grow(cf_pool *pool, uint32_t missing) {
  cf_segment *segment;
  pthread_mutex_lock(&pool->lock);
  cuframes_format format = pool->format;
  uint64_t stride = pool->stride;
  uint32_t formats = pool->formats, more = growth(pool, missing), room = cf_pool_room(pool);
  pthread_mutex_unlock(&pool->lock);
  if (more == 0)
    return CUFRAMES_OK;
  if (more > room)
    more = room;
  if (more == 0)
    return cf_fail(CUFRAMES_ERR_NO_CAPACITY, "the pool has %u slots, as many as may be (--max-slots)",
                   cf_flag_get(&pool->max_slots));
  int result = segment_make(pool, &format, stride, more, NULL, &segment);
  if (result != CUFRAMES_OK)
    return result;
  pthread_mutex_lock(&pool->lock);
  if (formats == pool->formats) {
    result = segment_enter(pool, segment);
    if (result == CUFRAMES_OK) {
      pool->slots += more;
      cf_writer_offer(pool->writer, &segment->run);
    }
  } else { /* meanwhile the format has changed: whoever still lacks slots says so again */
    segment_discard(pool, segment);
  }
  pthread_mutex_unlock(&pool->lock);
  return result;
}

/* With the lock held: the largest segment of so many slots at most retires; gives how many it has, 0 if none can go.
 * What the writer has not adopted yet stays: only a writer that is at work hands retired memory back. */
static uint32_t segment_retire(cf_pool *pool, uint64_t slots) {
  cf_segment *largest = NULL;
  for (cf_segment *s = pool->segments; s; s = s->next)
    if (!s->base && !cf_run_retiring(&s->run) && cf_run_adopted(&s->run) && s->run.count <= slots &&
        (!largest || s->run.count > largest->run.count))
      largest = s;
  if (!largest)
    return 0;
  pool->slots -= largest->run.count;
  cf_writer_retire(pool->writer, &largest->run);
  return largest->run.count;
}

/* With the lock held: segments retire that go into so many slots, the largest first. */
static void shrink(cf_pool *pool, uint64_t slots) {
  for (uint32_t gone; slots > 0 && (gone = segment_retire(pool, slots)) > 0;)
    slots -= gone;
}

/* With the lock held, after somebody left: what is there beyond the cost of all seats goes at once. */
static void shrink_full(cf_pool *pool) {
  uint64_t needed = slots_needed(pool, pool->cost);
  if (pool->full && pool->slots > needed)
    shrink(pool, pool->slots - needed);
}

void cf_pool_shrink(cf_pool *pool, uint32_t slots) {
  pthread_mutex_lock(&pool->lock);
  shrink(pool, slots);
  pthread_mutex_unlock(&pool->lock);
}

void cf_pool_leave(cf_pool *pool, uint32_t leases, uint32_t depth) {
  pthread_mutex_lock(&pool->lock);
  pool->cost -= cf_seat_cost(leases, depth);
  depth_change(pool, depth, -1);
  shrink_full(pool);
  pthread_mutex_unlock(&pool->lock);
}

static void segment_forget(cf_pool *pool, cf_segment *segment) {
  cf_segment **link = &pool->segments;
  while (*link != segment)
    link = &(*link)->next;
  *link = segment->next;
  segment_free(pool, segment);
}

/* The application's buffers hold the old format: they go as they come free and are unregistered. */
static void externals_retire(cf_pool *pool) {
  for (cf_segment *s = pool->segments; s; s = s->next)
    cf_writer_retire(pool->writer, &s->run);
  cf_writer_sweep(pool->writer);
  pool->slots = 0;
}

/* With the lock held: all that is there retires, and what was made takes its place. On failure it is gone. */
static int format_take_over(cf_pool *pool, const cuframes_format *format, uint64_t stride, cf_segment *base,
                            cf_segment *more) {
  int result = segment_enter(pool, base);
  if (result != CUFRAMES_OK) {
    if (more)
      segment_discard(pool, more);
    return result;
  }
  result = more ? segment_enter(pool, more) : CUFRAMES_OK;
  if (result != CUFRAMES_OK) {
    segment_forget(pool, base);
    return result;
  }
  base->base = true;
  cf_writer_adopt(pool->writer); /* what is still on offer retires too */
  for (cf_segment *s = base->next; s; s = s->next)
    cf_writer_retire(pool->writer, &s->run);
  cf_writer_sweep(pool->writer); /* their places in the slot table are needed */
  cf_writer_offer(pool->writer, &base->run);
  if (more)
    cf_writer_offer(pool->writer, &more->run);
  pool->slots = base->run.count + (more ? more->run.count : 0);
  cf_writer_adopt(pool->writer);
  pool->format = *format;
  pool->stride = stride;
  pool->formats++;
  return CUFRAMES_OK;
}

/* What a new format begins with: the base, and what is promised to subscribers beyond it, or NULL. */
static int fresh_make(const cf_pool *pool, const cuframes_format *format, uint64_t stride, uint64_t promised,
                      cf_segment **base, cf_segment **more) {
  *more = NULL;
  int result = segment_make(pool, format, stride, pool->base_slots, NULL, base);
  if (result != CUFRAMES_OK || promised <= pool->base_slots)
    return result;
  result = segment_make(pool, format, stride, (uint32_t)promised - pool->base_slots, NULL, more);
  if (result != CUFRAMES_OK)
    segment_discard(pool, *base);
  return result;
}

/* With the lock held. */
static int limits_check(const cf_pool *pool, uint32_t max_open, uint32_t max_slots) {
  const uint64_t needed = 1 + (uint64_t)max_open + pool->cost;
  const uint32_t most = cf_flag_get(&pool->max_slots);
  if (!cf_pool_format_is_none(&pool->format))
    return cf_fail(CUFRAMES_ERR_INVALID, "limits change before the first format only: the stream has one");
  if (max_open > pool->max_open || max_slots > most)
    return cf_fail(CUFRAMES_ERR_INVALID, "max_open %u and max_slots %u: they may only be lowered, from %u and %u",
                   max_open, max_slots, pool->max_open, most);
  if (max_slots < 1 + max_open)
    return cf_fail(CUFRAMES_ERR_INVALID, "max_slots is %u: expected %u or more (1 + max_open)", max_slots,
                   1 + max_open);
  if (needed > max_slots)
    return cf_fail(CUFRAMES_ERR_NO_CAPACITY,
                   "max_slots is %u, and subscribers that have joined may take %" PRIu64 " slots with the rest",
                   max_slots, needed);
  return CUFRAMES_OK;
}

int cf_pool_set_limits(cf_pool *pool, uint32_t max_open, uint32_t max_slots) {
  pthread_mutex_lock(&pool->lock);
  max_open = max_open ? max_open : pool->max_open;
  max_slots = max_slots ? max_slots : cf_flag_get(&pool->max_slots);
  int result = limits_check(pool, max_open, max_slots);
  if (result == CUFRAMES_OK) {
    cf_flag_set(&pool->max_slots, max_slots);
    pool->asked_slots = pool->asked_slots < max_slots ? pool->asked_slots : max_slots;
    max_open_set(pool, max_open);
  }
  pthread_mutex_unlock(&pool->lock);
  return result;
}

/* With the application's memory there is nothing to make. */
static void external_take_over(cf_pool *pool, const cuframes_format *format, uint64_t stride) {
  pthread_mutex_lock(&pool->lock);
  externals_retire(pool);
  pool->format = *format;
  pool->stride = stride;
  pthread_mutex_unlock(&pool->lock);
}

int cf_pool_set_format(cf_pool *pool, const cuframes_format *wanted) {
  cuframes_format format;
  uint64_t stride;
  int result = layout(pool, wanted, &format, &stride);
  if (result != CUFRAMES_OK || memcmp(&format, &pool->format, sizeof format) == 0) /* which only this thread changes */
    return result;
  if (pool->external) {
    external_take_over(pool, &format, stride);
    return CUFRAMES_OK;
  }
  pthread_mutex_lock(&pool->lock);
  uint64_t promised = slots_promised(pool);
  pthread_mutex_unlock(&pool->lock);
  for (;;) {
    cf_segment *base, *more;
    result = fresh_make(pool, &format, stride, promised, &base, &more);
    if (result != CUFRAMES_OK)
      return result;
    pthread_mutex_lock(&pool->lock);
    uint64_t made = base->run.count + (more ? more->run.count : 0);
    promised = slots_promised(pool);
    bool enough = made >= promised;
    if (enough)
      result = format_take_over(pool, &format, stride, base, more);
    pthread_mutex_unlock(&pool->lock);
    if (enough)
      return result;
    segment_discard(pool, base); /* somebody joined meanwhile */
    if (more)
      segment_discard(pool, more);
  }
}

void cf_pool_reap(cf_pool *pool) {
  pthread_mutex_lock(&pool->lock); /* first: what one thread has collected the next one finds done */
  cf_slot_run *run = cf_writer_collect(pool->writer);
  for (cf_slot_run *next; run; run = next) {
    next = run->next;
    cf_segment *segment = CF_CONTAINER_OF(run, cf_segment, run);
    if (segment->external)
      segment->emptied = true;
    else
      segment_forget(pool, segment);
  }
  shrink_full(pool); /* whoever a segment was for may have left before it was adopted */
  uint32_t floor = pool->next_segment;
  for (cf_segment *s = pool->segments; s; s = s->next)
    if (s->run.segment < floor && !s->emptied)
      floor = s->run.segment;
  cf_writer_set_floor(pool->writer, floor);
  pthread_mutex_unlock(&pool->lock);
}

/* With the lock held. */
static cf_segment *segment_numbered(const cf_pool *pool, uint32_t number) {
  cf_segment *s = pool->segments;
  while (s && s->run.segment != number)
    s = s->next;
  return s;
}

int cf_pool_export(cf_pool *pool, uint32_t number, cf_device_export *exported, cuframes_format *format) {
  int result = CUFRAMES_OK, duplicate = -1;
  pthread_mutex_lock(&pool->lock);
  const cf_segment *s = segment_numbered(pool, number);
  if (!s)
    result = cf_fail(CUFRAMES_ERR_STALE, "segment %u is gone", number);
  else if (s->memory.exported.fd >= 0 && (duplicate = fcntl(s->memory.exported.fd, F_DUPFD_CLOEXEC, 0)) < 0)
    result = cf_fail_errno("duplicating a segment's descriptor");
  if (result == CUFRAMES_OK) {
    *exported = s->memory.exported;
    exported->fd = duplicate;
    *format = s->format;
  }
  pthread_mutex_unlock(&pool->lock);
  return result;
}

int cf_pool_export_side_data(cf_pool *pool, uint32_t number, int *fd, uint64_t *bytes) {
  int result = CUFRAMES_OK, duplicate = -1;
  pthread_mutex_lock(&pool->lock);
  const cf_segment *s = segment_numbered(pool, number);
  if (pool->side_data_max == 0)
    result = cf_fail(CUFRAMES_ERR_UNSUPPORTED, "the frames of this stream have no side data");
  else if (!s)
    result = cf_fail(CUFRAMES_ERR_STALE, "segment %u is gone", number);
  else if ((duplicate = fcntl(s->side_fd, F_DUPFD_CLOEXEC, 0)) < 0)
    result = cf_fail_errno("duplicating the descriptor of side data");
  if (result == CUFRAMES_OK) {
    *fd = duplicate;
    *bytes = s->side_bytes;
  }
  pthread_mutex_unlock(&pool->lock);
  return result;
}

int cf_pool_make_events(cf_pool *pool) {
  int result = CUFRAMES_OK;
  pthread_mutex_lock(&pool->lock);
  for (cf_segment *s = pool->segments; s && result == CUFRAMES_OK; s = s->next)
    if (!s->events)
      result = events_make(pool, s);
  pool->events = pool->events || result == CUFRAMES_OK;
  pthread_mutex_unlock(&pool->lock);
  return result;
}

int cf_pool_event_handles(cf_pool *pool, uint32_t number, uint8_t *handles, uint32_t *bytes, uint64_t *stride) {
  int result = CUFRAMES_OK;
  pthread_mutex_lock(&pool->lock);
  const cf_segment *s = segment_numbered(pool, number);
  if (!s || !s->event_handles) {
    result = cf_fail(CUFRAMES_ERR_STALE, "segment %u is gone, or has no events", number);
  } else {
    *bytes = s->run.count * (uint32_t)sizeof s->event_handles[0];
    *stride = s->run.stride;
    memcpy(handles, s->event_handles, *bytes);
  }
  pthread_mutex_unlock(&pool->lock);
  return result;
}

/* ---- memory of the application ---- */

/* With the lock held. */
static cf_segment *registered_at(const cf_pool *pool, const void *address) {
  cf_segment *s = pool->segments;
  while (s && s->external != address)
    s = s->next;
  return s;
}

/* With the lock held. */
static int buffer_register(cf_pool *pool, void *address, uint64_t bytes, cf_segment **made) {
  cf_segment *segment;
  if (cf_pool_format_is_none(&pool->format))
    return cf_fail(CUFRAMES_ERR_FORMAT, "the stream has no pictures yet: set their format first");
  if (registered_at(pool, address))
    return cf_fail(CUFRAMES_ERR_INVALID, "the buffer %p is registered already", address);
  if (bytes < pool->stride)
    return cf_fail(CUFRAMES_ERR_INVALID, "a frame takes %" PRIu64 " bytes, the buffer has %" PRIu64, pool->stride,
                   bytes);
  if (pool->slots >= cf_flag_get(&pool->max_slots))
    return cf_fail(CUFRAMES_ERR_NO_CAPACITY, "%u buffers are registered, as many as may be (max_slots)", pool->slots);
  int result = segment_make(pool, &pool->format, pool->stride, 1, address, &segment);
  if (result == CUFRAMES_OK)
    result = segment_enter(pool, segment);
  if (result != CUFRAMES_OK)
    return result;
  segment->base = true;
  segment->frame.slot = cf_writer_adopt_taken(pool->writer, &segment->run);
  if (segment->frame.slot == CF_NO_SLOT) {
    segment_forget(pool, segment);
    return cf_fail(CUFRAMES_ERR_NO_CAPACITY, "too many buffers of an older format are still in use");
  }
  pool->slots++;
  *made = segment;
  return CUFRAMES_OK;
}

int cf_pool_register(cf_pool *pool, void *address, uint64_t bytes, cf_segment **segment) {
  pthread_mutex_lock(&pool->lock);
  int result = buffer_register(pool, address, bytes, segment);
  pthread_mutex_unlock(&pool->lock);
  return result;
}

void cf_pool_unregister(cf_pool *pool, cf_segment *segment) {
  pthread_mutex_lock(&pool->lock);
  if (!cf_run_retiring(&segment->run))
    pool->slots--;
  if (!segment->emptied)
    cf_writer_forget(pool->writer, segment->frame.slot);
  segment_forget(pool, segment);
  pthread_mutex_unlock(&pool->lock);
}

bool cf_pool_is_emptied(cf_pool *pool, const cf_segment *segment) {
  pthread_mutex_lock(&pool->lock);
  bool emptied = segment->emptied;
  pthread_mutex_unlock(&pool->lock);
  return emptied;
}

void cf_pool_visit_registered(cf_pool *pool, void (*visit)(void *user, cf_segment *segment), void *user) {
  pthread_mutex_lock(&pool->lock);
  for (cf_segment *s = pool->external ? pool->segments : NULL; s; s = s->next)
    visit(user, s);
  pthread_mutex_unlock(&pool->lock);
}

cuframes_format cf_pool_format(cf_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  cuframes_format format = pool->format;
  pthread_mutex_unlock(&pool->lock);
  return format;
}
