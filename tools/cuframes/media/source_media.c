/* source_media.c - the course of a media input: open, read, decode, loop or reconnect, end. */
#include "source_media.h"

#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/cli_avlog.h"
#include "media.h"

#define READ_ERRORS_MAX 64         /* in a row, before a file counts as unreadable from there on */
#define PACKET_LEAD PUBLISH_SECOND /* how far packets may run ahead of the pictures with --realtime */

/* How a pass through the input ended. */
enum end {
  END_STOPPED, /* the job is to stop */
  END_INPUT,   /* the input is over */
  END_BROKEN,  /* the input failed; m->reason */
  END_FATAL    /* publishing failed, which has been said; *code */
};

static bool wants_reconnect(const media *m) {
  return !m->job->options->no_reconnect && (m->live || m->job->options->reconnect || media_codec_again(m));
}

/* A film behind a web address has a length: it ends like a file. (A camera's RTSP may tell one, too.) */
static bool is_finite(const media *m) {
  const bool film = strncmp(m->job->options->input, "http", 4) == 0 || m->leads_to != NULL;
  return film && m->in->duration != AV_NOPTS_VALUE && m->in->duration > 0 && !media_is_snapshot(m);
}

static enum end fatal(int code, int *out) {
  *out = code;
  return END_FATAL;
}

/* What the first packets of a connection mean: that times go on, with a hole, and that the input is there again. */
static void note_life(media *m) {
  if (!m->connection.taken_up && m->outage.since != 0 && m->outage.packet_at != 0) {
    timeline_restart(&m->timeline, cuframes_now() - m->outage.packet_at);
    m->pace.running = false;
    (void)cuframes_publisher_discontinuity(m->job->publisher); /* cannot fail for a living publisher */
  }
  if (!m->connection.taken_up)
    media_transport_works(m);
  m->connection.taken_up = true;
  if (m->outage.since != 0 && m->packet->stream_index == media_lead(m))
    media_outage_over(m);
}

/* One packet to the ring, and to the decoder if it is the video's. */
static enum end take_one(media *m, int *code) {
  enum end end = END_INPUT; /* here: go on */
  note_life(m);
  bool skip;
  int result = media_follow_video(m, &skip);
  if (skip) {
    av_packet_unref(m->packet);
    return result == CLI_OK ? END_INPUT : fatal(result, code);
  }
  if (result == CLI_OK)
    media_publish_packet(m);
  if (result == CLI_OK && m->packet->stream_index == m->video) {
    media_side_note(m);
    result = media_decode(m, m->packet);
  } else if (m->video < 0 && m->job->options->realtime && !m->live && m->packet->dts != AV_NOPTS_VALUE) {
    (void)publish_job_pace(m->job, &m->pace, m->packet->dts); /* it has no pictures that would keep the pace */
  } else if (m->job->options->realtime && !m->live && m->pace.running && m->packet->dts != AV_NOPTS_VALUE) {
    /* Where there are no pictures to be held to their times, sound must not run away. */
    (void)publish_job_wait(m->job, m->pace.base + m->packet->dts - PACKET_LEAD);
  }
  if (result != CLI_OK)
    end = fatal(result, code);
  av_packet_unref(m->packet);
  return end;
}

static enum end take_held(media *m, int *code) {
  enum end end = END_INPUT;
  while (end == END_INPUT && media_take_held(m))
    end = take_one(m, code);
  return end;
}

static enum end take_whole(media *m, int *code) {
  media_times_read(m);
  return media_hold(m) ? take_held(m, code) : take_one(m, code);
}

/* A part of a document may end the one before it, and wait for the next part. */
static enum end take_part(media *m, int *code) {
  AVPacket *part = m->packet, *before = media_document_is_over(m) ? av_packet_alloc() : NULL;
  if (before != NULL) {
    media_document_take(m, part->stream_index, before);
    m->packet = before;
    const enum end end = take_whole(m, code);
    m->packet = part;
    av_packet_free(&before);
    if (end != END_INPUT) {
      av_packet_unref(part);
      return end;
    }
  }
  if (media_document_add(m))
    return take_whole(m, code);
  av_packet_unref(m->packet);
  return END_INPUT;
}

static enum end drain(media *m, int *code) {
  int result = media_decoder_drain(m);
  return result == CLI_OK ? END_INPUT : fatal(result, code);
}

/* What m->packet, and all that follow, cannot be decoded as: the input has to be opened anew. */
static enum end leave_codec(media *m, int *code) {
  av_packet_unref(m->packet);
  const enum end end = drain(m, code);
  return end == END_INPUT ? END_BROKEN : end;
}

