/* test_vision.cpp - tensors and composed pictures through C++, on the host. */
#include <cmath>
#include <cstring>
#include <vector>

#include <cuframes/vision.hpp>

#include "check.hpp"

using cuframes::errc;

static cuframes::publisher::frame gray_of(cuframes::publisher &publisher, std::uint8_t value) {
  auto open = publisher.acquire();
  CHECK(open.has_value());
  const auto plane = open->plane(0);
  std::memset(plane.data, value, plane.pitch * plane.rows);
  return std::move(*open);
}

static void a_tensor() {
  auto publisher = cuframes::publisher::create("s", check::gray()); /* 64 x 16 */
  const auto frame = gray_of(publisher, 255);
  cuframes::preprocess_options options;
  options.size = { 32, 32 };
  auto preprocess = cuframes::preprocess::create(options);
  std::vector<float> tensor(2 * 3 * 32 * 32, -1.0F);
  std::vector<cuframes::geometry> placed(2);
  preprocess.run({ cuframes::picture::from(frame), cuframes::picture() }, tensor.data(), placed.data());
  CHECK(placed[0].y == 12 && placed[0].height == 8 && placed[0].width == 32 && placed[1].width == 0);
  CHECK(std::fabs(tensor[16 * 32 + 16] - 1.0F) < 0.01F && tensor[0] == 0.0F && tensor[3 * 32 * 32 + 5] == 0.0F);
  const cuframes::rectangle box{ 8, 4, 16, 8 }, there = placed[0].to_output(box);
  const cuframes::rectangle back = placed[0].to_picture(there);
  CHECK(there.x == 4 && there.y == 14 && there.width == 8 && back.x == box.x && back.height == box.height);
  CHECK(preprocess.format_of(2).pixel_format() == cuframes::pixel_format::tensor);
  CHECK(std::strcmp(preprocess.device(), "host") == 0);
  CHECK(preprocess.try_run({}, tensor.data()).code() == errc::invalid);
  options.size = { 0, 0 };
  CHECK(cuframes::preprocess::try_create(options).code() == errc::invalid);
  auto moved = std::move(preprocess);
  CHECK(preprocess.native_handle() == nullptr); // NOLINT(bugprone-use-after-move): it is empty
  moved.run({ cuframes::picture::from(frame, { 0, 0, 16, 16 }) }, tensor.data());
  CHECK(std::fabs(tensor[0] - 1.0F) < 0.01F);
}

static void a_composed_picture() {
  auto cameras = cuframes::publisher::create("s", check::gray()),
       wall = cuframes::publisher::create("w", check::gray());
  const auto bright = gray_of(cameras, 200);
  auto output = gray_of(wall, 9);
  auto compositor = cuframes::compositor::create();
  const std::vector<cuframes::layer> layers = {
    { cuframes::picture::from(bright), 0, 0, { 32, 16 } },
    { std::array<std::uint8_t, 4>{ 255, 255, 255, 255 }, 32, 0, { 16, 16 } },
  };
  for (std::uint32_t i = 0; i < 2; i++)
    compositor.run(layers, cuframes::picture::from(output), { i, 2 });
  const auto plane = output.plane(0);
  const auto *pixels = reinterpret_cast<const std::uint8_t *>(plane.data);
  CHECK(pixels[0] == 200 && pixels[40] > 200 && pixels[60] < 20 && pixels[15 * plane.pitch] == 200);
  CHECK(std::strcmp(compositor.device(), "host") == 0);
}

int main(int argc, char **argv) {
  return check::run_all({ { "a_tensor", a_tensor }, { "a_composed_picture", a_composed_picture } }, argc, argv);
}
