// data_of_a_temporary.cpp - the bytes of a packet end with it.
// gcc: use of deleted function
// clang: deleted
#include <cuframes/cuframes.hpp>

std::size_t look(cuframes::subscriber &subscriber) {
#ifdef MISUSE
  const cuframes::bytes data = subscriber.next_packet().data();
  return data.size();
}
#else
  const cuframes::packet packet = subscriber.next_packet();
  const cuframes::bytes data = packet.data();
  return data.size();
}
#endif
