// compare_different_flags.cpp - flags of frames and packets are not the same.
// gcc: (no match for|could not convert|cannot convert|no matching function)
// clang: (no viable|cannot initialize|no matching)
#include <cuframes/cuframes.hpp>

bool is_key(const cuframes::packet &packet) {
#ifdef MISUSE
  return packet.flags().has(cuframes::frame_flag::key);
}
#else
  return packet.flags().has(cuframes::packet_flag::key);
}
#endif
