/* cuframes/cpp/packet.hpp - encoded packets beside the frames, and what a muxer must know of their tracks. */
#ifndef CUFRAMES_CPP_PACKET_HPP
#define CUFRAMES_CPP_PACKET_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuframes/annotation.h>
#include <cuframes/cpp/frame.hpp>
#include <cuframes/packet.h>

namespace cuframes {

/** enum cuframes_media_type. */
enum class media_type : std::uint32_t {
  none = 0,
  video = CUFRAMES_MEDIA_VIDEO,
  audio = CUFRAMES_MEDIA_AUDIO,
  data = CUFRAMES_MEDIA_DATA
};

/** enum cuframes_packet_flag. */
enum class packet_flag : std::uint32_t {
  key = CUFRAMES_PACKET_KEY,
  discontinuity = CUFRAMES_PACKET_DISCONTINUITY,
  corrupt = CUFRAMES_PACKET_CORRUPT,
  new_params = CUFRAMES_PACKET_NEW_PARAMS,
  hidden = CUFRAMES_PACKET_HIDDEN,
  disposable = CUFRAMES_PACKET_DISPOSABLE
};
using packet_flags = flags<packet_flag>;
[[nodiscard]] constexpr packet_flags operator|(packet_flag a, packet_flag b) noexcept {
  return packet_flags(a) | packet_flags(b);
}

/** What a muxer or decoder must know of one track: cuframes_codec_params, and the extradata. */
struct codec_parameters {
  media_type type = media_type::video;
  std::string codec; /**< FFmpeg's name; at most CUFRAMES_CODEC_NAME_MAX bytes are used */
  std::optional<std::uint32_t> profile, level;
  picture_size size;                           /**< video */
  rational frame_rate;                         /**< video, nominal */
  std::uint32_t sample_rate = 0, channels = 0; /**< audio */
  std::uint32_t frame_size = 0;                /**< audio: samples per packet, 0: varies */
  rational time_base;                          /**< of the source */
  std::uint64_t bit_rate = 0;                  /**< bits per second, 0: unknown */
  cuframes::color color;
  cuframes::chroma_location chroma_location = cuframes::chroma_location::not_said;
  cuframes::field_order field_order = cuframes::field_order::not_said;
  cuframes::orientation orientation = cuframes::orientation::not_said;
  rational sample_aspect;
  cuframes::mastering_display mastering_display{};
  cuframes::content_light content_light{};
  std::vector<std::byte> extradata; /**< at most CUFRAMES_EXTRADATA_MAX bytes */

  [[nodiscard]] cuframes_codec_params native() const noexcept {
    cuframes_codec_params p{};
    p.struct_size = sizeof p;
    p.media_type = static_cast<std::uint32_t>(type);
    std::memcpy(p.codec, codec.data(), (std::min)(codec.size(), sizeof p.codec - 1));
    p.profile = profile.value_or(UINT32_MAX);
    p.level = level.value_or(UINT32_MAX);
    p.width = size.width;
    p.height = size.height;
    p.frame_rate_num = frame_rate.num;
    p.frame_rate_den = frame_rate.den;
    p.sample_rate = sample_rate;
    p.channels = channels;
    p.frame_size = frame_size;
    p.time_base_num = time_base.num;
    p.time_base_den = time_base.den;
    p.color = color.native();
    p.bit_rate = bit_rate;
    p.chroma_location = static_cast<std::uint8_t>(chroma_location);
    p.field_order = static_cast<std::uint8_t>(field_order);
    p.orientation = static_cast<std::uint8_t>(orientation);
    p.sample_aspect_num = sample_aspect.num;
    p.sample_aspect_den = sample_aspect.den;
    p.mastering_display = mastering_display;
    p.content_light = content_light;
    return p;
  }
  [[nodiscard]] static codec_parameters from_native(const cuframes_codec_params &p, bytes extradata) {
    codec_parameters c;
    c.type = static_cast<media_type>(p.media_type);
    c.codec.assign(p.codec, ::strnlen(p.codec, sizeof p.codec));
    if (p.profile != UINT32_MAX)
      c.profile = p.profile;
    if (p.level != UINT32_MAX)
      c.level = p.level;
    c.size = { p.width, p.height };
    c.frame_rate = { p.frame_rate_num, p.frame_rate_den };
    c.sample_rate = p.sample_rate;
    c.channels = p.channels;
    c.frame_size = p.frame_size;
    c.time_base = { p.time_base_num, p.time_base_den };
    c.color = cuframes::color::from_native(p.color);
    c.bit_rate = p.bit_rate;
    c.chroma_location = static_cast<cuframes::chroma_location>(p.chroma_location);
    c.field_order = static_cast<cuframes::field_order>(p.field_order);
    c.orientation = static_cast<cuframes::orientation>(p.orientation);
    c.sample_aspect = { p.sample_aspect_num, p.sample_aspect_den };
    c.mastering_display = p.mastering_display;
    c.content_light = p.content_light;
    c.extradata.assign(extradata.begin(), extradata.end());
    return c;
  }
};

/** A packet to publish. The bytes are copied before the call returns. */
struct packet_info {
  std::uint32_t track = 0;
  bytes data;
  std::optional<nanoseconds> pts, dts;
  nanoseconds duration{ 0 }; /**< 0: unknown */
  packet_flags flags;        /**< new_params is set by the library */

