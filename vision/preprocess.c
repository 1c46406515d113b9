/* preprocess.c - cuframes_preprocess: options, checks and plans; a device does the work. */
#include <cuframes/vision/preprocess.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vision/device.h"
#include "vision/error.h"
#include "vision/options.h"

#define PLANS_ON_STACK 8
#define CAPACITY 64

struct cuframes_preprocess {
  cf_preprocess_setup setup;
  const cf_vision_ops *ops;
  void *state;
  char device[CUFRAMES_DEVICE_NAME_MAX + 1];
};

/* ---- options ---- */

static int check_numbers(const cuframes_preprocess_options *o) {
  if (!isfinite(o->scale))
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "options of a preprocess: scale is not a finite number");
  for (int i = 0; i < 3; i++) {
    if (!isfinite(o->mean[i]))
      return cf_vision_fail(CUFRAMES_ERR_INVALID, "options of a preprocess: mean[%d] is not a finite number", i);
    if (!(o->std[i] >= 0) || !isfinite(o->std[i]))
      return cf_vision_fail(CUFRAMES_ERR_INVALID, "options of a preprocess: std[%d] is %g; it must be above 0 (0: 1)",
                            i, o->std[i]);
    if (!(o->padding[i] >= 0 && o->padding[i] <= 255))
      return cf_vision_fail(CUFRAMES_ERR_INVALID, "options of a preprocess: padding[%d] is %g (0 to 255)", i,
                            o->padding[i]);
  }
  return CUFRAMES_OK;
}

static int check_options(const cuframes_preprocess_options *o) {
  const uint32_t most = CUFRAMES_PREPROCESS_SIZE_MAX;
  if (o->width < 1 || o->height < 1 || o->width > most || o->height > most)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "a tensor of %ux%u pixels (1 to %u each)", o->width, o->height, most);
  if (o->element != CUFRAMES_ELEMENT_UINT8 && o->element != CUFRAMES_ELEMENT_FLOAT16 &&
      o->element != CUFRAMES_ELEMENT_FLOAT32)
    return cf_vision_fail(CUFRAMES_ERR_INVALID,
                          "a preprocess makes uint8, float16 or float32, not element type %u (%s)", o->element,
                          cuframes_element_name(o->element));
  if (o->capacity > CUFRAMES_PREPROCESS_CAPACITY_MAX)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "a capacity of %u pictures (1 to %d)", o->capacity,
                          CUFRAMES_PREPROCESS_CAPACITY_MAX);
  int result = cf_vision_choice("layout", o->layout, CUFRAMES_LAYOUT_NHWC, "0 NCHW, 1 NHWC");
  if (result == CUFRAMES_OK)
    result = cf_vision_choice("order of channels", o->channels, CUFRAMES_CHANNELS_GRAY, "0 RGB, 1 BGR, 2 gray");
  if (result == CUFRAMES_OK)
    result = cf_vision_choice("fit", o->fit, CUFRAMES_FIT_COVER, "0 letterbox, 1 top left, 2 stretch, 3 cover");
  if (result == CUFRAMES_OK)
    result = cf_vision_choice("filter", o->filter, CUFRAMES_FILTER_AREA, "0 linear, 1 area");
  if (result == CUFRAMES_OK)
    result = cf_vision_reserved(o->reserved, sizeof o->reserved / sizeof o->reserved[0], "options of a preprocess");
  return result == CUFRAMES_OK ? check_numbers(o) : result;
}

