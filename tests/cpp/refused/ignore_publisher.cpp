// ignore_publisher.cpp - a publisher that is not kept ends at once.
// gcc: ignoring return value of .*create.*nodiscard
// clang: ignoring return value of function declared with 'nodiscard'
#include <cuframes/cuframes.hpp>

void begin() {
#ifdef MISUSE
  cuframes::publisher::create("s");
}
#else
  const auto publisher = cuframes::publisher::create("s");
}
#endif
