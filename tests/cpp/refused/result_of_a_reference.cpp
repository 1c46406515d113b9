// result_of_a_reference.cpp - a result is moved, a reference is not.
// gcc: a result holds an object
// clang: a result holds an object
#include <cuframes/cuframes.hpp>

bool look(int &number) {
#ifdef MISUSE
  const cuframes::result<int &> held(cuframes::error(cuframes::errc::busy, ""));
  return held.has_value() && number == 0;
}
#else
  const cuframes::result<int *> held(&number);
  return held.has_value();
}
#endif
