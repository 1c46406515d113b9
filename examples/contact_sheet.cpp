// contact_sheet.cpp - what a camera sees, through OpenCV: contact_sheet NAME FILE [COUNT]
// Takes COUNT pictures (12), one a half second after the other, and writes them into one file, as OpenCV chooses the
// kind by its name. cv::Mat looks at the planes where they lie: nothing is copied before it is scaled.
#include <cstdio>
#include <cstdlib>
#include <opencv2/imgcodecs.hpp>

#include "opencv.hpp"

using namespace std::chrono_literals;

static constexpr int columns = 4, tile_width = 320, tile_height = 180;

static bool run(const char *name, const char *file, int count) {
  cuframes::subscriber_options options;
  options.connect_timeout = 5s;
  options.device = cuframes::device::host();
  auto camera = cuframes::subscriber::create(name, options);
  const int rows = (count + columns - 1) / columns;
  cv::Mat sheet(rows * tile_height, columns * tile_width, CV_8UC3, cv::Scalar::all(0));
  int taken = 0;
  auto due = cuframes::now();
  for (const cuframes::frame &frame : camera.frames()) {
    if (frame.timestamp() < due)
      continue;
    const cv::Mat bgr = bgr_of(frame);
    if (bgr.empty()) {
      std::fprintf(stderr, "contact_sheet: no way to show %s here\n", cuframes::name_of(frame.pixel_format()));
      return false;
    }
    cv::resize(bgr,
               sheet(cv::Rect(taken % columns * tile_width, taken / columns * tile_height, tile_width, tile_height)),
               { tile_width, tile_height }, 0, 0, cv::INTER_AREA);
    due = frame.timestamp() + 500ms;
    if (++taken == count)
      break;
  }
  if (taken == 0 || !cv::imwrite(file, sheet)) {
    std::fprintf(stderr, "contact_sheet: %s: %s\n", file, taken == 0 ? "there was no picture" : "cannot be written");
    return false;
  }
  std::printf("%s: %d pictures\n", file, taken);
  return true;
}

int main(int argc, char **argv) {
  const int count = argc > 3 ? static_cast<int>(std::strtol(argv[3], nullptr, 10)) : 12;
  if (argc < 3 || argc > 4 || count < 1 || count > 1000) {
    std::fprintf(stderr, "usage: contact_sheet NAME FILE [COUNT]\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2], count) ? 0 : 1;
  } catch (const std::exception &e) { // cuframes' and OpenCV's
    std::fprintf(stderr, "contact_sheet: %s\n", e.what());
    return 1;
  }
}
