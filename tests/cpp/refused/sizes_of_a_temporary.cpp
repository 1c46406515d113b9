// sizes_of_a_temporary.cpp - frame.format() is a copy, which a loop over its sizes would outlive.
// gcc: use of deleted function
// clang: deleted
#include <cuframes/cuframes.hpp>

std::size_t elements(const cuframes::frame &frame) {
  std::size_t product = 1;
#ifdef MISUSE
  for (const std::uint32_t size : frame.format().tensor_sizes())
    product *= size;
  return product;
}
#else
  const cuframes::format format = frame.format();
  for (const std::uint32_t size : format.tensor_sizes())
    product *= size;
  return product;
}
#endif
