/* cuframes/cpp/format.hpp - what a picture looks like in memory and says of itself, in strong types; devices. */
#ifndef CUFRAMES_CPP_FORMAT_HPP
#define CUFRAMES_CPP_FORMAT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include <cuframes/cpp/base.hpp>
#include <cuframes/format.h>

namespace cuframes {

/** enum cuframes_pixel_format. */
enum class pixel_format : std::uint32_t {
  none = CUFRAMES_PIXEL_NONE,
  nv12 = CUFRAMES_PIXEL_NV12,
  p010 = CUFRAMES_PIXEL_P010,
  yuv420p = CUFRAMES_PIXEL_YUV420P,
  yuv422p = CUFRAMES_PIXEL_YUV422P,
  yuv444p = CUFRAMES_PIXEL_YUV444P,
  gray8 = CUFRAMES_PIXEL_GRAY8,
  rgb24 = CUFRAMES_PIXEL_RGB24,
  rgba = CUFRAMES_PIXEL_RGBA,
  bgra = CUFRAMES_PIXEL_BGRA,
  bgr24 = CUFRAMES_PIXEL_BGR24,
  yuyv422 = CUFRAMES_PIXEL_YUYV422,
  uyvy422 = CUFRAMES_PIXEL_UYVY422,
  gray16 = CUFRAMES_PIXEL_GRAY16,
  yuv420p10 = CUFRAMES_PIXEL_YUV420P10,
  yuv422p10 = CUFRAMES_PIXEL_YUV422P10,
  rgbp = CUFRAMES_PIXEL_RGBP,
  tensor = CUFRAMES_PIXEL_TENSOR
};

/** Number of planes, 0 if the pixel format is unknown. */
[[nodiscard]] inline std::size_t planes_of(pixel_format pixels) noexcept {
  return static_cast<std::size_t>(cuframes_pixel_format_planes(static_cast<std::uint32_t>(pixels)));
}
/** Lower-case name, "unknown" if it is. Static. */
[[nodiscard]] inline const char *name_of(pixel_format pixels) noexcept {
  return cuframes_pixel_format_name(static_cast<std::uint32_t>(pixels));
}
/** The pixel format of that name, pixel_format::none if there is none. */
[[nodiscard]] inline pixel_format pixel_format_from_name(zstring_view name) noexcept {
  return static_cast<pixel_format>(cuframes_pixel_format_from_name(name.c_str()));
}

/** What a tensor consists of, enum cuframes_element. */
enum class element : std::uint32_t {
  none = CUFRAMES_ELEMENT_NONE,
  uint8 = CUFRAMES_ELEMENT_UINT8,
  int8 = CUFRAMES_ELEMENT_INT8,
  float16 = CUFRAMES_ELEMENT_FLOAT16,
  float32 = CUFRAMES_ELEMENT_FLOAT32,
  int32 = CUFRAMES_ELEMENT_INT32
};

/** Bytes of one, 0 if it is unknown. */
[[nodiscard]] inline std::size_t size_of(element type) noexcept {
  return cuframes_element_size(static_cast<std::uint32_t>(type));
}
/** Lower-case name, "unknown" if it is. Static. */
[[nodiscard]] inline const char *name_of(element type) noexcept {
  return cuframes_element_name(static_cast<std::uint32_t>(type));
}
/** The element type of that name, element::none if there is none. */
[[nodiscard]] inline element element_from_name(zstring_view name) noexcept {
  return static_cast<element>(cuframes_element_from_name(name.c_str()));
}

/** Width and height in pixels, which a call cannot take for each other. */
struct picture_size {
  std::uint32_t width = 0;
  std::uint32_t height = 0;

  friend constexpr bool operator==(picture_size a, picture_size b) noexcept {
    return a.width == b.width && a.height == b.height;
  }
  friend constexpr bool operator!=(picture_size a, picture_size b) noexcept {
    return !(a == b);
  }
};

/** A fraction; 0/0: not known. */
struct rational {
  std::uint32_t num = 0;
  std::uint32_t den = 0;

  friend constexpr bool operator==(rational a, rational b) noexcept {
    return a.num == b.num && a.den == b.den;
  }
  friend constexpr bool operator!=(rational a, rational b) noexcept {
    return !(a == b);
  }
};

/** Which part of the numbers is used. */
enum class color_range : std::uint8_t { not_said = 0, limited = 1, full = 2 };

/** Code points of ITU-T H.273, as cuframes_color; 0: not said. */
struct color {
  std::uint8_t matrix = 0;
  color_range range = color_range::not_said;
  std::uint8_t primaries = 0;
  std::uint8_t transfer = 0;

