/* grid_options.c - the command line of `cuframes grid`. */
#include "grid_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cuframes/vision/preprocess.h>

#include "common/cli.h"
#include "common/suggest.h"

enum option_number {
  OPTION_OUTPUT = 'o',
  OPTION_HELP = 'h',
  OPTION_DIR = 256,
  OPTION_JSON,
  OPTION_QUIET,
  OPTION_COLUMNS,
  OPTION_SIZE,
  OPTION_FPS,
  OPTION_DEVICE,
  OPTION_FORMAT,
  OPTION_FIT,
  OPTION_FILTER,
  OPTION_GAP,
  OPTION_BACKGROUND,
  OPTION_NO_LABELS,
  OPTION_CLOCK,
  OPTION_UTC,
  OPTION_BOXES,
  OPTION_KEEP,
  OPTION_FONT,
  OPTION_THREADS,
  OPTION_POLICY,
  OPTION_ORDERED_TIMEOUT,
  OPTION_DURATION,
  OPTION_COUNT
};

static const char help_text[] =
    "usage: cuframes grid [NAME...] --output NAME [OPTIONS]\n"
    "       cuframes grid --config FILE [OPTIONS]\n\n"
    "Tiles streams into one picture and publishes that as a stream, at a rate of its own: a camera that is slow or "
    "away\n"
    "holds nobody up, and its tile says since when and why there is no picture.\n\n"
    "NAME  a stream, which has its tile also while it is not there; or a pattern of names with *, ? or [...], in "
    "quotes:\n"
    "      each stream that fits gets a tile when it comes. Without a NAME: all streams with pictures, but no grids\n\n"
    "What it looks like:\n"
    "  -o, --output NAME    the stream that is published\n"
    "  --columns N          tiles side by side (default: so that pictures of 16:9 are largest)\n"
    "  --size WxH           size of the picture, both even (default 1920x1080)\n"
    "  --fps N              pictures in a second: 25 (default), 12.5, 30000/1001\n"
    "  --format PIXFMT      nv12 (default), yuv420p, p010, rgb24, bgr24, rgba or bgra\n"
    "  --fit HOW            contain (default): the whole picture; cover: the tile is full, the rest is cut off;\n"
    "                       stretch\n"
    "  --filter HOW         area (default): the mean of what a pixel covers; linear: faster, and coarse where "
    "pictures\n"
    "                       become much smaller\n"
    "  --gap N              pixels between tiles (default 4)\n"
    "  --background RRGGBB  colour behind them (default 101010)\n"
    "  --no-labels          do not write the names of streams\n"
    "  --clock[=FORMAT]     the time in the upper right corner; as of strftime(3) (default %F %T)\n"
    "  --utc                times are UTC, not local\n"
    "  --boxes NAME         draw what a detector found: its stream of annotations; may be repeated\n"
    "  --font FILE          a TrueType or OpenType font (default: DejaVu Sans, or what else there is)\n\n"
    "How:\n"
    "  --config FILE        these options, and tiles with places of their own, from a JSON file; SIGHUP reads it anew\n"
    "  --device DEVICE      where the picture is made: host, cuda, cuda:NUMBER, cuda:GPU-UUID, or auto (default): on "
    "a\n"
    "                       GPU if there is one\n"
    "  --threads N          on the host: threads that draw (default: processors, at most 4)\n"
    "  --keep SECONDS       tiles of streams that a pattern found stay so long when their stream has gone (default "
    "30)\n"
    "  --policy wait|drop   when an ordered subscriber of the grid is full: wait for it and then evict it (default), "
    "or\n"
    "                       drop the new picture for everybody\n"
    "  --ordered-timeout S  how long to wait for it (default 1)\n"
    "  --count N            end after N pictures\n"
    "  --duration SECONDS   end after that time\n"
    "  --dir DIR            runtime directory (default: $CUFRAMES_DIR, /run/cuframes, ...)\n"
    "  --json               events and a summary as JSON lines on stdout\n"
    "  --quiet              only warnings and errors\n"
    "  --help               this text\n\n"
    "Examples:\n"
    "  cuframes grid --output wall --clock\n"
    "  cuframes grid door yard 'cam*' --output wall --columns 3 --size 3840x2160\n"
    "  cuframes pipe wall | mpv -\n\n"
    "Exit codes: 0 done, also after Ctrl-C, 1 failed, 2 usage.\n";

