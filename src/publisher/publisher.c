/* publisher/publisher.c - a publisher's life: options, creation, end, statistics. */
#include "publisher/publisher.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "api/options.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"

/* ---- options ---- */

/* Entries of an allow list. */
#define ALLOWED_MOST 65536

static uint32_t value_or(uint32_t value, uint32_t standard) {
  return value != 0 ? value : standard;
}

static void defaults_fill(cuframes_publisher_options *o) {
  o->max_open = value_or(o->max_open, 1);
  o->max_slots = value_or(o->max_slots, 1024);
  uint32_t common = 3 + CF_SPARE_SLOTS; /* the newest, an open one, a held one, and spare */
  o->slots = value_or(o->slots, common < o->max_slots ? common : o->max_slots);
  o->max_subscribers = value_or(o->max_subscribers, 128);
  o->max_leases = value_or(o->max_leases, 16);
  o->max_depth = value_or(o->max_depth, 32);
  o->socket_mode = value_or(o->socket_mode, 0660);
  if (o->ordered_timeout_ns == 0)
    o->ordered_timeout_ns = CF_SECOND;
}

/* With the defaults filled in. */
static int ranges_check(const cuframes_publisher_options *o) {
  const struct {
    const char *name;
    uint32_t value, least, most;
  } ranges[] = {
    { "max_open", o->max_open, 1, 128 }, /* before those whose range it is part of */
    { "max_slots", o->max_slots, 1 + o->max_open, 1024 },
    { "slots", o->slots, 2, o->max_slots },
    { "max_subscribers", o->max_subscribers, 1, CF_SEATS_MAX },
    { "max_leases", o->max_leases, 1, CF_LEASES_MAX },
    { "max_depth", o->max_depth, 1, CF_DEPTH_MAX },
    { "socket_mode", o->socket_mode, 0, 0777 },
    { "side_data_max", o->side_data_max, 0, CUFRAMES_SIDE_DATA_MAX },
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
    if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most)
      return cf_fail(CUFRAMES_ERR_INVALID, "%s is %u: expected %u to %u", ranges[i].name, ranges[i].value,
                     ranges[i].least, ranges[i].most);
  return CUFRAMES_OK;
}

static int options_check(cuframes_publisher_options *o) {
  defaults_fill(o);
  int result = ranges_check(o);
  if (result != CUFRAMES_OK)
    return result;
  if (o->memory > CUFRAMES_MEMORY_LEGACY)
    return cf_fail(CUFRAMES_ERR_INVALID, "memory is %u: expected CUFRAMES_MEMORY_DEFAULT or _LEGACY", o->memory);
  if (o->access > CUFRAMES_ACCESS_LISTED)
    return cf_fail(CUFRAMES_ERR_INVALID, "access is %u: expected CUFRAMES_ACCESS_DIRECTORY or _LISTED", o->access);
  if (o->access == CUFRAMES_ACCESS_DIRECTORY && o->allow_uid_count + o->allow_gid_count > 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "allow_uids and allow_gids are for access CUFRAMES_ACCESS_LISTED: set that");
  if (o->socket_gid < 0 || o->socket_gid >= UINT32_MAX)
    return cf_fail(CUFRAMES_ERR_INVALID, "socket_gid is %" PRId64 ": expected 0 (leave it) or a group id",
                   o->socket_gid);
  if (o->allow_uid_count > ALLOWED_MOST || o->allow_gid_count > ALLOWED_MOST)
    return cf_fail(CUFRAMES_ERR_INVALID, "an allow list has %zu entries: expected %d at most",
                   o->allow_uid_count > ALLOWED_MOST ? o->allow_uid_count : o->allow_gid_count, ALLOWED_MOST);
  if (o->policy > CUFRAMES_POLICY_DROP)
    return cf_fail(CUFRAMES_ERR_INVALID, "policy is %u: expected CUFRAMES_POLICY_WAIT or _DROP", o->policy);
  if (o->reserve > CUFRAMES_RESERVE_FULL)
    return cf_fail(CUFRAMES_ERR_INVALID, "reserve is %u: expected CUFRAMES_RESERVE_NEED or _FULL", o->reserve);
  if (o->ordered_timeout_ns < 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "ordered_timeout_ns is negative: expected 0 (1 s) or more");
  if ((o->allow_uid_count && !o->allow_uids) || (o->allow_gid_count && !o->allow_gids))
    return cf_fail(CUFRAMES_ERR_INVALID, "allow_uids or allow_gids is NULL, and its count is not 0");
  return CUFRAMES_OK;
}

