/* test_no_exceptions.cpp - the same without exceptions and without RTTI (CMakeLists.txt), by results alone; and that
 * nothing is allocated per frame, counted where memory comes from. */
#include <cstdlib>
#include <new>

#include "check.hpp"

using namespace std::chrono_literals;
using cuframes::errc;

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this is to be compiled with -fno-exceptions -fno-rtti"
#endif

/* The linker puts these in place of the C library's functions, for this program and for the static library. */
static unsigned long allocations;
extern "C" {
void *__real_malloc(std::size_t size);
void *__real_calloc(std::size_t count, std::size_t size);
void *__real_realloc(void *memory, std::size_t size);
void *__wrap_malloc(std::size_t size);
void *__wrap_calloc(std::size_t count, std::size_t size);
void *__wrap_realloc(void *memory, std::size_t size);

void *__wrap_malloc(std::size_t size) {
  __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
  return __real_malloc(size);
}
void *__wrap_calloc(std::size_t count, std::size_t size) {
  __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
  return __real_calloc(count, size);
}
void *__wrap_realloc(void *memory, std::size_t size) {
  __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
  return __real_realloc(memory, size);
}
}
/* What C++ allocates comes out of libstdc++, where the linker cannot reach. */
void *operator new(std::size_t size) {
  void *memory = std::malloc(size);
  CHECK(memory != nullptr);
  return memory;
}
void operator delete(void *memory) noexcept {
  std::free(memory);
}
void operator delete(void *memory, std::size_t) noexcept {
  std::free(memory);
}

static bool publish(cuframes::publisher &publisher, unsigned char value) {
  auto open = publisher.try_acquire();
  if (!open)
    return false;
  check::fill(open->plane(0), value);
  return publisher.try_publish(std::move(*open)).has_value();
}

static void results_say_all() {
  const auto nobody = cuframes::subscriber::try_create("nobody");
  CHECK(!nobody && nobody.error().code() == errc::no_such_stream && std::strstr(nobody.error().what(), "nobody"));
  auto publisher = CHECK_OK(cuframes::publisher::try_create("s", check::gray()));
  auto subscriber = CHECK_OK(cuframes::subscriber::try_create("s"));
  CHECK(subscriber.try_next(0ns).code() == errc::timeout);
  CHECK(publish(publisher, 7));
  auto frame = subscriber.try_next(check::patience());
  CHECK(frame && frame->seq() == 1 && check::is_filled(frame->plane(0), 7));
  const auto seq = std::move(frame).transform([](cuframes::frame got) { return got.seq(); });
  CHECK(seq && *seq == 1);
  const auto none = subscriber.try_next(0ns).and_then([](const cuframes::frame &got) { return got.try_identify(); });
  CHECK(!none && none.code() == errc::timeout);
  CHECK(publisher.try_discontinuity().has_value());
  CHECK(cuframes::result<int>(5).value_or(7) == 5);
  CHECK(cuframes::result<int>(cuframes::error(errc::busy, nullptr)).value_or(7) == 7);
  CHECK(std::strcmp(cuframes::error(errc::busy, nullptr).what(), cuframes_strerror(CUFRAMES_ERR_BUSY)) == 0);
  auto again = cuframes::result<int>(cuframes::error(errc::stale, "x")).or_else([](const cuframes::error &e) {
    return e == errc::stale ? cuframes::result<int>(1) : cuframes::result<int>(e);
  });
  CHECK(again && *again == 1);
  again = cuframes::result<int>(cuframes::error(errc::lost, "y"));
  CHECK(!again && std::strcmp(again.error().detail(), "y") == 0);
}

static void a_detail_that_is_too_long_is_cut() {
  const std::string text(2000, 'x');
  const cuframes::error e(errc::system, text.c_str());
  CHECK(std::strlen(e.detail()) > 400 && text.compare(0, std::strlen(e.detail()), e.detail()) == 0);
  cuframes::error copy = e;
  copy = cuframes::error(errc::system, "short");
  CHECK(std::strcmp(copy.detail(), "short") == 0);
}

static void nothing_is_allocated_per_frame() {
  auto options = check::gray();
  options.packets = cuframes::packet_ring_options{};
  auto publisher = CHECK_OK(cuframes::publisher::try_create("s", options));
  auto subscriber = CHECK_OK(cuframes::subscriber::try_create("s"));
  const auto loop = [&](int frames) {
    std::uint64_t sum = 0;
    for (int i = 0; i < frames; i++) {
      CHECK(publish(publisher, static_cast<unsigned char>(i)));
      const auto frame = subscriber.try_next(check::patience());
      CHECK(frame.has_value());
      for (const auto row : frame->plane(0))
        sum += std::to_integer<std::uint64_t>(row[0]);
      sum += frame->clone().seq() + frame->format().size().width + frame->try_identify()->seq();
      CHECK(subscriber.try_next(0ns).code() == errc::timeout); /* errors carry their text without it */
      auto moved = subscriber.try_next(-1s);
      auto copy = cuframes::error(moved.error());
      CHECK(copy == errc::timeout);
    }
    return sum;
  };
  CHECK(loop(64) > 0); /* segments are mapped, slots made */
  const unsigned long before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
  CHECK(before > 0);
  CHECK(loop(1000) > 0);
  CHECK(__atomic_load_n(&allocations, __ATOMIC_RELAXED) == before);
}

int main(int argc, char **argv) {
  return check::run_all({ { "results_say_all", results_say_all },
                          { "a_detail_that_is_too_long_is_cut", a_detail_that_is_too_long_is_cut },
                          { "nothing_is_allocated_per_frame", nothing_is_allocated_per_frame } },
                        argc, argv);
}
