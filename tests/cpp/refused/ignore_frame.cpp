// ignore_frame.cpp - a frame that is not kept is given back at once.
// gcc: ignoring return value of .*next.*nodiscard
// clang: ignoring return value of function declared with 'nodiscard'
#include <cuframes/cuframes.hpp>

void skip(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  subscriber.next();
}
#else
  const cuframes::frame skipped = subscriber.next();
}
#endif
