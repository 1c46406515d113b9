/* cuframes/cpp/monitor.hpp - looking at streams without taking part: list, query.
 *
 * Functions  Each is a call of the C function that its comment names, whose errors, threads and waiting it has. What is
 *            told of a stream, a track and a subscriber are the fields of the C structs, by the same names.
 */
#ifndef CUFRAMES_CPP_MONITOR_HPP
#define CUFRAMES_CPP_MONITOR_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <cuframes/cpp/packet.hpp>
#include <cuframes/cpp/source.hpp>
#include <cuframes/cpp/subscriber.hpp>
#include <cuframes/monitor.h>

namespace cuframes {

namespace detail {
// NOLINTNEXTLINE(modernize-avoid-c-arrays): the fields of C structs are
template <std::size_t N> [[nodiscard]] std::string_view text_of(const char (&text)[N]) noexcept {
  return { text, ::strnlen(text, N) };
}
} // namespace detail

/** cuframes_track_info, a view into what was queried. */
class track_info {
public:
  explicit track_info(const cuframes_track_info *native) noexcept : native_(native) {}
  [[nodiscard]] media_type type() const noexcept {
    return static_cast<media_type>(native_->media_type);
  }
  [[nodiscard]] std::string_view codec() const noexcept {
    return detail::text_of(native_->codec);
  }
  [[nodiscard]] std::uint64_t packets() const noexcept {
    return native_->packets;
  }
  /** Since the newest packet; nothing before the first one. */
  [[nodiscard]] std::optional<nanoseconds> age() const noexcept {
    return detail::to_time(native_->age_ns);
  }
  [[nodiscard]] std::uint64_t bit_rate() const noexcept {
    return native_->bit_rate;
  }
  /** Between the last two keyframes; 0: not known. */
  [[nodiscard]] nanoseconds keyframe_interval() const noexcept {
    return nanoseconds(native_->keyframe_interval_ns);
  }
  [[nodiscard]] std::uint32_t keyframe_interval_frames() const noexcept {
    return native_->keyframe_interval_frames;
  }
  [[nodiscard]] nanoseconds keyframe_longest() const noexcept {
    return nanoseconds(native_->keyframe_longest_ns);
  }
  [[nodiscard]] std::uint32_t keyframe_longest_frames() const noexcept {
    return native_->keyframe_longest_frames;
  }
  /** Since the newest keyframe; nothing before the first one. */
  [[nodiscard]] std::optional<nanoseconds> keyframe_age() const noexcept {
    return detail::to_time(native_->keyframe_age_ns);
  }

private:
  const cuframes_track_info *native_;
};

/** cuframes_subscriber_info, a view into what was queried. */
class subscriber_info {
public:
  explicit subscriber_info(const cuframes_subscriber_info *native) noexcept : native_(native) {}
  [[nodiscard]] std::string_view label() const noexcept {
    return detail::text_of(native_->label);
  }
  [[nodiscard]] cuframes::mode mode() const noexcept {
    return static_cast<cuframes::mode>(native_->mode);
  }
  /** 0: not visible to the publisher. */
  [[nodiscard]] std::int32_t pid() const noexcept {
    return native_->pid;
  }
  [[nodiscard]] std::uint32_t uid() const noexcept {
    return native_->uid;
  }
  [[nodiscard]] std::uint32_t gid() const noexcept {
    return native_->gid;
  }
  [[nodiscard]] std::uint32_t leases() const noexcept {
    return native_->leases;
  }
  [[nodiscard]] std::uint32_t depth() const noexcept {
    return native_->depth;
  }
  [[nodiscard]] bool reads_packets() const noexcept {
    return native_->packets != 0;
  }
  [[nodiscard]] bool evicted() const noexcept {
    return native_->evicted != 0;
  }
  /** Frames published since the last one it took. */
  [[nodiscard]] std::uint64_t lag() const noexcept {
    return native_->lag;
  }
  [[nodiscard]] std::uint64_t delivered() const noexcept {
    return native_->delivered;
  }
  [[nodiscard]] std::uint64_t skipped() const noexcept {
    return native_->skipped;
  }
  /** Numbers of the slots that it holds. */
  [[nodiscard]] span<const std::uint32_t> held_slots() const noexcept {
    return { native_->held_slots, native_->leases_held };
  }
  [[nodiscard]] std::string_view sync_mode() const noexcept {
    return detail::text_of(native_->sync_mode);
  }
  [[nodiscard]] sync_modes sync_asked() const noexcept {
    return sync_modes::from_bits(native_->sync_asked);
  }
  [[nodiscard]] std::uint64_t packets_read() const noexcept {
    return native_->packets_read;
  }
  /** Overwritten before they were read. */
  [[nodiscard]] std::uint64_t packets_lost() const noexcept {
    return native_->packets_lost;
  }

private:
  const cuframes_subscriber_info *native_;
};

namespace detail {

/* An array of pointers to structs as a range of views of them. */
template <class View, class Native> class view_range {
public:
  class iterator {
  public:
    using iterator_category = std::input_iterator_tag; /* gives views, no references to any */
    using value_type = View;
    using difference_type = std::ptrdiff_t;
    using pointer = const View *;
    using reference = View;

    iterator() noexcept = default;
    explicit iterator(const Native *const *at) noexcept : at_(at) {}
    [[nodiscard]] View operator*() const noexcept {
      return View(*at_);
    }
    iterator &operator++() noexcept {
      at_++;
      return *this;
    }
    iterator operator++(int) noexcept {
      return iterator(at_++);
    }
    friend bool operator!=(iterator a, iterator b) noexcept {
      return a.at_ != b.at_;
    }
    friend bool operator==(iterator a, iterator b) noexcept {
      return a.at_ == b.at_;
    }

  private:
    const Native *const *at_ = nullptr;
  };

  view_range(const Native *const *first, std::size_t count) noexcept : first_(first), count_(count) {}
  [[nodiscard]] iterator begin() const noexcept {
    return iterator(first_);
  }
  [[nodiscard]] iterator end() const noexcept {
    return iterator(first_ + count_);
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return count_;
  }
  [[nodiscard]] bool empty() const noexcept {
    return count_ == 0;
  }
  [[nodiscard]] View operator[](std::size_t index) const noexcept {
    require(index < count_);
    return View(first_[index]);
  }

private:
  const Native *const *first_;
  std::size_t count_;
};

} // namespace detail

/** cuframes_latency_bucket: frames that took up to so long, and longer than those of the bucket before. */
struct latency_bucket {
  nanoseconds up_to; /**< nanoseconds::max() in the last one */
  std::uint64_t frames;
};

/** cuframes_mode_info, a view into what was queried: what all subscribers of one mode amount to, so far. */
class mode_info {
public:
  explicit mode_info(const cuframes_mode_info *native) noexcept : native_(native) {}
  [[nodiscard]] cuframes::mode mode() const noexcept {
    return static_cast<cuframes::mode>(native_->mode);
  }
  [[nodiscard]] std::uint64_t joined() const noexcept {
    return native_->joined;
  }
  [[nodiscard]] std::uint64_t delivered() const noexcept {
    return native_->delivered;
  }
  [[nodiscard]] std::uint64_t skipped() const noexcept {
    return native_->skipped;
  }
  /** Of all frames in the buckets, from being published to being taken. */
  [[nodiscard]] nanoseconds latency_sum() const noexcept {
    return nanoseconds(native_->latency_sum_ns);
  }
  [[nodiscard]] std::array<latency_bucket, CUFRAMES_LATENCY_BUCKETS> latency() const noexcept {
    std::array<latency_bucket, CUFRAMES_LATENCY_BUCKETS> all{};
    std::transform(std::begin(native_->latency), std::end(native_->latency), all.begin(),
                   [](const cuframes_latency_bucket &one) {
                     return latency_bucket{ nanoseconds(one.up_to_ns), one.frames };
                   });
    return all;
  }
  [[nodiscard]] std::uint64_t packets_read() const noexcept {
    return native_->packets_read;
  }
  /** Overwritten before they were read. */
  [[nodiscard]] std::uint64_t packets_lost() const noexcept {
    return native_->packets_lost;
  }

private:
  const cuframes_mode_info *native_;
};

/** cuframes_stream_info, a view into what was queried. */
class stream_info_view {
public:
  using tracks_range = detail::view_range<track_info, cuframes_track_info>;
  using subscribers_range = detail::view_range<subscriber_info, cuframes_subscriber_info>;
  using modes_range = detail::view_range<mode_info, cuframes_mode_info>;