void grid_print_help(void) {
  fputs(help_text, stdout);
}

const struct option *grid_long_options(void) {
  static const struct option options[] = {
    { "output", required_argument, NULL, OPTION_OUTPUT },
    { "config", required_argument, NULL, GRID_OPTION_CONFIG },
    { "columns", required_argument, NULL, OPTION_COLUMNS },
    { "size", required_argument, NULL, OPTION_SIZE },
    { "fps", required_argument, NULL, OPTION_FPS },
    { "device", required_argument, NULL, OPTION_DEVICE },
    { "format", required_argument, NULL, OPTION_FORMAT },
    { "fit", required_argument, NULL, OPTION_FIT },
    { "filter", required_argument, NULL, OPTION_FILTER },
    { "gap", required_argument, NULL, OPTION_GAP },
    { "background", required_argument, NULL, OPTION_BACKGROUND },
    { "no-labels", no_argument, NULL, OPTION_NO_LABELS },
    { "clock", optional_argument, NULL, OPTION_CLOCK },
    { "utc", no_argument, NULL, OPTION_UTC },
    { "boxes", required_argument, NULL, OPTION_BOXES },
    { "keep", required_argument, NULL, OPTION_KEEP },
    { "font", required_argument, NULL, OPTION_FONT },
    { "threads", required_argument, NULL, OPTION_THREADS },
    { "policy", required_argument, NULL, OPTION_POLICY },
    { "ordered-timeout", required_argument, NULL, OPTION_ORDERED_TIMEOUT },
    { "duration", required_argument, NULL, OPTION_DURATION },
    { "count", required_argument, NULL, OPTION_COUNT },
    { "dir", required_argument, NULL, OPTION_DIR },
    { "json", no_argument, NULL, OPTION_JSON },
    { "quiet", no_argument, NULL, OPTION_QUIET },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
  };
  return options;
}

static const char *const fits[] = { "contain", "cover", "stretch", NULL },
                         *const filters[] = { "linear", "area", NULL }, *const policies[] = { "wait", "drop", NULL },
                         *const formats[] = { "nv12", "yuv420p", "p010", "rgb24", "bgr24", "rgba", "bgra", NULL };

const char *const *grid_option_words(int option) {
  switch (option) {
    case OPTION_FIT: return fits;
    case OPTION_FILTER: return filters;
    case OPTION_POLICY: return policies;
    case OPTION_FORMAT: return formats;
    case OPTION_DEVICE: return cli_device_words;
    default: return NULL;
  }
}

/* The place of a word in a list; negative: it is not in it. */
static int word(const char *const *words, const char *text) {
  for (int i = 0; words[i] != NULL; i++)
    if (strcmp(words[i], text) == 0)
      return i;
  return -1;
}

const char *grid_take_fit(const char *text, int *fit) {
  const int at = word(fits, text);
  if (at < 0)
    return "is none of contain, cover and stretch";
  *fit = at;
  return NULL;
}

static const char *set_text(char **to, const char *text) {
  char *copy = strdup(text);
  if (copy == NULL)
    return "cannot be kept: out of memory";
  free(*to);
  *to = copy;
  return NULL;
}

static const char *set_number(uint32_t *to, const char *text, uint32_t least, uint32_t most, const char *sentence) {
  return cli_parse_unsigned(text, least, most, to) ? NULL : sentence;
}

static const char *set_seconds(int64_t *to, const char *text) {
  return cli_parse_seconds(text, to) ? NULL : "wants " CLI_SECONDS;
}