static int make_tensor(const cuframes_preprocess_options *o, cf_plan_tensor *tensor) {
  cf_plan_tensor t = { .width = o->width, .height = o->height, .layout = o->layout, .element = o->element };
  double scale = o->scale != 0 ? o->scale : o->element == CUFRAMES_ELEMENT_UINT8 ? 1 : 1.0 / 255;
  t.channels = o->channels == CUFRAMES_CHANNELS_GRAY ? 1 : 3;
  for (uint32_t i = 0; i < t.channels; i++) {
    double deviation = o->std[i] != 0 ? o->std[i] : 1;
    t.multiply[i] = (float)(scale / deviation);
    t.add[i] = (float)(-o->mean[i] / deviation);
    t.padding[i] = o->padding[o->channels == CUFRAMES_CHANNELS_BGR ? 2 - i : i];
  }
  for (uint32_t i = 0; i < t.channels; i++)
    if (!isfinite(t.multiply[i]) || !isfinite(t.add[i]))
      return cf_vision_fail(CUFRAMES_ERR_INVALID, "scale %g, mean[%u] %g and std[%u] %g give more than a float32 holds",
                            scale, i, o->mean[i], i, o->std[i]);
  if (t.channels == 1)
    t.padding[0] = (float)(0.299 * o->padding[0] + 0.587 * o->padding[1] + 0.114 * o->padding[2]);
  *tensor = t;
  return CUFRAMES_OK;
}

int cuframes_preprocess_create(const cuframes_preprocess_options *options, cuframes_preprocess **preprocess) {
  cuframes_preprocess_options o;
  const cf_vision_ops *ops;
  if (!preprocess)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no place for the preprocess given");
  int result = cf_vision_options(&o, sizeof o, options, "options of a preprocess");
  if (result != CUFRAMES_OK)
    return result;
  if (o.element == CUFRAMES_ELEMENT_NONE)
    o.element = CUFRAMES_ELEMENT_FLOAT32;
  if (o.capacity == 0)
    o.capacity = CAPACITY;
  result = check_options(&o);
  cf_plan_tensor tensor;
  if (result == CUFRAMES_OK)
    result = make_tensor(&o, &tensor);
  if (result == CUFRAMES_OK)
    result = cf_vision_device(o.device, &ops);
  if (result != CUFRAMES_OK)
    return result;
  cuframes_preprocess *p = calloc(1, sizeof *p);
  if (!p)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for a preprocess");
  p->ops = ops;
  p->setup.options = o;
  p->setup.options.device = NULL; /* the caller's, which may go */
  p->setup.tensor = tensor;
  result = ops->preprocess_create(&p->setup, o.device ? o.device : "host", &p->state, p->device);
  if (result != CUFRAMES_OK) {
    free(p);
    return result;
  }
  *preprocess = p;
  return CUFRAMES_OK;
}

void cuframes_preprocess_destroy(cuframes_preprocess *preprocess) {
  if (!preprocess)
    return;
  preprocess->ops->preprocess_destroy(preprocess->state);
  free(preprocess);
}

const char *cuframes_preprocess_device(const cuframes_preprocess *preprocess) {
  return preprocess ? preprocess->device : NULL;
}

/* ---- work ---- */

static int check_count(const cuframes_preprocess *preprocess, uint32_t count, uint32_t least) {
  if (!preprocess)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no preprocess given");
  if (count < least || count > preprocess->setup.options.capacity)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "%u pictures: this preprocess takes %u to %u", count, least,
                          preprocess->setup.options.capacity);
  return CUFRAMES_OK;
}

static int check_tensor(const cuframes_preprocess *preprocess, const void *tensor) {
  uint32_t element = preprocess->setup.options.element;
  if (!tensor)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no tensor given");
  if ((uintptr_t)tensor % cuframes_element_size(element) != 0)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "the tensor at %p is not aligned to its elements of %s", tensor,
                          cuframes_element_name(element));
  return CUFRAMES_OK;
}

static int plan_one(const cuframes_preprocess *p, const cuframes_picture *picture, uint32_t index, cf_plan *plan,
                    cuframes_geometry *geometry) {
  if (cf_picture_none(picture)) {
    memset(plan, 0, sizeof *plan);
    memset(geometry, 0, sizeof *geometry);
    return CUFRAMES_OK;
  }
  int result = cf_picture_check(picture, p->device, "picture", index);
  return result == CUFRAMES_OK ? cf_plan_preprocess(&p->setup, picture, index, plan, geometry) : result;
}

/* All plans of a call, and its geometries; they are given out only when the work was. */
typedef struct cf_batch {
  cf_plan *plans;
  cuframes_geometry *geometry;
  void *heap; /* both of them, if they are too many for the stack */
  cf_plan few[PLANS_ON_STACK];
  cuframes_geometry few_geometry[PLANS_ON_STACK];
} cf_batch;

