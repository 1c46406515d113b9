/* planner.c - pictures are checked, fitted, and turned into plans. */
#include "vision/planner.h"

#include <math.h>
#include <string.h>

#include "vision/error.h"
#include "vision/pixels.h"

#define CROP_LEAST 0.01     /* pixels; what may stick out, too */
#define CROP_ROUNDED 0.0099 /* the same, as float32 may leave it */
#define CROP_NOTHING 1e-7   /* less is the rounding of doubles */
#define MATRICES "1, 4 to 7, 9 and 10 are known"

/* ---- checks ---- */

bool cf_rectangle_none(const cuframes_rectangle *r) {
  return r->x == 0 && r->y == 0 && r->width == 0 && r->height == 0;
}

bool cf_picture_none(const cuframes_picture *picture) {
  static const cuframes_picture none;
  return !picture->format && !picture->plane[0] && !picture->plane[1] && !picture->plane[2] && !picture->plane[3] &&
         !picture->device && cf_rectangle_none(&picture->crop) &&
         memcmp(picture->reserved, none.reserved, sizeof none.reserved) == 0;
}

static int check_planes(const cuframes_picture *p, const char *what, uint32_t index) {
  const cuframes_format *f = p->format;
  uint32_t bytes = cf_pixel_bytes(cf_pixel_of(f->pixel_format));
  const char *name = cuframes_pixel_format_name(f->pixel_format);
  for (int i = 0; i < cuframes_pixel_format_planes(f->pixel_format); i++) {
    if (!p->plane[i])
      return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s %u: plane %d of %s is NULL", what, index, i, name);
    if (f->pitch[i] == 0)
      return cf_vision_fail(CUFRAMES_ERR_INVALID,
                            "%s %u: the pitch of plane %d is 0: cuframes_format_layout() fills it in", what, index, i);
    if (((uintptr_t)p->plane[i] | f->pitch[i]) % bytes != 0)
      return cf_vision_fail(CUFRAMES_ERR_INVALID,
                            "%s %u: plane %d of %s has 16-bit samples, but its address or pitch (%u) is odd", what,
                            index, i, name, f->pitch[i]);
  }
  return CUFRAMES_OK;
}

int cf_picture_check(const cuframes_picture *picture, const char *device, const char *what, uint32_t index) {
  if (!picture->format)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s %u has no format, and is not all zeros", what, index);
  if (picture->reserved[0] || picture->reserved[1] || picture->reserved[2])
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s %u: a reserved field is not 0: clear the whole struct first", what,
                          index);
  if (picture->device && strcmp(picture->device, device) != 0)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s %u is on %.63s, and the work is done on %s", what, index,
                          picture->device, device);
  if (picture->format->pixel_format == CUFRAMES_PIXEL_TENSOR)
    return cf_vision_fail(CUFRAMES_ERR_FORMAT, "%s %u is a tensor, not a picture", what, index);
  cuframes_format copy = *picture->format;
  memset(copy.offset, 0, sizeof copy.offset); /* not looked at */
  if (cuframes_format_layout(&copy, 1, NULL) != CUFRAMES_OK)
    return cf_vision_fail(CUFRAMES_ERR_FORMAT, "%s %u: %s", what, index, cuframes_last_error());
  return check_planes(picture, what, index);
}

int cf_picture_crop(const cuframes_picture *picture, const char *what, uint32_t index, cf_crop *crop) {
  cuframes_rectangle r = picture->crop;
  double width = picture->format->width, height = picture->format->height;
  if (cf_rectangle_none(&r)) {
    *crop = (cf_crop){ 0, 0, width, height };
    return CUFRAMES_OK;
  }
  double right = (double)r.x + r.width, bottom = (double)r.y + r.height;
  /* Written so that what is not a number is refused, too. */
  if (!(r.x >= -CROP_LEAST && r.y >= -CROP_LEAST && right <= width + CROP_LEAST && bottom <= height + CROP_LEAST))
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "%s %u: the crop %gx%g at %g, %g is not within the picture of %ux%u",
                          what, index, r.width, r.height, r.x, r.y, picture->format->width, picture->format->height);
  cf_crop c = { fmax(r.x, 0), fmax(r.y, 0), 0, 0 };
  c.width = fmin(right, width) - c.x;
  c.height = fmin(bottom, height) - c.y;
  if (!(c.width >= CROP_ROUNDED && c.height >= CROP_ROUNDED))
    return cf_vision_fail(CUFRAMES_ERR_INVALID,
                          "%s %u: the crop %gx%g at %g, %g is too small: at least %g pixel each way", what, index,
                          r.width, r.height, r.x, r.y, CROP_LEAST);
  *crop = c;
  return CUFRAMES_OK;
}

