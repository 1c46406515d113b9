/* recorder.c - the loop: each packet into the file that it belongs to.
 *
 * Which file. The leading track (the first video) changes files by decoding order at a keyframe. Sound has its own
 * time: what is shown before that keyframe belongs to the file before, wherever it comes in the order, so that file
 * stays open until the other tracks have passed the change (LINGER at most). Sound behind a boundary that the video
 * has not reached waits in `later`. So each packet is in exactly one file.
 *
 * While no file is open (paused, no keyframe yet, a full disk) packets go into the backlog, from which the next file
 * begins.
 */
#include "recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "muxer/containers.h"

#define SECOND INT64_C(1000000000)
/* How long a file waits for sound of its span, and some pictures, which may come out of their order. */
#define LINGER (2 * SECOND)
/* The longest group of pictures of a second video, for which it waits, too. */
#define LINGER_VIDEO (30 * SECOND)
/* How long sound behind a boundary waits for the keyframe. */
#define PATIENCE (60 * SECOND)
/* So much sound before the first picture is worth a word; less is how an encoder begins. */
#define SOUND_BEFORE (SECOND / 5)
/* Reading what the ring has takes this long at most: a source may be faster than we are. */
#define CATCH_UP SECOND

static void write_or_fail(recorder *r, piece *f, cuframes_packet *packet, int64_t time, bool start) {
  const bool current = f == &r->current;
  if (piece_write(r, f, packet, start))
    return;
  if (!r->config->many)
    r->ended = "error";
  else if (current)
    (void)backlog_push(&r->backlog, packet, time, start); /* the next file may begin with it */
}

/* ---- the change from file to file ---- */

static bool is_video(const recorder *r, uint32_t index) {
  return r->tracks.track[index].params.media_type == CUFRAMES_MEDIA_VIDEO;
}

/* Whether a packet still belongs to the file before. */
static bool is_of_old(recorder *r, const cuframes_packet *packet, int64_t time) {
  const uint32_t index = cuframes_packet_track(packet);
  if (!r->old.muxer || r->switched[index])
    return false;
  const bool key = !is_video(r, index) || cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY;
  r->switched[index] = key && time >= r->switched_at;
  return !r->switched[index];
}

static void end_old_in_time(recorder *r, int64_t lead_time) {
  bool all = true, video = false;
  if (!r->old.muxer)
    return;
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    all = all && r->switched[i];
    video = video || (!r->switched[i] && is_video(r, i));
  }
  const int64_t linger = (video ? LINGER_VIDEO : LINGER) + 4 * stream_tracks_interval(&r->tracks);
  if (all || lead_time - r->switched_at > linger)
    piece_end(r, &r->old, r->old_reason);
}

/* Why another file begins with this keyframe; NULL: it does not. */
static const char *due(const recorder *r, const cuframes_packet *packet, int64_t time) {
  const piece *f = &r->current;
  if (!f->keys)
    return NULL; /* this one begins with it */
  if (r->split_reason)
    return r->split_reason;
  if (wall_of(&r->wall, time) >= f->boundary)
    return "segment";
  if (r->config->segment_bytes && piece_after_group(f) > r->config->segment_bytes)
    return "size";
  return muxer_takes(f->muxer, packet) ? NULL : "parameters";
}

/* Sound that waited for the change of files. */
static void route_later(recorder *r) {
  size_t count;
  backlog_entry *entries = backlog_take(&r->later, &count);
  for (size_t i = 0; i < count; i++) {
    if (is_of_old(r, entries[i].packet, entries[i].time))
      write_or_fail(r, &r->old, entries[i].packet, entries[i].time, false);
    else if (r->current.muxer)
      write_or_fail(r, &r->current, entries[i].packet, entries[i].time, false);
    else
      (void)backlog_push(&r->backlog, entries[i].packet, entries[i].time, false);
    cuframes_packet_release(entries[i].packet);
  }
  free(entries);
}

