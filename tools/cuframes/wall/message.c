/* message.c - see message.h. */
#include "message.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 40 /* bytes of what came that a message repeats */

static bool wrong(char why[MESSAGE_WHY], const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(char why[MESSAGE_WHY], const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, MESSAGE_WHY, format, arguments);
  va_end(arguments);
  for (char *c = why; *c; c++) /* what was cut off within a character would be no UTF-8 */
    if (*c < ' ' || *c > '~')
      *c = '?';
  return false;
}

/* How deep it goes; strings are passed over. What is not well formed is found later. */
static size_t depth_of(const char *text, size_t length) {
  size_t depth = 0, most = 0;
  bool in_string = false;
  for (size_t i = 0; i < length; i++) {
    const char c = text[i];
    if (in_string && c == '\\')
      i++;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '{' || c == '['))
      most = ++depth > most ? depth : most;
    else if (!in_string && (c == '}' || c == ']') && depth > 0)
      depth--;
  }
  return most;
}

static bool take_name(const json_t *value, const char *where, char name[CUFRAMES_NAME_MAX + 1], char why[MESSAGE_WHY]) {
  const char *text = json_string_value(value);
  if (!text || !*text || strlen(text) > CUFRAMES_NAME_MAX || strlen(text) != json_string_length(value))
    return wrong(why, "%s is the name of a stream, of 1 to %d bytes", where, CUFRAMES_NAME_MAX);
  snprintf(name, CUFRAMES_NAME_MAX + 1, "%s", text);
  return true;
}

static bool take_flag(const json_t *value, const char *key, bool *flag, char why[MESSAGE_WHY]) {
  if (!json_is_boolean(value))
    return wrong(why, "\"%s\" is true or false", key);
  *flag = json_is_true(value);
  return true;
}

/* One member of a tile. */
static bool take_member(message_tile *t, const char *key, const json_t *value, bool *has_tile, char why[MESSAGE_WHY]) {
  if (strcmp(key, "tile") == 0) {
    const json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > UINT16_MAX)
      return wrong(why, "\"tile\" is a whole number from 0 to %d", UINT16_MAX);
    t->tile = (uint16_t)number;
    return *has_tile = true;
  }
  if (strcmp(key, "stream") == 0)
    return take_name(value, "\"stream\"", t->stream, why);
  if (strcmp(key, "as") == 0) {
    const char *as = json_is_string(value) ? json_string_value(value) : "";
    t->pictures = strcmp(as, "pictures") == 0;
    return t->pictures || strcmp(as, "video") == 0 || wrong(why, "\"as\" is \"video\" or \"pictures\"");
  }
  if (strcmp(key, "audio") == 0)
    return take_flag(value, key, &t->audio, why);
  if (strcmp(key, "data") == 0)
    return take_flag(value, key, &t->data, why);
  if (strcmp(key, "again") == 0)
    return take_flag(value, key, &t->again, why);
  if (strcmp(key, "fps") == 0) {
    t->fps = json_number_value(value);
    return (json_is_number(value) && t->fps >= 0.1 && t->fps <= MESSAGE_FPS_MAX) ||
           wrong(why, "\"fps\" is a number from 0.1 to %d", MESSAGE_FPS_MAX);
  }
  if (strcmp(key, "width") == 0) {
    const json_int_t width = json_integer_value(value);
    if (!json_is_integer(value) || width < 16 || width > MESSAGE_WIDTH_MAX)
      return wrong(why, "\"width\" is a whole number from 16 to %d", MESSAGE_WIDTH_MAX);
    t->width = (uint32_t)width;
    return true;
  }
  return wrong(why, "a tile has tile, stream, as, audio, data, again, fps and width, not \"%.*s\"", SHOWN, key);
}

static bool take_tile(message_tile *t, json_t *object, char why[MESSAGE_WHY]) {
  const char *key;
  json_t *value;
  bool has_tile = false;
  if (!json_is_object(object))
    return wrong(why, "\"watch\" is an array of objects, each a tile");
  json_object_foreach(object, key, value) if (!take_member(t, key, value, &has_tile, why)) return false;
  if (!has_tile || !*t->stream)
    return wrong(why, "each tile of \"watch\" has \"tile\" and \"stream\"");
  return true;
}

static bool take_watch(message *m, json_t *array, char why[MESSAGE_WHY]) {
  static const size_t numbers = (size_t)UINT16_MAX + 1;
  const size_t count = json_array_size(array);
  if (!json_is_array(array) || count > MESSAGE_TILES_MAX)
    return wrong(why, "\"watch\" is an array of at most %d tiles", MESSAGE_TILES_MAX);
  m->tiles = calloc(count + 1, sizeof *m->tiles);
  uint8_t *seen = calloc(numbers, 1);
  if (!m->tiles || !seen) {
    free(seen);
    return wrong(why, "out of memory");
  }
  bool well = true;
  for (size_t i = 0; well && i < count; i++) {
    well = take_tile(&m->tiles[i], json_array_get(array, i), why);
    if (well && seen[m->tiles[i].tile]++)
      well = wrong(why, "tile %u is in \"watch\" twice", m->tiles[i].tile);
  }
  free(seen);
  m->count = well ? count : 0;
  return well;
}

static bool take(message *m, const char *key, json_t *value, char why[MESSAGE_WHY]) {
  if (strcmp(key, "watch") == 0) {
    m->kind = MESSAGE_WATCH;
    return take_watch(m, value, why);
  }
  if (strcmp(key, "detail") == 0) {
    m->kind = MESSAGE_DETAIL;
    return json_is_null(value) || take_name(value, "\"detail\", if not null,", m->detail, why);
  }
  if (strcmp(key, "ping") == 0) {
    m->kind = MESSAGE_PING;
    m->ping = json_number_value(value);
    return (json_is_number(value) && isfinite(m->ping)) || wrong(why, "\"ping\" is a number");
  }
  return wrong(why, "a message has one of watch, detail and ping, not \"%.*s\"", SHOWN, key);
}

enum message_result message_parse(const char *text, size_t length, message *m, char why[MESSAGE_WHY]) {
  json_error_t error;
  *m = (message){ 0 };
  *why = '\0';
  if (depth_of(text, length) > MESSAGE_DEPTH_MAX) {
    (void)wrong(why, "JSON of more than %d levels", MESSAGE_DEPTH_MAX);
    return MESSAGE_NO_JSON;
  }
  json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
  if (!root) {
    (void)wrong(why, "no JSON: %s", error.text);
    return MESSAGE_NO_JSON;
  }
  const char *key;
  json_t *value;
  bool well = (json_is_object(root) && json_object_size(root) == 1) ||
              wrong(why, "a message is an object with one member: watch, detail or ping");
  if (well)
    json_object_foreach(root, key, value) well = take(m, key, value, why);
  json_decref(root);
  if (well)
    return MESSAGE_WELL;
  message_clear(m);
  return MESSAGE_WRONG;
}

void message_clear(message *m) {
  free(m->tiles);
  *m = (message){ 0 };
}