/* ---- geometry ---- */

/* Pixels that a side of that length becomes. */
static uint32_t rounded_side(double length, uint32_t most) {
  double side = floor(length + 0.5);
  return side < 1 ? 1 : side > most ? most : (uint32_t)side;
}

/* The middle of a side, unless that is all of it but for the rounding of the quotients: then the side stays as it is,
 * bit for bit, since half a bit beyond it is another sample. */
static void cut_down(double *begin, double *side, double seen) {
  double off = *side - seen;
  if (off < CROP_NOTHING)
    return;
  *begin += off / 2;
  *side = seen;
}

void cf_fit(uint32_t fit, uint32_t width, uint32_t height, cf_crop *crop, cuframes_geometry *geometry) {
  double ratio_x = width / crop->width, ratio_y = height / crop->height;
  cuframes_geometry g = { .width = width, .height = height };
  if (fit == CUFRAMES_FIT_COVER) {
    double ratio = fmax(ratio_x, ratio_y);
    cut_down(&crop->x, &crop->width, width / ratio);
    cut_down(&crop->y, &crop->height, height / ratio);
  } else if (fit != CUFRAMES_FIT_STRETCH) {
    double ratio = fmin(ratio_x, ratio_y);
    g.width = rounded_side(crop->width * ratio, width);
    g.height = rounded_side(crop->height * ratio, height);
  }
  if (fit == CUFRAMES_FIT_LETTERBOX) {
    g.x = (width - g.width) / 2;
    g.y = (height - g.height) / 2;
  }
  g.scale_x = g.width / crop->width;
  g.scale_y = g.height / crop->height;
  g.offset_x = g.x - crop->x * g.scale_x;
  g.offset_y = g.y - crop->y * g.scale_y;
  *geometry = g;
}

static int64_t fixed(double samples) {
  return (int64_t)floor(samples * (double)CF_PLAN_ONE + 0.5);
}

/* One direction of a component whose samples stand for 1 << shift pixels and lie `moved` samples off the middle of
 * them. An output pixel stands for `pixels` of the picture; the middle of output pixel 0 is at `middle`. least: of the
 * window, in pixels. */
static cf_plan_axis axis_of(double begin, double end, uint32_t size, unsigned shift, double moved, double middle,
                            double pixels, double least, uint32_t filter) {
  double samples = 1.0 / (1u << shift), count = (size + (1u << shift) - 1) >> shift;
  double window = (filter == CUFRAMES_FILTER_AREA ? fmax(pixels, least) : least) * samples;
  window = fmax(window, 1);
  /* In samples' own coordinates sample k covers k..k+1, and its middle k + 0.5 is at the picture's position of it. */
  double at = middle * samples - moved;
  cf_plan_axis axis = {
    .start = fixed(at - window / 2),
    .step = fixed(pixels * samples),
    .window = fixed(window),
    .first = (int32_t)floor(begin * samples),
    .last = (int32_t)fmin(ceil(end * samples), count) - 1,
  };
  if (axis.first > (int32_t)count - 1)
    axis.first = (int32_t)count - 1;
  if (axis.last < axis.first)
    axis.last = axis.first;
  return axis;
}

/* What a grid of output samples sees of a picture: the middle of sample 0, and how many pixels one stands for. */
typedef struct cf_grid {
  double middle_x, middle_y, pixels_x, pixels_y;
  double least_x, least_y; /* pixels of the picture that a sample stands for at least, whatever the filter */
  uint32_t filter;
} cf_grid;

