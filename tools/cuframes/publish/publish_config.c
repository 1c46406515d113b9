/* publish_config.c - the JSON file of `cuframes publish --config`. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/secrets.h"
#include "common/suggest.h"
#include "publish_options.h"

static const struct option *find_option(const char *name) {
  for (const struct option *option = publish_long_options(); option->name != NULL; option++)
    if (strcmp(option->name, name) == 0)
      return option;
  return NULL;
}

/* A value as the text that it would be on the command line. NULL if it is of no such kind. */
static const char *value_text(const json_t *value, char *buffer, size_t size) {
  if (json_is_string(value))
    return json_string_value(value);
  if (json_is_integer(value)) {
    snprintf(buffer, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return buffer;
  }
  if (json_is_real(value)) {
    snprintf(buffer, size, "%.9f", json_real_value(value));
    return buffer;
  }
  return NULL;
}

/* Sets one key. stream is NULL for the keys beside "streams". Gives NULL, or what is wrong. */
static const char *set_key(publish_request *request, publish_options *stream, const char *key, const json_t *value) {
  const struct option *option = find_option(key);
  if (option == NULL || option->val == PUBLISH_OPTION_CONFIG || option->val == 'h')
    return "is no option";
  char buffer[64];
  const char *text = NULL;
  if (option->has_arg == no_argument) {
    if (!json_is_boolean(value))
      return "wants true or false";
    if (json_is_false(value))
      return NULL;
  } else if ((text = value_text(value, buffer, sizeof buffer)) == NULL) {
    return "wants a string or a number";
  }
  bool known;
  if (stream == NULL) {
    const char *wrong = publish_request_set(request, option->val, text, &known);
    return known ? wrong : "belongs into a stream";
  }
  return publish_options_set(stream, option->val, text);
}

/* The message for what is wrong with a key: where it stands, the value if that is text, and what was probably meant. */
static int wrong_key(const char *where, const char *key, const json_t *value, const char *wrong) {
  const struct option *option = find_option(key);
  const char *text = option ? json_string_value(value) : NULL, *meant = NULL;
  if (strcmp(key, "input-option") == 0)
    text = NULL; /* it may be a secret */
  if (text != NULL) {
    meant = publish_options_meant(option->val, text);
  } else if (option == NULL) {
    suggestion guess = { .typed = key };
    for (option = publish_long_options(); option->name != NULL; option++)
      suggest_offer(&guess, option->name);
    meant = guess.best;
  }
  return cli_usage("%s: \"%s\"%s%.200s%s %s%s", where, key, text ? ": \"" : "", text ? text : "", text ? "\"" : "",
                   wrong, suggest_text("", meant).text);
}

/* FFmpeg's options may be an object, too: {"probesize": 500000}. */
static const char *set_object(publish_request *request, publish_options *stream, const char *key, json_t *object) {
  const char *name, *wrong = NULL;
  json_t *value;
  json_object_foreach(object, name, value) {
    char buffer[64], pair[PUBLISH_INPUT_OPTION_MAX + 1];
    const char *text = value_text(value, buffer, sizeof buffer);
    if (text == NULL)
      return "wants strings or numbers in the object";
    snprintf(pair, sizeof pair, "%s=%s", name, text); /* what is too long stays too long */
    json_t *item = json_string(pair);
    wrong = item ? set_key(request, stream, key, item) : "wants UTF-8";
    json_decref(item);
    if (wrong != NULL)
      break;
  }
  return wrong;
}

/* Options that may be repeated may have an array here. */
static const char *set_keys(publish_request *request, publish_options *stream, const char *key, json_t *value) {
  if (json_is_object(value) && strcmp(key, "input-option") == 0)
    return set_object(request, stream, key, value);
  const bool lists = strncmp(key, "allow-", 6) == 0;
  if (!json_is_array(value) || !(lists || strcmp(key, "input-option") == 0))
    return set_key(request, stream, key, value);
  size_t index;
  const json_t *item;
  if (find_option(key) == NULL)
    return "is no option";
  stream->is_listed = stream->is_listed || lists; /* an empty list lets nobody in */
  json_array_foreach(value, index, item) {
    const char *wrong = set_key(request, stream, key, item);
    if (wrong != NULL)
      return wrong;
  }
  return NULL;
}

static int read_stream(const char *path, size_t number, json_t *object, publish_request *request) {
  if (!json_is_object(object))
    return cli_usage("%s: stream %zu is not an object", path, number + 1);
  publish_options options;
  publish_options_init(&options);
  const char *key, *wrong = NULL;
  json_t *value;
  json_object_foreach(object, key, value) {
    char **text = strcmp(key, "input") == 0 ? &options.input : strcmp(key, "password") == 0 ? &options.password : NULL;
    if (text != NULL) {
      free(*text);
      *text = json_is_string(value) && json_string_length(value) ? strdup(json_string_value(value)) : NULL;
      wrong = *text ? NULL : "wants a string";
    } else {
      wrong = set_keys(request, &options, key, value);
    }
    if (wrong != NULL)
      break;
  }
  int code = CLI_OK;
  if (wrong != NULL) {
    char where[512];
    snprintf(where, sizeof where, "%.400s: stream %zu", path, number + 1);
    code = wrong_key(where, key, value, wrong);
  } else if (options.input == NULL) {
    code = cli_usage("%s: stream %zu has no \"input\": a file, an address or a test picture", path, number + 1);
  } else if (publish_request_add(request, &options) == NULL) {
    code = CLI_FAILED;
  }
  publish_options_free(&options);
  return code;
}

/* In the file itself. */
static bool has_password(const publish_options *options) {
  char *shown = secrets_shown(options->input);
  const bool has = options->password != NULL || (shown != NULL && strcmp(shown, options->input) != 0);
  free(shown);
  return has;
}

int publish_config_read(const char *path, publish_request *request) {
  json_error_t error;
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL) {
    error.text[strcspn(error.text, "\n")] = '\0';
    char *near = error.line > 0 ? strstr(error.text, " near '") : NULL;
    if (near != NULL)
      *near = '\0'; /* what stands there may be a password */
    if (error.line > 0) {
      cli_error("%s:%d:%d: %s", path, error.line, error.column, error.text);
      return CLI_USAGE; /* wrong until somebody mends it: a service manager need not try again */
    }
    cli_error("%s", error.text); /* it could not be opened, and perhaps can be later; the text names it */
    return CLI_FAILED;
  }
  int code = CLI_OK;
  json_t *streams = json_object_get(root, "streams"), *value;
  if (!json_is_array(streams))
    code = cli_usage("%s: wants {\"streams\": [...]}", path);
  const char *key;
  bool secret = false;
  json_object_foreach(root, key, value) {
    if (code == CLI_OK && value != streams) {
      const char *wrong = set_key(request, NULL, key, value);
      code = wrong ? wrong_key(path, key, value, wrong) : CLI_OK;
    }
  }
  for (size_t i = 0; code == CLI_OK && i < json_array_size(streams); i++)
    code = read_stream(path, i, json_array_get(streams, i), request);
  for (size_t i = 0; i < request->stream_count; i++)
    secret = secret || has_password(&request->streams[i]);
  if (secret && publish_is_public(path))
    cli_note("%s: everybody may read the passwords in it: chmod 600 %s", path, path);
  json_decref(root);
  return code;
}
