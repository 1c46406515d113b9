/* cuframes/vision.hpp - libcuframes-vision for C++17 and later: header-only, on the functions of cuframes/vision.h, in
 * the manner of cuframes/cuframes.hpp. Link cuframes::vision as well.
 */
#ifndef CUFRAMES_VISION_HPP
#define CUFRAMES_VISION_HPP

#include <cuframes/cuframes.hpp>

/* As in cuframes/cuframes.hpp. */
#pragma push_macro("max")
#pragma push_macro("min")
#undef max
#undef min

#include <cuframes/cpp/vision.hpp>

#pragma pop_macro("min")
#pragma pop_macro("max")

#endif
