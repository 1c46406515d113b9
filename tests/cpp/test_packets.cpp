/* test_packets.cpp - packets, tracks, annotations and monitors through C++. */
#include <cstring>
#include <string>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;
using cuframes::errc;

static cuframes::codec_parameters h264() {
  cuframes::codec_parameters video;
  video.type = cuframes::media_type::video;
  video.codec = "h264";
  video.profile = 100;
  video.size = { 1280, 720 };
  video.frame_rate = { 25, 1 };
  video.time_base = { 1, 90000 };
  video.bit_rate = 4000000;
  video.color = { 1, cuframes::color_range::limited, 1, 1 };
  video.chroma_location = cuframes::chroma_location::left;
  video.field_order = cuframes::field_order::progressive;
  video.orientation = cuframes::orientation::top_left;
  video.sample_aspect = { 1, 1 };
  video.content_light.max_content = 1000;
  video.extradata = { std::byte(1), std::byte(2), std::byte(3) };
  return video;
}

static cuframes::publisher_options packets_alone() {
  cuframes::publisher_options options;
  options.packets = cuframes::packet_ring_options{};
  return options;
}

static void a_packet_arrives_with_all_that_was_said_of_it() {
  auto publisher = cuframes::publisher::create("s", packets_alone());
  publisher.set_track(0, h264());
  cuframes::subscriber_options options;
  options.mode = cuframes::mode::packets;
  auto subscriber = cuframes::subscriber::create("s", options);
  subscriber.enable_packets(cuframes::packet_start::from_oldest);
  const std::string text = "a picture";
  cuframes::packet_info info;
  info.data = cuframes::as_bytes(text);
  info.pts = 40ms;
  info.dts = 0ms;
  info.duration = 40ms;
  info.flags = cuframes::packet_flag::key | cuframes::packet_flag::discontinuity;
  publisher.publish_packet(info);
  cuframes::packet_info later;
  later.data = cuframes::as_bytes(text);
  publisher.publish_packet(later);

  cuframes::packet packet = subscriber.next_packet(check::patience());
  CHECK(packet.size() == text.size() && std::memcmp(packet.data().data(), text.data(), text.size()) == 0);
  CHECK(packet.track() == 0 && packet.pts() == 40ms && packet.dts() == 0ms && packet.duration() == 40ms);
  CHECK(packet.flags().has(cuframes::packet_flag::key) && packet.flags().has(cuframes::packet_flag::discontinuity));
  CHECK(!packet.flags().has(cuframes::packet_flag::corrupt) && packet.seq() == 1);
  const cuframes::packet kept = packet.clone();
  packet = subscriber.next_packet(check::patience());
  CHECK(packet.seq() == 2 && !packet.pts() && !packet.dts() && packet.duration() == 0ns && kept.seq() == 1);
  CHECK(subscriber.try_next_packet(0ns).code() == errc::timeout);
  CHECK(subscriber.packet_fileno() >= 0);
  CHECK(subscriber.try_next(0ns).code() == errc::unsupported);
  packet.release();
  CHECK(!packet && packet.size() == 0 && packet.data().empty());
}

static void a_track_arrives_with_all_that_was_said_of_it() {
  auto publisher = cuframes::publisher::create("s", packets_alone());
  const auto told = h264();
  publisher.set_track(3, told);
  auto subscriber = cuframes::subscriber::create("s", [] {
    cuframes::subscriber_options options;
    options.mode = cuframes::mode::packets;
    return options;
  }());
  subscriber.enable_packets();
  CHECK(subscriber.track_count() == 1 && subscriber.try_track(0).code() == errc::no_codec_params);
  const auto seen = subscriber.track(3);
  CHECK(seen.type == told.type && seen.codec == "h264" && seen.profile == 100U && !seen.level);
  CHECK(seen.size == told.size && seen.frame_rate == told.frame_rate && seen.time_base == told.time_base);
  CHECK(seen.bit_rate == told.bit_rate && seen.color.range == told.color.range && seen.extradata == told.extradata);
  CHECK(seen.chroma_location == told.chroma_location && seen.field_order == told.field_order);
  CHECK(seen.orientation == told.orientation && seen.sample_aspect == told.sample_aspect);
  CHECK(seen.content_light.max_content == 1000 && seen.sample_rate == 0 && seen.channels == 0);
  cuframes::codec_parameters sound;
  sound.type = cuframes::media_type::audio;
  sound.codec = "aac";
  sound.sample_rate = 48000;
  sound.channels = 2;
  sound.frame_size = 1024;
  publisher.set_track(1, sound);
  CHECK(subscriber.track(1).sample_rate == 48000 && subscriber.track(1).frame_size == 1024);
  CHECK(publisher.try_set_track(CUFRAMES_TRACKS_MAX, sound).code() == errc::invalid);
  CHECK(publisher.try_publish_packet({}).code() == errc::invalid); /* no bytes */
}

