/* test_frames.cpp - a frame on its way through C++: what is said of it, who holds it, what ends it. */
#include <atomic>
#include <poll.h>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;
using cuframes::errc;

static void publish(cuframes::publisher &publisher, unsigned char value, const cuframes::publish_info &info = {}) {
  auto open = publisher.acquire();
  CHECK(open.has_value());
  check::fill(open->plane(0), value);
  CHECK(publisher.publish(std::move(*open), info) == cuframes::delivery::published);
}

static void a_frame_arrives_with_all_that_was_said_of_it() {
  auto options = check::gray();
  options.format.set_color({ 1, cuframes::color_range::full, 9, 16 })
      .set_chroma_location(cuframes::chroma_location::left)
      .set_field_order(cuframes::field_order::progressive)
      .set_orientation(cuframes::orientation::right_top)
      .set_sample_aspect({ 4, 3 });
  auto publisher = cuframes::publisher::create("s", options);
  auto subscriber = cuframes::subscriber::create("s");
  auto open = publisher.acquire();
  CHECK(open && open->seq() == 0 && !open->pts() && !open->capture_time() && open->flags() == cuframes::frame_flags());
  check::fill(open->plane(0), 7);
  cuframes::publish_info info;
  info.pts = -5ns;
  info.duration = 40ms;
  info.flags = cuframes::frame_flag::key | cuframes::frame_flag::corrupt;
  info.capture_time = cuframes::wall_time(1700000000123456789ns);
  const auto before = cuframes::now();
  CHECK(publisher.publish(std::move(*open), info) == cuframes::delivery::published);
  CHECK(!*open && open->seq() == 0); // NOLINT(bugprone-use-after-move): it is empty, which is what is looked at
  const auto after = cuframes::now();

  const cuframes::frame frame = subscriber.next(check::patience());
  CHECK(check::is_filled(frame.plane(0), 7));
  CHECK(frame.seq() == 1 && frame.pts() == -5ns && frame.duration() == 40ms);
  CHECK(frame.timestamp() >= before && frame.timestamp() <= after);
  CHECK(frame.capture_time() == info.capture_time);
  CHECK(frame.flags() == (cuframes::frame_flag::key | cuframes::frame_flag::corrupt));
  CHECK(frame.flags().has(cuframes::frame_flag::key) && !frame.flags().has(cuframes::frame_flag::new_format));
  CHECK(frame.size() == (cuframes::picture_size{ 64, 16 }) && frame.planes() == 1 && frame.on_host());
  CHECK(frame.pixel_format() == cuframes::pixel_format::gray8 && frame.device() == "host");
  const cuframes::format format = frame.format();
  CHECK(format.color().primaries == 9 && format.color().range == cuframes::color_range::full);
  CHECK(frame.color().matrix == 1 && frame.color().transfer == 16);
  CHECK(format.chroma_location() == cuframes::chroma_location::left);
  CHECK(format.field_order() == cuframes::field_order::progressive);
  CHECK(format.orientation() == cuframes::orientation::right_top);
  CHECK(format.sample_aspect() == (cuframes::rational{ 4, 3 }));
  CHECK(format.pitch(0) >= 64 && format.offset(0) == 0 && format.padding() == 0);
  CHECK(frame.try_wait(0ns).has_value());
}