static const char *set_size(grid_options *o, const char *text) {
  uint32_t width, height;
  int length = 0;
  if (sscanf(text, "%5" SCNu32 "x%5" SCNu32 "%n", &width, &height, &length) != 2 || text[length] != '\0' ||
      strspn(text, "0123456789x") != (size_t)length || width < 64 || height < 64 || width > 16384 || height > 16384 ||
      width % 2 != 0 || height % 2 != 0)
    return "wants WIDTHxHEIGHT, both even and from 64 to 16384, such as 1920x1080";
  o->width = width;
  o->height = height;
  return NULL;
}

/* 25, 12.5 or 30000/1001. */
static const char *set_fps(grid_options *o, const char *text) {
  static const char sentence[] = "wants pictures in a second from 0.1 to 240, such as 25, 12.5 or 30000/1001";
  double number = 0;
  const char *end = cli_parse_decimal(text, &number);
  uint32_t num = (uint32_t)(number < 1e6 ? number * 1000 + 0.5 : 0), den = 1000;
  if (end != NULL && *end == '/') {
    int length = 0;
    if (sscanf(text, "%7" SCNu32 "/%7" SCNu32 "%n", &num, &den, &length) != 2 || text[length] != '\0' || den == 0)
      return sentence;
    end = NULL;
    number = (double)num / den;
  } else if (end == NULL || *end != '\0') {
    return sentence;
  }
  if (!(number >= 0.1 && number <= 240))
    return sentence;
  o->rate_num = num;
  o->rate_den = den;
  return NULL;
}

static const char *set_background(grid_options *o, const char *text) {
  uint32_t color;
  if (strlen(text) != 6 || strspn(text, "0123456789abcdefABCDEF") != 6 || sscanf(text, "%" SCNx32, &color) != 1)
    return "wants a colour as RRGGBB, six digits from 0 to f";
  for (int i = 0; i < 3; i++)
    o->background[i] = (uint8_t)(color >> (16 - 8 * i));
  return NULL;
}

static const char *set_format(grid_options *o, const char *text) {
  if (word(formats, text) < 0)
    return "is none of nv12, yuv420p, p010, rgb24, bgr24, rgba and bgra";
  o->pixel_format = cuframes_pixel_format_from_name(text);
  return NULL;
}

/* A name that can be one, and nothing else. */
static const char *check_name(const char *text) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", more[] = "._-";
  size_t length = strspn(text, letters), all = 0;
  for (; text[all] != '\0' && (strchr(letters, text[all]) || strchr(more, text[all])); all++)
    ;
  return length > 0 && text[all] == '\0' && all <= CUFRAMES_NAME_MAX
             ? NULL
             : "is no stream name: [A-Za-z0-9][A-Za-z0-9._-]{0,62}";
}

bool grid_is_pattern(const char *text) {
  return strpbrk(text, "*?[") != NULL;
}

const char *grid_check_stream(const char *text) {
  return grid_is_pattern(text) && strlen(text) <= CUFRAMES_NAME_MAX ? NULL : check_name(text);
}

static const char *add_boxes(grid_options *o, const char *text) {
  const char *wrong = check_name(text);
  for (uint32_t i = 0; i < o->box_count; i++)
    if (strcmp(o->boxes[i], text) == 0)
      return NULL; /* the file and the command line may both name it */
  if (wrong == NULL && o->box_count == GRID_BOXES_MAX)
    wrong = "is one too many: at most 16 streams of detections";
  if (wrong != NULL)
    return wrong;
  o->boxes[o->box_count] = NULL;
  wrong = set_text(&o->boxes[o->box_count], text);
  o->box_count += wrong == NULL;
  return wrong;
}

static const char *set_name(char **to, const char *text) {
  const char *wrong = check_name(text);
  return wrong ? wrong : set_text(to, text);
}

static const char *set_word(uint32_t *to, const char *const *words, const char *text, const char *sentence) {
  const int at = word(words, text);
  if (at < 0)
    return sentence;
  *to = (uint32_t)at;
  return NULL;
}

static const char *set_fit(grid_options *o, const char *text) {
  int fit = 0;
  const char *wrong = grid_take_fit(text, &fit);
  o->fit = (enum grid_fit)fit;
  return wrong;
}

