/* cuframes/cpp/vision.hpp - pictures of many streams become one tensor, or one picture.
 *
 * Functions  Each is a call of the C function that its comment names, whose errors, threads and waiting it has.
 * Ownership  preprocess and compositor are moved only. A picture owns nothing: the frame that it is of must be in hand
 *            until the work that uses it is done; on a GPU frame::used_on() or release_on() sees to that.
 */
#ifndef CUFRAMES_CPP_VISION_HPP
#define CUFRAMES_CPP_VISION_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuframes/cpp/frame.hpp>
#include <cuframes/vision.h>

namespace cuframes {

/** A part of a picture, pixels; cuframes_rectangle. */
using rectangle = cuframes_rectangle;

/** Order of a tensor's sizes, enum cuframes_layout. */
enum class tensor_layout : std::uint32_t { nchw = CUFRAMES_LAYOUT_NCHW, nhwc = CUFRAMES_LAYOUT_NHWC };
/** enum cuframes_channels. */
enum class tensor_channels : std::uint32_t {
  rgb = CUFRAMES_CHANNELS_RGB,
  bgr = CUFRAMES_CHANNELS_BGR,
  gray = CUFRAMES_CHANNELS_GRAY
};
/** How a picture is put into another shape, enum cuframes_fit. */
enum class fit : std::uint32_t {
  letterbox = CUFRAMES_FIT_LETTERBOX,
  top_left = CUFRAMES_FIT_TOP_LEFT,
  stretch = CUFRAMES_FIT_STRETCH,
  cover = CUFRAMES_FIT_COVER
};
/** How pixels between samples are made, enum cuframes_filter. */
enum class filter : std::uint32_t { linear = CUFRAMES_FILTER_LINEAR, area = CUFRAMES_FILTER_AREA };

/** How a picture was put into an output, cuframes_geometry. */
struct geometry : cuframes_geometry {
  /** A box of the output, as a detector gives it, in pixels of the stored picture. */
  [[nodiscard]] constexpr rectangle to_picture(const rectangle &box) const noexcept {
    return { static_cast<float>((static_cast<double>(box.x) - offset_x) / scale_x),
             static_cast<float>((static_cast<double>(box.y) - offset_y) / scale_y),
             static_cast<float>(static_cast<double>(box.width) / scale_x),
             static_cast<float>(static_cast<double>(box.height) / scale_y) };
  }
  /** The other way round. */
  [[nodiscard]] constexpr rectangle to_output(const rectangle &box) const noexcept {
    return { static_cast<float>(static_cast<double>(box.x) * scale_x + offset_x),
             static_cast<float>(static_cast<double>(box.y) * scale_y + offset_y),
             static_cast<float>(static_cast<double>(box.width) * scale_x),
             static_cast<float>(static_cast<double>(box.height) * scale_y) };
  }
};
static_assert(sizeof(geometry) == sizeof(cuframes_geometry) && std::is_standard_layout_v<geometry>);

/** A frame to be looked at, or "no picture"; cuframes_picture. */
class picture {
public:
  /** No picture: padding, where that is allowed. */
  picture() noexcept = default;
  /** Memory of your own. */
  explicit picture(const cuframes_picture &native) noexcept : native_(native) {}
  /** cuframes_picture_from_frame(), and the part of it that is used. */
  [[nodiscard]] static result<picture> try_from(const any_frame &frame, const rectangle &crop = {}) noexcept {
    picture made;
    const int code = cuframes_picture_from_frame(frame.native_handle(), &made.native_);
    if (detail::failed(code))
      return error::last(code);
    made.native_.crop = crop;
    return made;
  }
#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static picture from(const any_frame &frame, const rectangle &crop = {}) {
    return try_from(frame, crop).value();
  }
#endif
  [[nodiscard]] const cuframes_picture &native() const noexcept {
    return native_;
  }

private:
  cuframes_picture native_{};
};
static_assert(sizeof(picture) == sizeof(cuframes_picture) && std::is_standard_layout_v<picture>);

/** cuframes_preprocess_options; 0 means the default: float32 NCHW, RGB of 0..1, letterbox, linear, black padding. */
struct preprocess_options {
  picture_size size{ 0, 0 }; /**< of the tensor; must be given */
  cuframes::element element = cuframes::element::float32;
  tensor_layout layout = tensor_layout::nchw;
  tensor_channels channels = tensor_channels::rgb;
  cuframes::fit fit = cuframes::fit::letterbox;
  cuframes::filter filter = cuframes::filter::linear;
  float scale = 0;
  std::array<float, 3> mean{};
  std::array<float, 3> deviation{}; /**< std of the C struct */
  std::array<float, 3> padding{};
  std::uint32_t capacity = 0;
  cuframes::device device;
};

/** Pictures of any kind and size become one tensor. */
class preprocess {
public:
  using options = preprocess_options;

