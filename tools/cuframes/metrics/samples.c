/* samples.c - what a look found, as samples of each family. */
#include "look.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/reader.h"
#include "common/secrets.h"
#include "common/stream_state.h"
#include "families.h"

/* A family of the look at hand, and the labels of its next sample. */
typedef struct row {
  const look *look;
  const family *family;
  exposition_label labels[EXPOSITION_LABELS_MAX];
  size_t count;
} row;

static void label(row *at, const char *name, const char *value) {
  if (at->count < EXPOSITION_LABELS_MAX)
    at->labels[at->count++] = (exposition_label){ name, value };
}

static void count(const row *at, uint64_t value) {
  exposition_count(at->look->out, at->family->name, "", at->labels, at->count, value);
}

static void number(const row *at, double value) {
  exposition_number(at->look->out, at->family->name, "", at->labels, at->count, value);
}

static void age(const row *at, int64_t age_ns) {
  if (age_ns != CUFRAMES_NO_TIME)
    number(at, (double)age_ns / 1e9);
}

static row row_of(const look *at, size_t id, const sight *of) {
  row made = { .look = at, .family = &families[id] };
  if (of)
    label(&made, "stream", of->name);
  return made;
}

/* ---- of each stream ---- */

static void write_up(row *at, const sight *of) {
  count(at, of->info != NULL);
}

static void write_errors(row *at, const sight *of) {
  const collector *from = at->look->from;
  for (size_t i = 0; i < from->error_count; i++) {
    if (strcmp(of->name, from->errors[i].stream) != 0)
      continue;
    row one = *at;
    label(&one, "error", from->errors[i].word);
    count(&one, from->errors[i].count);
  }
}

static void write_info(row *at, const sight *of) {
  char width[16], height[16];
  const cuframes_format *format = &of->info->format;
  const char *name = cuframes_pixel_format_name(format->pixel_format);
  snprintf(width, sizeof width, "%u", format->width);
  snprintf(height, sizeof height, "%u", format->height);
  label(at, "device", of->info->device);
  label(at, "memory", of->info->memory);
  label(at, "format", !has_pictures(format) ? "" : name ? name : "unknown");
  label(at, "width", width);
  label(at, "height", height);
  count(at, 1);
}

static void write_state(row *at, const sight *of) {
  for (uint32_t state = 0; cuframes_source_state_name(state); state++) {
    row one = *at;
    label(&one, "state", cuframes_source_state_name(state));
    count(&one, of->info->source->state == state);
  }
}

static void write_state_start(row *at, const sight *of) {
  if (of->info->source->since)
    number(at, moment_seconds(of->info->source->since));
}

static void write_state_reason(row *at, const sight *of) {
  char reason[CUFRAMES_REASON_MAX + 1];
  if (!*of->info->source->reason)
    return;
  secrets_hide(reason, sizeof reason, of->info->source->reason); /* not every publisher takes care */
  label(at, "state", state_name(of->info->source));
  label(at, "reason", reason);
  count(at, 1);
}

static void write_stream_start(row *at, const sight *of) {
  if (of->info->started)
    number(at, moment_seconds(of->info->started));
}

static void write_reconnects(row *at, const sight *of) {
  count(at, of->info->reconnects);
}

/* Two rows of one that is on a GPU. */
static void write_memory(row *at, const sight *of) {
  row host = *at;
  const bool is_host = strcmp(of->info->device, "host") == 0;
  if (!is_host) {
    label(at, "device", of->info->device);
    count(at, of->info->device_bytes);
  }
  label(&host, "device", "host");
  count(&host, of->info->memory_bytes - (is_host ? 0 : of->info->device_bytes));
}

static void write_frames(row *at, const sight *of) {
  count(at, of->info->frames);
}

static void write_dropped(row *at, const sight *of) {
  count(at, of->info->dropped);
}

static void write_last_frame_age(row *at, const sight *of) {
  age(at, of->info->age_ns);
}

static void write_last_frame_time(row *at, const sight *of) {
  if (of->info->age_ns != CUFRAMES_NO_TIME)
    number(at, moment_seconds(at->look->now - of->info->age_ns));
}

static void write_slots(row *at, const sight *of) {
  count(at, of->info->slots);
}

static void write_slots_used(row *at, const sight *of) {
  count(at, of->info->slots_pinned);
}

static void write_slots_max(row *at, const sight *of) {
  count(at, of->info->max_slots);
}

static void write_packets(row *at, const sight *of) {
  count(at, of->info->packets);
}

static void write_packet_bytes(row *at, const sight *of) {
  count(at, of->info->packet_bytes);
}

static void write_evictions(row *at, const sight *of) {
  count(at, of->info->evictions);
}

/* ---- of each track ---- */

static const char *media_name(uint32_t type) {
  static const char *const names[] = { "unknown", "video", "audio", "data" };
  return type < sizeof names / sizeof *names ? names[type] : names[0];
}

/* The row of a track, whose number is put into `text`. */
static row track_row(const row *at, const sight *of, size_t track, char text[16]) {
  row one = *at;
  snprintf(text, 16, "%u", (unsigned)track); /* of a few: as a size_t it would not fit */
  label(&one, "track", text);
  label(&one, "media", media_name(of->info->tracks[track]->media_type));
  label(&one, "codec", of->info->tracks[track]->codec);
  return one;
}

