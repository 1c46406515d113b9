/* camera.c - reading one camera: what anybody who may write into the bucket has put there. */
#include "camera.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABELS_MOST 32

/* Options that concern the stream alone, and what they may do to this machine is no more than to decode. */
static const char *const anybodys[] = {
  "input",      "name",         "user",         "password",       "timeout",   "picture-timeout", "login-retry",
  "times",      "reconnect",    "no-reconnect", "rtsp-transport", "variant",   "format",          "device",
  "memory",     "slots",        "max-slots",    "reserve",        "side-data", "policy",          "ordered-timeout",
  "no-packets", "packet-slots", "packet-bytes", "loop",           "realtime",  "decode-copy",     "fresh-decoder",
};
static const char *const schemes[] = { "rtsp", "rtsps", "http", "https", "srt", "udp", "rtp", "rtmp", "rtmps" };

static void wrong(camera_info *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(camera_info *c, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(c->why, sizeof c->why, format, arguments);
  va_end(arguments);
  json_decref(c->stream);
  json_decref(c->fleet);
  c->stream = c->fleet = c->labels = NULL;
}

bool camera_name_is_valid(const char *name) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const size_t length = strlen(name);
  if (length == 0 || length > CAMERA_NAME_MAX || strchr(letters, *name) == NULL)
    return false;
  for (size_t i = 0; i < length; i++)
    if (strchr(letters, name[i]) == NULL && strchr("._-", name[i]) == NULL)
      return false;
  return strstr(name, "..") == NULL && name[length - 1] != '.'; /* which no subject of NATS may have */
}

static bool is_one_of(const char *text, size_t length, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strlen(list[i]) == length && memcmp(text, list[i], length) == 0)
      return true;
  return false;
}

#define IS_ONE_OF(text, length, list) is_one_of(text, length, list, sizeof(list) / sizeof *(list))

static bool is_of_the_network(const char *input) {
  const char *colon = strstr(input, "://");
  return strncmp(input, "test:", 5) == 0 || (colon && IS_ONE_OF(input, (size_t)(colon - input), schemes));
}

bool camera_labels_fit(const json_t *wants, const json_t *has) {
  for (size_t i = 0; i < json_array_size(wants); i++) {
    bool found = false;
    for (size_t k = 0; k < json_array_size(has) && !found; k++)
      found = json_equal(json_array_get(wants, i), json_array_get(has, k));
    if (!found)
      return false;
  }
  return true;
}

static void read_fleet(camera_info *c) {
  const char *key;
  json_t *value;
  if (!json_is_object(c->fleet)) {
    wrong(c, "\"fleet\" wants an object");
    return;
  }
  json_object_foreach(c->fleet, key, value) {
    bool good = false;
    if (strcmp(key, "exclusive") == 0) {
      good = json_is_boolean(value);
      c->exclusive = json_is_true(value);
    } else if (strcmp(key, "labels") == 0) {
      good = json_is_array(value) && json_array_size(value) <= LABELS_MOST;
      for (size_t i = 0; good && i < json_array_size(value); i++)
        good = json_is_string(json_array_get(value, i));
      c->labels = value;
    } else {
      wrong(c, "\"fleet\" has no \"%.40s\": labels, exclusive", key);
      return;
    }
    if (!good) {
      wrong(c, "\"fleet\": \"%s\" wants %s", key, strcmp(key, "labels") == 0 ? "an array of texts" : "true or false");
      return;
    }
  }
}

void camera_read(camera_info *c, const char *name, const char *value, size_t length, bool trusted) {
  json_error_t error;
  *c = (camera_info){ .stream = NULL };
  if (!camera_name_is_valid(name)) {
    wrong(c, "its key is not the name of a stream");
    return;
  }
  if (length > CAMERA_VALUE_MAX) {
    wrong(c, "its value has %zu bytes; at most %d can be", length, CAMERA_VALUE_MAX);
    return;
  }
  c->stream = json_loadb(value, length, JSON_REJECT_DUPLICATES, &error);
  if (!json_is_object(c->stream)) {
    wrong(c, "its value is no JSON object"); /* what the parser says would show what stands there: a password */
    return;
  }
  const char *key;
  json_t *item;
  json_object_foreach(c->stream, key,
                      item) if (strcmp(key, "fleet") != 0 && !trusted && !IS_ONE_OF(key, strlen(key), anybodys)) {
    wrong(c, "\"%.40s\" is no option that a camera of the fleet may have; --trust-cameras lets it", key);
    return;
  }
  const char *input = json_string_value(json_object_get(c->stream, "input"));
  if (input == NULL || (!trusted && !is_of_the_network(input))) {
    wrong(c, input ? "its input is no address of the network; --trust-cameras lets it be a file or a device"
                   : "it has no \"input\"");
    return;
  }
  const json_t *says = json_object_get(c->stream, "name");
  if (says && (!json_is_string(says) || strcmp(json_string_value(says), name) != 0)) {
    wrong(c, "its \"name\" is not its key");
    return;
  }
  if (json_object_set_new(c->stream, "name", json_string(name)) != 0) {
    wrong(c, "out of memory");
    return;
  }
  c->fleet = json_incref(json_object_get(c->stream, "fleet"));
  if (c->fleet && json_object_del(c->stream, "fleet") == 0)
    read_fleet(c);
}

void camera_free(camera_info *c) {
  json_decref(c->stream);
  json_decref(c->fleet);
  *c = (camera_info){ .stream = NULL };
}