static void planes_are_spans_of_rows() {
  auto options = check::gray();
  options.format = cuframes::format::picture(cuframes::pixel_format::nv12, { 63, 15 });
  auto publisher = cuframes::publisher::create("s", options);
  auto subscriber = cuframes::subscriber::create("s");
  auto open = publisher.acquire();
  CHECK(open && open->planes() == 2);
  const std::vector<unsigned char> luma(63 * 15, 9);
  open->copy_from_host(0, cuframes::as_bytes(luma));
  for (std::size_t y = 0; y < open->plane(1).rows; y++)
    for (auto &sample : open->plane(1).row_as<std::uint8_t>(y))
      sample = static_cast<std::uint8_t>(y);
  (void)publisher.publish(std::move(*open));

  const cuframes::frame frame = subscriber.next(check::patience());
  const cuframes::plane_view chroma = frame.plane(1);
  CHECK(chroma.row_bytes == 64 && chroma.rows == 8 && chroma.pitch >= 64);
  CHECK(chroma.row(7).data() == chroma.data + 7 * chroma.pitch && chroma.row(7).size() == 64);
  CHECK(chroma.row_as<std::uint16_t>(7).size() == 32 && chroma.row_as<std::uint16_t>(7)[31] == 0x0707);
  CHECK(check::is_filled(frame.plane(0), 9));
  CHECK(!frame.plane(2) && frame.plane(2).rows == 0 && frame.plane(2).begin() == frame.plane(2).end());
  CHECK(frame.device_plane(1).address == chroma.data && !frame.device_plane(2));
  std::vector<std::byte> copy(64 * 8);
  frame.copy_to_host(1, copy);
  CHECK(copy[7 * 64] == std::byte(7));
}

static void memory_that_is_too_small_is_not_copied_to() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  std::vector<std::byte> memory(64 * 16);
  auto open = publisher.acquire();
  CHECK(open->try_copy_from_host(0, { memory.data(), memory.size() - 1 }).code() == errc::invalid);
  CHECK_OK(open->try_copy_from_host(0, memory));
  publisher.publish(std::move(*open));
  const cuframes::frame frame = subscriber.next(check::patience());
  CHECK(frame.try_copy_to_host(0, { memory.data(), memory.size() - 1 }).code() == errc::invalid);
  CHECK(frame.try_copy_to_host(0, memory, 65).code() == errc::invalid);
  CHECK(frame.try_copy_to_host(0, memory, 63).code() == errc::invalid); /* the library's: less than a row */
  CHECK(frame.try_copy_to_host(5, memory).code() == errc::invalid);
  std::vector<std::byte> exact(64 * 2 * 15 + 64);
  CHECK_OK(frame.try_copy_to_host(0, exact, 128));
  exact.pop_back();
  CHECK(frame.try_copy_to_host(0, exact, 128).code() == errc::invalid);
}

static void errors_carry_the_detail() {
  const auto missing = cuframes::subscriber::try_create("nobody");
  CHECK(!missing && missing.code() == errc::no_such_stream &&
        missing.error().detail() == std::string(cuframes_last_error()));
  CHECK(std::strstr(missing.error().what(), "nobody") != nullptr);
  try {
    (void)cuframes::subscriber::create("not/a/name");
    CHECK(!"thrown");
  } catch (const std::exception &caught) {
    const auto *e = dynamic_cast<const cuframes::error *>(&caught);
    CHECK(e != nullptr && e->code() == errc::name && *e == errc::name && *e != errc::ok);
    CHECK(std::strstr(e->what(), "not/a/name") != nullptr && std::strlen(e->message()) > 0);
  }
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  try {
    (void)subscriber.next(0s);
    CHECK(!"thrown");
  } catch (const cuframes::error &e) {
    CHECK(e.code() == errc::timeout && std::strlen(e.detail()) > 0);
  }
  const auto late = subscriber.try_next(-3s); /* a moment that has passed is not for ever */
  CHECK(late.code() == errc::timeout);
}

static void a_frame_outlives_its_subscriber_and_its_publisher() {
  cuframes::frame kept;
  CHECK(!kept && kept.seq() == 0 && !kept.plane(0) && kept.device().empty());
  {
    auto publisher = cuframes::publisher::create("s", check::gray());
    {
      auto subscriber = cuframes::subscriber::create("s");
      publish(publisher, 3);
      kept = subscriber.next(check::patience());
    }
    for (unsigned char i = 10; i < 40; i++)
      publish(publisher, i);
    auto open = publisher.acquire();
    CHECK(open.has_value());
  }
  CHECK(kept && check::is_filled(kept.plane(0), 3));
}