static void write_track_packets(row *at, const sight *of) {
  char text[16];
  for (size_t i = 0; i < of->info->track_count; i++) {
    const row one = track_row(at, of, i, text);
    count(&one, of->info->tracks[i]->packets);
  }
}

static void write_track_age(row *at, const sight *of) {
  char text[16];
  for (size_t i = 0; i < of->info->track_count; i++) {
    const row one = track_row(at, of, i, text);
    age(&one, of->info->tracks[i]->age_ns);
  }
}

static void write_track_keyframe(row *at, const sight *of) {
  char text[16];
  for (size_t i = 0; i < of->info->track_count; i++) {
    const row one = track_row(at, of, i, text);
    if (of->info->tracks[i]->keyframe_interval_ns)
      number(&one, (double)of->info->tracks[i]->keyframe_interval_ns / 1e9);
  }
}

static void write_track_keyframe_max(row *at, const sight *of) {
  char text[16];
  for (size_t i = 0; i < of->info->track_count; i++) {
    const row one = track_row(at, of, i, text);
    if (of->info->tracks[i]->keyframe_longest_ns)
      number(&one, (double)of->info->tracks[i]->keyframe_longest_ns / 1e9);
  }
}

static void write_track_keyframe_age(row *at, const sight *of) {
  char text[16];
  for (size_t i = 0; i < of->info->track_count; i++) {
    const row one = track_row(at, of, i, text);
    age(&one, of->info->tracks[i]->keyframe_age_ns);
  }
}

/* ---- of each policy ---- */

/* Of all subscribers of a mode, as they are now. */
typedef struct mode_now {
  uint64_t subscribers, lag, held;
} mode_now;

static mode_now mode_look(const cuframes_stream_info *info, uint32_t mode) {
  mode_now all = { 0 };
  for (size_t i = 0; i < info->subscriber_count; i++) {
    const cuframes_subscriber_info *one = info->subscribers[i];
    if (one->mode != mode)
      continue;
    all.subscribers++;
    all.held += one->leases_held;
    all.lag = one->lag > all.lag ? one->lag : all.lag;
  }
  return all;
}

static row mode_row(const row *at, uint32_t mode) {
  row one = *at;
  label(&one, "policy", mode_text(mode));
  return one;
}

static void write_subscribers(row *at, const sight *of) {
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_PACKETS; mode++) {
    const row one = mode_row(at, mode);
    count(&one, mode_look(of->info, mode).subscribers);
  }
}

/* What all subscribers amount to, also those that have left. */
static void write_joined(row *at, const sight *of) {
  for (size_t i = 0; i < of->info->mode_count; i++) {
    const row one = mode_row(at, of->info->modes[i]->mode);
    count(&one, of->info->modes[i]->joined);
  }
}

/* Whether it is a mode that takes frames. */
static bool takes_frames(const cuframes_mode_info *mode) {
  return mode->mode == CUFRAMES_MODE_NEWEST || mode->mode == CUFRAMES_MODE_ORDERED;
}

static void write_taken(row *at, const sight *of) {
  for (size_t i = 0; i < of->info->mode_count; i++) {
    const row one = mode_row(at, of->info->modes[i]->mode);
    if (takes_frames(of->info->modes[i]))
      count(&one, of->info->modes[i]->delivered);
  }
}

static void write_skipped(row *at, const sight *of) {
  for (size_t i = 0; i < of->info->mode_count; i++) {
    const row one = mode_row(at, of->info->modes[i]->mode);
    if (takes_frames(of->info->modes[i]))
      count(&one, of->info->modes[i]->skipped);
  }
}

/* Of every mode: who takes frames may read packets, too. */
static void write_packets_read(row *at, const sight *of) {
  for (size_t i = 0; i < of->info->mode_count; i++) {
    const row one = mode_row(at, of->info->modes[i]->mode);
    count(&one, of->info->modes[i]->packets_read);
  }
}

static void write_packets_lost(row *at, const sight *of) {
  for (size_t i = 0; i < of->info->mode_count; i++) {
    const row one = mode_row(at, of->info->modes[i]->mode);
    count(&one, of->info->modes[i]->packets_lost);
  }
}

static void write_histogram(const row *at, const cuframes_mode_info *mode) {
  char bound[EXPOSITION_SECONDS];
  exposition *out = at->look->out;
  uint64_t all = 0;
  for (uint32_t i = 0; i < CUFRAMES_LATENCY_BUCKETS; i++) {
    row one = *at;
    const int64_t up_to = mode->latency[i].up_to_ns;
    all += mode->latency[i].frames;
    exposition_seconds(bound, sizeof bound, (uint64_t)up_to);
    label(&one, "le", up_to == INT64_MAX ? "+Inf" : bound);
    exposition_count(out, at->family->name, "_bucket", one.labels, one.count, all);
  }
  exposition_number(out, at->family->name, "_sum", at->labels, at->count, (double)mode->latency_sum_ns / 1e9);
  exposition_count(out, at->family->name, "_count", at->labels, at->count, all);
}

