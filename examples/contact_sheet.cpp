// contact_sheet.cpp - what a camera sees, through OpenCV: contact_sheet NAME FILE [COUNT]
// Takes COUNT pictures (12), one a half second after the other, and writes them into one file, as OpenCV chooses the
// kind by its name. cv::Mat looks at the planes where they lie: nothing is copied before it is scaled.
#include <cstdio>
#include <cstdlib>
#include <cuframes/cuframes.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

using namespace std::chrono_literals;

static constexpr int columns = 4, tile_width = 320, tile_height = 180;

// A plane as OpenCV has it. It owns nothing, and OpenCV has no const ones: do not draw on it.
static cv::Mat mat_of(const cuframes::plane_view &plane, int type) {
  const auto width = static_cast<int>(plane.row_bytes / CV_ELEM_SIZE(type));
  return { static_cast<int>(plane.rows), width, type, const_cast<std::byte *>(plane.data), plane.pitch };
}

// The picture in OpenCV's own order of colours; empty for a format that this example does not know.
static cv::Mat bgr_of(const cuframes::frame &frame) {
  cv::Mat bgr;
  switch (frame.pixel_format()) {
    case cuframes::pixel_format::bgr24: return mat_of(frame.plane(0), CV_8UC3);
    case cuframes::pixel_format::rgb24: cv::cvtColor(mat_of(frame.plane(0), CV_8UC3), bgr, cv::COLOR_RGB2BGR); break;
    case cuframes::pixel_format::gray8: cv::cvtColor(mat_of(frame.plane(0), CV_8UC1), bgr, cv::COLOR_GRAY2BGR); break;
    case cuframes::pixel_format::nv12:
      cv::cvtColorTwoPlane(mat_of(frame.plane(0), CV_8UC1), mat_of(frame.plane(1), CV_8UC2), bgr,
                           cv::COLOR_YUV2BGR_NV12);
      break;
    case cuframes::pixel_format::yuv420p: {
      cv::Mat chroma;
      cv::merge(std::vector<cv::Mat>{ mat_of(frame.plane(1), CV_8UC1), mat_of(frame.plane(2), CV_8UC1) }, chroma);
      cv::cvtColorTwoPlane(mat_of(frame.plane(0), CV_8UC1), chroma, bgr, cv::COLOR_YUV2BGR_NV12);
      break;
    }
    default: break;
  }
  return bgr;
}

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
