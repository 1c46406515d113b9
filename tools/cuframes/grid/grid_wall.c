/* grid_wall.c - see grid_wall.h. */
#include "grid_wall.h"

#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grid_events.h"

#define ALL "*"
#define END_STEP_MS 10

/* ---- labels ---- */

void grid_label_free(grid_wall *wall, grid_label *label) {
  free(label->text);
  grid_image_free(&label->image);
  grid_device_free(wall->device, &label->copy);
  *label = (grid_label){ 0 };
}

bool grid_label_make(grid_wall *wall, grid_label *label, const char *text, uint32_t size, uint32_t max_width,
                     uint32_t max_height) {
  if (label->text != NULL && label->size == size && label->max_width == max_width && label->max_height == max_height &&
      strcmp(label->text, text) == 0)
    return label->image.data != NULL;
  char why[200];
  grid_image image = { 0 };
  free(label->text);
  label->text = strdup(text);
  label->size = size;
  label->max_width = max_width;
  label->max_height = max_height;
  if (label->text == NULL || !grid_text_draw(wall->font, text, size, max_width, max_height, &image)) {
    grid_image_free(&label->image);
    return false;
  }
  const cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_RGBA, .width = image.width, .height = image.height };
  const void *plane[CUFRAMES_PLANES] = { image.data };
  const uint32_t pitch[CUFRAMES_PLANES] = { image.pitch };
  grid_image_free(&label->image);
  if (grid_device_put(wall->device, &label->copy, &format, plane, pitch, why, sizeof why) != CUFRAMES_OK)
    grid_image_free(&image); /* the GPU has failed, which others say */
  label->image = image;
  return label->image.data != NULL;
}

/* ---- sources and detectors ---- */

static grid_source *find_source(const grid_wall *wall, const char *name) {
  for (uint32_t i = 0; i < wall->source_count; i++)
    if (strcmp(wall->sources[i]->feed.name, name) == 0)
      return wall->sources[i];
  return NULL;
}

static grid_source *take_source(grid_wall *wall, const char *name, int64_t now) {
  grid_source *source = find_source(wall, name);
  if (source == NULL) {
    grid_source **grown = realloc(wall->sources, (wall->source_count + 1) * sizeof(grid_source *));
    if (grown != NULL)
      wall->sources = grown;
    source = grown ? calloc(1, sizeof *source) : NULL;
    if (source == NULL)
      return NULL;
    grid_feed_begin(&source->feed, name, now);
    wall->sources[wall->source_count++] = source;
  }
  source->tiles++;
  return source;
}

/* False: its thread has not ended yet. */
static bool end_source(grid_wall *wall, grid_source *source) {
  source->copy.picture = (cuframes_picture){ 0 }; /* it may be the frame that goes now */
  if (!grid_feed_end(&source->feed, grid_device_stream(wall->device)))
    return false;
  grid_device_free(wall->device, &source->copy);
  picture_free(&source->view);
  free(source);
  return true;
}

/* Those that no tile shows any more. */
static void reap_sources(grid_wall *wall) {
  for (uint32_t i = wall->source_count; i-- > 0;)
    if (wall->sources[i]->tiles == 0 && end_source(wall, wall->sources[i]))
      wall->sources[i] = wall->sources[--wall->source_count];
}

/* The detector's stream of that name, joined if it is not. NULL: no room for it. */
static grid_boxes *take_boxes(grid_wall *wall, const char *name) {
  for (uint32_t i = 0; i < wall->box_count; i++)
    if (strcmp(grid_boxes_name(wall->boxes[i]), name) == 0)
      return wall->boxes[i];
  char label[CUFRAMES_LABEL_MAX + 1];
  snprintf(label, sizeof label, "grid %.57s", wall->options->output);
  grid_boxes *boxes = wall->box_count < sizeof wall->boxes / sizeof *wall->boxes
                          ? grid_boxes_open(wall->options->directory, name, label)
                          : NULL;
  if (boxes != NULL)
    wall->boxes[wall->box_count++] = boxes;
  return boxes;
}

/* ---- which tiles ---- */

/* A tile that should be. */
typedef struct wish {
  char name[CUFRAMES_NAME_MAX + 1];
  uint32_t option;
  bool found;
  int64_t gone_since;
} wish;

typedef struct wishes {
  wish list[GRID_TILES_MAX];
  uint32_t count;
} wishes;

static bool is_wished(const wishes *all, const char *name) {
  for (uint32_t i = 0; i < all->count; i++)
    if (strcmp(all->list[i].name, name) == 0)
      return true;
  return false;
}

