/* cuframes/cpp/result.hpp - what a call gives that may fail: an error, or result<T>, a value or an error.
 *
 * Nothing here allocates: an error carries its text in itself. An object of type result<T> looks the same whatever the
 * standard and the flags of the compiler, so that parts of a program may be compiled differently.
 */
#ifndef CUFRAMES_CPP_RESULT_HPP
#define CUFRAMES_CPP_RESULT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#if __cplusplus > 202002L && defined(__has_include)
#if __has_include(<expected>)
#include <expected>
#endif
#endif

#include <cuframes/common.h>

/* Without exceptions every function that throws is absent, and not another function of the same name. */
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define CUFRAMES_HAS_EXCEPTIONS 1
#else
#define CUFRAMES_HAS_EXCEPTIONS 0
#endif

namespace cuframes {

/** What went wrong, enum cuframes_error. */
enum class errc : int {
  ok = CUFRAMES_OK,
  invalid = CUFRAMES_ERR_INVALID,
  no_memory = CUFRAMES_ERR_NO_MEMORY,
  system = CUFRAMES_ERR_SYSTEM,
  name = CUFRAMES_ERR_NAME,
  name_in_use = CUFRAMES_ERR_NAME_IN_USE,
  no_such_stream = CUFRAMES_ERR_NO_SUCH_STREAM,
  directory = CUFRAMES_ERR_DIRECTORY,
  permission = CUFRAMES_ERR_PERMISSION,
  timeout = CUFRAMES_ERR_TIMEOUT,
  interrupted = CUFRAMES_ERR_INTERRUPTED,
  publisher_gone = CUFRAMES_ERR_PUBLISHER_GONE,
  evicted = CUFRAMES_ERR_EVICTED,
  stale = CUFRAMES_ERR_STALE,
  no_capacity = CUFRAMES_ERR_NO_CAPACITY,
  lease_limit = CUFRAMES_ERR_LEASE_LIMIT,
  version = CUFRAMES_ERR_VERSION,
  protocol = CUFRAMES_ERR_PROTOCOL,
  format = CUFRAMES_ERR_FORMAT,
  dropped = CUFRAMES_ERR_DROPPED,
  packet_oversized = CUFRAMES_ERR_PACKET_OVERSIZED,
  no_packet_ring = CUFRAMES_ERR_NO_PACKET_RING,
  no_codec_params = CUFRAMES_ERR_NO_CODEC_PARAMS,
  packet_overrun = CUFRAMES_ERR_PACKET_OVERRUN,
  device = CUFRAMES_ERR_DEVICE,
  unsupported = CUFRAMES_ERR_UNSUPPORTED,
  busy = CUFRAMES_ERR_BUSY,
  lost = CUFRAMES_ERR_LOST
};

/** A failure: its code, and the library's own sentence about this very case. Copies cannot fail. It is visible beyond a
 *  shared library that is compiled with -fvisibility=hidden, so that others can catch what that throws. */
class [[nodiscard, gnu::visibility("default")]] error : public std::exception {
public:
  /** A longer sentence is cut. NULL is an empty one. */
  error(errc code, const char *detail) noexcept : code_(code) {
    set_detail(detail);
  }
  /** The failure that the last call of this thread had: cuframes_last_error(). */
  static error last(int code) noexcept {
    return { static_cast<errc>(code), cuframes_last_error() };
  }
  error(const error &other) noexcept : std::exception(other), code_(other.code_) {
    set_detail(other.detail_);
  }
  error &operator=(const error &other) noexcept {
    if (this != &other) {
      code_ = other.code_;
      set_detail(other.detail_);
    }
    return *this;
  }
  ~error() override = default;

  /** cuframes_set_last_error(): for libraries on top of this one that fail in its manner; gives the code back. */
  [[nodiscard]] int set_last() const noexcept {
    return cuframes_set_last_error(static_cast<int>(code_), detail_);
  }

