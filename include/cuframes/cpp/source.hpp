/* cuframes/cpp/source.hpp - what the source of a stream is doing. */
#ifndef CUFRAMES_CPP_SOURCE_HPP
#define CUFRAMES_CPP_SOURCE_HPP

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include <cuframes/cpp/base.hpp>
#include <cuframes/source.h>

namespace cuframes {

/** enum cuframes_source_state. */
enum class source_state : std::uint32_t {
  unknown = CUFRAMES_SOURCE_UNKNOWN,
  live = CUFRAMES_SOURCE_LIVE,
  stalled = CUFRAMES_SOURCE_STALLED,
  reconnecting = CUFRAMES_SOURCE_RECONNECTING,
  ended = CUFRAMES_SOURCE_ENDED,
  connecting = CUFRAMES_SOURCE_CONNECTING,
  refused = CUFRAMES_SOURCE_REFUSED
};

/** "live", "stalled", ...; NULL for a state that this version does not know. Static. */
[[nodiscard]] inline const char *name_of(source_state state) noexcept {
  return cuframes_source_state_name(static_cast<std::uint32_t>(state));
}

/** cuframes_source_info. */
struct source_info {
  source_state state = source_state::unknown;
  std::optional<time_point> since;        /**< when it became so; to a publisher none says: now, or as it was */
  std::optional<time_point> next_attempt; /**< when the next attempt to connect begins */
  std::string reason;                     /**< for people; at most CUFRAMES_REASON_MAX bytes are used */

  [[nodiscard]] cuframes_source_info native() const noexcept {
    cuframes_source_info info{};
    info.struct_size = sizeof info;
    info.state = static_cast<std::uint32_t>(state);
    info.since = since ? since->time_since_epoch().count() : 0;
    info.next_attempt = next_attempt ? next_attempt->time_since_epoch().count() : 0;
    std::memcpy(info.reason, reason.data(), (std::min)(reason.size(), sizeof info.reason - 1));
    return info;
  }
  [[nodiscard]] static source_info from_native(const cuframes_source_info &info) {
    source_info made;
    made.state = static_cast<source_state>(info.state);
    if (info.since != 0)
      made.since = time_point(nanoseconds(info.since));
    if (info.next_attempt != 0)
      made.next_attempt = time_point(nanoseconds(info.next_attempt));
    made.reason.assign(info.reason, ::strnlen(info.reason, sizeof info.reason));
    return made;
  }
};

} // namespace cuframes

#endif
