/* grid_wall.h - which streams are shown and where: tiles by the options and by what is in the directory, and for each
 * stream what is known of it. A stream that has several tiles is joined once.
 *
 * Threads  All calls come from one thread. */
#ifndef CUFRAMES_GRID_WALL_H
#define CUFRAMES_GRID_WALL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/reader.h"
#include "grid_boxes.h"
#include "grid_device.h"
#include "grid_directory.h"
#include "grid_draw.h"
#include "grid_feed.h"
#include "grid_options.h"
#include "grid_text.h"

/* A text as a picture on the device, made anew only when it changes. All zeros at first. */
typedef struct grid_label {
  char *text;
  uint32_t size, max_width, max_height;
  grid_image image;
  grid_copy copy;
  uint64_t used; /* of those that are kept by text: when */
} grid_label;

/* A stream. */
typedef struct grid_source {
  grid_feed feed;
  uint32_t tiles; /* that show it; 0: it leaves */
  grid_state state;
  int64_t lost_at;          /* CLOCK_MONOTONIC since when there is no signal; 0: there is, or never was any */
  bool was_live;            /* there was a signal once */
  bool said;                /* of this loss */
  grid_copy copy;           /* its picture for the device, where it lies elsewhere */
  picture_planes view;      /* a GPU's picture for the host */
  char trouble[GRID_CAUSE]; /* why the picture cannot be shown */
  int64_t trouble_since;    /* CLOCK_MONOTONIC */
} grid_source;

typedef struct grid_tile {
  uint32_t option; /* index in the options' tiles */
  grid_source *source;
  grid_box box;
  bool found;         /* by a pattern */
  int64_t gone_since; /* found, and not in the directory any more; 0: it is */
  grid_boxes *boxes;  /* of this tile alone; NULL: those of all */
  grid_label label, note;
} grid_tile;

typedef struct grid_wall {
  const grid_options *options;
  grid_device *device;
  grid_font *font;
  grid_draw *draw;
  grid_tile **tiles;
  uint32_t tile_count, shown; /* shown: tiles that have a place */
  grid_source **sources;
  uint32_t source_count;
  grid_boxes *boxes[GRID_BOXES_MAX + GRID_TILES_MAX]; /* first those of the options, in their order */
  uint32_t box_count;
  grid_listing *listing; /* the newest */
  uint64_t losses;       /* signals that were lost */
  bool crowded;          /* said that not all have a place */
} grid_wall;

/* Tiles as the options and the newest listing want them; listing NULL: as it was. What is new and what has gone is
 * said. False: out of memory. */
bool grid_wall_arrange(grid_wall *wall, grid_listing *listing, int64_t now);
/* After options was replaced: everything is arranged anew, and streams that stay are not touched. */
bool grid_wall_change(grid_wall *wall, const grid_options *options, int64_t now);

/* The newest pictures of all streams, and their states. */
void grid_wall_take(grid_wall *wall, int64_t now);
/* Lets everything go. Waits for threads that join streams, two seconds at most. */
void grid_wall_free(grid_wall *wall);

/* The text as a picture; false: there is none to draw. */
bool grid_label_make(grid_wall *wall, grid_label *label, const char *text, uint32_t size, uint32_t max_width,
                     uint32_t max_height);
void grid_label_free(grid_wall *wall, grid_label *label);

#endif
