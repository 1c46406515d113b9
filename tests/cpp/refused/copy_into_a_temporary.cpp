// copy_into_a_temporary.cpp - a picture copied into memory that ends in the same line is lost.
// gcc: cannot convert|conversion from .* to non-scalar type|could not convert
// clang: no viable conversion|no matching
#include <cuframes/cuframes.hpp>
#include <vector>

void copy(const cuframes::frame &frame) {
#ifdef MISUSE
  frame.copy_to_host(0, std::vector<std::byte>(1024));
}
#else
  std::vector<std::byte> to(1024);
  frame.copy_to_host(0, to);
}
#endif
