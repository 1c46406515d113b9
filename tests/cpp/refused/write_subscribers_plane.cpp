// write_subscribers_plane.cpp - a subscriber's frame is read-only.
// gcc: assignment of read-only location|discards qualifiers|invalid conversion|read-only reference
// clang: (cannot assign to|read-only|const-qualified|no viable conversion)
#include <cuframes/cuframes.hpp>

void darken(const cuframes::frame &frame, cuframes::publisher::frame &open) {
  (void)frame.seq(), (void)open.seq();
#ifdef MISUSE
  frame.plane(0).row(0)[0] = std::byte(0);
}
#else
  open.plane(0).row(0)[0] = std::byte(0);
}
#endif