static void plan_components(const cuframes_picture *picture, const cf_crop *hull, const cf_grid *grid, cf_plan *plan) {
  const cuframes_format *f = picture->format;
  const cf_pixel *pixel = cf_pixel_of(f->pixel_format);
  double moved_x, moved_y;
  cf_chroma_shift(pixel, f->chroma_location, &moved_x, &moved_y);
  plan->kind = pixel->kind;
  plan->sample_bytes = cf_pixel_bytes(pixel);
  for (uint32_t i = 0; i < plan->components; i++) {
    const cf_pixel_component *c = &pixel->component[i];
    bool chroma = pixel->model == CF_MODEL_YUV && i > 0;
    plan->component[i] = (cf_plan_component){
      .base = (uintptr_t)picture->plane[c->plane] + c->offset,
      .pitch = f->pitch[c->plane],
      .step = c->step,
      .x = axis_of(hull->x, hull->x + hull->width, f->width, c->shift_x, chroma ? moved_x : 0, grid->middle_x,
                   grid->pixels_x, grid->least_x, grid->filter),
      .y = axis_of(hull->y, hull->y + hull->height, f->height, c->shift_y, chroma ? moved_y : 0, grid->middle_y,
                   grid->pixels_y, grid->least_y, grid->filter),
    };
  }
}

static int colour_of(const cuframes_format *format, const char *what, uint32_t index, cf_colour *colour) {
  if (cf_colour_of(format, colour))
    return CUFRAMES_OK;
  return cf_vision_fail(CUFRAMES_ERR_FORMAT, "%s %u: the colour matrix %u cannot be converted (" MATRICES ")", what,
                        index, format->color.matrix);
}

/* ---- preprocess ---- */

int cf_plan_preprocess(const cf_preprocess_setup *setup, const cuframes_picture *picture, uint32_t index, cf_plan *plan,
                       cuframes_geometry *geometry) {
  const cuframes_preprocess_options *o = &setup->options;
  const cf_pixel *pixel = cf_pixel_of(picture->format->pixel_format);
  bool gray = o->channels == CUFRAMES_CHANNELS_GRAY;
  cf_colour colour;
  cf_crop crop;
  int result = colour_of(picture->format, "picture", index, &colour);
  if (result == CUFRAMES_OK)
    result = cf_picture_crop(picture, "picture", index, &crop);
  if (result != CUFRAMES_OK)
    return result;
  cuframes_geometry g;
  cf_fit(o->fit, o->width, o->height, &crop, &g);
  cf_plan p = { .x = (int32_t)g.x, .y = (int32_t)g.y, .width = g.width, .height = g.height };
  p.values = setup->tensor.channels;
  p.components = pixel->model == CF_MODEL_GRAY || (gray && pixel->model == CF_MODEL_YUV) ? 1 : 3;
  cf_grid grid = { .middle_x = crop.x + 0.5 / g.scale_x,
                   .middle_y = crop.y + 0.5 / g.scale_y,
                   .pixels_x = 1 / g.scale_x,
                   .pixels_y = 1 / g.scale_y,
                   .filter = o->filter };
  p.used = p.components == 1 ? 1 : 7;
  plan_components(picture, &crop, &grid, &p);
  double m[3][4], to_sample = 1.0 / (1u << pixel->shift);
  if (gray)
    cf_colour_to_luma(pixel, &colour, m);
  else
    cf_colour_to_rgb(pixel, &colour, m);
  for (uint32_t i = 0; i < p.values; i++) {
    const double *row = m[o->channels == CUFRAMES_CHANNELS_BGR ? 2 - i : i];
    for (int k = 0; k < 4; k++)
      p.matrix[i][k] = (float)(k < 3 ? row[k] * to_sample : row[k]);
  }
  *plan = p;
  *geometry = g;
  return CUFRAMES_OK;
}

/* ---- compositor ---- */

void cf_plan_surface(const cuframes_picture *output, cf_surface *surface) {
  const cuframes_format *f = output->format;
  const cf_pixel *pixel = cf_pixel_of(f->pixel_format);
  cf_surface s = { .kind = pixel->kind,
                   .components = pixel->components,
                   .sample_bytes = cf_pixel_bytes(pixel),
                   .shift = pixel->shift,
                   .most = (1u << pixel->bits) - 1 };
  cf_colour colour;
  double black[3][4] = { { 0 } };
  if (cf_colour_of(f, &colour)) /* the caller has checked that it is known */
    cf_colour_from_rgb(pixel, &colour, black);
  s.groups = pixel->component[1].shift_x || pixel->component[1].shift_y ? 2 : 1;
  for (uint32_t i = 0; i < s.components; i++) {
    const cf_pixel_component *c = &pixel->component[i];
    s.component[i] = (cf_surface_component){
      .base = (uintptr_t)output->plane[c->plane] + c->offset,
      .pitch = f->pitch[c->plane],
      .step = c->step,
      .width = (f->width + (1u << c->shift_x) - 1) >> c->shift_x,
      .height = (f->height + (1u << c->shift_y) - 1) >> c->shift_y,
      .black = i < 3 ? (uint32_t)black[i][3] : s.most,
    };
    s.component[i].rows = s.component[i].height;
  }
  *surface = s;
}

