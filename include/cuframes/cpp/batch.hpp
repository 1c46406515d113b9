/* cuframes/cpp/batch.hpp - many subscribers served by one thread: the newest of each in one call.
 *
 * Functions  Each is a call of the C function that its comment names, whose errors, threads and waiting it has.
 */
#ifndef CUFRAMES_CPP_BATCH_HPP
#define CUFRAMES_CPP_BATCH_HPP

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuframes/batch.h>
#include <cuframes/cpp/subscriber.hpp>

namespace cuframes {

/** cuframes_batch_options; 0 means the default. */
struct batch_options {
  nanoseconds quiet{ 0 }; /**< who has given nothing for so long is not waited for by at_least::alive() */
};

/** For how many members a batch waits: at_least(8), or at_least::alive(). */
class at_least {
public:
  constexpr at_least(std::uint32_t members) noexcept : members_(members) {} // NOLINT(google-explicit-constructor)
  /** A frame of every member that is alive, CUFRAMES_BATCH_ALIVE. */
  [[nodiscard]] static constexpr at_least alive() noexcept {
    return { CUFRAMES_BATCH_ALIVE };
  }
  [[nodiscard]] constexpr std::uint32_t count() const noexcept {
    return members_;
  }

private:
  std::uint32_t members_;
};

/** What one member had, cuframes_batch_entry. */
struct batch_entry {
  cuframes::frame frame;                     /**< empty: `code` says why */
  errc code = errc::ok;                      /**< said once */
  std::uint32_t index = 0;                   /**< of the member, as add() gave it */
  void *user = nullptr;                      /**< as given to add() */
  nanoseconds age{ 0 };                      /**< from the publishing of the frame to the return */
  cuframes_subscriber *subscriber = nullptr; /**< whose it is: as its native_handle() */
};

/** A set of subscribers, which stay their owners'. Moved only. */
class batch {
public:
  using options = batch_options;
  using stats = cuframes_batch_stats;

  /** cuframes_batch_create(). */
  [[nodiscard]] static result<batch> try_create(const options &with = {}) noexcept {
    cuframes_batch_options native{};
    native.struct_size = sizeof native;
    native.quiet_ns = with.quiet.count();
    cuframes_batch *made = nullptr;
    const int code = cuframes_batch_create(&native, &made);
    if (detail::failed(code))
      return error::last(code);
    return batch(made);
  }

  batch(batch &&other) noexcept
      : native_(std::exchange(other.native_, nullptr)), room_(std::exchange(other.room_, {})) {}
  batch &operator=(batch &&other) noexcept {
    if (this != &other) {
      cuframes_batch_destroy(native_);
      native_ = std::exchange(other.native_, nullptr);
      room_ = std::exchange(other.room_, {});
    }
    return *this;
  }
  batch(const batch &) = delete;
  batch &operator=(const batch &) = delete;
  ~batch() {
    cuframes_batch_destroy(native_);
  }

  /** cuframes_batch_add(): its number. It may be moved meanwhile; when it is destroyed it leaves the batch. */
  [[nodiscard]] result<std::uint32_t> try_add(const subscriber &member, void *user = nullptr) noexcept {
    std::uint32_t index = 0;
    const int code = cuframes_batch_add(native_, member.native_handle(), user, &index);
    if (detail::failed(code))
      return error::last(code);
    return index;
  }
  /** cuframes_batch_remove(). */
  [[nodiscard]] result<void> try_remove(const subscriber &member) noexcept {
    return result<void>::of(cuframes_batch_remove(native_, member.native_handle()));
  }

  /** cuframes_batch_next(): into `entries`, whose frames of before are given back first; of all members. Memory is
   *  taken when there are more members than ever before. errc::timeout: nobody has anything;
   *  errc::publisher_gone: all members have said their last words. */
  [[nodiscard]] result<void> try_next(std::vector<batch_entry> &entries, at_least min = at_least::alive(),
                                      timeout limit = timeout::forever()) {
    return take(
        entries,
        [&](std::uint32_t *got) {
          return cuframes_batch_next(native_, min.count(), limit.count(), room_.data(),
                                     static_cast<std::uint32_t>(room_.size()), got);
        });
  }
  /** cuframes_batch_next_on(); the frames are given back on the same stream. */
  [[nodiscard]] result<void> try_next_on(std::vector<batch_entry> &entries, stream_view stream,
                                         at_least min = at_least::alive(), timeout limit = timeout::forever()) {
    const result<void> taken = take(entries, [&](std::uint32_t *got) {
      return cuframes_batch_next_on(native_, min.count(), limit.count(), stream.native_handle(), room_.data(),
                                    static_cast<std::uint32_t>(room_.size()), got);
    });
    if (!taken)
      return taken.error();
    for (batch_entry &entry : entries)
      if (entry.frame)
        entry.frame.release_with(stream);
    return {};
  }

