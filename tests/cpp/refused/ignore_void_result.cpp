// ignore_void_result.cpp - that something failed must be looked at, where there is no value, too.
// gcc: ignoring return(ed)? value of .*result<void>.*nodiscard
// clang: ignoring return value of (type|function declared).*nodiscard
#include <cuframes/cuframes.hpp>

void change(cuframes::publisher &publisher, const cuframes::format &format) {
#ifdef MISUSE
  publisher.try_set_format(format);
}
#else
  if (!publisher.try_set_format(format))
    publisher.discontinuity();
}
#endif
