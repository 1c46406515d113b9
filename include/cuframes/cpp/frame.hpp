/* cuframes/cpp/frame.hpp - frames in hand: what every frame says of itself, its planes, and a subscriber's frame.
 *
 * Ownership  A frame is one counted reference, moved only; clone() adds another. Its destructor gives it back, on the
 *            stream that it was given, if any. It may outlive its subscriber or publisher.
 * Threads    One object belongs to one thread at a time, as a std::unique_ptr does. Clones may be in other threads.
 * Functions  Each is a call of the C function that its comment names, whose errors, threads and waiting it has. An
 *            empty frame (moved from, released) says 0, or nothing.
 */
#ifndef CUFRAMES_CPP_FRAME_HPP
#define CUFRAMES_CPP_FRAME_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <cuframes/cpp/format.hpp>
#include <cuframes/dlpack.h>
#include <cuframes/frame.h>

namespace cuframes {

/** One plane in memory that the CPU reads: `rows` rows of `row_bytes` bytes, `pitch` bytes from one to the next. Owns
 *  nothing, and is good as long as the frame is in hand. Range-for goes through its rows. */
template <class Byte> struct basic_plane_view {
  static_assert(sizeof(Byte) == 1);
  /** T, const where the plane is. */
  template <class T> using as = std::conditional_t<std::is_const_v<Byte>, const T, T>;

  Byte *data = nullptr;
  std::size_t pitch = 0;
  std::size_t row_bytes = 0;
  std::size_t rows = 0;

  [[nodiscard]] explicit operator bool() const noexcept {
    return data != nullptr;
  }
  /** One row; one beyond the last ends the program. */
  [[nodiscard]] span<Byte> row(std::size_t index) const noexcept {
    detail::require(index < rows);
    return { data + index * pitch, row_bytes };
  }
  /** A row as samples of that type: std::uint8_t, std::uint16_t, float. */
  template <class T> [[nodiscard]] span<as<T>> row_as(std::size_t index) const noexcept {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_const_v<T>, "samples are plain numbers");
    const span<Byte> whole = row(index);
    return { reinterpret_cast<as<T> *>(whole.data()), whole.size() / sizeof(T) };
  }

  /** Goes from row to row. */
  class iterator {
  public:
    using iterator_category = std::input_iterator_tag; /* gives spans, no references to any */
    using value_type = span<Byte>;
    using difference_type = std::ptrdiff_t;
    using pointer = const span<Byte> *;
    using reference = span<Byte>;