static bool list_has(const uint32_t *list, size_t count, uint32_t id) {
  for (size_t i = 0; list && i < count; i++)
    if (list[i] == id)
      return true;
  return false;
}

bool cf_publisher_allows(const cuframes_publisher *publisher, const cf_credentials *who) {
  return publisher->access == CUFRAMES_ACCESS_DIRECTORY || who->uid == geteuid() ||
         list_has(publisher->allow_uids, publisher->allow_uid_count, who->uid) ||
         list_has(publisher->allow_gids, publisher->allow_gid_count, who->gid);
}

static int list_copy(const uint32_t *list, size_t count, uint32_t **copy) {
  if (count == 0)
    return CUFRAMES_OK;
  *copy = malloc(count * sizeof **copy);
  if (!*copy)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  memcpy(*copy, list, count * sizeof **copy);
  return CUFRAMES_OK;
}

/* ---- creation ---- */

static uint32_t power_of_two_from(uint32_t value) {
  uint32_t power = 64;
  while (power < value)
    power *= 2;
  return power;
}

static int exchange_create(cuframes_publisher *p, const cuframes_publisher_options *o) {
  /* while a format changes, slots of the old one are still pinned */
  uint32_t capacity = power_of_two_from(2 * o->max_slots);
  p->control_bytes = cf_page_round(cf_control_bytes(capacity));
  p->notes = cf_memory_lines(capacity * sizeof *p->notes);
  p->frames = cf_memory_lines(o->max_open * sizeof *p->frames);
  p->handles = cf_handles_create();
  if (!p->notes || !p->frames || !p->handles)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  for (uint32_t i = 0; i < o->max_open; i++)
    p->frames[i] = (cf_frame){ .ops = &cf_publisher_frame_ops, .owner = p, .device = p->device, .lease = i };
  cf_publisher_find_code(p);
  cf_uses_open(&p->uses, p->device, o->max_open + (o->external ? capacity : 0));
  p->started = cf_now();
  if (getrandom(&p->instance, sizeof p->instance, 0) != sizeof p->instance)
    return cf_fail_errno("getrandom");
  int result = cf_memory_create("cuframes-control", p->control_bytes, CF_SEAL_PUBLIC, &p->control_fd, &p->control);
  if (result != CUFRAMES_OK)
    return result;
  cf_writer_init(&p->writer, p->control, capacity, p->notes, p->instance, 1);
  p->writer.spare = o->external || o->reserve == CUFRAMES_RESERVE_FULL ? 0 : CF_SPARE_SLOTS;
  cf_writer_set_side_data_max(&p->writer, o->side_data_max);
  result = cf_completer_open(&p->completer, p->device, &p->writer, p->control, p->control_bytes);
  if (result != CUFRAMES_OK)
    return result;
  cf_pool_plan plan = { .format = o->format,
                        .base_slots = o->slots,
                        .max_slots = o->max_slots,
                        .max_open = o->max_open,
                        .side_data_max = o->side_data_max,
                        .external = o->external != 0,
                        .full = o->reserve == CUFRAMES_RESERVE_FULL };
  return cf_pool_init(&p->pool, p->device, &p->writer, &plan);
}

/* Whatever it made when it fails is the publisher's, and cuframes_publisher_destroy() frees it. */
static int publisher_fill(cuframes_publisher *p, const char *name, const cuframes_publisher_options *o) {
  int result = list_copy(o->allow_uids, o->allow_uid_count, &p->allow_uids);
  if (result != CUFRAMES_OK)
    return result;
  result = list_copy(o->allow_gids, o->allow_gid_count, &p->allow_gids);
  if (result != CUFRAMES_OK)
    return result;
  cf_device_request request = { .name = o->device, .legacy = o->memory == CUFRAMES_MEMORY_LEGACY };
  result = cf_device_open(&request, &p->device);
  if (result != CUFRAMES_OK)
    return result;
  if (o->external && !p->device->has_streams)
    return cf_fail(CUFRAMES_ERR_UNSUPPORTED, "external buffers are GPU memory; the device is %s", p->device->name);
  result = exchange_create(p, o);
  if (result != CUFRAMES_OK)
    return result;
  if (o->packets)
    result = cuframes_publisher_enable_packets(p, o->packets);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_claim_take(o->directory, name, &p->claim); /* after what needs memory: no name is taken in vain */
  return result != CUFRAMES_OK ? result : cf_service_start(p);
}

