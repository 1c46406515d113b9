// use_moved_packet.cpp - what was moved from is empty; the compilers let it pass, clang-tidy does not.
// tidy: bugprone-use-after-move
#include <utility>

#include <cuframes/cuframes.hpp>

std::uint64_t use(cuframes::packet packet) {
  cuframes::packet kept = std::move(packet);
#ifdef MISUSE
  return packet.seq();
#else
  return kept.seq();
#endif
}
