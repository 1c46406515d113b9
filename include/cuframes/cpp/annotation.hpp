/* cuframes/cpp/annotation.hpp - what others say of a frame: the join that finds it. What a packet says itself is
 * packet::annotation(), and publisher::publish_annotation() publishes.
 *
 * Functions  Each is a call of the C function that its comment names, whose errors, threads and waiting it has.
 */
#ifndef CUFRAMES_CPP_ANNOTATION_HPP
#define CUFRAMES_CPP_ANNOTATION_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <cuframes/annotation.h>
#include <cuframes/cpp/packet.hpp>

namespace cuframes {

/** cuframes_join_options; 0 and empty mean the default. */
struct join_options {
  std::uint32_t keep = 0;
  std::string directory;
  std::string label;
  timeout connect_timeout = timeout::none();
  bool reconnect = false;
  annotation_type type = annotation_type::any; /**< of these only */
  log_sink log;
  interrupt_check interrupt; /**< asked while create() waits for the detector */
};

/** The annotations of one stream, to be asked for by frame. Moved only; packets given out outlive it. */
class join {
public:
  using options = join_options;

  /** cuframes_join_create(). */
  [[nodiscard]] static result<join> try_create(zstring_view name, const options &with = {}) noexcept {
    cuframes_join_options native{};
    native.struct_size = sizeof native;
    native.keep = with.keep;
    native.directory = detail::c_str_or_null(with.directory);
    native.label = detail::c_str_or_null(with.label);
    native.connect_timeout_ns = with.connect_timeout.count();
    native.reconnect = with.reconnect ? 1 : 0;
    native.type = static_cast<std::uint32_t>(with.type);
    native.log = with.log.native_function();
    native.log_user = with.log.native_user();
    native.interrupt = with.interrupt.native_function();
    native.interrupt_user = with.interrupt.native_user();
    cuframes_join *made = nullptr;
    const int code = cuframes_join_create(name.c_str(), &native, &made);
    if (detail::failed(code))
      return error::last(code);
    return join(made);
  }

  join(join &&other) noexcept : native_(std::exchange(other.native_, nullptr)) {}
  join &operator=(join &&other) noexcept {
    if (this != &other) {
      cuframes_join_destroy(native_);
      native_ = std::exchange(other.native_, nullptr);
    }
    return *this;
  }
  join(const join &) = delete;
  join &operator=(const join &) = delete;
  ~join() {
    cuframes_join_destroy(native_);
  }

  /** cuframes_join_find(): what was said of exactly this frame. errc::timeout: nothing yet; errc::stale: nothing will.
   *  */
  [[nodiscard]] result<packet> try_find(const frame_id &of, timeout limit) noexcept {
    cuframes_packet *native = nullptr;
    const int code = cuframes_join_find(native_, &of.native(), limit.count(), &native);
    if (detail::failed(code))
      return error::last(code);
    return packet::adopt(native);
  }
  /** cuframes_join_latest(): of this frame or an earlier one. errc::timeout: there is none. */
  [[nodiscard]] result<packet> try_latest(const frame_id &of) noexcept {
    cuframes_packet *native = nullptr;
    const int code = cuframes_join_latest(native_, &of.native(), &native);
    if (detail::failed(code))
      return error::last(code);
    return packet::adopt(native);
  }
  /** cuframes_join_interrupt(): from any thread and signal handlers. */
  void interrupt() const noexcept {
    cuframes_join_interrupt(native_);
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static join create(zstring_view name, const options &with = {}) {
    return try_create(name, with).value();
  }
  /** Nothing: not said in time, or never to be said; try_find() tells which. */
  [[nodiscard]] std::optional<packet> find(const frame_id &of, timeout limit) {
    return there(try_find(of, limit));
  }
  /** Nothing: there is none. */
  [[nodiscard]] std::optional<packet> latest(const frame_id &of) {
    return there(try_latest(of));
  }
#endif

  [[nodiscard]] cuframes_join *native_handle() const noexcept {
    return native_;
  }

private:
  explicit join(cuframes_join *native) noexcept : native_(native) {}
#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static std::optional<packet> there(result<packet> found) {
    if (found.code() == errc::timeout || found.code() == errc::stale)
      return std::nullopt;
    return std::move(found).value();
  }
#endif

  cuframes_join *native_;
};

static_assert(std::is_nothrow_move_constructible_v<join> && std::is_nothrow_move_assignable_v<join>);

} // namespace cuframes

#endif
