/* grid_truth.c - the judge of a grid for the end-to-end tests: which test picture each tile shows, by making the tile
 * of every number that it can be with the vision library, until one is the same byte for byte:
 *
 *   grid_truth GRID PICTURES FILTER[/MOST] X,Y,WIDTH,HEIGHT:WIDTHxHEIGHT:PIXFMT:MARGIN...
 *
 * PICTURES of the grid are looked at, a line for each tile of them: "tile INDEX number N", "tile INDEX lost" where its
 * border says that there is no signal, or "tile INDEX wrong". Samples may differ by
 * MOST (0). MARGIN pixels at the edges of a tile are not looked at:
 * a border may be there.
 *
 * Exit 0, or 1 with the library's reason. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>
#include <cuframes/vision.h>

#include "pattern/pattern.h"

#define TILES 64
#define AHEAD 50000 /* pictures of a camera, from one look at a tile to the next */
#define NEAR 16     /* steps of luma that scaling and a place between samples make at most */
#define SECOND INT64_C(1000000000)

/* Memory for a picture. */
typedef struct sheet {
  cuframes_format format;
  uint8_t *plane[CUFRAMES_PLANES];
  cuframes_picture picture;
} sheet;

typedef struct tile {
  uint32_t x, y, width, height, margin;
  sheet source, made; /* the camera's picture; the whole grid's, with this tile drawn */
  uint64_t next;      /* the first number that it can be */
} tile;

static bool sheet_make(sheet *s, cuframes_format format) {
  s->format = format;
  memset(s->format.pitch, 0, sizeof s->format.pitch);
  memset(s->format.offset, 0, sizeof s->format.offset);
  if (cuframes_format_layout(&s->format, 0, NULL) != CUFRAMES_OK)
    return false;
  s->picture = (cuframes_picture){ .format = &s->format };
  for (int i = 0; i < cuframes_pixel_format_planes(s->format.pixel_format); i++) {
    uint32_t row_bytes, rows;
    if (cuframes_format_plane_size(&s->format, i, &row_bytes, &rows) != CUFRAMES_OK)
      return false;
    s->plane[i] = calloc(rows, s->format.pitch[i]);
    s->picture.plane[i] = s->plane[i];
    if (s->plane[i] == NULL)
      return false;
  }
  return true;
}

static void sheet_free(sheet *s) {
  for (int i = 0; i < CUFRAMES_PLANES; i++)
    free(s->plane[i]);
}

/* As the publisher of test pictures says it. */
static cuframes_format test_format(uint32_t pixel_format, uint32_t width, uint32_t height) {
  const bool rgb = pixel_format == CUFRAMES_PIXEL_RGB24 || pixel_format == CUFRAMES_PIXEL_BGRA;
  return (cuframes_format){ .pixel_format = pixel_format,
                            .width = width,
                            .height = height,
                            .color = { .matrix = rgb ? 0 : 1, .range = rgb ? 2 : 1 } };
}

static bool tile_parse(const char *text, tile *t) {
  char name[32];
  uint32_t width, height;
  *t = (tile){ .next = 1 };
  if (sscanf(text, "%" SCNu32 ",%" SCNu32 ",%" SCNu32 ",%" SCNu32 ":%" SCNu32 "x%" SCNu32 ":%31[^:]:%" SCNu32, &t->x,
             &t->y, &t->width, &t->height, &width, &height, name, &t->margin) != 8)
    return false;
  return sheet_make(&t->source, test_format(cuframes_pixel_format_from_name(name), width, height));
}

static bool alike(const uint8_t *a, const uint8_t *b, uint32_t count, int most) {
  if (memcmp(a, b, count) == 0)
    return true;
  for (uint32_t i = 0; i < count; i++)
    if (abs(a[i] - b[i]) > most)
      return false;
  return true;
}

/* Whether the grid's picture has what was made, inside of the margin. NV12. */
static bool same(const tile *t, const sheet *seen, int most) {
  const uint32_t x = t->x + t->margin, count = t->width - 2 * t->margin;
  for (int plane = 0; plane < 2; plane++) {
    const uint32_t half = plane == 1 ? 2 : 1;
    for (uint32_t y = (t->y + t->margin) / half; y < (t->y + t->height - t->margin) / half; y++)
      if (!alike(seen->plane[plane] + (size_t)y * seen->format.pitch[plane] + x,
                 t->made.plane[plane] + (size_t)y * t->made.format.pitch[plane] + x, count, most))
        return false;
  }
  return true;
}

/* Its left border is as red as red is: chroma of (210, 30, 30). */
static bool is_lost(const tile *t, const sheet *seen) {
  const uint8_t *chroma = seen->plane[1] + (size_t)(t->y + t->height / 2) / 2 * seen->format.pitch[1] + t->x;
  return chroma[1] > 200 && chroma[0] < 120;
}

/* What the tiles are made with, and how far a sample may be from that. */
typedef struct judge_how {
  cuframes_compositor *compositor;
  uint32_t filter;
  int most;
} judge_how;

/* The pattern's background (pattern.h), as luma of limited range. */
static int tri(uint64_t i) {
  i %= 512;
  return (int)(i < 256 ? i : 511 - i);
}

