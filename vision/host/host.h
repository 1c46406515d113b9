/* host/host.h - the parts of the host's side: what makes tensors, and what draws. */
#ifndef CF_VISION_HOST_H
#define CF_VISION_HOST_H

#include "vision/host/loops.h"
#include "vision/plan.h"

/* Bytes of scratch memory that a picture needs. */
size_t cf_host_preprocess_bytes(const cf_plan *plan, const cf_plan_tensor *tensor);

/* One picture into its place in a tensor: `out` is element 0 of it. Padding is written, too. scratch: memory of the
 * caller, aligned as malloc() has it. */
void cf_host_preprocess(const cf_plan *plan, const cf_plan_tensor *tensor, const cf_host_loops *loops, void *out,
                        void *scratch);

/* Black, then the layers in their order, into first_row and rows of each component of the surface. Any thread, several
 * at a time. NO_MEMORY, and then nothing was drawn. state and stream are not looked at. */
int cf_host_compositor(void *state, const cf_plan_layer *layers, uint32_t count, const cf_surface *surface,
                       void *stream);

#endif
