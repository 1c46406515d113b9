// cuda_brightness.cu - how bright the pictures of a camera are, by a kernel that reads them where they lie in GPU
// memory: cuda_brightness NAME [COUNT]
// nvcc -std=c++17 cuda_brightness.cu $(pkg-config --cflags --libs cuframes) -o cuda_brightness
#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>
#include <cuframes/cuframes.hpp>

using namespace std::chrono_literals;

__global__ void add_up(const unsigned char *samples, size_t pitch, unsigned row_bytes, unsigned rows,
                       unsigned long long *sum) {
  unsigned long long mine = 0;
  for (unsigned y = blockIdx.x; y < rows; y += gridDim.x)
    for (unsigned x = threadIdx.x; x < row_bytes; x += blockDim.x)
      mine += samples[y * pitch + x];
  atomicAdd(sum, mine);
}

static void must(cudaError_t result, const char *what) {
  if (result == cudaSuccess)
    return;
  std::fprintf(stderr, "cuda_brightness: %s: %s\n", what, cudaGetErrorString(result));
  std::exit(1);
}

static void run(const char *name, int count) {
  cudaStream_t stream;
  unsigned long long *sum, total;
  must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
  must(cudaMalloc(&sum, sizeof *sum), "memory");
  cuframes::subscriber_options options;
  options.connect_timeout = 5s;
  options.device = cuframes::device::cuda();
  options.sync = cuframes::sync::timeline | cuframes::sync::complete; // the stream waits for the picture, not the CPU
  auto camera = cuframes::subscriber::create(name, options);
  for (const cuframes::frame &frame : camera.frames_on(stream)) { // given back when the stream has come so far
    const auto plane = frame.device_plane(0);
    must(cudaMemsetAsync(sum, 0, sizeof *sum, stream), "memset");
    add_up<<<64, 256, 0, stream>>>(plane.as<unsigned char>(), plane.pitch, static_cast<unsigned>(plane.row_bytes),
                                   static_cast<unsigned>(plane.rows), sum);
    must(cudaMemcpyAsync(&total, sum, sizeof total, cudaMemcpyDeviceToHost, stream), "copy");
    must(cudaStreamSynchronize(stream), "the kernel");
    frame.wait(0s); // throws if the publisher died before the picture was whole
    std::printf("frame %llu: %.3f\n", static_cast<unsigned long long>(frame.seq()),
                static_cast<double>(total) / static_cast<double>(plane.row_bytes * plane.rows));
    if (--count == 0)
      break;
  }
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: cuda_brightness NAME [COUNT]\n");
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? static_cast<int>(std::strtol(argv[2], nullptr, 10)) : -1);
  } catch (const cuframes::error &e) {
    std::fprintf(stderr, "cuda_brightness: %s\n", e.what());
    return 1;
  }
  return 0;
}
