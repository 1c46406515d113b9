/* record.c - cuframes record: the packets of a stream into MP4, Matroska or TS, without encoding. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli_avlog.h"
#include "common/json.h"
#include "common/reader.h"
#include "common/suggest.h"
#include "muxer.h"

static const char help[] =
    "usage: cuframes record NAME FILE [OPTIONS]\n"
    "Writes the encoded video and sound of a stream to a file, as they are, from a keyframe on.\n\n"
    "  -o, --output FILE  the same as FILE; .mp4, .mkv or .ts; '-' is stdout\n"
    "  --format KIND      mp4, mkv or ts, if FILE does not say so\n"
    "  --audio KIND       copy (default): as it is; aac: encoded, where it is not AAC; none: left out\n"
    "  --tracks LIST      only these: numbers as info shows them, 'video', 'audio', such as 0,2 or video,3\n"
    "  --duration SECONDS end after so much of the stream (default: Ctrl-C, or when the publisher ends)\n"
    "  --timeout SECONDS  end when no packet comes for that long (default: 10 for the first one, then for ever)\n"
    "  --overwrite        replace FILE if it exists\n"
    "  --reconnect        when the publisher goes, wait for it and go on in the same file\n"
    "  --label TEXT       shown by info and top\n" READER_HELP_WAIT READER_HELP_BASIC
    "\nMP4 is always fragmented, so that a recording that is cut off, by a full disk or otherwise, plays up to there.\n"
    "With --json: an object with file, format, streams, packets, bytes, seconds, lost, epochs, ended.\n";

typedef struct recording {
  reader_config reader;
  const char *output, *container;
  int64_t duration_ns, timeout_ns;
  enum muxer_audio audio;
  muxer_tracks tracks;
  bool overwrite;

  cuframes_subscriber *subscriber;
  muxer *muxer;
  cuframes_codec_params params[CUFRAMES_TRACKS_MAX];
  bool described, existed;
  uint64_t lost, epochs;
  const char *ended;
} recording;

static const char *container_of(const char *text) {
  static const char *const names[][2] = { { "mp4", "mp4" },           { "m4v", "mp4" },   { "mkv", "matroska" },
                                          { "matroska", "matroska" }, { "ts", "mpegts" }, { "mpegts", "mpegts" } };
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
    if (!strcasecmp(text, names[i][0]))
      return names[i][1];
  return NULL;
}

static int take_format(recording *r) {
  static const char *const words[] = { "mp4", "mkv", "ts", NULL };
  r->container = container_of(optarg);
  return r->container ? CLI_OK
                      : cli_usage("--format is mp4, mkv or ts, not '%s'%s", optarg,
                                  suggest_text("", suggest_from(optarg, words)).text);
}

static int take_audio(recording *r) {
  static const char *const words[] = {
    [MUXER_AUDIO_COPY] = "copy", [MUXER_AUDIO_AAC] = "aac", [MUXER_AUDIO_NONE] = "none", NULL
  };
  for (int i = 0; words[i]; i++) {
    if (strcmp(optarg, words[i]) == 0) {
      r->audio = (enum muxer_audio)i;
      return CLI_OK;
    }
  }
  return cli_usage("--audio is copy, aac or none, not '%s'%s", optarg,
                   suggest_text("", suggest_from(optarg, words)).text);
}

/* One word of --tracks. */
static bool take_track(muxer_tracks *tracks, const char *word, size_t length) {
  char *end;
  if (length == 5 && strncmp(word, "video", length) == 0)
    return tracks->video = true;
  if (length == 5 && strncmp(word, "audio", length) == 0)
    return tracks->audio = true;
  const unsigned long number = strtoul(word, &end, 10);
  if (length == 0 || *word < '0' || *word > '9' || end != word + length || number >= CUFRAMES_TRACKS_MAX)
    return false;
  tracks->indices |= 1u << number;
  return true;
}

static int take_tracks(recording *r) {
  const char *word = optarg;
  for (;;) {
    const size_t length = strcspn(word, ",");
    if (!take_track(&r->tracks, word, length))
      return cli_usage("--tracks is a list of numbers below %d, 'video' and 'audio', such as video,3; not '%s'",
                       CUFRAMES_TRACKS_MAX, optarg);
    if (word[length] == '\0')
      return CLI_OK;
    word += length + 1;
  }
}