    iterator() noexcept = default;
    iterator(const basic_plane_view &plane, std::size_t index) noexcept
        : row_(plane.data), pitch_(plane.pitch), row_bytes_(plane.row_bytes), index_(index) {}
    [[nodiscard]] span<Byte> operator*() const noexcept {
      return { row_, row_bytes_ };
    }
    iterator &operator++() noexcept {
      row_ += pitch_;
      index_++;
      return *this;
    }
    iterator operator++(int) noexcept {
      iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator!=(const iterator &a, const iterator &b) noexcept {
      return a.index_ != b.index_;
    }
    friend bool operator==(const iterator &a, const iterator &b) noexcept {
      return a.index_ == b.index_;
    }

  private:
    Byte *row_ = nullptr; /* the first one of end(), which is not read */
    std::size_t pitch_ = 0;
    std::size_t row_bytes_ = 0;
    std::size_t index_ = 0;
  };
  [[nodiscard]] iterator begin() const noexcept {
    return { *this, 0 };
  }
  [[nodiscard]] iterator end() const noexcept {
    return { *this, rows };
  }
};

using plane_view = basic_plane_view<const std::byte>;
using writable_plane_view = basic_plane_view<std::byte>;

/** One plane wherever it is: the address is good for a GPU's work where the frame is on a GPU, and nothing here reads
 *  it. `Void` is const where the plane may only be read. */
template <class Void> struct basic_device_plane {
  Void *address = nullptr;
  std::size_t pitch = 0;
  std::size_t row_bytes = 0;
  std::size_t rows = 0;

  [[nodiscard]] explicit operator bool() const noexcept {
    return address != nullptr;
  }
  /** The address as a kernel takes it. */
  template <class T> [[nodiscard]] auto as() const noexcept {
    return static_cast<std::conditional_t<std::is_const_v<Void>, const T, T> *>(address);
  }
};

using device_plane = basic_device_plane<const void>;
using writable_device_plane = basic_device_plane<void>;

/** enum cuframes_frame_flag. */
enum class frame_flag : std::uint32_t {
  discontinuity = CUFRAMES_FRAME_DISCONTINUITY,
  new_format = CUFRAMES_FRAME_NEW_FORMAT,
  key = CUFRAMES_FRAME_KEY,
  corrupt = CUFRAMES_FRAME_CORRUPT
};
using frame_flags = flags<frame_flag>;
[[nodiscard]] constexpr frame_flags operator|(frame_flag a, frame_flag b) noexcept {
  return frame_flags(a) | frame_flags(b);
}

/** enum cuframes_dlpack_flag. */
enum class dlpack_flag : std::uint32_t {
  unversioned = CUFRAMES_DLPACK_UNVERSIONED,
  copy = CUFRAMES_DLPACK_COPY,
  no_stream = CUFRAMES_DLPACK_NO_STREAM
};
using dlpack_flags = flags<dlpack_flag>;
[[nodiscard]] constexpr dlpack_flags operator|(dlpack_flag a, dlpack_flag b) noexcept {
  return dlpack_flags(a) | dlpack_flags(b);
}

/** A plane as an array: shape, strides and type. Owns nothing. */
using array = cuframes_array;

/** enum cuframes_side_data; types of an application count from `application` on: application_side_data(). */
enum class side_data_type : std::uint32_t {
  sei_user_data = CUFRAMES_SIDE_DATA_SEI_USER_DATA,
  a53_captions = CUFRAMES_SIDE_DATA_A53_CAPTIONS,
  mastering_display = CUFRAMES_SIDE_DATA_MASTERING_DISPLAY,
  content_light = CUFRAMES_SIDE_DATA_CONTENT_LIGHT,
  camera_calibration = CUFRAMES_SIDE_DATA_CAMERA_CALIBRATION,
  application = CUFRAMES_SIDE_DATA_APPLICATION
};
[[nodiscard]] constexpr side_data_type application_side_data(std::uint32_t number) noexcept {
  return static_cast<side_data_type>(CUFRAMES_SIDE_DATA_APPLICATION + number);
}

/** How a lens bends the picture, enum cuframes_distortion. */
enum class distortion : std::uint32_t {
  none = CUFRAMES_DISTORTION_NONE,
  brown = CUFRAMES_DISTORTION_BROWN,
  equidistant = CUFRAMES_DISTORTION_EQUIDISTANT
};

using mastering_display = cuframes_mastering_display;
using content_light = cuframes_content_light;
using camera_calibration = cuframes_camera_calibration;

namespace detail {
/* The type of the blob that a struct of side data is. */
template <class T> struct side_data_of;
template <> struct side_data_of<mastering_display> {
  static constexpr side_data_type type = side_data_type::mastering_display;
};
template <> struct side_data_of<content_light> {
  static constexpr side_data_type type = side_data_type::content_light;
};
template <> struct side_data_of<camera_calibration> {
  static constexpr side_data_type type = side_data_type::camera_calibration;
};
} // namespace detail

/** One piece of side data. */
struct side_data {
  side_data_type type = side_data_type::application;
  bytes data;
};

/** Which frame it is among all frames of all streams, cuframes_frame_id. */
class frame_id {
public:
  frame_id() noexcept {
    native_.struct_size = sizeof native_;
  }
  [[nodiscard]] std::uint64_t instance() const noexcept {
    return native_.instance;
  }
  [[nodiscard]] std::uint64_t seq() const noexcept {
    return native_.seq;
  }
  [[nodiscard]] std::optional<nanoseconds> pts() const noexcept {
    return detail::to_time(native_.pts);
  }
  [[nodiscard]] std::string_view stream() const noexcept {
    return { native_.stream, ::strnlen(native_.stream, sizeof native_.stream) };
  }
  [[nodiscard]] const cuframes_frame_id &native() const noexcept {
    return native_;
  }
  [[nodiscard]] cuframes_frame_id &native() noexcept {
    return native_;
  }
  friend bool operator==(const frame_id &a, const frame_id &b) noexcept {
    return a.instance() == b.instance() && a.seq() == b.seq() && a.stream() == b.stream();
  }
  friend bool operator!=(const frame_id &a, const frame_id &b) noexcept {
    return !(a == b);
  }

private:
  cuframes_frame_id native_{};
};

/** What frames of both sides have in common. A subscriber's is a `frame`, a publisher's a `publisher::frame`. */
class any_frame {
public:
  any_frame(const any_frame &) = delete;
  any_frame &operator=(const any_frame &) = delete;