static int luma_of(const cuframes_format *format, uint64_t phase) {
  if (format->color.range == 1)
    return 16 + (tri(phase) * 55 >> 6);
  return 16 + (2126 * tri(phase) + 7152 * tri(phase + 171) + 722 * tri(phase + 341)) * 219 / 2550000;
}

/* Whether a tile can show that number, by some places of it, beside the stamp: to draw each that it cannot be takes too
 * long, and meanwhile the camera goes on. */
static bool may_be(const tile *t, const sheet *seen, uint64_t n) {
  static const uint32_t tenths[][2] = { { 4, 5 }, { 6, 7 }, { 8, 9 }, { 5, 8 }, { 7, 4 }, { 9, 6 }, { 3, 7 } };
  const cuframes_format *f = &t->source.format;
  for (size_t i = 0; i < sizeof tenths / sizeof tenths[0]; i++) {
    const uint64_t x = (uint64_t)f->width * tenths[i][0] / 10, y = (uint64_t)f->height * tenths[i][1] / 10;
    const uint64_t at_x = t->x + (2 * x + 1) * t->width / (2 * f->width);
    const uint64_t at_y = t->y + (2 * y + 1) * t->height / (2 * f->height);
    if (abs(seen->plane[0][at_y * seen->format.pitch[0] + at_x] - luma_of(f, x + y + 3 * n)) > NEAR)
      return false;
  }
  return true;
}

static int judge(const judge_how *how, tile *t, const sheet *seen, uint64_t *number) {
  const cuframes_layer layer = { .picture = t->source.picture,
                                 .x = (int32_t)t->x,
                                 .y = (int32_t)t->y,
                                 .width = t->width,
                                 .height = t->height,
                                 .filter = how->filter,
                                 .color = { 0, 0, 0, 255 } };
  for (uint64_t n = t->next; n < t->next + AHEAD; n++) {
    if (!may_be(t, seen, n))
      continue;
    pattern_draw(t->source.plane, t->source.format.pitch, &t->source.format, n);
    const int error = cuframes_compositor_run(how->compositor, &layer, 1, &t->made.picture, NULL);
    if (error != CUFRAMES_OK)
      return error;
    if (same(t, seen, how->most)) {
      t->next = *number = n;
      return CUFRAMES_OK;
    }
  }
  *number = 0;
  return CUFRAMES_OK;
}

static int look(cuframes_subscriber *subscriber, sheet *seen) {
  cuframes_frame *frame;
  int error = cuframes_subscriber_next(subscriber, 60 * SECOND, &frame);
  if (error != CUFRAMES_OK)
    return error;
  if (seen->plane[0] == NULL && !sheet_make(seen, *cuframes_frame_format(frame)))
    error = CUFRAMES_ERR_NO_MEMORY;
  for (int i = 0; i < 2 && error == CUFRAMES_OK; i++)
    error = cuframes_frame_copy_to_host(frame, i, seen->plane[i], seen->format.pitch[i]);
  cuframes_frame_release(frame);
  return error;
}

static int judge_all(const judge_how *how, tile *tiles, int count, const sheet *seen) {
  for (int i = 0; i < count; i++) {
    uint64_t number = 0;
    if (tiles[i].made.plane[0] == NULL && !sheet_make(&tiles[i].made, seen->format))
      return CUFRAMES_ERR_NO_MEMORY;
    const bool lost = is_lost(&tiles[i], seen);
    const int error = lost ? CUFRAMES_OK : judge(how, &tiles[i], seen, &number);
    if (error != CUFRAMES_OK)
      return error;
    if (number != 0)
      printf("tile %d number %" PRIu64 "\n", i, number);
    else
      printf("tile %d %s\n", i, lost ? "lost" : "wrong");
  }
  fflush(stdout);
  return CUFRAMES_OK;
}

int main(int argc, char **argv) {
  static tile tiles[TILES];
  const cuframes_subscriber_options options = { .struct_size = sizeof options, .connect_timeout_ns = 60 * SECOND };
  const cuframes_compositor_options host = { .struct_size = sizeof host };
  cuframes_subscriber *subscriber = NULL;
  judge_how how = { .compositor = NULL };
  sheet seen = { .picture = { .format = NULL } };
  const int count = argc - 4;
  if (count < 1 || count > TILES)
    return 2;
  for (int i = 0; i < count; i++)
    if (!tile_parse(argv[i + 4], &tiles[i]))
      return 2;
  if (sscanf(argv[3], "%" SCNu32 "/%d", &how.filter, &how.most) < 1)
    return 2;
  int error = cuframes_compositor_create(&host, &how.compositor);
  if (error == CUFRAMES_OK)
    error = cuframes_subscriber_create(argv[1], &options, &subscriber);
  for (unsigned long left = strtoul(argv[2], NULL, 10); error == CUFRAMES_OK && left > 0; left--) {
    error = look(subscriber, &seen);
    if (error == CUFRAMES_OK)
      error = judge_all(&how, tiles, count, &seen);
  }
  if (error != CUFRAMES_OK)
    fprintf(stderr, "grid_truth: %s\n", cuframes_last_error());
  cuframes_subscriber_destroy(subscriber);
  cuframes_compositor_destroy(how.compositor);
  for (int i = 0; i < count; i++) {
    sheet_free(&tiles[i].source);
    sheet_free(&tiles[i].made);
  }
  sheet_free(&seen);
  return error != CUFRAMES_OK;
}
