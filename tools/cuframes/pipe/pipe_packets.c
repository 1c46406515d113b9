/* pipe_packets.c - a stream's packets into a pipe, from a keyframe on. */
#include <stdlib.h>

#include "muxer/stream_tracks.h"
#include "pipe_run.h"

typedef struct packet_line {
  pipe_run *run;
  stream_tracks tracks;
  muxer *muxer; /* NULL: none yet */
  bool described;
  bool change_due; /* with the leading track's next keyframe another head begins */
  uint64_t seen, lost;
  uint64_t packets_before, refused_before; /* of muxers that have ended */
  int64_t ns_before;
} packet_line;

static void say(void *user, const char *text) {
  const pipe_run *r = user;
  cli_note("%s: %s", r->who, text);
}

static muxer_options options_of(packet_line *s) {
  const pipe_config *c = s->run->config;
  int64_t limit = c->duration_ns ? c->duration_ns - s->ns_before : 0;
  if (c->duration_ns && limit <= 0)
    limit = 1;
  return (muxer_options){ .container = c->container,
                          .limit_ns = limit,
                          .audio = c->audio,
                          .tracks = c->tracks,
                          .io = s->run->io,
                          .source_times = true,
                          .say = say,
                          .user = s->run };
}

/* ---- heads ---- */

static void note_counts(packet_line *s) {
  pipe_run *r = s->run;
  r->packets = s->packets_before + (s->muxer ? muxer_packets(s->muxer) : 0);
  r->refused = s->refused_before + (s->muxer ? muxer_refused(s->muxer) : 0);
  r->written_ns = s->ns_before + (s->muxer ? muxer_position(s->muxer) : 0);
}

static void note_muxer_failure(packet_line *s) {
  pipe_run *r = s->run;
  if (r->ended)
    return;
  if (r->sink.error) {
    pipe_note_write_error(r);
    return;
  }
  cli_error("%s: %s", r->who, muxer_problem(s->muxer));
  pipe_fail(r, "error");
}

static void end_muxer(packet_line *s) {
  if (!s->muxer)
    return;
  if (!muxer_finish(s->muxer))
    note_muxer_failure(s);
  json_decref(s->run->tracks);
  s->run->tracks = stream_tracks_json(&s->tracks, s->muxer);
  note_counts(s);
  s->packets_before = s->run->packets;
  s->refused_before = s->run->refused;
  s->ns_before = s->run->written_ns;
  muxer_free(s->muxer);
  s->muxer = NULL;
}

static bool begin_muxer(packet_line *s) {
  const muxer_options options = options_of(s);
  s->muxer = muxer_create("-", &options);
  if (!s->muxer) {
    s->run->code = reader_no_memory();
    s->run->ended = "error";
    return false;
  }
  stream_tracks_describe(&s->tracks, s->muxer);
  s->run->headers++;
  return true;
}

/* ---- tracks ---- */

static bool fit(packet_line *s) {
  const muxer_options options = options_of(s);
  if (stream_tracks_fit(&s->tracks, &options, s->run->who))
    return true;
  s->run->code = reader_no_memory();
  s->run->ended = "error";
  return false;
}

static void describe_all(packet_line *s) {
  pipe_run *r = s->run;
  const int error = stream_tracks_read_all(&s->tracks, r->subscriber);
  s->tracks.foreseen = false; /* that was the first time */
  if (error == CUFRAMES_ERR_PUBLISHER_GONE && r->config->reader.reconnect)
    return; /* the next one says */
  if (error) {
    r->code = cli_failed(error, r->who);
    r->ended = "error";
    return;
  }
  if (!fit(s))
    return;
  s->described = true;
  if (s->tracks.lead == CUFRAMES_TRACKS_MAX) {
    cli_error("%s has no packets that go into %s: `cuframes info %s` shows its tracks", r->who, r->config->container,
              r->config->reader.name);
    pipe_fail(r, "error");
  }
}

static void describe_one(packet_line *s, uint32_t index) {
  bool changed = false;
  const bool was_in = s->tracks.track[index].in_file;
  if (stream_tracks_read(&s->tracks, s->run->subscriber, index, &changed))
    return; /* nothing to compare with */
  if (s->muxer && was_in)
    stream_tracks_describe_one(&s->tracks, s->muxer, index);
}

