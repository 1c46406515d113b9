/* cuframes/cpp/subscriber.hpp - a process that uses the frames and packets of a stream.
 *
 * Ownership  A subscriber is moved only; its destructor leaves the stream. Frames and packets in hand outlive it.
 * Functions  Each is a call of the C function that its comment names, or of the same name, whose errors, threads and
 *            waiting it has: one thread at a time takes frames, one packets, any may interrupt. try_...() gives a
 *            result; the same without try_ throws. Moved from, every call says INVALID.
 */
#ifndef CUFRAMES_CPP_SUBSCRIBER_HPP
#define CUFRAMES_CPP_SUBSCRIBER_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <cuframes/cpp/frame.hpp>
#include <cuframes/cpp/packet.hpp>
#include <cuframes/cpp/source.hpp>
#include <cuframes/subscriber.h>

namespace cuframes {

/** Which frames it gets, enum cuframes_mode. */
enum class mode : std::uint32_t {
  newest = CUFRAMES_MODE_NEWEST,
  ordered = CUFRAMES_MODE_ORDERED,
  packets = CUFRAMES_MODE_PACKETS
};

/** How it learns that a GPU has completed a picture, enum cuframes_sync; several may be asked for: a | b. */
enum class sync : std::uint32_t {
  complete = CUFRAMES_SYNC_COMPLETE,
  timeline = CUFRAMES_SYNC_TIMELINE,
  slot_events = CUFRAMES_SYNC_SLOT_EVENTS
};
using sync_modes = flags<sync>;
[[nodiscard]] constexpr sync_modes operator|(sync a, sync b) noexcept {
  return sync_modes(a) | sync_modes(b);
}

/** Where packet reading starts, enum cuframes_packet_start. */
enum class packet_start : std::uint32_t {
  from_keyframe = CUFRAMES_PACKETS_FROM_KEYFRAME,
  from_next_keyframe = CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME,
  from_oldest = CUFRAMES_PACKETS_FROM_OLDEST
};

/** cuframes_subscriber_options; 0 and empty mean the default. */
struct subscriber_options {
  cuframes::mode mode = cuframes::mode::newest;
  std::string directory;
  std::string label;
  std::uint32_t leases = 0;
  std::uint32_t depth = 0;
  bool reconnect = false;
  sync_modes sync;                           /**< none: complete */
  timeout connect_timeout = timeout::none(); /**< how long create() waits for the name to appear */
  nanoseconds spin{ 0 };
  log_sink log;
  cuframes::device device;   /**< wherever the stream is, by default; device::host() where the CPU is to read planes */
  interrupt_check interrupt; /**< asked while a call waits for the publisher's answer */
};

/** cuframes_subscriber_device(): of the present connection. */
struct connected_device {
  std::string name;
  cuframes::sync sync = cuframes::sync::complete;
};

namespace detail {

/* The function of a callback thread. It lives until the subscriber has let go of it and no call of it runs: a callback
 * may destroy its subscriber. */
template <class F> class frame_callback : public std::enable_shared_from_this<frame_callback<F>> {
public:
  explicit frame_callback(F function) : function_(std::move(function)) {}
  /* An exception that leaves the function ends the program, as it does from a std::thread. */
  static void call(void *user, cuframes_frame *native, int code) noexcept {
    const std::shared_ptr<frame_callback> self = static_cast<frame_callback *>(user)->shared_from_this();
    if (native != nullptr)
      self->function_(result<frame>(frame::adopt(native)));
    else
      self->function_(result<frame>(error::last(code)));
  }

private:
  F function_;
};

} // namespace detail

/** One reader of one stream. */
class subscriber {
public:
  using options = subscriber_options;
  using stats = cuframes_subscriber_stats;

  /** cuframes_subscriber_create(). */
  [[nodiscard]] static result<subscriber> try_create(zstring_view name, const options &with = {}) noexcept;