  [[nodiscard]] static constexpr color from_native(const cuframes_color &c) noexcept {
    return { c.matrix, static_cast<color_range>(c.range), c.primaries, c.transfer };
  }
  [[nodiscard]] constexpr cuframes_color native() const noexcept {
    return { matrix, static_cast<std::uint8_t>(range), primaries, transfer };
  }
};

/** enum cuframes_chroma_location. */
enum class chroma_location : std::uint8_t {
  not_said = CUFRAMES_CHROMA_NOT_SAID,
  left = CUFRAMES_CHROMA_LEFT,
  center = CUFRAMES_CHROMA_CENTER,
  top_left = CUFRAMES_CHROMA_TOP_LEFT,
  top = CUFRAMES_CHROMA_TOP,
  bottom_left = CUFRAMES_CHROMA_BOTTOM_LEFT,
  bottom = CUFRAMES_CHROMA_BOTTOM
};

/** enum cuframes_field_order. */
enum class field_order : std::uint8_t {
  not_said = CUFRAMES_FIELDS_NOT_SAID,
  progressive = CUFRAMES_FIELDS_PROGRESSIVE,
  top_first = CUFRAMES_FIELDS_TOP_FIRST,
  bottom_first = CUFRAMES_FIELDS_BOTTOM_FIRST
};

/** Where the first row and column belong, enum cuframes_orientation. */
enum class orientation : std::uint8_t {
  not_said = CUFRAMES_ORIENTATION_NOT_SAID,
  top_left = CUFRAMES_ORIENTATION_TOP_LEFT,
  top_right = CUFRAMES_ORIENTATION_TOP_RIGHT,
  bottom_right = CUFRAMES_ORIENTATION_BOTTOM_RIGHT,
  bottom_left = CUFRAMES_ORIENTATION_BOTTOM_LEFT,
  left_top = CUFRAMES_ORIENTATION_LEFT_TOP,
  right_top = CUFRAMES_ORIENTATION_RIGHT_TOP,
  right_bottom = CUFRAMES_ORIENTATION_RIGHT_BOTTOM,
  left_bottom = CUFRAMES_ORIENTATION_LEFT_BOTTOM
};

/** Bytes of picture in one row, and rows, of a plane. */
struct plane_extent {
  std::size_t row_bytes = 0;
  std::size_t rows = 0;
};

/** A picture's geometry and what it says of itself, or a tensor's; cuframes_format. One that was made by default is
 *  none: a publisher with it has packets alone. Setters may be chained. */
class format {
public:
  format() noexcept = default;
  /** A picture whose planes the library lays out. */
  [[nodiscard]] static format picture(cuframes::pixel_format pixels, picture_size size) noexcept {
    format made;
    made.native_.pixel_format = static_cast<std::uint32_t>(pixels);
    made.native_.width = size.width;
    made.native_.height = size.height;
    return made;
  }
  /** 1 to 4 dimensions, the outermost first. More than that is no format: the library says FORMAT. */
  [[nodiscard]] static format tensor(element type, std::initializer_list<std::uint32_t> sizes) noexcept {
    format made;
    made.native_.pixel_format = CUFRAMES_PIXEL_TENSOR;
    made.native_.tensor.element = static_cast<std::uint32_t>(type);
    made.native_.tensor.dims = static_cast<std::uint32_t>(sizes.size());
    std::size_t at = 0;
    for (const std::uint32_t size : sizes)
      if (at < CUFRAMES_TENSOR_DIMS_MAX)
        made.native_.tensor.size[at++] = size;
    return made;
  }
  explicit format(const cuframes_format &native) noexcept : native_(native) {}

  [[nodiscard]] cuframes::pixel_format pixel_format() const noexcept {
    return static_cast<cuframes::pixel_format>(native_.pixel_format);
  }
  [[nodiscard]] picture_size size() const noexcept {
    return { native_.width, native_.height };
  }
  [[nodiscard]] std::size_t planes() const noexcept {
    return planes_of(pixel_format());
  }
  [[nodiscard]] cuframes::color color() const noexcept {
    return cuframes::color::from_native(native_.color);
  }
  [[nodiscard]] cuframes::chroma_location chroma_location() const noexcept {
    return static_cast<cuframes::chroma_location>(native_.chroma_location);
  }
  [[nodiscard]] cuframes::field_order field_order() const noexcept {
    return static_cast<cuframes::field_order>(native_.field_order);
  }
  [[nodiscard]] cuframes::orientation orientation() const noexcept {
    return static_cast<cuframes::orientation>(native_.orientation);
  }
  /** Width of a pixel to its height. */
  [[nodiscard]] rational sample_aspect() const noexcept {
    return { native_.sample_aspect_num, native_.sample_aspect_den };
  }
  [[nodiscard]] element element_type() const noexcept {
    return static_cast<element>(native_.tensor.element);
  }
  /** The sizes of a tensor, the outermost first; none of a picture. Lives as long as this object. */
  [[nodiscard]] span<const std::uint32_t> tensor_sizes() const && =
      delete; /* of a temporary, as frame.format() is: keep that */
  [[nodiscard]] span<const std::uint32_t> tensor_sizes() const &noexcept {
    const std::uint32_t dims = native_.tensor.dims;
    return { native_.tensor.size, dims < CUFRAMES_TENSOR_DIMS_MAX ? dims : CUFRAMES_TENSOR_DIMS_MAX };
  }
  /** Bytes from one row to the next, 0: not laid out yet. */
  [[nodiscard]] std::size_t pitch(std::size_t plane) const noexcept {
    detail::require(plane < CUFRAMES_PLANES);
    return native_.pitch[plane];
  }
  /** Bytes from the start of the frame to the plane. */
  [[nodiscard]] std::size_t offset(std::size_t plane) const noexcept {
    detail::require(plane < CUFRAMES_PLANES);
    return native_.offset[plane];
  }
  [[nodiscard]] std::size_t padding() const noexcept {
    return native_.padding;
  }

