/* cuframes/cpp/base.hpp - the words of every other header: spans of bytes, times, time limits, streams of a GPU, log.
 *  */
#ifndef CUFRAMES_CPP_BASE_HPP
#define CUFRAMES_CPP_BASE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if __cplusplus >= 202002L
#include <ranges>
#include <span>
#endif

#include <cuframes/common.h>
#include <cuframes/cpp/result.hpp>

namespace cuframes {

/** A text that ends with a zero: what a C function can take without a copy. Never NULL. */
class zstring_view {
public:
  zstring_view(const char *text) noexcept : text_(text) { // NOLINT(google-explicit-constructor): takes the place of one
    detail::require(text != nullptr);
  }
  zstring_view(const std::string &text) noexcept : text_(text.c_str()) {} // NOLINT(google-explicit-constructor)
  zstring_view(std::nullptr_t) = delete;

  [[nodiscard]] const char *c_str() const noexcept {
    return text_;
  }

private:
  const char *text_;
};

/** Elements that lie one behind the other and belong to somebody else: std::span of C++20, to which it converts. An
 *  index beyond the end ends the program. */
template <class T> class span {
public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using iterator = T *;

  constexpr span() noexcept = default;
  constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <std::size_t N> constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {} // NOLINT: as std::span
  /** Of whatever has data() and size() of the same elements: a vector, an array, a string, a std::span. Not elements
   *  to be written of a temporary that owns them, which a const one does not give away. */
  // NOLINTBEGIN(modernize-avoid-c-arrays): so std::span asks whether elements are the same
  template <class C,
            class Of = std::conditional_t<std::is_lvalue_reference_v<C>, C, const std::remove_reference_t<C> &>,
            std::enable_if_t<
                !std::is_same_v<std::decay_t<C>, span> &&
                    std::is_convertible_v<std::remove_pointer_t<decltype(std::declval<Of>().data())> (*)[], T (*)[]>,
                std::size_t> = sizeof(std::declval<Of>().size())>
  constexpr span(C &&container) noexcept // NOLINT: as std::span
      : data_(container.data()), size_(container.size()) {}
  // NOLINTEND(modernize-avoid-c-arrays)

  [[nodiscard]] constexpr T *data() const noexcept {
    return data_;
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept {
    return size_;
  }
  [[nodiscard]] constexpr std::size_t size_bytes() const noexcept {
    return size_ * sizeof(T);
  }
  [[nodiscard]] constexpr bool empty() const noexcept {
    return size_ == 0;
  }
  [[nodiscard]] constexpr T &operator[](std::size_t index) const noexcept {
    detail::require(index < size_);
    return data_[index];
  }
  [[nodiscard]] constexpr T *begin() const noexcept {
    return data_;
  }
  [[nodiscard]] constexpr T *end() const noexcept {
    return data_ + size_;
  }

private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};

template <class C> span(C &&) -> span<std::remove_pointer_t<decltype(std::declval<C &>().data())>>;

using bytes = span<const std::byte>;
using writable_bytes = span<std::byte>;

/** The bytes of a container, an array or a span of plain elements. */
template <class C> [[nodiscard]] bytes as_bytes(const C &container) noexcept {
  const span view(container);
  static_assert(std::is_trivially_copyable_v<typename decltype(view)::value_type>, "only plain data has bytes to copy");
  return { reinterpret_cast<const std::byte *>(view.data()), view.size_bytes() };
}

using std::chrono::nanoseconds;
/** A moment of CLOCK_MONOTONIC. */
using time_point = std::chrono::time_point<std::chrono::steady_clock, nanoseconds>;
/** A moment of the source's wall clock. */
using wall_time = std::chrono::time_point<std::chrono::system_clock, nanoseconds>;

/** cuframes_now(): CLOCK_MONOTONIC. */
[[nodiscard]] inline time_point now() noexcept {
  return time_point(nanoseconds(cuframes_now()));
}

/** cuframes_version(): of the library that runs. Static. */
[[nodiscard]] inline const char *version() noexcept {
  return cuframes_version();
}

namespace detail {

[[nodiscard]] inline std::optional<nanoseconds> to_time(std::int64_t ns) noexcept {
  return ns != CUFRAMES_NO_TIME ? std::optional(nanoseconds(ns)) : std::nullopt;
}

[[nodiscard]] inline std::int64_t from_time(std::optional<nanoseconds> time) noexcept {
  return time ? time->count() : CUFRAMES_NO_TIME;
}

/* Of a text in a struct, which ends with a zero. */
[[nodiscard]] inline const char *c_str_or_null(const std::string &text) noexcept {
  return text.empty() ? nullptr : text.c_str();
}

} // namespace detail

/** How long a call may wait: any std::chrono::duration, or forever. A negative one, such as the time left until a
 *  moment that has passed, does not wait; one that is too long for 64 bits of ns is 292 years. */
class timeout {
public:
  template <class Rep, class Period>
  constexpr timeout(std::chrono::duration<Rep, Period> limit) noexcept // NOLINT(google-explicit-constructor)
      : ns_(to_ns(limit)) {}

  [[nodiscard]] static constexpr timeout forever() noexcept {
    return timeout(std::int64_t(-1)); /* CUFRAMES_WAIT_FOREVER */
  }
  [[nodiscard]] static constexpr timeout none() noexcept {
    return timeout(std::int64_t(0));
  }
  /** As the C functions take it. */
  [[nodiscard]] constexpr std::int64_t count() const noexcept {
    return ns_;
  }

private:
  constexpr explicit timeout(std::int64_t ns) noexcept : ns_(ns) {}

  /* Rounded down, and never more than 64 bits hold, whatever counts the ticks: chrono's own casts wrap around. */
  template <class Rep, class Period>
  [[nodiscard]] static constexpr std::int64_t to_ns(std::chrono::duration<Rep, Period> limit) noexcept {
    static_assert(std::is_arithmetic_v<Rep>, "a time limit is counted by a number");
    constexpr auto most = static_cast<std::uint64_t>(INT64_MAX);
    if (!(limit.count() > Rep(0)))
      return 0;
    if constexpr (std::is_floating_point_v<Rep>) {
      constexpr double per_tick = 1e9 * static_cast<double>(Period::num) / static_cast<double>(Period::den);
      const auto ticks = static_cast<double>(limit.count());
      return ticks < static_cast<double>(most) / per_tick ? static_cast<std::int64_t>(ticks * per_tick) : INT64_MAX;
    } else {
      using per_tick = std::ratio_divide<Period, std::nano>;
      constexpr auto num = static_cast<std::uint64_t>(per_tick::num), den = static_cast<std::uint64_t>(per_tick::den);
      const auto ticks = static_cast<std::uint64_t>(limit.count()), whole = ticks / den;
      if (whole > most / num)
        return INT64_MAX;
      /* What is left is less than den; rounded down in two steps where the product would not fit. */
      const std::uint64_t left = ticks % den;
      const std::uint64_t part = num <= UINT64_MAX / den ? left * num / den : left / (den / num + 1);
      return static_cast<std::int64_t>(whole * num > most - part ? most : whole * num + part);
    }
  }

  std::int64_t ns_;
};

namespace detail {

template <class T, class = void> struct is_complete : std::false_type {};
template <class T> struct is_complete<T, std::void_t<decltype(sizeof(T))>> : std::true_type {};

/* What a stream points to. CUstream and cudaStream_t point to structs that nobody sees: a number is of some buffer, and
 * a class that is seen is some object, as when the address of what has a stream is given instead of itself. */
template <class T, class = void> struct is_stream_target : std::is_void<T> {};
template <class T>
struct is_stream_target<T, std::enable_if_t<std::is_class_v<T>>>
    : std::bool_constant<!is_complete<T>::value && !std::is_const_v<T>> {};
template <class T>
inline constexpr bool is_stream_pointer = std::is_pointer_v<T> &&is_stream_target<std::remove_pointer_t<T>>::value &&
                                          !std::is_const_v<std::remove_pointer_t<T>>;

template <class S, class = void> struct stream_get : std::false_type {};
template <class S>
struct stream_get<S, std::void_t<decltype(std::declval<const S &>().get())>>
    : std::bool_constant<is_stream_pointer<decltype(std::declval<const S &>().get())>> {};
template <class S, class = void> struct stream_value : std::false_type {};
template <class S>
struct stream_value<S, std::void_t<decltype(std::declval<const S &>().value())>>
    : std::bool_constant<is_stream_pointer<decltype(std::declval<const S &>().value())>> {};
/* Unary plus takes the one pointer that an object converts to. */
template <class S, class = void> struct stream_converts : std::false_type {};
template <class S>
struct stream_converts<S, std::void_t<decltype(+std::declval<const S &>())>>
    : std::bool_constant<is_stream_pointer<decltype(+std::declval<const S &>())>> {};

template <class S>
inline constexpr bool is_stream_object = std::is_class_v<S> &&
                                         (stream_get<S>::value || stream_value<S>::value || stream_converts<S>::value);
/* One that is moved only has its stream alone, and ends it. */
template <class S> inline constexpr bool is_stream_owner = is_stream_object<S> && !std::is_copy_constructible_v<S>;

} // namespace detail

/** A stream of a GPU: a CUstream or cudaStream_t, or an object that has one, by get(), by value() or by conversion
 *  (std::unique_ptr, cuda::stream_ref, the streams of RMM and of torch). It is not owned, must belong to the context of
 *  the publisher or subscriber, and must outlive the frames that are given back on it. Refused are a literal 0 or
 *  nullptr (legacy_default() says what that means), a temporary that owns its stream, and the address of an object. */
class stream_view {
public:
  template <class S, std::enable_if_t<detail::is_stream_pointer<S>, int> = 0>
  constexpr stream_view(S stream) noexcept : stream_(stream) {} // NOLINT(google-explicit-constructor)
  template <class S, std::enable_if_t<detail::is_stream_object<S> && !std::is_same_v<S, stream_view>, int> = 0>
  stream_view(const S &stream) noexcept : stream_(pointer_of(stream)) {} // NOLINT(google-explicit-constructor)
  template <class S, std::enable_if_t<detail::is_stream_owner<S>, int> = 0> stream_view(S &&stream) = delete;
  stream_view(std::nullptr_t) = delete;

  /** The legacy default stream, which waits for all others of its context and they for it. */
  [[nodiscard]] static constexpr stream_view legacy_default() noexcept {
    return { static_cast<void *>(nullptr) };
  }
  [[nodiscard]] constexpr void *native_handle() const noexcept {
    return stream_;
  }

private:
  template <class S> [[nodiscard]] static void *pointer_of(const S &stream) noexcept {
    if constexpr (detail::stream_get<S>::value)
      return stream.get();
    else if constexpr (detail::stream_value<S>::value)
      return stream.value();
    else
      return +stream;
  }

  void *stream_;
};

/** A set of the constants of one enum class whose values are bits. */
template <class E> class flags {
public:
  constexpr flags() noexcept = default;
  constexpr flags(E flag) noexcept : bits_(static_cast<std::uint32_t>(flag)) {} // NOLINT(google-explicit-constructor)
  [[nodiscard]] static constexpr flags from_bits(std::uint32_t bits) noexcept {
    flags set;
    set.bits_ = bits;
    return set;
  }
  [[nodiscard]] constexpr bool has(E flag) const noexcept {
    return (bits_ & static_cast<std::uint32_t>(flag)) != 0;
  }
  [[nodiscard]] constexpr std::uint32_t bits() const noexcept {
    return bits_;
  }
  friend constexpr flags operator|(flags a, flags b) noexcept {
    return from_bits(a.bits_ | b.bits_);
  }
  friend constexpr bool operator==(flags a, flags b) noexcept {
    return a.bits_ == b.bits_;
  }
  friend constexpr bool operator!=(flags a, flags b) noexcept {
    return a.bits_ != b.bits_;
  }

private:
  std::uint32_t bits_ = 0;
};

enum class log_level : int {
  error = CUFRAMES_LOG_ERROR,
  warning = CUFRAMES_LOG_WARNING,
  info = CUFRAMES_LOG_INFO,
  debug = CUFRAMES_LOG_DEBUG
};

/** Who receives the lines of the library's log: a function or a lambda that captures nothing, or an object with
 *  operator()(log_level, const char *), which is not owned and must outlive what logs, and its frames. It is called
 *  from any thread of the library, and must neither throw nor call back into the object that logs. */
class log_sink {
public:
  using function = void (*)(log_level level, const char *line);

  log_sink() noexcept = default;
  /** As cuframes_publisher_options.log. */
  log_sink(cuframes_log_fn log, void *user) noexcept : log_(log), user_(user) {}
  template <class F, std::enable_if_t<std::is_convertible_v<F, function>, int> = 0>
  log_sink(F log) noexcept // NOLINT(google-explicit-constructor)
      : log_(&to_function), user_(reinterpret_cast<void *>(static_cast<function>(log))) {}
  template <class F, std::enable_if_t<!std::is_convertible_v<F, function> && !std::is_base_of_v<log_sink, F> &&
                                          std::is_invocable_v<F &, log_level, const char *>,
                                      int> = 0>
  log_sink(F &log) noexcept // NOLINT(google-explicit-constructor)
      : log_(&to_object<F>), user_(const_cast<void *>(static_cast<const volatile void *>(std::addressof(log)))) {}

  [[nodiscard]] cuframes_log_fn native_function() const noexcept {
    return log_;
  }
  [[nodiscard]] void *native_user() const noexcept {
    return user_;
  }

private:
  static void to_function(void *user, int level, const char *line) noexcept {
    reinterpret_cast<function>(user)(static_cast<log_level>(level), line);
  }
  template <class F> static void to_object(void *user, int level, const char *line) noexcept {
    (*static_cast<F *>(user))(static_cast<log_level>(level), line);
  }

  cuframes_log_fn log_ = nullptr;
  void *user_ = nullptr;
};

/** Who says whether a call that waits is to give up, cuframes_interrupt_fn: a function or a lambda that captures
 *  nothing, or an object, each called as bool(). The object is not owned and must outlive what asks it. It is asked on
 *  the thread that waits, and must neither throw nor call the object that asks. */
class interrupt_check {
public:
  using function = bool (*)();

  interrupt_check() noexcept = default;
  /** As cuframes_subscriber_options.interrupt. */
  interrupt_check(cuframes_interrupt_fn ask, void *user) noexcept : ask_(ask), user_(user) {}
  template <class F, std::enable_if_t<std::is_convertible_v<F, function>, int> = 0>
  interrupt_check(F ask) noexcept // NOLINT(google-explicit-constructor)
      : ask_(&to_function), user_(reinterpret_cast<void *>(static_cast<function>(ask))) {}
  template <class F, std::enable_if_t<!std::is_convertible_v<F, function> && !std::is_base_of_v<interrupt_check, F> &&
                                          std::is_invocable_r_v<bool, F &>,
                                      int> = 0>
  interrupt_check(F &ask) noexcept // NOLINT(google-explicit-constructor)
      : ask_(&to_object<F>), user_(const_cast<void *>(static_cast<const volatile void *>(std::addressof(ask)))) {}

  [[nodiscard]] cuframes_interrupt_fn native_function() const noexcept {
    return ask_;
  }
  [[nodiscard]] void *native_user() const noexcept {
    return user_;
  }

private:
  static int to_function(void *user) noexcept {
    return reinterpret_cast<function>(user)() ? 1 : 0;
  }
  template <class F> static int to_object(void *user) noexcept {
    return (*static_cast<F *>(user))() ? 1 : 0;
  }

  cuframes_interrupt_fn ask_ = nullptr;
  void *user_ = nullptr;
};

} // namespace cuframes

#if __cplusplus >= 202002L
/* So a std::span can be made of one, also of a temporary. */
template <class T> inline constexpr bool std::ranges::enable_borrowed_range<cuframes::span<T>> = true;
#endif

#endif
