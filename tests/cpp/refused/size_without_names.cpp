// size_without_names.cpp - width and height belong together.
// gcc: no matching function
// clang: (no matching function|too many arguments)
#include <cuframes/cuframes.hpp>

cuframes::format hd() {
#ifdef MISUSE
  return cuframes::format::picture(cuframes::pixel_format::nv12, 1280, 720);
}
#else
  return cuframes::format::picture(cuframes::pixel_format::nv12, { 1280, 720 });
}
#endif