  explicit stream_info_view(const cuframes_stream_info *native) noexcept : native_(native) {}
  [[nodiscard]] std::string_view name() const noexcept {
    return detail::text_of(native_->name);
  }
  [[nodiscard]] std::string_view device() const noexcept {
    return detail::text_of(native_->device);
  }
  [[nodiscard]] std::string_view memory() const noexcept {
    return detail::text_of(native_->memory);
  }
  [[nodiscard]] std::string_view description() const noexcept {
    return detail::text_of(native_->description);
  }
  /** Of the publisher, 0: not visible here. */
  [[nodiscard]] std::int32_t pid() const noexcept {
    return native_->pid;
  }
  [[nodiscard]] cuframes::format format() const noexcept {
    return cuframes::format(native_->format);
  }
  [[nodiscard]] double fps() const noexcept {
    return native_->fps;
  }
  [[nodiscard]] std::uint64_t frames() const noexcept {
    return native_->frames;
  }
  [[nodiscard]] std::uint64_t dropped() const noexcept {
    return native_->dropped;
  }
  [[nodiscard]] std::uint64_t evictions() const noexcept {
    return native_->evictions;
  }
  /** Since the newest frame; nothing before the first one. */
  [[nodiscard]] std::optional<nanoseconds> age() const noexcept {
    return detail::to_time(native_->age_ns);
  }
  [[nodiscard]] std::uint32_t slots() const noexcept {
    return native_->slots;
  }
  [[nodiscard]] std::uint32_t max_slots() const noexcept {
    return native_->max_slots;
  }
  [[nodiscard]] std::uint32_t slots_pinned() const noexcept {
    return native_->slots_pinned;
  }
  [[nodiscard]] std::uint32_t segments() const noexcept {
    return native_->segments;
  }
  [[nodiscard]] std::uint64_t memory_bytes() const noexcept {
    return native_->memory_bytes;
  }
  [[nodiscard]] std::uint64_t packets() const noexcept {
    return native_->packets;
  }
  [[nodiscard]] std::uint64_t packet_bytes() const noexcept {
    return native_->packet_bytes;
  }
  /** 0: no packet ring. */
  [[nodiscard]] std::uint32_t packet_slots() const noexcept {
    return native_->packet_slots;
  }
  [[nodiscard]] std::uint64_t packet_data_bytes() const noexcept {
    return native_->packet_data_bytes;
  }
  [[nodiscard]] tracks_range tracks() const noexcept {
    return { native_->tracks, native_->track_count };
  }
  [[nodiscard]] subscribers_range subscribers() const noexcept {
    return { native_->subscribers, native_->subscriber_count };
  }
  [[nodiscard]] source_info source() const {
    return source_info::from_native(*native_->source);
  }
  /** When the publisher was made, and all counts were 0, on CLOCK_MONOTONIC; 0: not known. */
  [[nodiscard]] nanoseconds started() const noexcept {
    return nanoseconds(native_->started);
  }
  /** How often the source was lost. */
  [[nodiscard]] std::uint64_t reconnects() const noexcept {
    return native_->reconnects;
  }
  /** Of memory_bytes(), those on device(). */
  [[nodiscard]] std::uint64_t device_bytes() const noexcept {
    return native_->device_bytes;
  }
  [[nodiscard]] modes_range modes() const noexcept {
    return { native_->modes, native_->mode_count };
  }
  [[nodiscard]] const cuframes_stream_info &native() const noexcept {
    return *native_;
  }

private:
  const cuframes_stream_info *native_;
};

/** cuframes_query_options. */
struct query_options {
  std::string directory;     /**< empty: the default one */
  nanoseconds timeout{ 0 };  /**< 0: 2 s */
  interrupt_check interrupt; /**< asked while the answer is waited for */