  [[nodiscard]] errc code() const noexcept {
    return code_;
  }
  /** What was expected, what came, and what to do. Lives as long as the error. */
  [[nodiscard]] const char *detail() const noexcept {
    return detail_;
  }
  /** cuframes_strerror(): one sentence for the code. Static. */
  [[nodiscard]] const char *message() const noexcept {
    return cuframes_strerror(static_cast<int>(code_));
  }
  /** The detail, or the message if there is none. */
  [[nodiscard]] const char *what() const noexcept override {
    return detail_[0] != '\0' ? detail() : message();
  }

  friend bool operator==(const error &e, errc code) noexcept {
    return e.code_ == code;
  }
  friend bool operator!=(const error &e, errc code) noexcept {
    return e.code_ != code;
  }

private:
  void set_detail(const char *text) noexcept {
    const std::size_t length = text != nullptr ? ::strnlen(text, sizeof detail_ - 1) : 0;
    if (length > 0)
      std::memcpy(detail_, text, length);
    detail_[length] = '\0';
  }

  errc code_;
  char detail_[512]; // NOLINT(modernize-avoid-c-arrays): filled as far as there is text, and not before
};

namespace detail {

/* A precondition: a program that breaks it ends here, instead of going on with what is not there. */
inline void require(bool condition) noexcept {
  if (__builtin_expect(static_cast<long>(condition), 1L) == 0)
    __builtin_trap();
}

[[nodiscard]] inline bool failed(int code) noexcept {
  return __builtin_expect(static_cast<long>(code != CUFRAMES_OK), 0L) != 0;
}

#if CUFRAMES_HAS_EXCEPTIONS
[[noreturn, gnu::cold, gnu::noinline]] inline void raise(int code) {
  throw error::last(code);
}

inline void check(int code) {
  if (failed(code))
    raise(code);
}
#endif

} // namespace detail

template <class T> class result;

namespace detail {
template <class T> struct is_result : std::false_type {};
template <class T> struct is_result<result<T>> : std::true_type {};

/* What transform() gives: the function's value, or that it was called. */
template <class T, class F> [[nodiscard]] result<T> map_to(const error *failure, F &&function) {
  if (failure != nullptr)
    return *failure;
  if constexpr (std::is_void_v<T>) {
    std::forward<F>(function)();
    return {};
  } else {
    return T(std::forward<F>(function)());
  }
}
} // namespace detail

/** A value, or the error that there is none: std::expected<T, error>, with its names, for every standard from C++17 on;
 *  moved only. `*r` and `r->` of an error, and error() of a value, end the program; value() throws the error itself.
 *  Under C++23 a result that is moved from becomes a std::expected<T, error>. */
template <class T> class [[nodiscard]] result {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>,
                "a result holds an object: of a reference take a pointer");
  static_assert(!std::is_same_v<T, cuframes::error>, "an error is what a result without a value has");
  static_assert(std::is_nothrow_move_constructible_v<T>, "what may throw when it is moved cannot be in a result");

public:
  using value_type = T;
  using error_type = cuframes::error;

  // NOLINTNEXTLINE(google-explicit-constructor): as std::expected
  result(T &&value) noexcept : has_value_(true), value_(std::move(value)) {}
  template <class U = T, std::enable_if_t<std::is_nothrow_copy_constructible_v<U>, int> = 0>
  result(const T &value) noexcept : has_value_(true), value_(value) {} // NOLINT(google-explicit-constructor)
  result(const error_type &e) noexcept : error_(e) {}                  // NOLINT(google-explicit-constructor)
  result(result &&other) noexcept : has_value_(other.has_value_) {
    take(other);
  }
  result &operator=(result &&other) noexcept {
    if (this != &other) {
      destroy();
      has_value_ = other.has_value_;
      take(other);
    }
    return *this;
  }
  result(const result &) = delete;
  result &operator=(const result &) = delete;
  ~result() {
    destroy();
  }

  [[nodiscard]] bool has_value() const noexcept {
    return has_value_;
  }
  [[nodiscard]] explicit operator bool() const noexcept {
    return has_value_;
  }