void cf_plan_part(cf_surface *surface, uint32_t part, uint32_t parts) {
  uint32_t coarsest = surface->component[surface->components > 1 ? 1 : 0].height; /* rows of chroma */
  uint32_t begin = (uint32_t)((uint64_t)coarsest * part / parts);
  uint32_t end = (uint32_t)((uint64_t)coarsest * (part + 1) / parts);
  for (uint32_t i = 0; i < surface->components; i++) {
    cf_surface_component *c = &surface->component[i];
    uint32_t times = c->height > coarsest ? 2 : 1;
    uint32_t last = end * times < c->height ? end * times : c->height;
    c->first_row = begin * times < last ? begin * times : last;
    c->rows = last - c->first_row;
  }
}

/* Edges of a layer in samples of a component: rounded outwards. */
static void tile_of(int64_t begin, int64_t size, unsigned shift, int32_t *first, uint32_t *count) {
  int64_t one = INT64_C(1) << shift;
  int64_t low = begin >= 0 ? begin / one : -((-begin + one - 1) / one);
  int64_t end = begin + size, high = end >= 0 ? (end + one - 1) / one : -(-end / one);
  *first = (int32_t)low;
  *count = (uint32_t)(high - low);
}

/* The pixels of the output that a layer fills: its rectangle, rounded outwards to whole chroma samples, of which the
 * last one of an odd output has fewer pixels. Nothing stays nothing. */
typedef struct cf_tile {
  int32_t x, y;
  uint32_t width, height;
} cf_tile;

static void round_out(int32_t begin, uint32_t size, unsigned shift, uint32_t output, int32_t *first, uint32_t *count) {
  tile_of(begin, size, shift, first, count);
  *first *= 1 << shift;
  *count <<= shift;
  if ((int64_t)begin + size <= output && (int64_t)*first + *count > output)
    *count = (uint32_t)((int64_t)output - *first);
}

static cf_tile pixels_of(const cuframes_layer *layer, const cuframes_format *output, const cf_pixel *to) {
  const cf_pixel_component *coarsest = &to->component[to->model == CF_MODEL_YUV ? 1 : 0];
  cf_tile tile = { 0 };
  if (layer->width == 0 || layer->height == 0)
    return tile;
  round_out(layer->x, layer->width, coarsest->shift_x, output->width, &tile.x, &tile.width);
  round_out(layer->y, layer->height, coarsest->shift_y, output->height, &tile.y, &tile.height);
  return tile;
}

/* The same on the grid of a component of the output. */
static void plan_tile(const cf_tile *tile, const cf_pixel_component *grid, cf_plan *plan) {
  plan->x = tile->x / (1 << grid->shift_x); /* nothing is left over, whatever the sign */
  plan->y = tile->y / (1 << grid->shift_y);
  plan->width = (tile->width + (1u << grid->shift_x) - 1) >> grid->shift_x;
  plan->height = (tile->height + (1u << grid->shift_y) - 1) >> grid->shift_y;
}

/* From codes of one format to codes of the other. */
static void convert(const cf_pixel *from, const cf_colour *from_colour, const cf_pixel *to, const cf_colour *to_colour,
                    double m[3][4]) {
  double rgb[3][4], codes[3][4];
  cf_colour_to_rgb(from, from_colour, rgb);
  cf_colour_from_rgb(to, to_colour, codes);
  if (from->model == CF_MODEL_YUV && to->model == CF_MODEL_GRAY) { /* luma is there already */
    cf_colour_to_luma(from, from_colour, rgb);
    memcpy(rgb[1], rgb[0], sizeof rgb[0]);
    memcpy(rgb[2], rgb[0], sizeof rgb[0]);
  }
  cf_colour_chain(codes, rgb, m);
  if (from->model == to->model && from->bits == to->bits && from_colour->full == to_colour->full &&
      from_colour->matrix == to_colour->matrix) { /* what there is comes out bit for bit */
    memset(m, 0, 3 * sizeof m[0]);
    for (int i = 0; i < 3; i++)
      m[i][i] = 1;
  }
}

