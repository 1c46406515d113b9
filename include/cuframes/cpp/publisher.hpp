/* cuframes/cpp/publisher.hpp - the one process that writes a stream.
 *
 * Ownership  A publisher is moved only; its destructor ends the stream. An open frame (publisher::frame) is moved into
 *            publish(), or given up by its destructor; it may outlive the publisher, and is worth nothing then.
 * Functions  Each is a call of the C function that its comment names, or of the same name, whose errors, threads and
 *            waiting it has. try_...() gives a result; the same without try_ throws what is an error. That a frame was
 *            dropped is none. Moved from, every call says INVALID.
 */
#ifndef CUFRAMES_CPP_PUBLISHER_HPP
#define CUFRAMES_CPP_PUBLISHER_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuframes/annotation.h>
#include <cuframes/cpp/alive.hpp>
#include <cuframes/cpp/frame.hpp>
#include <cuframes/cpp/packet.hpp>
#include <cuframes/cpp/source.hpp>
#include <cuframes/publisher.h>

namespace cuframes {

/** What happens when an ordered subscriber has no room, enum cuframes_policy. */
enum class policy : std::uint32_t { wait = CUFRAMES_POLICY_WAIT, drop = CUFRAMES_POLICY_DROP };
/** Who may join, enum cuframes_access. */
enum class access : std::uint32_t { directory = CUFRAMES_ACCESS_DIRECTORY, listed = CUFRAMES_ACCESS_LISTED };
/** How GPU memory is handed over, enum cuframes_memory. */
enum class memory : std::uint32_t { by_default = CUFRAMES_MEMORY_DEFAULT, legacy = CUFRAMES_MEMORY_LEGACY };
/** When slots are made, enum cuframes_reserve. */
enum class reserve : std::uint32_t { need = CUFRAMES_RESERVE_NEED, full = CUFRAMES_RESERVE_FULL };

/** cuframes_packet_ring_options; 0 means the default. */
struct packet_ring_options {
  std::uint32_t slots = 0;
  std::uint64_t data_bytes = 0;
  std::uint64_t max_packet = 0;

  [[nodiscard]] cuframes_packet_ring_options native() const noexcept {
    cuframes_packet_ring_options ring{};
    ring.struct_size = sizeof ring;
    ring.slots = slots;
    ring.data_bytes = data_bytes;
    ring.max_packet = max_packet;
    return ring;
  }
};

/** cuframes_publisher_options; 0 and empty mean the default. */
struct publisher_options {
  cuframes::format format; /**< of the first frames; none: packets alone until set_format() */
  cuframes::policy policy = cuframes::policy::wait;
  std::string directory;
  cuframes::device device; /**< the host by default */
  std::string description;
  std::uint32_t slots = 0;
  std::uint32_t max_slots = 0;
  std::uint32_t max_open = 0;
  std::uint32_t max_subscribers = 0;
  std::uint32_t max_leases = 0;
  std::uint32_t max_depth = 0;
  nanoseconds ordered_timeout{ 0 }; /**< for policy::wait; 0: 1 s */
  std::uint32_t socket_mode = 0;    /**< permission bits; 0: 0660 */
  std::int64_t socket_gid = 0;      /**< 0: as it is */
  cuframes::access access = cuframes::access::directory;
  std::vector<std::uint32_t> allow_uids;
  std::vector<std::uint32_t> allow_gids;
  cuframes::memory memory = cuframes::memory::by_default;
  bool external = false; /**< frames live in buffers of yours: register_external() */
  std::uint32_t side_data_max = 0;
  std::optional<packet_ring_options> packets; /**< a packet ring from the beginning */
  log_sink log;
  cuframes::reserve reserve = cuframes::reserve::need;
  interrupt_check interrupt; /**< asked while a call waits for subscribers */
};

/** What is said of a frame when it is published, cuframes_publish_info. */
struct publish_info {
  std::optional<nanoseconds> pts;
  nanoseconds duration{ 0 }; /**< 0: unknown */
  std::optional<wall_time> capture_time;
  frame_flags flags; /**< key, corrupt */

