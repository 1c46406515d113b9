// name_by_string_view.cpp - a view of a text need not end with a zero, as the C functions want.
// gcc: cannot convert|conversion from .* to non-scalar type|could not convert
// clang: no viable conversion|no matching
#include <cuframes/cuframes.hpp>
#include <string_view>

bool join(std::string_view name) {
#ifdef MISUSE
  return cuframes::subscriber::try_create(name).has_value();
}
#else
  return cuframes::subscriber::try_create(std::string(name)).has_value();
}
#endif
