// use_moved_frame.cpp - what was moved from is empty; the compilers let it pass, clang-tidy does not.
// tidy: bugprone-use-after-move
#include <utility>

#include <cuframes/cuframes.hpp>

std::uint64_t use(cuframes::frame frame) {
  cuframes::frame kept = std::move(frame);
#ifdef MISUSE
  return frame.seq();
#else
  return kept.seq();
#endif
}
