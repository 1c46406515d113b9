/* pipe.c - cuframes pipe: a stream's pictures or packets into stdout, a named pipe or a socket: options and help. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/pixdesc.h>

#include "common/av_format.h"
#include "common/cli_avlog.h"
#include "common/suggest.h"
#include "muxer/muxer_arguments.h"
#include "pipe_run.h"

static const char help[] =
    "usage: cuframes pipe NAME [OPTIONS] | PROGRAM\n"
    "Gives a stream to programs that know nothing of cuframes: its pictures, or its packets, into a pipe.\n\n"
    "What comes:\n"
    "  --raw              pictures, one behind the other, without a container; their size is said on stderr\n"
    "  --packets          the encoded video and sound as they are, from a keyframe on\n"
    "  --container KIND   nut (default), mkv; with --packets also ts, mp4 (fragmented)\n"
    "  --format PIXFMT    pixel format of the pictures (default: as they are): nv12, yuv420p, rgb24, bgr24, gray8, "
    "...\n"
    "  --size WxH         size of the pictures; Wx or xH: the other side in proportion\n"
    "  --fps N            at most so many pictures in a second of the stream\n"
    "  --on-change DO     another size or format in mid-stream: end (default), or header: begin anew behind "
    "it\n" MUXER_HELP_TRACKS "\nWhere it goes (default: stdout):\n"
    "  -o, --output PATH  a named pipe, made if nothing is there\n"
    "  --listen PATH      a unix socket that many may read, each with a subscriber of its own\n"
    "\nHow:\n"
    "  --mode MODE        newest (default): a slow reader skips pictures; ordered: every picture, and the stream's\n"
    "                     policy says what becomes of a slow reader\n"
    "  --depth N          ordered: pictures that may wait for this reader (default 4)\n"
    "  --count N          end after N pictures\n"
    "  --duration SECONDS end after so much of the stream\n"
    "  --timeout SECONDS  end when nothing comes for that long (default: 10 for the first, or as --wait; then for "
    "ever)\n"
    "  --reconnect        when the publisher goes, wait for it and go on\n"
    "  --label TEXT       shown by info and top\n" READER_HELP_WAIT READER_HELP_FRAMES READER_HELP_BASIC "\nExamples:\n"
    "  cuframes pipe film --mode ordered | ffmpeg -i - out.mp4\n"
    "  cuframes pipe film --raw --format bgr24 --size 640x360 --fps 5 | detector\n"
    "  cuframes pipe film --packets --container ts | mpv -\n"
    "\nWith --json: an object as the last line of stderr, since stdout has the pictures.\n"
    "Exit codes: 0 done, also when the reader or the publisher has gone, 1 failed, 2 usage, 3 no such stream, 4 "
    "timeout.\n";

enum {
  OUTPUT = READER_OWN,
  LISTEN,
  RAW,
  PACKETS,
  CONTAINER,
  FORMAT,
  SIZE,
  FPS,
  ON_CHANGE,
  AUDIO,
  TRACKS,
  COUNT,
  DURATION,
  TIMEOUT
};

static const struct option options[] = { READER_OPTIONS_BASIC,
                                         READER_OPTIONS_NAME,
                                         READER_OPTIONS_FRAMES,
                                         { "reconnect", no_argument, NULL, READER_RECONNECT },
                                         { "mode", required_argument, NULL, READER_MODE },
                                         { "depth", required_argument, NULL, READER_DEPTH },
                                         { "label", required_argument, NULL, READER_LABEL },
                                         { "output", required_argument, NULL, OUTPUT },
                                         { "listen", required_argument, NULL, LISTEN },
                                         { "raw", no_argument, NULL, RAW },
                                         { "packets", no_argument, NULL, PACKETS },
                                         { "container", required_argument, NULL, CONTAINER },
                                         { "format", required_argument, NULL, FORMAT },
                                         { "size", required_argument, NULL, SIZE },
                                         { "fps", required_argument, NULL, FPS },
                                         { "on-change", required_argument, NULL, ON_CHANGE },
                                         { "audio", required_argument, NULL, AUDIO },
                                         { "tracks", required_argument, NULL, TRACKS },
                                         { "count", required_argument, NULL, COUNT },
                                         { "duration", required_argument, NULL, DURATION },
                                         { "timeout", required_argument, NULL, TIMEOUT },
                                         { 0 } };

/* What is asked for beside the configuration, to be compared when all is read. */
typedef struct asked {
  bool raw, on_change, mode, picture_options, track_options;
} asked;

