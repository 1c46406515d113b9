// name_of_nothing.cpp - a stream has a name.
// gcc: (use of deleted function|ambiguous)
// clang: (deleted|ambiguous|no matching)
#include <cuframes/cuframes.hpp>

cuframes::subscriber join() {
#ifdef MISUSE
  return cuframes::subscriber::create(nullptr);
}
#else
  return cuframes::subscriber::create("camera");
}
#endif
