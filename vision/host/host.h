/* host/host.h - the parts of the host's side: what makes tensors, and what draws. */
#ifndef CF_VISION_HOST_H
#define CF_VISION_HOST_H

#include "vision/plan.h"

/* One picture into its place in a tensor: `out` is element 0 of it. Padding is written, too. NO_MEMORY. */
int cf_host_preprocess(const cf_plan *plan, const cf_plan_tensor *tensor, void *out);

#endif
