// ignore_result.cpp - a result must be looked at.
// gcc: ignoring return(ed)? value of .*result<cuframes::frame>.*nodiscard
// clang: ignoring return value of (type|function declared).*nodiscard
#include <cuframes/cuframes.hpp>

void wait(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  subscriber.try_next();
}
#else
  if (auto frame = subscriber.try_next())
    (void)frame->seq();
}
#endif