/* --clock, or a format. */
static const char *set_clock(grid_options *o, const char *text) {
  char tried[GRID_CLOCK_TEXT];
  struct tm now;
  const time_t seconds = time(NULL);
  if (text && (!localtime_r(&seconds, &now) || strftime(tried, sizeof tried, text, &now) == 0))
    return "wants a format of strftime(3) that makes a text of up to 199 bytes, such as %F %T";
  o->has_clock = true;
  return set_text(&o->clock, text ? text : "%F %T");
}

static const char *set_count(grid_options *o, const char *text) {
  uint32_t count = 0;
  const char *wrong = set_number(&count, text, 1, UINT32_MAX, "wants a number above 0");
  o->count = count;
  return wrong;
}

static const char *set_look(grid_options *o, int option, const char *text) {
  switch (option) {
    case OPTION_COLUMNS: return set_number(&o->columns, text, 1, GRID_TILES_MAX, "wants a number from 1 to 256");
    case OPTION_SIZE: return set_size(o, text);
    case OPTION_FPS: return set_fps(o, text);
    case OPTION_FORMAT: return set_format(o, text);
    case OPTION_FIT: return set_fit(o, text);
    case OPTION_FILTER: return set_word(&o->filter, filters, text, "is neither area nor linear");
    case OPTION_GAP: return set_number(&o->gap, text, 0, 256, "wants a number of pixels up to 256");
    case OPTION_BACKGROUND: return set_background(o, text);
    case OPTION_NO_LABELS: o->no_labels = true; return NULL;
    case OPTION_CLOCK: return set_clock(o, text);
    case OPTION_UTC: o->utc = true; return NULL;
    case OPTION_BOXES: return add_boxes(o, text);
    default: return set_text(&o->font, text);
  }
}

const char *grid_options_set(grid_options *o, int option, const char *text) {
  switch (option) {
    case OPTION_OUTPUT: return set_name(&o->output, text);
    case GRID_OPTION_CONFIG: return set_text(&o->config, text);
    case OPTION_DEVICE: return cli_is_device(text) ? set_text(&o->device, text) : CLI_DEVICES;
    case OPTION_THREADS: return set_number(&o->threads, text, 1, GRID_THREADS_MAX, "wants a number from 1 to 16");
    case OPTION_KEEP: return set_seconds(&o->keep_ns, text);
    case OPTION_POLICY: return set_word(&o->policy, policies, text, "is neither wait nor drop");
    case OPTION_ORDERED_TIMEOUT: return set_seconds(&o->ordered_timeout_ns, text);
    case OPTION_DURATION: return set_seconds(&o->duration_ns, text);
    case OPTION_COUNT: return set_count(o, text);
    case OPTION_DIR: return set_text(&o->directory, text);
    case OPTION_JSON: o->json = true; return NULL;
    case OPTION_QUIET: o->quiet = true; return NULL;
    default: return set_look(o, option, text);
  }
}

grid_tile_options *grid_options_add_tile(grid_options *o, const char *stream, const char **wrong) {
  *wrong = grid_check_stream(stream);
  if (*wrong == NULL && o->tile_count == GRID_TILES_MAX)
    *wrong = "is one too many: at most 256 tiles";
  if (*wrong != NULL)
    return NULL;
  grid_tile_options *grown = realloc(o->tiles, (o->tile_count + 1) * sizeof *grown);
  char *copy = strdup(stream);
  if (grown != NULL)
    o->tiles = grown;
  if (grown == NULL || copy == NULL) {
    free(copy);
    *wrong = "cannot be kept: out of memory";
    return NULL;
  }
  grid_tile_options *tile = &o->tiles[o->tile_count++];
  *tile = (grid_tile_options){ .stream = copy, .fit = -1 };
  return tile;
}

void grid_options_free(grid_options *o) {
  char **texts[] = { &o->output, &o->directory, &o->device, &o->config, &o->font, &o->clock };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    free(*texts[i]);
  for (uint32_t i = 0; i < o->box_count; i++)
    free(o->boxes[i]);
  for (uint32_t i = 0; i < o->tile_count; i++) {
    free(o->tiles[i].stream);
    free(o->tiles[i].label);
    free(o->tiles[i].boxes);
  }
  free(o->tiles);
  *o = (grid_options){ 0 };
}

