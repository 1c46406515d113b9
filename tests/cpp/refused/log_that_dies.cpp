// log_that_dies.cpp - an object that logs must live longer than the call.
// gcc: (no matching function|conversion from|could not convert|cannot convert|use of deleted|no match for)
// clang: (no viable|no matching)
#include <cuframes/cuframes.hpp>

void options(cuframes::publisher_options &options, int &lines) {
#ifdef MISUSE
  options.log = [&lines](cuframes::log_level, const char *) { lines++; };
}
#else
  static auto log = [&lines](cuframes::log_level, const char *) { lines++; };
  options.log = log;
}
#endif