  subscriber(subscriber &&other) noexcept
      : native_(std::exchange(other.native_, nullptr)), callback_(std::move(other.callback_)) {}
  subscriber &operator=(subscriber &&other) noexcept {
    if (this != &other) {
      cuframes_subscriber_destroy(native_);
      native_ = std::exchange(other.native_, nullptr);
      callback_ = std::move(other.callback_);
    }
    return *this;
  }
  subscriber(const subscriber &) = delete;
  subscriber &operator=(const subscriber &) = delete;
  ~subscriber() {
    cuframes_subscriber_destroy(native_);
  }

  /** cuframes_subscriber_next(). */
  [[nodiscard]] result<frame> try_next(timeout limit = timeout::forever()) noexcept {
    cuframes_frame *native = nullptr;
    const int code = cuframes_subscriber_next(native_, limit.count(), &native);
    if (detail::failed(code))
      return error::last(code);
    return frame::adopt(native);
  }
  /** cuframes_subscriber_next_on(); the frame is given back on the same stream. */
  [[nodiscard]] result<frame> try_next_on(stream_view stream, timeout limit = timeout::forever()) noexcept {
    cuframes_frame *native = nullptr;
    const int code = cuframes_subscriber_next_on(native_, limit.count(), stream.native_handle(), &native);
    if (detail::failed(code))
      return error::last(code);
    frame got = frame::adopt(native);
    got.release_with(stream);
    return got;
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static subscriber create(zstring_view name, const options &with = {}) {
    return try_create(name, with).value();
  }
  [[nodiscard]] frame next(timeout limit = timeout::forever()) {
    cuframes_frame *native = nullptr;
    detail::check(cuframes_subscriber_next(native_, limit.count(), &native));
    return frame::adopt(native);
  }
  [[nodiscard]] frame next_on(stream_view stream, timeout limit = timeout::forever()) {
    cuframes_frame *native = nullptr;
    detail::check(cuframes_subscriber_next_on(native_, limit.count(), stream.native_handle(), &native));
    frame got = frame::adopt(native);
    got.release_with(stream);
    return got;
  }

  /** The frames one after the other, for range-for: the one before is given back before the next is taken, unless it
   *  was moved away. It ends with the stream (PUBLISHER_GONE) and when it is interrupted; other errors are thrown. */
  class frame_range {
  public:
    class iterator {
    public:
      using iterator_category = std::input_iterator_tag;
      using value_type = frame;
      using difference_type = std::ptrdiff_t;
      using pointer = frame *;
      using reference = frame &;

      iterator() noexcept = default; /* an end */
      explicit iterator(frame_range *range) noexcept : range_(range) {}
      [[nodiscard]] frame &operator*() const noexcept {
        return range_->current_;
      }
      [[nodiscard]] frame *operator->() const noexcept {
        return &range_->current_;
      }
      iterator &operator++() {
        range_->advance();
        return *this;
      }
      void operator++(int) {
        range_->advance();
      }
      /* Of two iterators of one range, one is end(). */
      friend bool operator!=(const iterator &a, const iterator &b) noexcept {
        return a.more() != b.more();
      }
      friend bool operator==(const iterator &a, const iterator &b) noexcept {
        return a.more() == b.more();
      }

    private:
      [[nodiscard]] bool more() const noexcept {
        return range_ != nullptr && range_->more_;
      }
      frame_range *range_ = nullptr;
    };

    [[nodiscard]] iterator begin() & {
      advance();
      return iterator(this);
    }
    [[nodiscard]] iterator end() &noexcept {
      return iterator(nullptr);
    }

  private:
    friend class subscriber;
    frame_range(subscriber &from, timeout limit, std::optional<stream_view> stream) noexcept
        : from_(&from), limit_(limit), stream_(stream) {}
    void advance() {
      cuframes_frame *native = nullptr;
      current_.release();
      const int code =
          stream_ ? cuframes_subscriber_next_on(from_->native_, limit_.count(), stream_->native_handle(), &native)
                  : cuframes_subscriber_next(from_->native_, limit_.count(), &native);
      more_ = code != CUFRAMES_ERR_PUBLISHER_GONE && code != CUFRAMES_ERR_INTERRUPTED;
      if (!more_)
        return;
      detail::check(code);
      current_ = frame::adopt(native);
      if (stream_)
        current_.release_with(*stream_);
    }

    subscriber *from_;
    timeout limit_;
    std::optional<stream_view> stream_;
    frame current_;
    bool more_ = false;
  };

  /** `limit` is for each frame. */
  [[nodiscard]] frame_range frames(timeout limit = timeout::forever()) &noexcept {
    return { *this, limit, std::nullopt };
  }
  /** As next_on(). */
  [[nodiscard]] frame_range frames_on(stream_view stream, timeout limit = timeout::forever()) &noexcept {
    return { *this, limit, stream };
  }
#endif

  /** cuframes_subscriber_interrupt(): from any thread and signal handlers. */
  void interrupt() const noexcept {
    cuframes_subscriber_interrupt(native_);
  }
  /** cuframes_subscriber_fd(): a descriptor for poll(); it stays the library's. */
  [[nodiscard]] result<int> try_fileno() noexcept {
    int fd = -1;
    const int code = cuframes_subscriber_fd(native_, &fd);
    if (detail::failed(code))
      return error::last(code);
    return fd;
  }
  /** cuframes_subscriber_device(): PUBLISHER_GONE without a connection. */
  [[nodiscard]] result<connected_device> try_device() const {
    char name[CUFRAMES_DEVICE_NAME_MAX + 1]; // NOLINT(modernize-avoid-c-arrays): for a C function
    std::uint32_t granted = 0;
    const int code = cuframes_subscriber_device(native_, name, sizeof name, &granted);
    if (detail::failed(code))
      return error::last(code);
    return connected_device{ name, static_cast<cuframes::sync>(granted) };
  }
  /** cuframes_subscriber_get_source(): asks nobody. */
  [[nodiscard]] result<source_info> try_get_source() const {
    cuframes_source_info native{};
    native.struct_size = sizeof native;
    const int code = cuframes_subscriber_get_source(native_, &native);
    if (detail::failed(code))
      return error::last(code);
    return source_info::from_native(native);
  }
  /** cuframes_subscriber_get_stats(). */
  [[nodiscard]] result<stats> try_get_stats() const noexcept {
    stats found{};
    found.struct_size = sizeof found;
    const int code = cuframes_subscriber_get_stats(native_, &found);
    if (detail::failed(code))
      return error::last(code);
    return found;
  }

  /** cuframes_subscriber_start(): calls function(result<frame>) on a thread of the library, which owns it from now on;
   *  the end of the stream comes as an error, and is the last call. The function must not throw. It may stop or destroy
   *  the subscriber. */
  template <class F> [[nodiscard]] result<void> try_start(F &&function) {
    static_assert(std::is_invocable_v<std::decay_t<F> &, result<frame>>, "a callback takes a result<frame>");
    using callback = detail::frame_callback<std::decay_t<F>>;
    auto made = std::make_shared<callback>(std::forward<F>(function));
    void *const user = made.get();
    std::shared_ptr<void> before = std::exchange(callback_, std::move(made));
    /* last: the function may destroy this object at once */
    const int code = cuframes_subscriber_start(native_, &callback::call, user);
    if (!detail::failed(code))
      return {};
    callback_ = std::move(before);
    return error::last(code);
  }
  /** cuframes_subscriber_stop(): there is no call after it, but the one that calls it. */
  [[nodiscard]] result<void> try_stop() noexcept {
    return result<void>::of(cuframes_subscriber_stop(native_));
  }

  /** cuframes_subscriber_enable_packets(). */
  [[nodiscard]] result<void> try_enable_packets(packet_start start = packet_start::from_keyframe) noexcept {
    return result<void>::of(cuframes_subscriber_enable_packets(native_, static_cast<std::uint32_t>(start)));
  }
  /** cuframes_subscriber_next_packet(). errc::packet_overrun: packets were lost, the next call goes on. */
  [[nodiscard]] result<packet> try_next_packet(timeout limit = timeout::forever()) noexcept {
    cuframes_packet *native = nullptr;
    const int code = cuframes_subscriber_next_packet(native_, limit.count(), &native);
    if (detail::failed(code))
      return error::last(code);
    return packet::adopt(native);
  }
  /** cuframes_subscriber_packet_fd(): a descriptor for poll(); it stays the library's. */
  [[nodiscard]] result<int> try_packet_fileno() noexcept {
    int fd = -1;
    const int code = cuframes_subscriber_packet_fd(native_, &fd);
    if (detail::failed(code))
      return error::last(code);
    return fd;
  }
  /** cuframes_subscriber_track_count(). */
  [[nodiscard]] result<std::uint32_t> try_track_count() noexcept {
    std::uint32_t count = 0;
    const int code = cuframes_subscriber_track_count(native_, &count);
    if (detail::failed(code))
      return error::last(code);
    return count;
  }
  /** cuframes_subscriber_get_codec_params(), with a copy of the extradata. errc::no_codec_params: no such track. */
  [[nodiscard]] result<codec_parameters> try_track(std::uint32_t track) {
    cuframes_codec_params native{};
    native.struct_size = sizeof native;
    const void *extradata = nullptr;
    std::size_t size = 0;
    const int code = cuframes_subscriber_get_codec_params(native_, track, &native, &extradata, &size);
    if (detail::failed(code))
      return error::last(code);
    return codec_parameters::from_native(native, bytes(static_cast<const std::byte *>(extradata), size));
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] int fileno() {
    return try_fileno().value();
  }
  [[nodiscard]] connected_device device() const {
    return try_device().value();
  }
  [[nodiscard]] source_info get_source() const {
    return try_get_source().value();
  }
  [[nodiscard]] stats get_stats() const {
    return try_get_stats().value();
  }
  template <class F> void start(F &&function) {
    try_start(std::forward<F>(function)).value();
  }
  void stop() {
    try_stop().value();
  }
  void enable_packets(packet_start start = packet_start::from_keyframe) {
    try_enable_packets(start).value();
  }
  [[nodiscard]] packet next_packet(timeout limit = timeout::forever()) {
    cuframes_packet *native = nullptr;
    detail::check(cuframes_subscriber_next_packet(native_, limit.count(), &native));
    return packet::adopt(native);
  }
  [[nodiscard]] int packet_fileno() {
    return try_packet_fileno().value();
  }
  [[nodiscard]] std::uint32_t track_count() {
    return try_track_count().value();
  }
  [[nodiscard]] codec_parameters track(std::uint32_t track) {
    return try_track(track).value();
  }
#endif

  [[nodiscard]] cuframes_subscriber *native_handle() const noexcept {
    return native_;
  }

private:
  explicit subscriber(cuframes_subscriber *native) noexcept : native_(native) {}

  cuframes_subscriber *native_;
  std::shared_ptr<void> callback_;
};

inline result<subscriber> subscriber::try_create(zstring_view name, const options &with) noexcept {
  cuframes_subscriber_options native{};
  native.struct_size = sizeof native;
  native.mode = static_cast<std::uint32_t>(with.mode);
  native.directory = detail::c_str_or_null(with.directory);
  native.label = detail::c_str_or_null(with.label);
  native.leases = with.leases;
  native.depth = with.depth;
  native.reconnect = with.reconnect ? 1 : 0;
  native.sync = with.sync.bits();
  native.connect_timeout_ns = with.connect_timeout.count();
  native.spin_ns = with.spin.count();
  native.log = with.log.native_function();
  native.log_user = with.log.native_user();
  native.interrupt = with.interrupt.native_function();
  native.interrupt_user = with.interrupt.native_user();
  native.device = with.device.native();
  cuframes_subscriber *made = nullptr;
  const int code = cuframes_subscriber_create(name.c_str(), &native, &made);
  if (detail::failed(code))
    return error::last(code);
  return subscriber(made);
}

static_assert(std::is_nothrow_move_constructible_v<subscriber> && std::is_nothrow_move_assignable_v<subscriber>);
static_assert(!std::is_copy_constructible_v<subscriber>);

} // namespace cuframes

#endif
