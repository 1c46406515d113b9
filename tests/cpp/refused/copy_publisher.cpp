// copy_publisher.cpp - a stream has one publisher: it can be moved.
// gcc: use of deleted function .*publisher::publisher\(const
// clang: call to deleted constructor of 'cuframes::publisher'
#include <cuframes/cuframes.hpp>

cuframes::publisher another(cuframes::publisher &publisher) {
#ifdef MISUSE
  return publisher;
}
#else
  return std::move(publisher);
}
#endif