  [[nodiscard]] cuframes_publish_info native() const noexcept {
    cuframes_publish_info info{};
    info.struct_size = sizeof info;
    info.flags = flags.bits();
    info.pts = detail::from_time(pts);
    info.duration = duration.count();
    info.capture_time = capture_time ? capture_time->time_since_epoch().count() : CUFRAMES_NO_TIME;
    return info;
  }
};

/** What became of a frame that was given to publish(). */
enum class delivery : std::uint8_t { published, dropped };

/** cuframes_publisher_device(). Lives as long as the publisher. */
struct chosen_device {
  const char *name;   /**< "host", "cuda:GPU-..." */
  const char *reason; /**< as one sentence */
};

/** One writer of one stream. */
class publisher {
public:
  using options = publisher_options;
  using stats = cuframes_publisher_stats;

  /** An open frame: memory to write the next picture into. It is published by publisher::publish(std::move(frame));
   *  one that is destroyed before is given back unpublished. */
  class frame : public any_frame {
  public:
    /** An empty one, to be moved into. */
    frame() noexcept = default;
    frame(frame &&other) noexcept : any_frame(other.take()), owner_(other.owner_) {}
    frame &operator=(frame &&other) noexcept {
      if (this != &other) {
        cancel();
        owner_ = other.owner_;
        any_frame::operator=(std::move(other));
      }
      return *this;
    }
    frame(const frame &) = delete;
    frame &operator=(const frame &) = delete;
    ~frame() {
      cancel();
    }

    /** The plane for the CPU; an empty one, without rows, if there is no such plane or the frame is on a GPU. */
    [[nodiscard]] writable_plane_view plane(std::size_t index) &noexcept {
      return view_of<writable_plane_view, std::byte *>(index, on_host());
    }
    /** The plane as an address, for work on the device of the frame. */
    [[nodiscard]] writable_device_plane device_plane(std::size_t index) &noexcept {
      return view_of<writable_device_plane, void *>(index, true);
    }
    /** cuframes_frame_copy_from_host(): rows `pitch` bytes apart, 0: packed. */
    [[nodiscard]] result<void> try_copy_from_host(std::size_t plane, bytes from, std::size_t pitch = 0) noexcept {
      if (!holds(plane, from.size(), pitch))
        return error(errc::invalid, "copying a plane from the host: the memory given is smaller than the plane");
      return result<void>::of(
          cuframes_frame_copy_from_host(native_handle(), static_cast<int>(plane), from.data(), pitch));
    }
    /** cuframes_frame_copy_from_device(): from memory of the publisher's device, in order on the stream. */
    [[nodiscard]] result<void> try_copy_from_device(std::size_t plane, const void *from, std::size_t pitch,
                                                    stream_view stream) noexcept {
      return result<void>::of(cuframes_frame_copy_from_device(native_handle(), static_cast<int>(plane), from, pitch,
                                                              stream.native_handle()));
    }
    /** cuframes_frame_add_side_data(). */
    [[nodiscard]] result<void> try_add_side_data(side_data_type type, bytes data) noexcept {
      return result<void>::of(
          cuframes_frame_add_side_data(native_handle(), static_cast<std::uint32_t>(type), data.data(), data.size()));
    }
    /** A struct of side data: mastering_display, content_light or camera_calibration. */
    template <class T> [[nodiscard]] result<void> try_add_side_data(const T &data) noexcept {
      return try_add_side_data(detail::side_data_of<T>::type,
                               bytes(reinterpret_cast<const std::byte *>(&data), sizeof data));
    }
#if CUFRAMES_HAS_EXCEPTIONS
    void copy_from_host(std::size_t plane, bytes from, std::size_t pitch = 0) {
      try_copy_from_host(plane, from, pitch).value();
    }
    void copy_from_device(std::size_t plane, const void *from, std::size_t pitch, stream_view stream) {
      try_copy_from_device(plane, from, pitch, stream).value();
    }
    void add_side_data(side_data_type type, bytes data) {
      try_add_side_data(type, data).value();
    }
    template <class T> void add_side_data(const T &data) {
      try_add_side_data(data).value();
    }
#endif

    /** cuframes_frame_used_on(): before it is written anew, work on this stream that reads it has ended. */
    void used_on(stream_view stream) const noexcept {
      cuframes_frame_used_on(native_handle(), stream.native_handle());
    }
    /** cuframes_frame_ref(): a reference that stays when the frame is published, to read the picture. It counts as
     *  open. Ask seq, times and flags only when publish() has returned. */
    [[nodiscard]] cuframes::frame share() const noexcept {
      return cuframes::frame::adopt(cuframes_frame_ref(native_handle()));
    }
    /** Gives it back unpublished, as the destructor does. When its publisher has ended, that did so. */
    void cancel() noexcept {
      cuframes_frame *const mine = take();
      if (mine != nullptr && owner_.is_alive()) /* no call where the compiler sees that there is none */
        cuframes_frame_release(mine);
    }

