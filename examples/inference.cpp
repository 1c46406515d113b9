// inference.cpp - a detector's loop in the shape that TensorRT has: inference CAMERA NAME
// The newest picture is made into the engine's input, the engine is run, what it found is published for exactly this
// picture. The engine here is a stand-in with IExecutionContext's two calls, so that this runs anywhere: it finds the
// brightest of 8 x 8 cells. With TensorRT `enqueue` is enqueueV3(stream), and frames come by camera.frames_on(stream).
#include <algorithm>
#include <array>
#include <cstdio>
#include <cuframes/cuframes.hpp>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr std::size_t side = 64, cell = 8, cells = side / cell;

class engine {
public:
  bool set_tensor_address(const float *input, cuframes::detection *output) {
    input_ = input;
    output_ = output;
    return input != nullptr && output != nullptr;
  }
  bool enqueue() {
    std::array<float, cells * cells> sums{};
    for (std::size_t i = 0; i < side * side; i++)
      sums[i / side / cell * cells + i % side / cell] += input_[i];
    const auto most = static_cast<std::size_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
    *output_ = {};
    output_->x = static_cast<float>(most % cells) / cells;
    output_->y = static_cast<float>(most / cells) / cells;
    output_->width = output_->height = 1.0F / cells;
    output_->confidence = sums[most] / (cell * cell); // how bright, 0 to 1
    cuframes::set_label(*output_, "bright");
    return true;
  }

private:
  const float *input_ = nullptr;
  cuframes::detection *output_ = nullptr;
};

// What a preprocessing kernel does on a GPU: the nearest sample for each of the input's, 0 to 1.
void make_input(const cuframes::plane_view &luma, std::vector<float> &input) {
  for (std::size_t y = 0; y < side; y++) {
    const auto row = luma.row(y * luma.rows / side);
    for (std::size_t x = 0; x < side; x++)
      input[y * side + x] = static_cast<float>(row[x * row.size() / side]) / 255.0F;
  }
}

void run(const char *camera_name, const char *name) {
  cuframes::publisher_options to; // no format: packets alone
  to.description = "where it is brightest";
  to.packets = cuframes::packet_ring_options{};
  auto publisher = cuframes::publisher::create(name, to);
  cuframes::subscriber_options from;
  from.connect_timeout = 5s;
  from.device = cuframes::device::host();
  auto camera = cuframes::subscriber::create(camera_name, from);
  engine network;
  std::vector<float> input(side * side); // once, not for each picture
  cuframes::detection found{};
  if (!network.set_tensor_address(input.data(), &found))
    return;
  for (cuframes::frame &frame : camera.frames()) {
    const cuframes::plane_view luma = frame.plane(0);
    if (luma.rows == 0)
      continue;
    make_input(luma, input);
    const cuframes::frame_id id = frame.identify();
    frame.release(); // the engine needs it no more
    if (network.enqueue())
      publisher.publish_detections(0, id, { &found, 1 });
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: inference CAMERA NAME\n");
    return 2;
  }
  try {
    run(argv[1], argv[2]);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "inference: %s\n", e.what());
    return 1;
  }
  return 0;
}
