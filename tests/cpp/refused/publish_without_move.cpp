// publish_without_move.cpp - who publishes a frame gives it away, and says so.
// gcc: cannot bind rvalue reference|no matching function
// clang: no matching member function for call to 'publish'
#include <cuframes/cuframes.hpp>

void publish(cuframes::publisher &publisher, cuframes::publisher::frame open) {
#ifdef MISUSE
  publisher.publish(open);
}
#else
  publisher.publish(std::move(open));
}
#endif
