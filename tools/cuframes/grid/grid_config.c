/* grid_config.c - the JSON file of `cuframes grid --config`. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/suggest.h"
#include "grid_options.h"

static const char *const tile_keys[] = { "stream", "x", "y", "width", "height", "fit", "label", "boxes", NULL };
enum tile_key { KEY_STREAM, KEY_X, KEY_Y, KEY_WIDTH, KEY_HEIGHT, KEY_FIT, KEY_LABEL, KEY_BOXES };

static const struct option *find_option(const char *name) {
  for (const struct option *option = grid_long_options(); option->name != NULL; option++)
    if (strcmp(option->name, name) == 0)
      return option;
  return NULL;
}

/* ---- options ---- */

/* A value as the text that it would be on the command line. NULL if it is of no such kind. */
static const char *value_text(const json_t *value, char *buffer, size_t size) {
  if (json_is_string(value))
    return json_string_value(value);
  if (json_is_integer(value))
    snprintf(buffer, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  else if (json_is_real(value))
    snprintf(buffer, size, "%.9f", json_real_value(value));
  return json_is_number(value) ? buffer : NULL;
}

static const char *set_value(grid_options *o, const struct option *option, const json_t *value) {
  char buffer[64];
  if (option->has_arg != required_argument && json_is_boolean(value))
    return json_is_true(value) ? grid_options_set(o, option->val, NULL) : NULL;
  if (option->has_arg == no_argument)
    return "wants true or false";
  const char *text = value_text(value, buffer, sizeof buffer);
  return text ? grid_options_set(o, option->val, text) : "wants a string or a number";
}

/* One that may be repeated may have an array. Gives NULL, or what is wrong. */
static const char *set_option(grid_options *o, const char *key, const json_t *value) {
  const struct option *option = find_option(key);
  size_t index;
  json_t *item;
  if (option == NULL || option->val == GRID_OPTION_CONFIG || strcmp(key, "help") == 0)
    return "is no option";
  if (!json_is_array(value) || strcmp(key, "boxes") != 0)
    return set_value(o, option, value);
  json_array_foreach(value, index, item) {
    const char *wrong = set_value(o, option, item);
    if (wrong != NULL)
      return wrong;
  }
  return NULL;
}

static int wrong_option(const char *path, const char *key, const json_t *value, const char *wrong) {
  const struct option *option = find_option(key);
  const char *text = option ? json_string_value(value) : NULL, *meant = NULL;
  const char *const *words = option ? grid_option_words(option->val) : NULL;
  if (text != NULL && words != NULL)
    meant = suggest_from(text, words);
  if (option == NULL) {
    suggestion guess = { .typed = key };
    suggest_offer(&guess, "tiles");
    suggest_offer(&guess, "streams");
    for (option = grid_long_options(); option->name != NULL; option++)
      suggest_offer(&guess, option->name);
    meant = guess.best;
  }
  return cli_usage("%s: \"%s\"%s%.200s%s %s%s", path, key, text ? ": \"" : "", text ? text : "", text ? "\"" : "",
                   wrong, suggest_text("", meant).text);
}

/* ---- tiles ---- */

/* Where a tile is, from its four numbers; `seen` are those that are there. */
typedef struct tile_place {
  uint32_t value[4];
  unsigned seen;
} tile_place;

static const char *take_side(tile_place *place, int side, const json_t *value) {
  const json_int_t number = json_integer_value(value);
  const bool length = side >= KEY_WIDTH - KEY_X;
  if (!json_is_integer(value) || number % 2 != 0 || number < (length ? (int)GRID_TILE_LEAST : 0) || number > 16384)
    return length ? "wants an even number of pixels from 16 to 16384" : "wants an even number of pixels up to 16384";
  place->value[side] = (uint32_t)number;
  place->seen |= 1u << side;
  return NULL;
}

static const char *take_text(char **to, const json_t *value) {
  if (!json_is_string(value) || json_string_length(value) != strlen(json_string_value(value)))
    return "wants a string";
  *to = strdup(json_string_value(value));
  return *to ? NULL : "cannot be kept: out of memory";
}

static const char *set_tile_key(grid_tile_options *tile, tile_place *place, const char *key, const json_t *value) {
  int at = 0;
  while (tile_keys[at] != NULL && strcmp(tile_keys[at], key) != 0)
    at++;
  switch (at) {
    case KEY_STREAM: return NULL; /* taken before */
    case KEY_X:
    case KEY_Y:
    case KEY_WIDTH:
    case KEY_HEIGHT: return take_side(place, at - KEY_X, value);
    case KEY_FIT: return json_is_string(value) ? grid_take_fit(json_string_value(value), &tile->fit) : "wants a string";
    case KEY_LABEL: return take_text(&tile->label, value);
    case KEY_BOXES: {
      const char *wrong = take_text(&tile->boxes, value);
      if (wrong == NULL && (grid_is_pattern(tile->boxes) || grid_check_stream(tile->boxes) != NULL))
        wrong = "is no stream name";
      return wrong;
    }
    default: return "is no key of a tile";
  }
}

static int wrong_tile(const char *path, size_t number, const char *key, const json_t *value, const char *wrong) {
  const char *text = json_string_value(value);
  const char *meant = strcmp(wrong, "is no key of a tile") == 0 ? suggest_from(key, tile_keys) : NULL;
  return cli_usage("%s: tile %zu: \"%s\"%s%.200s%s %s%s", path, number, key, text ? ": \"" : "", text ? text : "",
                   text ? "\"" : "", wrong, suggest_text("", meant).text);
}

static int read_tile(const char *path, size_t number, const json_t *object, grid_options *o) {
  const json_t *stream = json_object_get(object, "stream"), *value;
  const char *key, *wrong = NULL;
  tile_place place = { .seen = 0 };
  if (!json_is_object(object))
    return cli_usage("%s: tile %zu is not an object", path, number);
  if (!json_is_string(stream))
    return cli_usage("%s: tile %zu has no \"stream\": a name, or a pattern of names", path, number);
  grid_tile_options *tile = grid_options_add_tile(o, json_string_value(stream), &wrong);
  if (tile == NULL)
    return wrong_tile(path, number, "stream", stream, wrong);
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    wrong = set_tile_key(tile, &place, key, value);
    if (wrong != NULL)
      return wrong_tile(path, number, key, value, wrong);
  }
  tile->has_box = place.seen != 0;
  tile->box = (grid_box){ place.value[0], place.value[1], place.value[2], place.value[3] };
  for (int side = 0; tile->has_box && side < 4; side++) {
    if (!(place.seen & 1u << side))
      return cli_usage("%s: tile %zu has no \"%s\", and a place takes x, y, width and height", path, number,
                       tile_keys[KEY_X + side]);
  }
  if (tile->has_box && grid_is_pattern(tile->stream))
    return cli_usage("%s: tile %zu has a place, so its \"stream\" must be one name, not the pattern '%s'", path, number,
                     tile->stream);
  if (tile->has_box != o->tiles[0].has_box)
    return cli_usage("%s: tile %zu has %s, unlike tile 1: all tiles have x, y, width and height, or none", path, number,
                     tile->has_box ? "a place" : "no place");
  return CLI_OK;
}

