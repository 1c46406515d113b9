/* cuda.c - what the vision library does on a GPU. */
#include "vision/cuda/compositor.h"
#include "vision/cuda/preprocess.h"

const cf_vision_ops cf_vision_cuda = {
  .kind = "cuda",
  .preprocess_create = cf_vision_cuda_preprocess_create,
  .preprocess_destroy = cf_vision_cuda_preprocess_destroy,
  .preprocess_run = cf_vision_cuda_preprocess_run,
  .preprocess_set = cf_vision_cuda_preprocess_set,
  .preprocess_launch = cf_vision_cuda_preprocess_launch,
  .compositor_create = cf_vision_cuda_compositor_create,
  .compositor_destroy = cf_vision_cuda_compositor_destroy,
  .compositor_run = cf_vision_cuda_compositor_run,
};
