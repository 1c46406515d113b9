/* commands.c - cameras put into the bucket and taken out of it. */
#include "commands.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camera.h"
#include "say.h"

static int failed(const bus *b, const char *what) {
  say("%s: %s", what, bus_error(b));
  return 1;
}

/* The object of one camera, without its name, which is its key. */
static json_t *value_of(const json_t *stream) {
  json_t *value = json_deep_copy(stream);
  (void)json_object_del(value, "name");
  return value;
}

/* Everything is read before anything is written: a file that is wrong changes nothing. */
static int check_streams(const char *path, const json_t *streams, bool trusted) {
  for (size_t i = 0; i < json_array_size(streams); i++) {
    const char *name = json_string_value(json_object_get(json_array_get(streams, i), "name"));
    char *text = json_dumps(json_array_get(streams, i), JSON_COMPACT);
    camera_info c;
    camera_read(&c, name ? name : "", text ? text : "", text ? strlen(text) : 0, trusted);
    const bool good = c.stream != NULL;
    if (!good)
      say("%s: stream %zu%s%.63s: %s", path, i + 1, name ? ", " : "", name ? name : "", c.why);
    camera_free(&c);
    free(text);
    if (!good)
      return 2;
    for (size_t k = 0; k < i; k++)
      if (json_equal(json_object_get(json_array_get(streams, k), "name"),
                     json_object_get(json_array_get(streams, i), "name"))) {
        say("%s: two streams are called \"%s\"", path, name);
        return 2;
      }
  }
  return 0;
}

int command_put(bus *b, const char *path, bool trusted) {
  json_error_t error;
  json_t *file = strcmp(path, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
                                        : json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  const json_t *streams = json_object_get(file, "streams");
  size_t changed = 0;
  int code = 0;
  if (file == NULL && error.line < 0) {
    say("%s", error.text);
    code = 1;
  } else if (!json_is_array(streams)) {
    say("%s:%d: wants {\"streams\": [...]}, as the file of `cuframes publish --config`", path, file ? 1 : error.line);
    code = 2;
  } else {
    code = check_streams(path, streams, trusted);
  }
  for (size_t i = 0; code == 0 && i < json_array_size(streams); i++) {
    const json_t *stream = json_array_get(streams, i);
    const char *name = json_string_value(json_object_get(stream, "name"));
    json_t *value = value_of(stream);
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL, *before = NULL;
    uint64_t revision = 0;
    /* what is as before is not written: that would begin its stream anew */
    const bus_answer known = bus_read(b, BUS_CAMERAS, name, &before, &revision);
    const bool same = known == BUS_OK && text && strcmp(text, before) == 0;
    if (text == NULL || (!same && bus_write(b, BUS_CAMERAS, name, text, BUS_ANYTHING, NULL) != BUS_OK))
      code = failed(b, name);
    changed += !same && code == 0;
    free(before);
    free(text);
    json_decref(value);
  }
  if (code == 0)
    printf("%zu cameras, %zu of them new or changed\n", json_array_size(streams), changed);
  json_decref(file);
  return code;
}

int command_get(bus *b, const char *name) {
  bus_view view = { .bucket = BUS_CAMERAS };
  if (bus_look(b, &view) != BUS_OK)
    return failed(b, "cameras");
  json_t *streams = json_array();
  size_t found = 0;
  for (size_t i = 0; i < view.count; i++) {
    const bus_entry *entry = &view.entries[i];
    json_t *value = json_loadb(entry->value, entry->length, 0, NULL);
    if (name && strcmp(entry->key, name) != 0) {
      json_decref(value);
      continue;
    }
    found++;
    if (json_is_object(value) && json_object_set_new(value, "name", json_string(entry->key)) == 0)
      (void)json_array_append(streams, value);
    else
      say("%.80s: its value is no JSON object", entry->key);
    json_decref(value);
  }
  json_t *file = json_pack("{s:o}", "streams", streams);
  (void)json_dumpf(file, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
  putchar('\n');
  json_decref(file);
  bus_view_free(&view);
  if (name && found == 0) {
    say("no camera \"%.80s\"", name);
    return 3;
  }
  return 0;
}

int command_rm(bus *b, char *const *names, int count) {
  int code = 0;
  for (int i = 0; i < count && code != 1; i++) {
    char *value = NULL;
    uint64_t revision = 0;
    const bus_answer answer = bus_read(b, BUS_CAMERAS, names[i], &value, &revision);
    free(value);
    if (answer == BUS_ABSENT) {
      say("no camera \"%.80s\"", names[i]);
      code = 3;
    } else if (answer != BUS_OK || bus_write(b, BUS_CAMERAS, names[i], NULL, BUS_ANYTHING, NULL) != BUS_OK) {
      code = failed(b, names[i]);
    }
  }
  return code;
}
