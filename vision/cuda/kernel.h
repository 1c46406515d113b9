/* kernel.h - what one thread of a kernel does, in what C and CUDA have in common: kernels.cu makes kernels of it, and
 * the tests' stand-in for CUDA runs it on the CPU.
 *
 * Whoever includes this says first what differs:
 *   CF_GPU                          before a function
 *   CF_UNROLL, CF_ROLLED            before a loop: its indexes are to become constants; it is to stay one
 *   CF_FORGET()                     the compiler knows nothing any more of what is in memory
 *   CF_LOAD_8, _16, _32(at)         reads from an address what nobody writes meanwhile
 *   CF_STORE(type, at, k, value)    writes element k of an array there
 *   CF_STORE_4(at, a, b, c, d)      four floats in one piece; CF_STORE_2(at, a, b) two words
 *   CF_STORE_4_HALVES(...)          the binary16 nearest to each of four floats, in one piece
 *   CF_RAISED_FLOOR(value)          floor(value) + 2^23, for 0 <= value < 2^23
 *   CF_HALF(value)                  the binary16 nearest to a float, as a number
 * Products that are added are written as CF_FMA, and the compiler is told to make no others of its own
 * (-ffp-contract=off): so the GPU and the stand-in give the same bits.
 */
#ifndef CF_VISION_CUDA_KERNEL_H
#define CF_VISION_CUDA_KERNEL_H

#define CF_FMA(a, b, c) __builtin_fmaf(a, b, c)

#include "vision/cuda/read.h"

#include "vision/cuda/compose.h"
#include "vision/cuda/tensor.h"

#endif
