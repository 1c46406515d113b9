/* launch.h - what the kernels of kernels.cu are given, and how many threads they want. */
#ifndef CF_VISION_CUDA_LAUNCH_H
#define CF_VISION_CUDA_LAUNCH_H

#include "vision/plan.h"

/* A thread makes so many neighbouring pixels of a row; a block has so many threads. */
#define CF_THREAD_PIXELS 4
#define CF_BLOCK_WIDTH 32
#define CF_BLOCK_HEIGHT 8

/* What a kernel's parameters may take, on every driver, and how many plans that are. */
#define CF_PARAMETER_BYTES 4096
#define CF_PLANS_FEW 9

/* Of all pictures of a launch. */
typedef struct cf_preprocess_job {
  cf_plan_tensor target;
  uint32_t quads;  /* elements may be written four at a time: their number in a row, and the address, are multiples */
  uint64_t tensor; /* address of the first picture's */
  uint64_t table;  /* of plans, in the GPU's memory; 0: they came along */
} cf_preprocess_job;

/* As many as parameters hold. */
typedef struct cf_plans_few {
  cf_plan plan[CF_PLANS_FEW];
} cf_plans_few;

/* Words to write, and where. */
typedef struct cf_fill_few {
  uint64_t to, words;
  uint32_t word[(CF_PARAMETER_BYTES - 16) / 4];
} cf_fill_few;

/* A picture that layers are drawn to. Blocks of threads are numbered row by row, those of group 0 first. */
typedef struct cf_compose_job {
  cf_surface surface;
  uint64_t layers; /* cf_plan_layer, in the GPU's memory */
  uint32_t count;
  uint32_t blocks;    /* of group 0 */
  uint32_t across[2]; /* blocks in a row of each group */
} cf_compose_job;

/* Of kernels.cu. */
#define CF_KERNEL_PREPROCESS "cuframes_vision_preprocess" /* (cf_preprocess_job, cf_plans_few) */
#define CF_KERNEL_COMPOSE "cuframes_vision_compose"       /* (cf_compose_job) */
#define CF_KERNEL_FILL "cuframes_vision_fill"             /* (cf_fill_few) */

#endif
