/* record.c - cuframes record: the packets of a stream into MP4, Matroska or TS, without encoding: options and help. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli_avlog.h"
#include "common/suggest.h"
#include "muxer/muxer_arguments.h"
#include "recorder.h"

#define SECOND INT64_C(1000000000)

static const char help[] =
    "usage: cuframes record NAME FILE [OPTIONS]\n"
    "Writes the encoded video and sound of a stream to a file, as they are, from a keyframe on.\n\n"
    "  -o, --output FILE  the same as FILE; .mp4, .mkv or .ts; '-' is stdout\n"
    "  --format KIND      mp4, mkv or ts, if FILE does not say so\n" MUXER_HELP_TRACKS
    "  --duration SECONDS end after so much of the stream (default: Ctrl-C, or when the publisher ends)\n"
    "  --timeout SECONDS  end when no packet comes for that long (default: 10 for the first one, then for ever)\n"
    "  --since TIME       begin with the keyframe that lies so far back, as far as the packet ring goes\n"
    "  --overwrite        replace FILE if it exists\n"
    "  --reconnect        when the publisher goes, wait for it and go on\n"
    "  --label TEXT       shown by info and top\n" READER_HELP_WAIT READER_HELP_BASIC
    "\nMany files, for days. FILE is a pattern then: rec/%Y/%m/%d/door-%H%M%S.mp4\n"
    "  --segment TIME     another file whenever the clock shows a multiple of it: 30s, 10m, 1h, 1d\n"
    "  --segment-bytes N  another file before one has more than N bytes: 500M, 2G\n"
    "  --utc              times in names, and of changes, are UTC and not local time\n"
    "  --keep TIME        delete files of the pattern that began before that: 36h, 7d\n"
    "  --keep-bytes N     delete the oldest files of the pattern when all have more than N bytes: 100G\n"
    "  --control          take start, stop, split and quit, a line each, from stdin\n"
    "  --paused           write nothing before the first start\n"
    "  --post TIME        go on for that long after a stop\n"
    "  --no-fsync         leave it to the system when data goes to the disk; else once a second\n"
    "  --no-reconnect     end when the publisher goes; else wait for it and go on in another file\n"
    "SIGUSR1 splits; SIGUSR2 stops and starts. TIME is a number with s, m, h or d.\n"
    "\nMP4 is always fragmented, so that a recording that is cut off, by a full disk or otherwise, plays up to there.\n"
    "With --json: an object with file, format, streams, packets, bytes, seconds, refused, lost, epochs,\n"
    "ended, error; with many files a line for each event, of which that is the last.\n"
    "Exit codes: 0 done, 1 failed or nothing was written, 2 usage, 3 no such stream, 4 timeout.\n";

static int take_format(record_config *c) {
  static const char *const words[] = { "mp4", "mkv", "ts", NULL };
  c->container = muxer_container_of(optarg);
  return c->container ? CLI_OK
                      : cli_usage("--format is mp4, mkv or ts, not '%s'%s", optarg,
                                  suggest_text("", suggest_from(optarg, words)).text);
}

/* A number above 0, fractions allowed, with one of the units behind it. False if it is not that. */
static bool take_number(const char *units, const double *factors, double *value) {
  const char *end = cli_parse_decimal(optarg, value);
  if (!end || !(*value > 0))
    return false;
  const char *unit = *end ? strchr(units, *end) : NULL;
  if (*end && (!unit || end[1]))
    return false;
  *value *= unit ? factors[unit - units] : 1;
  return true;
}

static int take_time(const char *option, int64_t *ns) {
  static const double factors[] = { 1, 60, 3600, 86400 };
  double seconds;
  if (!take_number("smhd", factors, &seconds) || seconds > 1e9 || llround(seconds * 1e9) <= 0)
    return cli_usage("--%s takes a time, such as 10s, 10m, 1.5h or 7d, not '%s'", option, optarg);
  *ns = llround(seconds * 1e9);
  return CLI_OK;
}

static int take_segment(record_config *c) {
  const int code = take_time("segment", &c->segment_ns);
  if (!code && c->segment_ns % SECOND)
    return cli_usage("--segment takes whole seconds, not '%s'", optarg);
  return code;
}

static int take_bytes(const char *option, uint64_t *bytes) {
  static const double factors[] = { 1u << 10, 1u << 20, 1u << 30, 1099511627776. };
  double value;
  if (!take_number("KMGT", factors, &value) || value < 65536 || value > 1e18)
    return cli_usage("--%s takes a size of at least 64K, such as 500M or 2G, not '%s'", option, optarg);
  *bytes = (uint64_t)value;
  return CLI_OK;
}

static int check_many(record_config *c) {
  names n;
  if (!strcmp(c->output, "-"))
    return cli_usage("stdout takes one recording, and not many files");
  if (c->overwrite)
    return cli_usage("--overwrite is for one file: of many none is replaced");
  if (!names_init(&n, c->output, c->segment_ns, c->utc)) {
    names_free(&n);
    return cli_usage("%s", n.problem);
  }
  struct stat root;
  const bool there = !stat(n.root, &root) && S_ISDIR(root.st_mode);
  const int code = there ? CLI_OK : cli_usage("there is no directory %s; those behind a %% are made", n.root);
  names_free(&n);
  c->reader.reconnect = !c->no_reconnect;
  return code;
}

