/* module.c - the kernels, loaded once for all objects of a context. */
#include "vision/cuda/module.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "vision/error.h"

/* The text of kernels.ptx, zero-terminated; the build makes this array of it. */
extern const char cf_vision_ptx[];

struct cf_module {
  cf_module *next;
  cu_context context;
  pid_t process; /* a forked child has its parent's list, and can use nothing of it */
  cu_module handle;
  unsigned references;
};

/* State of the process, since contexts are. What is in use stays, and a context must outlive what uses it: so an
 * entry's context is never an old one's. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cf_module *modules;

static cf_module *find(cu_context context) {
  for (cf_module *m = modules; m; m = m->next)
    if (m->context == context && m->process == getpid())
      return m;
  return NULL;
}

static int load(const cf_cuda_driver *driver, cu_context context, cf_module **module) {
  cf_module *made = calloc(1, sizeof *made);
  if (!made)
    return cf_vision_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory for the kernels");
  int result = cf_cuda_check(driver, driver->cuModuleLoadData(&made->handle, cf_vision_ptx),
                             "cuModuleLoadData: loading the kernels");
  if (result != CUFRAMES_OK) {
    free(made);
    return result;
  }
  made->context = context;
  made->process = getpid();
  made->next = modules;
  modules = made;
  *module = made;
  return CUFRAMES_OK;
}

int cf_module_take(const cf_cuda_driver *driver, cu_context context, cf_module **module) {
  int result = CUFRAMES_OK;
  pthread_mutex_lock(&lock);
  cf_module *found = find(context);
  if (!found)
    result = load(driver, context, &found);
  if (result == CUFRAMES_OK) {
    found->references++;
    *module = found;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

void cf_module_give_back(const cf_cuda_driver *driver, cf_module *module) {
  if (!module)
    return;
  pthread_mutex_lock(&lock);
  if (--module->references == 0) {
    cf_module **at = &modules;
    while (*at != module)
      at = &(*at)->next;
    *at = module->next;
    if (driver)
      (void)driver->cuModuleUnload(module->handle); /* nothing can be done */
    free(module);
  }
  pthread_mutex_unlock(&lock);
}

cu_module cf_module_handle(const cf_module *module) {
  return module->handle;
}