  /** Whether there is a frame: not after a move or release(). */
  [[nodiscard]] explicit operator bool() const noexcept {
    return frame_ != nullptr;
  }
  [[nodiscard]] cuframes::pixel_format pixel_format() const noexcept {
    return static_cast<cuframes::pixel_format>(cuframes_frame_pixel_format(frame_));
  }
  [[nodiscard]] picture_size size() const noexcept {
    return { width(), height() };
  }
  [[nodiscard]] std::uint32_t width() const noexcept {
    return cuframes_frame_width(frame_);
  }
  [[nodiscard]] std::uint32_t height() const noexcept {
    return cuframes_frame_height(frame_);
  }
  [[nodiscard]] cuframes::color color() const noexcept {
    return cuframes::color::from_native(cuframes_frame_color(frame_));
  }
  /** A copy of the whole format, every pitch and offset filled in; none of an empty frame. */
  [[nodiscard]] cuframes::format format() const noexcept {
    const cuframes_format *native = cuframes_frame_format(frame_);
    return native != nullptr ? cuframes::format(*native) : cuframes::format();
  }
  [[nodiscard]] std::size_t planes() const noexcept {
    return planes_of(pixel_format());
  }
  /** 1, 2, 3, ...; 0 before it is published. */
  [[nodiscard]] std::uint64_t seq() const noexcept {
    return cuframes_frame_seq(frame_);
  }
  /** On the source's clock. */
  [[nodiscard]] std::optional<nanoseconds> pts() const noexcept {
    return detail::to_time(cuframes_frame_pts(frame_));
  }
  /** 0 if unknown. */
  [[nodiscard]] nanoseconds duration() const noexcept {
    return nanoseconds(cuframes_frame_duration(frame_));
  }
  /** When it was published; the beginning of the clock of an empty frame. */
  [[nodiscard]] time_point timestamp() const noexcept {
    return time_point(detail::to_time(cuframes_frame_timestamp(frame_)).value_or(nanoseconds::zero()));
  }
  /** When the camera took it, where the source tells. */
  [[nodiscard]] std::optional<wall_time> capture_time() const noexcept {
    const auto time = detail::to_time(cuframes_frame_capture_time(frame_));
    return time ? std::optional(wall_time(*time)) : std::nullopt;
  }
  [[nodiscard]] frame_flags flags() const noexcept {
    return frame_flags::from_bits(cuframes_frame_flags(frame_));
  }
  /** "host" or "cuda:GPU-..."; empty of an empty frame. */
  [[nodiscard]] std::string_view device() const noexcept {
    const char *name = cuframes_frame_device(frame_);
    return name != nullptr ? std::string_view(name) : std::string_view();
  }
  /** Whether the CPU can read its planes. */
  [[nodiscard]] bool on_host() const noexcept {
    const char *name = cuframes_frame_device(frame_);
    return name != nullptr && name[0] == 'h'; /* "host"; GPUs begin with "cuda:" */
  }

  /** cuframes_frame_identify(). */
  [[nodiscard]] result<frame_id> try_identify() const noexcept {
    frame_id id;
    const int code = cuframes_frame_identify(frame_, &id.native());
    if (detail::failed(code))
      return error::last(code);
    return id;
  }
  /** cuframes_frame_copy_to_host(), into memory whose size is looked at: rows `pitch` bytes apart, 0: packed. */
  [[nodiscard]] result<void> try_copy_to_host(std::size_t plane, writable_bytes to,
                                              std::size_t pitch = 0) const noexcept {
    if (!holds(plane, to.size(), pitch))
      return error(errc::invalid, "copying a plane to the host: the memory given is smaller than the plane");
    return result<void>::of(cuframes_frame_copy_to_host(frame_, static_cast<int>(plane), to.data(), pitch));
  }

