/* check.hpp - what surrounds the C++ tests: a runtime directory for each, and a look at the end whether descriptors or
 * files were left. Works without exceptions and RTTI, too. A check that does not hold ends the program, and says why.
  *  */
#ifndef TESTS_CPP_CHECK_HPP
#define TESTS_CPP_CHECK_HPP

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <initializer_list>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <cuframes/cuframes.hpp>

#define CHECK(condition) ((condition) ? (void)0 : check::failed(__FILE__, __LINE__, #condition))
/* A result that is a value. */
#define CHECK_OK(call) check::succeeded(__FILE__, __LINE__, #call, (call))
/* Waits until it is so, looking every millisecond. */
#define WAIT_FOR(condition)                                                                                            \
  do {                                                                                                                 \
    const auto wait_end = cuframes::now() + check::patience();                                                         \
    while (!(condition)) {                                                                                             \
      if (cuframes::now() > wait_end)                                                                                  \
        check::failed(__FILE__, __LINE__, "in time: " #condition);                                                     \
      check::pause();                                                                                                  \
    }                                                                                                                  \
  } while (0)

namespace check {

[[noreturn]] inline void failed(const char *file, int line, const char *text) {
  std::fprintf(stderr, "%s:%d: FAILED: %s (last error of cuframes: %s)\n", file, line, text, cuframes_last_error());
  std::fflush(nullptr);
  std::_Exit(1);
}

template <class T> void succeeded(const char *file, int line, const char *text, const cuframes::result<T> &r) {
  if (!r) {
    std::fprintf(stderr, "%s: %s\n", text, r.error().what());
    failed(file, line, text);
  }
}
template <class T> T succeeded(const char *file, int line, const char *text, cuframes::result<T> &&r) {
  succeeded(file, line, text, r);
  if constexpr (!std::is_void_v<T>)
    return *std::move(r);
}

/* How long a test waits for what must come: it finds what hangs. */
inline std::chrono::nanoseconds patience() {
  const char *times = std::getenv("CUFRAMES_TEST_TIMEOUT");
  const long factor = times != nullptr ? std::strtol(times, nullptr, 10) : 1;
  const char *sanitize = std::getenv("CUFRAMES_SANITIZE");
  return std::chrono::seconds(120 * (factor > 1 ? factor : 1) * (sanitize != nullptr && *sanitize != '\0' ? 4 : 1));
}

inline void pause() {
  const std::timespec millisecond{ 0, 1000000 };
  (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &millisecond, nullptr);
}

inline int entries(const char *path) {
  int count = 0;
  if (DIR *directory = opendir(path)) {
    while (const dirent *entry = readdir(directory))
      count += entry->d_name[0] != '.' ? 1 : 0;
    closedir(directory);
  }
  return count;
}

struct test {
  const char *name;
  void (*run)();
};

/* The tests that have no name of their own on the command line, or those that have. */
inline int run_all(std::initializer_list<test> tests, int argc, char **argv) {
  for (const test &each : tests) {
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++)
      wanted = wanted || std::strcmp(argv[i], each.name) == 0;
    if (!wanted)
      continue;
    char directory[] = "/tmp/cf-cpp-XXXXXX";
    CHECK(mkdtemp(directory) != nullptr && setenv("CUFRAMES_DIR", directory, 1) == 0);
    std::printf("[ RUN      ] %s\n", each.name);
    std::fflush(stdout);
    const int descriptors = entries("/proc/self/fd");
    each.run();
    WAIT_FOR(entries("/proc/self/fd") == descriptors);
    CHECK(entries(directory) == 0);
    CHECK(rmdir(directory) == 0);
    std::printf("[       OK ] %s\n", each.name);
  }
  return 0;
}

/* What most tests begin with. */
inline cuframes::publisher_options gray(std::uint32_t width = 64, std::uint32_t height = 16) {
  cuframes::publisher_options options;
  options.format = cuframes::format::picture(cuframes::pixel_format::gray8, { width, height });
  options.device = cuframes::device::host();
  return options;
}

inline void fill(const cuframes::writable_plane_view &plane, unsigned char value) {
  for (const auto row : plane)
    std::memset(row.data(), value, row.size());
}

inline bool is_filled(const cuframes::plane_view &plane, unsigned char value) {
  for (const auto row : plane)
    for (const std::byte sample : row)
      if (sample != std::byte(value))
        return false;
  return plane.rows > 0;
}

} // namespace check

#endif
