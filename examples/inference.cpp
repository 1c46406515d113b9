// inference.cpp - a detector's loop in the shape that TensorRT has: inference CAMERA NAME
// The newest picture is made into the engine's input, the engine is run on a stream, the frame is given back on that
// stream, and what was found is published for exactly this picture. Engine and stream are stand-ins with the calls that
// IExecutionContext and a CUDA stream have, so that this runs anywhere: the engine finds the brightest of 8 x 8 cells.
// To take the real ones, say device::cuda() below and give make_input() a kernel that reads frame.device_plane(0).
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <cuframes/cuframes.hpp>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr std::size_t side = 64, cell = 8, cells = side / cell;

using stream_handle = void *; // a stream of the CUDA runtime, which has a type of its own for it

// A stream of the CPU: what is put on it is done at once. Of a real one get() is what cudaStreamCreate() gave, and
// synchronize() is cudaStreamSynchronize(). cuframes takes whatever has such a get().
class cpu_stream {
public:
  [[nodiscard]] stream_handle get() const {
    return nullptr;
  }
  void synchronize() const {}
};

// nvinfer1::IExecutionContext, as far as a loop needs it.
class execution_context {
public:
  bool setTensorAddress(const char *tensor, void *data) { // NOLINT(readability-identifier-naming): TensorRT's
    if (std::strcmp(tensor, "input") == 0)
      input_ = static_cast<const float *>(data);
    else if (std::strcmp(tensor, "output") == 0)
      output_ = static_cast<cuframes::detection *>(data);
    else
      return false;
    return data != nullptr;
  }
  bool enqueueV3(stream_handle /* a CPU has none */) { // NOLINT(readability-identifier-naming): TensorRT's
    if (input_ == nullptr || output_ == nullptr)
      return false;
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
void make_input(const cuframes::plane_view &luma, std::vector<float> &input, const cpu_stream & /* launched on */) {
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
  const cpu_stream stream; // outlives the frames that are given back on it
  execution_context network;
  std::vector<float> input(side * side); // once, not for each picture
  cuframes::detection found{};
  if (!network.setTensorAddress("input", input.data()) || !network.setTensorAddress("output", &found))
    return;
  for (cuframes::frame &frame : camera.frames_on(stream)) {
    const cuframes::plane_view luma = frame.plane(0);
    if (luma.rows == 0)
      continue;
    make_input(luma, input, stream);
    const cuframes::frame_id id = frame.identify();
    frame.release(); // on the stream: the publisher has the slot again when the input is made, and nobody waits
    if (!network.enqueueV3(stream.get()))
      continue;
    stream.synchronize(); // what was found is the CPU's now
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
