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

/* Of a pool whose memory can be shared by a descriptor; what cuMemAlloc() gives only another process can open. */
static std::uint64_t shareable_memory(void *&pool, std::uint64_t bytes) {
  struct {
    int type = 1, handles = 1; /* pinned; POSIX descriptors */
    int place = 1, device = 0;
    std::uint64_t more[10]{}; // NOLINT(modernize-avoid-c-arrays): CUmemPoolProps
  } properties;
  std::uint64_t address = 0;
  if (pool == nullptr)
    CHECK(driver<int (*)(void **, const void *)>("cuMemPoolCreate")(&pool, &properties) == 0);
  CHECK(driver<int (*)(std::uint64_t *, std::size_t, void *, CUstream)>("cuMemAllocFromPoolAsync")(
            &address, bytes, pool, stream()) == 0);
  CHECK(driver<int (*)(CUstream)>("cuStreamSynchronize")(stream()) == 0);
  return address;
}

/* Memory of the application's own, five buffers of it: registered, written, published, taken back, and given up. */
static void buffers_of_the_application_are_published() {
  constexpr std::uint64_t bytes = 2097152;
  auto options = on_gpu();
  options.external = true;
  options.max_slots = 8;
  options.max_open = 1;
  auto publisher = cuframes::publisher::create("s", options);
  void *pool = nullptr;
  std::vector<std::uint64_t> memory(5);
  std::vector<cuframes::publisher::buffer> buffers;
  for (auto &address : memory) {
    address = shareable_memory(pool, bytes);
    buffers.push_back(publisher.register_external(reinterpret_cast<void *>(address), bytes)); // NOLINT
  }
  CHECK(publisher.try_register_external(reinterpret_cast<void *>(memory[0]), bytes).code() == errc::invalid); // NOLINT
  CHECK(publisher.try_acquire().code() == errc::invalid && buffers[0] != buffers[1]);
  publisher.unregister_external(buffers[4]);
  CHECK(publisher.try_publish(buffers[4]).code() == errc::invalid);
  buffers[4] = publisher.register_external(reinterpret_cast<void *>(memory[4]), bytes); // NOLINT
  auto subscriber = cuframes::subscriber::create("s");
  const auto fill = driver<int (*)(std::uint64_t, unsigned char, std::size_t, CUstream)>("cuMemsetD8Async");
  for (unsigned char i = 0; i < 12; i++) {
    const auto buffer = i < buffers.size() ? buffers[i] : publisher.acquire_buffer();
    const auto plane = buffer.device_plane(0);
    CHECK(plane.rows == 16 && plane.row_bytes == 64 && !buffer.device_plane(1));
    CHECK(fill(reinterpret_cast<std::uint64_t>(plane.address), i, plane.pitch * plane.rows, stream()) == 0); // NOLINT
    CHECK(publisher.publish_on(buffer, stream()) == cuframes::delivery::published && buffer.seq() == i + 1U);
    const auto frame = subscriber.next(check::patience());
    std::vector<std::byte> seen(std::size_t{ 64 } * 16);
    frame.copy_to_host(0, seen);
    CHECK(frame.seq() == i + 1U && seen.front() == std::byte(i) && seen.back() == std::byte(i));
    CHECK(publisher.try_reopen(buffer).code() == errc::busy); /* somebody looks at it */
  }
  const auto oldest = publisher.acquire_buffer();
  publisher.cancel(oldest);
  { const auto ended = std::move(publisher); } /* the memory must live until here */
  for (const auto address : memory)
    CHECK(driver<int (*)(std::uint64_t, CUstream)>("cuMemFreeAsync")(address, stream()) == 0);
  CHECK(driver<int (*)(CUstream)>("cuStreamSynchronize")(stream()) == 0);
  CHECK(driver<int (*)(void *)>("cuMemPoolDestroy")(pool) == 0);
}

static void the_host_takes_no_buffers() {
  auto options = check::gray();
  options.external = true;
  const auto refused = cuframes::publisher::try_create("s", options);
  CHECK(refused.code() == errc::unsupported && std::strstr(refused.error().detail(), "host") != nullptr);
  auto own = cuframes::publisher::create("s", check::gray());
  CHECK(own.try_acquire_buffer().code() == errc::invalid);
}

int main(int argc, char **argv) {
  (void)stream();
  return check::run_all({ { "a_frame_goes_through_streams", a_frame_goes_through_streams },
                          { "a_range_is_ordered_by_its_stream", a_range_is_ordered_by_its_stream },
                          { "a_stream_on_the_other_side_is_refused", a_stream_on_the_other_side_is_refused },
                          { "buffers_of_the_application_are_published", buffers_of_the_application_are_published },
                          { "the_host_takes_no_buffers", the_host_takes_no_buffers } },
                        argc, argv);
}
