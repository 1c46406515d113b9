// kernel_writes_subscribers_plane.cpp - nor does a kernel write into a subscriber's frame.
// gcc: invalid conversion from .const float\*. to .float\*.
// clang: (cannot initialize a parameter of type 'float \*'|no matching function)
#include <cuframes/cuframes.hpp>

void kernel(float *picture);
void run(const cuframes::frame &frame, cuframes::publisher::frame &open) {
  (void)frame.seq(), (void)open.seq();
#ifdef MISUSE
  kernel(frame.device_plane(0).as<float>());
}
#else
  kernel(open.device_plane(0).as<float>());
}
#endif