static int plan_all(const cuframes_preprocess *p, const cuframes_picture *pictures, uint32_t count, cf_batch *batch) {
  batch->plans = batch->few;
  batch->geometry = batch->few_geometry;
  batch->heap = NULL;
  if (count > 0 && !pictures)
    return cf_vision_fail(CUFRAMES_ERR_INVALID, "no pictures given");
  if (count > PLANS_ON_STACK) {
    batch->heap = malloc(count * (sizeof *batch->plans + sizeof *batch->geometry));
    if (!batch->heap)
      return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for the plans of %u pictures", count);
    batch->plans = batch->heap;
    batch->geometry = (cuframes_geometry *)(batch->plans + count);
  }
  int result = CUFRAMES_OK;
  for (uint32_t i = 0; i < count && result == CUFRAMES_OK; i++)
    result = plan_one(p, &pictures[i], i, &batch->plans[i], &batch->geometry[i]);
  return result;
}

static void finish(cf_batch *batch, int result, uint32_t count, cuframes_geometry *geometry) {
  if (result == CUFRAMES_OK && geometry && count > 0)
    memcpy(geometry, batch->geometry, count * sizeof *geometry);
  free(batch->heap);
}

int cuframes_preprocess_run(cuframes_preprocess *preprocess, const cuframes_picture *pictures, uint32_t count,
                            void *tensor, void *stream, cuframes_geometry *geometry) {
  cf_batch batch;
  int result = check_count(preprocess, count, 1);
  if (result == CUFRAMES_OK)
    result = check_tensor(preprocess, tensor);
  if (result != CUFRAMES_OK)
    return result;
  result = plan_all(preprocess, pictures, count, &batch);
  if (result == CUFRAMES_OK)
    result = preprocess->ops->preprocess_run(preprocess->state, batch.plans, count, tensor, stream);
  finish(&batch, result, count, geometry);
  return result;
}

int cuframes_preprocess_set(cuframes_preprocess *preprocess, const cuframes_picture *pictures, uint32_t count,
                            void *stream, cuframes_geometry *geometry) {
  cf_batch batch;
  int result = check_count(preprocess, count, 0);
  if (result != CUFRAMES_OK)
    return result;
  result = plan_all(preprocess, pictures, count, &batch);
  if (result == CUFRAMES_OK)
    result = preprocess->ops->preprocess_set(preprocess->state, batch.plans, count, stream);
  finish(&batch, result, count, geometry);
  return result;
}

int cuframes_preprocess_launch(cuframes_preprocess *preprocess, uint32_t count, void *tensor, void *stream) {
  int result = check_count(preprocess, count, 1);
  if (result == CUFRAMES_OK)
    result = check_tensor(preprocess, tensor);
  return result == CUFRAMES_OK ? preprocess->ops->preprocess_launch(preprocess->state, count, tensor, stream) : result;
}

int cuframes_preprocess_format(const cuframes_preprocess *preprocess, uint32_t count, cuframes_format *format) {
  int result = check_count(preprocess, count, 1);
  if (result == CUFRAMES_OK && !format)
    result = cf_vision_fail(CUFRAMES_ERR_INVALID, "no place for the format given");
  if (result != CUFRAMES_OK)
    return result;
  const cf_plan_tensor *t = &preprocess->setup.tensor;
  bool planar = t->layout == CUFRAMES_LAYOUT_NCHW;
  cuframes_format f = { .pixel_format = CUFRAMES_PIXEL_TENSOR };
  f.tensor = (cuframes_tensor){ .element = t->element, .dims = 4, .size = { count } };
  f.tensor.size[1] = planar ? t->channels : t->height;
  f.tensor.size[2] = planar ? t->height : t->width;
  f.tensor.size[3] = planar ? t->width : t->channels;
  result = cuframes_format_layout(&f, 0, NULL);
  if (result == CUFRAMES_OK)
    *format = f;
  return result;
}