/* Group `of` of the output: 0 all of it, or Y; 1 Cb and Cr. */
static void plan_group(const cuframes_layer *layer, const cf_crop *crop, const cuframes_format *output,
                       const cf_tile *tile, int of, double m[3][4], cf_plan *plan) {
  const cf_pixel *to = cf_pixel_of(output->pixel_format), *from = cf_pixel_of(layer->picture.format->pixel_format);
  const cf_pixel_component *grid_of = &to->component[of];
  double moved_x = 0, moved_y = 0, to_sample = 1.0 / (1u << from->shift);
  if (of > 0)
    cf_chroma_shift(to, output->chroma_location, &moved_x, &moved_y);
  cf_grid grid = { .pixels_x = crop->width / tile->width * (1u << grid_of->shift_x),
                   .pixels_y = crop->height / tile->height * (1u << grid_of->shift_y),
                   .filter = layer->filter };
  grid.middle_x = crop->x + (0.5 + moved_x) * grid.pixels_x;
  grid.middle_y = crop->y + (0.5 + moved_y) * grid.pixels_y;
  /* A chroma sample stands for all of its pixels, with either filter. */
  grid.least_x = grid_of->shift_x ? fmin(1u << grid_of->shift_x, grid.pixels_x) : 0;
  grid.least_y = grid_of->shift_y ? fmin(1u << grid_of->shift_y, grid.pixels_y) : 0;
  plan->components = from->components;
  plan_components(&layer->picture, crop, &grid, plan);
  for (uint32_t i = 0; i < plan->values; i++)
    for (int k = 0; k < 4; k++) {
      double factor = m[i + (uint32_t)of][k];
      plan->matrix[i][k] = (float)(k < 3 ? factor * to_sample : factor);
      if (k < 3 && factor != 0)
        plan->used |= 1u << k;
    }
  if (from->components > 3)
    plan->used |= 1u << 3;
}

int cf_plan_layer_make(const cuframes_layer *layer, uint32_t index, const cuframes_format *output,
                       cf_plan_layer *plan) {
  const cf_pixel *to = cf_pixel_of(output->pixel_format);
  int groups = to->component[1].shift_x || to->component[1].shift_y ? 2 : 1;
  bool rectangle = cf_picture_none(&layer->picture);
  cf_plan_layer p = { .opacity = (float)layer->color[3] / 255 };
  cf_colour to_colour, from_colour = { 0 };
  cf_crop crop = { 0 };
  double m[3][4];
  int result = colour_of(output, "output", 0, &to_colour);
  if (result == CUFRAMES_OK && !rectangle)
    result = colour_of(layer->picture.format, "layer", index, &from_colour);
  if (result == CUFRAMES_OK && !rectangle)
    result = cf_picture_crop(&layer->picture, "layer", index, &crop);
  if (result != CUFRAMES_OK)
    return result;
  if (rectangle) {
    cf_colour_from_rgb(to, &to_colour, m);
    for (int i = 0; i < 3; i++)
      p.color[i] = (float)floor(m[i][0] * layer->color[0] + m[i][1] * layer->color[1] + m[i][2] * layer->color[2] +
                                m[i][3] + 0.5);
  } else
    convert(cf_pixel_of(layer->picture.format->pixel_format), &from_colour, to, &to_colour, m);
  const cf_tile tile = pixels_of(layer, output, to);
  for (int i = 0; i < groups; i++) {
    plan_tile(&tile, &to->component[i], &p.group[i]);
    p.group[i].values = i == 1 ? 2 : groups == 2 || to->components == 1 ? 1 : 3;
    if (!rectangle && layer->width > 0 && layer->height > 0)
      plan_group(layer, &crop, output, &tile, i, m, &p.group[i]);
  }
  *plan = p;
  return CUFRAMES_OK;
}
