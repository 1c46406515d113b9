// use_moved_subscriber.cpp - what was moved from is empty; the compilers let it pass, clang-tidy does not.
// tidy: bugprone-use-after-move
#include <utility>

#include <cuframes/cuframes.hpp>

std::uint64_t use(cuframes::subscriber subscriber) {
  cuframes::subscriber kept = std::move(subscriber);
#ifdef MISUSE
  return subscriber.get_stats().frames;
#else
  return kept.get_stats().frames;
#endif
}