  format &set_color(cuframes::color value) noexcept {
    native_.color = value.native();
    return *this;
  }
  format &set_chroma_location(cuframes::chroma_location value) noexcept {
    native_.chroma_location = static_cast<std::uint8_t>(value);
    return *this;
  }
  format &set_field_order(cuframes::field_order value) noexcept {
    native_.field_order = static_cast<std::uint8_t>(value);
    return *this;
  }
  format &set_orientation(cuframes::orientation value) noexcept {
    native_.orientation = static_cast<std::uint8_t>(value);
    return *this;
  }
  format &set_sample_aspect(rational value) noexcept {
    native_.sample_aspect_num = value.num;
    native_.sample_aspect_den = value.den;
    return *this;
  }
  /** A layout of your own, plane by plane: bytes from row to row, and from the start of the frame. */
  format &set_plane(std::size_t plane, std::uint32_t pitch, std::uint64_t offset) noexcept {
    detail::require(plane < CUFRAMES_PLANES);
    native_.pitch[plane] = pitch;
    native_.offset[plane] = offset;
    return *this;
  }
  format &set_padding(std::uint32_t padding_bytes) noexcept {
    native_.padding = padding_bytes;
    return *this;
  }

  /** cuframes_format_plane_size(): FORMAT where there is no such plane. */
  [[nodiscard]] result<plane_extent> try_plane_size(std::size_t plane) const noexcept {
    std::uint32_t row_bytes = 0;
    std::uint32_t rows = 0;
    const int code = cuframes_format_plane_size(&native_, static_cast<int>(plane), &row_bytes, &rows);
    if (detail::failed(code))
      return error::last(code);
    return plane_extent{ row_bytes, rows };
  }
  /** cuframes_format_layout(): checks, fills in what is 0, and gives the bytes of a frame. 0: pitches of 64 bytes. */
  [[nodiscard]] result<std::uint64_t> try_layout(std::uint32_t pitch_align = 0) noexcept {
    std::uint64_t frame_bytes = 0;
    const int code = cuframes_format_layout(&native_, pitch_align, &frame_bytes);
    if (detail::failed(code))
      return error::last(code);
    return frame_bytes;
  }
#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] plane_extent plane_size(std::size_t plane) const {
    return try_plane_size(plane).value();
  }
  std::uint64_t layout(std::uint32_t pitch_align = 0) {
    return try_layout(pitch_align).value();
  }
#endif

  [[nodiscard]] const cuframes_format &native() const noexcept {
    return native_;
  }
  friend bool operator==(const format &a, const format &b) noexcept {
    return std::memcmp(&a.native_, &b.native_, sizeof a.native_) == 0; /* the struct has no padding */
  }
  friend bool operator!=(const format &a, const format &b) noexcept {
    return !(a == b);
  }

private:
  cuframes_format native_{};
};

/** Where frames lie, or are to lie. */
class device {
public:
  /** The library's default: for a publisher the host, for a subscriber wherever the stream is. */
  device() = default;
  /** Memory that the CPU reads and writes. A subscriber refuses a stream on a GPU. */
  [[nodiscard]] static device host() {
    return device("host");
  }
  /** A publisher: a GPU if there is one, else the host. A subscriber: wherever the stream is. */
  [[nodiscard]] static device automatic() {
    return device("auto");
  }
  /** Memory of a GPU, the one whose context is current, or the first. A subscriber refuses a stream on the host. */
  [[nodiscard]] static device cuda() {
    return device("cuda");
  }
  /** As CUDA_VISIBLE_DEVICES counts. */
  [[nodiscard]] static device cuda(unsigned index) {
    return device("cuda:" + std::to_string(index));
  }
  /** "cuda:GPU-UUID", or whatever the library knows. */
  [[nodiscard]] static device named(std::string name) {
    return device(std::move(name));
  }
  /** NULL for the default. Lives as long as this object. */
  [[nodiscard]] const char *native() const noexcept {
    return detail::c_str_or_null(name_);
  }

private:
  explicit device(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

} // namespace cuframes

#endif