static void an_open_frame_outlives_its_publisher() {
  std::optional<cuframes::publisher::frame> open;
  {
    auto publisher = cuframes::publisher::create("s", check::gray());
    open = publisher.acquire();
  }
  auto other = cuframes::publisher::create("t", check::gray());
  CHECK(other.try_publish(std::move(*open)).code() == errc::invalid);
}

/* Nor is it taken for one of a publisher that has the address of the one that is gone: it would never be given back. */
static void an_open_frame_is_not_of_a_later_publisher() {
  std::optional<cuframes::publisher::frame> open;
  const cuframes_publisher *gone = nullptr;
  {
    auto publisher = cuframes::publisher::create("s", check::gray());
    open = publisher.acquire();
    gone = publisher.native_handle();
  }
  std::vector<cuframes::publisher> others;
  for (int i = 0; i < 16; i++) {
    others.push_back(cuframes::publisher::create("t" + std::to_string(i), check::gray()));
    CHECK(others.back().try_publish(std::move(*open)).code() == errc::invalid);
    CHECK(*open); // NOLINT(bugprone-use-after-move): a refused frame stays
    if (others.back().native_handle() == gone)
      break; /* the case that is meant, nearly always the first one */
  }
}

static void a_frame_of_another_publisher_is_refused_and_kept() {
  auto one = cuframes::publisher::create("one", check::gray());
  auto two = cuframes::publisher::create("two", check::gray());
  auto open = one.acquire();
  CHECK(open.has_value());
  const auto refused = two.try_publish(std::move(*open));
  CHECK(refused.code() == errc::invalid);
  CHECK(*open);                                         // NOLINT(bugprone-use-after-move): a refused frame stays
  CHECK(one.try_acquire().code() == errc::lease_limit); /* it is still open */
  CHECK(one.publish(std::move(*open)) == cuframes::delivery::published);
  auto next = one.acquire();
  CHECK(next.has_value());
  next->cancel();
  CHECK(!*next && one.get_stats().released_twice == 0 && two.get_stats().released_twice == 0);
}

static void destructors_give_back_once() {
  auto options = check::gray();
  options.max_open = 2;
  auto publisher = cuframes::publisher::create("s", options);
  cuframes::subscriber_options two;
  two.leases = 2;
  auto subscriber = cuframes::subscriber::create("s", two);
  for (unsigned char i = 0; i < 100; i++) {
    auto open = publisher.acquire();
    CHECK(open.has_value());
    if (i % 3 == 0)
      continue; /* cancelled by the destructor */
    check::fill(open->plane(0), i);
    const cuframes::frame shared = open->share();
    publisher.publish(std::move(*open));
    CHECK(check::is_filled(shared.plane(0), i) && shared.seq() > 0);
    cuframes::frame frame = subscriber.next(check::patience());
    const cuframes::frame clone = frame.clone();
    frame.release();
    frame.release();
    CHECK(!frame && check::is_filled(clone.plane(0), i));
    cuframes::frame moved = clone.clone();
    cuframes::frame &itself = moved;
    moved = std::move(itself);
    CHECK(moved && subscriber.get_stats().leases_held == 1);
  }
  CHECK(subscriber.get_stats().leases_held == 0 && subscriber.get_stats().released_twice == 0);
  CHECK(publisher.get_stats().released_twice == 0);
}

static void leases_are_a_limit_until_one_is_released() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  std::vector<cuframes::frame> held;
  for (unsigned char i = 0; i < 2; i++) {
    publish(publisher, i);
    held.push_back(subscriber.next(check::patience()));
  }
  publish(publisher, 2);
  CHECK(subscriber.try_next(0ns).code() == errc::lease_limit);
  held.erase(held.begin());
  CHECK(subscriber.next(check::patience()).seq() == 3 && check::is_filled(held[0].plane(0), 1));
}

