// copy_frame.cpp - a frame is one reference: who wants another says clone().
// gcc: use of deleted function .*frame::frame\(const .*frame&\)
// clang: call to (implicitly-)?deleted.* constructor of 'cuframes::frame'
#include <cuframes/cuframes.hpp>

cuframes::frame twice(const cuframes::frame &frame) {
#ifdef MISUSE
  return frame;
}
#else
  return frame.clone();
}
#endif
