/* grid_paint.c - see grid_paint.h. */
#include "grid_paint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/stream_state.h"

#define OPAQUE 255
#define FADED 80 /* a picture that is not the present one */
#define WORDS_LEAST 10u
#define TILE_LAYERS 16u /* more than any tile has beside boxes: ground or bars, picture, note, name, border */

typedef struct color {
  uint8_t r, g, b;
} color;

static const color late_color = { 240, 190, 0 }, lost_color = { 210, 30, 30 };
/* Of boxes, by class. */
static const color box_colors[] = { { 80, 220, 80 },  { 80, 170, 255 }, { 255, 150, 60 },  { 240, 90, 220 },
                                    { 90, 230, 230 }, { 240, 230, 80 }, { 190, 130, 255 }, { 255, 120, 120 } };

/* ---- layers ---- */

/* NULL: there is no room. */
static cuframes_layer *add_layer(grid_paint *p) {
  if (p->count == p->room) {
    const uint32_t room = p->room ? p->room * 2 : 256;
    cuframes_layer *grown = room <= GRID_LAYERS_MAX ? realloc(p->layers, room * sizeof *grown) : NULL;
    if (grown == NULL)
      return NULL;
    p->layers = grown;
    p->room = room;
  }
  cuframes_layer *layer = &p->layers[p->count++];
  *layer = (cuframes_layer){ .x = 0 };
  return layer;
}

static void add_rectangle(grid_paint *p, int32_t x, int32_t y, uint32_t width, uint32_t height, color c) {
  cuframes_layer *layer = width > 0 && height > 0 ? add_layer(p) : NULL;
  if (layer == NULL)
    return;
  layer->x = x;
  layer->y = y;
  layer->width = width;
  layer->height = height;
  layer->color[0] = c.r;
  layer->color[1] = c.g;
  layer->color[2] = c.b;
  layer->color[3] = OPAQUE;
}

/* Four thin rectangles within a box. */
static void add_frame(grid_paint *p, const grid_box *box, uint32_t thick, color c) {
  const int32_t x = (int32_t)box->x, y = (int32_t)box->y;
  if (box->width < 2 * thick || box->height < 2 * thick) {
    add_rectangle(p, x, y, box->width, box->height, c);
    return;
  }
  add_rectangle(p, x, y, box->width, thick, c);
  add_rectangle(p, x, y + (int32_t)(box->height - thick), box->width, thick, c);
  add_rectangle(p, x, y + (int32_t)thick, thick, box->height - 2 * thick, c);
  add_rectangle(p, x + (int32_t)(box->width - thick), y + (int32_t)thick, thick, box->height - 2 * thick, c);
}

static void add_label(grid_paint *p, const grid_label *label, int32_t x, int32_t y) {
  cuframes_layer *layer = label->copy.picture.format != NULL ? add_layer(p) : NULL;
  if (layer == NULL)
    return;
  layer->picture = label->copy.picture;
  layer->x = x;
  layer->y = y;
  layer->width = label->image.width;
  layer->height = label->image.height;
  layer->color[3] = OPAQUE;
}

/* ---- sizes ---- */

static uint32_t within(uint32_t value, uint32_t least, uint32_t most) {
  return value < least ? least : value > most ? most : value;
}

/* Its height, or that of a picture of 16:9 that is as wide. */
static uint32_t usual_height(const grid_box *box) {
  const uint32_t height = box->width * 9 / 16;
  return height < box->height ? height : box->height;
}

static uint32_t thickness(const grid_box *box) {
  return within(usual_height(box) / 90 & ~1u, 2, 8);
}

static uint32_t letters(const grid_box *box) {
  return within(usual_height(box) / 16, WORDS_LEAST, 40);
}

/* ---- what detectors found ---- */

/* The label with this text, from those that are kept or in the place of the one not used for longest. */
static const grid_label *word_of(grid_paint *p, grid_wall *wall, const char *text, uint32_t size, uint32_t max_width,
                                 uint32_t max_height) {
  grid_label *oldest = &p->words[0];
  p->turn++;
  for (uint32_t i = 0; i < GRID_WORDS; i++) {
    grid_label *one = &p->words[i];
    if (one->text != NULL && one->size == size && one->max_width == max_width && one->max_height == max_height &&
        strcmp(one->text, text) == 0) {
      one->used = p->turn;
      return one;
    }
    if (one->used < oldest->used)
      oldest = one;
  }
  if (oldest->used >= p->began)
    return NULL; /* all are in this picture */
  oldest->used = p->turn;
  return grid_label_make(wall, oldest, text, size, max_width, max_height) ? oldest : NULL;
}