  [[nodiscard]] cuframes_packet_info native() const noexcept {
    cuframes_packet_info info{};
    info.struct_size = sizeof info;
    info.track = track;
    info.data = data.data();
    info.size = data.size();
    info.pts = detail::from_time(pts);
    info.dts = detail::from_time(dts);
    info.duration = duration.count();
    info.flags = flags.bits();
    return info;
  }
};

/** enum cuframes_annotation_type. */
enum class annotation_type : std::uint32_t {
  any = 0,
  detections = CUFRAMES_ANNOTATION_DETECTIONS,
  application = CUFRAMES_ANNOTATION_APPLICATION
};
[[nodiscard]] constexpr annotation_type application_annotation(std::uint32_t number) noexcept {
  return static_cast<annotation_type>(CUFRAMES_ANNOTATION_APPLICATION + number);
}

/** A box in the stored picture, in fractions of it. label_of() and set_label() see to its text. */
using detection = cuframes_detection;

[[nodiscard]] inline std::string_view label_of(const detection &found) noexcept {
  return { found.label, ::strnlen(found.label, sizeof found.label) };
}
/** At most CUFRAMES_DETECTION_LABEL_MAX bytes of it. */
inline void set_label(detection &found, std::string_view label) noexcept {
  std::memset(found.label, 0, sizeof found.label);
  if (!label.empty())
    std::memcpy(found.label, label.data(), (std::min)(label.size(), sizeof found.label - 1));
}

/** What a packet of annotations says; the data live as long as the packet. */
struct annotation {
  frame_id of;
  annotation_type type = annotation_type::any;
  bytes data;

  /** The detections; none if it is of another type. */
  [[nodiscard]] span<const detection> detections() const noexcept {
    if (type != annotation_type::detections)
      return {};
    return { reinterpret_cast<const detection *>(data.data()), data.size() / sizeof(detection) };
  }
};

/** A packet in hand: a copy of its own, as one counted reference, moved only. It may outlive its subscriber. An empty
 *  one (moved from, released) says 0, or nothing. */
class packet {
public:
  packet() noexcept = default;
  /** Takes a reference of the C API over. */
  [[nodiscard]] static packet adopt(cuframes_packet *native) noexcept {
    packet taken;
    taken.packet_ = native;
    return taken;
  }
  packet(packet &&other) noexcept : packet_(std::exchange(other.packet_, nullptr)) {}
  packet &operator=(packet &&other) noexcept {
    if (this != &other) {
      release();
      packet_ = std::exchange(other.packet_, nullptr);
    }
    return *this;
  }
  packet(const packet &) = delete;
  packet &operator=(const packet &) = delete;
  ~packet() {
    release();
  }

  [[nodiscard]] explicit operator bool() const noexcept {
    return packet_ != nullptr;
  }
  /** Followed by 64 zero bytes, as decoders want. Good as long as the packet is in hand. */
  [[nodiscard]] bytes data() const && = delete;
  [[nodiscard]] bytes data() const &noexcept {
    return { static_cast<const std::byte *>(cuframes_packet_data(packet_)), cuframes_packet_size(packet_) };
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return cuframes_packet_size(packet_);
  }
  [[nodiscard]] std::uint32_t track() const noexcept {
    return cuframes_packet_track(packet_);
  }
  [[nodiscard]] std::optional<nanoseconds> pts() const noexcept {
    return detail::to_time(cuframes_packet_pts(packet_));
  }
  [[nodiscard]] std::optional<nanoseconds> dts() const noexcept {
    return detail::to_time(cuframes_packet_dts(packet_));
  }
  [[nodiscard]] nanoseconds duration() const noexcept {
    return detail::to_time(cuframes_packet_duration(packet_)).value_or(nanoseconds::zero());
  }
  [[nodiscard]] packet_flags flags() const noexcept {
    return packet_flags::from_bits(cuframes_packet_flags(packet_));
  }
  /** 1, 2, 3, ... over all tracks. */
  [[nodiscard]] std::uint64_t seq() const noexcept {
    return cuframes_packet_seq(packet_);
  }
  /** cuframes_packet_annotation(): which frame it is about, and what it says. */
  [[nodiscard]] result<cuframes::annotation> try_annotation() const noexcept {
    cuframes::annotation said;
    std::uint32_t type = 0;
    const void *found = nullptr;
    std::size_t bytes_found = 0;
    const int code = cuframes_packet_annotation(packet_, &said.of.native(), &type, &found, &bytes_found);
    if (detail::failed(code))
      return error::last(code);
    said.type = static_cast<annotation_type>(type);
    said.data = bytes(static_cast<const std::byte *>(found), bytes_found);
    return said;
  }
#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] cuframes::annotation annotation() const {
    return try_annotation().value();
  }
#endif

  /** cuframes_packet_ref(): another reference. */
  [[nodiscard]] packet clone() const noexcept {
    return adopt(cuframes_packet_ref(packet_));
  }
  /** Gives the reference back now. */
  void release() noexcept {
    if (packet_ != nullptr)
      cuframes_packet_release(std::exchange(packet_, nullptr));
  }
  /** The reference for the C API; the caller gives it back. */
  [[nodiscard]] cuframes_packet *detach() noexcept {
    return std::exchange(packet_, nullptr);
  }
  [[nodiscard]] cuframes_packet *native_handle() const noexcept {
    return packet_;
  }

private:
  cuframes_packet *packet_ = nullptr;
};

static_assert(std::is_nothrow_move_constructible_v<packet> && std::is_nothrow_move_assignable_v<packet>);

} // namespace cuframes

#endif
