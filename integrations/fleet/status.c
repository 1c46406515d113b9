/* status.c - `cuframes-agent status`: nodes, cameras and what is wrong, as the buckets have it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "camera.h"
#include "commands.h"
#include "say.h"

/* A value that anybody may have written: NULL where it is no object. */
static json_t *object_of(const bus_entry *entry) {
  json_t *value = entry ? json_loadb(entry->value, entry->length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  if (json_is_object(value))
    return value;
  json_decref(value);
  return NULL;
}

/* What may go to a terminal. */
static const char *word(const json_t *object, const char *key, const char *none) {
  const char *text = json_string_value(json_object_get(object, key));
  for (const char *at = text; at && *at; at++)
    if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
      return "?";
  return text && *text ? text : none;
}

/* What nodes say of cameras that none can use: name -> why. */
static json_t *problems_of(const json_t *nodes) {
  json_t *all = json_object(), *node;
  size_t index;
  json_array_foreach(nodes, index, node) {
    const char *name;
    json_t *why;
    json_object_foreach(json_object_get(node, "problems"), name, why) {
      if (json_is_string(why))
        (void)json_object_set(all, name, why);
    }
  }
  return all;
}

static json_t *nodes_of(const bus_view *view) {
  json_t *nodes = json_array();
  for (size_t i = 0; i < view->count; i++) {
    json_t *value = object_of(&view->entries[i]);
    if (value)
      (void)json_array_append_new(nodes, value);
  }
  return nodes;
}

static json_t *camera_row(const bus_entry *entry, const bus_view *leases, const json_t *problems) {
  const bus_entry *lease = bus_view_find(leases, entry->key);
  json_t *value = object_of(lease);
  const json_t *why = json_object_get(problems, entry->key);
  json_int_t epoch = json_integer_value(json_object_get(value, "epoch"));
  if (epoch == 0 && lease)
    epoch = (json_int_t)lease->revision;
  json_t *row = json_pack("{s:s,s:s?,s:s?,s:s?,s:s?,s:s?}", "name", entry->key, "node",
                          json_string_value(json_object_get(value, "node")), "state",
                          value ? word(value, "state", "unknown") : NULL, "codec",
                          json_string_value(json_object_get(value, "codec")), "address",
                          json_string_value(json_object_get(value, "address")), "problem",
                          why     ? json_string_value(why)
                          : value ? NULL
                                  : "has no place");
  (void)json_object_set_new(row, "epoch", value ? json_integer(epoch) : json_null());
  json_decref(value);
  return row;
}

static void print_all(const json_t *nodes, const json_t *cameras, const json_t *strays) {
  size_t index;
  json_t *row;
  printf("%-20s %8s %8s %8s  %s\n", "NODE", "CAMERAS", "MOST", "DECODERS", "ADDRESS");
  json_array_foreach(nodes, index, row) printf(
      "%-20s %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT "  %s%s\n",
      word(row, "node", "?"), json_integer_value(json_object_get(row, "cameras")),
      json_integer_value(json_object_get(row, "cameras_max")), json_integer_value(json_object_get(row, "decoders")),
      word(row, "address", "-"), json_is_true(json_object_get(row, "leaving")) ? ", leaving" : "");
  printf("\n%-24s %-20s %10s %-12s %s\n", "CAMERA", "NODE", "EPOCH", "STATE", "PROBLEM");
  json_array_foreach(cameras, index, row)
      printf("%-24s %-20s %10" JSON_INTEGER_FORMAT " %-12s %s\n", word(row, "name", "?"), word(row, "node", "-"),
             json_integer_value(json_object_get(row, "epoch")), word(row, "state", "-"), word(row, "problem", ""));
  json_array_foreach(strays, index, row) printf("%-24s %-20s %10s %-12s %s\n", word(row, "name", "?"),
                                                word(row, "node", "-"), "", "", "is not wanted any more");
}

/* 0: each camera has a node and nothing is wrong; 5: not so. */
int command_status(bus *b, bool json) {
  bus_view views[BUS_BUCKETS] = { { .bucket = BUS_CAMERAS }, { .bucket = BUS_LEASES }, { .bucket = BUS_NODES } };
  int code = 0;
  for (int i = 0; i < BUS_BUCKETS && code == 0; i++)
    if (bus_look(b, &views[i]) != BUS_OK) {
      say("cannot read the buckets: %s", bus_error(b));
      code = 1;
    }
  if (code == 0) {
    json_t *nodes = nodes_of(&views[BUS_NODES]), *problems = problems_of(nodes), *cameras = json_array();
    json_t *strays = json_array();
    for (size_t i = 0; i < views[BUS_CAMERAS].count; i++) {
      json_t *row = camera_row(&views[BUS_CAMERAS].entries[i], &views[BUS_LEASES], problems);
      code = json_is_null(json_object_get(row, "problem")) ? code : 5;
      (void)json_array_append_new(cameras, row);
    }
    for (size_t i = 0; i < views[BUS_LEASES].count; i++)
      if (bus_view_find(&views[BUS_CAMERAS], views[BUS_LEASES].entries[i].key) == NULL)
        (void)json_array_append_new(strays, camera_row(&views[BUS_LEASES].entries[i], &views[BUS_LEASES], problems));
    json_t *all = json_pack("{s:f,s:O,s:O,s:O}", "ttl_seconds", (double)bus_ttl(b) / 1e9, "nodes", nodes, "cameras",
                            cameras, "unwanted", strays);
    if (json) {
      (void)json_dumpf(all, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
      putchar('\n');
    } else {
      print_all(nodes, cameras, strays);
    }
    json_decref(all);
    json_decref(strays);
    json_decref(cameras);
    json_decref(problems);
    json_decref(nodes);
  }
  for (int i = 0; i < BUS_BUCKETS; i++)
    bus_view_free(&views[i]);
  return code;
}