  /** Its directory is that of this object. */
  [[nodiscard]] cuframes_query_options native() const noexcept {
    cuframes_query_options options{};
    options.struct_size = sizeof options;
    options.directory = detail::c_str_or_null(directory);
    options.timeout_ns = timeout.count();
    options.interrupt = interrupt.native_function();
    options.interrupt_user = interrupt.native_user();
    return options;
  }
};

/** What one publisher told. Moved only; what is moved from must not be asked. */
class stream_info : public stream_info_view {
public:
  /** cuframes_stream_query(). An empty directory: the default one. */
  [[nodiscard]] static result<stream_info> try_query(zstring_view name, timeout limit,
                                                     const std::string &directory = {}) noexcept {
    cuframes_stream_info *native = nullptr;
    const int code = cuframes_stream_query(detail::c_str_or_null(directory), name.c_str(), limit.count(), &native);
    if (detail::failed(code))
      return error::last(code);
    return stream_info(native);
  }
  /** cuframes_stream_query_with(). */
  [[nodiscard]] static result<stream_info> try_query(zstring_view name, const query_options &with) noexcept {
    cuframes_stream_info *native = nullptr;
    const cuframes_query_options options = with.native();
    const int code = cuframes_stream_query_with(name.c_str(), &options, &native);
    if (detail::failed(code))
      return error::last(code);
    return stream_info(native);
  }
#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static stream_info query(zstring_view name, const query_options &with) {
    return try_query(name, with).value();
  }
  [[nodiscard]] static stream_info query(zstring_view name, timeout limit, const std::string &directory = {}) {
    return try_query(name, limit, directory).value();
  }
#endif