  /** cuframes_batch_wait(): takes nothing; of frames that next() or next_on() would give. */
  [[nodiscard]] result<void> try_wait(at_least min = at_least::alive(), timeout limit = timeout::forever(),
                                      bool on_stream = false) noexcept {
    return result<void>::of(cuframes_batch_wait(native_, min.count(), on_stream ? 1 : 0, limit.count()));
  }

  /** cuframes_batch_interrupt(): from any thread and signal handlers. */
  void interrupt() const noexcept {
    cuframes_batch_interrupt(native_);
  }
  /** cuframes_batch_fd(): a descriptor for poll(); it stays the library's. */
  [[nodiscard]] result<int> try_fileno() noexcept {
    int fd = -1;
    const int code = cuframes_batch_fd(native_, &fd);
    if (detail::failed(code))
      return error::last(code);
    return fd;
  }
  /** cuframes_batch_get_stats(). */
  [[nodiscard]] result<stats> try_get_stats() const noexcept {
    stats found{};
    found.struct_size = sizeof found;
    const int code = cuframes_batch_get_stats(native_, &found);
    if (detail::failed(code))
      return error::last(code);
    return found;
  }

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static batch create(const options &with = {}) {
    return try_create(with).value();
  }
  std::uint32_t add(const subscriber &member, void *user = nullptr) {
    return try_add(member, user).value();
  }
  void remove(const subscriber &member) {
    try_remove(member).value();
  }
  /** False: nobody had anything in the time given. */
  [[nodiscard]] bool next(std::vector<batch_entry> &entries, at_least min = at_least::alive(),
                          timeout limit = timeout::forever()) {
    return in_time(try_next(entries, min, limit));
  }
  [[nodiscard]] bool next_on(std::vector<batch_entry> &entries, stream_view stream, at_least min = at_least::alive(),
                             timeout limit = timeout::forever()) {
    return in_time(try_next_on(entries, stream, min, limit));
  }
  [[nodiscard]] int fileno() {
    return try_fileno().value();
  }
  [[nodiscard]] stats get_stats() const {
    return try_get_stats().value();
  }
#endif

  [[nodiscard]] cuframes_batch *native_handle() const noexcept {
    return native_;
  }

private:
  explicit batch(cuframes_batch *native) noexcept : native_(native) {}

#if CUFRAMES_HAS_EXCEPTIONS
  [[nodiscard]] static bool in_time(const result<void> &taken) {
    if (!taken && taken.error() == errc::timeout)
      return false;
    if (!taken)
      throw taken.error();
    return true;
  }
#endif

  template <class F> [[nodiscard]] result<void> take(std::vector<batch_entry> &entries, F &&next) {
    std::uint32_t got = 0;
    entries.clear();
    const result<stats> now = try_get_stats();
    if (!now)
      return now.error();
    const std::size_t members = now->members > 0 ? now->members : 1; /* others may add some meanwhile: another time */
    if (room_.size() < members)
      room_.resize(members);
    entries.reserve(room_.size()); /* before there are frames, which an exception would lose */
    const int code = next(&got);
    if (detail::failed(code))
      return error::last(code);
    for (std::uint32_t i = 0; i < got; i++) {
      const cuframes_batch_entry &e = room_[i];
      entries.push_back(
          { frame::adopt(e.frame), static_cast<errc>(e.error), e.index, e.user, nanoseconds(e.age_ns), e.subscriber });
    }
    return {};
  }

  cuframes_batch *native_;
  std::vector<cuframes_batch_entry> room_; /* of the thread that calls next() */
};

static_assert(std::is_nothrow_move_constructible_v<batch> && std::is_nothrow_move_assignable_v<batch>);

} // namespace cuframes

#endif