static int check_one(record_config *c) {
  struct stat there;
  const char *needs = c->utc          ? "utc"
                      : c->keep_ns    ? "keep"
                      : c->keep_bytes ? "keep-bytes"
                      : c->post_ns    ? "post"
                      : c->no_fsync   ? "no-fsync"
                                      : NULL;
  if (needs)
    return cli_usage("--%s is for many files: add --segment, --segment-bytes, --control or --paused", needs);
  const bool to_stdout = !strcmp(c->output, "-");
  if (to_stdout && c->reader.json)
    return cli_usage("stdout takes the recording or the JSON, not both");
  if (to_stdout && isatty(STDOUT_FILENO))
    return cli_usage("no recording goes to a terminal: redirect stdout or give a file");
  c->existed = to_stdout || !stat(c->output, &there);
  if (!to_stdout && c->existed && S_ISREG(there.st_mode) && !c->overwrite)
    return cli_usage("%s exists: --overwrite replaces it", c->output);
  return CLI_OK;
}

static int check(record_config *c) {
  if (!c->output)
    return cli_usage("the FILE to write is missing, such as %s.mkv", c->reader.name);
  const char *dot = strrchr(c->output, '.');
  if (!c->container && dot)
    c->container = muxer_container_of(dot + 1);
  if (!c->container)
    return cli_usage("'%s' does not say whether it is mp4, mkv or ts: give --format", c->output);
  if (c->reader.reconnect && c->no_reconnect)
    return cli_usage("--reconnect and --no-reconnect exclude each other");
  c->many = c->segment_ns || c->segment_bytes || c->control || c->paused;
  return c->many ? check_many(c) : check_one(c);
}

enum {
  OUTPUT = READER_OWN,
  FORMAT,
  AUDIO,
  TRACKS,
  DURATION,
  TIMEOUT,
  OVERWRITE,
  SINCE,
  SEGMENT,
  SEGMENT_BYTES,
  UTC,
  KEEP,
  KEEP_BYTES,
  CONTROL,
  PAUSED,
  POST,
  NO_FSYNC,
  NO_RECONNECT
};

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
                                         { "since", required_argument, NULL, SINCE },
                                         { "segment", required_argument, NULL, SEGMENT },
                                         { "segment-bytes", required_argument, NULL, SEGMENT_BYTES },
                                         { "utc", no_argument, NULL, UTC },
                                         { "keep", required_argument, NULL, KEEP },
                                         { "keep-bytes", required_argument, NULL, KEEP_BYTES },
                                         { "control", no_argument, NULL, CONTROL },
                                         { "paused", no_argument, NULL, PAUSED },
                                         { "post", required_argument, NULL, POST },
                                         { "no-fsync", no_argument, NULL, NO_FSYNC },
                                         { "no-reconnect", no_argument, NULL, NO_RECONNECT },
                                         { 0 } };

static int take_option(record_config *c, int option, char **argv, int argc) {
  switch (option) {
    case 'o':
    case OUTPUT: c->output = optarg; return CLI_OK;
    case FORMAT: return take_format(c);
    case AUDIO: return muxer_take_audio(optarg, &c->audio);
    case TRACKS: return muxer_take_tracks(optarg, &c->tracks);
    case DURATION: return cli_take_seconds("duration", optarg, &c->duration_ns);
    case TIMEOUT: return cli_take_seconds("timeout", optarg, &c->timeout_ns);
    case OVERWRITE: c->overwrite = true; return CLI_OK;
    case SINCE: return take_time("since", &c->since_ns);
    case SEGMENT: return take_segment(c);
    case SEGMENT_BYTES: return take_bytes("segment-bytes", &c->segment_bytes);
    case UTC: c->utc = true; return CLI_OK;
    case KEEP: return take_time("keep", &c->keep_ns);
    case KEEP_BYTES: return take_bytes("keep-bytes", &c->keep_bytes);
    case CONTROL: c->control = true; return CLI_OK;
    case PAUSED: c->paused = true; return CLI_OK;
    case POST: return take_time("post", &c->post_ns);
    case NO_FSYNC: c->no_fsync = true; return CLI_OK;
    case NO_RECONNECT: c->no_reconnect = true; return CLI_OK;
    default: return reader_option(&c->reader, option, argv, argc);
  }
}

static int parse(int argc, char **argv, record_config *c) {
  int option, code = CLI_OK;
  while (!code && (option = cli_getopt(argc, argv, ":ho:", options, NULL)) != -1) {
    if (option == 'h' || option == READER_HELP) {
      fputs(help, stdout);
      return -1;
    }
    code = take_option(c, option, argv, argc);
  }
  if (!code)
    code = reader_take_name(&c->reader, argc, argv, &c->output);
  return code ? code : check(c);
}

/* What is published from here on is new, however long joining and reading what is older take; of a stream that is not
 * there yet, all. */
static void look_before(record_config *c) {
  cuframes_stream_info *info = NULL;
  if (!cuframes_stream_query(c->reader.directory, c->reader.name, READER_QUERY_NS, &info))
    c->old_packets = info->packets;
  cuframes_stream_info_free(info);
}

int cmd_record(int argc, char **argv) {
  record_config config = { .reader = { .mode = CUFRAMES_MODE_PACKETS, .label = "record" } };
  cuframes_subscriber *subscriber = NULL;
  int code = parse(argc, argv, &config);
  if (code)
    return code < 0 ? CLI_OK : code;
  cli_catch_signals();
  control_catch_signals();        /* of one file they say nothing, and do not end it */
  (void)signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write() like a full disk */
  cli_avlog_install();
  look_before(&config);
  code = reader_join(&config.reader, &subscriber);
  if (code)
    return code;
  code = recorder_run(&config, subscriber);
  cuframes_subscriber_destroy(subscriber);
  return code;
}
