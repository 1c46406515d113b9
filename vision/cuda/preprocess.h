/* preprocess.h - the preprocess part of cf_vision_cuda (vision/device.h says what each does). */
#ifndef CF_VISION_CUDA_PREPROCESS_H
#define CF_VISION_CUDA_PREPROCESS_H

#include "vision/device.h"

int cf_vision_cuda_preprocess_create(const cf_preprocess_setup *setup, const char *device, void **state, char *name);
void cf_vision_cuda_preprocess_destroy(void *state);
int cf_vision_cuda_preprocess_run(void *state, const cf_plan *plans, uint32_t count, void *tensor, void *stream);
int cf_vision_cuda_preprocess_set(void *state, const cf_plan *plans, uint32_t count, void *stream);
int cf_vision_cuda_preprocess_launch(void *state, uint32_t count, void *tensor, void *stream);

#endif