  /** cuframes_preprocess_create(). */
  [[nodiscard]] static result<preprocess> try_create(const options &with) noexcept {
    cuframes_preprocess_options native{};
    native.struct_size = sizeof native;
    native.width = with.size.width;
    native.height = with.size.height;
    native.element = static_cast<std::uint32_t>(with.element);
    native.layout = static_cast<std::uint32_t>(with.layout);
    native.channels = static_cast<std::uint32_t>(with.channels);
    native.fit = static_cast<std::uint32_t>(with.fit);
    native.filter = static_cast<std::uint32_t>(with.filter);
    native.scale = with.scale;
    for (std::size_t i = 0; i < with.mean.size(); i++) {
      native.mean[i] = with.mean[i];
      native.std[i] = with.deviation[i];
      native.padding[i] = with.padding[i];
    }
    native.capacity = with.capacity;
    native.device = with.device.native();
    cuframes_preprocess *made = nullptr;
    const int code = cuframes_preprocess_create(&native, &made);
    if (detail::failed(code))
      return error::last(code);
    return preprocess(made);
  }

  preprocess(preprocess &&other) noexcept : native_(std::exchange(other.native_, nullptr)) {}
  preprocess &operator=(preprocess &&other) noexcept {
    if (this != &other) {
      cuframes_preprocess_destroy(native_);
      native_ = std::exchange(other.native_, nullptr);
    }
    return *this;
  }
  preprocess(const preprocess &) = delete;
  preprocess &operator=(const preprocess &) = delete;
  ~preprocess() {
    cuframes_preprocess_destroy(native_);
  }

  /** cuframes_preprocess_run() on the host. tensor: memory for all of them; placed (may be NULL): one for each. */
  [[nodiscard]] result<void> try_run(const std::vector<picture> &pictures, void *tensor,
                                     geometry *placed = nullptr) noexcept {
    return run(pictures, tensor, nullptr, placed);
  }
  /** The same on a GPU, in order on the stream. */
  [[nodiscard]] result<void> try_run_on(stream_view stream, const std::vector<picture> &pictures, void *tensor,
                                        geometry *placed = nullptr) noexcept {
    return run(pictures, tensor, stream.native_handle(), placed);
  }
  /** cuframes_preprocess_set(), for CUDA graphs. */
  [[nodiscard]] result<void> try_set(stream_view stream, const std::vector<picture> &pictures,
                                     geometry *placed = nullptr) noexcept {
    return result<void>::of(
        cuframes_preprocess_set(native_, native_of(pictures), count_of(pictures), stream.native_handle(), placed));
  }
  /** cuframes_preprocess_launch(): what the graph captures. */
  [[nodiscard]] result<void> try_launch(stream_view stream, std::uint32_t count, void *tensor) noexcept {
    return result<void>::of(cuframes_preprocess_launch(native_, count, tensor, stream.native_handle()));
  }
  /** cuframes_preprocess_format(): of a stream of such tensors. */
  [[nodiscard]] result<format> try_format(std::uint32_t count) const noexcept {
    cuframes_format native{};
    const int code = cuframes_preprocess_format(native_, count, &native);
    if (detail::failed(code))
      return error::last(code);
    return format(native);
  }
  /** cuframes_preprocess_device(). */
  [[nodiscard]] const char *device() const noexcept {
    return cuframes_preprocess_device(native_);
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static preprocess create(const options &with) {
    return try_create(with).value();
  }
  void run(const std::vector<picture> &pictures, void *tensor, geometry *placed = nullptr) {
    try_run(pictures, tensor, placed).value();
  }
  void run_on(stream_view stream, const std::vector<picture> &pictures, void *tensor, geometry *placed = nullptr) {
    try_run_on(stream, pictures, tensor, placed).value();
  }
  void set(stream_view stream, const std::vector<picture> &pictures, geometry *placed = nullptr) {
    try_set(stream, pictures, placed).value();
  }
  void launch(stream_view stream, std::uint32_t count, void *tensor) {
    try_launch(stream, count, tensor).value();
  }
  [[nodiscard]] cuframes::format format_of(std::uint32_t count) const {
    return try_format(count).value();
  }
#endif

  [[nodiscard]] cuframes_preprocess *native_handle() const noexcept {
    return native_;
  }

private:
  explicit preprocess(cuframes_preprocess *native) noexcept : native_(native) {}
  /* a picture is its native one, and nothing else */
  [[nodiscard]] static const cuframes_picture *native_of(const std::vector<picture> &pictures) noexcept {
    return pictures.empty() ? nullptr : &pictures.front().native();
  }
  [[nodiscard]] static std::uint32_t count_of(const std::vector<picture> &pictures) noexcept {
    return static_cast<std::uint32_t>(pictures.size());
  }
  [[nodiscard]] result<void> run(const std::vector<picture> &pictures, void *tensor, void *stream,
                                 geometry *placed) noexcept {
    return result<void>::of(
        cuframes_preprocess_run(native_, native_of(pictures), count_of(pictures), tensor, stream, placed));
  }

  cuframes_preprocess *native_;
};

static_assert(std::is_nothrow_move_constructible_v<preprocess> && std::is_nothrow_move_assignable_v<preprocess>);

/** A picture, or a rectangle of one colour, somewhere in the output; cuframes_layer. */
class layer {
public:
  layer(const picture &shown, std::int32_t x, std::int32_t y, picture_size size,
        cuframes::filter with = cuframes::filter::linear, std::uint8_t opacity = 255) noexcept
      : layer(x, y, size) {
    native_.picture = shown.native();
    native_.filter = static_cast<std::uint32_t>(with);
    native_.color[3] = opacity;
  }
  layer(const std::array<std::uint8_t, 4> &rgba, std::int32_t x, std::int32_t y, picture_size size) noexcept
      : layer(x, y, size) {
    for (std::size_t i = 0; i < rgba.size(); i++)
      native_.color[i] = rgba[i];
  }
  [[nodiscard]] const cuframes_layer &native() const noexcept {
    return native_;
  }

private:
  layer(std::int32_t x, std::int32_t y, picture_size size) noexcept {
    native_.x = x;
    native_.y = y;
    native_.width = size.width;
    native_.height = size.height;
  }
  cuframes_layer native_{};
};
static_assert(sizeof(layer) == sizeof(cuframes_layer) && std::is_standard_layout_v<layer>);

/** cuframes_compositor_options; 0 means the default. */
struct compositor_options {
  std::uint32_t capacity = 0;
  cuframes::device device;
};

/** One of the bands of rows that threads share an output in: the uppermost is 0. */
struct band {
  std::uint32_t index = 0;
  std::uint32_t count = 1;
};

/** Many pictures become one. */
class compositor {
public:
  using options = compositor_options;