  /** Views into this object, which a loop over one of a temporary would outlive. */
  [[nodiscard]] tracks_range tracks() const &noexcept {
    return stream_info_view::tracks();
  }
  [[nodiscard]] tracks_range tracks() const && = delete;
  [[nodiscard]] subscribers_range subscribers() const &noexcept {
    return stream_info_view::subscribers();
  }
  [[nodiscard]] subscribers_range subscribers() const && = delete;
  [[nodiscard]] modes_range modes() const &noexcept {
    return stream_info_view::modes();
  }
  [[nodiscard]] modes_range modes() const && = delete;

private:
  struct free_info {
    void operator()(cuframes_stream_info *info) const noexcept {
      cuframes_stream_info_free(info);
    }
  };
  explicit stream_info(cuframes_stream_info *native) noexcept : stream_info_view(native), owned_(native) {}
  std::unique_ptr<cuframes_stream_info, free_info> owned_;
};

/** One stream of a list: what it told, or why it did not. */
class stream_entry {
public:
  explicit stream_entry(const cuframes_stream_entry *native) noexcept : native_(native) {}
  [[nodiscard]] std::string_view name() const noexcept {
    return detail::text_of(native_->name);
  }
  /** Lives as long as the list. */
  [[nodiscard]] result<stream_info_view> info() const noexcept {
    if (native_->info == nullptr)
      return error(static_cast<errc>(native_->error), native_->detail);
    return stream_info_view(native_->info);
  }

private:
  const cuframes_stream_entry *native_;
};

/** All streams of a runtime directory, by name. Moved only. */
class stream_list {
public:
  using range = detail::view_range<stream_entry, cuframes_stream_entry>;

  /** cuframes_stream_list(). An empty directory: the default one. */
  [[nodiscard]] static result<stream_list> try_query(timeout limit, const std::string &directory = {}) noexcept {
    cuframes_streams *native = nullptr;
    const int code = cuframes_stream_list(detail::c_str_or_null(directory), limit.count(), &native);
    if (detail::failed(code))
      return error::last(code);
    return stream_list(native);
  }
  /** cuframes_stream_list_with(). */
  [[nodiscard]] static result<stream_list> try_query(const query_options &with) noexcept {
    cuframes_streams *native = nullptr;
    const cuframes_query_options options = with.native();
    const int code = cuframes_stream_list_with(&options, &native);
    if (detail::failed(code))
      return error::last(code);
    return stream_list(native);
  }
#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static stream_list query(const query_options &with) {
    return try_query(with).value();
  }
  [[nodiscard]] static stream_list query(timeout limit, const std::string &directory = {}) {
    return try_query(limit, directory).value();
  }
#endif
  [[nodiscard]] range::iterator begin() const noexcept {
    return entries().begin();
  }
  [[nodiscard]] range::iterator end() const noexcept {
    return entries().end();
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return entries().size();
  }
  [[nodiscard]] stream_entry operator[](std::size_t index) const noexcept {
    return entries()[index];
  }

private:
  struct free_streams {
    void operator()(cuframes_streams *streams) const noexcept {
      cuframes_streams_free(streams);
    }
  };
  explicit stream_list(cuframes_streams *native) noexcept : owned_(native) {}
  [[nodiscard]] range entries() const noexcept {
    return owned_ ? range(owned_->entries, owned_->count) : range(nullptr, 0);
  }
  std::unique_ptr<cuframes_streams, free_streams> owned_;
};

/** cuframes_directory_find(): the runtime directory that an empty one stands for. */
[[nodiscard]] inline result<std::string> try_directory() {
  std::array<char, 4096> path{}; /* PATH_MAX */
  const int code = cuframes_directory_find(path.data(), path.size());
  if (detail::failed(code))
    return error::last(code);
  return std::string(path.data());
}
#if CUFRAMES_HAS_EXCEPTIONS
[[nodiscard]] inline std::string directory() {
  return try_directory().value();
}
#endif

} // namespace cuframes

#endif
