/* test_vision_compositor.c - pictures that are put together on a GPU beside those of the host: every format into every
 * format, sticking out, blended, in parts, very many layers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"
#include "vision.h"

static const uint32_t formats[] = {
  CUFRAMES_PIXEL_NV12,    CUFRAMES_PIXEL_P010,      CUFRAMES_PIXEL_YUV420P,   CUFRAMES_PIXEL_YUV422P,
  CUFRAMES_PIXEL_YUV444P, CUFRAMES_PIXEL_GRAY8,     CUFRAMES_PIXEL_RGB24,     CUFRAMES_PIXEL_RGBA,
  CUFRAMES_PIXEL_BGRA,    CUFRAMES_PIXEL_BGR24,     CUFRAMES_PIXEL_YUYV422,   CUFRAMES_PIXEL_UYVY422,
  CUFRAMES_PIXEL_GRAY16,  CUFRAMES_PIXEL_YUV420P10, CUFRAMES_PIXEL_YUV422P10, CUFRAMES_PIXEL_RGBP,
};
#define FORMATS (sizeof formats / sizeof formats[0])
#define LAYERS_MOST 700u

typedef struct pair {
  cuframes_compositor *host, *gpu;
} pair;

static pair pair_new(void) {
  pair p;
  cuframes_compositor_options options = { .struct_size = sizeof options };
  CHECK_OK(cuframes_compositor_create(&options, &p.host));
  options.device = "cuda";
  CHECK_OK(cuframes_compositor_create(&options, &p.gpu));
  return p;
}

static void pair_end(const pair *p) {
  cuframes_compositor_destroy(p->host);
  cuframes_compositor_destroy(p->gpu);
}

/* Draws both; layers[i] shows pictures[i], or is a rectangle where that is none. */
static uint32_t draw(const pair *p, const cuframes_layer *layers, const both_picture *pictures, uint32_t count,
                     const both_picture *output, uint32_t parts, cu_stream stream) {
  static cuframes_layer here[LAYERS_MOST], there[LAYERS_MOST];
  for (uint32_t i = 0; i < count; i++) {
    here[i] = there[i] = layers[i];
    if (pictures && pictures[i].host) {
      here[i].picture = pictures[i].host->picture;
      there[i].picture = pictures[i].gpu;
    }
  }
  for (uint32_t part = 0; part < parts; part++) {
    CHECK_OK(cuframes_compositor_run_part(p->host, here, count, &output->host->picture, NULL, part, parts));
    CHECK_OK(cuframes_compositor_run_part(p->gpu, there, count, &output->gpu, stream, part, parts));
  }
  CHECK_OK(cu.cuStreamSynchronize(stream));
  return both_distance(output);
}

static both_picture output_of(uint32_t n, uint32_t width, uint32_t height) {
  cuframes_format format = { .pixel_format = formats[n % FORMATS], .width = width, .height = height };
  format.color.range = (uint8_t)(n % 3);
  format.chroma_location = (uint8_t)(n % 7);
  return both_new(format, CONTENT_NOISE, n);
}

/* All formats into each, at places that stick out, one over the other, with and without opacity, rectangles between. */
static void run_formats(const gpu *g, cu_stream stream) {
  (void)g;
  pair p = pair_new();
  both_picture pictures[2 * FORMATS] = { 0 };
  cuframes_layer layers[2 * FORMATS] = { 0 };
  uint32_t drawn = 0, worst = 0;
  for (uint32_t i = 0; i < 2 * FORMATS; i++) {
    layers[i] = (cuframes_layer){ .x = (int32_t)(i * 37 % 190) - 30,
                                  .y = (int32_t)(i * 23 % 60) - 9,
                                  .width = 20 + i * 11 % 60,
                                  .height = 9 + i * 7 % 40,
                                  .filter = i / 2 % 2,
                                  .color = { (uint8_t)(i * 40), 90, (uint8_t)(255 - i * 7), i % 3 ? 255 : 140 } };
    if (i % 5 == 4)
      continue;
    cuframes_format format = { .pixel_format = formats[i % FORMATS], .width = 11 + i * 9, .height = 40 + i };
    format.color.matrix = i % 4 == 1 ? 5 : 0;
    format.chroma_location = (uint8_t)(i % 7);
    pictures[i] = both_new(format, i % 3, i);
  }
  for (uint32_t n = 0; n < FORMATS; n++)
    for (uint32_t parts = 1; parts < 4; parts += 2) {
      both_picture output = output_of(n, 161 + n, 57 + 2 * n);
      uint32_t apart = draw(&p, layers, pictures, 2 * FORMATS, &output, parts, stream);
      if (apart > 1)
        fprintf(stderr, "%s: %u apart\n", cuframes_pixel_format_name(formats[n]), apart);
      CHECK(apart <= 1);
      worst = apart > worst ? apart : worst;
      drawn++;
      both_free(&output);
    }
  for (uint32_t i = 0; i < 2 * FORMATS; i++)
    if (pictures[i].host)
      both_free(&pictures[i]);
  pair_end(&p);
  vision_note("%u pictures of %u layers, host and GPU at most %u apart", drawn, (unsigned)(2 * FORMATS), worst);
}

static void formats_into_formats(void **state) {
  (void)state;
  vision_play(run_formats);
}

/* The same size and colour: the same bits, on both. */
static void run_copies(const gpu *g, cu_stream stream) {
  (void)g;
  pair p = pair_new();
  for (uint32_t n = 0; n < FORMATS; n++) {
    cuframes_format format = { .pixel_format = formats[n], .width = 131, .height = 67 };
    both_picture from = both_new(format, CONTENT_NOISE, n), to = both_new(format, CONTENT_NOISE, 100 + n);
    cuframes_layer layer = { .width = 131, .height = 67, .color = { 0, 0, 0, 255 } };
    CHECK(draw(&p, &layer, &from, 1, &to, 1, stream) == 0);
    both_free(&from);
    both_free(&to);
  }
  pair_end(&p);
  vision_note("%u formats, bit for bit", (unsigned)FORMATS);
}

static void the_same_size_is_copied(void **state) {
  (void)state;
  vision_play(run_copies);
}

/* More layers than a block has threads; opaque ones in the middle, so that what is below them is not drawn. */
static void run_many(const gpu *g, cu_stream stream) {
  (void)g;
  static cuframes_layer layers[LAYERS_MOST];
  pair p = pair_new();
  uint32_t counts[] = { 0, 1, 255, 256, 257, LAYERS_MOST };
  for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
    both_picture output = output_of((uint32_t)c, 300, 90);
    for (uint32_t i = 0; i < counts[c]; i++) {
      bool all = i % 200 == 150;
      layers[i] = (cuframes_layer){ .x = all ? 0 : (int32_t)(i * 31 % 320) - 10,
                                    .y = all ? 0 : (int32_t)(i * 17 % 90),
                                    .width = all ? 300 : 9 + i % 23,
                                    .height = all ? 90 : 5 + i % 13,
                                    .color = { (uint8_t)i, (uint8_t)(i * 3), (uint8_t)(i * 7), 255 } };
      if (!all && i % 2)
        layers[i].color[3] = (uint8_t)(i * 5);
    }
    CHECK(draw(&p, layers, NULL, counts[c], &output, 1, stream) <= 1);
    both_free(&output);
  }
  pair_end(&p);
  vision_note("up to %u rectangles", LAYERS_MOST);
}

static void very_many_layers(void **state) {
  (void)state;
  vision_play(run_many);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(formats_into_formats),
    SHOW(the_same_size_is_copied),
    SHOW(very_many_layers),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
