/* snapshot.c - cuframes snapshot: pictures of a stream as PNG, JPEG or raw bytes, or many of them on one sheet. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli_avlog.h"
#include "common/json.h"
#include "common/reader.h"
#include "common/stream_state.h"
#include "sheet.h"

static const char help[] =
    "usage: cuframes snapshot NAME [FILE] [OPTIONS]\n"
    "Writes the newest picture of a stream to a file, or several, or a contact sheet.\n\n"
    "  -o, --output FILE  the same as FILE; default NAME.png; '-' is stdout. %d (or %04d) becomes 1, 2, 3, ... with "
    "--count\n"
    "  --format KIND      png, jpeg or raw (planes one behind the other); default: by FILE's extension\n"
    "  --count N          so many pictures (default 1)\n"
    "  --interval SECONDS time from one picture to the next (default: the next frame; for --sheet 0.5)\n"
    "  --sheet CxR        one image with C columns and R rows of pictures\n"
    "  --scenes           sheet: only pictures that show something new: no black ones, no fades, none like the one\n"
    "                     before. One like it after four intervals without another; anything after eight\n"
    "  --trim             sheet: cut off bars that are black in all of its pictures\n"
    "  --times            sheet: write each picture's time into its cell\n"
    "  --scale WxH        size of the picture (of each one on a sheet: default 320 wide)\n"
    "  --timeout SECONDS  longest wait for a picture (default 5), then exit 4\n"
    "  --duration SECONDS end after that time, with what there is\n"
    "  --reconnect        when the publisher goes, wait for it and go on\n"
    "  --label TEXT       shown by info and top\n" READER_HELP_WAIT READER_HELP_FRAMES READER_HELP_BASIC
    "\nPNG and JPEG are upright and have square pixels, whatever the stream stores; raw is what is stored.\n"
    "Files appear whole or not at all; what is there is replaced. With --json: an object with files, each with\n"
    "file, width, height, format, seq, pts_ns.\n";

#define SHEET_CELL 320u
#define SCENE_LOOKS 5     /* per interval, at least */
#define SCENE_INTERVALS 4 /* so long for a picture that shows something new */

typedef struct snapshot {
  reader_config reader;
  const char *output;
  enum image_kind kind;
  uint32_t count, columns, rows, width, height;
  int64_t interval_ns, timeout_ns, duration_ns;
  bool scenes, trim, times;
  /* while it runs */
  struct SwsContext *scaler;
  picture_planes planes;
  sheet sheet;
  bool on_sheet; /* the last picture stays */
  json_t *files;
  int64_t age_ns; /* of the picture in hand */
} snapshot;

static bool parse_pair(const char *text, uint32_t max, uint32_t *first, uint32_t *second) {
  char head[16];
  const char *cross = strpbrk(text, "xX");
  if (!cross || (size_t)(cross - text) >= sizeof(head))
    return false;
  snprintf(head, sizeof(head), "%.*s", (int)(cross - text), text);
  return cli_parse_unsigned(head, 1, max, first) && cli_parse_unsigned(cross + 1, 1, max, second);
}

static bool parse_kind(const char *text, enum image_kind *kind) {
  *kind = !strcmp(text, "png")                            ? IMAGE_PNG
          : !strcmp(text, "jpeg") || !strcmp(text, "jpg") ? IMAGE_JPEG
          : !strcmp(text, "raw")                          ? IMAGE_RAW
                                                          : IMAGE_NONE;
  return *kind != IMAGE_NONE;
}

enum { OUTPUT = READER_OWN, FORMAT, COUNT, INTERVAL, SHEET, SCALE, TIMEOUT, DURATION, SCENES, TRIM, TIMES };

static int take_option(snapshot *shot, int option, int argc, char **argv) {
  bool good = true;
  switch (option) {
    case 'o':
    case OUTPUT: shot->output = optarg; break;
    case FORMAT:
      return parse_kind(optarg, &shot->kind) ? CLI_OK : cli_usage("--format is png, jpeg or raw, not '%s'", optarg);
    case COUNT: good = cli_parse_unsigned(optarg, 1, UINT32_MAX, &shot->count); break;
    case INTERVAL: good = cli_parse_seconds(optarg, &shot->interval_ns); break;
    case TIMEOUT: good = cli_parse_seconds(optarg, &shot->timeout_ns); break;
    case DURATION: good = cli_parse_seconds(optarg, &shot->duration_ns); break;
    case SHEET: good = parse_pair(optarg, 64, &shot->columns, &shot->rows); break;
    case SCALE: good = parse_pair(optarg, 16384, &shot->width, &shot->height); break;
    case SCENES: shot->scenes = true; break;
    case TRIM: shot->trim = true; break;
    case TIMES: shot->times = true; break;
    default: return reader_option(&shot->reader, option, argv, argc);
  }
  return good ? CLI_OK
              : cli_usage("'%s' is no value for %s", optarg,
                          argv[optind - 1] == optarg ? argv[optind - 2] : argv[optind - 1]);
}

