// bridge.cpp - publishes a stream again under another name, half as large: bridge FROM TO
// A bridge reads one stream and writes another: to scale, to blend out, to pass on from one runtime directory to the
// next. Times and what the picture says of its colour go along; what the CPU cannot read (frames on a GPU) is refused.
#include <cstdio>
#include <cuframes/cuframes.hpp>

using namespace std::chrono_literals;

// Each second sample of each second row.
static void halve(const cuframes::plane_view &from, const cuframes::writable_plane_view &to) {
  for (std::size_t y = 0; y < to.rows; y++) {
    const auto source = from.row(2 * y);
    const auto target = to.row(y);
    for (std::size_t x = 0; x < target.size(); x++)
      target[x] = source[2 * x];
  }
}

// The format of a half as large picture of luma alone.
static cuframes::format half_of(const cuframes::frame &frame) {
  return cuframes::format::picture(cuframes::pixel_format::gray8, { frame.width() / 2, frame.height() / 2 })
      .set_color(frame.color());
}

static void pass_on(const cuframes::frame &frame, cuframes::publisher &to) {
  auto open = to.acquire();
  if (!open)
    return; // dropped: readers of ours hold everything, and the next picture comes soon
  halve(frame.plane(0), open->plane(0));
  cuframes::publish_info info;
  info.pts = frame.pts();
  info.duration = frame.duration();
  info.capture_time = frame.capture_time();
  to.publish(std::move(*open), info);
}

static void run(const char *from, const char *to) {
  cuframes::subscriber_options options;
  options.connect_timeout = 5s;
  options.device = cuframes::device::host();
  auto camera = cuframes::subscriber::create(from, options);
  cuframes::publisher_options target;
  target.description = std::string("half of ") + from;
  auto publisher = cuframes::publisher::create(to, target); // without a format: that of the first picture decides
  cuframes::format format;
  for (const cuframes::frame &frame : camera.frames()) {
    if (half_of(frame) != format) { // the first one, or the camera has changed its size
      format = half_of(frame);
      publisher.set_format(format);
    }
    if (frame.flags().has(cuframes::frame_flag::discontinuity))
      publisher.discontinuity();
    pass_on(frame, publisher);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bridge FROM TO\n");
    return 2;
  }
  try {
    run(argv[1], argv[2]);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "bridge: %s\n", e.what());
    return 1;
  }
  return 0;
}
