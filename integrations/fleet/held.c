/* held.c - the list of cameras that this node has. */
#include "held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "say.h"

held *held_find(const held_list *list, const char *name) {
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->cameras[i].name, name) == 0)
      return &list->cameras[i];
  return NULL;
}

held *held_add(held_list *list, const char *name) {
  held *more = realloc(list->cameras, (list->count + 1) * sizeof *more);
  if (more == NULL)
    return NULL;
  list->cameras = more;
  held *h = &more[list->count++];
  *h = (held){ .stream = NULL };
  snprintf(h->name, sizeof h->name, "%s", name);
  snprintf(h->state, sizeof h->state, "starting");
  list->changed = true;
  return h;
}

static void forget(held *h) {
  json_decref(h->stream);
  json_decref(h->labels);
  h->stream = h->labels = NULL;
}

void held_describe(held *h, const camera_info *c, uint64_t revision) {
  forget(h);
  h->stream = json_incref(c->stream);
  h->labels = json_incref(c->labels);
  h->exclusive = c->exclusive;
  h->camera = revision;
}

void held_sweep(held_list *list) {
  size_t kept = 0;
  for (size_t i = 0; i < list->count; i++) {
    if (list->cameras[i].dropped) {
      forget(&list->cameras[i]);
      list->changed = true;
    } else {
      list->cameras[kept++] = list->cameras[i];
    }
  }
  list->count = kept;
}

void held_save(held_list *list) {
  json_t *cameras = json_object();
  for (size_t i = 0; i < list->count; i++) {
    const held *h = &list->cameras[i];
    (void)json_object_set_new(cameras, h->name,
                              json_pack("{s:I,s:I,s:b,s:O,s:O*}", "epoch", (json_int_t)h->epoch, "camera",
                                        (json_int_t)h->camera, "exclusive", (int)h->exclusive, "stream", h->stream,
                                        "labels", h->labels)); /* one that cannot be kept is claimed anew */
  }
  json_t *file = json_pack("{s:i,s:o}", "v", 1, "cameras", cameras);
  if (file && file_write(list->path, file))
    list->changed = false;
  json_decref(file);
}

void held_load(held_list *list, const char *state_directory) {
  const char *name;
  json_t *value;
  snprintf(list->path, sizeof list->path, "%s/cameras.json", state_directory);
  json_t *file = json_load_file(list->path, JSON_REJECT_DUPLICATES, NULL);
  json_object_foreach(json_object_get(file, "cameras"), name, value) {
    json_t *stream = json_object_get(value, "stream");
    held *h = camera_name_is_valid(name) && json_is_object(stream) ? held_add(list, name) : NULL;
    if (h == NULL)
      continue;
    h->epoch = (uint64_t)json_integer_value(json_object_get(value, "epoch"));
    h->camera = (uint64_t)json_integer_value(json_object_get(value, "camera"));
    h->exclusive = json_is_true(json_object_get(value, "exclusive"));
    h->stream = json_incref(stream);
    h->labels = json_incref(json_object_get(value, "labels"));
  }
  json_decref(file);
  list->changed = false;
}

void held_free(held_list *list) {
  for (size_t i = 0; i < list->count; i++)
    forget(&list->cameras[i]);
  free(list->cameras);
}
