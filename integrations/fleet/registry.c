/* registry.c - what this node says of itself and of its cameras. */
#include <cuframes/cuframes.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "say.h"

#define LOOK_MOST (SECOND / 2)

/* Those that another node has taken over are that one's, though they run here until they are seen there. */
static unsigned count_own(const agent *a) {
  unsigned count = 0;
  for (size_t i = 0; i < a->held.count; i++)
    count += a->held.cameras[i].superseded == 0 && !a->held.cameras[i].dropped;
  return count;
}

node_info agent_self(const agent *a) {
  return (node_info){ .name = a->options->node,
                      .labels = a->options->labels,
                      .cameras = count_own(a),
                      .most = a->options->cameras_most,
                      .leaving = a->leaving };
}

void registry_problem(agent *a, const char *name, uint64_t revision, const char *why) {
  char text[CAMERA_WHY_MAX];
  const json_t *known = json_object_get(a->problems, name);
  if (known && (uint64_t)json_integer_value(json_object_get(known, "camera")) == revision)
    return;
  snprintf(text, sizeof text, "%s", why);
  say("camera %.80s: %s", name, text);
  (void)json_object_set_new(a->problems, name,
                            json_pack("{s:I,s:s+}", "camera", (json_int_t)revision, "why", text, ""));
  a->tell = true;
}

/* The moves that this node offers, and a part of what is wrong that fits into any value. */
static json_t *moves_of(const agent *a) {
  json_t *moves = json_object();
  for (size_t i = 0; i < a->held.count; i++)
    if (a->held.cameras[i].offered)
      (void)json_object_set_new(moves, a->held.cameras[i].name, json_string(a->held.cameras[i].offered_to));
  return moves;
}

static json_t *problems_of(const agent *a) {
  json_t *some = json_object(), *value;
  const char *name;
  json_object_foreach(a->problems, name, value) {
    if (json_object_size(some) < AGENT_PROBLEMS_MOST)
      (void)json_object_set(some, name, json_object_get(value, "why"));
  }
  return some;
}

bus_answer registry_tell_node(agent *a) {
  const agent_options *o = a->options;
  json_t *value =
      json_pack("{s:i,s:s,s:s,s:i,s:i,s:i,s:O,s:s*,s:b,s:b,s:o,s:o,s:s}", "v", 1, "node", o->node, "id", a->id,
                "cameras", (int)count_own(a), "cameras_max", (int)o->cameras_most, "decoders", (int)o->decoders,
                "labels", o->labels, "address", o->address, "leaving", (int)a->leaving, "makes_room",
                (int)a->makes_room, "moves", moves_of(a), "problems", problems_of(a), "version", cuframes_version());
  char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
  bus_answer answer = text ? bus_write(a->bus, BUS_NODES, o->node, text, BUS_ANYTHING, NULL) : BUS_AWAY;
  if (answer == BUS_OK) {
    a->told_at = a->now;
    a->tell = false;
  }
  free(text);
  json_decref(value);
  return answer;
}

char *registry_lease(const agent *a, const held *h) {
  json_t *value = json_pack("{s:i,s:s,s:s,s:I,s:s,s:s*,s:s*}", "v", 1, "node", a->options->node, "id", a->id, "epoch",
                            (json_int_t)h->epoch, "state", h->state, "address", a->options->address, "codec",
                            *h->codec ? h->codec : NULL);
  char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
  json_decref(value);
  return text;
}

static const char *word_of(uint32_t state) {
  switch (state) {
    case CUFRAMES_SOURCE_LIVE: return "live";
    case CUFRAMES_SOURCE_CONNECTING: return "connecting";
    case CUFRAMES_SOURCE_STALLED: return "stalled";
    case CUFRAMES_SOURCE_RECONNECTING: return "reconnecting";
    case CUFRAMES_SOURCE_REFUSED: return "refused";
    case CUFRAMES_SOURCE_ENDED: return "ended";
    default: return "unknown";
  }
}

static void look_at(held *h, const cuframes_stream_info *info) {
  snprintf(h->state, sizeof h->state, "%s",
           info->source->state == CUFRAMES_SOURCE_UNKNOWN && info->frames > 0 ? "live" : word_of(info->source->state));
  for (size_t i = 0; i < info->track_count; i++)
    if (info->tracks[i]->media_type == CUFRAMES_MEDIA_VIDEO) {
      snprintf(h->codec, sizeof h->codec, "%s", info->tracks[i]->codec);
      break;
    }
}

/* Those that are live are looked at seldom. */
static bool is_time_to_look(const agent *a) {
  bool wanted = a->now - a->told_at >= bus_ttl(a->bus) / 4;
  for (size_t i = 0; i < a->held.count; i++)
    wanted = wanted || strcmp(a->held.cameras[i].state, "live") != 0;
  return wanted && a->held.count > 0;
}

void registry_look(agent *a) {
  cuframes_streams *streams = NULL;
  held *cameras = a->held.cameras;
  if (cameras == NULL || !is_time_to_look(a))
    return;
  if (cuframes_stream_list(a->options->directory, LOOK_MOST, &streams) != CUFRAMES_OK)
    return; /* what was seen before is said on */
  for (size_t i = 0; i < a->held.count; i++) {
    held *h = &cameras[i];
    snprintf(h->state, sizeof h->state, "starting");
    for (size_t k = 0; k < streams->count; k++)
      if (streams->entries[k]->info && strcmp(streams->entries[k]->name, h->name) == 0)
        look_at(h, streams->entries[k]->info);
  }
  cuframes_streams_free(streams);
}

static void free_nodes(agent *a) {
  for (size_t i = 0; a->others && i < a->others_count; i++)
    json_decref(a->others[i].value);
  free(a->others);
  a->others = NULL;
  a->others_count = 0;
}

void registry_read_nodes(agent *a) {
  if (a->others && a->others_of == a->nodes.changes)
    return;
  free_nodes(a);
  a->others = calloc(a->nodes.count + 1, sizeof *a->others);
  for (size_t i = 0; a->others && i < a->nodes.count; i++) {
    const bus_entry *entry = &a->nodes.entries[i];
    if (strcmp(entry->key, a->options->node) != 0 &&
        node_read(&a->others[a->others_count], entry->key, entry->value, entry->length))
      a->others_count++;
  }
  a->others_of = a->nodes.changes;
  if (a->others_count != a->members) {
    a->members = a->others_count;
    a->members_since = a->now;
  }
}
