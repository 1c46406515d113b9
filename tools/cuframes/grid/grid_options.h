/* grid_options.h - what `cuframes grid` is asked for: command line and JSON file, and the help text. */
#ifndef CUFRAMES_GRID_OPTIONS_H
#define CUFRAMES_GRID_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grid_layout.h"

#define GRID_TILES_MAX 256u
#define GRID_BOXES_MAX 16u
#define GRID_THREADS_MAX 16u
#define GRID_CLOCK_TEXT 200    /* bytes that a clock's format may make, and a zero */
#define GRID_OPTION_CONFIG 'c' /* getopt's number of --config */

/* One entry of "tiles", or one NAME. */
typedef struct grid_tile_options {
  char *stream; /* a name, or a pattern of names */
  char *label;  /* NULL: the stream's name; empty: none */
  char *boxes;  /* a stream of detections; NULL: those of all tiles */
  int fit;      /* enum grid_fit; negative: that of all */
  bool has_box;
  grid_box box;
} grid_tile_options;

/* All of it may be compared, copied by grid_options_take() alone, and is freed by grid_options_free(). */
typedef struct grid_options {
  char *output, *directory, *device, *config, *font, *clock;
  uint32_t width, height, columns /* 0: as fits */, pixel_format, gap, threads /* 0: as there are processors */;
  uint32_t rate_num, rate_den; /* pictures in rate_den seconds */
  uint32_t policy;
  int64_t ordered_timeout_ns, keep_ns, duration_ns;
  uint64_t count;
  enum grid_fit fit;
  uint32_t filter; /* enum cuframes_filter */
  uint8_t background[3];
  bool no_labels, has_clock, utc, json, quiet, help;
  char *boxes[GRID_BOXES_MAX];
  uint32_t box_count;
  grid_tile_options *tiles;
  uint32_t tile_count;
} grid_options;

void grid_options_free(grid_options *options);
/* `from` is empty after it. */
void grid_options_take(grid_options *to, grid_options *from);

/* The command line, and the file that it names; what it says comes before what the file says. Gives an exit code, after
 * a message. `help` is set where nothing else matters. */
int grid_options_read(int argc, char **argv, grid_options *options);
void grid_print_help(void);

/* For the file. Sets one option by its number; gives NULL, or what is wrong ("wants a number ..."). text is NULL for
 * one without a value. */
const char *grid_options_set(grid_options *options, int option, const char *text);
const struct option *grid_long_options(void);
/* The words that an option can be, for who misspelt one, ending with NULL; NULL: it is no choice of words. */
const char *const *grid_option_words(int option);
const char *grid_take_fit(const char *text, int *fit);
/* A tile at the end of the list, which is the options'; NULL, with what is wrong: too many, no memory. */
grid_tile_options *grid_options_add_tile(grid_options *options, const char *stream, const char **wrong);
/* A name, or a pattern that names could have. NULL, or what is wrong. */
const char *grid_check_stream(const char *text);
/* That no tile is the grid's own stream. Gives an exit code, after a message. */
int grid_check_tiles(const grid_options *options, const char *output);
bool grid_is_pattern(const char *text);

/* grid_config.c: the JSON file. Gives an exit code, after a message. */
int grid_config_read(const char *path, grid_options *options);

#endif