/* Sound that lies behind the boundary, or does not go into this file any more, waits for the next one. */
static bool waits(recorder *r, cuframes_packet *packet, int64_t time) {
  const uint32_t index = cuframes_packet_track(packet);
  if (index == r->tracks.lead || !r->config->many)
    return false;
  if (!muxer_takes(r->current.muxer, packet))
    r->split_reason = "parameters";
  else if (wall_of(&r->wall, time) < r->current.boundary)
    return false;
  if (r->current.boundary != INT64_MAX && wall_of(&r->wall, time) - r->current.boundary > PATIENCE) {
    route_later(r); /* the pictures have stopped: sound goes on */
    return false;
  }
  return backlog_push(&r->later, packet, time, false);
}

static void end_current(recorder *r, const char *reason) {
  piece_end(r, &r->old, r->old_reason);
  if (r->current.muxer)
    route_later(r);
  piece_end(r, &r->current, reason);
  r->split_reason = NULL;
}

/* With a file open. */
static void route(recorder *r, cuframes_packet *packet, int64_t time, bool start) {
  const uint32_t index = cuframes_packet_track(packet);
  if (!r->tracks.track[index].in_file)
    return;
  if (is_of_old(r, packet, time)) {
    write_or_fail(r, &r->old, packet, time, false);
    return;
  }
  const char *reason = start && r->config->many ? due(r, packet, time) : NULL;
  if (reason) {
    if (!piece_switch(r, time, reason)) {
      (void)backlog_push(&r->backlog, packet, time, start);
      return;
    }
    r->split_reason = NULL;
    write_or_fail(r, &r->current, packet, time, true);
    route_later(r);
    return;
  }
  if (waits(r, packet, time))
    return;
  if (!muxer_takes(r->current.muxer, packet)) {
    if (!r->config->many) {
      cli_error("%s: %s: that does not go into one file, --segment begins another", r->config->reader.name,
                muxer_problem(r->current.muxer));
      r->ended = "parameters";
    } else if (index == r->tracks.lead) {
      end_current(r, "parameters"); /* and no keyframe: what cannot be shown is left out */
      r->begin_reason = "parameters";
    }
    return;
  }
  write_or_fail(r, &r->current, packet, time, start);
}

/* ---- packets ---- */

static int64_t time_of(const recorder *r, const cuframes_packet *packet) {
  const int64_t pts = cuframes_packet_pts(packet), dts = cuframes_packet_dts(packet);
  if (pts != CUFRAMES_NO_TIME || dts != CUFRAMES_NO_TIME)
    return pts != CUFRAMES_NO_TIME ? pts : dts;
  if (r->wall.set)
    return r->wall.latest + cuframes_now() - r->wall.latest_came;
  return r->newest == INT64_MIN ? 0 : r->newest;
}

/* The source began anew: one file stays one, of many another begins. What the ring has of it is read first. */
static void begin_anew(recorder *r) {
  r->epochs += r->files || r->current.muxer;
  cli_note("%s: the source started anew", r->config->reader.name);
  r->wall.set = false;
  if (r->config->many) {
    end_current(r, "discontinuity");
    r->begin_reason = "discontinuity";
    r->keep_all = r->wanted && !r->troubled;
    r->caught_up = false;
    r->old_packets = 0;
    r->catch_up_by = cuframes_now() + CATCH_UP;
  }
  if (!r->current.muxer) {
    backlog_clear(&r->backlog);
    r->described = false;
  }
}

/* Its clock jumped: the muxer closes the hole; of many files another begins with the next keyframe. */
static void jumped(recorder *r, int64_t by) {
  r->wall.set = false;
  if (!r->config->many)
    return;
  cli_note("%s: the times jump by %.1f s", r->config->reader.name, (double)by / 1e9);
  if (r->current.muxer)
    r->split_reason = "jump";
  else
    backlog_clear(&r->backlog);
}

static void say(void *user, const char *text) {
  const recorder *r = user;
  cli_note("%s: %s", r->config->reader.name, text);
}

