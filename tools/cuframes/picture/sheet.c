/* sheet.c - see sheet.h. */
#include "sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Brightness from 0 to 255. A picture shows something if its brightest parts are brighter than DARK and than half of
 * what the stream has shown, and are brighter than its darkest by CONTRAST. It is like another if its parts differ by
 * less than ALIKE on average. Found with fades and cuts of the film in tests/data, and of test pictures. */
#define DARK 48
#define CONTRAST 24
#define ALIKE 8

#define BLACK 24u     /* a sample up to which a pixel counts as a bar's: encoders leave a little noise there */
#define BAR_SPECKS 64 /* and one pixel in so many of a line may be brighter */
#define SOFT_EDGE 2u  /* scaling mixes so many lines beside a bar with it */

bool sheet_create(sheet *s, uint32_t columns, uint32_t rows, uint32_t cell_width, uint32_t cell_height) {
  *s = (sheet){ .columns = columns, .rows = rows, .cell_width = cell_width, .cell_height = cell_height };
  s->labels = calloc((size_t)columns * rows, sizeof(*s->labels));
  if (s->labels && image_create(&s->image, columns * (cell_width + SHEET_GAP) + SHEET_GAP,
                                rows * (cell_height + SHEET_GAP) + SHEET_GAP))
    return true;
  sheet_free(s);
  return false;
}

void sheet_free(sheet *s) {
  free(s->labels);
  image_free(&s->image);
  *s = (sheet){ 0 };
}

static uint8_t *pixel_at(const rgb_image *image, uint32_t x, uint32_t y) {
  return image->data + y * image->pitch + (size_t)x * 3;
}

/* The pixel at x, y of a cell. */
static uint8_t *cell_pixel(const sheet *s, uint32_t cell, uint32_t x, uint32_t y) {
  return pixel_at(&s->image, SHEET_GAP + cell % s->columns * (s->cell_width + SHEET_GAP) + x,
                  SHEET_GAP + cell / s->columns * (s->cell_height + SHEET_GAP) + y);
}

static void clear_cell(sheet *s, uint32_t cell) {
  for (uint32_t y = 0; y < s->cell_height; y++)
    memset(cell_pixel(s, cell, 0, y), 0, (size_t)s->cell_width * 3);
}

bool sheet_draw(sheet *s, struct SwsContext **scaler, const picture_planes *planes, const cuframes_format *format) {
  uint32_t shown_width, shown_height;
  image_shown_size(format, &shown_width, &shown_height);
  uint64_t width = s->cell_width, height = width * shown_height / shown_width;
  if (height > s->cell_height) {
    height = s->cell_height;
    width = height * shown_width / shown_height;
  }
  width += !width;
  height += !height;
  uint32_t x = SHEET_GAP + s->count % s->columns * (s->cell_width + SHEET_GAP);
  uint32_t y = SHEET_GAP + s->count / s->columns * (s->cell_height + SHEET_GAP);
  clear_cell(s, s->count); /* the one before may have had another shape */
  x += (s->cell_width - (uint32_t)width) / 2;
  y += (s->cell_height - (uint32_t)height) / 2;
  return image_convert(scaler, planes, format, &s->image, x, y, (uint32_t)width, (uint32_t)height);
}

static int compare_bytes(const void *one, const void *other) {
  return *(const uint8_t *)one - *(const uint8_t *)other;
}

/* Brightness of the pixel in the middle of each part; bicubic scaling has already averaged around it. */
static sheet_look look_at(const sheet *s, uint32_t cell) {
  enum { PARTS = SHEET_PARTS_X * SHEET_PARTS_Y };
  sheet_look look;
  uint8_t sorted[PARTS];
  for (uint32_t i = 0; i < PARTS; i++) {
    const uint8_t *p = cell_pixel(s, cell, (2 * (i % SHEET_PARTS_X) + 1) * s->cell_width / (2 * SHEET_PARTS_X),
                                  (2 * (i / SHEET_PARTS_X) + 1) * s->cell_height / (2 * SHEET_PARTS_Y));
    look.parts[i] = (uint8_t)((p[0] * 77 + p[1] * 151 + p[2] * 28) >> 8);
  }
  memcpy(sorted, look.parts, sizeof(sorted));
  qsort(sorted, PARTS, 1, compare_bytes);
  look.low = sorted[PARTS / 20];
  look.high = sorted[PARTS - 1 - PARTS / 20];
  return look;
}

enum sheet_scene sheet_scene_of(sheet *s) {
  const sheet_look look = look_at(s, s->count);
  if (look.high > s->brightest)
    s->brightest = look.high;
  if (look.high < DARK || look.high < s->brightest / 2 || look.high - look.low < CONTRAST)
    return SHEET_NOTHING;
  uint32_t change = 0;
  for (size_t i = 0; i < sizeof(look.parts); i++)
    change += (uint32_t)abs(look.parts[i] - s->shown.parts[i]);
  return !s->count || change >= ALIKE * sizeof(look.parts) ? SHEET_NEW : SHEET_ALIKE;
}

static void write_label(char *label, const cuframes_frame *frame) {
  const int64_t pts = cuframes_frame_pts(frame);
  const uint64_t tenths = (uint64_t)(pts < 0 ? -(pts / 100000000) : pts / 100000000), seconds = tenths / 10;
  const char *sign = pts < 0 && tenths ? "-" : "";
  char hours[24] = "";
  if (seconds >= 3600)
    snprintf(hours, sizeof(hours), "%" PRIu64 ":", seconds / 3600);
  if (pts == CUFRAMES_NO_TIME)
    snprintf(label, SHEET_LABEL, "#%" PRIu64, cuframes_frame_seq(frame));
  else
    snprintf(label, SHEET_LABEL, "%s%s%02u:%02u.%u", sign, hours, (unsigned)(seconds / 60 % 60),
             (unsigned)(seconds % 60), (unsigned)(tenths % 10));
}