static int check(recording *r) {
  struct stat there;
  if (!r->output)
    return cli_usage("the FILE to write is missing, such as %s.mkv", r->reader.name);
  const bool to_stdout = !strcmp(r->output, "-");
  const char *dot = strrchr(r->output, '.');
  if (!r->container && dot)
    r->container = container_of(dot + 1);
  if (!r->container)
    return cli_usage("'%s' does not say whether it is mp4, mkv or ts: give --format", r->output);
  if (to_stdout && r->reader.json)
    return cli_usage("stdout takes the recording or the JSON, not both");
  if (to_stdout && isatty(STDOUT_FILENO))
    return cli_usage("no recording goes to a terminal: redirect stdout or give a file");
  r->existed = to_stdout || !stat(r->output, &there);
  if (!to_stdout && r->existed && S_ISREG(there.st_mode) && !r->overwrite)
    return cli_usage("%s exists: --overwrite replaces it", r->output);
  return CLI_OK;
}

/* A publisher may be listed a moment before it adds its packet ring, if not by the program. */
static int enable_packets(recording *r) {
  const int64_t deadline = cuframes_now() + READER_QUERY_NS;
  for (;;) {
    int error = cuframes_subscriber_enable_packets(r->subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME);
    if (!error)
      return CLI_OK;
    if (error != CUFRAMES_ERR_NO_PACKET_RING || cuframes_now() >= deadline)
      return cli_failed(error, r->reader.name);
    if (!reader_pause(cuframes_now() + READER_SLICE_NS / 4))
      return CLI_FAILED;
  }
}

static void say(void *user, const char *text) {
  const recording *r = user;
  cli_note("%s: %s", r->reader.name, text);
}

static void note_orientation(const recording *r, uint32_t index) {
  const uint8_t orientation = r->params[index].orientation;
  if (muxer_has(r->muxer, index) && orientation > CUFRAMES_ORIENTATION_TOP_LEFT && !muxer_holds_orientation(r->muxer))
    cli_note("%s: stream %u is to be turned (orientation %u), and this container does not say so here: .mp4 does",
             r->reader.name, index, orientation);
}

/* Tells the muxer of every track; with the first packet they are all described. */
static int describe(recording *r) {
  int error = 0;
  bool any = false;
  for (uint32_t i = 0; !error && i < CUFRAMES_TRACKS_MAX; i++) { /* their numbers may have gaps */
    const void *extradata = NULL;
    size_t size = 0;
    r->params[i].struct_size = sizeof(r->params[i]);
    error = cuframes_subscriber_get_codec_params(r->subscriber, i, &r->params[i], &extradata, &size);
    if (error == CUFRAMES_ERR_NO_CODEC_PARAMS) {
      error = 0;
      continue;
    }
    if (error)
      break;
    if (muxer_describe(r->muxer, i, &r->params[i], extradata, size)) {
      any = any || muxer_has(r->muxer, i);
      note_orientation(r, i);
    } else if (r->params[i].media_type != CUFRAMES_MEDIA_DATA) {
      cli_note("%s: left out: %s", r->reader.name, muxer_problem(r->muxer));
    }
  }
  if (error)
    return cli_failed(error, r->reader.name);
  r->described = true;
  if (any)
    return CLI_OK;
  cli_error("%s has no stream that goes into %s", r->reader.name, r->output);
  return CLI_FAILED;
}

/* What a track is from here on; the muxer judges whether the file can go on with it. */
static void note_new_params(recording *r, uint32_t index) {
  cuframes_codec_params now = { .struct_size = sizeof(now) };
  const void *extradata = NULL;
  size_t size = 0;
  if (index >= CUFRAMES_TRACKS_MAX ||
      cuframes_subscriber_get_codec_params(r->subscriber, index, &now, &extradata, &size))
    return; /* nothing to compare with */
  const cuframes_codec_params before = r->params[index];
  (void)muxer_describe(r->muxer, index, &now, extradata, size);
  r->params[index] = now;
  if (strcmp(now.codec, before.codec) != 0)
    return;
  if (now.width != before.width || now.height != before.height)
    cli_note("%s: stream %u is %ux%u from here on, was %ux%u", r->reader.name, index, now.width, now.height,
             before.width, before.height);
  else if (now.sample_rate != before.sample_rate || now.channels != before.channels)
    cli_note("%s: stream %u has %u Hz and %u channels from here on", r->reader.name, index, now.sample_rate,
             now.channels);
}