static bool is_named(const grid_options *o, const char *name) {
  for (uint32_t i = 0; i < o->tile_count; i++)
    if (strcmp(o->tiles[i].stream, name) == 0)
      return true;
  return false;
}

static void add_wish(wishes *all, const char *name, uint32_t option, bool found, int64_t gone_since) {
  if (all->count == GRID_TILES_MAX)
    return;
  wish *w = &all->list[all->count++];
  *w = (wish){ .option = option, .found = found, .gone_since = gone_since };
  snprintf(w->name, sizeof w->name, "%s", name);
}

static const struct grid_listed *find_listed(const grid_listing *listing, const char *name) {
  for (size_t i = 0; listing != NULL && i < listing->count; i++)
    if (strcmp(listing->entries[i].name, name) == 0)
      return &listing->entries[i];
  return NULL;
}

static int compare_wishes(const void *one, const void *other) {
  return strcmp(((const wish *)one)->name, ((const wish *)other)->name);
}

/* What a pattern finds, and what it found before and that is not gone for too long. */
static void wish_found(const grid_wall *wall, uint32_t option, const char *pattern, int64_t now, wishes *all) {
  const grid_options *o = wall->options;
  const uint32_t first = all->count;
  for (size_t i = 0; wall->listing != NULL && i < wall->listing->count; i++) {
    const struct grid_listed *one = &wall->listing->entries[i];
    if (one->answers && one->has_pictures && !one->is_grid && fnmatch(pattern, one->name, 0) == 0 &&
        strcmp(one->name, o->output) != 0 && !is_named(o, one->name) && !is_wished(all, one->name))
      add_wish(all, one->name, option, true, 0);
  }
  for (uint32_t i = 0; i < wall->tile_count; i++) {
    const grid_tile *tile = wall->tiles[i];
    const char *name = tile->source->feed.name;
    if (!tile->found || fnmatch(pattern, name, 0) != 0 || is_named(o, name) || is_wished(all, name))
      continue;
    const struct grid_listed *listed = find_listed(wall->listing, name);
    const int64_t since = listed != NULL && !listed->answers ? 0 : tile->gone_since ? tile->gone_since : now;
    if ((listed == NULL || !listed->answers) && (since == 0 || now - since < o->keep_ns))
      add_wish(all, name, option, true, since);
  }
  qsort(all->list + first, all->count - first, sizeof(wish), compare_wishes);
}

static void make_wishes(const grid_wall *wall, int64_t now, wishes *all) {
  const grid_options *o = wall->options;
  all->count = 0;
  if (o->tile_count == 0)
    wish_found(wall, 0, ALL, now, all);
  for (uint32_t i = 0; i < o->tile_count; i++)
    if (grid_is_pattern(o->tiles[i].stream))
      wish_found(wall, i, o->tiles[i].stream, now, all);
    else
      add_wish(all, o->tiles[i].stream, i, false, 0);
}

/* ---- arranging them ---- */

static void free_tile(grid_wall *wall, grid_tile *tile) {
  if (tile == NULL)
    return;
  tile->source->tiles--;
  grid_label_free(wall, &tile->label);
  grid_label_free(wall, &tile->note);
  free(tile);
}

/* The tile that shows this already, taken out of the old ones; or a new one. NULL: out of memory. */
static grid_tile *take_tile(grid_wall *wall, grid_tile **old, uint32_t old_count, const wish *w, int64_t now) {
  for (uint32_t i = 0; i < old_count; i++) {
    grid_tile *tile = old[i];
    if (tile == NULL || strcmp(tile->source->feed.name, w->name) != 0)
      continue;
    old[i] = NULL;
    return tile;
  }
  grid_tile *tile = calloc(1, sizeof *tile);
  grid_source *source = tile ? take_source(wall, w->name, now) : NULL;
  if (source == NULL) {
    free(tile);
    return NULL;
  }
  tile->source = source;
  if (w->found)
    grid_say_tile(wall->options, "added", w->name);
  return tile;
}

