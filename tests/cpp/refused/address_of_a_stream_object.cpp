// address_of_a_stream_object.cpp - an object that has a stream is given itself, not by its address.
// gcc: cannot convert|conversion from .* to non-scalar type|could not convert
// clang: no viable conversion|no matching
#include <cuframes/cuframes.hpp>

struct CUstream_st;
struct owner {
  [[nodiscard]] CUstream_st *get() const;
};

void use(const cuframes::frame &frame, const owner &stream, owner &other) {
  (void)other;
#ifdef MISUSE
  frame.used_on(&other);
  (void)stream;
}
#else
  frame.used_on(stream);
}
#endif