  /** cuframes_frame_side_data(): the first piece of that type. */
  [[nodiscard]] std::optional<bytes> side_data_of(side_data_type type) const noexcept {
    std::size_t size = 0;
    const void *data = cuframes_frame_side_data(frame_, static_cast<std::uint32_t>(type), &size);
    return data != nullptr ? std::optional(bytes(static_cast<const std::byte *>(data), size)) : std::nullopt;
  }
  /** A copy of the first piece that is such a struct: mastering_display, content_light or camera_calibration. */
  template <class T> [[nodiscard]] std::optional<T> side_data_as() const noexcept {
    const auto found = side_data_of(detail::side_data_of<T>::type);
    if (!found || found->size() != sizeof(T))
      return std::nullopt;
    T copy;
    std::memcpy(&copy, found->data(), sizeof copy);
    return copy;
  }
  /** cuframes_frame_side_data_at(): 0, 1, 2, ... until there is none. */
  [[nodiscard]] std::optional<side_data> side_data_at(std::uint32_t index) const noexcept {
    std::uint32_t type = 0;
    std::size_t size = 0;
    const void *data = cuframes_frame_side_data_at(frame_, index, &type, &size);
    if (data == nullptr)
      return std::nullopt;
    return side_data{ static_cast<side_data_type>(type), bytes(static_cast<const std::byte *>(data), size) };
  }

  /** cuframes_frame_array(): the plane as shape and strides. */
  [[nodiscard]] result<array> try_array(std::size_t plane) const noexcept {
    array described{};
    described.struct_size = sizeof described;
    const int code = cuframes_frame_array(frame_, static_cast<int>(plane), &described);
    if (detail::failed(code))
      return error::last(code);
    return described;
  }
  /** cuframes_frame_dlpack(): a DLManagedTensorVersioned, or a DLManagedTensor, that holds a reference of its own; who
   *  takes it calls its deleter. `stream` is the one that it will be used on. */
  [[nodiscard]] result<void *> try_dlpack(std::size_t plane, stream_view stream, dlpack_flags how = {}) const noexcept {
    void *tensor = nullptr;
    const int code =
        cuframes_frame_dlpack(frame_, static_cast<int>(plane), stream.native_handle(), how.bits(), &tensor);
    if (detail::failed(code))
      return error::last(code);
    return { std::move(tensor) };
  }
  /** cuframes_frame_references(): how many there are at this moment. */
  [[nodiscard]] std::uint32_t references() const noexcept {
    return cuframes_frame_references(frame_);
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] array as_array(std::size_t plane) const {
    return try_array(plane).value();
  }
  [[nodiscard]] void *dlpack(std::size_t plane, stream_view stream, dlpack_flags how = {}) const {
    return try_dlpack(plane, stream, how).value();
  }
  [[nodiscard]] frame_id identify() const {
    return try_identify().value();
  }
  void copy_to_host(std::size_t plane, writable_bytes to, std::size_t pitch = 0) const {
    try_copy_to_host(plane, to, pitch).value();
  }
#endif

  /** The C API's, still owned by this object. */
  [[nodiscard]] cuframes_frame *native_handle() const noexcept {
    return frame_;
  }

protected:
  any_frame() noexcept = default;
  explicit any_frame(cuframes_frame *frame) noexcept : frame_(frame) {}
  any_frame(any_frame &&other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  any_frame &operator=(any_frame &&other) noexcept {
    frame_ = std::exchange(other.frame_, nullptr);
    return *this;
  }
  ~any_frame() = default;

  [[nodiscard]] cuframes_frame *take() noexcept {
    return std::exchange(frame_, nullptr);
  }
  /* What take() gave. */
  void put_back(cuframes_frame *native) noexcept {
    frame_ = native;
  }

  template <class View, class Pointer> [[nodiscard]] View view_of(std::size_t plane, bool there) const noexcept {
    const int index = static_cast<int>(plane);
    void *const address = there ? cuframes_frame_plane(frame_, index) : nullptr;
    std::uint32_t row_bytes = 0;
    std::uint32_t rows = 0;
    if (address == nullptr ||
        detail::failed(cuframes_format_plane_size(cuframes_frame_format(frame_), index, &row_bytes, &rows)))
      return {};
    return { static_cast<Pointer>(address), cuframes_frame_pitch(frame_, index), row_bytes, rows };
  }

  /** Whether `size` bytes are enough for the plane's rows that far apart. The library says what else is wrong. */
  [[nodiscard]] bool holds(std::size_t plane, std::size_t size, std::size_t pitch) const noexcept {
    const auto view = view_of<device_plane, const void *>(plane, true);
    const std::size_t distance = pitch != 0 ? pitch : view.row_bytes;
    return view.rows == 0 || distance < view.row_bytes ||
           (size >= view.row_bytes && (size - view.row_bytes) / distance >= view.rows - 1);
  }

private:
  cuframes_frame *frame_ = nullptr;
};

/** A subscriber's frame: memory that stays exactly as it is, and can only be read, until the last reference is gone.
 *  It comes from cuframes::subscriber. */
class frame : public any_frame {
public:
  /** An empty one, to be moved into. */
  frame() noexcept = default;
  /** Takes a reference of the C API over. */
  [[nodiscard]] static frame adopt(cuframes_frame *native) noexcept {
    return frame(native);
  }
  frame(frame &&other) noexcept
      : any_frame(other.take()), stream_(other.stream_), on_stream_(std::exchange(other.on_stream_, false)) {}
  frame &operator=(frame &&other) noexcept {
    if (this != &other) {
      release();
      stream_ = other.stream_;
      on_stream_ = std::exchange(other.on_stream_, false);
      any_frame::operator=(std::move(other));
    }
    return *this;
  }
  frame(const frame &) = delete;
  frame &operator=(const frame &) = delete;
  ~frame() {
    release();
  }