static void dropping_is_no_exception() {
  auto options = check::gray();
  options.policy = cuframes::policy::drop;
  auto publisher = cuframes::publisher::create("s", options);
  cuframes::subscriber_options ordered;
  ordered.mode = cuframes::mode::ordered;
  ordered.depth = 1;
  auto subscriber = cuframes::subscriber::create("s", ordered);
  unsigned dropped = 0;
  for (int i = 0; i < 8; i++) {
    auto open = publisher.acquire();
    if (!open || publisher.publish(std::move(*open)) == cuframes::delivery::dropped)
      dropped++;
  }
  CHECK(dropped >= 6 && publisher.get_stats().dropped == dropped);
  CHECK(subscriber.next(check::patience()).seq() == 1);
}

static void ranges_end_with_the_stream() {
  auto publisher = std::make_optional(cuframes::publisher::create("s", check::gray()));
  cuframes::subscriber_options ordered;
  ordered.mode = cuframes::mode::ordered;
  ordered.depth = 8;
  auto subscriber = cuframes::subscriber::create("s", ordered);
  for (unsigned char i = 1; i <= 5; i++)
    publish(*publisher, i);
  publisher.reset();
  std::uint64_t last = 0;
  cuframes::frame third;
  for (auto &frame : subscriber.frames()) {
    CHECK(frame.seq() == last + 1 && check::is_filled(frame.plane(0), static_cast<unsigned char>(frame.seq())));
    last = frame.seq();
    if (last == 3)
      third = std::move(frame);
  }
  CHECK(last == 5 && third.seq() == 3 && check::is_filled(third.plane(0), 3));
  for (auto &frame : subscriber.frames())
    CHECK(!frame); /* never: the stream has ended */
}

static void ranges_throw_what_is_an_error() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  publish(publisher, 1);
  int seen = 0;
  try {
    for (auto &frame : subscriber.frames(0ns)) {
      CHECK(frame.seq() == 1);
      seen++;
    }
    CHECK(!"thrown");
  } catch (const cuframes::error &e) {
    CHECK(e.code() == errc::timeout);
  }
  CHECK(seen == 1);
}

static void interrupt_ends_a_wait() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  std::thread waits([&] { CHECK(subscriber.try_next(check::patience()).code() == errc::interrupted); });
  subscriber.interrupt(); /* now or the next one */
  waits.join();
  subscriber.interrupt();
  for (auto &frame : subscriber.frames(check::patience()))
    CHECK(!frame); /* never: interrupted */
}

/* Nobody has room for it: the frame stays open, and is published when it was asked not to give up. */
static void a_publisher_that_is_interrupted_keeps_its_frame() {
  bool stop = false;
  auto asked = [&stop] { return stop; };
  cuframes::publisher::options options = check::gray();
  options.interrupt = asked;
  options.ordered_timeout = check::patience();
  auto publisher = cuframes::publisher::create("s", options);
  cuframes::subscriber::options ordered;
  ordered.mode = cuframes::mode::ordered;
  ordered.depth = 1;
  auto subscriber = cuframes::subscriber::create("s", ordered);
  publisher.publish(publisher.acquire().value());
  auto frame = publisher.acquire().value();
  publisher.interrupt();
  CHECK(publisher.try_publish(std::move(frame)).code() == errc::interrupted);
  CHECK(frame); /* NOLINT(bugprone-use-after-move): that is what is promised */
  stop = true;
  CHECK(publisher.try_publish(std::move(frame)).code() == errc::interrupted);
  CHECK(publisher.try_drain(check::patience()).code() == errc::interrupted); /* publisher.interrupt() */
  CHECK(publisher.try_drain(check::patience()).code() == errc::interrupted); /* stop */
  stop = false;
  CHECK(subscriber.next(check::patience()).seq() == 1);
  CHECK(publisher.publish(std::move(frame)) == cuframes::delivery::published);
  CHECK(!frame); /* NOLINT(bugprone-use-after-move) */
  CHECK(subscriber.next(check::patience()).seq() == 2);
}

