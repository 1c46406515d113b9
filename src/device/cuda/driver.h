/* device/cuda/driver.h - the CUDA driver, loaded at run time: one table of functions that its user holds.
 *
 * Nothing of CUDA is needed to build or to start; cf_cuda_driver_load() finds out whether there is a driver. Calls go
 * through the table, driver.cuMemAlloc(&address, bytes), with the symbols of the legacy default stream; what a call
 * does, which thread may make it and what it gives is the driver's documentation.
 */
#ifndef CF_DEVICE_CUDA_DRIVER_H
#define CF_DEVICE_CUDA_DRIVER_H

#include <stdbool.h>

#include "device/cuda/constants.h"
#include "device/cuda/functions.h"
#include "device/cuda/types.h"

#define CF_CUDA_ENUMERATOR(name, value) name = (value),
enum { CF_CUDA_RESULTS(CF_CUDA_ENUMERATOR) };
enum { CF_CUDA_DEVICE_ATTRIBUTES(CF_CUDA_ENUMERATOR) CF_CUDA_NEWER_DEVICE_ATTRIBUTES(CF_CUDA_ENUMERATOR) };
enum { CF_CUDA_POINTER_ATTRIBUTES(CF_CUDA_ENUMERATOR) };
enum { CF_CUDA_FLAGS(CF_CUDA_ENUMERATOR) };
#undef CF_CUDA_ENUMERATOR

/* CUDA 11.4, driver 470: the first with the UUID of a MIG instance. What is newer is optional in the table. */
#define CF_CUDA_OLDEST_VERSION 11040

typedef struct cf_cuda_driver {
  void *library;
  int version; /* of CUDA that the driver speaks: 1000 * major + 10 * minor */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a declaration */
#define CF_CUDA_MEMBER(need, name, symbol, version, parameters) cu_result(*name) parameters;
  CF_CUDA_FUNCTIONS(CF_CUDA_MEMBER)
#undef CF_CUDA_MEMBER
} cf_cuda_driver;

/* Loads libcuda.so.1 as the dynamic linker finds it, fills *driver and calls cuInit(). Optional functions that the
 * driver lacks are NULL. The driver stays loaded until the process ends, since it has threads of its own; loading it
 * again is cheap.
 * Errors: UNSUPPORTED (no driver, one too old, or required functions missing; the detail says which), DEVICE (cuInit()
 * failed: no device, or the driver does not work; also in a child forked after a load, where CUDA cannot work). */
int cf_cuda_driver_load(cf_cuda_driver *driver);
/* Of a loaded or a zeroed driver; zeroes it. No call may be under way. */
void cf_cuda_driver_unload(cf_cuda_driver *driver);

/* Turns a result into an error code of ours: CUFRAMES_OK, NO_MEMORY, UNSUPPORTED (of NOT_SUPPORTED) or DEVICE. Unless
 * it is OK, cuframes_last_error() then says "<sentence>: CUDA_ERROR_NAME (text)". */
int cf_cuda_check(const cf_cuda_driver *driver, cu_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether a result means that the context, and with it everything of this process on that device, is lost. */
bool cf_cuda_is_sticky(cu_result result);

#endif