static void look_at_flags(packet_line *s, const cuframes_packet *packet) {
  const uint32_t flags = cuframes_packet_flags(packet), index = cuframes_packet_track(packet);
  if (flags & CUFRAMES_PACKET_DISCONTINUITY && s->seen > 1) {
    s->run->epochs++;
    cli_note("%s: the source started anew", s->run->who);
  }
  if (!s->described)
    describe_all(s);
  else if (flags & CUFRAMES_PACKET_NEW_PARAMS || !s->tracks.track[index].known)
    describe_one(s, index);
}

/* ---- packets ---- */

static bool is_start(const packet_line *s, const cuframes_packet *packet) {
  const uint32_t lead = s->tracks.lead;
  return cuframes_packet_track(packet) == lead && (s->tracks.track[lead].params.media_type != CUFRAMES_MEDIA_VIDEO ||
                                                   cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY);
}

/* The head does not do for the packet. Whether another one has begun with it. */
static bool change(packet_line *s, const cuframes_packet *packet) {
  pipe_run *r = s->run;
  if (!s->change_due && !r->config->header_on_change) {
    cli_note("%s: %s: the end, since its reader was told otherwise (--on-change)", r->who, muxer_problem(s->muxer));
    r->ended = "change";
    return false;
  }
  if (!s->change_due)
    cli_note("%s: %s: another head", r->who, muxer_problem(s->muxer));
  s->change_due = true;
  if (!is_start(s, packet))
    return false;
  s->change_due = false;
  end_muxer(s);
  return !r->ended && fit(s) && begin_muxer(s);
}

static void take(packet_line *s, const cuframes_packet *packet) {
  pipe_run *r = s->run;
  const uint32_t index = cuframes_packet_track(packet);
  s->seen++;
  look_at_flags(s, packet);
  if (r->ended || !s->described || !s->tracks.track[index].in_file || (!s->muxer && !begin_muxer(s)))
    return;
  const bool fits = muxer_takes(s->muxer, packet);
  if ((!fits || (s->change_due && is_start(s, packet))) && !change(s, packet))
    return;
  if (!muxer_write(s->muxer, packet))
    note_muxer_failure(s);
  note_counts(s);
  if (!r->ended && muxer_done(s->muxer))
    r->ended = "duration";
}

/* Overwritten before they were read: the reader of the pipe is too slow. */
static void note_loss(packet_line *s) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  if (!cuframes_subscriber_get_stats(s->run->subscriber, &stats) && stats.packets_lost > s->lost) {
    cli_note("%s: its reader is too slow, %llu packets are lost; going on at a keyframe", s->run->who,
             (unsigned long long)(stats.packets_lost - s->lost));
    s->lost = stats.packets_lost;
  }
  if (s->muxer)
    muxer_resync(s->muxer);
}

/* Nothing has come yet. */
static void look_for_tracks(packet_line *s) {
  pipe_run *r = s->run;
  const reader_config *reader = &r->config->reader;
  if (!s->tracks.foreseen)
    stream_tracks_foresee(&s->tracks, r->subscriber);
  if (!s->tracks.foreseen && stream_tracks_none(r->subscriber, reader->directory, reader->name)) {
    cli_error("%s carries no packets: its pictures are not encoded, and come without --packets", r->who);
    pipe_fail(r, "error");
  }
}

void pipe_packets(pipe_run *r) {
  packet_line s = { .run = r, .tracks = { .lead = CUFRAMES_TRACKS_MAX } };
  r->code = reader_enable_packets(&r->config->reader, r->subscriber,
                                  r->from_start ? CUFRAMES_PACKETS_FROM_OLDEST : CUFRAMES_PACKETS_FROM_KEYFRAME);
  if (r->code)
    pipe_note_given_up(r, r->code);
  else
    stream_tracks_foresee(&s.tracks, r->subscriber); /* a short film is over before anybody could ask */
  while (!r->ended) {
    cuframes_packet *packet = NULL;
    const int error = cuframes_subscriber_next_packet(r->subscriber, READER_SLICE_NS, &packet);
    if (!error) {
      r->heard = cuframes_now();
      take(&s, packet);
      cuframes_packet_release(packet);
    } else if (error == CUFRAMES_ERR_PACKET_OVERRUN) {
      note_loss(&s);
    } else {
      if (error == CUFRAMES_ERR_TIMEOUT && s.seen == 0)
        look_for_tracks(&s);
      if (!r->ended)
        pipe_note_error(r, error);
    }
    pipe_look_around(r);
  }
  end_muxer(&s);
  stream_tracks_clear(&s.tracks);
}