muxer_options recorder_muxer_options(recorder *r, int64_t limit_ns) {
  return (muxer_options){ .container = r->config->container,
                          .limit_ns = limit_ns,
                          .audio = r->config->audio,
                          .tracks = r->config->tracks,
                          .say = r->tell_tracks ? say : NULL,
                          .user = r };
}

static void describe_all(recorder *r) {
  int error = stream_tracks_read_all(&r->tracks, r->subscriber);
  r->tracks.foreseen = false; /* that was the first time */
  if (error == CUFRAMES_ERR_PUBLISHER_GONE && r->config->reader.reconnect)
    return; /* the next one says */
  const muxer_options options = recorder_muxer_options(r, 0);
  if (!error && !stream_tracks_fit(&r->tracks, &options, r->config->reader.name))
    error = CUFRAMES_ERR_NO_MEMORY;
  if (error) {
    snprintf(r->why, sizeof(r->why), "%s", cuframes_last_error());
    r->failed_code = cli_failed(error, r->config->reader.name);
    r->ended = "error";
    return;
  }
  r->described = r->tell_tracks = true;
  memset(r->seen_track, 0, sizeof(r->seen_track));
  if (r->tracks.lead == CUFRAMES_TRACKS_MAX && !r->config->many) {
    snprintf(r->why, sizeof(r->why), "%s has no stream that goes into %s", r->config->reader.name, r->config->output);
    cli_error("%s", r->why);
    r->failed_code = CLI_FAILED;
    r->ended = "error";
  }
}

/* A track is another one from this packet on. */
static void describe_one(recorder *r, uint32_t index) {
  const cuframes_codec_params before = r->tracks.track[index].params, *now = &r->tracks.track[index].params;
  bool changed = false;
  if (stream_tracks_read(&r->tracks, r->subscriber, index, &changed))
    return; /* nothing to compare with */
  if (r->current.muxer)
    stream_tracks_describe_one(&r->tracks, r->current.muxer, index);
  if (!changed)
    return;
  if (now->media_type == CUFRAMES_MEDIA_VIDEO && before.media_type == now->media_type)
    cli_note("%s: stream %u is %ux%u %s from here on, was %ux%u %s", r->config->reader.name, index, now->width,
             now->height, now->codec, before.width, before.height, before.codec);
  else
    cli_note("%s: stream %u is %s with %u Hz and %u channels from here on", r->config->reader.name, index, now->codec,
             now->sample_rate, now->channels);
  if (!r->config->many)
    return;
  if (r->current.muxer)
    r->split_reason = "parameters";
  backlog_clear(&r->backlog);
  const muxer_options options = recorder_muxer_options(r, 0);
  r->tell_tracks = true;
  (void)stream_tracks_fit(&r->tracks, &options, r->config->reader.name); /* without memory as it was */
}

static void look_at_flags(recorder *r, const cuframes_packet *packet) {
  const uint32_t flags = cuframes_packet_flags(packet), index = cuframes_packet_track(packet);
  if (flags & CUFRAMES_PACKET_DISCONTINUITY && r->seen > 1)
    begin_anew(r);
  if (!r->described)
    describe_all(r);
  else if (!r->caught_up && flags & CUFRAMES_PACKET_NEW_PARAMS && r->seen_track[index])
    backlog_clear(&r->backlog); /* what they were before nobody can say any more */
  else if ((r->caught_up && flags & CUFRAMES_PACKET_NEW_PARAMS) || !r->tracks.track[index].known)
    describe_one(r, index);
  r->seen_track[index] = true;
}

/* A stream whose sound begins before its pictures: what is left out of it is said. Who joins later, in the middle of a
 * group of pictures, leaves nothing out that he could have. */
