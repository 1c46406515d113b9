/* report.c - what a recorder says: lines on stderr and, with --json, events on stdout. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "recorder.h"

#define SECONDS(ns) ((double)(ns) / 1e9)

/* An event, if those are asked for; takes `keys`. */
static void event(const recorder *r, const char *name, json_t *keys) {
  if (!r->config->many || !r->config->reader.json) {
    json_decref(keys);
    return;
  }
  json_t *object = json_pack("{s:s}", "event", name);
  json_object_update(object, keys);
  json_decref(keys);
  (void)cli_json_print(object, true); /* what is recorded does not depend on who listens */
}

/* 2026-03-29T01:59:59.040Z */
static json_t *time_json(int64_t ns) {
  char text[64], day[32];
  const time_t seconds = (time_t)(ns / 1000000000);
  struct tm tm = { .tm_mday = 1 };
  (void)gmtime_r(&seconds, &tm);
  (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(text, sizeof(text), "%s.%03dZ", day, (int)(ns % 1000000000 / 1000000));
  return json_string(text);
}

static json_t *count_json(uint64_t value) {
  return json_integer((json_int_t)value);
}

static json_t *seconds_json(int64_t ns) {
  return cli_json_rounded(SECONDS(ns), 3);
}

void report_open(const recorder *r, const piece *f, const char *reason, int64_t preroll) {
  if (r->config->since_ns && preroll > 0)
    cli_note("%s: begins %.1f s ago, of %.1f s asked for", r->config->many ? f->part.file : r->config->output,
             SECONDS(preroll), SECONDS(r->config->since_ns));
  event(r, "open",
        json_pack("{s:o,s:o,s:s,s:o}", "file", cli_json_text(f->part.file), "start", time_json(f->wall), "reason",
                  reason, "preroll", seconds_json(preroll)));
}

void report_file(const recorder *r, const piece *f, const char *reason, uint64_t packets, uint64_t bytes) {
  const int64_t ns = muxer_position(f->muxer);
  event(r, "file",
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:s}", "file", cli_json_text(f->part.file), "start", time_json(f->wall),
                  "seconds", seconds_json(ns), "packets", count_json(packets), "bytes", count_json(bytes), "reason",
                  reason));
  cli_note("%s: %.2f s, %" PRIu64 " packets (%s)", f->part.file, SECONDS(ns), packets, reason);
}

void report_gap(const recorder *r, int64_t from, int64_t ns) {
  event(r, "gap", json_pack("{s:o,s:o}", "start", time_json(from), "seconds", seconds_json(ns)));
  cli_note("%s: nothing was recorded for %.1f s", r->config->reader.name, SECONDS(ns));
}

void report_lost(const recorder *r, uint64_t packets) {
  event(r, "lost", json_pack("{s:o}", "packets", count_json(packets)));
  cli_note("%s: too slow, %" PRIu64 " packets lost; going on at a keyframe", r->config->reader.name, packets);
}

void report_error(const recorder *r, const char *file, const char *message) {
  event(r, "error", json_pack("{s:o,s:o}", "file", cli_json_text(file), "message", cli_json_text(message)));
  cli_error("%s", message);
}

void report_resumed(const recorder *r, uint64_t dropped, int64_t ns) {
  event(r, "resumed", json_pack("{s:o,s:o}", "dropped", count_json(dropped), "seconds", seconds_json(ns)));
  cli_note("%s: files can be written again after %.1f s; %" PRIu64 " packets are lost", r->config->reader.name,
           SECONDS(ns), dropped);
}

void report_answer(const recorder *r, const char *line, bool ok, const char *message) {
  event(r, "answer",
        json_pack("{s:o,s:b,s:o,s:s,s:o}", "line", cli_json_text(line), "ok", ok, "message", cli_json_text(message),
                  "state", r->wanted ? "recording" : "paused", "seq", count_json(r->newest_seq)));
  cli_note("%s: %s", *line ? line : "stdin", message);
}

void report_recovered(void *recorder_, const char *file) {
  const recorder *r = recorder_;
  event(r, "recovered", json_pack("{s:o}", "file", cli_json_text(file)));
  cli_note("%s: left in the making by a recorder that was killed; it has its name now", file);
}

void report_deleted(void *recorder_, const char *path, uint64_t bytes, const char *why) {
  recorder *r = recorder_;
  r->deleted++;
  event(r, "deleted",
        json_pack("{s:o,s:o,s:s}", "file", cli_json_text(path), "bytes", count_json(bytes), "reason", why));
}

void report_not_deleted(void *recorder_, const char *path, int error) {
  const recorder *r = recorder_;
  char message[NAMES_PATH_MAX + 256];
  snprintf(message, sizeof(message), "cannot delete %s: %s", path, strerror(-error));
  report_error(r, path, message);
}

void report_live(const recorder *r) {
  const muxer *m = r->current.muxer;
  if (m && !r->config->many)
    cli_live("%s: %.1f s, %" PRIu64 " packets, %.1f MiB", r->config->reader.name, SECONDS(muxer_position(m)),
             muxer_packets(m), (double)muxer_bytes(m) / 1048576);
  else if (m)
    cli_live("%s: %s: %.1f s; %" PRIu64 " files before", r->config->reader.name, r->current.part.file,
             SECONDS(muxer_position(m)), r->files);
  else
    cli_live("%s: %s", r->config->reader.name,
             r->troubled ? "files cannot be written"
             : r->wanted ? "waiting for a keyframe"
                         : "paused");
}

int report_end(const recorder *r) {
  json_t *object = json_object();
  if (r->config->many)
    json_object_set_new(object, "event", json_string("end"));
  json_object_set_new(object, "file", cli_json_text(r->config->output));
  json_object_set_new(object, "format", json_string(r->config->container));
  json_object_set_new(object, "streams", r->streams ? json_incref(r->streams) : json_array());
  json_object_set_new(object, "packets", count_json(r->packets));
  json_object_set_new(object, "bytes", count_json(r->bytes));
  json_object_set_new(object, "seconds", seconds_json(r->recorded));
  json_object_set_new(object, "refused", count_json(r->refused));
  json_object_set_new(object, "lost", count_json(r->lost));
  json_object_set_new(object, "epochs", count_json(r->epochs));
  if (r->config->many) {
    json_object_set_new(object, "files", count_json(r->files));
    json_object_set_new(object, "dropped", count_json(r->dropped));
    json_object_set_new(object, "deleted", count_json(r->deleted));
  }
  json_object_set_new(object, "ended", json_string(r->ended ? r->ended : "error"));
  json_object_set_new(object, "error", *r->why ? cli_json_text(r->why) : json_null());
  return cli_json_print(object, r->config->many);
}
