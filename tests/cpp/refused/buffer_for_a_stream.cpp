// buffer_for_a_stream.cpp - a pointer to samples is no stream.
// gcc: (no matching function|could not convert|cannot convert|no known conversion|conversion from)
// clang: no (viable|matching)
#include <cuframes/cuframes.hpp>

using CUstream = struct CUstream_st *;
void use(const cuframes::frame &frame, CUstream stream, unsigned char *samples) {
  (void)stream, (void)samples;
#ifdef MISUSE
  frame.used_on(samples);
}
#else
  frame.used_on(stream);
}
#endif
