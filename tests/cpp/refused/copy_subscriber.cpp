// copy_subscriber.cpp - a subscriber can be moved.
// gcc: use of deleted function .*subscriber::operator=\(const
// clang: overload resolution selected deleted operator '='
#include <cuframes/cuframes.hpp>

void take(cuframes::subscriber &to, cuframes::subscriber &from) {
#ifdef MISUSE
  to = from;
}
#else
  to = std::move(from);
}
#endif