static void note_sound_before(const recorder *r) {
  const backlog_entry *entries = r->backlog.entries;
  if (r->files || cuframes_packet_seq(entries[0].packet) != 1)
    return;
  int64_t least = INT64_MAX;
  size_t i = 0;
  for (; !entries[i].start; i++) { /* there is one */
    if (cuframes_packet_track(entries[i].packet) == r->tracks.lead)
      return;
    least = entries[i].time < least ? entries[i].time : least;
  }
  if (least != INT64_MAX && entries[i].time - least >= SOUND_BEFORE)
    cli_note("%s: %.1f s of sound come before the first picture and are left out: a file begins with a keyframe",
             r->config->reader.name, (double)(entries[i].time - least) / 1e9);
}

/* Begins a file with the backlog, if that has a keyframe. */
static void try_to_begin(recorder *r) {
  if (!r->wanted || !r->caught_up || !r->described || !r->backlog.starts || cuframes_now() < r->retry_at || r->ended)
    return;
  note_sound_before(r);
  const size_t start = backlog_trim(&r->backlog, r->keep_all ? INT64_MAX : r->config->since_ns);
  const int64_t time = r->backlog.entries[start].time;
  if (!piece_begin(r, time, r->newest - time, r->begin_reason))
    return;
  size_t count;
  backlog_entry *entries = backlog_take(&r->backlog, &count);
  /* Sound of this file may stand before its keyframe. */
  for (size_t i = start; i < count; i++) {
    if (r->current.muxer)
      route(r, entries[i].packet, entries[i].time, entries[i].start);
    else
      (void)backlog_push(&r->backlog, entries[i].packet, entries[i].time, entries[i].start);
    for (size_t k = 0; i == start && k < start && r->current.muxer; k++) {
      muxer_same_epoch(r->current.muxer);
      route(r, entries[k].packet, entries[k].time, false);
    }
  }
  for (size_t i = 0; i < count; i++)
    cuframes_packet_release(entries[i].packet);
  free(entries);
}

static void take(recorder *r, cuframes_packet *packet) {
  const uint32_t index = cuframes_packet_track(packet);
  r->seen++;
  r->newest_seq = cuframes_packet_seq(packet);
  look_at_flags(r, packet);
  if (r->ended)
    return;
  const int64_t time = time_of(r, packet);
  const bool lead = r->described && index == r->tracks.lead;
  const bool start = lead && (!is_video(r, index) || cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY);
  if (lead && r->wall.set && !wall_note(&r->wall, time, stream_tracks_interval(&r->tracks)))
    jumped(r, time - r->wall.latest);
  if (lead || !r->described || r->newest == INT64_MIN)
    r->newest = time;
  if (r->caught_up && !r->wall.set && lead)
    wall_tie(&r->wall, time);
  if (r->current.muxer)
    route(r, packet, time, start);
  else if (!r->described || r->tracks.track[index].in_file)
    if (!backlog_push(&r->backlog, packet, time, start))
      cli_note("%s: more than %u MiB without a keyframe are not kept", r->config->reader.name, BACKLOG_BYTES_MAX >> 20);
  if (lead)
    end_old_in_time(r, time);
  if (r->current.muxer)
    return;
  if (r->later.count)
    route_later(r); /* that file has failed */
  try_to_begin(r);
  if (!r->current.muxer && start)
    (void)backlog_trim(&r->backlog, r->keep_all ? INT64_MAX : r->config->since_ns);
}

/* The ring is read to its end: from here on packets are as old as they come. */
static void note_caught_up(recorder *r) {
  r->caught_up = true;
  if (r->newest != INT64_MIN && r->described)
    wall_tie(&r->wall, r->newest);
  try_to_begin(r);
}

/* ---- commands ---- */

static void start(recorder *r, const char *line) {
  const bool posting = r->stop_at != INT64_MAX;
  if (r->wanted && !posting) {
    report_answer(r, line, true, "recording already");
    return;
  }
  r->stop_at = r->stop_by = INT64_MAX;
  r->wanted = true;
  r->begin_reason = "start";
  r->retry_at = 0;
  report_answer(r, line, true, posting ? "recording goes on" : "recording");
  if (!posting)
    try_to_begin(r);
}

