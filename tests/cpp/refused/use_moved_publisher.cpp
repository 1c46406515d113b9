// use_moved_publisher.cpp - what was moved from is empty; the compilers let it pass, clang-tidy does not.
// tidy: bugprone-use-after-move
#include <utility>

#include <cuframes/cuframes.hpp>

std::uint64_t use(cuframes::publisher publisher) {
  cuframes::publisher kept = std::move(publisher);
#ifdef MISUSE
  return publisher.get_stats().frames;
#else
  return kept.get_stats().frames;
#endif
}