/* ---- values ---- */

static int take_container(pipe_config *c) {
  static const char *const words[] = { "nut", "mkv", "ts", "mp4", NULL };
  c->container = strcmp(optarg, "nut") == 0 ? "nut" : muxer_container_of(optarg);
  return c->container ? CLI_OK
                      : cli_usage("--container is nut, mkv, ts or mp4, not '%s'%s", optarg,
                                  suggest_text("", suggest_from(optarg, words)).text);
}

/* Our name, or FFmpeg's for the same. */
static int take_format(pipe_config *c) {
  const char *words[CUFRAMES_PIXEL_TENSOR + 1] = { NULL };
  c->pixel_format = cuframes_pixel_format_from_name(optarg);
  if (!c->pixel_format)
    c->pixel_format = av_format_ours(av_get_pix_fmt(optarg));
  for (uint32_t i = CUFRAMES_PIXEL_NONE + 1; i < CUFRAMES_PIXEL_TENSOR; i++)
    words[i - 1] = cuframes_pixel_format_name(i);
  if (c->pixel_format && c->pixel_format != CUFRAMES_PIXEL_TENSOR)
    return CLI_OK;
  return cli_usage("--format takes a pixel format such as nv12, yuv420p, rgb24, bgr24 or gray8, not '%s'%s", optarg,
                   suggest_text("", suggest_from(optarg, words)).text);
}

static bool take_side(const char *text, size_t length, uint32_t *side) {
  char digits[8];
  *side = 0;
  if (length == 0)
    return true;
  if (length >= sizeof digits)
    return false;
  memcpy(digits, text, length);
  digits[length] = '\0';
  return cli_parse_unsigned(digits, 2, 16384, side);
}

static int take_size(pipe_config *c) {
  const char *cross = strpbrk(optarg, "xX");
  if (cross && take_side(optarg, (size_t)(cross - optarg), &c->width) &&
      take_side(cross + 1, strlen(cross + 1), &c->height) && (c->width || c->height))
    return CLI_OK;
  return cli_usage("--size takes WIDTHxHEIGHT with sides from 2 to 16384, or one of them, such as 640x; not '%s'",
                   optarg);
}

/* A number or a fraction, such as 5, 0.5 or 30000/1001. */
static int take_fps(pipe_config *c) {
  double number = 0, divisor = 1;
  const char *end = cli_parse_decimal(optarg, &number);
  if (end && *end == '/')
    end = cli_parse_decimal(end + 1, &divisor);
  const double rate = divisor > 0 ? number / divisor : 0;
  if (!end || *end || !(rate >= 0.0001) || !(rate <= 1000))
    return cli_usage("--fps takes pictures in a second up to 1000, such as 5, 0.5 or 30000/1001, not '%s'", optarg);
  c->interval_ns = (int64_t)(1e9 / rate + 0.5);
  return CLI_OK;
}

static int take_on_change(pipe_config *c) {
  static const char *const words[] = { "end", "header", NULL };
  c->header_on_change = strcmp(optarg, "header") == 0;
  return c->header_on_change || strcmp(optarg, "end") == 0
             ? CLI_OK
             : cli_usage("--on-change is end or header, not '%s'%s", optarg,
                         suggest_text("", suggest_from(optarg, words)).text);
}

static int take_count(pipe_config *c) {
  uint32_t count;
  if (!cli_parse_unsigned(optarg, 1, UINT32_MAX, &count))
    return cli_usage("--count takes a number above 0, not '%s'", optarg);
  c->count = count;
  return CLI_OK;
}