/* What fits together, and the defaults that depend on it. */
static int check(snapshot *shot, char *default_output, size_t size) {
  char name[4096];
  bool numbered = false;
  if (!shot->output) {
    snprintf(default_output, size, shot->count > 1 ? "%s-%%d.%s" : "%s.%s", shot->reader.name,
             shot->kind == IMAGE_JPEG  ? "jpg"
             : shot->kind == IMAGE_RAW ? "raw"
                                       : "png");
    shot->output = default_output;
  }
  const bool to_stdout = !strcmp(shot->output, "-");
  if (!shot->kind)
    shot->kind = to_stdout ? IMAGE_PNG : image_kind_of(shot->output);
  if (!shot->kind)
    return cli_usage("'%s' does not say whether it is png, jpeg or raw: give --format", shot->output);
  if (!image_name(name, sizeof(name), shot->output, 1, &numbered))
    return cli_usage("'%s' is no file name: only one %%d, and %%%% for a per cent sign", shot->output);
  if (shot->columns && shot->count > 1)
    return cli_usage("either --sheet or --count");
  if (!shot->columns && (shot->scenes || shot->trim || shot->times))
    return cli_usage("--scenes, --trim and --times go with --sheet");
  if (shot->count > 1 && !numbered && !to_stdout)
    return cli_usage("several pictures need a %%d in the file name '%s'", shot->output);
  if (shot->kind == IMAGE_RAW && (shot->columns || shot->width))
    return cli_usage("raw pictures are not scaled: no --sheet, no --scale");
  if (to_stdout && shot->reader.json)
    return cli_usage("stdout takes the picture or the JSON, not both");
  if (to_stdout && isatty(STDOUT_FILENO))
    return cli_usage("no picture goes to a terminal: redirect stdout or give a file");
  if (shot->columns && !shot->interval_ns)
    shot->interval_ns = 500000000;
  return CLI_OK;
}

static void report(snapshot *shot, const char *file, uint32_t width, uint32_t height, const cuframes_frame *frame) {
  static const char *const kinds[] = { "", "png", "jpeg", "raw" };
  const char *kind = kinds[shot->kind];
  if (shot->kind == IMAGE_RAW)
    kind = cuframes_pixel_format_name(cuframes_frame_pixel_format(frame));
  if (!shot->reader.json) {
    char text[FORMAT_TEXT];
    snprintf(text, sizeof text, "%ux%u %s", width, height, kind);
    if (shot->kind == IMAGE_RAW) /* as list shows it: a tensor has neither width nor height */
      format_text(text, sizeof text, cuframes_frame_format(frame));
    if (strcmp(file, "-") != 0)
      cli_note("%s: %s", file, text);
    return;
  }
  json_t *object = json_object();
  json_object_set_new(object, "file", cli_json_text(file));
  json_object_set_new(object, "width", json_integer(width));
  json_object_set_new(object, "height", json_integer(height));
  json_object_set_new(object, "format", json_string(kind));
  if (frame) {
    int64_t pts = cuframes_frame_pts(frame);
    json_object_set_new(object, "seq", json_integer((json_int_t)cuframes_frame_seq(frame)));
    json_object_set_new(object, "pts_ns", pts == CUFRAMES_NO_TIME ? json_null() : json_integer(pts));
    json_object_set_new(object, "age_ms", cli_json_rounded((double)shot->age_ns / 1e6, 1));
  }
  json_array_append_new(shot->files, object);
}

static int write_file(snapshot *shot, uint32_t number, const uint8_t *data, size_t size, uint32_t width,
                      uint32_t height, const cuframes_frame *frame) {
  char name[4096];
  bool numbered;
  if (!image_name(name, sizeof(name), shot->output, number, &numbered)) {
    cli_error("the name of file %u is too long", number);
    return CLI_FAILED;
  }
  int error = image_write(name, data, size);
  if (error) {
    cli_error("cannot write %s: %s", name, strerror(error));
    return CLI_FAILED;
  }
  report(shot, name, width, height, frame);
  return CLI_OK;
}

static int encode_and_write(snapshot *shot, uint32_t number, const rgb_image *image, const cuframes_frame *frame) {
  uint8_t *data = NULL;
  size_t size = 0;
  if (!image_encode(shot->kind, image, &data, &size)) {
    cli_error("cannot encode a picture of %ux%u", image->width, image->height);
    return CLI_FAILED;
  }
  int code = write_file(shot, number, data, size, image->width, image->height, frame);
  free(data);
  return code;
}

