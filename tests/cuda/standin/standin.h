/* standin.h - the CUDA stand-in: a libcuda.so.1 of our own that does on the CPU what the driver does on a GPU.
 *
 * It lets the CUDA code be tested where no GPU is. It never ships, and what passes here has still to pass on a real
 * GPU. A program gets it through the dynamic linker: LD_LIBRARY_PATH names the directory of its libcuda.so.1, or the
 * program links with it. This header is for tests that steer it; take its functions with dlsym() or by linking.
 *
 * What it keeps of the real thing
 *   memory     each allocation is a memfd; a device address belongs to no CPU memory (reading through it is a fault),
 *   the
 *              bytes are mapped elsewhere. Access rights count: a kernel or a copy that writes where it may only
 *              read, or outside of everything, is CUDA_ERROR_ILLEGAL_ADDRESS, and then all of that context is.
 *   sharing    VMM descriptors, pool descriptors, legacy memory and event handles work between processes; legacy ones
 *              name /proc/PID/fd/N, so they fail in another PID namespace (CUDA_ERROR_INVALID_VALUE), after the
 *              exporter's death, and in the exporter itself (CUDA_ERROR_INVALID_CONTEXT).
 *   streams    one thread and one queue each; the NULL stream waits for the blocking ones and they for it.
 *   death      a killed process writes nothing more, its memory stays with those who mapped it, its events never come.
 *   misuse     no current context, a stream of another context, handles that are none, calls in a host function,
 *   calls in a
 *              forked child, host memory that is mapped read-only and registered without saying so: refused as there.
 *   graphs     a stream that captures runs nothing; waiting for it, or on it for what is outside, spoils the capture,
 *              and so do cuMemAlloc(), cuMemHostAlloc() and cuEventQuery() by threads that the capture's mode means.
 *              Graphs of kernels and fills can be launched.
 * What it does not: GPU time, caches, MPS, managed memory, textures, PTX (see kernel names below).
 * A killed process stops at once, where a GPU goes on for some 10 ms. New memory is full of 0xa5, not of zeros.
 *
 * Environment, read at the first call
 *   CUDA_STANDIN_DEVICES=1         GPUs of this machine, 0 to 8; CUDA_VISIBLE_DEVICES chooses among them
 *   CUDA_STANDIN_MEMORY_MIB=1024   memory of each; counted per process
 *   CUDA_STANDIN_PEER=1            whether one GPU can reach another's memory
 *   CUDA_STANDIN_VERSION=13000     CUDA version; what came later is not found by cuGetProcAddress()
 *   CUDA_STANDIN_WITHOUT=a,b       functions that cuGetProcAddress() does not find, without suffix
 *   CUDA_STANDIN_ATTRIBUTES=N=V,.. device attributes by number: 102=0 is no VMM, 122=0 no stream memory operations,
 *                                  125=0 no legacy handles, 113=0 no READ_ONLY registration, 115=0 no pools
 *   CUDA_STANDIN_SEED=1 CUDA_STANDIN_DELAY_US=0
 *                                  before each operation, and in the middle of long ones, a stream waits for a random
 *                                  time up to that
 *   CUDA_STANDIN_FAIL=name:nth:error,...  as standin_fail()
 *   CUDA_STANDIN_NAME=TEXT         the name of each GPU
 *   CUDA_STANDIN_HANG=name         a function that never returns, as of a card that is broken
 *   CUDA_STANDIN_CRASH=name        one in which the process dies of SIGSEGV
 *   CUDA_STANDIN_EXIT=name         one in which it ends by itself, with code 3
 *   CUDA_STANDIN_REPORT=FILE       at exit a line of what was left is appended: "PID KIND=N ..."
 *
 * Kernels: cuModuleLoadData() takes any image, cuModuleGetFunction() finds these (all parameters are 64-bit but where
 * said):
 *   fill(address, words, value)           each 64-bit word there becomes value
 *   check(address, words, value, result)  adds to the word at result how many words there are not value
 *   add(address, words, value)            adds value to each word: a kernel that works in place
 *   spin(microseconds)                    keeps the stream busy
 *   until(address, value)                 keeps the stream busy until the word there is value
 *   trap()                                CUDA_ERROR_LAUNCH_FAILED
 * and those of vision/cuda/kernels.cu, which are compiled for the CPU here: thread by thread they give the same bits.
 */
#ifndef STANDIN_H
#define STANDIN_H

#ifdef __cplusplus
extern "C" {
#endif

#define STANDIN_API __attribute__((visibility("default")))

/* The nth call from now on (1: the next) of a function gives the error and does nothing; those that release something
 * do it all the same. An error that is sticky in the driver is so here. name: with or without suffix; "*": any but
 * cuGetProcAddress, cuGetErrorName and cuGetErrorString. NULL: forget all that was asked for.
 * Gives 0, or -1 for a name that is none. Thread-safe, as everything here. */
STANDIN_API int standin_fail(const char *name, unsigned nth, int error);
/* The card is gone: the nth call from now on gives the error, and so does every one after it but the three above;
 * streams do nothing more. Until the process ends. */
STANDIN_API void standin_lose(unsigned nth, int error);
/* How many calls were failed so, and the name of the last ("" before the first). */
STANDIN_API unsigned standin_failed(const char **name);
/* Calls so far: of one function, or of all that "*" means. */
STANDIN_API unsigned long standin_calls(const char *name);

typedef enum standin_kind {
  STANDIN_CONTEXTS, /* alive */
  STANDIN_STREAMS,  /* created and not destroyed */
  STANDIN_EVENTS,   /* imported ones too */
  STANDIN_MODULES,
  STANDIN_ALLOCATIONS,   /* of cuMemAlloc() and the pools */
  STANDIN_HANDLES,       /* VMM: created, imported, retained, and not released; each count of a handle is one */
  STANDIN_RESERVATIONS,  /* VMM: address ranges */
  STANDIN_MAPPINGS,      /* VMM: of memory in them */
  STANDIN_IPC_MAPPINGS,  /* opened legacy handles */
  STANDIN_POOLS,         /* created or imported */
  STANDIN_REGISTRATIONS, /* of host memory */
  STANDIN_HOST_ALLOCATIONS,
  STANDIN_SWEPT, /* of the above, what cuDevicePrimaryCtxRelease() found and freed, since the start */
  STANDIN_KINDS
} standin_kind;

/* How many of them this process has now. */
STANDIN_API long standin_live(standin_kind kind);
STANDIN_API const char *standin_kind_name(standin_kind kind);

#ifdef __cplusplus
}
#endif

#endif