void grid_options_take(grid_options *to, grid_options *from) {
  *to = *from;
  *from = (grid_options){ 0 };
}

static void set_defaults(grid_options *o) {
  *o = (grid_options){ .width = 1920,
                       .height = 1080,
                       .pixel_format = CUFRAMES_PIXEL_NV12,
                       .gap = 4,
                       .rate_num = 25,
                       .rate_den = 1,
                       .keep_ns = INT64_C(30000000000),
                       .filter = CUFRAMES_FILTER_AREA,
                       .background = { 16, 16, 16 } };
}

/* ---- the command line ---- */

/* What is wrong with an option of the command line, as a message. */
static int wrong_option(int option, const char *text, const char *wrong) {
  const char *name = "output";
  for (const struct option *one = grid_long_options(); one->name != NULL; one++)
    if (one->val == option)
      name = one->name;
  const char *const *words = grid_option_words(option);
  return cli_usage("--%s %s %s%s", name, text ? text : "", wrong,
                   suggest_text("", words && text ? suggest_from(text, words) : NULL).text);
}

/* Each option of the command line. only: that one alone, 0: all. Gives an exit code, after a message. */
static int take_options(int argc, char **argv, grid_options *o, int only) {
  int option;
  optind = 0; /* from the beginning, and glibc forgets what it was told before */
  while ((option = cli_getopt(argc, argv, ":o:", grid_long_options(), NULL)) != -1) {
    if (option == '?' || option == ':')
      return cli_bad_option(option, argv);
    if (option == OPTION_HELP) {
      o->help = true;
      return CLI_OK;
    }
    if (only != 0 && option != only)
      continue;
    const char *wrong = grid_options_set(o, option, optarg);
    if (wrong != NULL)
      return wrong_option(option, optarg, wrong);
  }
  return CLI_OK;
}

/* The NAMEs, which come before the streams of the file. */
static int take_names(int argc, char **argv, grid_options *o) {
  if (optind < argc) {
    for (uint32_t i = 0; i < o->tile_count; i++)
      if (o->tiles[i].has_box)
        return cli_usage("%s: its tiles have places of their own, so no NAME can be given beside it", o->config);
  }
  for (; optind < argc; optind++) {
    const char *wrong;
    if (grid_options_add_tile(o, argv[optind], &wrong) == NULL)
      return cli_usage("'%s' %s", argv[optind], wrong);
  }
  return CLI_OK;
}

int grid_check_tiles(const grid_options *o, const char *output) {
  for (uint32_t i = 0; i < o->tile_count; i++)
    if (strcmp(o->tiles[i].stream, output) == 0)
      return cli_usage("the grid cannot be a tile of itself: '%s' is its own --output", output);
  return CLI_OK;
}

/* What only the whole can tell. */
static int check(const grid_options *o) {
  if (o->output == NULL)
    return cli_usage("--output NAME is missing: the stream that is published");
  if (o->columns != 0 && o->tile_count != 0 && o->tiles[0].has_box)
    return cli_usage("--columns is for tiles without places of their own");
  for (uint32_t i = 0; i < o->tile_count; i++) {
    const grid_box *box = &o->tiles[i].box;
    if (o->tiles[i].has_box && (box->x + box->width > o->width || box->y + box->height > o->height))
      return cli_usage("%s: tile %u ends at %ux%u, outside the picture of %ux%u", o->config, i + 1, box->x + box->width,
                       box->y + box->height, o->width, o->height);
  }
  return grid_check_tiles(o, o->output);
}

int grid_options_read(int argc, char **argv, grid_options *options) {
  set_defaults(options);
  int code = take_options(argc, argv, options, GRID_OPTION_CONFIG);
  if (code == CLI_OK && options->config != NULL && !options->help)
    code = grid_config_read(options->config, options);
  if (code == CLI_OK && !options->help)
    code = take_options(argc, argv, options, 0);
  if (code == CLI_OK && !options->help)
    code = take_names(argc, argv, options);
  return code == CLI_OK && !options->help ? check(options) : code;
}
