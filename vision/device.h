/* device.h - who does the work of the vision library: loops on the host, or kernels on a GPU. Everything above this
 * table only checks, plans and remembers.
 */
#ifndef CF_VISION_DEVICE_H
#define CF_VISION_DEVICE_H

#include "vision/planner.h"

/* One kind of device. Functions give CUFRAMES_OK or an error with its detail; outputs are untouched on failure. Plans
 * are the caller's and may go when the call returns; addresses in them are of the device. Pictures were checked against
 * the device's name, tensors against NULL and for alignment. */
typedef struct cf_vision_ops {
  const char *kind; /* what names of such devices begin with: "host", "cuda" */

  /* ---- preprocess: state of one cuframes_preprocess. `device` is the caller's name for it, never NULL. ---- */
  /* name: the device's own name, CUFRAMES_DEVICE_NAME_MAX + 1 bytes: "host", "cuda:GPU-...". */
  int (*preprocess_create)(const cf_preprocess_setup *setup, const char *device, void **state, char *name);
  void (*preprocess_destroy)(void *state); /* waits for nothing */
  /* tensor[i] from plans[i], 1 <= count <= capacity. Several threads at a time. */
  int (*preprocess_run)(void *state, const cf_plan *plans, uint32_t count, void *tensor, void *stream);
  /* Into the table: plans[0..count-1], and none (kind CF_PLAN_NONE) behind them; count may be 0. */
  int (*preprocess_set)(void *state, const cf_plan *plans, uint32_t count, void *stream);
  /* tensor[0..count-1] from the table. A fresh table is all CF_PLAN_NONE. */
  int (*preprocess_launch)(void *state, uint32_t count, void *tensor, void *stream);

  /* ---- compositor; NULL if the device has none ---- */
  int (*compositor_create)(uint32_t capacity, const char *device, void **state, char *name);
  void (*compositor_destroy)(void *state); /* waits for nothing */
  /* Black, then the layers in their order, into first_row and rows of each component of the surface. Several threads at
   * a time. */
  int (*compositor_run)(void *state, const cf_plan_layer *layers, uint32_t count, const cf_surface *surface,
                        void *stream);
} cf_vision_ops;

extern const cf_vision_ops cf_vision_host;
extern const cf_vision_ops cf_vision_cuda;

/* The kind of device of that name (NULL: the host). UNSUPPORTED, with the detail, if there is none such. */
int cf_vision_device(const char *name, const cf_vision_ops **ops);

#endif