static void stop_now(recorder *r) {
  r->wanted = r->keep_all = false;
  r->stop_at = r->stop_by = INT64_MAX;
  end_current(r, "stop");
  r->ended_wall = 0; /* a pause is no gap */
  if (r->troubled)
    r->retry_at = 0;
}

static void stop(recorder *r, const char *line) {
  if (!r->wanted || r->stop_at != INT64_MAX) {
    report_answer(r, line, true, r->wanted ? "stopping already" : "paused already");
    return;
  }
  if (r->config->post_ns && r->current.muxer) {
    r->stop_at = r->newest + r->config->post_ns;
    r->stop_by = cuframes_now() + r->config->post_ns + 2 * SECOND; /* where no packets come */
    report_answer(r, line, true, "paused when --post has passed");
    return;
  }
  stop_now(r);
  report_answer(r, line, true, "paused");
}

static void split(recorder *r, const char *line) {
  if (!r->current.muxer) {
    report_answer(r, line, false, "nothing is being recorded that could be split");
    return;
  }
  r->split_reason = "split";
  report_answer(r, line, true, "another file begins with the next keyframe");
}

static void command(recorder *r) {
  enum control_command next;
  control_begin_round(&r->control);
  while (!r->ended && (next = control_next(&r->control)) != CONTROL_NONE) {
    const char *line = r->control.line;
    if (next == CONTROL_TOGGLE)
      next = r->wanted && r->stop_at == INT64_MAX ? CONTROL_STOP : CONTROL_START;
    switch (next) {
      case CONTROL_START: start(r, line); break;
      case CONTROL_STOP: stop(r, line); break;
      case CONTROL_SPLIT: split(r, line); break;
      case CONTROL_QUIT:
        report_answer(r, line, true, "ending");
        r->ended = "quit";
        break;
      default: report_answer(r, line, false, "expected " CONTROL_EXPECTED);
    }
  }
  if (r->control.ended) {
    r->control.ended = false;
    cli_note("stdin has ended: going on as it is; signals still work");
  }
}

/* ---- the loop ---- */

static void note_loss(recorder *r) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof(stats) };
  if (!cuframes_subscriber_get_stats(r->subscriber, &stats)) {
    if (stats.packets_lost > r->lost && r->caught_up)
      report_lost(r, stats.packets_lost - r->lost);
    r->lost = stats.packets_lost;
  }
  if (r->current.muxer)
    muxer_resync(r->current.muxer);
  else
    backlog_clear(&r->backlog);
}

/* No packet in this slice. */
static void idle(recorder *r) {
  const int64_t now = cuframes_now(), timeout = r->config->timeout_ns;
  const int64_t patience = timeout ? timeout : r->seen || r->config->many ? INT64_MAX : 10 * SECOND;
  if (!r->caught_up)
    note_caught_up(r);
  if (!r->seen && !r->tracks.foreseen)
    stream_tracks_foresee(&r->tracks, r->subscriber);
  if (now - r->heard > patience && (r->seen || now >= r->config->reader.first_by)) {
    cli_error("%s: no packet came for %.3g s", r->config->reader.name, (double)patience / 1e9);
    reader_say_trouble(&r->config->reader);
    r->ended = "timeout";
    r->failed_code = CLI_TIMEOUT;
  }
  if (!r->ended && !r->seen && stream_tracks_none(r->subscriber, r->config->reader.directory, r->config->reader.name)) {
    cli_error("the stream \"%s\" carries no packets: its pictures are not encoded", r->config->reader.name);
    r->ended = "error";
    r->failed_code = CLI_FAILED;
  }
  /* The next publisher begins anew in any case: what this one gave is complete. */
  if (r->config->many && r->current.muxer &&
      cuframes_subscriber_device(r->subscriber, NULL, 0, NULL) == CUFRAMES_ERR_PUBLISHER_GONE) {
    cli_note("%s: the publisher has gone; going on when it comes back", r->config->reader.name);
    end_current(r, "publisher_gone");
    r->begin_reason = "discontinuity";
  }
}

