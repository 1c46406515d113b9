/* pipe_run.c - the course of one reader's pipe, and what is said of it. */
#include "pipe_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libavformat/avio.h>
#include <libavutil/mem.h>

#include "common/av_compat.h"
#include "common/stream_state.h"

#define SECOND INT64_C(1000000000)
#define BUFFER_BYTES 65536

/* ---- the end ---- */

void pipe_fail(pipe_run *r, const char *ended) {
  r->ended = ended;
  r->code = CLI_FAILED;
}

void pipe_note_write_error(pipe_run *r) {
  const int error = r->sink.error;
  if (r->ended)
    return;
  if (error == EPIPE || error == ECONNRESET) {
    r->ended = "reader_gone";
  } else if (error == EINTR) {
    r->ended = "signal";
  } else {
    cli_error("%s: cannot write: %s", r->who, strerror(error ? error : EIO));
    pipe_fail(r, "error");
  }
}

void pipe_note_given_up(pipe_run *r, int code) {
  const bool gone = r->sink.fd >= 0 && sink_reader_has_gone(&r->sink);
  r->ended = cli_stopped ? "signal" : gone ? "reader_gone" : code == CLI_TIMEOUT ? "timeout" : "error";
  r->code = cli_stopped || gone ? CLI_OK : code;
}

/* How long nothing may come. */
static int64_t patience(const pipe_run *r) {
  const pipe_config *c = r->config;
  if (c->timeout_ns)
    return c->timeout_ns;
  if (r->pictures || r->packets || c->reader.wait_ns == CUFRAMES_WAIT_FOREVER)
    return INT64_MAX;
  return c->reader.wait_ns ? c->reader.wait_ns : 10 * SECOND;
}

static void note_silence(pipe_run *r) {
  const int64_t limit = patience(r), now = cuframes_now();
  if (now - r->heard <= limit || (!r->pictures && !r->packets && now < r->first_by))
    return;
  cli_error("%s: no %s came for %.3g s", r->who, r->config->packets ? "packet" : "picture", (double)limit / 1e9);
  reader_say_trouble(&r->config->reader);
  r->ended = "timeout";
  r->code = CLI_TIMEOUT;
}

/* A stream that is waited for is no reason to stay for a reader that is not there any more. */
static bool reader_has_gone(void *run) {
  const pipe_run *r = run;
  return sink_reader_has_gone(&r->sink);
}

static int join(pipe_run *r, int64_t wait_ns) {
  reader_config reader = r->config->reader;
  reader.wait_ns = wait_ns;
  reader.given_up = reader_has_gone;
  reader.user = r;
  const int code = reader_join(&reader, &r->subscriber);
  r->first_by = reader.first_by;
  return code;
}

/* Too slow in ordered mode; --reconnect takes another place. */
static void note_eviction(pipe_run *r) {
  r->evictions++;
  if (!r->config->reader.reconnect) {
    (void)cli_failed(CUFRAMES_ERR_EVICTED, r->who);
    pipe_fail(r, "evicted");
    return;
  }
  cli_note("%s: evicted, since its reader is too slow; joining again", r->who);
  cuframes_subscriber_destroy(r->subscriber);
  r->subscriber = NULL;
  const int code = join(r, CUFRAMES_WAIT_FOREVER); /* it may go in this moment */
  if (code)
    pipe_note_given_up(r, code);
}

void pipe_note_error(pipe_run *r, int error) {
  if (error == CUFRAMES_ERR_TIMEOUT) {
    note_silence(r);
  } else if (error == CUFRAMES_ERR_EVICTED) {
    note_eviction(r);
  } else if (error == CUFRAMES_ERR_PUBLISHER_GONE) {
    const bool had = r->pictures || r->packets;
    cli_note("%s: the publisher has gone%s", r->who, had ? "" : " before anything came");
    r->ended = "publisher_gone";
    r->code = had ? CLI_OK : CLI_FAILED;
  } else if (error != CUFRAMES_ERR_INTERRUPTED) {
    r->code = cli_failed(error, r->who);
    r->ended = "error";
  }
}

void pipe_look_around(pipe_run *r) {
  const pipe_config *c = r->config;
  if (r->ended)
    return;
  if (r->sink.error)
    pipe_note_write_error(r);
  else if (c->count && r->pictures >= c->count)
    r->ended = "count";
  else if (cli_stopped)
    r->ended = "signal";
  else if (sink_reader_has_gone(&r->sink))
    r->ended = "reader_gone";
}

/* ---- the course ---- */

/* What libavformat writes. */
static int write_some(void *run, av_compat_written *data, int size) {
  pipe_run *r = run;
  return sink_write(&r->sink, data, (size_t)size) ? size : AVERROR(r->sink.error);
}

