/* json.c - streams and subscribers as JSON, and the few words that the plain output shares with it. */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "output.h"
#include "reader.h"
#include "secrets.h"
#include "stream_state.h"

json_t *cli_json_text(const char *text) {
  json_t *value = json_string(text);
  if (value)
    return value;
  char plain[256];
  snprintf(plain, sizeof(plain), "%s", text);
  for (char *c = plain; *c; c++)
    if (*c < ' ' || *c > '~')
      *c = '?';
  return json_string(plain);
}

json_t *cli_json_rounded(double value, int decimals) {
  const double scale = pow(10, decimals);
  return json_real(isfinite(value) ? round(value * scale) / scale : 0.0);
}

const char *mode_text(uint32_t mode) {
  static const char *const modes[] = { "newest", "ordered", "packets" };
  return mode < sizeof(modes) / sizeof(*modes) ? modes[mode] : "unknown";
}

const char *sync_asked_text(const cuframes_subscriber_info *seat) {
  return seat->sync_asked & CUFRAMES_SYNC_TIMELINE      ? "timeline"
         : seat->sync_asked & CUFRAMES_SYNC_SLOT_EVENTS ? "slot-events"
                                                        : "complete";
}

/* A tensor's sizes, "1x3x640x640". */
static void sizes_text(char *text, size_t size, const cuframes_tensor *tensor) {
  size_t used = 0;
  *text = '\0';
  for (uint32_t i = 0; i < tensor->dims && i < CUFRAMES_TENSOR_DIMS_MAX && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%u", i ? "x" : "", tensor->size[i]);
}

void format_text(char *text, size_t size, const cuframes_format *format) {
  char sizes[FORMAT_TEXT];
  sizes_text(sizes, sizeof(sizes), &format->tensor);
  if (format->pixel_format == CUFRAMES_PIXEL_TENSOR)
    snprintf(text, size, "%s %s", sizes, cuframes_element_name(format->tensor.element));
  else if (has_pictures(format))
    snprintf(text, size, "%ux%u %s", format->width, format->height, cuframes_pixel_format_name(format->pixel_format));
  else
    snprintf(text, size, "no pictures");
}

void bytes_text(char *text, size_t size, uint64_t bytes) {
  static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
  double value = (double)bytes;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(*units)) {
    value /= 1024;
    unit++;
  }
  snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

const char *chroma_text(uint8_t location) {
  static const char *const words[] = { NULL, "left", "center", "top-left", "top", "bottom-left", "bottom" };
  return location < sizeof(words) / sizeof(*words) ? words[location] : NULL;
}

const char *fields_text(uint8_t field_order) {
  static const char *const words[] = { NULL, "progressive", "top-first", "bottom-first" };
  return field_order < sizeof(words) / sizeof(*words) ? words[field_order] : NULL;
}

static void append(char *text, size_t size, const char *what, const char *word) {
  const size_t used = strlen(text);
  snprintf(text + used, size - used, ", %s%s", what, word);
}

void words_text(char *text, size_t size, const cuframes_format *format) {
  char number[32];
  *text = '\0';
  if (chroma_text(format->chroma_location))
    append(text, size, "chroma ", chroma_text(format->chroma_location));
  if (fields_text(format->field_order))
    append(text, size, "", fields_text(format->field_order));
  snprintf(number, sizeof(number), "%u", format->orientation);
  if (format->orientation)
    append(text, size, "orientation ", number);
  snprintf(number, sizeof(number), "%u:%u", format->sample_aspect_num, format->sample_aspect_den);
  if (format->sample_aspect_den)
    append(text, size, "pixels ", number);
}

static void set_count(json_t *object, const char *key, uint64_t value) {
  json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *subscriber_json(const cuframes_subscriber_info *seat) {
  json_t *object = json_object(), *held = json_array();
  json_object_set_new(object, "label", cli_json_text(seat->label));
  json_object_set_new(object, "pid", json_integer(seat->pid));
  set_count(object, "uid", seat->uid);
  set_count(object, "gid", seat->gid);
  json_object_set_new(object, "mode", json_string(mode_text(seat->mode)));
  json_object_set_new(object, "sync", cli_json_text(seat->sync_mode));
  json_object_set_new(object, "sync_asked", json_string(sync_asked_text(seat)));
  set_count(object, "leases", seat->leases);
  set_count(object, "leases_held", seat->leases_held);
  for (uint32_t i = 0; i < seat->leases_held; i++)
    json_array_append_new(held, json_integer(seat->held_slots[i]));
  json_object_set_new(object, "held_slots", held);
  set_count(object, "depth", seat->depth);
  set_count(object, "lag", seat->lag);
  set_count(object, "delivered", seat->delivered);
  set_count(object, "skipped", seat->skipped);
  json_object_set_new(object, "packets", json_boolean(seat->packets));
  set_count(object, "packets_read", seat->packets_read);
  set_count(object, "packets_lost", seat->packets_lost);
  json_object_set_new(object, "evicted", json_boolean(seat->evicted));
  return object;
}

/* "complete" is what every publisher can do; others are known by who uses them. */
static json_t *sync_modes_json(const cuframes_stream_info *info) {
  json_t *modes = json_array();
  json_array_append_new(modes, json_string("complete"));
  for (size_t i = 0; i < info->subscriber_count; i++) {
    const char *mode = info->subscribers[i]->sync_mode;
    bool known = !*mode;
    for (size_t k = 0; k < json_array_size(modes) && !known; k++)
      known = !strcmp(json_string_value(json_array_get(modes, k)), mode);
    if (!known)
      json_array_append_new(modes, cli_json_text(mode));
  }
  return modes;
}

static json_t *color_json(const cuframes_color *color) {
  json_t *object = json_object();
  set_count(object, "matrix", color->matrix);
  set_count(object, "range", color->range);
  set_count(object, "primaries", color->primaries);
  set_count(object, "transfer", color->transfer);
  return object;
}

static json_t *age_json(int64_t age_ns) {
  return age_ns == CUFRAMES_NO_TIME ? json_null() : cli_json_rounded((double)age_ns / 1e6, 1);
}

/* Of what is measured, 0 is not known. */
static json_t *count_json(uint64_t value) {
  return value ? json_integer((json_int_t)value) : json_null();
}

static json_t *interval_json(int64_t ns) {
  return ns ? cli_json_rounded((double)ns / 1e9, 3) : json_null();
}

/* A moment of CLOCK_MONOTONIC in seconds since 1970; 0: none. */
static json_t *moment_json(int64_t moment) {
  return moment ? cli_json_rounded(moment_seconds(moment), 3) : json_null();
}

static void add_state(json_t *object, const cuframes_stream_info *info) {
  const cuframes_source_info *source = info->source;
  json_object_set_new(object, "state", json_string(state_name(source)));
  json_object_set_new(object, "state_since", moment_json(source->since));
  json_object_set_new(object, "state_reason", *source->reason ? cli_json_text(source->reason) : json_null());
  json_object_set_new(object, "next_attempt", moment_json(source->next_attempt));
  json_object_set_new(object, "last_picture",
                      info->age_ns == CUFRAMES_NO_TIME ? json_null() : moment_json(cuframes_now() - info->age_ns));
}

static json_t *track_json(const cuframes_stream_info *info) {
  static const char *const types[] = { "unknown", "video", "audio", "data" };
  json_t *array = json_array();
  for (size_t i = 0; i < info->track_count; i++) {
    const cuframes_track_info *stream = info->tracks[i];
    json_t *object = json_object();
    json_object_set_new(object, "type", json_string(types[stream->media_type <= 3 ? stream->media_type : 0]));
    json_object_set_new(object, "codec", cli_json_text(stream->codec));
    set_count(object, "packets", stream->packets);
    json_object_set_new(object, "age_ms", age_json(stream->age_ns));
    json_object_set_new(object, "bit_rate", count_json(stream->bit_rate));
    json_object_set_new(object, "keyframe_interval", interval_json(stream->keyframe_interval_ns));
    json_object_set_new(object, "keyframe_frames", count_json(stream->keyframe_interval_frames));
    json_object_set_new(object, "keyframe_longest", interval_json(stream->keyframe_longest_ns));
    json_object_set_new(object, "keyframe_longest_frames", count_json(stream->keyframe_longest_frames));
    json_object_set_new(object, "keyframe_age_ms", age_json(stream->keyframe_age_ns));
    json_array_append_new(array, object);
  }
  return array;
}

static void add_details(json_t *object, const cuframes_stream_info *info) {
  set_count(object, "slots", info->slots);
  set_count(object, "max_slots", info->max_slots);
  set_count(object, "slots_pinned", info->slots_pinned);
  set_count(object, "segments", info->segments);
  json_object_set_new(object, "memory", cli_json_text(info->memory));
  set_count(object, "memory_bytes", info->memory_bytes);
  set_count(object, "dropped", info->dropped);
  set_count(object, "evictions", info->evictions);
  set_count(object, "packet_bytes", info->packet_bytes);
  set_count(object, "packet_slots", info->packet_slots);
  set_count(object, "packet_data_bytes", info->packet_data_bytes);
  json_object_set_new(object, "color", color_json(&info->format.color));
  json_object_set_new(object, "sync_modes", sync_modes_json(info));
  json_object_set_new(object, "tracks", track_json(info));
  json_t *subscribers = json_array();
  for (size_t i = 0; i < info->subscriber_count; i++)
    json_array_append_new(subscribers, subscriber_json(info->subscribers[i]));
  json_object_set_new(object, "subscriber_list", subscribers);
}

/* A word, or null where nothing is said. */
static json_t *word_json(const char *word) {
  return word ? json_string(word) : json_null();
}

static json_t *tensor_json(const cuframes_tensor *tensor) {
  json_t *sizes = json_array();
  for (uint32_t i = 0; i < tensor->dims && i < CUFRAMES_TENSOR_DIMS_MAX; i++)
    json_array_append_new(sizes, json_integer(tensor->size[i]));
  return json_pack("{s:s,s:o}", "element", cuframes_element_name(tensor->element), "size", sizes);
}

void cli_json_add_words(json_t *object, const cuframes_format *format) {
  char aspect[32];
  snprintf(aspect, sizeof(aspect), "%u:%u", format->sample_aspect_num, format->sample_aspect_den);
  json_object_set_new(object, "chroma_location", word_json(chroma_text(format->chroma_location)));
  json_object_set_new(object, "field_order", word_json(fields_text(format->field_order)));
  json_object_set_new(object, "orientation", format->orientation ? json_integer(format->orientation) : json_null());
  json_object_set_new(object, "sample_aspect", word_json(format->sample_aspect_den ? aspect : NULL));
  if (format->pixel_format == CUFRAMES_PIXEL_TENSOR)
    json_object_set_new(object, "tensor", tensor_json(&format->tensor));
}

static json_t *format_json(const cuframes_stream_info *info) {
  switch (pictures_of(info)) {
    case PICTURES_THERE: return json_string(cuframes_pixel_format_name(info->format.pixel_format));
    case PICTURES_AWAITED: return json_null();
    default: return json_string("none");
  }
}

json_t *cli_json_stream(const cuframes_stream_info *info, bool full) {
  json_t *object = json_object();
  json_object_set_new(object, "name", cli_json_text(info->name));
  json_object_set_new(object, "width", json_integer(info->format.width));
  json_object_set_new(object, "height", json_integer(info->format.height));
  json_object_set_new(object, "format", format_json(info));
  cli_json_add_words(object, &info->format);
  json_object_set_new(object, "fps", cli_json_rounded(info->fps, 2));
  json_object_set_new(object, "device", cli_json_text(info->device));
  set_count(object, "subscribers", info->subscriber_count);
  set_count(object, "frames", info->frames);
  set_count(object, "packets", info->packets);
  json_object_set_new(object, "pid", json_integer(info->pid));
  json_object_set_new(object, "description", cli_json_text(info->description));
  json_object_set_new(object, "age_ms", age_json(info->age_ns));
  add_state(object, info);
  if (full)
    add_details(object, info);
  return object;
}

/* Names are what they are: the key of a stream is no place for stars. */
static bool is_name(const char *key) {
  return strcmp(key, "event") == 0 || strcmp(key, "stream") == 0 || strcmp(key, "name") == 0;
}

/* Takes the secrets out of all texts in it. */
static void hide_secrets(json_t *value) {
  const char *key;
  json_t *inner;
  size_t index;
  if (json_is_string(value)) {
    const size_t room = json_string_length(value) * sizeof "***" + 1;
    char *shown = malloc(room);
    if (shown != NULL)
      secrets_hide(shown, room, json_string_value(value));
    (void)json_string_set(value, shown ? shown : "***"); /* refuses what is no UTF-8, which has no stars in it */
    free(shown);
  }
  json_array_foreach(value, index, inner) hide_secrets(inner);
  json_object_foreach(value, key, inner) if (!is_name(key)) hide_secrets(inner);
}

int cli_json_print(json_t *value, bool compact) {
  hide_secrets(value);
  if (!value) {
    cli_error("out of memory");
    return CLI_FAILED;
  }
  int error = json_dumpf(value, stdout, (compact ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(15));
  (void)putchar('\n'); /* what could not be written is seen by the flush, and said at the program's end */
  json_decref(value);
  if (cli_output_flush() && error) {
    cli_error("out of memory");
    return CLI_FAILED;
  }
  return CLI_OK;
}

char *cli_json_line(json_t *value) {
  hide_secrets(value);
  char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
  json_decref(value);
  return text;
}

void cli_json_event(json_t *event) {
  const uint64_t dropped = output_take_dropped();
  if (dropped > 0)
    set_count(event, "dropped_events", dropped);
  char *text = cli_json_line(event);
  const size_t length = text ? strlen(text) : 0;
  if (text != NULL)
    text[length] = '\n'; /* in the place of its end: one text, one write */
  if (text == NULL)
    output_give_dropped(dropped + 1);
  else if (!output_put(OUTPUT_OUT, text, length + 1))
    output_give_dropped(dropped); /* this one is counted there */
  free(text);
}

json_t *cli_json_fixed(const cli_fixed *all, size_t count) {
  json_t *names = json_array();
  for (size_t i = 0; i < count; i++) {
    if (!all[i].differs)
      continue;
    json_array_append_new(names, json_string(all[i].name));
    cli_note("\"%s\" differs in the configuration: that takes a restart", all[i].name);
  }
  return names;
}
