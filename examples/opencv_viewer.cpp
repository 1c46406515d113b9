// opencv_viewer.cpp - shows a stream in a window of OpenCV: opencv_viewer NAME [--count N] [--output FILE]
// With each picture its number and how old it is. Escape, q or closing the window ends it, or N pictures. With --output
// there is no window, and the last picture goes into a file: so it runs without a display, too.
#include <cstdio>
#include <cstdlib>
#include <opencv2/imgcodecs.hpp>
#include <string>

#include "opencv.hpp"
#ifdef WITH_WINDOW // CMake found highgui, the part of OpenCV that has windows
#include <opencv2/highgui.hpp>
#endif

using namespace std::chrono_literals;

namespace {

struct arguments {
  std::string name, output;
  long count = 0; // 0: until it ends
};

void say_usage() {
  std::fprintf(stderr, "usage: opencv_viewer NAME [--count N] [--output FILE]\n");
}

bool read(int argc, char **argv, arguments &to) {
  for (int i = 1; i < argc; i++) {
    const std::string word = argv[i];
    if (word == "--count" && i + 1 < argc) {
      char *end = nullptr;
      to.count = std::strtol(argv[++i], &end, 10);
      if (*end != '\0' || to.count < 1)
        return false;
    } else if (word == "--output" && i + 1 < argc) {
      to.output = argv[++i];
    } else if (!to.name.empty() || word.rfind("--", 0) == 0) {
      return false;
    } else {
      to.name = word;
    }
  }
  return !to.name.empty() && (to.output.empty() || to.count > 0);
}

// A window that may not be there: Qt, which draws OpenCV's, ends the program where it finds no display.
class window {
public:
  static const char *missing() {
#ifdef WITH_WINDOW
    for (const char *variable : { "DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM" })
      if (const char *value = std::getenv(variable); value != nullptr && *value != '\0')
        return nullptr;
    return "there is no display here; --count 1 --output FILE needs none";
#else
    return "built without windows: install libopencv-highgui-dev and build again, or use --count 1 --output FILE";
#endif
  }
  // False: the user has seen enough.
  static bool show([[maybe_unused]] const std::string &title, [[maybe_unused]] const cv::Mat &picture) {
#ifdef WITH_WINDOW
    cv::namedWindow(title, cv::WINDOW_NORMAL | cv::WINDOW_KEEPRATIO);
    cv::imshow(title, picture);
    const int key = cv::waitKey(1); // handles the window's events
    return key != 27 && key != 'q' && cv::getWindowProperty(title, cv::WND_PROP_VISIBLE) >= 1;
#else
    return false;
#endif
  }
};

// Drawn on a copy: the picture itself is everybody's.
cv::Mat labelled(const cuframes::frame &frame, const cv::Mat &bgr) {
  const auto age = std::chrono::duration_cast<std::chrono::microseconds>(cuframes::now() - frame.timestamp());
  const std::string text = std::to_string(frame.seq()) + "  " + std::to_string(age.count()) + " us";
  cv::Mat copy = bgr.clone();
  cv::putText(copy, text, { 8, 24 }, cv::FONT_HERSHEY_SIMPLEX, 0.6, { 0, 0, 0 }, 3);
  cv::putText(copy, text, { 8, 24 }, cv::FONT_HERSHEY_SIMPLEX, 0.6, { 255, 255, 255 }, 1);
  return copy;
}

int fail(const char *subject, const char *why) {
  std::fprintf(stderr, "opencv_viewer: %s: %s\n", subject, why);
  return 1;
}

int run(const arguments &given) {
  cuframes::subscriber_options options;
  options.connect_timeout = 5s;
  options.device = cuframes::device::host(); // the CPU is to read the planes
  auto camera = cuframes::subscriber::create(given.name, options);
  const bool draws = given.output.empty();
  cv::Mat last;
  long taken = 0;
  for (const cuframes::frame &frame : camera.frames()) { // the newest one, however long drawing takes
    const cv::Mat bgr = bgr_of(frame);
    if (bgr.empty())
      return fail(given.name.c_str(), "no way to show its pixel format here");
    taken++;
    if (draws && !window::show(given.name, labelled(frame, bgr)))
      break;
    if (taken == given.count) {
      last = bgr.clone(); // of a format that needs no conversion it is the publisher's memory
      break;
    }
  }
  if (!draws && (last.empty() || !cv::imwrite(given.output, last)))
    return fail(given.output.c_str(), last.empty() ? "the stream ended before the picture" : "cannot be written");
  std::printf("%s: %ld pictures\n", given.name.c_str(), taken);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  arguments given;
  if (!read(argc, argv, given)) {
    say_usage();
    return 2;
  }
  if (const char *missing = given.output.empty() ? window::missing() : nullptr; missing != nullptr)
    return fail("no window", missing);
  try {
    return run(given);
  } catch (const std::exception &e) { // cuframes' and OpenCV's
    return fail(given.name.c_str(), e.what());
  }
}
