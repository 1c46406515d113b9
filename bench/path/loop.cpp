/* loop.cpp - the loop of a program that publishes a picture and looks at it, in C++, as one would write it; loop.c does
 * the same in C. bench/costs counts both by callgrind.
 *
 * usage: loop FRAMES
 */
#include <cstdio>
#include <cstdlib>
#include <valgrind/callgrind.h>

#include <cuframes/cuframes.hpp>

using namespace std::chrono_literals;

static constexpr int warm_up = 64; // segments get mapped, slots adopted

// The first sample of the first row and of the last one.
static unsigned look(const cuframes::frame &frame) {
  const cuframes::plane_view luma = frame.plane(0);
  return std::to_integer<unsigned>(luma.row(0)[0]) + std::to_integer<unsigned>(luma.row(luma.rows - 1)[0]);
}

static unsigned pass(cuframes::publisher &publisher, cuframes::subscriber &subscriber, int number) {
  cuframes::publish_info info;
  info.pts = std::chrono::nanoseconds(number);
  if (auto open = publisher.acquire())
    publisher.publish(std::move(*open), info);
  const cuframes::frame frame = subscriber.next(1s);
  return look(frame) + static_cast<unsigned>(frame.seq());
}

int main(int argc, char **argv) {
  try {
    const int frames = argc > 1 ? static_cast<int>(std::strtol(argv[1], nullptr, 10)) : 0;
    unsigned sum = 0;
    cuframes::publisher_options options;
    options.device = cuframes::device::host();
    options.format = cuframes::format::picture(cuframes::pixel_format::nv12, { 64, 16 });
    auto publisher = cuframes::publisher::create("loop", options);
    auto subscriber = cuframes::subscriber::create("loop");
    for (int i = 0; i < warm_up; i++)
      sum += pass(publisher, subscriber, i);
    CALLGRIND_TOGGLE_COLLECT; // of this thread only
    for (int i = 0; i < frames; i++)
      sum += pass(publisher, subscriber, i);
    CALLGRIND_TOGGLE_COLLECT;
    std::printf("%u\n", sum);
  } catch (const cuframes::error &e) {
    std::fprintf(stderr, "loop: %s\n", e.what());
    return 1;
  }
  return 0;
}