/* The box of each tile: its own, or a cell. */
static void place_tiles(grid_wall *wall) {
  const grid_options *o = wall->options;
  static grid_box cells[GRID_TILES_MAX];
  if (o->tile_count > 0 && o->tiles[0].has_box) {
    for (uint32_t i = 0; i < wall->tile_count; i++)
      wall->tiles[i]->box = o->tiles[wall->tiles[i]->option].box;
    wall->shown = wall->tile_count;
    return;
  }
  uint32_t count = wall->tile_count, columns = o->columns;
  while (count > 0 && (columns == 0 || !grid_cells(count, columns, o->width, o->height, o->gap, cells))) {
    columns = grid_columns(count, o->width, o->height);
    if (grid_cells(count, columns, o->width, o->height, o->gap, cells))
      break;
    count--;
  }
  if (count < wall->tile_count && !wall->crowded)
    cli_note("%u of %u tiles have no room in %ux%u: a larger --size has", wall->tile_count - count, wall->tile_count,
             o->width, o->height);
  wall->crowded = count < wall->tile_count;
  for (uint32_t i = 0; i < count; i++)
    wall->tiles[i]->box = cells[i];
  wall->shown = count;
}

static bool same_tiles(const grid_wall *wall, const wishes *all) {
  bool same = all->count == wall->tile_count;
  for (uint32_t i = 0; i < all->count && same; i++)
    same = strcmp(wall->tiles[i]->source->feed.name, all->list[i].name) == 0 &&
           wall->tiles[i]->option == all->list[i].option;
  return same;
}

static bool set_tiles(grid_wall *wall, const wishes *all, int64_t now) {
  grid_tile **old = wall->tiles, **tiles = calloc((size_t)all->count + 1, sizeof(grid_tile *));
  const uint32_t old_count = wall->tile_count;
  uint32_t count = 0;
  if (tiles == NULL)
    return false;
  for (uint32_t i = 0; i < all->count; i++) {
    grid_tile *tile = take_tile(wall, old, old_count, &all->list[i], now);
    if (tile == NULL)
      continue;
    tile->option = all->list[i].option;
    tile->found = all->list[i].found;
    tiles[count++] = tile;
  }
  for (uint32_t i = 0; i < old_count; i++) {
    if (old[i] != NULL && old[i]->found)
      grid_say_tile(wall->options, "removed", old[i]->source->feed.name);
    free_tile(wall, old[i]);
  }
  free(old);
  wall->tiles = tiles;
  wall->tile_count = count;
  return count == all->count;
}

static void set_boxes(grid_wall *wall) {
  const grid_options *o = wall->options;
  for (uint32_t i = 0; i < o->box_count; i++)
    (void)take_boxes(wall, o->boxes[i]);
  for (uint32_t i = 0; i < wall->tile_count; i++) {
    const uint32_t option = wall->tiles[i]->option;
    const char *name = option < o->tile_count ? o->tiles[option].boxes : NULL;
    wall->tiles[i]->boxes = name ? take_boxes(wall, name) : NULL;
  }
}

static void take_reasons(grid_wall *wall) {
  for (uint32_t i = 0; i < wall->source_count; i++) {
    grid_feed *feed = &wall->sources[i]->feed;
    const struct grid_listed *listed = find_listed(wall->listing, feed->name);
    if (listed != NULL && listed->answers)
      snprintf(feed->reason, sizeof feed->reason, "%s", listed->reason);
  }
}

static bool arrange(grid_wall *wall, bool anew, int64_t now) {
  static wishes all; /* too large for a stack; one thread */
  bool well = true;
  make_wishes(wall, now, &all);
  if (anew || !same_tiles(wall, &all)) {
    well = set_tiles(wall, &all, now);
    place_tiles(wall);
    set_boxes(wall);
  }
  for (uint32_t i = 0; i < wall->tile_count && well; i++)
    wall->tiles[i]->gone_since = all.list[i].gone_since;
  return well;
}

bool grid_wall_arrange(grid_wall *wall, grid_listing *listing, int64_t now) {
  if (listing != NULL) {
    free(wall->listing);
    wall->listing = listing;
    take_reasons(wall);
  }
  return arrange(wall, wall->tiles == NULL, now);
}

bool grid_wall_change(grid_wall *wall, const grid_options *options, int64_t now) {
  grid_boxes *old[GRID_BOXES_MAX + GRID_TILES_MAX];
  const uint32_t old_count = wall->box_count;
  memcpy(old, wall->boxes, sizeof old);
  wall->options = options;
  wall->crowded = false;
  wall->box_count = 0;
  for (uint32_t i = 0; i < old_count; i++) /* they are few, and join again at once */
    while (!grid_boxes_close(old[i]))
      (void)poll(NULL, 0, END_STEP_MS);
  return arrange(wall, true, now);
}

/* ---- pictures ---- */