void sheet_keep(sheet *s, const cuframes_frame *frame) {
  s->shown = look_at(s, s->count);
  write_label(s->labels[s->count], frame);
  s->count++;
}

void sheet_clear_rest(sheet *s) {
  for (uint32_t cell = s->count; cell < s->columns * s->rows; cell++)
    clear_cell(s, cell);
}

/* Whether a line of a cell is a bar: a row, or a column. */
static bool is_bar(const sheet *s, uint32_t cell, bool row, uint32_t at) {
  const uint32_t length = row ? s->cell_width : s->cell_height;
  uint32_t bright = 0;
  for (uint32_t i = 0; i < length; i++) {
    const uint8_t *p = row ? cell_pixel(s, cell, i, at) : cell_pixel(s, cell, at, i);
    bright += p[0] > BLACK || p[1] > BLACK || p[2] > BLACK;
  }
  return bright <= length / BAR_SPECKS;
}

/* How many lines at an edge are a bar in all pictures, with the soft ones beside it; 0 if all lines are. */
static uint32_t bar_width(const sheet *s, bool row, bool from_end) {
  const uint32_t size = row ? s->cell_height : s->cell_width;
  for (uint32_t bar = 0; bar < size; bar++)
    for (uint32_t cell = 0; cell < s->count; cell++)
      if (!is_bar(s, cell, row, from_end ? size - 1 - bar : bar))
        return bar ? bar + SOFT_EDGE : 0;
  return 0;
}

bool sheet_trim(sheet *s) {
  const uint32_t top = bar_width(s, true, false), left = bar_width(s, false, false);
  const uint32_t across = left + bar_width(s, false, true), down = top + bar_width(s, true, true);
  if ((!across && !down) || across >= s->cell_width || down >= s->cell_height)
    return true;
  sheet smaller;
  if (!sheet_create(&smaller, s->columns, s->rows, s->cell_width - across, s->cell_height - down))
    return false;
  for (uint32_t cell = 0; cell < s->count; cell++)
    for (uint32_t y = 0; y < smaller.cell_height; y++)
      memcpy(cell_pixel(&smaller, cell, 0, y), cell_pixel(s, cell, left, top + y), (size_t)smaller.cell_width * 3);
  image_free(&s->image);
  s->image = smaller.image;
  s->cell_width = smaller.cell_width;
  s->cell_height = smaller.cell_height;
  free(smaller.labels);
  return true;
}

#define GLYPH_WIDTH 5
#define GLYPH_HEIGHT 7

/* The seven rows of a character, five dots each, the left one highest. NULL: we have none. */
static const uint8_t *glyph_of(char character) {
  static const char characters[] = "0123456789:.-#";
  static const uint8_t font[][GLYPH_HEIGHT] = {
    { 14, 17, 19, 21, 25, 17, 14 }, { 4, 12, 4, 4, 4, 4, 14 },      { 14, 17, 1, 2, 4, 8, 31 },
    { 31, 2, 4, 2, 1, 17, 14 },     { 2, 6, 10, 18, 31, 2, 2 },     { 31, 16, 30, 1, 1, 17, 14 },
    { 6, 8, 16, 30, 17, 17, 14 },   { 31, 1, 2, 4, 8, 8, 8 },       { 14, 17, 17, 14, 17, 17, 14 },
    { 14, 17, 17, 15, 1, 2, 12 },   { 0, 12, 12, 0, 12, 12, 0 },    { 0, 0, 0, 0, 0, 12, 12 },
    { 0, 0, 0, 31, 0, 0, 0 },       { 10, 10, 31, 10, 31, 10, 10 },
  };
  const char *at = strchr(characters, character);
  return at && *at ? font[at - characters] : NULL;
}

/* White dots of `dot` pixels on what is there, darkened, in the lower left corner of a cell. */
static void write_in_cell(sheet *s, uint32_t cell, const char *text, uint32_t dot) {
  const uint32_t length = (uint32_t)strlen(text), pad = 2 * dot;
  const uint32_t width = length * (GLYPH_WIDTH + 1) * dot - dot + 2 * pad, height = GLYPH_HEIGHT * dot + 2 * pad;
  if (width > s->cell_width || height > s->cell_height)
    return;
  const uint32_t top = s->cell_height - height;
  for (uint32_t y = 0; y < height; y++)
    for (uint32_t x = 0; x < width; x++) {
      uint8_t *p = cell_pixel(s, cell, x, top + y);
      for (int i = 0; i < 3; i++)
        p[i] /= 4;
    }
  for (uint32_t i = 0; i < length; i++) {
    const uint8_t *glyph = glyph_of(text[i]);
    for (uint32_t y = 0; glyph && y < GLYPH_HEIGHT * dot; y++)
      for (uint32_t x = 0; x < GLYPH_WIDTH * dot; x++)
        if (glyph[y / dot] >> (GLYPH_WIDTH - 1 - x / dot) & 1)
          memset(cell_pixel(s, cell, pad + i * (GLYPH_WIDTH + 1) * dot + x, top + pad + y), 255, 3);
  }
}

void sheet_write_times(sheet *s) {
  const uint32_t dot = s->cell_width < 160 ? 1 : s->cell_width / 160; /* a quarter to a third of the width */
  for (uint32_t cell = 0; cell < s->count; cell++)
    write_in_cell(s, cell, s->labels[cell], dot);
}
