// copy_in_range.cpp - range-for gives the frame itself, by reference.
// gcc: use of deleted function .*frame::frame\(const
// clang: call to deleted constructor of 'cuframes::frame'
#include <cuframes/cuframes.hpp>

void look(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  for (cuframes::frame frame : subscriber.frames())
    (void)frame.seq();
}
#else
  for (cuframes::frame &frame : subscriber.frames())
    (void)frame.seq();
}
#endif
