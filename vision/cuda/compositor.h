/* compositor.h - the compositor part of cf_vision_cuda (vision/device.h says what each does). */
#ifndef CF_VISION_CUDA_COMPOSITOR_H
#define CF_VISION_CUDA_COMPOSITOR_H

#include "vision/device.h"

int cf_vision_cuda_compositor_create(uint32_t capacity, const char *device, void **state, char *name);
void cf_vision_cuda_compositor_destroy(void *state);
int cf_vision_cuda_compositor_run(void *state, const cf_plan_layer *layers, uint32_t count, const cf_surface *surface,
                                  void *stream);

#endif
