// publish_subscribers_frame.cpp - what came from a stream cannot be published as it is.
// gcc: (cannot convert|no matching function|cannot bind|invalid initialization|no known conversion)
// clang: no matching member function for call to 'publish'
#include <cuframes/cuframes.hpp>

void pass_on(cuframes::publisher &publisher, cuframes::frame frame) {
#ifdef MISUSE
  publisher.publish(std::move(frame));
}
#else
  auto open = publisher.acquire();
  if (open && frame.plane(0)) {
    open->copy_from_host(0, cuframes::bytes(frame.plane(0).data, frame.plane(0).pitch * frame.plane(0).rows),
                         frame.plane(0).pitch);
    publisher.publish(std::move(*open));
  }
}
#endif