/* The end that an error of next_packet is. */
static void note_error(recorder *r, int error) {
  const bool gone = error == CUFRAMES_ERR_PUBLISHER_GONE;
  r->ended = gone ? "publisher_gone" : "error";
  if (gone && (r->files || r->current.muxer))
    cli_note("%s: the publisher has gone, the recording ends here", r->config->reader.name);
  else {
    snprintf(r->why, sizeof(r->why), "%s", cuframes_last_error());
    r->failed_code = cli_failed(error, r->config->reader.name);
  }
}

/* Packets come, and no file can begin with them. */
static void note_starving(recorder *r, int64_t now) {
  const bool begun = r->current.muxer && muxer_has_begun(r->current.muxer);
  if (begun || !r->wanted || r->troubled) {
    r->starved = r->setless = false;
    r->seen_in_file = r->seen;
  }
  if (r->current.muxer)
    r->setless = muxer_lacks_sets(r->current.muxer);
  if (r->seen == r->seen_in_file)
    r->starving_since = now;
  if (r->starved || now - r->starving_since <= 10 * SECOND)
    return;
  r->starved = true;
  cli_note("%s: %" PRIu64 " packets came and no keyframe%s yet: the recording begins with the next one",
           r->config->reader.name, r->seen - r->seen_in_file,
           r->setless ? " with parameter sets (SPS, PPS), nor are they announced," : "");
}

/* What goes by the clock and not by packets. */
static void look_around(recorder *r, int64_t *shown) {
  const int64_t now = cuframes_now();
  int64_t by;
  if (r->config->many)
    command(r);
  if (r->wanted && r->stop_at != INT64_MAX && (r->newest >= r->stop_at || now >= r->stop_by))
    stop_now(r);
  if (r->config->many && r->wall.set && wall_was_set(&r->wall, &by)) {
    cli_note("the clock was set by %.1f s; another file begins", (double)by / 1e9);
    r->split_reason = r->current.muxer ? "clock" : NULL;
    r->ended_wall = 0;
  }
  note_starving(r, now);
  if (cli_stopped && !r->ended)
    r->ended = "signal";
  if (r->current.muxer && muxer_done(r->current.muxer) && !r->ended)
    r->ended = "duration";
  if (now - *shown > READER_SLICE_NS) {
    *shown = now;
    report_live(r);
  }
}

static void run(recorder *r) {
  int64_t shown = cuframes_now();
  while (!r->ended) {
    cuframes_packet *packet = NULL;
    const int error = cuframes_subscriber_next_packet(r->subscriber, r->caught_up ? READER_SLICE_NS : 0, &packet);
    if (!error) {
      r->heard = cuframes_now();
      take(r, packet);
      cuframes_packet_release(packet);
      if (!r->caught_up && (r->newest_seq == r->old_packets || r->heard > r->catch_up_by))
        note_caught_up(r);
    } else if (error == CUFRAMES_ERR_PACKET_OVERRUN) {
      note_loss(r);
    } else if (error == CUFRAMES_ERR_TIMEOUT) {
      idle(r);
    } else {
      note_error(r, error);
    }
    look_around(r, &shown);
  }
}

static int enable_packets(recorder *r) {
  const record_config *config = r->config;
  r->old_packets = config->old_packets;
  r->caught_up = !config->old_packets;
  const int code = reader_enable_packets(&config->reader, r->subscriber, CUFRAMES_PACKETS_FROM_OLDEST);
  if (!code)
    stream_tracks_foresee(&r->tracks, r->subscriber);
  return code;
}

static bool plays(void *recorder_, const char *file) {
  const recorder *r = recorder_;
  return containers_play(r->config->container, file);
}