  private:
    friend class publisher;
    frame(cuframes_frame *native, const publisher &owner) noexcept : any_frame(native), owner_(owner.self_) {}
    /* The handle for a call of that publisher, which refuses NULL: one of another may be gone. */
    [[nodiscard]] cuframes_frame *native_of(const publisher &other) const noexcept {
      return owner_.is_of(other.self_) ? native_handle() : nullptr;
    }

    detail::membership owner_;
  };

  /** A frame in memory of yours, which stays registered until unregister_external(), or the publisher's end: a name for
   *  it, which may be copied. */
  class buffer {
  public:
    [[nodiscard]] writable_device_plane device_plane(std::size_t index) const noexcept {
      std::uint32_t row_bytes = 0;
      std::uint32_t rows = 0;
      const int plane = static_cast<int>(index);
      void *const address = cuframes_frame_plane(native_, plane);
      if (address == nullptr ||
          detail::failed(cuframes_format_plane_size(cuframes_frame_format(native_), plane, &row_bytes, &rows)))
        return {};
      return { address, cuframes_frame_pitch(native_, plane), row_bytes, rows };
    }
    [[nodiscard]] std::uint64_t seq() const noexcept {
      return cuframes_frame_seq(native_);
    }
    [[nodiscard]] cuframes_frame *native_handle() const noexcept {
      return native_;
    }
    friend bool operator==(buffer a, buffer b) noexcept {
      return a.native_ == b.native_;
    }
    friend bool operator!=(buffer a, buffer b) noexcept {
      return a.native_ != b.native_;
    }

  private:
    friend class publisher;
    explicit buffer(cuframes_frame *native) noexcept : native_(native) {}
    cuframes_frame *native_;
  };

  /** cuframes_publisher_create(). */
  [[nodiscard]] static result<publisher> try_create(zstring_view name, const options &with = {}) noexcept;

  publisher(publisher &&other) noexcept
      : native_(std::exchange(other.native_, nullptr)), self_(std::exchange(other.self_, {})),
        external_(other.external_) {}
  publisher &operator=(publisher &&other) noexcept {
    if (this != &other) {
      end();
      native_ = std::exchange(other.native_, nullptr);
      self_ = std::exchange(other.self_, {});
      external_ = other.external_;
    }
    return *this;
  }
  publisher(const publisher &) = delete;
  publisher &operator=(const publisher &) = delete;
  ~publisher() {
    end();
  }

  /** cuframes_publisher_acquire(): an open frame, or errc::dropped when there is none for this picture. With the option
   *  external: acquire_buffer(). */
  [[nodiscard]] result<frame> try_acquire() noexcept {
    cuframes_frame *native = nullptr;
    if (external_)
      return not_own();
    const int code = cuframes_publisher_acquire(native_, &native);
    if (detail::failed(code))
      return error::last(code);
    return frame(native, *this);
  }
  /** cuframes_publisher_publish(). The frame is gone afterwards, also on failure; one of another publisher is refused
   *  and stays what it was, and so does one with errc::interrupted. errc::dropped: by policy::drop. */
  [[nodiscard]] result<void> try_publish(frame &&open, const publish_info &info = {}) noexcept {
    const cuframes_publish_info native = info.native();
    return result<void>::of(publish_native(std::move(open), native));
  }
  /** cuframes_publisher_publish_on(): the picture is complete when the stream has come so far. */
  [[nodiscard]] result<void> try_publish_on(frame &&open, stream_view stream, const publish_info &info = {}) noexcept {
    const cuframes_publish_info native = info.native();
    return result<void>::of(publish_native_on(std::move(open), stream, native));
  }

