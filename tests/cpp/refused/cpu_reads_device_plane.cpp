// cpu_reads_device_plane.cpp - an address for a GPU's work is not read by the CPU.
// gcc: has no member named .row
// clang: no member named 'row' in
#include <cuframes/cuframes.hpp>

std::byte first(const cuframes::frame &frame) {
#ifdef MISUSE
  return frame.device_plane(0).row(0)[0];
}
#else
  return frame.plane(0).row(0)[0];
}
#endif
