/* everything.cpp - uses each part of the C++ header, so that each template is compiled: tests/cpp/matrix compiles it
 * with many compilers, standards and flags. It never runs. */
#include <memory>
#include <string>
#include <vector>

#include <cuframes/cuframes.hpp>

/* An object's layout and name do not depend on how a part of a program is compiled. */
static_assert(sizeof(cuframes::frame) == 3 * sizeof(void *) && sizeof(cuframes::packet) == sizeof(void *));
static_assert(sizeof(cuframes::publisher) == 4 * sizeof(void *) && sizeof(cuframes::join) == sizeof(void *));
static_assert(sizeof(cuframes::result<cuframes::frame>) == sizeof(cuframes::error) + sizeof(void *));
static_assert(sizeof(cuframes::error) == sizeof(void *) + sizeof(int) + 512 + sizeof(int));
static_assert(sizeof(cuframes::span<int>) == 2 * sizeof(void *) && sizeof(cuframes::plane_view) == 4 * sizeof(void *));
static_assert(std::is_nothrow_move_constructible_v<cuframes::result<cuframes::frame>>);
static_assert(std::is_nothrow_copy_constructible_v<cuframes::error>);
static_assert(!std::is_convertible_v<int, cuframes::timeout> && !std::is_convertible_v<int, cuframes::stream_view>);
static_assert(!std::is_convertible_v<char *, cuframes::stream_view>);
static_assert(!std::is_convertible_v<std::nullptr_t, cuframes::stream_view>);

using cudaStream_t = struct CUstream_st *;
struct by_get {
  [[nodiscard]] cudaStream_t get() const;
};
struct by_value {
  [[nodiscard]] cudaStream_t value() const;
};
struct by_conversion {
  operator cudaStream_t() const; // NOLINT
  operator by_get() const;       // NOLINT: a class, too, as torch has it
};
static_assert(std::is_convertible_v<cudaStream_t, cuframes::stream_view>);
static_assert(std::is_convertible_v<by_get, cuframes::stream_view> &&
              std::is_convertible_v<void *, cuframes::stream_view>);
static_assert(std::is_convertible_v<by_value, cuframes::stream_view>);
static_assert(std::is_convertible_v<by_conversion, cuframes::stream_view>);

using namespace std::chrono_literals;

void frames(cuframes::subscriber &from, cuframes::publisher &to, cudaStream_t stream);
void packets(cuframes::subscriber &from, cuframes::publisher &to);
void buffers(cuframes::publisher &to, void *memory, cudaStream_t stream);

void frames(cuframes::subscriber &from, cuframes::publisher &to, cudaStream_t stream) {
  auto got = from.try_next_on(stream, 20ms);
  auto open = to.try_acquire();
  if (!got || !open || !to.try_set_limits(2, 8))
    return;
  const cuframes::frame &frame = *got;
  frame.used_on(by_get());
  if (!frame.try_array(0) ||
      !frame.try_dlpack(0, stream, cuframes::dlpack_flag::copy | cuframes::dlpack_flag::no_stream))
    return;
  if (!open->try_copy_from_device(0, frame.device_plane(0).address, frame.device_plane(0).pitch, by_value()) ||
      !open->try_add_side_data(cuframes::mastering_display{}) ||
      !open->try_add_side_data(cuframes::camera_calibration{}))
    return;
  open->used_on(by_conversion());
  [[maybe_unused]] std::uint8_t *const writable = open->device_plane(0).as<std::uint8_t>();
  [[maybe_unused]] const std::uint8_t *const readable = frame.device_plane(0).as<std::uint8_t>();
  (void)to.try_publish_on(std::move(*open), stream, {});
  got->release_on(stream);
  for (const float sample : frame.plane(0).row_as<float>(0))
    (void)sample;
#if __cplusplus >= 202002L
  static_assert(std::ranges::input_range<cuframes::plane_view> && std::ranges::input_range<cuframes::stream_list>);
#if CUFRAMES_HAS_EXCEPTIONS
  static_assert(std::ranges::input_range<cuframes::subscriber::frame_range>);
#endif
  const std::span<const std::byte> row = frame.plane(0).row(0);
  (void)row.size();
#endif
#if defined(__cpp_lib_expected)
  std::expected<cuframes::frame, cuframes::error> expected = from.try_next();
  std::expected<void, cuframes::error> done = to.try_discontinuity();
  (void)expected.has_value(), (void)done.has_value();
#endif
#if CUFRAMES_HAS_EXCEPTIONS
  for (auto &each : from.frames_on(stream, 20ms))
    each.wait(cuframes::timeout::none());
  if (auto another = to.acquire())
    to.publish_on(std::move(*another), stream);
  (void)from.next_on(by_get()).as_array(0), (void)frame.dlpack(0, stream), (void)from.device();
  to.set_limits(1, 0);
#endif
}

void packets(cuframes::subscriber &from, cuframes::publisher &to) {
  auto packet = from.try_next_packet();
  if (packet && packet->try_annotation())
    (void)to.try_publish_annotation(0, packet->try_annotation()->of, cuframes::application_annotation(1),
                                    packet->data());
  (void)from.try_start([owned = std::make_unique<int>(1)](const cuframes::result<cuframes::frame> &) {});
  cuframes::publisher_options options;
  static auto log = [lines = std::string()](cuframes::log_level, const char *line) mutable { lines += line; };
  options.log = log;
  options.log = [](cuframes::log_level, const char *) {};
  options.allow_uids = { 1000 };
  options.access = cuframes::access::listed;
  options.memory = cuframes::memory::legacy;
  options.reserve = cuframes::reserve::full;
  options.device = cuframes::device::cuda(1);
  (void)cuframes::publisher::try_create(std::string("s"), options);
  cuframes::subscriber_options join;
  join.sync = cuframes::sync::timeline | cuframes::sync::complete;
  join.device = cuframes::device::automatic();
  (void)cuframes::subscriber::try_create("s", join);
}

void buffers(cuframes::publisher &to, void *memory, cudaStream_t stream) {
  auto buffer = to.try_register_external(memory, 4096);
  if (!buffer || !to.try_publish(*buffer) || !to.try_publish_on(*buffer, stream) || !to.try_cancel(*buffer) ||
      !to.try_reopen(*buffer) || !to.try_unregister_external(*buffer))
    return;
  (void)buffer->device_plane(0).as<float>(), (void)buffer->seq();
  auto oldest = to.try_acquire_buffer();
  (void)(oldest && *oldest == *buffer);
#if CUFRAMES_HAS_EXCEPTIONS
  const cuframes::publisher::buffer mine = to.register_external(memory, 4096);
  to.publish(mine);
  to.publish_on(mine, stream);
  to.cancel(mine);
  to.reopen(to.acquire_buffer());
  to.unregister_external(mine);
#endif
}