static void a_descriptor_can_be_polled() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  pollfd wait{ subscriber.fileno(), POLLIN, 0 };
  CHECK(wait.fd >= 0 && subscriber.try_next(0ns).code() == errc::timeout);
  publish(publisher, 1);
  CHECK(poll(&wait, 1, -1) == 1);
  CHECK(subscriber.next(0ns).seq() == 1);
}

static void a_callback_gets_frames_and_the_end() {
  auto publisher = std::make_optional(cuframes::publisher::create("s", check::gray()));
  auto subscriber = cuframes::subscriber::create("s");
  std::atomic<std::uint64_t> seen{ 0 };
  std::atomic<int> ended{ 0 };
  auto owned = std::make_unique<int>(5); /* what is moved into the function lives as long as that */
  subscriber.start([&seen, &ended, owned = std::move(owned)](cuframes::result<cuframes::frame> got) {
    CHECK(*owned == 5);
    if (got)
      seen = got->seq();
    else
      ended = static_cast<int>(got.code());
  });
  CHECK(subscriber.try_start([](cuframes::result<cuframes::frame>) {}).code() == errc::busy);
  publish(*publisher, 1);
  WAIT_FOR(seen == 1);
  auto moved = std::move(subscriber); /* while it runs */
  publish(*publisher, 2);
  WAIT_FOR(seen == 2);
  publisher.reset();
  WAIT_FOR(ended == static_cast<int>(errc::publisher_gone));
  moved.stop();
}

static void a_callback_may_destroy_its_subscriber() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = std::make_unique<cuframes::subscriber>(cuframes::subscriber::create("s"));
  std::atomic<bool> done{ false };
  std::atomic<bool> *flag = &done;
  auto *holder = &subscriber;
  const std::string text(100, 'x'); /* memory of the function's own, which a sanitizer watches */
  subscriber->start([holder, flag, text](cuframes::result<cuframes::frame> got) {
    holder->reset();
    CHECK(got && got->seq() == 1 && text.size() == 100);
    *flag = true;
  });
  publish(publisher, 1);
  WAIT_FOR(done);
}

static void a_subscriber_that_was_moved_from_is_refused() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto one = cuframes::subscriber::create("s");
  auto other = std::move(one);
  // NOLINTBEGIN(bugprone-use-after-move): what is said then
  CHECK(one.try_next(0ns).code() == errc::invalid && one.try_fileno().code() == errc::invalid);
  CHECK(one.try_get_stats().code() == errc::invalid && one.try_stop().code() == errc::invalid);
  CHECK(one.try_start([](cuframes::result<cuframes::frame>) {}).code() == errc::invalid);
  CHECK(one.try_next_packet(0ns).code() == errc::invalid && one.try_packet_fileno().code() == errc::invalid);
  CHECK(one.try_track_count().code() == errc::invalid);
  CHECK(one.try_enable_packets().code() == errc::invalid && one.try_track(0).code() == errc::invalid);
  CHECK(one.try_get_source().code() == errc::invalid && one.try_device().code() == errc::invalid);
  one.interrupt();
  auto second = std::move(publisher);
  CHECK(publisher.try_acquire().code() == errc::invalid && publisher.try_discontinuity().code() == errc::invalid);
  CHECK(publisher.try_set_format(cuframes::format()).code() == errc::invalid);
  CHECK(publisher.try_get_stats().code() == errc::invalid && publisher.try_set_source({}).code() == errc::invalid);
  CHECK(publisher.try_enable_packets().code() == errc::invalid && publisher.device().name == nullptr);
  CHECK(publisher.try_set_track(0, {}).code() == errc::invalid &&
        publisher.try_publish_packet({}).code() == errc::invalid);
  CHECK(publisher.try_wait_subscribers(1, 0ns).code() == errc::invalid);
  // NOLINTEND(bugprone-use-after-move)
  one = std::move(other);
  publish(second, 1);
  CHECK(one.next(check::patience()).seq() == 1);
}