  [[nodiscard]] T &operator*() &noexcept {
    detail::require(has_value_);
    return value_;
  }
  [[nodiscard]] const T &operator*() const &noexcept {
    detail::require(has_value_);
    return value_;
  }
  [[nodiscard]] T &&operator*() &&noexcept {
    detail::require(has_value_);
    return std::move(value_);
  }
  [[nodiscard]] T *operator->() noexcept {
    return std::addressof(**this);
  }
  [[nodiscard]] const T *operator->() const noexcept {
    return std::addressof(**this);
  }

  /** The error. Of a value: the program ends. */
  [[nodiscard]] const error_type &error() const &noexcept {
    detail::require(!has_value_);
    return error_;
  }
  /** Of a temporary, whose error would end with it. */
  [[nodiscard]] error_type error() const &&noexcept {
    detail::require(!has_value_);
    return error_;
  }
  /** The code of the error, errc::ok of a value. */
  [[nodiscard]] errc code() const noexcept {
    return has_value_ ? errc::ok : error_.code();
  }

#if CUFRAMES_HAS_EXCEPTIONS
  /** The value. Throws the error. */
  [[nodiscard]] T &value() & {
    throw_error();
    return value_;
  }
  [[nodiscard]] const T &value() const & {
    throw_error();
    return value_;
  }
  [[nodiscard]] T &&value() && {
    throw_error();
    return std::move(value_);
  }
#endif

  template <class U> [[nodiscard]] T value_or(U &&other) && {
    return has_value_ ? std::move(value_) : static_cast<T>(std::forward<U>(other));
  }
  template <class U> [[nodiscard]] T value_or(U &&other) const & {
    return has_value_ ? value_ : static_cast<T>(std::forward<U>(other));
  }

  /** What the function makes of the value, which is a result itself; the error stays. */
  template <class F> [[nodiscard]] auto and_then(F &&function) && {
    return chain(std::move(*this), std::forward<F>(function));
  }
  template <class F> [[nodiscard]] auto and_then(F &&function) & {
    return chain(*this, std::forward<F>(function));
  }
  template <class F> [[nodiscard]] auto and_then(F &&function) const & {
    return chain(*this, std::forward<F>(function));
  }
  /** A result of what the function makes of the value, of void if it gives nothing; the error stays. */
  template <class F> [[nodiscard]] auto transform(F &&function) && {
    return map(std::move(*this), std::forward<F>(function));
  }
  template <class F> [[nodiscard]] auto transform(F &&function) & {
    return map(*this, std::forward<F>(function));
  }
  template <class F> [[nodiscard]] auto transform(F &&function) const & {
    return map(*this, std::forward<F>(function));
  }
  /** What the function, which gives a result of the same kind, makes of the error; the value stays. */
  template <class F> [[nodiscard]] result or_else(F &&function) && {
    return has_value_ ? result(std::move(value_)) : std::forward<F>(function)(std::as_const(error_));
  }

#if defined(__cpp_lib_expected)
  // NOLINTNEXTLINE(google-explicit-constructor): the two are to be mixed
  [[nodiscard]] operator std::expected<T, error_type>() && {
    if (has_value_)
      return std::expected<T, error_type>(std::in_place, std::move(value_));
    return std::expected<T, error_type>(std::unexpect, error_);
  }
#endif

private:
  template <class Self, class F> [[nodiscard]] static auto chain(Self &&self, F &&function) {
    using next = std::decay_t<decltype(std::forward<F>(function)(std::forward<Self>(self).value_))>;
    static_assert(detail::is_result<next>::value, "and_then() takes a function that gives a result");
    return self.has_value_ ? std::forward<F>(function)(std::forward<Self>(self).value_) : next(self.error_);
  }
  template <class Self, class F> [[nodiscard]] static auto map(Self &&self, F &&function) {
    using made = std::decay_t<decltype(std::forward<F>(function)(std::forward<Self>(self).value_))>;
    return detail::map_to<made>(self.has_value_ ? nullptr : std::addressof(self.error_), [&]() -> decltype(auto) {
      return std::forward<F>(function)(std::forward<Self>(self).value_);
    });
  }