/* The options that a publisher is made with, checked and with their defaults. */
static int options_take(const char *name, const cuframes_publisher_options *options, cuframes_publisher_options *o) {
  int result = cf_name_check(name);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_options_copy(o, sizeof *o, options, "cuframes_publisher_options");
  if (result != CUFRAMES_OK)
    return result;
  result = options_check(o);
  if (result != CUFRAMES_OK)
    return result;
  cuframes_format checked = o->format;
  return cf_pool_format_is_none(&o->format) ? CUFRAMES_OK : cuframes_format_layout(&checked, 0, NULL);
}

int cuframes_publisher_create(const char *name, const cuframes_publisher_options *options,
                              cuframes_publisher **publisher) {
  cuframes_publisher_options o;
  if (!publisher || !options)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_create: options and publisher must be given");
  int result = options_take(name, options, &o);
  if (result != CUFRAMES_OK)
    return result;
  cuframes_publisher *p = cf_memory_lines(sizeof *p);
  if (!p)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  p->maker = cf_process_here();
  strncpy(p->name, name, sizeof p->name - 1);
  if (o.description)
    strncpy(p->description, o.description, sizeof p->description - 1);
  p->logger = (cf_logger){ o.log, o.log_user };
  p->interrupt = (cf_interrupt){ o.interrupt, o.interrupt_user };
  cf_log_limit_init(&p->log_limit, p->name);
  p->claim.lock = p->claim.directory = p->control_fd = -1;
  p->policy = o.policy;
  p->ordered_timeout_ns = o.ordered_timeout_ns;
  p->max_open = o.max_open;
  p->max_subscribers = o.max_subscribers;
  p->max_leases = o.max_leases;
  p->max_depth = o.max_depth;
  p->access = o.access;
  p->allow_uid_count = o.allow_uid_count;
  p->allow_gid_count = o.allow_gid_count;
  p->socket_mode = (mode_t)o.socket_mode;
  p->socket_gid = o.socket_gid;
  pthread_mutex_init(&p->source.lock, NULL);
  cf_uses_init(&p->uses);
  cf_flag_set(&p->references, 1);
  cf_packets_init(&p->packets);
  result = publisher_fill(p, name, &o);
  if (result != CUFRAMES_OK) {
    cuframes_publisher_destroy(p);
    return result;
  }
  *publisher = p;
  return CUFRAMES_OK;
}

/* No more frames or packets; wakes everybody. */
void cf_publisher_end_stream(cuframes_publisher *p) {
  cf_writer_end(&p->writer);
  (void)cf_futex_wake(&p->writer.control->wake, INT32_MAX);
  if (p->packets.enabled) {
    cf_packet_writer_end(&p->packets.writer);
    (void)cf_futex_wake(&p->packets.writer.region->wake, INT32_MAX);
  }
}

void cf_publisher_hold(cuframes_publisher *p) {
  (void)cf_flag_add(&p->references, 1);
}

void cf_publisher_drop(cuframes_publisher *p) {
  if (cf_flag_add(&p->references, -1) > 0)
    return;
  (void)cf_completer_free_deferred(&p->completer, true);
  cf_pool_free(&p->pool);
  cf_completer_close(&p->completer);
  cf_uses_close(&p->uses);
  cf_memory_unmap(p->control, p->control_bytes);
  cf_close(p->control_fd);
  cf_device_close(p->device);
  cf_handles_drop(p->handles);
  pthread_mutex_destroy(&p->source.lock);
  pthread_mutex_destroy(&p->log_limit.lock);
  free(p->frames);
  free(p->notes);
  free(p->allow_uids);
  free(p->allow_gids);
  free(p);
}

void cuframes_publisher_destroy(cuframes_publisher *p) {
  if (!p)
    return;
  if (!cf_process_is(p->maker)) {
    cf_publisher_forget(p);
    return;
  }
  cf_completer_quiesce(&p->completer); /* the last frames become complete */
  if (p->service.running)
    cf_publisher_end_stream(p);
  cf_service_stop(p);
  cf_claim_drop(&p->claim);
  cf_packets_free(&p->packets);
  cf_flag_set(&p->destroyed, 1);
  if (p->handles && p->frames)
    cf_publisher_end_frames(p);
  if (p->handles)
    cf_handles_wait_for_helpers(p->handles);
  cf_publisher_drop(p); /* or the last frame that is still in hand does */
}

/* ---- looking at it ---- */

/* How often it is looked whether an ordered subscriber has begun, or has taken all, which rings nobody. */
#define SEATS_AGAIN_NS (2 * CF_MS)

