// plane_of_a_temporary.cpp - a view of a frame that is given back in the same line shows what others write.
// gcc: use of deleted function
// clang: deleted
#include <cuframes/cuframes.hpp>

void look(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  for (const auto row : subscriber.next().plane(0))
    (void)row.size();
}
#else
  const cuframes::frame frame = subscriber.next();
  for (const auto row : frame.plane(0))
    (void)row.size();
}
#endif
