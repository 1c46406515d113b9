// time_without_unit.cpp - a time has a unit.
// gcc: (could not convert|no matching function|cannot convert|no known conversion)
// clang: no (viable|matching)
#include <cuframes/cuframes.hpp>

bool there(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  return subscriber.try_next(1000).has_value();
}
#else
  return subscriber.try_next(std::chrono::milliseconds(1)).has_value();
}
#endif