  /** cuframes_publisher_register_external(): memory of yours on the GPU, open; it must live as long as it is
   *  registered. */
  [[nodiscard]] result<buffer> try_register_external(void *address, std::uint64_t size) noexcept {
    cuframes_frame *native = nullptr;
    const int code = cuframes_publisher_register_external(native_, address, size, &native);
    if (detail::failed(code))
      return error::last(code);
    return buffer(native);
  }
  /** cuframes_publisher_acquire() with the option external: the buffer published longest ago, open again. */
  [[nodiscard]] result<buffer> try_acquire_buffer() noexcept {
    cuframes_frame *native = nullptr;
    if (native_ != nullptr && !external_)
      return error(errc::invalid, "this publisher has memory of its own: take frames with acquire()");
    const int code = cuframes_publisher_acquire(native_, &native);
    if (detail::failed(code))
      return error::last(code);
    return buffer(native);
  }
  [[nodiscard]] result<void> try_publish(buffer open, const publish_info &info = {}) noexcept {
    const cuframes_publish_info native = info.native();
    return result<void>::of(cuframes_publisher_publish(native_, open.native_, &native));
  }
  [[nodiscard]] result<void> try_publish_on(buffer open, stream_view stream, const publish_info &info = {}) noexcept {
    const cuframes_publish_info native = info.native();
    return result<void>::of(cuframes_publisher_publish_on(native_, open.native_, stream.native_handle(), &native));
  }
  /** cuframes_publisher_cancel(). */
  [[nodiscard]] result<void> try_cancel(buffer open) noexcept {
    return result<void>::of(cuframes_publisher_cancel(native_, open.native_));
  }
  /** cuframes_publisher_reopen(): errc::busy while somebody uses it. */
  [[nodiscard]] result<void> try_reopen(buffer published) noexcept {
    return result<void>::of(cuframes_publisher_reopen(native_, published.native_));
  }
  /** cuframes_publisher_unregister_external(). */
  [[nodiscard]] result<void> try_unregister_external(buffer registered) noexcept {
    return result<void>::of(cuframes_publisher_unregister_external(native_, registered.native_));
  }