  /** cuframes_compositor_create(). */
  [[nodiscard]] static result<compositor> try_create(const options &with = {}) noexcept {
    cuframes_compositor_options native{};
    native.struct_size = sizeof native;
    native.capacity = with.capacity;
    native.device = with.device.native();
    cuframes_compositor *made = nullptr;
    const int code = cuframes_compositor_create(&native, &made);
    if (detail::failed(code))
      return error::last(code);
    return compositor(made);
  }

  compositor(compositor &&other) noexcept : native_(std::exchange(other.native_, nullptr)) {}
  compositor &operator=(compositor &&other) noexcept {
    if (this != &other) {
      cuframes_compositor_destroy(native_);
      native_ = std::exchange(other.native_, nullptr);
    }
    return *this;
  }
  compositor(const compositor &) = delete;
  compositor &operator=(const compositor &) = delete;
  ~compositor() {
    cuframes_compositor_destroy(native_);
  }

  /** cuframes_compositor_run() on the host; of one band, cuframes_compositor_run_part(). output: an open frame's
   *  picture. */
  [[nodiscard]] result<void> try_run(const std::vector<layer> &layers, const picture &output,
                                     const band &of = {}) noexcept {
    return result<void>::of(cuframes_compositor_run_part(native_, native_of(layers), count_of(layers), &output.native(),
                                                         nullptr, of.index, of.count));
  }
  /** cuframes_compositor_run() on a GPU, in order on the stream. */
  [[nodiscard]] result<void> try_run_on(stream_view stream, const std::vector<layer> &layers,
                                        const picture &output) noexcept {
    return result<void>::of(cuframes_compositor_run(native_, native_of(layers), count_of(layers), &output.native(),
                                                    stream.native_handle()));
  }
  /** cuframes_compositor_device(). */
  [[nodiscard]] const char *device() const noexcept {
    return cuframes_compositor_device(native_);
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static compositor create(const options &with = {}) {
    return try_create(with).value();
  }
  void run(const std::vector<layer> &layers, const picture &output, const band &of = {}) {
    try_run(layers, output, of).value();
  }
  void run_on(stream_view stream, const std::vector<layer> &layers, const picture &output) {
    try_run_on(stream, layers, output).value();
  }
#endif

  [[nodiscard]] cuframes_compositor *native_handle() const noexcept {
    return native_;
  }

private:
  explicit compositor(cuframes_compositor *native) noexcept : native_(native) {}
  [[nodiscard]] static const cuframes_layer *native_of(const std::vector<layer> &layers) noexcept {
    return layers.empty() ? nullptr : &layers.front().native();
  }
  [[nodiscard]] static std::uint32_t count_of(const std::vector<layer> &layers) noexcept {
    return static_cast<std::uint32_t>(layers.size());
  }

  cuframes_compositor *native_;
};

static_assert(std::is_nothrow_move_constructible_v<compositor> && std::is_nothrow_move_assignable_v<compositor>);

} // namespace cuframes

#endif
