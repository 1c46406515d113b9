/* compositor.c - cuframes_compositor: options, checks and plans; a device does the work. */
#include <cuframes/vision/compositor.h>

#include <stdlib.h>
#include <string.h>

#include "vision/device.h"
#include "vision/error.h"
#include "vision/options.h"
#include "vision/pixels.h"

#define CAPACITY 1024

struct cuframes_compositor {
  const cf_vision_ops *ops;
  void *state;
  uint32_t capacity;
  char device[CUFRAMES_DEVICE_NAME_MAX + 1];
};

int cuframes_compositor_create(const cuframes_compositor_options *options, cuframes_compositor **compositor) {
  cuframes_compositor_options o;
  const cf_vision_ops *ops;
  if (!compositor)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no place for the compositor given");
  int result = cf_vision_options(&o, sizeof o, options, "options of a compositor");
  if (result == CUFRAMES_OK)
    result = cf_vision_reserved(o.reserved, sizeof o.reserved / sizeof o.reserved[0], "options of a compositor");
  if (result == CUFRAMES_OK && o.capacity > CUFRAMES_COMPOSITOR_CAPACITY_MAX)
    result = cf_vision_fail(CUFRAMES_ERR_INVALID, "a capacity of %u layers (1 to %d)", o.capacity,
                            CUFRAMES_COMPOSITOR_CAPACITY_MAX);
  if (result == CUFRAMES_OK)
    result = cf_vision_device(o.device, &ops);
  if (result != CUFRAMES_OK)
    return result;
  if (!ops->compositor_create)
    return cf_vision_fail(CUFRAMES_ERR_UNSUPPORTED, "this build has no compositor for %s", ops->kind);
  cuframes_compositor *c = calloc(1, sizeof *c);
  if (!c)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for a compositor");
  c->ops = ops;
  c->capacity = o.capacity ? o.capacity : CAPACITY;
  result = ops->compositor_create(c->capacity, o.device ? o.device : "host", &c->state, c->device);
  if (result != CUFRAMES_OK) {
    free(c);
    return result;
  }
  *compositor = c;
  return CUFRAMES_OK;
}

void cuframes_compositor_destroy(cuframes_compositor *compositor) {
  if (!compositor)
    return;
  compositor->ops->compositor_destroy(compositor->state);
  free(compositor);
}

const char *cuframes_compositor_device(const cuframes_compositor *compositor) {
  return compositor ? compositor->device : NULL;
}

static int check_output(const cuframes_compositor *compositor, const cuframes_picture *output) {
  cf_colour colour;
  if (!output)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no output given");
  int result = cf_picture_check(output, compositor->device, "output", 0);
  if (result != CUFRAMES_OK)
    return result;
  if (!cf_rectangle_none(&output->crop))
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "the output has a crop; it is drawn into as a whole");
  if (!cf_colour_of(output->format, &colour))
    return cf_vision_fail(CUFRAMES_ERR_FORMAT, "the output's colour matrix %u is not known",
                          output->format->color.matrix);
  return CUFRAMES_OK;
}

static int check_layer(const cuframes_compositor *compositor, const cuframes_layer *layer, uint32_t index) {
  const int32_t most = CUFRAMES_LAYER_EXTENT_MAX;
  if (layer->x < -most || layer->x > most || layer->y < -most || layer->y > most || layer->width > (uint32_t)most ||
      layer->height > (uint32_t)most)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "layer %u: %ux%u pixels at %d, %d: each is at most %d", index,
                          layer->width, layer->height, layer->x, layer->y, most);
  if (layer->filter > CUFRAMES_FILTER_AREA)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "layer %u: there is no filter %u (0 linear, 1 area)", index,
                          layer->filter);
  int result = cf_vision_reserved(layer->reserved, sizeof layer->reserved / sizeof layer->reserved[0], "a layer");
  if (result == CUFRAMES_OK && !cf_picture_none(&layer->picture))
    result = cf_picture_check(&layer->picture, compositor->device, "layer", index);
  return result;
}

int cuframes_compositor_run(cuframes_compositor *compositor, const cuframes_layer *layers, uint32_t count,
                            const cuframes_picture *output, void *stream) {
  return cuframes_compositor_run_part(compositor, layers, count, output, stream, 0, 1);
}

int cuframes_compositor_run_part(cuframes_compositor *compositor, const cuframes_layer *layers, uint32_t count,
                                 const cuframes_picture *output, void *stream, uint32_t part, uint32_t parts) {
  if (!compositor)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no compositor given");
  if (count > compositor->capacity)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "%u layers: this compositor takes up to %u", count,
                          compositor->capacity);
  if (count > 0 && !layers)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no layers given");
  if (part >= parts)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "part %u of %u: it is 0 to %u", part, parts, parts ? parts - 1 : 0);
  int result = check_output(compositor, output);
  if (result != CUFRAMES_OK)
    return result;
  cf_plan_layer *plans = malloc((count ? count : 1) * sizeof *plans);
  if (!plans)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for the plans of %u layers", count);
  for (uint32_t i = 0; i < count && result == CUFRAMES_OK; i++) {
    result = check_layer(compositor, &layers[i], i);
    if (result == CUFRAMES_OK)
      result = cf_plan_layer_make(&layers[i], i, output->format, &plans[i]);
  }
  if (result == CUFRAMES_OK) {
    cf_surface surface;
    cf_plan_surface(output, &surface);
    cf_plan_part(&surface, part, parts);
    result = compositor->ops->compositor_run(compositor->state, plans, count, &surface, stream);
  }
  free(plans);
  return result;
}