static void look_at_signal(grid_wall *wall, grid_source *s, int64_t now) {
  grid_feed_state(&s->feed, now, &s->state);
  if (*s->trouble == '\0') {
    s->trouble_since = now;
  } else if (s->state.signal != GRID_NONE) {
    s->state = (grid_state){ .signal = GRID_NONE, .since = s->trouble_since };
    snprintf(s->state.cause, sizeof s->state.cause, "cannot be shown: %.290s", s->trouble);
  }
  if (s->state.signal == GRID_LATE && !s->was_live && s->lost_at == 0)
    return; /* it begins */
  if (s->state.signal != GRID_NONE) {
    if (s->lost_at != 0 || !s->was_live)
      grid_say_live(wall->options, s->feed.name, s->was_live ? now - s->lost_at : 0);
    s->was_live = true;
    s->lost_at = 0;
  } else if (s->lost_at == 0) {
    s->lost_at = s->state.since ? s->state.since : now;
    s->feed.losses += s->was_live;
    wall->losses += s->was_live;
    grid_say_lost(wall->options, s->feed.name, &s->state);
  }
}

/* A picture that lies elsewhere than where the grid is made. */
static void bring(grid_wall *wall, grid_source *s) {
  const cuframes_frame *frame = s->feed.frame;
  const cuframes_format *format = cuframes_frame_format(frame);
  const bool on_host = strcmp(cuframes_frame_device(frame), "host") == 0;
  const void *plane[CUFRAMES_PLANES] = { NULL };
  uint32_t pitch[CUFRAMES_PLANES] = { 0 };
  s->copy.picture = (cuframes_picture){ 0 }; /* what it was has gone with the frame before */
  s->trouble[0] = '\0';
  if (format->pixel_format == CUFRAMES_PIXEL_TENSOR) {
    snprintf(s->trouble, sizeof s->trouble, "it has tensors, which are no pictures");
    return;
  }
  if (!on_host && picture_view(&s->view, frame, false) != CUFRAMES_OK) {
    snprintf(s->trouble, sizeof s->trouble, "%s", cuframes_last_error());
    return;
  }
  for (int i = 0; i < CUFRAMES_PLANES; i++) {
    plane[i] = on_host ? cuframes_frame_plane(frame, i) : s->view.plane[i];
    pitch[i] = on_host ? cuframes_frame_pitch(frame, i) : s->view.pitch[i];
  }
  (void)grid_device_put(wall->device, &s->copy, format, plane, pitch, s->trouble, sizeof s->trouble);
}

/* A picture that lies where it is needed. */
static void use_frame(grid_source *s) {
  s->copy.picture = (cuframes_picture){ 0 };
  s->trouble[0] = '\0';
  if (cuframes_picture_from_frame(s->feed.frame, &s->copy.picture) != CUFRAMES_OK)
    snprintf(s->trouble, sizeof s->trouble, "%s", cuframes_last_error());
  s->copy.picture.device = NULL; /* it is mapped for this GPU, whichever made it */
}

static void show_frame(grid_wall *wall, grid_source *s) {
  if (grid_device_is_gpu(wall->device) && strcmp(cuframes_frame_device(s->feed.frame), "host") != 0)
    use_frame(s);
  else
    bring(wall, s);
  if (s->copy.picture.format != NULL && !grid_draw_can(wall->draw, &s->copy.picture, s->trouble, sizeof s->trouble))
    s->copy.picture = (cuframes_picture){ 0 };
}

void grid_wall_take(grid_wall *wall, int64_t now) {
  const grid_feed_how how = { .directory = wall->options->directory,
                              .label = "grid",
                              .device = grid_device_name(wall->device) };
  for (uint32_t i = 0; i < wall->source_count; i++) {
    grid_source *s = wall->sources[i];
    if (s->tiles == 0)
      continue;
    grid_feed_take(&s->feed, &how, grid_device_stream(wall->device), now);
    if (s->feed.is_new)
      show_frame(wall, s);
    look_at_signal(wall, s, now);
  }
  reap_sources(wall);
}

void grid_wall_free(grid_wall *wall) {
  for (uint32_t i = 0; i < wall->tile_count; i++)
    free_tile(wall, wall->tiles[i]);
  wall->tile_count = 0;
  while (wall->source_count > 0) {
    reap_sources(wall);
    if (wall->source_count > 0)
      (void)poll(NULL, 0, END_STEP_MS); /* for threads that are in the middle of joining */
  }
  for (uint32_t i = 0; i < wall->box_count; i++)
    while (!grid_boxes_close(wall->boxes[i]))
      (void)poll(NULL, 0, END_STEP_MS);
  free(wall->tiles);
  free(wall->sources);
  free(wall->listing);
}