static uint32_t seats_count(cuframes_publisher *p, uint32_t (*count)(cf_frame_writer *writer, uint32_t packet_wake)) {
  cf_lock_take(&p->frame_lock);
  uint32_t seats = count(&p->writer, cf_packets_wake(&p->packets));
  cf_lock_give(&p->frame_lock);
  return seats;
}

/* Until it is worth another look: somebody joins, or with `again` soon. TIMEOUT: the time is over; or INTERRUPTED. */
static int seats_wait(cuframes_publisher *p, uint32_t joined, bool again, int64_t deadline, int64_t *ask_at) {
  int64_t now = cf_now();
  if (now >= *ask_at || cf_flag_get(&p->interruptions) != cf_flag_get(&p->interruptions_seen[CF_WAIT_SUBSCRIBERS])) {
    int result = cf_publisher_check_interrupt(p, CF_WAIT_SUBSCRIBERS);
    if (result != CUFRAMES_OK)
      return result;
    *ask_at = cf_interrupt_until(&p->interrupt, CF_NEVER);
  }
  if (now >= deadline)
    return CUFRAMES_ERR_TIMEOUT;
  int64_t until = again && now + SEATS_AGAIN_NS < deadline ? now + SEATS_AGAIN_NS : deadline;
  cf_publisher_sleep(p, CF_WAIT_SUBSCRIBERS, (cf_futex_pair){ &p->service.joined.value, joined }, until);
  return CUFRAMES_OK;
}

int cuframes_publisher_wait_subscribers(cuframes_publisher *p, uint32_t count, int64_t timeout_ns) {
  int64_t deadline = cf_deadline(timeout_ns), ask_at = 0;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_wait_subscribers: no publisher given");
  int result = cf_publisher_check(p);
  if (result != CUFRAMES_OK)
    return result;
  for (;;) {
    uint32_t joined = cf_flag_get(&p->service.joined); /* before the look */
    uint32_t ready = seats_count(p, cf_writer_ready_seats);
    if (ready >= count)
      return CUFRAMES_OK;
    result = seats_wait(p, joined, cf_counter_get(&p->service.subscribers) > ready, deadline, &ask_at);
    if (result == CUFRAMES_ERR_TIMEOUT)
      return cf_fail(result, "%u of %u subscribers have joined in the time given", ready, count);
    if (result != CUFRAMES_OK)
      return result;
  }
}

int cuframes_publisher_drain(cuframes_publisher *p, int64_t timeout_ns) {
  int64_t deadline = cf_deadline(timeout_ns), ask_at = 0;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_drain: no publisher given");
  int result = cf_publisher_check(p);
  if (result != CUFRAMES_OK)
    return result;
  for (;;) {
    uint32_t joined = cf_flag_get(&p->service.joined); /* before the look */
    uint32_t behind = seats_count(p, cf_writer_behind_seats);
    if (behind == 0)
      return CUFRAMES_OK;
    result = seats_wait(p, joined, true, deadline, &ask_at);
    if (result == CUFRAMES_ERR_TIMEOUT)
      return cf_fail(result, "%u subscribers have not taken all in the time given", behind);
    if (result != CUFRAMES_OK)
      return result;
  }
}

int cuframes_publisher_get_stats(cuframes_publisher *p, cuframes_publisher_stats *stats) {
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_get_stats: no publisher given");
  int result = cf_publisher_check(p);
  if (result != CUFRAMES_OK)
    return result;
  cuframes_publisher_stats s = {
    .subscribers = (uint32_t)cf_counter_get(&p->service.subscribers),
    .slots = (uint32_t)cf_counter_get(&p->pool.slot_count),
    .segments = (uint32_t)cf_counter_get(&p->pool.segment_count),
    .frames = cf_counter_get(&p->published),
    .dropped = cf_counter_get(&p->dropped),
    .evictions = cf_counter_get(&p->evictions),
    .waits = cf_counter_get(&p->waits),
    .packets = cf_counter_get(&p->packets.count),
    .packet_bytes = cf_counter_get(&p->packets.byte_count),
    .memory_bytes = cf_publisher_memory(p),
    .released_twice = cf_handles_ended_twice(p->handles),
  };
  return cf_stats_give(stats, &s, sizeof s, "cuframes_publisher_stats");
}

uint64_t cf_publisher_memory(const cuframes_publisher *p) {
  return cf_counter_get(&p->pool.memory_bytes) + p->control_bytes + cf_counter_get(&p->packets.memory_bytes) +
         cf_counter_get(&p->seat_bytes);
}

const char *cuframes_publisher_device(const cuframes_publisher *p, const char **reason) {
  if (reason)
    *reason = p ? p->device->reason : NULL;
  return p ? p->device->name : NULL;
}
