// null_stream.cpp - the default stream is said in words, since 0 may be a mistake.
// gcc: (use of deleted function|ambiguous)
// clang: (deleted|ambiguous|no matching)
#include <cuframes/cuframes.hpp>

void use(const cuframes::frame &frame) {
#ifdef MISUSE
  frame.used_on(nullptr);
}
#else
  frame.used_on(cuframes::stream_view::legacy_default());
}
#endif
