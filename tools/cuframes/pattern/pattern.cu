/* pattern.cu - draws the test picture on a GPU: a thread for each sample, see ../pattern_sample.h.
 *
 * The program carries it as pattern.ptx, which every driver compiles for its GPU, so building needs no CUDA. After a
 * change here or in pattern_sample.h `scripts/ptx` makes that file again, with clang 14's NVPTX back end. */
#define PATTERN_FUNCTION static inline __attribute__((device))
#include "pattern_sample.h"

extern "C" __attribute__((global)) void cuframes_pattern(uint64_t plane0, uint64_t plane1, uint64_t plane2,
                                                         uint64_t pitch0, uint64_t pitch_others, uint64_t size,
                                                         uint64_t format, uint64_t number) {
  uint32_t x = __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
  uint32_t y = __nvvm_read_ptx_sreg_ctaid_y() * __nvvm_read_ptx_sreg_ntid_y() + __nvvm_read_ptx_sreg_tid_y();
  uint32_t plane = __nvvm_read_ptx_sreg_ctaid_z(), pixels = (uint32_t)format;
  uint32_t width = (uint32_t)size, height = (uint32_t)(size >> 32);
  uint32_t round_x = (1u << pattern_shift_x(pixels, plane)) - 1, round_y = (1u << pattern_shift_y(pixels, plane)) - 1;
  if (x >= (width + round_x) >> pattern_shift_x(pixels, plane) ||
      y >= (height + round_y) >> pattern_shift_y(pixels, plane)) {
    return;
  }
  uint8_t *row = (uint8_t *)(plane == 0 ? plane0 : plane == 1 ? plane1 : plane2);
  row += y * (plane == 0 ? pitch0 : pitch_others);
  pattern_sample(row + (uint64_t)x * pattern_sample_bytes(pixels, plane), pixels, plane, width, height, number, x, y);
}
