// publishers_frame_for_a_subscribers.cpp - an open frame is no picture yet.
// gcc: (conversion from .*publisher::frame|could not convert)
// clang: no viable conversion from .*publisher::frame.* to 'cuframes::frame'
#include <cuframes/cuframes.hpp>

void look(const cuframes::frame &frame);
void publish(cuframes::publisher::frame open) {
#ifdef MISUSE
  cuframes::frame frame = std::move(open);
  look(frame);
}
#else
  const cuframes::frame frame = open.share();
  look(frame);
}
#endif
