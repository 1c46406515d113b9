/* test_types.cpp - the types of the C++ header that no stream is needed for: time limits, results, iterators. */
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <ratio>
#include <string>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;
using cuframes::errc;
using cuframes::result;
using cuframes::timeout;
using std::chrono::duration;

/* What counts the ticks may be small, unsigned, or of any length: as many ns as it is, rounded down. */
static_assert(timeout(duration<signed char>(5)).count() == 5'000'000'000);
static_assert(timeout(duration<short, std::milli>(30'000)).count() == 30'000'000'000);
static_assert(timeout(duration<int, std::milli>(2'100'000'000)).count() == 2'100'000'000'000'000);
static_assert(timeout(duration<unsigned char, std::ratio<3600>>(255)).count() == 255 * 3'600'000'000'000);
static_assert(timeout(duration<int, std::ratio<1, 30>>(45)).count() == 1'500'000'000);
static_assert(timeout(duration<long, std::ratio<1, 90000>>(1)).count() == 11'111);
static_assert(timeout(duration<long, std::pico>(1'999)).count() == 1);
static_assert(timeout(duration<unsigned long, std::nano>(7)).count() == 7 && timeout(1us).count() == 1'000);
static_assert(timeout(duration<float>(0.25F)).count() == 250'000'000);
/* Too long is as long as can be; never negative, which would be for ever. */
static_assert(timeout(duration<unsigned long, std::nano>(UINT64_MAX)).count() == INT64_MAX);
static_assert(timeout(duration<unsigned long>(UINT64_MAX)).count() == INT64_MAX);
static_assert(timeout(std::chrono::hours::max()).count() == INT64_MAX);
static_assert(timeout(9'223'372'036s).count() == 9'223'372'036'000'000'000 &&
              timeout(9'223'372'037s).count() == INT64_MAX);
static_assert(timeout(duration<long, std::ratio<1, 30>>(INT64_MAX)).count() == INT64_MAX);
static_assert(timeout(duration<double>(1e300)).count() == INT64_MAX);
static_assert(timeout(duration<double>(std::numeric_limits<double>::infinity())).count() == INT64_MAX);
/* A moment that has passed, and what is no number: not at all. */
static_assert(timeout(-1ns).count() == 0 && timeout(std::chrono::hours::min()).count() == 0);
static_assert(timeout(duration<double>(-0.5)).count() == 0);
static_assert(timeout(duration<double>(std::numeric_limits<double>::quiet_NaN())).count() == 0);
static_assert(timeout(0ns).count() == 0 && timeout::none().count() == 0 && timeout::forever().count() == -1);

static result<int> five() {
  return 5;
}
static result<int> busy() {
  return cuframes::error(errc::busy, "not now");
}

static void results_have_the_names_of_expected() {
  int calls = 0;
  const auto count = [&calls](int) { calls++; };
  CHECK(five().transform(count).has_value() && busy().transform(count).code() == errc::busy && calls == 1);
  CHECK(result<void>().transform([] { return 7; }).value_or(0) == 7);
  CHECK(result<void>(cuframes::error(errc::lost, nullptr)).transform([&calls] { calls++; }).code() == errc::lost);
  CHECK(calls == 1);
  auto named = five();
  const auto &constant = named;
  CHECK(named.value_or(0) == 5 && *named.transform([](int &value) { return ++value; }) == 6 && *constant == 6);
  CHECK(*constant.and_then([](const int &value) { return result<std::string>(std::to_string(value)); }) == "6");
  CHECK(named.and_then([](int &) { return busy(); }).code() == errc::busy && *named == 6);
  /* The error of a temporary is a copy: it lives as long as its name. */
  const cuframes::error &kept = busy().error();
  static_assert(!std::is_reference_v<decltype(busy().error())> && std::is_reference_v<decltype(named.error())>);
  CHECK(kept == errc::busy && std::strcmp(kept.detail(), "not now") == 0);
  result<int> &itself = named;
  named = std::move(itself);
  CHECK(*named == 6); // NOLINT(bugprone-use-after-move): of itself
}

static void rows_go_through_algorithms() {
  std::vector<std::byte> memory(4 * 16);
  const cuframes::writable_plane_view plane{ memory.data(), 16, 10, 4 };
  for (std::size_t i = 0; i < plane.rows; i++)
    plane.row(i)[0] = std::byte(i % 2);
  CHECK(std::count_if(plane.begin(), plane.end(), [](const auto row) { return row[0] == std::byte(1); }) == 2);
  CHECK(std::distance(plane.begin(), plane.end()) == 4 && (*std::next(plane.begin(), 3)).data() == memory.data() + 48);
  const cuframes::plane_view none;
  CHECK(none.begin() == none.end() && !none && cuframes::bytes(none.data, 0).empty());
}

int main(int argc, char **argv) {
  return check::run_all({ { "results_have_the_names_of_expected", results_have_the_names_of_expected },
                          { "rows_go_through_algorithms", rows_go_through_algorithms } },
                        argc, argv);
}