static enum end take_packet(media *m, int *code) {
  if (media_codec_changed(m))
    return leave_codec(m, code);

  if (media_is_repeated(m)) {
    av_packet_unref(m->packet);
    return END_INPUT;
  }
  return media_document_is_part(m) ? take_part(m, code) : take_whole(m, code);
}

/* A file that goes on behind a damaged place is read on. */
static bool may_read_on(media *m, int *errors_in_row) {
  publish_job_count(m->job, &m->job->counts.read_errors);
  return !m->live && ++*errors_in_row < READ_ERRORS_MAX;
}

/* Whether the decoder can wait for what follows the end of this input. Nothing must wait in it for a camera that may
 * never come back. */
static bool goes_on(const media *m, bool again) {
  return media_decoder_goes_on(m) && (again || (wants_reconnect(m) && media_decoder_is_empty(m)));
}

/* Reads to the end of the input, once. again: another round follows. */
static enum end play(media *m, bool again, int *code) {
  int errors_in_row = 0;
  while (!publish_job_stopping(m->job)) {
    int error = media_read(m);
    if (error == 0) {
      errors_in_row = 0;
      enum end end = take_packet(m, code);
      if (end != END_INPUT)
        return end;
      continue;
    }
    if (error != AVERROR(EAGAIN) && m->held_count > 0) { /* nothing more will tell their times */
      m->holding = false;
      enum end end = take_held(m, code);
      if (end != END_INPUT)
        return end;
    }
    if (error == AVERROR_EOF) {
      return goes_on(m, again) ? END_INPUT : drain(m, code);
    } else if (error != AVERROR(EAGAIN) && !may_read_on(m, &errors_in_row)) {
      enum end end = publish_job_stopping(m->job) ? END_STOPPED : goes_on(m, false) ? END_INPUT : drain(m, code);
      return end == END_INPUT ? END_BROKEN : end;
    }
  }
  return END_STOPPED;
}

/* From the opened input to its end, again and again with --loop. */
static enum end play_all(media *m, int *code) {
  bool loop = m->job->options->loop && (!m->live || is_finite(m)), said = false;
  for (;;) {
    uint64_t frames_before = (uint64_t)m->job->last_frame;
    enum end end = play(m, loop, code);
    if (end == END_INPUT && publish_job_stopping(m->job))
      return END_STOPPED;
    if (end == END_INPUT && (uint64_t)m->job->last_frame == frames_before)
      end = drain(m, code); /* a film so short that all of it is still in the decoder */
    if (end == END_INPUT && !m->live && !said && media_ended_early(m)) {
      if (!loop)
        return END_BROKEN;
      publish_job_warn(m->job, "%s is %s", m->job->input, m->reason);
      said = true;
    }
    if (!loop || end == END_STOPPED || end == END_FATAL)
      return end;
    if (end == END_BROKEN && !said) {
      publish_job_warn(m->job, "%s: %s", m->job->input, m->reason);
      said = true;
    }
    if ((uint64_t)m->job->last_frame == frames_before) {
      if (publish_job_stopping(m->job))
        return END_STOPPED;
      snprintf(m->reason, sizeof m->reason, "%s", m->video < 0 ? "no sound came" : "no picture could be decoded");
      return END_BROKEN; /* looping over nothing would be a busy loop */
    }
    const int64_t end_of_round = m->timeline.end;
    media_side_shift(m, end_of_round, timeline_loop(&m->timeline));
    publish_job_count(m->job, &m->job->counts.loops);
    if (media_rewind(m) < 0)
      return publish_job_stopping(m->job) ? END_STOPPED : END_BROKEN;
    media_describe_start(m);
  }
}

/* Opens the input and plays it. *opened: whether it could be opened. */
static enum end attempt(media *m, bool *opened, int *error, int *code) {
  *error = media_open(m);
  *opened = *error >= 0;
  if (!*opened)
    return publish_job_stopping(m->job) ? END_STOPPED : END_BROKEN;
  int result = media_publish_early(m);
  if (result == CLI_OK) {
    media_describe(m); /* first: a subscriber that asks what there is before it reads would be waited for in vain */
    result = publish_job_gather(m->job);
  }
  media_times_begin(m, is_finite(m));
  if (result == CLI_OK && !m->outage.stills)
    publish_state_connected(m->job);
  enum end end = result == CLI_OK ? play_all(m, code) : fatal(result, code);
  if (end == END_INPUT && m->live && is_finite(m) && !m->job->options->reconnect)
    m->live = false; /* over, like a file */
  else if (end == END_INPUT && m->live)
    snprintf(m->reason, sizeof m->reason, "%s",
             m->relay != NULL && *m->relay_report.why ? m->relay_report.why : "the source ended the stream");
  media_close(m);
  return end;
}