static int read_tiles(const char *path, const json_t *tiles, grid_options *o) {
  size_t index;
  json_t *item;
  int code = CLI_OK;
  if (!json_is_array(tiles))
    return cli_usage("%s: \"tiles\" wants an array of objects", path);
  json_array_foreach(tiles, index, item) {
    code = code == CLI_OK ? read_tile(path, index + 1, item, o) : code;
  }
  return code;
}

/* "streams": as the NAMEs of the command line. */
static int read_streams(const char *path, const json_t *streams, grid_options *o) {
  size_t index;
  json_t *item;
  const char *wrong = json_is_array(streams) ? NULL : "wants an array of names";
  const char *text = "";
  json_array_foreach(streams, index, item) {
    text = json_is_string(item) ? json_string_value(item) : "";
    if (wrong == NULL && grid_options_add_tile(o, text, &wrong) == NULL)
      break;
  }
  return wrong ? cli_usage("%s: \"streams\": \"%s\" %s", path, text, wrong) : CLI_OK;
}

/* ---- the file ---- */

int grid_config_read(const char *path, grid_options *options) {
  json_error_t error;
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *value;
  if (root == NULL) {
    error.text[strcspn(error.text, "\n")] = '\0';
    if (error.line > 0) {
      cli_error("%s:%d:%d: %s", path, error.line, error.column, error.text);
      return CLI_USAGE; /* wrong until somebody mends it: a service manager need not try again */
    }
    cli_error("%s", error.text); /* it could not be opened, and perhaps can be later; the text names it */
    return CLI_FAILED;
  }
  int code =
      json_is_object(root) ? CLI_OK : cli_usage("%s: wants an object: {\"output\": ..., \"tiles\": [...]}", path);
  if (json_object_get(root, "tiles") && json_object_get(root, "streams") && code == CLI_OK)
    code = cli_usage("%s: \"streams\" and \"tiles\" are two ways to say the same: one of them", path);
  const char *key;
  json_object_foreach(root, key, value) {
    if (code != CLI_OK)
      break;
    if (strcmp(key, "tiles") == 0) {
      code = read_tiles(path, value, options);
    } else if (strcmp(key, "streams") == 0) {
      code = read_streams(path, value, options);
    } else {
      const char *wrong = set_option(options, key, value);
      code = wrong ? wrong_option(path, key, value, wrong) : CLI_OK;
    }
  }
  json_decref(root);
  return code;
}
