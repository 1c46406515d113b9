/* leases.c - keeping the leases of this node's cameras, and what becomes of them when that is not possible. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "say.h"

/* What somebody has written as the lease of a camera. */
typedef struct lease {
  uint64_t revision, epoch;
  bool ours, is_live;
  char node[CAMERA_NAME_MAX + 1];
} lease;

static bus_answer read_lease(const agent *a, const char *name, lease *l) {
  char *text = NULL;
  *l = (lease){ .revision = 0 };
  const bus_answer answer = bus_read(a->bus, BUS_LEASES, name, &text, &l->revision);
  if (answer == BUS_OK) {
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const char *owner = json_string_value(json_object_get(value, "node"));
    const char *id = json_string_value(json_object_get(value, "id"));
    const char *state = json_string_value(json_object_get(value, "state"));
    snprintf(l->node, sizeof l->node, "%s", owner ? owner : "?");
    l->ours = owner && id && strcmp(owner, a->options->node) == 0 && strcmp(id, a->id) == 0;
    l->is_live = state && strcmp(state, "live") == 0;
    l->epoch = (uint64_t)json_integer_value(json_object_get(value, "epoch"));
    l->epoch = l->epoch ? l->epoch : l->revision; /* the claim itself cannot know its own */
    json_decref(value);
  }
  free(text);
  return answer;
}

/* Time counts from before the request: the server's clock for it began later. */
static bus_answer write_lease(agent *a, held *h, uint64_t expected) {
  const int64_t before = agent_clock();
  char *text = registry_lease(a, h);
  uint64_t revision = 0;
  const bus_answer answer = text ? bus_write(a->bus, BUS_LEASES, h->name, text, expected, &revision) : BUS_AWAY;
  free(text);
  if (answer == BUS_OK) {
    h->revision = revision;
    h->until = before + bus_ttl(a->bus);
    h->superseded = 0;
    h->cold = false;
    snprintf(h->told, sizeof h->told, "%s", h->state);
    if (h->epoch == 0) {
      h->epoch = revision;
      a->held.changed = true;
    }
  }
  return answer;
}

/* Another node has it. An exclusive camera rests at once; any other goes on until it is seen there, so that there is no
 * gap, but not for ever: the other one's camera may never come up. */
static void give_way(agent *a, held *h, const lease *l) {
  const bool was_offered = h->offered != 0;
  if (h->superseded == 0) {
    h->superseded = a->now;
    h->offered = 0;
    if (!was_offered)
      say("camera %s: node %s has it, epoch %" PRIu64 " above %" PRIu64, h->name, l->node, l->epoch, h->epoch);
  }
  if (h->exclusive || h->cold || l->is_live || a->now - h->superseded > bus_ttl(a->bus)) {
    if (was_offered || !h->cold)
      say("camera %s: ends here, node %s runs it", h->name, l->node);
    h->dropped = true;
    a->tell = true;
  }
}

/* The last revision is not ours, or not known: an answer was lost, the lease has expired, or another node has it. */
static bus_answer resolve(agent *a, held *h) {
  lease l;
  bus_answer answer = read_lease(a, h->name, &l);
  if (answer == BUS_ABSENT) {
    const uint64_t epoch = h->epoch;
    h->epoch = 0;
    answer = write_lease(a, h, l.revision);
    if (answer != BUS_OK)
      h->epoch = epoch;
    return answer;
  }
  if (answer != BUS_OK)
    return answer;
  if (l.ours) {
    h->epoch = l.epoch;
    a->held.changed = true;
    return write_lease(a, h, l.revision);
  }
  give_way(a, h, &l);
  return BUS_OK;
}

static bool is_due(const agent *a, const held *h) {
  const int64_t ttl = bus_ttl(a->bus);
  if (h->offered && a->now - h->offered < ttl / 3)
    return a->now - h->offered > 0; /* looked at each time: has it been taken? */
  return h->superseded || strcmp(h->state, h->told) != 0 || a->now >= h->until - ttl * 3 / 4;
}

static bus_answer renew(agent *a, held *h) {
  if (h->offered && a->now - h->offered < bus_ttl(a->bus) / 3) {
    lease l;
    const bus_answer answer = read_lease(a, h->name, &l);
    if (answer == BUS_OK && !l.ours)
      give_way(a, h, &l);
    return answer == BUS_ABSENT ? BUS_OK : answer;
  }
  if (h->offered) {
    h->offered = 0; /* nobody took it */
    a->tell = true;
  }
  bus_answer answer = BUS_TAKEN;
  if (h->revision != 0 && !h->superseded)
    answer = write_lease(a, h, h->revision);
  return answer == BUS_TAKEN ? resolve(a, h) : answer;
}

bool leases_renew(agent *a) {
  for (size_t i = 0; i < a->held.count; i++) {
    held *h = &a->held.cameras[i];
    if (h->dropped || !is_due(a, h))
      continue;
    const bus_answer answer = renew(a, h);
    if (answer == BUS_AWAY)
      return false; /* the others would wait in vain, too */
  }
  return true;
}

void leases_expire(agent *a) {
  size_t unconfirmed = 0;
  for (size_t i = 0; i < a->held.count; i++)
    if (a->held.cameras[i].until < a->now)
      unconfirmed++;
  if (unconfirmed > 0 && a->there_since == 0 && !a->said_away) {
    say("no control plane, %zu cameras go on unconfirmed: %s", unconfirmed, bus_error(a->bus));
    a->said_away = true;
  }
}
