// frames_of_a_temporary.cpp - a range needs its subscriber.
// gcc: passing .cuframes::subscriber. as .this. argument discards|no matching function|(cannot|not) .*bind
// clang: non-const lvalue ref-qualifier
#include <cuframes/cuframes.hpp>

void look() {
#ifdef MISUSE
  for (auto &frame : cuframes::subscriber::create("camera").frames())
    (void)frame.seq();
}
#else
  auto subscriber = cuframes::subscriber::create("camera");
  for (auto &frame : subscriber.frames())
    (void)frame.seq();
}
#endif
