/* module.h - the kernels, loaded once for all objects of a context: compiling them takes the driver a tenth of a second
 * and more. */
#ifndef CF_VISION_CUDA_MODULE_H
#define CF_VISION_CUDA_MODULE_H

#include "vision/cuda/driver.h"

typedef struct cf_module cf_module;

/* Takes the module of the context, which is current, and loads it if nobody has it. Any thread; one that comes while
 * another one loads it waits for that.
 * Errors: DEVICE, NO_MEMORY. */
int cf_module_take(const cf_cuda_driver *driver, cu_context context, cf_module **module);
/* Gives it back (NULL is fine). The last one unloads it, with the context current; all work with it has ended. driver
 * NULL: the context could not be made current, so that nothing is unloaded. */
void cf_module_give_back(const cf_cuda_driver *driver, cf_module *module);

cu_module cf_module_handle(const cf_module *module);

#endif
