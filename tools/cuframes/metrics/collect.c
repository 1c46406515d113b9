/* collect.c - see collect.h. */
#include "collect.h"

#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "look.h"

/* So many are remembered. Those of streams that are gone make room for others. */
#define ERRORS_MAX 1024

void collector_free(collector *from) {
  for (size_t i = 0; i < from->error_count; i++)
    free(from->errors[i].stream);
  free(from->errors);
  from->errors = NULL;
  from->error_count = 0;
}

/* ---- what goes wrong, and when it begins and ends ---- */

static bool is_seen(const look *at, const char *name) {
  for (size_t i = 0; i < at->count; i++)
    if (strcmp(at->sights[i].name, name) == 0)
      return true;
  return false;
}

static void forget_gone(collector *from, const look *at) {
  size_t kept = 0;
  for (size_t i = 0; i < from->error_count; i++)
    if (is_seen(at, from->errors[i].stream))
      from->errors[kept++] = from->errors[i];
    else
      free(from->errors[i].stream);
  from->error_count = kept;
}

/* Few words that stay the same. */
static const char *error_word(int error) {
  switch (error) {
    case CUFRAMES_ERR_NO_SUCH_STREAM: return "no_such_stream";
    case CUFRAMES_ERR_TIMEOUT: return "timeout";
    case CUFRAMES_ERR_PERMISSION: return "permission";
    case CUFRAMES_ERR_DIRECTORY: return "directory";
    case CUFRAMES_ERR_VERSION: return "version";
    case CUFRAMES_ERR_PROTOCOL: return "protocol";
    case CUFRAMES_ERR_NO_CAPACITY: return "capacity";
    default: return "system";
  }
}

/* What is known of a stream's error; a new one with a count of 0. NULL: no room. */
static collect_error *error_of(collector *from, const look *at, const sight *of) {
  for (size_t i = 0; i < from->error_count; i++)
    if (strcmp(from->errors[i].word, error_word(of->error)) == 0 && strcmp(from->errors[i].stream, of->name) == 0)
      return &from->errors[i];
  if (from->error_count >= ERRORS_MAX)
    forget_gone(from, at);
  if (from->error_count >= ERRORS_MAX)
    return NULL;
  if (!from->errors)
    from->errors = calloc(ERRORS_MAX, sizeof *from->errors);
  char *name = strdup(of->name);
  if (!from->errors || !name) {
    free(name);
    return NULL;
  }
  collect_error *one = &from->errors[from->error_count++];
  *one = (collect_error){ .stream = name, .word = error_word(of->error) };
  return one;
}

/* It answers again, or fails for another reason. */
static void errors_end(collector *from, const sight *of) {
  for (size_t i = 0; i < from->error_count; i++) {
    collect_error *one = &from->errors[i];
    const bool same = !of->info && strcmp(one->word, error_word(of->error)) == 0;
    if (one->lasts && !same && strcmp(one->stream, of->name) == 0) {
      one->lasts = false;
      if (of->info)
        cli_note("%s answers again", of->name);
    }
  }
}

static void errors_count(collector *from, const look *at) {
  for (size_t i = 0; i < at->count; i++) {
    const sight *of = &at->sights[i];
    errors_end(from, of);
    collect_error *one = of->info ? NULL : error_of(from, at, of);
    if (!one)
      continue;
    if (!one->lasts)
      cli_note("%s gives no numbers: %s", of->name, of->detail ? of->detail : cuframes_strerror(of->error));
    one->lasts = true;
    one->count++;
  }
}

/* ---- asking ---- */

/* A stream that was asked for by name, whether it was found or not. */
static sight sight_named(const cuframes_streams *streams, const char *name) {
  for (size_t i = 0; streams && i < streams->count; i++) {
    const cuframes_stream_entry *one = streams->entries[i];
    if (strcmp(one->name, name) == 0)
      return (sight){ one->name, one->error, one->detail, one->info };
  }
  return (sight){ name, CUFRAMES_ERR_NO_SUCH_STREAM, "nobody publishes it", NULL };
}

static void sights_fill(const collector *from, const cuframes_streams *streams, look *at) {
  for (size_t i = 0; i < from->name_count; i++)
    if (!is_seen(at, from->names[i])) /* once, however often it was given */
      at->sights[at->count++] = sight_named(streams, from->names[i]);
  for (size_t i = 0; !from->name_count && streams && i < streams->count; i++) {
    const cuframes_stream_entry *one = streams->entries[i];
    at->sights[at->count++] = (sight){ one->name, one->error, one->detail, one->info };
  }
}

/* Says once that the directory cannot be looked at, and that it can again. */
static void directory_note(collector *from, int error) {
  if (error && !from->directory_failed) {
    cli_doctor_knows(error, NULL, from->directory, NULL);
    (void)cli_failed(error, "looking for streams"); /* which is no reason to end: it may be made later */
  } else if (!error && from->directory_failed) {
    cli_note("the runtime directory can be looked at again");
  }
  from->directory_failed = error != CUFRAMES_OK;
}

bool collect(collector *from, exposition *out) {
  cuframes_streams *streams = NULL;
  const int64_t began = cuframes_now();
  const int error = cuframes_stream_list(from->directory, from->timeout_ns, &streams);
  directory_note(from, error);
  look at = { .from = from, .out = out, .now = cuframes_now(), .directory_ok = error == CUFRAMES_OK };
  at.took_ns = at.now - began;
  at.sights = calloc(from->name_count + (streams ? streams->count : 0) + 1, sizeof *at.sights);
  if (at.sights) {
    sights_fill(from, streams, &at);
    errors_count(from, &at);
    look_write(&at);
  } else {
    out->failed = true;
  }
  free(at.sights);
  cuframes_streams_free(streams);
  return !out->failed;
}