static int begin(recorder *r) {
  const record_config *config = r->config;
  if (!config->many)
    return enable_packets(r);
  if (!names_init(&r->names, config->output, config->segment_ns, config->utc)) {
    cli_error("%s", r->names.problem);
    return CLI_USAGE;
  }
  control_begin(&r->control, config->control);
  r->retention = (retention){ .names = &r->names,
                              .keep_s = config->keep_ns / SECOND,
                              .keep_bytes = config->keep_bytes,
                              .deleted = report_deleted,
                              .failed = report_not_deleted,
                              .user = r };
  files_recover(&r->names, &(files_care){ plays, report_recovered, r });
  if (!config->no_fsync && !(r->syncer = syncer_create()))
    return reader_no_memory();
  return enable_packets(r);
}

/* Closes the file. Gives the exit code. */
static int finish(recorder *r) {
  int code = r->failed_code;
  cli_live_end();
  if (*r->failed_text && (!r->config->many || r->troubled))
    snprintf(r->why, sizeof(r->why), "%s", r->failed_text);
  if (r->ended && !strcmp(r->ended, "error") && *r->failed_text) {
    cli_error("%s%s", r->failed_text,
              r->current.muxer && muxer_packets(r->current.muxer) ? "; what is written so far is kept" : "");
    code = CLI_FAILED;
  }
  *r->failed_text = '\0';
  end_current(r, r->ended ? r->ended : "error");
  if (*r->failed_text) { /* what was kept back until now could not be written: that is how it ended */
    cli_error("%s", r->failed_text);
    snprintf(r->why, sizeof(r->why), "%s", r->failed_text);
    r->ended = r->config->many ? r->ended : "error";
    code = code ? code : CLI_FAILED;
  }
  if (r->ended && !strcmp(r->ended, "parameters"))
    code = CLI_FAILED;
  if (r->troubled) {
    cli_error("%s: files could not be written in the end", r->config->reader.name);
    code = code ? code : CLI_FAILED;
  }
  r->dropped += r->trouble_dropped + (r->troubled ? r->backlog.dropped + r->backlog.count - r->dropped_before : 0);
  if (!r->files && r->wanted && !code) {
    cli_error("%s: no %s came, nothing was written", r->config->reader.name,
              r->setless ? "keyframe with parameter sets (SPS, PPS)"
              : r->seen  ? "keyframe"
                         : "packet");
    code = CLI_FAILED;
  }
  if (!r->config->many && !r->config->reader.json && r->files)
    cli_note("%s: %.2f s, %" PRIu64 " packets", r->config->output, (double)r->recorded / 1e9, r->packets);
  return code;
}

int recorder_run(const record_config *config, cuframes_subscriber *subscriber) {
  recorder *r = calloc(1, sizeof(*r));
  if (!r)
    return reader_no_memory();
  *r = (recorder){ .config = config,
                   .subscriber = subscriber,
                   .wanted = !config->paused,
                   .newest = INT64_MIN,
                   .stop_at = INT64_MAX,
                   .stop_by = INT64_MAX,
                   .begin_reason = "start",
                   .heard = cuframes_now(),
                   .starving_since = cuframes_now(),
                   .catch_up_by = cuframes_now() + CATCH_UP,
                   .tracks = { .lead = CUFRAMES_TRACKS_MAX },
                   .claimed = -1,
                   .current = { .part = { .fd = -1, .directory = -1 } },
                   .old = { .part = { .fd = -1, .directory = -1 } } };
  int code = begin(r);
  if (!code) {
    run(r);
    code = finish(r);
  }
  if (config->reader.json && code != CLI_USAGE) {
    const int printed = report_end(r);
    code = code ? code : printed;
  }
  if (r->claimed >= 0)
    (void)close(r->claimed);
  backlog_free(&r->backlog);
  backlog_free(&r->later);
  stream_tracks_clear(&r->tracks);
  syncer_free(r->syncer);
  retention_free(&r->retention);
  names_free(&r->names);
  json_decref(r->streams);
  free(r);
  return code;
}