/* A film that went to its end, but not whole. */
static void say_damage(media *m) {
  cuframes_publisher_stats stats;
  publish_counts c;
  publish_job_stats(m->job, &stats, &c);
  if (c.corrupt + c.decode_errors + c.read_errors == 0 || c.loops > 0)
    return;
  if (m->video < 0) {
    publish_job_warn(m->job, "%s is damaged: %llu places could not be read", m->job->input,
                     (unsigned long long)c.read_errors);
    return;
  }
  unsigned long long frames = stats.frames;
  int64_t length = m->timeline.start == CUFRAMES_NO_TIME ? 0 : m->timeline.end - m->timeline.start;
  uint64_t expected = m->frame_duration > 0 ? (uint64_t)(length / m->frame_duration) : 0;
  if (expected > frames) {
    publish_job_warn(m->job, "%s is damaged: %llu of about %llu pictures, %llu of them with faults", m->job->input,
                     frames, (unsigned long long)expected, (unsigned long long)c.corrupt);
  } else {
    publish_job_warn(m->job, "%s is damaged: %llu of %llu pictures have faults", m->job->input,
                     (unsigned long long)c.corrupt, frames);
  }
}

/* The end of a job without reconnecting. */
static int conclude(media *m, enum end end) {
  bool frames = m->job->first_frame != 0;
  if (end == END_STOPPED) {
    bool waited_in_vain = m->live && !frames && m->job->run->deadline != 0 && cuframes_now() >= m->job->run->deadline;
    if (waited_in_vain) {
      (void)publish_job_fail(m->job, "%s gave no picture within --duration%s%s", m->job->input,
                             *m->reason ? "; last: " : "", m->reason);
    }
    return waited_in_vain ? CLI_TIMEOUT : CLI_OK;
  }
  if (end == END_BROKEN) {
    const char *remedy = media_remedy(m, m->connection.error);
    return publish_job_fail(m->job, "%s: %s%s%s%s", m->job->input, m->reason, remedy != NULL ? " (" : "",
                            remedy != NULL ? remedy : "", remedy != NULL ? ")" : "");
  }
  if (!frames) {
    return publish_job_fail(m->job, "%s: no %s%s", m->job->input,
                            m->video < 0 ? "sound came" : "picture could be decoded",
                            m->damaged ? "; the file is damaged" : "");
  }
  say_damage(m);
  if (m->job->options->realtime && m->video >= 0)
    (void)publish_job_pace(m->job, &m->pace, m->next_pts); /* the last picture is shown for its time, too */
  return CLI_OK;
}

static int run(media *m) {
  bool ever_opened = false;
  for (;;) {
    bool opened;
    int error = 0, code = CLI_OK;
    const int64_t picture_before = m->job->last_frame;
    enum end end = attempt(m, &opened, &error, &code);
    if (end == END_FATAL)
      return code;
    bool hopeless = m->connection.hopeless || (!opened && !ever_opened && media_is_permanent(m, error));
    if (end == END_STOPPED || hopeless || !wants_reconnect(m) ||
        (end == END_INPUT && !m->live && !m->job->options->reconnect))
      return conclude(m, end);
    if (end == END_INPUT && !m->live)
      snprintf(m->reason, sizeof m->reason, "the input ended");
    ever_opened = ever_opened || opened;
    if (opened && m->connection.still && m->job->last_frame != picture_before) {
      if (!media_ask_again(m))
        return conclude(m, END_STOPPED);
      continue;
    }
    if (media_multipart_again(m))
      continue;
    const int64_t wait = media_outage_trouble(m);
    if (!publish_job_wait(m->job, cuframes_now() + wait))
      return conclude(m, END_STOPPED);
  }
}

int source_media_run(publish_job *job) {
  media m = { .owner = { job->options->name }, .job = job };
  timeline_init(&m.timeline);
  media_side_forget(&m);
  m.packet = av_packet_alloc();
  m.frame = av_frame_alloc();
  if (!media_slots_init(&m))
    return publish_job_fail(job, "out of memory");
  if (!media_input_init(&m))
    return publish_job_fail(job, "out of memory");
  int code = m.packet && m.frame ? run(&m) : publish_job_fail(job, "out of memory");
  media_close(&m);
  media_decoder_close(&m);
  av_dict_free(&m.extra);
  av_packet_free(&m.packet);
  av_frame_free(&m.frame);
  media_track_free(&m);
  media_frame_free(&m);
  media_slots_free(&m);
  media_leads_free(&m);
  media_variants_free(&m);
  free(m.path);
  return code;
}
