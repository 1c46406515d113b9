// write_samples.cpp - nor by its samples.
// gcc: assignment of read-only (location|reference)
// clang: (cannot assign to|read-only|const-qualified)
#include <cuframes/cuframes.hpp>

void darken(const cuframes::frame &frame, cuframes::publisher::frame &open) {
  (void)frame.seq(), (void)open.seq();
#ifdef MISUSE
  for (auto &sample : frame.plane(0).row_as<std::uint8_t>(0))
    sample = 0;
}
#else
  for (auto &sample : open.plane(0).row_as<std::uint8_t>(0))
    sample = 0;
}
#endif
