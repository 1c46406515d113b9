/* claims.c - which cameras this node claims, takes over, and gives away.
 *
 * A camera without a lease is claimed at once by the node that it belongs to, and by the next in order a little later
 * each: so a node that does not come forward keeps nobody waiting for long. A camera with a lease changes its node only
 * where its owner offers it to that one, in its own value in the bucket of nodes, and stops renewing for the time; the
 * claim is a write over the lease as it is, and the owner ends when pictures come from the new one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "say.h"

#define CLAIMS_AT_ONCE 64 /* then leases are renewed, and others told how much room is left */

typedef struct looking {
  agent *a;
  size_t unknown; /* leases of cameras that are not wanted any more */
} looking;

static vacancy *find_vacancy(const agent *a, const char *name) {
  size_t low = 0, high = a->vacancy_count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = strcmp(a->vacancies[middle].name, name);
    if (order == 0)
      return &a->vacancies[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

/* The list has each camera of the view, in its order; `since` 0: it has a lease. */
static bool make_list(agent *a) {
  vacancy *fresh = calloc(a->cameras.count + 1, sizeof *fresh);
  size_t count = 0;
  if (fresh == NULL)
    return false;
  for (size_t i = 0; i < a->cameras.count; i++)
    if (camera_name_is_valid(a->cameras.entries[i].key)) {
      vacancy *v = &fresh[count++];
      snprintf(v->name, sizeof v->name, "%s", a->cameras.entries[i].key);
      const vacancy *before = find_vacancy(a, v->name);
      v->since = before ? before->since : a->now;
    }
  free(a->vacancies);
  a->vacancies = fresh;
  a->vacancy_count = count;
  return true;
}

static void see_lease(void *user, const char *name) {
  looking *l = user;
  vacancy *v = find_vacancy(l->a, name);
  if (v)
    v->seen = true;
  else
    l->unknown++;
}

/* Asks which leases there are. Their number is asked first where the last look found all cameras with one. */
static bus_answer look_for_vacancies(agent *a) {
  looking l = { .a = a };
  size_t count = 0;
  if (!make_list(a))
    return BUS_AWAY;
  for (size_t i = 0; i < a->vacancy_count; i++)
    a->vacancies[i].seen = false;
  const bus_answer answer = bus_keys(a->bus, BUS_LEASES, see_lease, &l, &count);
  if (answer != BUS_OK)
    return answer;
  for (size_t i = 0; i < a->vacancy_count; i++) {
    vacancy *v = &a->vacancies[i];
    if (v->seen)
      v->since = 0;
    else if (v->since == 0)
      v->since = a->now;
  }
  return BUS_OK;
}

static bool all_have_one(const agent *a) {
  size_t count = 0;
  if (a->vacancy_count != a->cameras.count || a->now - a->looked_at > bus_ttl(a->bus) / 4)
    return false;
  for (size_t i = 0; i < a->vacancy_count; i++)
    if (a->vacancies[i].since != 0)
      return false;
  return bus_keys(a->bus, BUS_LEASES, NULL, NULL, &count) == BUS_OK && count >= a->cameras.count;
}

/* What the bucket says of a camera, or false: it cannot be used, which is reported. */
static bool read_camera(agent *a, const bus_entry *entry, camera_info *c) {
  const json_t *known = json_object_get(a->problems, entry->key);
  if (known && (uint64_t)json_integer_value(json_object_get(known, "camera")) == entry->revision)
    return false;
  camera_read(c, entry->key, entry->value, entry->length, a->options->trusted);
  if (c->stream == NULL)
    registry_problem(a, entry->key, entry->revision, c->why);
  return c->stream != NULL;
}

/* Writes this node over what is there (0: nothing). */
static bus_answer claim(agent *a, const bus_entry *entry, const camera_info *c, uint64_t expected) {
  held fresh = { .revision = 0, .state = "starting" };
  snprintf(fresh.name, sizeof fresh.name, "%s", entry->key);
  const int64_t before = agent_clock();
  char *text = registry_lease(a, &fresh);
  uint64_t revision = 0;
  const bus_answer answer = text ? bus_write(a->bus, BUS_LEASES, entry->key, text, expected, &revision) : BUS_AWAY;
  free(text);
  held *h = answer == BUS_OK ? held_add(&a->held, entry->key) : NULL;
  if (h) {
    held_describe(h, c, entry->revision);
    h->epoch = h->revision = revision;
    h->until = before + bus_ttl(a->bus);
    a->tell = true;
    say("camera %s: claimed, epoch %llu", h->name, (unsigned long long)revision);
  }
  return answer;
}

bool claims_make(agent *a) {
  node_info self = agent_self(a);
  if (a->leaving || a->now < a->claims_after || !node_has_room(&self) || all_have_one(a))
    return true;
  if (look_for_vacancies(a) != BUS_OK)
    return false;
  a->looked_at = a->now;
  size_t made = 0;
  for (size_t i = 0; i < a->vacancy_count && made < CLAIMS_AT_ONCE && node_has_room(&self); i++) {
    const vacancy *v = &a->vacancies[i];
    const bus_entry *entry = v->since ? bus_view_find(&a->cameras, v->name) : NULL;
    camera_info c;
    if (entry == NULL || held_find(&a->held, v->name) || !read_camera(a, entry, &c))
      continue;

    const size_t rank = place_rank(v->name, c.labels, &self, a->others, a->others_count);
    if (node_can(&self, c.labels) && a->now - v->since >= (int64_t)rank * (bus_ttl(a->bus) / 4)) {
      const bus_answer answer = claim(a, entry, &c, 0);
      made++;
      if (answer == BUS_AWAY) {
        camera_free(&c);
        return false;
      }
      self = agent_self(a);
    }
    camera_free(&c);
  }
  return true;
}

/* One camera that another node offers to this one. */
static bus_answer take_over(agent *a, const node_info *from, const char *name) {
  const bus_entry *entry = bus_view_find(&a->cameras, name);
  const node_info self = agent_self(a);
  camera_info c;
  if (entry == NULL || held_find(&a->held, name) || !read_camera(a, entry, &c))
    return BUS_OK;
  char *text = NULL;
  uint64_t revision = 0;
  bus_answer answer = BUS_OK;
  /* Its own number here is what it is now, as is that of the other one in the value with the offer: what either knew of
   * the other may be old. Who leaves, or makes room, gives whatever the balance. */
  if (node_can(&self, c.labels) && (from->leaving || from->makes_room || place_is_uneven(from, &self)))
    answer = bus_read(a->bus, BUS_LEASES, name, &text, &revision);
  if (text && answer == BUS_OK) {
    json_t *value = json_loads(text, 0, NULL);
    const char *owner = json_string_value(json_object_get(value, "node"));
    if (owner && strcmp(owner, from->name) == 0)
      answer = claim(a, entry, &c, revision);
    json_decref(value);
  }
  free(text);
  camera_free(&c);
  return answer;
}

bool claims_take_offers(agent *a) {
  for (size_t i = 0; i < a->others_count && !a->leaving; i++) {
    const char *name;
    json_t *to;
    json_object_foreach((json_t *)a->others[i].moves, name, to) {
      if (json_is_string(to) && strcmp(json_string_value(to), a->options->node) == 0 &&
          take_over(a, &a->others[i], name) == BUS_AWAY)
        return false;
    }
  }
  return true;
}

void claims_offer(agent *a, held *h, const node_info *to) {
  snprintf(h->offered_to, sizeof h->offered_to, "%s", to->name);
  h->offered = a->now;
  a->tell = true;
  say("camera %s: offered to node %s", h->name, to->name);
}

/* Whether some camera has long been without a place that only nodes like this one could have, which is full. */
static bool is_in_the_way(agent *a) {
  node_info self = agent_self(a);
  self.most++; /* had it room */
  for (size_t i = 0; i < a->vacancy_count; i++) {
    const vacancy *v = &a->vacancies[i];
    const bus_entry *entry =
        v->since && a->now - v->since > bus_ttl(a->bus) ? bus_view_find(&a->cameras, v->name) : NULL;
    camera_info c;
    if (entry == NULL || !read_camera(a, entry, &c))
      continue;
    bool fits = node_can(&self, c.labels);
    for (size_t k = 0; k < a->others_count; k++)
      fits = fits && !node_can(&a->others[k], c.labels);
    camera_free(&c);
    if (fits)
      return true;
  }
  return false;
}

/* The camera and the node of all pairs that belong together most. */
static held *best_move(const agent *a, bool any, const node_info **to) {
  const node_info self = agent_self(a);
  double best = 0;
  held *found = NULL;
  for (size_t i = 0; i < a->held.count; i++)
    for (size_t k = 0; k < a->others_count; k++) {
      held *h = &a->held.cameras[i];
      const node_info *other = &a->others[k];
      if (h->exclusive || h->superseded || h->dropped || !node_can(other, h->labels) ||
          !(any || place_is_uneven(&self, other)))
        continue;
      const double weight = place_weight(h->name, other);
      if (weight > best) {
        best = weight;
        found = h;
        *to = other;
      }
    }
  return found;
}

void claims_balance(agent *a) {
  const int64_t ttl = bus_ttl(a->bus);
  const node_info *to = NULL;
  if (a->options->balance_ns == 0 || a->leaving || a->now - a->members_since < ttl || a->now < a->claims_after + ttl)
    return;
  for (size_t i = 0; i < a->held.count; i++)
    if (a->held.cameras[i].offered)
      return;
  const node_info self = agent_self(a);
  if (!node_has_room(&self) && a->now - a->looked_at > ttl / 2 && a->now - a->balanced_at > ttl / 2) {
    a->looked_at = a->now; /* who has room looks anyway */
    if (look_for_vacancies(a) == BUS_OK && is_in_the_way(a)) {
      a->balanced_at = a->now;
      held *h = best_move(a, true, &to);
      if (h) {
        a->makes_room = true;
        claims_offer(a, h, to);
        return;
      }
    }
  }
  if (a->now - a->balanced_at < a->options->balance_ns)
    return;
  a->balanced_at = a->now;
  a->makes_room = false;
  held *h = best_move(a, false, &to);
  if (h)
    claims_offer(a, h, to);
}