/* A box in the picture as a box in the grid, as far as it is within the shown part. False: nothing of it is. */
static bool box_in_grid(const cuframes_detection *d, const cuframes_format *format, const grid_box *shown,
                        const grid_crop *crop, grid_box *box) {
  const double scale_x = shown->width / (double)crop->width, scale_y = shown->height / (double)crop->height;
  const double left = ((double)d->x * format->width - (double)crop->x) * scale_x;
  const double top = ((double)d->y * format->height - (double)crop->y) * scale_y;
  const double right = left + (double)d->width * format->width * scale_x;
  const double bottom = top + (double)d->height * format->height * scale_y;
  const double x0 = fmax(left, 0), y0 = fmax(top, 0), x1 = fmin(right, shown->width), y1 = fmin(bottom, shown->height);
  if (!(x1 > x0 && y1 > y0))
    return false;
  box->x = shown->x + ((uint32_t)x0 & ~1u);
  box->y = shown->y + ((uint32_t)y0 & ~1u);
  box->width = (((uint32_t)ceil(x1) + 1) & ~1u) - ((uint32_t)x0 & ~1u);
  box->height = (((uint32_t)ceil(y1) + 1) & ~1u) - ((uint32_t)y0 & ~1u);
  return true;
}

static void add_detection(grid_paint *p, grid_wall *wall, const cuframes_detection *d, const grid_box *box,
                          const grid_box *shown) {
  const color c = box_colors[d->class_id % (sizeof box_colors / sizeof *box_colors)];
  add_frame(p, box, thickness(shown), c);
  if (*d->label == '\0')
    return;
  const uint32_t size = within(letters(shown) * 3 / 4, WORDS_LEAST, 28);
  const grid_label *word = word_of(p, wall, d->label, size, shown->width, shown->height);
  if (word == NULL)
    return;
  const uint32_t above = box->y >= shown->y + word->image.height ? box->y - word->image.height : box->y;
  const uint32_t right = shown->x + shown->width - word->image.width;
  const uint32_t bottom = shown->y + shown->height - word->image.height;
  add_label(p, word, (int32_t)(box->x < right ? box->x : right), (int32_t)(above < bottom ? above : bottom));
}

/* The layers that tiles alone may need are kept for them. */
static bool has_room(const grid_paint *p) {
  return p->count < GRID_LAYERS_MAX - GRID_TILES_MAX * TILE_LAYERS;
}

static void add_detections(grid_paint *p, grid_wall *wall, grid_boxes *boxes, const grid_tile *tile,
                           const grid_box *shown, const grid_crop *crop) {
  cuframes_detection found[GRID_DETECTIONS_MAX];
  const cuframes_frame *frame = tile->source->feed.frame;
  const uint32_t count = grid_boxes_find(boxes, frame, found);
  for (uint32_t i = 0; i < count && has_room(p); i++) {
    grid_box box;
    if (box_in_grid(&found[i], cuframes_frame_format(frame), shown, crop, &box))
      add_detection(p, wall, &found[i], &box, shown);
  }
}

/* ---- tiles ---- */

/* Black where a picture leaves room. */
static void add_bars(grid_paint *p, const grid_box *tile, const grid_box *shown) {
  const int32_t x = (int32_t)tile->x, y = (int32_t)tile->y;
  const uint32_t left = shown->x - tile->x, top = shown->y - tile->y;
  const color black = { 0, 0, 0 };
  add_rectangle(p, x, y, tile->width, top, black);
  add_rectangle(p, x, y + (int32_t)(top + shown->height), tile->width, tile->height - top - shown->height, black);
  add_rectangle(p, x, y + (int32_t)top, left, shown->height, black);
  add_rectangle(p, x + (int32_t)(left + shown->width), y + (int32_t)top, tile->width - left - shown->width,
                shown->height, black);
}

static void add_picture(grid_paint *p, grid_wall *wall, const grid_tile *tile, const grid_tile_options *own) {
  const grid_options *o = wall->options;
  const cuframes_picture *picture = &tile->source->copy.picture;
  const bool lost = tile->source->state.signal == GRID_NONE;
  grid_box shown;
  grid_crop crop;
  if (picture->format == NULL || lost)
    add_rectangle(p, (int32_t)tile->box.x, (int32_t)tile->box.y, tile->box.width, tile->box.height, (color){ 0, 0, 0 });
  if (picture->format == NULL)
    return;
  grid_place(&tile->box, picture->format, own && own->fit >= 0 ? (enum grid_fit)own->fit : o->fit, &shown, &crop);
  if (!lost)
    add_bars(p, &tile->box, &shown);
  cuframes_layer *layer = add_layer(p);
  if (layer == NULL)
    return;
  layer->picture = *picture;
  layer->picture.crop = (cuframes_rectangle){ crop.x, crop.y, crop.width, crop.height };
  layer->x = (int32_t)shown.x;
  layer->y = (int32_t)shown.y;
  layer->width = shown.width;
  layer->height = shown.height;
  layer->filter = o->filter;
  layer->color[3] = lost ? FADED : OPAQUE;
  for (uint32_t i = 0; !lost && tile->boxes == NULL && i < o->box_count && i < wall->box_count; i++)
    add_detections(p, wall, wall->boxes[i], tile, &shown, &crop);
  if (!lost && tile->boxes != NULL)
    add_detections(p, wall, tile->boxes, tile, &shown, &crop);
}