static void formats_change_in_mid_stream() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  publish(publisher, 1);
  CHECK(subscriber.next(check::patience()).width() == 64);
  publisher.set_format(cuframes::format::picture(cuframes::pixel_format::gray8, { 32, 8 }));
  publisher.discontinuity();
  publish(publisher, 2);
  const auto frame = subscriber.next(check::patience());
  CHECK(frame.width() == 32 && frame.flags().has(cuframes::frame_flag::new_format));
  CHECK(frame.flags().has(cuframes::frame_flag::discontinuity));
  CHECK(publisher.try_set_format(cuframes::format::picture(cuframes::pixel_format::gray8, { 0, 8 })).code() ==
        errc::format);
}

static void tensors_have_sizes() {
  auto options = check::gray();
  options.format = cuframes::format::tensor(cuframes::element::float32, { 1, 3, 8, 16 });
  auto publisher = cuframes::publisher::create("s", options);
  auto subscriber = cuframes::subscriber::create("s");
  auto open = publisher.acquire();
  float value = 0;
  for (std::size_t row = 0; row < open->plane(0).rows; row++)
    for (float &element : open->plane(0).row_as<float>(row))
      element = value++;
  publisher.publish(std::move(*open));
  const auto frame = subscriber.next(check::patience());
  const auto format = frame.format();
  CHECK(format.pixel_format() == cuframes::pixel_format::tensor && format.element_type() == cuframes::element::float32);
  CHECK(format.tensor_sizes().size() == 4 && format.tensor_sizes()[1] == 3 && format.tensor_sizes()[3] == 16);
  CHECK(frame.plane(0).rows == 24 && frame.plane(0).row_as<float>(23)[15] == 383.0F);
  CHECK(cuframes::format::tensor(cuframes::element::uint8, { 1, 2, 3, 4, 5 }).try_layout().code() == errc::format);
}

static void a_stream_has_its_name_before_its_first_picture() {
  cuframes::publisher_options options;
  options.device = cuframes::device::host();
  options.max_open = 4;
  auto publisher = cuframes::publisher::create("s", options);
  cuframes::source_info source;
  source.state = cuframes::source_state::connecting;
  publisher.set_source(source);
  auto subscriber = cuframes::subscriber::create("s");
  CHECK(subscriber.get_source().state == cuframes::source_state::connecting);
  CHECK(subscriber.try_next(cuframes::timeout::none()).code() == cuframes::errc::timeout);
  publisher.set_limits(1, 0);
  publisher.set_format(cuframes::format::picture(cuframes::pixel_format::gray8, { 64, 16 }));
  CHECK(publisher.try_set_limits(1, 0).code() == cuframes::errc::invalid);
  publish(publisher, 1);
  CHECK(subscriber.next(check::patience()).width() == 64);
}

static void a_stream_says_what_its_source_does() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  auto subscriber = cuframes::subscriber::create("s");
  CHECK(subscriber.get_source().state == cuframes::source_state::unknown && !subscriber.get_source().since);
  cuframes::source_info source;
  source.state = cuframes::source_state::reconnecting;
  source.reason = "no route to the camera";
  source.next_attempt = cuframes::now() + 1s;
  publisher.set_source(source);
  const auto seen = subscriber.get_source();
  CHECK(seen.state == cuframes::source_state::reconnecting && seen.since && *seen.since <= cuframes::now());
  CHECK(std::string(cuframes::name_of(seen.state)) == "reconnecting");
  const auto info = cuframes::stream_info::query("s", check::patience());
  CHECK(info.source().reason == source.reason && info.source().next_attempt == source.next_attempt);
}