  void take(result &other) noexcept {
    if (has_value_)
      ::new (static_cast<void *>(std::addressof(value_))) T(std::move(other.value_));
    else
      ::new (static_cast<void *>(std::addressof(error_))) error_type(other.error_);
  }
  void destroy() noexcept {
    if (has_value_)
      value_.~T();
    else
      error_.~error_type();
  }
#if CUFRAMES_HAS_EXCEPTIONS
  void throw_error() const {
    if (!has_value_)
      throw error_type(error_);
  }
#endif

  bool has_value_ = false;
  union {
    T value_;
    error_type error_;
  };
};

/** Done, or the error why not. */
template <> class [[nodiscard]] result<void> {
public:
  using value_type = void;
  using error_type = cuframes::error;

  result() noexcept : has_value_(true) {}
  result(const error_type &e) noexcept : error_(e) {} // NOLINT(google-explicit-constructor)
  /** Of what a function of the C API gave. */
  static result of(int code) noexcept {
    if (detail::failed(code))
      return { error_type::last(code) };
    return {};
  }
  result(result &&other) noexcept : has_value_(other.has_value_) {
    take(other);
  }
  result &operator=(result &&other) noexcept {
    if (this != &other) {
      destroy();
      has_value_ = other.has_value_;
      take(other);
    }
    return *this;
  }
  result(const result &) = delete;
  result &operator=(const result &) = delete;
  ~result() {
    destroy();
  }

  [[nodiscard]] bool has_value() const noexcept {
    return has_value_;
  }
  [[nodiscard]] explicit operator bool() const noexcept {
    return has_value_;
  }
  void operator*() const noexcept {
    detail::require(has_value_);
  }
  /** The error. Of success: the program ends. */
  [[nodiscard]] const error_type &error() const &noexcept {
    detail::require(!has_value_);
    return error_;
  }
  /** Of a temporary, whose error would end with it. */
  [[nodiscard]] error_type error() const &&noexcept {
    detail::require(!has_value_);
    return error_;
  }
  /** The code of the error, errc::ok of success. */
  [[nodiscard]] errc code() const noexcept {
    return has_value_ ? errc::ok : error_.code();
  }
#if CUFRAMES_HAS_EXCEPTIONS
  /** Throws the error. */
  void value() const {
    if (!has_value_)
      throw error_type(error_);
  }
#endif
  template <class F> [[nodiscard]] auto and_then(F &&function) && {
    using next = std::decay_t<std::invoke_result_t<F>>;
    static_assert(detail::is_result<next>::value, "and_then() takes a function that gives a result");
    return has_value_ ? std::forward<F>(function)() : next(error_);
  }
  /** A result of what the function gives; the error stays. */
  template <class F> [[nodiscard]] auto transform(F &&function) && {
    return detail::map_to<std::decay_t<std::invoke_result_t<F>>>(has_value_ ? nullptr : std::addressof(error_),
                                                                 std::forward<F>(function));
  }
  template <class F> [[nodiscard]] result or_else(F &&function) && {
    return has_value_ ? result() : std::forward<F>(function)(std::as_const(error_));
  }

#if defined(__cpp_lib_expected)
  // NOLINTNEXTLINE(google-explicit-constructor): the two are to be mixed
  [[nodiscard]] operator std::expected<void, error_type>() && {
    if (has_value_)
      return {};
    return std::expected<void, error_type>(std::unexpect, error_);
  }
#endif

private:
  void take(result &other) noexcept {
    if (!has_value_)
      ::new (static_cast<void *>(std::addressof(error_))) error_type(other.error_);
  }
  void destroy() noexcept {
    if (!has_value_)
      error_.~error_type();
  }

  bool has_value_ = false;
  union {
    error_type error_;
  };
};

} // namespace cuframes

#endif
