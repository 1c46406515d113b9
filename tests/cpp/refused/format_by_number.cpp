// format_by_number.cpp - a pixel format is no number.
// gcc: (cannot convert|no matching function|could not convert)
// clang: (cannot initialize|no matching function|no viable)
#include <cuframes/cuframes.hpp>

cuframes::format hd() {
#ifdef MISUSE
  return cuframes::format::picture(1, { 1280, 720 });
}
#else
  return cuframes::format::picture(cuframes::pixel_format::nv12, { 1280, 720 });
}
#endif