  /** The plane for the CPU; an empty one, without rows, if there is no such plane or the frame is on a GPU. */
  [[nodiscard]] plane_view plane(std::size_t index) const &noexcept {
    return view_of<plane_view, const std::byte *>(index, on_host());
  }
  [[nodiscard]] plane_view plane(std::size_t index) const && =
      delete; /* the frame would be given back before the view is used */
  /** The plane as an address, for work on the device of the frame. Do not read it with the CPU unless on_host(). */
  [[nodiscard]] cuframes::device_plane device_plane(std::size_t index) const &noexcept {
    return view_of<cuframes::device_plane, const void *>(index, true);
  }
  [[nodiscard]] cuframes::device_plane device_plane(std::size_t index) const && = delete;

  /** cuframes_frame_ref(): another reference, given back on the same stream; empty of an empty frame. */
  [[nodiscard]] frame clone() const noexcept {
    frame copy(cuframes_frame_ref(native_handle()));
    copy.stream_ = stream_;
    copy.on_stream_ = on_stream_;
    return copy;
  }
  /** From now on the frame is given back when this stream has come as far as it is by then. */
  void release_with(stream_view stream) noexcept {
    stream_ = stream.native_handle();
    on_stream_ = true;
  }
  /** cuframes_frame_used_on(): another stream that uses it. */
  void used_on(stream_view stream) const noexcept {
    cuframes_frame_used_on(native_handle(), stream.native_handle());
  }
  /** Gives the reference back now, as the destructor does: on the stream that the frame was given, if any. */
  void release() noexcept {
    cuframes_frame *const mine = take();
    if (mine == nullptr)
      return;
    if (on_stream_)
      cuframes_frame_release_on(mine, stream_);
    else
      cuframes_frame_release(mine);
    on_stream_ = false;
  }
  /** cuframes_frame_release_on(). */
  void release_on(stream_view stream) noexcept {
    cuframes_frame_release_on(take(), stream.native_handle());
    on_stream_ = false;
  }
  /** The reference for the C API; the caller gives it back. */
  [[nodiscard]] cuframes_frame *detach() noexcept {
    on_stream_ = false;
    return take();
  }

  /** cuframes_frame_wait(): whether the picture is whole. LOST: it never will be. */
  [[nodiscard]] result<void> try_wait(timeout limit = timeout::forever()) const noexcept {
    return result<void>::of(cuframes_frame_wait(native_handle(), limit.count()));
  }
#if CUFRAMES_HAS_EXCEPTIONS
  void wait(timeout limit = timeout::forever()) const {
    detail::check(cuframes_frame_wait(native_handle(), limit.count()));
  }
#endif

private:
  explicit frame(cuframes_frame *native) noexcept : any_frame(native) {}

  void *stream_ = nullptr;
  bool on_stream_ = false;
};

static_assert(std::is_nothrow_move_constructible_v<frame> && std::is_nothrow_move_assignable_v<frame>);
static_assert(!std::is_copy_constructible_v<frame>);

} // namespace cuframes

#endif
