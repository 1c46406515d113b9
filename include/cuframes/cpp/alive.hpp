/* cuframes/cpp/alive.hpp - how an open frame knows whether its publisher is there still.
 *
 * The C library ends the references of open frames with their publisher. A frame that lives longer must not touch its
 * own then, and looks here: a cell holds the number of the publisher that has it. Cells are used again and never freed,
 * so a frame may look at any time; there are as many as there were publishers at the same time.
 */
#ifndef CUFRAMES_CPP_ALIVE_HPP
#define CUFRAMES_CPP_ALIVE_HPP

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>

namespace cuframes::detail {

struct cell {
  std::atomic<std::uint64_t> number{ 0 };
  cell *next = nullptr;
};

class cells {
public:
  /** One that nobody has, with a number that none had before; nullptr without memory. */
  [[nodiscard]] static cell *take(std::uint64_t &number) noexcept {
    const std::lock_guard<std::mutex> held(lock);
    cell *const taken = free != nullptr ? free : new (std::nothrow) cell;
    if (taken != nullptr) {
      free = taken->next;
      number = ++last;
      taken->number.store(number, std::memory_order_relaxed);
    }
    return taken;
  }
  static void give_back(cell *taken) noexcept {
    if (taken == nullptr)
      return;
    const std::lock_guard<std::mutex> held(lock);
    taken->number.store(0, std::memory_order_relaxed);
    taken->next = free;
    free = taken;
  }

private:
  static inline std::mutex lock;
  static inline cell *free = nullptr;
  static inline std::uint64_t last = 0;
};

/** A publisher's own, or a frame's of its publisher. */
struct membership {
  cell *at = nullptr;
  std::uint64_t number = 0;

  [[nodiscard]] bool is_alive() const noexcept {
    return at != nullptr && at->number.load(std::memory_order_relaxed) == number;
  }
  [[nodiscard]] bool is_of(const membership &other) const noexcept {
    return at == other.at && number == other.number;
  }
};

} // namespace cuframes::detail

#endif
