// callback_of_something_else.cpp - a callback takes what may be an error.
// gcc: a callback takes a result<frame>
// clang: a callback takes a result<frame>
#include <cuframes/cuframes.hpp>

void begin(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  subscriber.start([](int) {});
}
#else
  subscriber.start([](cuframes::result<cuframes::frame>) {});
}
#endif
