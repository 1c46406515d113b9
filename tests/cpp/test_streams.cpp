/* test_streams.cpp - frames of a GPU through C++, over the CUDA stand-in: which stream gives a frame back, and that the
 * CPU is shown no plane that it cannot read. */
#include <cstdint>
#include <dlfcn.h>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;
using cuframes::errc;

using CUstream = struct CUstream_st *;

/* The driver, which is the stand-in here: the device's primary context, and a stream of it. */
template <class F> static F driver(const char *name) {
  static void *const library = dlopen("libcuda.so.1", RTLD_NOW);
  CHECK(library != nullptr);
  void *const found = dlsym(library, name);
  CHECK(found != nullptr);
  return reinterpret_cast<F>(found);
}

static CUstream new_stream() {
  void *context = nullptr;
  CUstream stream = nullptr;
  CHECK(driver<int (*)(unsigned)>("cuInit")(0) == 0);
  CHECK(driver<int (*)(void **, int)>("cuDevicePrimaryCtxRetain")(&context, 0) == 0);
  CHECK(driver<int (*)(void *)>("cuCtxPushCurrent_v2")(context) == 0);
  CHECK(driver<int (*)(CUstream *, unsigned)>("cuStreamCreate")(&stream, 1) == 0);
  return stream;
}

static CUstream stream() {
  static CUstream const made = new_stream();
  return made;
}

static cuframes::publisher_options on_gpu() {
  auto options = check::gray();
  options.device = cuframes::device::cuda();
  return options;
}

static void a_frame_goes_through_streams() {
  CHECK(stream() != nullptr);
  auto publisher = cuframes::publisher::create("s", on_gpu());
  CHECK(std::strncmp(publisher.device().name, "cuda:", 5) == 0);
  cuframes::subscriber_options options;
  options.device = cuframes::device::cuda();
  options.sync = cuframes::sync::timeline | cuframes::sync::complete;
  auto subscriber = cuframes::subscriber::create("s", options);
  CHECK(subscriber.device().sync == cuframes::sync::timeline);
  const std::vector<std::byte> picture(64 * 16, std::byte(5));
  for (int i = 0; i < 20; i++) {
    auto open = publisher.acquire();
    CHECK(open.has_value());
    CHECK(!open->on_host() && open->plane(0).rows == 0 && open->device_plane(0).rows == 16);
    open->copy_from_host(0, picture);
    publisher.publish_on(std::move(*open), stream());
    auto frame = subscriber.next_on(stream(), check::patience());
    CHECK(!frame.plane(0) && frame.device_plane(0).as<std::uint8_t>() != nullptr);
    const cuframes::frame clone = frame.clone(); /* given back on the stream, too */
    frame.wait(check::patience());
    std::vector<std::byte> seen(picture.size());
    frame.copy_to_host(0, seen);
    CHECK(seen == picture);
    if (i % 2 == 0)
      frame.release_on(stream());
  }
  WAIT_FOR(subscriber.try_next(0ns).code() == errc::timeout && subscriber.get_stats().leases_held == 0);
  CHECK(subscriber.get_stats().released_twice == 0 && publisher.get_stats().released_twice == 0);
}

static void a_range_is_ordered_by_its_stream() {
  auto publisher = cuframes::publisher::create("s", on_gpu());
  cuframes::subscriber_options options;
  options.sync = cuframes::sync::timeline;
  auto subscriber = cuframes::subscriber::create("s", options);
  std::uint64_t seen = 0;
  const auto publish = [&] { publisher.publish_on(std::move(*publisher.acquire()), stream()); };
  publish();
  for (const cuframes::frame &frame : subscriber.frames_on(stream(), check::patience())) {
    CHECK(frame.seq() == ++seen);
    if (seen == 10)
      break;
    publish();
  }
  CHECK(seen == 10);
}

static void a_stream_on_the_other_side_is_refused() {
  auto publisher = cuframes::publisher::create("s", on_gpu());
  cuframes::subscriber_options options;
  options.device = cuframes::device::host();
  CHECK(cuframes::subscriber::try_create("s", options).code() == errc::unsupported);
}

int main(int argc, char **argv) {
  (void)stream();
  return check::run_all({ { "a_frame_goes_through_streams", a_frame_goes_through_streams },
                          { "a_range_is_ordered_by_its_stream", a_range_is_ordered_by_its_stream },
                          { "a_stream_on_the_other_side_is_refused", a_stream_on_the_other_side_is_refused } },
                        argc, argv);
}
