// copy_packet.cpp - a packet is one reference, too.
// gcc: use of deleted function .*packet::packet\(const
// clang: call to deleted constructor of 'cuframes::packet'
#include <cuframes/cuframes.hpp>

cuframes::packet twice(const cuframes::packet &packet) {
#ifdef MISUSE
  return packet;
}
#else
  return packet.clone();
}
#endif