static void a_stream_may_get_its_ring_later() {
  auto publisher = cuframes::publisher::create("s", check::gray());
  CHECK(publisher.try_publish_packet({}).code() == errc::no_packet_ring);
  publisher.enable_packets({ 16, 65536, 4096 });
  CHECK(publisher.try_enable_packets().code() == errc::busy);
  publisher.set_track(0, h264());
  const std::vector<char> large(5000);
  cuframes::packet_info info;
  info.data = cuframes::as_bytes(large);
  CHECK(publisher.try_publish_packet(info).code() == errc::packet_oversized);
  const auto seen = cuframes::stream_info::query("s", check::patience());
  CHECK(seen.packet_slots() == 16 && seen.packet_data_bytes() >= 65536);
}

static void detections_find_their_frame() {
  auto camera = cuframes::publisher::create("camera", check::gray());
  auto detector = cuframes::publisher::create("faces", packets_alone());
  auto viewer = cuframes::subscriber::create("camera");
  auto found = cuframes::join::create("faces");
  for (int i = 0; i < 2; i++) {
    auto open = camera.acquire();
    CHECK(open && !open->try_identify()); /* not published yet */
    cuframes::publish_info info;
    info.pts = i * 40ms;
    camera.publish(std::move(*open), info);
    const auto frame = viewer.next(check::patience());
    const auto id = frame.identify();
    CHECK(id.stream() == "camera" && id.seq() == frame.seq() && id.pts() == frame.pts() && id.instance() != 0);
    CHECK(id == frame.clone().identify() && id != cuframes::frame_id());
    CHECK(!found.find(id, 0ns) && !(i == 0 && found.latest(id)));
    cuframes::detection face{};
    face.x = 0.25F;
    face.width = face.height = 0.5F;
    face.confidence = 0.75F;
    cuframes::set_label(face, "a face with a name that is longer than a label may be");
    const std::vector<cuframes::detection> faces(static_cast<std::size_t>(i), face);
    detector.publish_detections(0, id, faces);
    const auto packet = found.find(id, check::patience());
    CHECK(packet.has_value());
    const auto said = packet->annotation();
    CHECK(said.of == id && said.type == cuframes::annotation_type::detections);
    CHECK(said.detections().size() == faces.size());
    for (const auto &each : said.detections())
      CHECK(each.x == 0.25F && cuframes::label_of(each) == "a face with a name that is long");
    CHECK(found.latest(id)->annotation().of == id);
  }
  const auto frame_of_nobody = cuframes::frame_id();
  CHECK(detector.try_publish_detections(0, frame_of_nobody, {}).code() == errc::invalid);
  CHECK(found.try_find(frame_of_nobody, 0ns).code() == errc::timeout);
  const auto other = cuframes::application_annotation(3);
  auto open = camera.acquire();
  camera.publish(std::move(*open));
  const auto id = viewer.next(check::patience()).identify();
  detector.publish_annotation(0, id, other, cuframes::as_bytes(std::string("{}")));
  const auto said = found.find(id, check::patience());
  CHECK(said && said->annotation().type == other && said->annotation().detections().empty());
  CHECK(said->annotation().data.size() == 2);
  found.interrupt();
  auto next = camera.acquire();
  camera.publish(std::move(*next));
  CHECK(found.try_find(viewer.next(check::patience()).identify(), check::patience()).code() == errc::interrupted);
}