/* Of modes that nobody has joined in there is none, which would be a fifth of all lines. */
static void write_latency(row *at, const sight *of) {
  for (size_t i = 0; i < of->info->mode_count; i++) {
    const cuframes_mode_info *mode = of->info->modes[i];
    const row one = mode_row(at, mode->mode);
    if (takes_frames(mode) && mode->joined)
      write_histogram(&one, mode);
  }
}

static void write_lag(row *at, const sight *of) {
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    const row one = mode_row(at, mode);
    count(&one, mode_look(of->info, mode).lag);
  }
}

static void write_held(row *at, const sight *of) {
  for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
    const row one = mode_row(at, mode);
    count(&one, mode_look(of->info, mode).held);
  }
}

/* ---- of the exporter ---- */

static void write_build(const look *at, row *own) {
  (void)at;
  label(own, "version", cuframes_version());
  count(own, 1);
}

static void write_start(const look *at, row *own) {
  number(own, moment_seconds(at->from->started));
}

static void write_streams(const look *at, row *own) {
  count(own, at->count);
}

static void write_success(const look *at, row *own) {
  count(own, at->directory_ok);
}

static void write_duration(const look *at, row *own) {
  number(own, (double)at->took_ns / 1e9);
}

/* ---- all of them ---- */

/* Who writes a family: once, for each stream, or for each stream that answered. */
typedef struct writer {
  void (*own)(const look *at, row *own);
  void (*each)(row *at, const sight *of);
  void (*answered)(row *at, const sight *of);
} writer;

static const writer writers[FAMILY_COUNT] = {
  [FAMILY_BUILD_INFO] = { .own = write_build },
  [FAMILY_START_TIME] = { .own = write_start },
  [FAMILY_STREAMS] = { .own = write_streams },
  [FAMILY_SCRAPE_SUCCESS] = { .own = write_success },
  [FAMILY_SCRAPE_DURATION] = { .own = write_duration },
  [FAMILY_SCRAPE_ERRORS] = { .each = write_errors },
  [FAMILY_UP] = { .each = write_up },
  [FAMILY_INFO] = { .answered = write_info },
  [FAMILY_STREAM_START] = { .answered = write_stream_start },
  [FAMILY_STATE] = { .answered = write_state },
  [FAMILY_STATE_START] = { .answered = write_state_start },
  [FAMILY_STATE_REASON] = { .answered = write_state_reason },
  [FAMILY_RECONNECTS] = { .answered = write_reconnects },
  [FAMILY_FRAMES] = { .answered = write_frames },
  [FAMILY_DROPPED] = { .answered = write_dropped },
  [FAMILY_LAST_FRAME_AGE] = { .answered = write_last_frame_age },
  [FAMILY_LAST_FRAME_TIME] = { .answered = write_last_frame_time },
  [FAMILY_SLOTS] = { .answered = write_slots },
  [FAMILY_SLOTS_USED] = { .answered = write_slots_used },
  [FAMILY_SLOTS_MAX] = { .answered = write_slots_max },
  [FAMILY_MEMORY] = { .answered = write_memory },
  [FAMILY_PACKETS] = { .answered = write_packets },
  [FAMILY_PACKET_BYTES] = { .answered = write_packet_bytes },
  [FAMILY_TRACK_PACKETS] = { .answered = write_track_packets },
  [FAMILY_TRACK_AGE] = { .answered = write_track_age },
  [FAMILY_TRACK_KEYFRAME] = { .answered = write_track_keyframe },
  [FAMILY_TRACK_KEYFRAME_MAX] = { .answered = write_track_keyframe_max },
  [FAMILY_TRACK_KEYFRAME_AGE] = { .answered = write_track_keyframe_age },
  [FAMILY_SUBSCRIBERS] = { .answered = write_subscribers },
  [FAMILY_JOINED] = { .answered = write_joined },
  [FAMILY_TAKEN] = { .answered = write_taken },
  [FAMILY_SKIPPED] = { .answered = write_skipped },
  [FAMILY_PACKETS_READ] = { .answered = write_packets_read },
  [FAMILY_PACKETS_LOST] = { .answered = write_packets_lost },
  [FAMILY_EVICTIONS] = { .answered = write_evictions },
  [FAMILY_LAG] = { .answered = write_lag },
  [FAMILY_HELD] = { .answered = write_held },
  [FAMILY_LATENCY] = { .answered = write_latency },
};

static void family_write(const look *at, size_t id) {
  const writer *by = &writers[id];
  exposition_family(at->out, families[id].name, families[id].type, families[id].help);
  if (by->own) {
    row own = row_of(at, id, NULL);
    by->own(at, &own);
  }
  for (size_t i = 0; i < at->count; i++) {
    const sight *of = &at->sights[i];
    row one = row_of(at, id, of);
    if (by->each)
      by->each(&one, of);
    if (by->answered && of->info)
      by->answered(&one, of);
  }
}

void look_write(const look *at) {
  for (size_t id = 0; id < FAMILY_COUNT; id++)
    family_write(at, id);
}