static int write_packet(recording *r, const cuframes_packet *packet) {
  const uint32_t flags = cuframes_packet_flags(packet);
  int code = CLI_OK;
  if (!r->described)
    code = describe(r);
  else if (flags & CUFRAMES_PACKET_NEW_PARAMS)
    note_new_params(r, cuframes_packet_track(packet));
  if (code)
    return code;
  if (!muxer_takes(r->muxer, packet)) {
    cli_error("%s: %s: that does not go into one file", r->reader.name, muxer_problem(r->muxer));
    r->ended = "parameters";
    return CLI_FAILED;
  }
  if (flags & CUFRAMES_PACKET_DISCONTINUITY && muxer_packets(r->muxer)) {
    r->epochs++;
    cli_note("%s: the source started anew", r->reader.name);
  }
  if (muxer_write(r->muxer, packet))
    return CLI_OK;
  cli_error("%s%s", muxer_problem(r->muxer), muxer_packets(r->muxer) ? "; what is written so far is kept" : "");
  r->ended = "error";
  return CLI_FAILED;
}

static void note_loss(recording *r) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof(stats) };
  if (!cuframes_subscriber_get_stats(r->subscriber, &stats)) {
    cli_note("%s: too slow, %" PRIu64 " packets lost; going on at a keyframe", r->reader.name,
             stats.packets_lost - r->lost);
    r->lost = stats.packets_lost;
  }
  muxer_resync(r->muxer);
}

/* The end that an error of next_packet is. */
static int note_error(recording *r, int error) {
  if (error == CUFRAMES_ERR_PUBLISHER_GONE && muxer_has_begun(r->muxer)) {
    cli_note("%s: the publisher has gone, the recording ends here", r->reader.name);
    r->ended = "publisher_gone";
    return CLI_OK;
  }
  r->ended = error == CUFRAMES_ERR_PUBLISHER_GONE ? "publisher_gone" : "error";
  return cli_failed(error, r->reader.name);
}

static int run(recording *r) {
  int64_t newest = cuframes_now(), shown = newest;
  int code = CLI_OK;
  while (!code && !r->ended) {
    cuframes_packet *packet = NULL;
    const int error = cuframes_subscriber_next_packet(r->subscriber, READER_SLICE_NS, &packet);
    const int64_t now = cuframes_now();
    const int64_t patience = r->timeout_ns ? r->timeout_ns : muxer_has_begun(r->muxer) ? INT64_MAX : 10000000000;
    if (!error) {
      newest = now;
      code = write_packet(r, packet);
      cuframes_packet_release(packet);
    } else if (error == CUFRAMES_ERR_PACKET_OVERRUN) {
      note_loss(r);
    } else if (error == CUFRAMES_ERR_TIMEOUT && now - newest > patience) {
      cli_error("%s: no packet came for %.3g s", r->reader.name, (double)patience / 1e9);
      r->ended = "timeout";
      code = CLI_TIMEOUT;
    } else if (error != CUFRAMES_ERR_TIMEOUT) {
      code = note_error(r, error);
    }
    if (cli_stopped && !r->ended)
      r->ended = "signal";
    if (muxer_done(r->muxer) && !r->ended)
      r->ended = "duration";
    if (now - shown > READER_SLICE_NS) {
      shown = now;
      cli_live("%s: %.1f s, %" PRIu64 " packets, %.1f MiB", r->reader.name, (double)muxer_position(r->muxer) / 1e9,
               muxer_packets(r->muxer), (double)muxer_bytes(r->muxer) / 1048576);
    }
  }
  return code;
}

/* Closes the file; an empty one that was not there before goes. */
static int finish(recording *r, int code) {
  cli_live_end();
  if (!muxer_finish(r->muxer) && !code) {
    cli_error("%s", muxer_problem(r->muxer));
    code = CLI_FAILED;
  }
  if (!muxer_packets(r->muxer)) {
    if (!r->existed)
      (void)unlink(r->output); /* most often it was never created */
    if (!code)
      cli_error("%s: no packet came, nothing was written", r->reader.name);
    return code ? code : CLI_FAILED;
  }
  if (!r->reader.json)
    cli_note("%s: %.2f s, %" PRIu64 " packets", r->output, (double)muxer_position(r->muxer) / 1e9,
             muxer_packets(r->muxer));
  return code;
}

