// subscribers_of_a_temporary.cpp - a loop over what was told would outlive the telling.
// gcc: use of deleted function
// clang: deleted
#include <cuframes/cuframes.hpp>

void look() {
  using namespace std::chrono_literals;
#ifdef MISUSE
  for (const auto each : cuframes::stream_info::query("camera", 1s).subscribers())
    (void)each.pid();
}
#else
  const auto info = cuframes::stream_info::query("camera", 1s);
  for (const auto each : info.subscribers())
    (void)each.pid();
}
#endif