static void side_data_travels_with_the_frame() {
  auto options = check::gray();
  options.side_data_max = 1024;
  auto publisher = cuframes::publisher::create("s", options);
  auto subscriber = cuframes::subscriber::create("s");
  auto open = publisher.acquire();
  cuframes::content_light light{ 1000, 200 };
  open->add_side_data(light);
  open->add_side_data(cuframes::application_side_data(7), cuframes::as_bytes(std::string("hello")));
  CHECK(open->try_add_side_data(cuframes::application_side_data(0), { nullptr, 0 }).has_value());
  publisher.publish(std::move(*open));
  const auto frame = subscriber.next(check::patience());
  CHECK(frame.side_data_as<cuframes::content_light>()->max_content == 1000);
  CHECK(!frame.side_data_as<cuframes::mastering_display>() && !frame.side_data_as<cuframes::camera_calibration>());
  const auto text = frame.side_data_of(cuframes::application_side_data(7));
  CHECK(text && std::string(reinterpret_cast<const char *>(text->data()), text->size()) == "hello");
  CHECK(frame.side_data_at(1)->type == cuframes::application_side_data(7) && !frame.side_data_at(3));
}

static void the_log_comes_to_whom_it_should() {
  struct counter {
    std::atomic<int> lines{ 0 };
    void operator()(cuframes::log_level, const char *line) {
      CHECK(line != nullptr && *line != '\0');
      lines++;
    }
  } log;
  auto options = check::gray();
  options.log = log;
  options.ordered_timeout = 1ns;
  auto publisher = cuframes::publisher::create("s", options);
  cuframes::subscriber_options ordered;
  ordered.mode = cuframes::mode::ordered;
  ordered.depth = 1;
  ordered.log = [](cuframes::log_level, const char *) {}; /* captures nothing: a function */
  auto subscriber = cuframes::subscriber::create("s", ordered);
  WAIT_FOR((publish(publisher, 1), publisher.get_stats().evictions > 0));
  CHECK(log.lines > 0);
  WAIT_FOR(subscriber.try_next(0ns).code() == errc::evicted);
}

int main(int argc, char **argv) {
  return check::run_all(
      {
          { "a_frame_arrives_with_all_that_was_said_of_it", a_frame_arrives_with_all_that_was_said_of_it },
          { "planes_are_spans_of_rows", planes_are_spans_of_rows },
          { "memory_that_is_too_small_is_not_copied_to", memory_that_is_too_small_is_not_copied_to },
          { "errors_carry_the_detail", errors_carry_the_detail },
          { "a_frame_outlives_its_subscriber_and_its_publisher", a_frame_outlives_its_subscriber_and_its_publisher },
          { "an_open_frame_outlives_its_publisher", an_open_frame_outlives_its_publisher },
          { "an_open_frame_is_not_of_a_later_publisher", an_open_frame_is_not_of_a_later_publisher },
          { "a_frame_of_another_publisher_is_refused_and_kept", a_frame_of_another_publisher_is_refused_and_kept },
          { "destructors_give_back_once", destructors_give_back_once },
          { "leases_are_a_limit_until_one_is_released", leases_are_a_limit_until_one_is_released },
          { "dropping_is_no_exception", dropping_is_no_exception },
          { "ranges_end_with_the_stream", ranges_end_with_the_stream },
          { "ranges_throw_what_is_an_error", ranges_throw_what_is_an_error },
          { "interrupt_ends_a_wait", interrupt_ends_a_wait },
          { "a_publisher_that_is_interrupted_keeps_its_frame", a_publisher_that_is_interrupted_keeps_its_frame },
          { "a_descriptor_can_be_polled", a_descriptor_can_be_polled },
          { "a_callback_gets_frames_and_the_end", a_callback_gets_frames_and_the_end },
          { "a_callback_may_destroy_its_subscriber", a_callback_may_destroy_its_subscriber },
          { "a_subscriber_that_was_moved_from_is_refused", a_subscriber_that_was_moved_from_is_refused },
          { "formats_change_in_mid_stream", formats_change_in_mid_stream },
          { "tensors_have_sizes", tensors_have_sizes },
          { "a_stream_has_its_name_before_its_first_picture", a_stream_has_its_name_before_its_first_picture },
          { "a_stream_says_what_its_source_does", a_stream_says_what_its_source_does },
          { "side_data_travels_with_the_frame", side_data_travels_with_the_frame },
          { "the_log_comes_to_whom_it_should", the_log_comes_to_whom_it_should },
      },
      argc, argv);
}