static void monitors_see_who_is_there() {
  CHECK(cuframes::directory() == std::getenv("CUFRAMES_DIR"));
  CHECK(cuframes::stream_list::query(check::patience()).size() == 0);
  CHECK(cuframes::stream_list::query(check::patience(), cuframes::directory() + "/not/there").size() == 0);
  auto options = check::gray();
  options.description = "a test";
  options.packets = cuframes::packet_ring_options{};
  options.slots = 8;
  auto publisher = cuframes::publisher::create("s", options);
  publisher.set_track(2, h264());
  cuframes::subscriber_options ordered;
  ordered.mode = cuframes::mode::ordered;
  ordered.label = "who looks";
  ordered.leases = 3;
  auto subscriber = cuframes::subscriber::create("s", ordered);
  publisher.wait_subscribers(1, check::patience());
  publisher.publish(std::move(*publisher.acquire()));
  const auto held = subscriber.next(check::patience());

  const auto info = cuframes::stream_info::query("s", check::patience());
  CHECK(info.name() == "s" && info.device() == "host" && info.description() == "a test" && info.memory() == "memfd");
  CHECK(info.format().size() == (cuframes::picture_size{ 64, 16 }) && info.frames() == 1 && info.dropped() == 0);
  CHECK(info.pid() == getpid() && info.slots() >= 8 && info.max_slots() >= info.slots() && info.segments() >= 1);
  CHECK(info.age() && info.memory_bytes() > 0 && info.packets() == 0 && info.evictions() == 0 && info.fps() >= 0);
  CHECK(info.source().state == cuframes::source_state::unknown && info.packet_bytes() == 0);
  CHECK(info.tracks().size() == 1);
  for (const auto track : info.tracks())
    CHECK(track.type() == cuframes::media_type::video && track.codec() == "h264" && !track.age() &&
          track.packets() == 0 && track.keyframe_interval() == 0ns && track.bit_rate() == 0);
  CHECK(info.subscribers().size() == 1 && !info.subscribers().empty());
  const auto who = info.subscribers()[0];
  CHECK(who.label() == "who looks" && who.mode() == cuframes::mode::ordered && who.leases() == 3 && !who.evicted());
  CHECK(who.held_slots().size() == 1 && who.sync_mode() == "complete" && who.pid() == getpid() && !who.reads_packets());
  CHECK(who.delivered() == 1 && who.lag() == 0 && who.skipped() == 0 && who.depth() > 0 && who.uid() == getuid());
  CHECK(info.started() > 0ns && info.reconnects() == 0 && info.device_bytes() > 0 && info.modes().size() == 3);
  CHECK(info.device_bytes() < info.memory_bytes());
  for (const auto mode : info.modes()) {
    const bool ours = mode.mode() == cuframes::mode::ordered;
    std::uint64_t taken = 0;
    for (const auto &bucket : mode.latency())
      taken += bucket.frames;
    CHECK(mode.joined() == ours && mode.delivered() == ours && mode.skipped() == 0 && taken == ours);
    CHECK((mode.latency_sum() > 0ns) == ours && mode.latency().back().up_to == std::chrono::nanoseconds::max());
  }
  const auto list = cuframes::stream_list::query(check::patience(), cuframes::directory());
  CHECK(list.size() == 1 && list[0].name() == "s" && list[0].info().has_value());
  for (const auto entry : list)
    CHECK(entry.info()->name() == "s");
  CHECK(cuframes::stream_info::try_query("nobody", 0ns).code() == errc::no_such_stream);
}

static void names_are_known() {
  CHECK(std::string(cuframes::name_of(cuframes::pixel_format::nv12)) == "nv12");
  CHECK(cuframes::pixel_format_from_name("bgr24") == cuframes::pixel_format::bgr24);
  CHECK(cuframes::pixel_format_from_name(std::string("no such")) == cuframes::pixel_format::none);
  CHECK(cuframes::planes_of(cuframes::pixel_format::yuv420p) == 3);
  CHECK(cuframes::element_from_name("float16") == cuframes::element::float16 &&
        cuframes::size_of(cuframes::element::float16) == 2);
  CHECK(std::string(cuframes::name_of(cuframes::element::int8)) == "int8" && *cuframes::version() != '\0');
  auto format = cuframes::format::picture(cuframes::pixel_format::nv12, { 1280, 720 });
  CHECK(format.layout() == 1280U * 720 * 3 / 2 && format.plane_size(1).rows == 360 && format.offset(1) == 1280U * 720);
  CHECK(format.try_plane_size(2).code() == errc::format && format == cuframes::format(format.native()));
  CHECK(format != cuframes::format() && cuframes::format().pixel_format() == cuframes::pixel_format::none);
}

static void timeouts_are_what_they_say() {
  using cuframes::timeout;
  static_assert(timeout(1ms).count() == 1000000 && timeout(0s).count() == 0 && timeout(-1ns).count() == 0);
  static_assert(timeout(std::chrono::hours::max()).count() == INT64_MAX);
  static_assert(timeout(std::chrono::duration<double>(1e200)).count() == INT64_MAX);
  static_assert(timeout(std::chrono::duration<double>(0.5)).count() == 500000000);
  static_assert(timeout::forever().count() < 0 && timeout::none().count() == 0);
  static_assert(timeout(std::chrono::duration<std::int64_t, std::pico>(5000)).count() == 5);
  CHECK(timeout(std::chrono::duration<double>(std::strtod("nan", nullptr))).count() == 0);
}

int main(int argc, char **argv) {
  return check::run_all(
      {
          { "a_packet_arrives_with_all_that_was_said_of_it", a_packet_arrives_with_all_that_was_said_of_it },
          { "a_track_arrives_with_all_that_was_said_of_it", a_track_arrives_with_all_that_was_said_of_it },
          { "a_stream_may_get_its_ring_later", a_stream_may_get_its_ring_later },
          { "detections_find_their_frame", detections_find_their_frame },
          { "monitors_see_who_is_there", monitors_see_who_is_there },
          { "names_are_known", names_are_known },
          { "timeouts_are_what_they_say", timeouts_are_what_they_say },
      },
      argc, argv);
}