  /** cuframes_publisher_interrupt(): from any thread and signal handlers. */
  void interrupt() const noexcept {
    cuframes_publisher_interrupt(native_);
  }
  /** cuframes_publisher_wait_subscribers(). */
  [[nodiscard]] result<void> try_wait_subscribers(std::uint32_t count, timeout limit = timeout::forever()) noexcept {
    return result<void>::of(cuframes_publisher_wait_subscribers(native_, count, limit.count()));
  }
  /** cuframes_publisher_drain(). */
  [[nodiscard]] result<void> try_drain(timeout limit) noexcept {
    return result<void>::of(cuframes_publisher_drain(native_, limit.count()));
  }
  /** cuframes_publisher_set_format(). */
  [[nodiscard]] result<void> try_set_format(const format &format) noexcept {
    return result<void>::of(cuframes_publisher_set_format(native_, &format.native()));
  }
  /** cuframes_publisher_set_limits(): lowers them, before there is a format; 0 leaves one as it is. */
  [[nodiscard]] result<void> try_set_limits(std::uint32_t max_open, std::uint32_t max_slots) noexcept {
    return result<void>::of(cuframes_publisher_set_limits(native_, max_open, max_slots));
  }
  /** cuframes_publisher_discontinuity(). */
  [[nodiscard]] result<void> try_discontinuity() noexcept {
    return result<void>::of(cuframes_publisher_discontinuity(native_));
  }
  /** cuframes_publisher_set_source(). */
  [[nodiscard]] result<void> try_set_source(const source_info &source) noexcept {
    const cuframes_source_info native = source.native();
    return result<void>::of(cuframes_publisher_set_source(native_, &native));
  }
  /** cuframes_publisher_enable_packets(); the option `packets` has the ring there before anybody joins. */
  [[nodiscard]] result<void> try_enable_packets(const packet_ring_options &ring = {}) noexcept {
    const cuframes_packet_ring_options native = ring.native();
    return result<void>::of(cuframes_publisher_enable_packets(native_, &native));
  }
  /** cuframes_publisher_set_codec_params() and cuframes_publisher_set_codec_extradata(): extradata first, so that
   *  nobody sees the parameters without it. */
  [[nodiscard]] result<void> try_set_track(std::uint32_t track, const codec_parameters &parameters) noexcept;
  /** cuframes_publisher_publish_packet(). */
  [[nodiscard]] result<void> try_publish_packet(const packet_info &packet) noexcept {
    const cuframes_packet_info native = packet.native();
    return result<void>::of(cuframes_publisher_publish_packet(native_, &native));
  }
  /** cuframes_publisher_publish_annotation(): any type. */
  [[nodiscard]] result<void> try_publish_annotation(std::uint32_t track, const frame_id &of, annotation_type type,
                                                    bytes data) noexcept {
    return result<void>::of(cuframes_publisher_publish_annotation(
        native_, track, &of.native(), static_cast<std::uint32_t>(type), data.data(), data.size()));
  }
  /** What was found in a frame; none is said, too. */
  [[nodiscard]] result<void> try_publish_detections(std::uint32_t track, const frame_id &of,
                                                    span<const detection> found) noexcept {
    return try_publish_annotation(track, of, annotation_type::detections,
                                  bytes(reinterpret_cast<const std::byte *>(found.data()), found.size_bytes()));
  }
  /** cuframes_publisher_get_stats(). */
  [[nodiscard]] result<stats> try_get_stats() const noexcept {
    stats found{};
    found.struct_size = sizeof found;
    const int code = cuframes_publisher_get_stats(native_, &found);
    if (detail::failed(code))
      return error::last(code);
    return found;
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static publisher create(zstring_view name, const options &with = {}) {
    return try_create(name, with).value();
  }
  /** Nothing: there is no frame for this picture, which is dropped. */
  [[nodiscard]] std::optional<frame> acquire() {
    cuframes_frame *native = nullptr;
    if (external_)
      throw error(not_own());
    const int code = cuframes_publisher_acquire(native_, &native);
    if (code == CUFRAMES_ERR_DROPPED)
      return std::nullopt;
    detail::check(code);
    return frame(native, *this);
  }
  delivery publish(frame &&open, const publish_info &info = {}) {
    const cuframes_publish_info native = info.native();
    return delivered(publish_native(std::move(open), native));
  }
  delivery publish_on(frame &&open, stream_view stream, const publish_info &info = {}) {
    const cuframes_publish_info native = info.native();
    return delivered(publish_native_on(std::move(open), stream, native));
  }
  [[nodiscard]] buffer register_external(void *address, std::uint64_t size) {
    return try_register_external(address, size).value();
  }
  [[nodiscard]] buffer acquire_buffer() {
    return try_acquire_buffer().value();
  }
  delivery publish(buffer open, const publish_info &info = {}) {
    const cuframes_publish_info native = info.native();
    return delivered(cuframes_publisher_publish(native_, open.native_, &native));
  }
  delivery publish_on(buffer open, stream_view stream, const publish_info &info = {}) {
    const cuframes_publish_info native = info.native();
    return delivered(cuframes_publisher_publish_on(native_, open.native_, stream.native_handle(), &native));
  }
  void cancel(buffer open) {
    try_cancel(open).value();
  }
  void reopen(buffer published) {
    try_reopen(published).value();
  }
  void unregister_external(buffer registered) {
    try_unregister_external(registered).value();
  }
  void wait_subscribers(std::uint32_t count, timeout limit = timeout::forever()) {
    try_wait_subscribers(count, limit).value();
  }
  void drain(timeout limit) {
    try_drain(limit).value();
  }
  void set_format(const format &format) {
    try_set_format(format).value();
  }
  void set_limits(std::uint32_t max_open, std::uint32_t max_slots) {
    try_set_limits(max_open, max_slots).value();
  }
  void discontinuity() {
    try_discontinuity().value();
  }
  void set_source(const source_info &source) {
    try_set_source(source).value();
  }
  void enable_packets(const packet_ring_options &ring = {}) {
    try_enable_packets(ring).value();
  }
  void set_track(std::uint32_t track, const codec_parameters &parameters) {
    try_set_track(track, parameters).value();
  }
  void publish_packet(const packet_info &packet) {
    const cuframes_packet_info native = packet.native();
    detail::check(cuframes_publisher_publish_packet(native_, &native));
  }
  void publish_annotation(std::uint32_t track, const frame_id &of, annotation_type type, bytes data) {
    try_publish_annotation(track, of, type, data).value();
  }
  void publish_detections(std::uint32_t track, const frame_id &of, span<const detection> found) {
    try_publish_detections(track, of, found).value();
  }
  [[nodiscard]] stats get_stats() const {
    return try_get_stats().value();
  }
#endif

  /** cuframes_publisher_device(). */
  [[nodiscard]] chosen_device device() const noexcept {
    chosen_device chosen{ nullptr, nullptr };
    chosen.name = cuframes_publisher_device(native_, &chosen.reason);
    return chosen;
  }
  [[nodiscard]] cuframes_publisher *native_handle() const noexcept {
    return native_;
  }

private:
  publisher(cuframes_publisher *native, detail::membership self, bool external) noexcept
      : native_(native), self_(self), external_(external) {}

  void end() noexcept {
    detail::cells::give_back(self_.at); /* first: from here on no open frame gives itself back */
    cuframes_publisher_destroy(native_);
  }

  [[nodiscard]] static error not_own() noexcept {
    return { errc::invalid, "this publisher's frames are buffers of yours: take them with acquire_buffer()" };
  }

  /* A frame of another publisher stays what it was. */
  [[nodiscard]] int publish_native(frame &&open, const cuframes_publish_info &info) noexcept {
    cuframes_frame *const native = open.native_of(*this);
    if (native != nullptr)
      (void)open.take(); /* before: so compilers see that there is nothing left to cancel */
    const int code = cuframes_publisher_publish(native_, native, &info);
    if (detail::failed(code) && code == CUFRAMES_ERR_INTERRUPTED)
      open.put_back(native);
    return code;
  }
  [[nodiscard]] int publish_native_on(frame &&open, stream_view stream, const cuframes_publish_info &info) noexcept {
    cuframes_frame *const native = open.native_of(*this);
    if (native != nullptr)
      (void)open.take(); /* before: so compilers see that there is nothing left to cancel */
    const int code = cuframes_publisher_publish_on(native_, native, stream.native_handle(), &info);
    if (detail::failed(code) && code == CUFRAMES_ERR_INTERRUPTED)
      open.put_back(native);
    return code;
  }
#if CUFRAMES_HAS_EXCEPTIONS
  static delivery delivered(int code) {
    if (code == CUFRAMES_ERR_DROPPED)
      return delivery::dropped;
    detail::check(code);
    return delivery::published;
  }
#endif

  cuframes_publisher *native_;
  detail::membership self_;
  bool external_;
};

inline result<publisher> publisher::try_create(zstring_view name, const options &with) noexcept {
  cuframes_publisher_options native{};
  native.struct_size = sizeof native;
  native.policy = static_cast<std::uint32_t>(with.policy);
  native.format = with.format.native();
  native.directory = detail::c_str_or_null(with.directory);
  native.device = with.device.native();
  native.description = detail::c_str_or_null(with.description);
  native.slots = with.slots;
  native.max_slots = with.max_slots;
  native.max_open = with.max_open;
  native.max_subscribers = with.max_subscribers;
  native.max_leases = with.max_leases;
  native.max_depth = with.max_depth;
  native.ordered_timeout_ns = with.ordered_timeout.count();
  native.socket_mode = with.socket_mode;
  native.socket_gid = with.socket_gid;
  native.allow_uids = with.allow_uids.data();
  native.allow_uid_count = with.allow_uids.size();
  native.allow_gids = with.allow_gids.data();
  native.allow_gid_count = with.allow_gids.size();
  native.access = static_cast<std::uint32_t>(with.access);
  native.memory = static_cast<std::uint32_t>(with.memory);
  native.external = with.external ? 1 : 0;
  native.side_data_max = with.side_data_max;
  const cuframes_packet_ring_options ring = with.packets.value_or(packet_ring_options{}).native();
  native.packets = with.packets ? &ring : nullptr;
  native.log = with.log.native_function();
  native.log_user = with.log.native_user();
  native.interrupt = with.interrupt.native_function();
  native.interrupt_user = with.interrupt.native_user();
  native.reserve = static_cast<std::uint32_t>(with.reserve);
  cuframes_publisher *made = nullptr;
  const int code = cuframes_publisher_create(name.c_str(), &native, &made);
  if (detail::failed(code))
    return error::last(code);
  detail::membership self;
  self.at = detail::cells::take(self.number);
  if (self.at == nullptr) {
    cuframes_publisher_destroy(made);
    return error(errc::no_memory, "no memory for a publisher");
  }
  return publisher(made, self, with.external);
}

inline result<void> publisher::try_set_track(std::uint32_t track, const codec_parameters &parameters) noexcept {
  const cuframes_codec_params native = parameters.native();
  const int code =
      cuframes_publisher_set_codec_extradata(native_, track, parameters.extradata.data(), parameters.extradata.size());
  if (detail::failed(code))
    return error::last(code);
  return result<void>::of(cuframes_publisher_set_codec_params(native_, track, &native));
}

static_assert(std::is_nothrow_move_constructible_v<publisher> && std::is_nothrow_move_assignable_v<publisher>);
static_assert(std::is_nothrow_move_constructible_v<publisher::frame>);
static_assert(!std::is_convertible_v<publisher::frame, frame> && !std::is_convertible_v<frame, publisher::frame>);

} // namespace cuframes

#endif
