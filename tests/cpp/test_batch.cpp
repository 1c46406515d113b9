/* test_batch.cpp - a batch through C++: whose frames come, what is moved, what is said instead of thrown. */
#include <string_view>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;
using cuframes::at_least;
using cuframes::errc;

static void publish(cuframes::publisher &publisher) {
  auto open = publisher.acquire();
  CHECK(open.has_value());
  CHECK(publisher.publish(std::move(*open)) == cuframes::delivery::published);
}

static void the_newest_of_each() {
  auto first = cuframes::publisher::create("a", check::gray()),
       second = cuframes::publisher::create("b", check::gray());
  auto batch = cuframes::batch::create();
  std::vector<cuframes::subscriber> camera;
  int place[2] = { 10, 20 };
  camera.push_back(cuframes::subscriber::create("a"));
  camera.push_back(cuframes::subscriber::create("b"));
  CHECK(batch.add(camera[0], &place[0]) == 0 && batch.add(camera[1], &place[1]) == 1);
  std::vector<cuframes::batch_entry> entries;
  CHECK(!batch.next(entries, 1, 0ns) && entries.empty());
  for (std::uint64_t n = 1; n <= 5; n++) {
    publish(first);
    publish(second);
    auto moved = std::move(batch); /* members stay members */
    batch = std::move(moved);
    CHECK(batch.next(entries, at_least::alive(), check::patience()) && entries.size() == 2);
    for (const auto &entry : entries) {
      CHECK(entry.frame && entry.frame.seq() == n && entry.code == errc::ok && entry.age >= 0ns);
      CHECK(entry.user == &place[entry.index] && entry.subscriber == camera[entry.index].native_handle());
    }
  }
  CHECK(camera[0].try_next(0ns).code() == errc::busy);
  entries.clear();
  CHECK(camera[0].get_stats().leases_held == 0);
  batch.remove(camera[0]);
  CHECK(batch.try_remove(camera[0]).code() == errc::invalid);
  camera.pop_back(); /* a member that is destroyed leaves */
  CHECK(batch.get_stats().members == 0 && batch.get_stats().frames == 10);
}

/* Members may come while next() waits: there is room for all that the C call may give before it has frames, since one
 * for which memory had to be taken would be lost without it. */
static void room_before_frames() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto batch = cuframes::batch::create();
  std::vector<cuframes::batch_entry> first, second;
  std::vector<cuframes::subscriber> camera;
  for (int i = 0; i < 8; i++) {
    camera.push_back(cuframes::subscriber::create("s"));
    batch.add(camera.back());
  }
  CHECK(!batch.next(first, 1, 0ns)); /* it has asked for eight */
  while (camera.size() > 1)
    camera.pop_back();
  CHECK(!batch.next(second, 1, 0ns));
  CHECK(second.capacity() >= 8);
}

static void what_is_said() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  auto batch = cuframes::batch::create({ 5s });
  auto other = cuframes::batch::create();
  std::vector<cuframes::batch_entry> entries;
  batch.add(subscriber);
  CHECK(other.try_add(subscriber).code() == errc::busy);
  batch.interrupt();
  CHECK(batch.try_next(entries).code() == errc::interrupted);
  CHECK(batch.try_wait(1, 0ns).code() == errc::timeout);
  CHECK(batch.fileno() >= 0);
  { const auto gone = std::move(publisher); }
  CHECK(batch.next(entries, 1, check::patience()) && entries.size() == 1);
  CHECK(!entries[0].frame && entries[0].code == errc::publisher_gone);
  CHECK(batch.try_next(entries).code() == errc::publisher_gone); /* for ever: nobody is left */
  const cuframes::error told(errc::format, "a sentence");
  CHECK(told.set_last() == CUFRAMES_ERR_FORMAT && std::string_view(cuframes_last_error()) == "a sentence");
  auto moved = std::move(other);
  CHECK(other.try_next(entries, 1, 0ns).code() == errc::invalid); // NOLINT(bugprone-use-after-move): it is empty
  CHECK(!moved.next(entries, 1, 0ns));
}

int main(int argc, char **argv) {
  return check::run_all({ { "the_newest_of_each", the_newest_of_each },
                          { "room_before_frames", room_before_frames },
                          { "what_is_said", what_is_said } },
                        argc, argv);
}
