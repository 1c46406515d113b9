/* kernels.cu - the kernels of the tests, on a real GPU: the same as the stand-in has (tests/cuda/standin/standin.h).
 * Parameters are 64-bit; the grid may be any. Made into PTX, so that one file serves every newer GPU.
 */
#include <cstdint>

typedef unsigned long long word;

static __device__ uint64_t first_word() {
  return blockIdx.x * (uint64_t)blockDim.x + threadIdx.x;
}

static __device__ uint64_t all_threads() {
  return gridDim.x * (uint64_t)blockDim.x;
}

static __device__ uint64_t now_ns() {
  uint64_t now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return now;
}

extern "C" __global__ void fill(word *memory, uint64_t words, uint64_t value) {
  for (uint64_t i = first_word(); i < words; i += all_threads())
    memory[i] = value;
}

extern "C" __global__ void check(const word *memory, uint64_t words, uint64_t value, word *result) {
  word different = 0;
  for (uint64_t i = first_word(); i < words; i += all_threads())
    different += memory[i] != value;
  if (different > 0)
    atomicAdd(result, different);
}

extern "C" __global__ void add(word *memory, uint64_t words, uint64_t value) {
  for (uint64_t i = first_word(); i < words; i += all_threads())
    memory[i] += value;
}

extern "C" __global__ void spin(uint64_t microseconds) {
  uint64_t end = now_ns() + microseconds * 1000;
  while (first_word() == 0 && now_ns() < end)
    __nanosleep(500);
}

extern "C" __global__ void until(const volatile word *memory, uint64_t value) {
  while (first_word() == 0 && *memory != value)
    __nanosleep(500);
}

extern "C" __global__ void trap() {
  asm volatile("trap;");
}
