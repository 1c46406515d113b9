/* sheet.h - many pictures of a stream on one image: cells in rows, without the film's black bars, with times. */
#ifndef CUFRAMES_CLI_SHEET_H
#define CUFRAMES_CLI_SHEET_H

#include "image_file.h"

#define SHEET_GAP 4u
#define SHEET_LABEL 64

/* A picture in a few numbers: the brightness of its parts. */
#define SHEET_PARTS_X 32u
#define SHEET_PARTS_Y 18u
typedef struct sheet_look {
  uint8_t parts[SHEET_PARTS_X * SHEET_PARTS_Y];
  uint8_t low, high; /* brightness that a twentieth of the parts is below, above */
} sheet_look;

typedef struct sheet {
  uint32_t columns, rows, cell_width, cell_height;
  rgb_image image;
  uint32_t count; /* pictures that are there to stay */
  char (*labels)[SHEET_LABEL];
  /* for sheet_scene_of() */
  sheet_look shown;  /* of the picture kept last */
  uint8_t brightest; /* the highest `high` of all pictures seen */
} sheet;

/* An empty sheet for cells of this size. False without memory. */
bool sheet_create(sheet *s, uint32_t columns, uint32_t rows, uint32_t cell_width, uint32_t cell_height);
void sheet_free(sheet *s);

/* Converts a picture into the next cell, as large as its shape allows, in the middle. It stays there after
 * sheet_keep(), else the next one replaces it. False: it cannot be converted. */
bool sheet_draw(sheet *s, struct SwsContext **scaler, const picture_planes *planes, const cuframes_format *format);

/* What the picture drawn last shows: nothing (it is black, all alike, or much darker than others, as in a fade), what
 * the one kept before shows, or something new. */
enum sheet_scene { SHEET_NOTHING, SHEET_ALIKE, SHEET_NEW };
enum sheet_scene sheet_scene_of(sheet *s);

/* Keeps the picture drawn last. `frame` gives the text for sheet_write_times(). */
void sheet_keep(sheet *s, const cuframes_frame *frame);

/* Empties the cells without a picture that was kept. */
void sheet_clear_rest(sheet *s);

/* Cuts off what is black at the same edge of all pictures; the cells become smaller. False without memory. */
bool sheet_trim(sheet *s);

/* Writes each picture's time (minutes, seconds, tenths; its number, if it has no time) into its cell. Cells too small
 * for the text stay as they are. */
void sheet_write_times(sheet *s);

#endif