static json_t *list_streams(const recording *r) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    if (!muxer_has(r->muxer, i))
      continue;
    const bool video = r->params[i].media_type == CUFRAMES_MEDIA_VIDEO;
    json_t *object = json_pack("{s:i,s:s}", "track", (int)i, "type", video ? "video" : "audio");
    json_object_set_new(object, "codec", cli_json_text(muxer_codec(r->muxer, i)));
    if (muxer_conversion(r->muxer, i))
      json_object_set_new(object, "conversion", json_string(muxer_conversion(r->muxer, i)));
    json_array_append_new(list, object);
  }
  return list;
}

static int print_json(const recording *r) {
  json_t *object = json_object();
  json_object_set_new(object, "file", cli_json_text(r->output));
  json_object_set_new(object, "format", json_string(r->container));
  json_object_set_new(object, "streams", list_streams(r));
  json_object_set_new(object, "packets", json_integer((json_int_t)muxer_packets(r->muxer)));
  json_object_set_new(object, "bytes", json_integer((json_int_t)muxer_bytes(r->muxer)));
  json_object_set_new(object, "seconds", cli_json_rounded((double)muxer_position(r->muxer) / 1e9, 3));
  json_object_set_new(object, "refused", json_integer((json_int_t)muxer_refused(r->muxer)));
  json_object_set_new(object, "lost", json_integer((json_int_t)r->lost));
  json_object_set_new(object, "epochs", json_integer((json_int_t)r->epochs));
  json_object_set_new(object, "ended", json_string(r->ended ? r->ended : "error"));
  return cli_json_print(object, false);
}

enum { OUTPUT = READER_OWN, FORMAT, AUDIO, TRACKS, DURATION, TIMEOUT, OVERWRITE };

static int parse(int argc, char **argv, recording *r) {
  static const struct option options[] = { READER_OPTIONS_BASIC,
                                           READER_OPTIONS_NAME,
                                           { "reconnect", no_argument, NULL, READER_RECONNECT },
                                           { "label", required_argument, NULL, READER_LABEL },
                                           { "output", required_argument, NULL, OUTPUT },
                                           { "format", required_argument, NULL, FORMAT },
                                           { "audio", required_argument, NULL, AUDIO },
                                           { "tracks", required_argument, NULL, TRACKS },
                                           { "duration", required_argument, NULL, DURATION },
                                           { "timeout", required_argument, NULL, TIMEOUT },
                                           { "overwrite", no_argument, NULL, OVERWRITE },
                                           { 0 } };
  int option, code = CLI_OK;
  while (!code && (option = cli_getopt(argc, argv, ":ho:", options, NULL)) != -1) {
    switch (option) {
      case 'h':
      case READER_HELP: fputs(help, stdout); return -1;
      case 'o':
      case OUTPUT: r->output = optarg; break;
      case FORMAT: code = take_format(r); break;
      case AUDIO: code = take_audio(r); break;
      case TRACKS: code = take_tracks(r); break;
      case DURATION: code = cli_take_seconds("duration", optarg, &r->duration_ns); break;
      case TIMEOUT: code = cli_take_seconds("timeout", optarg, &r->timeout_ns); break;
      case OVERWRITE: r->overwrite = true; break;
      default: code = reader_option(&r->reader, option, argv, argc);
    }
  }
  if (!code)
    code = reader_take_name(&r->reader, argc, argv, &r->output);
  return code ? code : check(r);
}

int cmd_record(int argc, char **argv) {
  recording r = { .reader = { .mode = CUFRAMES_MODE_PACKETS, .label = "record" } };
  int code = parse(argc, argv, &r);
  if (code)
    return code < 0 ? CLI_OK : code;
  cli_catch_signals();
  (void)signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write() like a full disk */
  cli_avlog_install();
  code = reader_join(&r.reader, &r.subscriber);
  if (code)
    return code;
  r.muxer = muxer_create(r.output, &(muxer_options){ .container = r.container,
                                                     .limit_ns = r.duration_ns,
                                                     .audio = r.audio,
                                                     .tracks = r.tracks,
                                                     .say = say,
                                                     .user = &r });
  code = r.muxer ? enable_packets(&r) : reader_no_memory();
  if (!code)
    code = run(&r);
  if (r.muxer) {
    code = finish(&r, code);
    int printed = r.reader.json ? print_json(&r) : CLI_OK;
    code = code ? code : printed;
  }
  cuframes_subscriber_destroy(r.subscriber);
  muxer_free(r.muxer);
  return code;
}