/* One picture into a file of its own. */
static int save_single(snapshot *shot, const cuframes_frame *frame, uint32_t number) {
  const cuframes_format *format = cuframes_frame_format(frame);
  rgb_image image = { 0 };
  int code = CLI_FAILED;
  if (shot->kind == IMAGE_RAW) {
    uint8_t *data = NULL;
    size_t size = 0;
    if (!image_raw(&shot->planes, format, &data, &size))
      return reader_no_memory();
    code = write_file(shot, number, data, size, format->width, format->height, frame);
    free(data);
    return code;
  }
  uint32_t width, height;
  image_shown_size(format, &width, &height);
  width = shot->width ? shot->width : width;
  height = shot->height ? shot->height : height;
  if (!image_create(&image, width, height))
    return reader_no_memory();
  if (image_convert(&shot->scaler, &shot->planes, format, &image, 0, 0, width, height))
    code = encode_and_write(shot, number, &image, frame);
  else
    cli_error("cannot convert a picture of %ux%u to %ux%u", format->width, format->height, width, height);
  image_free(&image);
  return code;
}

static bool create_sheet(snapshot *shot, const cuframes_format *format) {
  uint32_t shown_width, shown_height;
  image_shown_size(format, &shown_width, &shown_height);
  uint32_t width = shot->width ? shot->width : shown_width < SHEET_CELL ? shown_width : SHEET_CELL;
  uint32_t height = shot->height ? shot->height : (uint32_t)((uint64_t)width * shown_height / shown_width);
  return sheet_create(&shot->sheet, shot->columns, shot->rows, width, height ? height : 1);
}

/* One picture into the next cell, if it shows at least what is wanted. */
static int add_to_sheet(snapshot *shot, const cuframes_frame *frame, enum sheet_scene wanted) {
  const cuframes_format *format = cuframes_frame_format(frame);
  if (!shot->sheet.labels && !create_sheet(shot, format))
    return reader_no_memory();
  if (!sheet_draw(&shot->sheet, &shot->scaler, &shot->planes, format)) {
    cli_error("cannot convert a picture of %ux%u", format->width, format->height);
    return CLI_FAILED;
  }
  shot->on_sheet = sheet_scene_of(&shot->sheet) >= wanted;
  if (shot->on_sheet)
    sheet_keep(&shot->sheet, frame);
  return CLI_OK;
}

static int write_sheet(snapshot *shot) {
  sheet_clear_rest(&shot->sheet);
  if (shot->trim && !sheet_trim(&shot->sheet))
    return reader_no_memory();
  if (shot->times)
    sheet_write_times(&shot->sheet);
  return encode_and_write(shot, 1, &shot->sheet.image, NULL);
}

static int no_picture(const snapshot *shot) {
  cli_error("%s has tensors, no pictures: --format raw writes them as they are", shot->reader.name);
  return CLI_FAILED;
}

/* Says so if the picture is an old one: the newest one of a stream that stands still. */
static void note_age(snapshot *shot, cuframes_subscriber *subscriber, const cuframes_frame *frame) {
  cuframes_source_info source = { .struct_size = sizeof(source) };
  char why[STATE_TEXT], age[SPAN_TEXT];
  shot->age_ns = cuframes_now() - cuframes_frame_timestamp(frame);
  (void)cuframes_subscriber_get_source(subscriber, &source); /* else nothing is known */
  if (source.state == CUFRAMES_SOURCE_LIVE || (source.state == CUFRAMES_SOURCE_UNKNOWN && shot->age_ns < STATE_MAX_AGE))
    return;
  span_text(age, sizeof(age), shot->age_ns);
  bool is_known = reader_trouble(&shot->reader, why, sizeof(why));
  cli_note("%s: the picture is %s old%s%s", shot->reader.name, age, is_known ? "; the stream: " : "",
           is_known ? why : "");
}

/* The next picture, saved or put on the sheet; there, only if it shows what is wanted. */
static int take(snapshot *shot, cuframes_subscriber *subscriber, uint32_t index, enum sheet_scene wanted) {
  cuframes_frame *frame = NULL;
  const int64_t timeout = index == 0 ? reader_first_timeout(&shot->reader, shot->timeout_ns) : shot->timeout_ns;
  int error = reader_next(subscriber, timeout, &frame);
  if (error == CUFRAMES_ERR_INTERRUPTED && cli_stopped)
    return CLI_FAILED;
  if (error) {
    int failed = cli_failed(error, shot->reader.name);
    if (error == CUFRAMES_ERR_TIMEOUT)
      reader_say_trouble(&shot->reader);
    return failed;
  }
  note_age(shot, subscriber, frame);
  int code;
  error = picture_view(&shot->planes, frame, false);
  if (error)
    code = cli_failed(error, shot->reader.name);
  else if (cuframes_frame_pixel_format(frame) == CUFRAMES_PIXEL_TENSOR && shot->kind != IMAGE_RAW)
    code = no_picture(shot);
  else
    code = shot->columns ? add_to_sheet(shot, frame, wanted) : save_single(shot, frame, index + 1);
  cuframes_frame_release(frame); /* STALE when the publisher has gone: the copy is whole all the same */
  return code;
}

