// throwing_without_exceptions.cpp - without exceptions nothing that throws is there, and nothing else by its name.
// gcc: has no member named .next
// clang: no member named 'next' in 'cuframes::subscriber'
// flags: -fno-exceptions
#include <cuframes/cuframes.hpp>

std::uint64_t newest(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  return subscriber.next().seq();
}
#else
  const auto frame = subscriber.try_next();
  return frame ? frame->seq() : 0;
}
#endif