static bool open_io(pipe_run *r) {
  uint8_t *buffer = av_malloc(BUFFER_BYTES);
  r->io = buffer ? avio_alloc_context(buffer, BUFFER_BYTES, 1, r, NULL, write_some, NULL) : NULL;
  if (!r->io) {
    av_free(buffer);
    return false;
  }
  r->io->seekable = 0;
  r->io->direct = !r->config->packets; /* pictures are large, and are written from where they lie */
  return true;
}

static void close_io(pipe_run *r) {
  if (!r->io)
    return;
  av_freep(&r->io->buffer);
  avio_context_free(&r->io);
}

static void note_statistics(pipe_run *r) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  if (!r->subscriber || cuframes_subscriber_get_stats(r->subscriber, &stats))
    return;
  r->skipped = stats.skipped;
  r->lost = stats.packets_lost;
  r->reconnects += stats.reconnects;
}

int pipe_look_for_stream(const pipe_config *config) {
  cuframes_stream_info *info = NULL;
  const int code = config->reader.wait_ns ? CLI_OK : reader_query(&config->reader, &info);
  cuframes_stream_info_free(info);
  return code;
}

int pipe_run_all(pipe_run *r) {
  const reader_config *reader = &r->config->reader;
  cuframes_stream_info *before = NULL;
  r->from_start = cuframes_stream_query(reader->directory, reader->name, READER_QUERY_NS, &before) != CUFRAMES_OK ||
                  pictures_of(before) == PICTURES_AWAITED;
  cuframes_stream_info_free(before);
  const int code = join(r, reader->wait_ns);
  if (code) {
    pipe_note_given_up(r, code);
    return r->code;
  }
  r->heard = cuframes_now();
  if (!open_io(r)) {
    r->code = reader_no_memory();
    r->ended = "error";
  } else if (r->config->packets) {
    pipe_packets(r);
  } else {
    pipe_pictures(r);
  }
  note_statistics(r);
  cuframes_subscriber_destroy(r->subscriber);
  r->subscriber = NULL;
  close_io(r);
  return r->code;
}

/* ---- what is said ---- */

static void set_count(json_t *object, const char *key, uint64_t value) {
  json_object_set_new(object, key, json_integer((json_int_t)value));
}

json_t *pipe_report(const pipe_run *r) {
  json_t *object = json_object();
  json_object_set_new(object, "name", cli_json_text(r->config->reader.name));
  json_object_set_new(object, "container", json_string(r->config->container ? r->config->container : "raw"));
  if (r->config->packets) {
    json_object_set_new(object, "streams", r->tracks ? json_incref(r->tracks) : json_array());
    set_count(object, "packets", r->packets);
    set_count(object, "refused", r->refused);
    set_count(object, "lost", r->lost);
  } else {
    json_object_set_new(object, "mode", json_string(mode_text(r->config->reader.mode)));
    json_object_set_new(object, "format", json_string(r->format));
    set_count(object, "picture_bytes", r->picture_bytes);
    set_count(object, "pictures", r->pictures);
    set_count(object, "left_out", r->left_out);
    set_count(object, "skipped", r->skipped);
    set_count(object, "evictions", r->evictions);
  }
  set_count(object, "bytes", r->sink.bytes);
  json_object_set_new(object, "seconds", cli_json_rounded((double)r->written_ns / 1e9, 3));
  json_object_set_new(object, "blocked_seconds", cli_json_rounded((double)r->sink.blocked_ns / 1e9, 3));
  set_count(object, "headers", r->headers);
  set_count(object, "epochs", r->epochs);
  set_count(object, "reconnects", r->reconnects);
  json_object_set_new(object, "ended", json_string(r->ended ? r->ended : "error"));
  return object;
}

void pipe_print_report(json_t *report) {
  char *text = report ? json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
  if (text)
    fprintf(stderr, "%s\n", text);
  else
    (void)reader_no_memory();
  free(text);
  json_decref(report);
}

static const char *end_text(const char *ended) {
  static const char *const words[][2] = { { "reader_gone", "its reader has had enough" },
                                          { "publisher_gone", "the publisher has gone" },
                                          { "change", "the format has changed" },
                                          { "count", "that was all" },
                                          { "duration", "that was all" },
                                          { "signal", "a signal" } };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i][0], ended) == 0)
      return words[i][1];
  return ended;
}

void pipe_say_end(const pipe_run *r) {
  const double seconds = (double)r->written_ns / 1e9;
  const char *why = end_text(r->ended ? r->ended : "error");
  if (r->config->packets)
    cli_note("%s: %" PRIu64 " packets, %.2f s, %" PRIu64 " lost (%s)", r->who, r->packets, seconds, r->lost, why);
  else
    cli_note("%s: %" PRIu64 " pictures, %.2f s, %" PRIu64 " skipped (%s)", r->who, r->pictures, seconds, r->skipped,
             why);
}