/* A time of the clock on the wall: of today without the date. */
static void time_text(char *text, size_t size, int64_t moment, bool utc) {
  const time_t at = (time_t)moment_seconds(moment), now = time(NULL);
  struct tm then, today;
  struct tm *(*split)(const time_t *, struct tm *) = utc ? gmtime_r : localtime_r;
  *text = '\0';
  if (split(&at, &then) == NULL || split(&now, &today) == NULL)
    return;
  const bool same = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
  if (strftime(text, size, same ? "%H:%M:%S" : "%F %H:%M", &then) == 0)
    *text = '\0';
}

/* What is wrong with a stream, in the middle of its tile. Since when does not change while it lasts, so that the text
 * is drawn once. */
static void add_note(grid_paint *p, grid_wall *wall, grid_tile *tile) {
  const grid_source *s = tile->source;
  char text[GRID_CAUSE + 96], since[64];
  if (s->state.signal != GRID_NONE)
    return;
  time_text(since, sizeof since, s->state.since, wall->options->utc);
  snprintf(text, sizeof text, "no signal since %s\n%s", since, s->state.cause);
  if (!grid_label_make(wall, &tile->note, text, letters(&tile->box), tile->box.width, tile->box.height))
    return;
  const int32_t x = (int32_t)tile->box.x + ((int32_t)(tile->box.width - tile->note.image.width) / 2 & ~1);
  const int32_t y = (int32_t)tile->box.y + ((int32_t)tile->box.height - (int32_t)tile->note.image.height) / 2;
  add_label(p, &tile->note, x, y & ~1);
}

static void add_name(grid_paint *p, grid_wall *wall, grid_tile *tile, const grid_tile_options *own) {
  const char *text = own && own->label ? own->label : tile->source->feed.name;
  const uint32_t thick = thickness(&tile->box);
  if (wall->options->no_labels && !(own && own->label))
    return;
  if (!grid_label_make(wall, &tile->label, text, letters(&tile->box), tile->box.width - 2 * thick,
                       tile->box.height - 2 * thick))
    return;
  add_label(p, &tile->label, (int32_t)(tile->box.x + thick),
            (int32_t)(tile->box.y + tile->box.height - thick - tile->label.image.height));
}

static void add_tile(grid_paint *p, grid_wall *wall, grid_tile *tile) {
  const grid_options *o = wall->options;
  const grid_tile_options *own = tile->option < o->tile_count ? &o->tiles[tile->option] : NULL;
  const enum grid_signal signal = tile->source->state.signal;
  add_picture(p, wall, tile, own);
  add_note(p, wall, tile);
  add_name(p, wall, tile, own);
  if (signal != GRID_LIVE)
    add_frame(p, &tile->box, thickness(&tile->box), signal == GRID_LATE ? late_color : lost_color);
}

/* ---- the whole ---- */

static void add_clock(grid_paint *p, grid_wall *wall) {
  const grid_options *o = wall->options;
  char text[GRID_CLOCK_TEXT];
  struct tm now;
  const time_t seconds = time(NULL);
  if ((o->utc ? gmtime_r : localtime_r)(&seconds, &now) == NULL || strftime(text, sizeof text, o->clock, &now) == 0)
    return;
  if (!grid_label_make(wall, &p->clock, text, within(o->height / 36, WORDS_LEAST, 72), o->width, o->height))
    return;
  add_label(p, &p->clock, (int32_t)(o->width - p->clock.image.width), 0);
}

bool grid_paint_make(grid_paint *p, grid_wall *wall) {
  const grid_options *o = wall->options;
  p->count = 0;
  p->began = p->turn + 1;
  add_rectangle(p, 0, 0, o->width, o->height, (color){ o->background[0], o->background[1], o->background[2] });
  for (uint32_t i = 0; i < wall->shown; i++)
    add_tile(p, wall, wall->tiles[i]);
  if (wall->tile_count == 0 &&
      grid_label_make(wall, &p->empty, "no streams", within(o->height / 20, 12, 60), o->width, o->height))
    add_label(p, &p->empty, (int32_t)((o->width - p->empty.image.width) / 2 & ~1u),
              (int32_t)((o->height - p->empty.image.height) / 2 & ~1u));
  if (o->has_clock)
    add_clock(p, wall);
  return p->count > 0;
}

void grid_paint_free(grid_paint *p, grid_wall *wall) {
  grid_label_free(wall, &p->clock);
  grid_label_free(wall, &p->empty);
  for (uint32_t i = 0; i < GRID_WORDS; i++)
    grid_label_free(wall, &p->words[i]);
  free(p->layers);
  *p = (grid_paint){ 0 };
}