static int take_option(pipe_config *c, asked *a, int option, char **argv, int argc) {
  a->mode = a->mode || option == READER_MODE || option == READER_DEPTH;
  a->picture_options = a->picture_options || option == FORMAT || option == SIZE || option == FPS || option == COUNT ||
                       option == READER_DEVICE || option == READER_SYNC;
  a->track_options = a->track_options || option == AUDIO || option == TRACKS;
  switch (option) {
    case 'o':
    case OUTPUT: c->output = optarg; return *optarg ? CLI_OK : cli_usage("--output takes the path of a named pipe");
    case LISTEN: c->listen = optarg; return *optarg ? CLI_OK : cli_usage("--listen takes the path of a socket");
    case RAW: a->raw = true; return CLI_OK;
    case PACKETS: c->packets = true; return CLI_OK;
    case CONTAINER: return take_container(c);
    case FORMAT: return take_format(c);
    case SIZE: return take_size(c);
    case FPS: return take_fps(c);
    case ON_CHANGE: a->on_change = true; return take_on_change(c);
    case AUDIO: return muxer_take_audio(optarg, &c->audio);
    case TRACKS: return muxer_take_tracks(optarg, &c->tracks);
    case COUNT: return take_count(c);
    case DURATION: return cli_take_seconds("duration", optarg, &c->duration_ns);
    case TIMEOUT: return cli_take_seconds("timeout", optarg, &c->timeout_ns);
    default: return reader_option(&c->reader, option, argv, argc);
  }
}

/* ---- what fits together ---- */

static int check(pipe_config *c, const asked *a) {
  if (a->raw && c->packets)
    return cli_usage("either --raw or --packets");
  if (a->raw && c->container)
    return cli_usage("either --raw or --container: raw pictures have none");
  if (a->raw && c->header_on_change)
    return cli_usage("raw pictures have no header, so that a change is their end: no --on-change header with --raw");
  if (c->packets && (a->picture_options || a->mode))
    return cli_usage(
        "--format, --size, --fps, --count, --mode, --depth, --device and --sync are for pictures: not with "
        "--packets");
  if (!c->packets && a->track_options)
    return cli_usage("--audio and --tracks go with --packets");
  if (!c->container && !a->raw)
    c->container = "nut";
  if (!c->packets && !a->raw && strcmp(c->container, "nut") != 0 && strcmp(c->container, "matroska") != 0)
    return cli_usage("uncompressed pictures go into nut or mkv; ts and mp4 are for --packets");
  if (c->output && c->listen)
    return cli_usage("either --output or --listen");
  const bool to_stdout = !c->listen && (!c->output || strcmp(c->output, "-") == 0);
  if (to_stdout && isatty(STDOUT_FILENO))
    return cli_usage("nothing of this goes to a terminal: put a program behind it (| ffmpeg -i - ...), or give "
                     "--output or --listen");
  if (to_stdout)
    c->output = NULL;
  if (c->packets)
    c->reader.mode = CUFRAMES_MODE_PACKETS;
  return CLI_OK;
}

static int parse(int argc, char **argv, pipe_config *c) {
  asked a = { .raw = false };
  int option, code = CLI_OK;
  while (!code && (option = cli_getopt(argc, argv, ":ho:", options, NULL)) != -1) {
    if (option == 'h' || option == READER_HELP) {
      fputs(help, stdout);
      return -1;
    }
    code = take_option(c, &a, option, argv, argc);
  }
  if (!code)
    code = reader_take_name(&c->reader, argc, argv, NULL);
  return code ? code : check(c, &a);
}

/* One reader: stdout's, or that of a named pipe. */
static int run_one(const pipe_config *c) {
  pipe_run run = { .config = c, .sink = { .fd = -1 } };
  bool made = false;
  snprintf(run.who, sizeof run.who, "%s", c->reader.name);
  int code = c->output ? pipe_look_for_stream(c) : CLI_OK;
  if (!code && c->output)
    code = sink_named(&run.sink, c->output, &made);
  else if (!code)
    sink_stdout(&run.sink);
  if (!code)
    code = pipe_run_all(&run);
  if (code && code != CLI_USAGE && !run.ended) {
    pipe_note_given_up(&run, code);
    code = run.code;
  }
  sink_close(&run.sink);
  if (made)
    (void)unlink(c->output); /* nobody can do anything about it */
  if (run.ended) {
    if (run.heard || !code)
      pipe_say_end(&run); /* else it was said why nothing began */
    if (c->reader.json)
      pipe_print_report(pipe_report(&run));
  }
  json_decref(run.tracks);
  return code;
}

int cmd_pipe(int argc, char **argv) {
  pipe_config config = { .reader = { .leases = 1, .label = "pipe" } };
  const int code = parse(argc, argv, &config);
  if (code)
    return code < 0 ? CLI_OK : code;
  cli_catch_signals();
  cli_avlog_install();
  return config.listen ? pipe_serve(&config) : run_one(&config);
}
