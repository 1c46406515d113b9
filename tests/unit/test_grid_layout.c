/* test_grid_layout.c - where tiles of a grid lie: columns that show pictures largest, cells that do not touch, and
 * pictures in their shape within them. */
#include <math.h>
#include <stdlib.h>

#include "support/fixture.h"

#include "../../tools/cuframes/grid/grid_layout.c"

static void columns_are_as_people_expect(void **state) {
  (void)state;
  static const uint32_t wide[][2] = { { 1, 1 }, { 2, 2 },  { 3, 2 },  { 4, 2 },  { 5, 3 },  { 6, 3 },
                                      { 9, 3 }, { 10, 4 }, { 16, 4 }, { 17, 5 }, { 25, 5 }, { 64, 8 } };
  for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
    assert_int_equal(grid_columns(wide[i][0], 1920, 1080), wide[i][1]);
  assert_int_equal(grid_columns(3, 1080, 1920), 1); /* a screen that stands */
  assert_int_equal(grid_columns(8, 3840, 540), 8);  /* a long one */
  assert_int_equal(grid_columns(0, 1920, 1080), 1);
}

static bool apart(const grid_box *a, const grid_box *b, uint32_t gap) {
  return a->x + a->width + gap <= b->x || b->x + b->width + gap <= a->x || a->y + a->height + gap <= b->y ||
         b->y + b->height + gap <= a->y;
}

static void cells_are_even_and_apart(void **state) {
  (void)state;
  static const uint32_t sizes[][2] = { { 1920, 1080 }, { 64, 64 }, { 1280, 722 }, { 3840, 2160 }, { 998, 334 } };
  static grid_box cells[256];
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
    for (uint32_t count = 1; count <= 256; count += count < 20 ? 1 : 47)
      for (uint32_t gap = 0; gap < 12; gap += 3) {
        const uint32_t width = sizes[s][0], height = sizes[s][1], columns = grid_columns(count, width, height);
        if (!grid_cells(count, columns, width, height, gap, cells))
          continue;
        for (uint32_t i = 0; i < count; i++) {
          const grid_box *c = &cells[i];
          CHECK((c->x | c->y | c->width | c->height) % 2 == 0);
          CHECK(c->width >= GRID_TILE_LEAST && c->height >= GRID_TILE_LEAST);
          CHECK(c->x >= gap && c->y >= gap && c->x + c->width + gap <= width + 1 &&
                c->y + c->height + gap <= height + 1);
          for (uint32_t k = 0; k < i; k++)
            CHECK(apart(c, &cells[k], gap));
        }
      }
}

static void what_has_no_room_is_refused(void **state) {
  (void)state;
  static grid_box cells[256];
  CHECK(!grid_cells(256, 16, 64, 64, 0, cells));
  CHECK(!grid_cells(4, 2, 640, 360, 300, cells));
  CHECK(!grid_cells(4, 0, 640, 360, 0, cells));
  CHECK(grid_cells(0, 0, 640, 360, 0, cells));
}

static cuframes_format format_of(uint32_t width, uint32_t height, uint32_t num, uint32_t den) {
  return (cuframes_format){ .width = width, .height = height, .sample_aspect_num = num, .sample_aspect_den = den };
}

static void pictures_keep_their_shape(void **state) {
  (void)state;
  const grid_box tile = { 100, 50, 640, 360 };
  static const struct {
    uint32_t width, height, num, den;
    double shape;
  } all[] = { { 1920, 1080, 0, 0, 16.0 / 9 },    { 640, 480, 1, 1, 4.0 / 3 }, { 720, 576, 64, 45, 16.0 / 9 },
              { 1080, 1920, 0, 0, 9.0 / 16 },    { 1, 1, 0, 0, 1 },           { 3000, 100, 0, 0, 30 },
              { 65535, 3, 1, 1, 65535.0 / 3.0 }, { 640, 360, 2, 1, 32.0 / 9 } };
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    const cuframes_format f = format_of(all[i].width, all[i].height, all[i].num, all[i].den);
    grid_box box;
    grid_crop crop;
    grid_place(&tile, &f, GRID_FIT_CONTAIN, &box, &crop);
    CHECK((box.x | box.y | box.width | box.height) % 2 == 0 && box.width >= 2 && box.height >= 2);
    CHECK(box.x >= tile.x && box.y >= tile.y && box.x + box.width <= tile.x + tile.width &&
          box.y + box.height <= tile.y + tile.height);
    CHECK(box.width == tile.width || box.height == tile.height);
    CHECK(fabs(box.height * all[i].shape - box.width) <= 1.001 * fmax(all[i].shape, 1) || box.height == 2);
    CHECK(crop.x == 0 && crop.y == 0 && crop.width == (float)all[i].width && crop.height == (float)all[i].height);
    CHECK(labs((long)(2 * box.x + box.width) - (long)(2 * tile.x + tile.width)) <= 2); /* in the middle */

    grid_place(&tile, &f, GRID_FIT_COVER, &box, &crop);
    CHECK(box.x == tile.x && box.y == tile.y && box.width == tile.width && box.height == tile.height);
    const double pixel = f.sample_aspect_num ? (double)f.sample_aspect_num / f.sample_aspect_den : 1;
    CHECK(fabs((double)crop.width * pixel / (double)crop.height - 640.0 / 360) < 0.001 * 640 / 360);
    CHECK(crop.x >= 0 && crop.y >= 0 && (double)crop.x + (double)crop.width <= f.width + 0.01 &&
          (double)crop.y + (double)crop.height <= f.height + 0.01);
    CHECK(fabs((double)crop.width - f.width) < 0.01 || fabs((double)crop.height - f.height) < 0.01);

    grid_place(&tile, &f, GRID_FIT_STRETCH, &box, &crop);
    CHECK(box.width == tile.width && box.height == tile.height && crop.width == (float)f.width);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(columns_are_as_people_expect),
    cmocka_unit_test(cells_are_even_and_apart),
    cmocka_unit_test(what_has_no_room_is_refused),
    cmocka_unit_test(pictures_keep_their_shape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
