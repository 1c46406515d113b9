// stream_that_ends_at_once.cpp - a temporary that owns its stream ends it before anything could be given back on it.
// gcc: use of deleted function
// clang: deleted
#include <cuframes/cuframes.hpp>
#include <memory>

struct CUstream_st;
struct destroy {
  void operator()(CUstream_st *stream) const;
};
using owner = std::unique_ptr<CUstream_st, destroy>;
owner make();

void use(cuframes::frame &frame) {
#ifdef MISUSE
  frame.release_with(make());
}
#else
  static const owner stream = make();
  frame.release_with(stream);
}
#endif