/* Waits until the next picture is due, or the next look for one. False: no more. */
static bool wait_until_due(const snapshot *shot, int64_t start, int64_t due, uint32_t taken) {
  bool over =
      shot->duration_ns && taken && (due - start > shot->duration_ns || cuframes_now() - start > shot->duration_ns);
  return !over && reader_pause(due);
}

/* What a search that has gone on so long is content with. */
static enum sheet_scene wanted_after(const snapshot *shot, int64_t searched_ns) {
  const int64_t patience = SCENE_INTERVALS * shot->interval_ns;
  return searched_ns < patience ? SHEET_NEW : searched_ns < 2 * patience ? SHEET_ALIKE : SHEET_NOTHING;
}

static int run(snapshot *shot, cuframes_subscriber *subscriber) {
  const uint32_t count = shot->columns ? shot->columns * shot->rows : shot->count;
  const int64_t start = cuframes_now();
  int64_t due = start, since = start; /* when the search for this picture began */
  int code = CLI_OK;
  uint32_t taken = 0;
  while (taken < count && wait_until_due(shot, start, due, taken)) {
    if (count > 1)
      cli_live("picture %u of %u", taken + 1, count);
    code = take(shot, subscriber, taken, shot->scenes ? wanted_after(shot, due - since) : SHEET_NOTHING);
    if (code)
      break;
    if (shot->scenes && !shot->on_sheet) {
      due = cuframes_now() + shot->interval_ns / SCENE_LOOKS;
      continue;
    }
    taken++;
    due = shot->scenes ? cuframes_now() + shot->interval_ns : start + (int64_t)taken * shot->interval_ns;
    since = due;
  }
  cli_live_end();
  if (shot->columns && taken) {
    if (taken < count)
      cli_note("%u of %u pictures are on the sheet", taken, count);
    int written = write_sheet(shot);
    code = code ? code : written;
  }
  /* wherever Ctrl-C came: these are not all the pictures that were asked for */
  return code || (taken && (taken == count || !cli_stopped)) ? code : CLI_FAILED;
}

int cmd_snapshot(int argc, char **argv) {
  static const struct option options[] = { READER_OPTIONS_BASIC,
                                           READER_OPTIONS_NAME,
                                           READER_OPTIONS_FRAMES,
                                           { "reconnect", no_argument, NULL, READER_RECONNECT },
                                           { "label", required_argument, NULL, READER_LABEL },
                                           { "output", required_argument, NULL, OUTPUT },
                                           { "format", required_argument, NULL, FORMAT },
                                           { "count", required_argument, NULL, COUNT },
                                           { "interval", required_argument, NULL, INTERVAL },
                                           { "sheet", required_argument, NULL, SHEET },
                                           { "scale", required_argument, NULL, SCALE },
                                           { "timeout", required_argument, NULL, TIMEOUT },
                                           { "duration", required_argument, NULL, DURATION },
                                           { "scenes", no_argument, NULL, SCENES },
                                           { "trim", no_argument, NULL, TRIM },
                                           { "times", no_argument, NULL, TIMES },
                                           { 0 } };
  snapshot shot = { .count = 1, .timeout_ns = 5000000000, .reader = { .leases = 1, .label = "snapshot" } };
  char output[CUFRAMES_NAME_MAX + 64];
  int option, code = CLI_OK;
  while ((option = cli_getopt(argc, argv, ":ho:", options, NULL)) != -1) {
    if (option == READER_HELP || option == 'h') {
      fputs(help, stdout);
      return CLI_OK;
    }
    if ((code = take_option(&shot, option, argc, argv)))
      return code;
  }
  if ((code = reader_take_name(&shot.reader, argc, argv, &shot.output)) ||
      (code = check(&shot, output, sizeof(output))))
    return code;
  cli_catch_signals();
  cli_avlog_install();
  cuframes_subscriber *subscriber = NULL;
  if ((code = reader_join(&shot.reader, &subscriber)))
    return code;
  shot.files = json_array();
  code = run(&shot, subscriber);
  cuframes_subscriber_destroy(subscriber);
  if (shot.reader.json) {
    int printed = cli_json_print(json_pack("{s:O}", "files", shot.files), false);
    code = code ? code : printed;
  }
  json_decref(shot.files);
  picture_free(&shot.planes);
  sheet_free(&shot.sheet);
  image_scaler_free(&shot.scaler);
  return code;
}
