/* fuzz_vision.c - formats, crops and options of a preprocess: whatever they say, planes of exactly their size are
 * enough, nothing is written outside of the tensor, and an error has a sentence.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/vision.h>

#define BYTES_MAX (UINT64_C(1) << 20) /* of a picture, so that many are tried */
#define SIDE_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
  const uint8_t *data;
  size_t size;
} input;

static void take(input *in, void *to, size_t size) {
  size_t have = size < in->size ? size : in->size;
  memset(to, 0, size);
  memcpy(to, in->data, have);
  in->data += have;
  in->size -= have;
}

/* A plane of exactly its bytes, filled with what is left of the input. */
static void *plane_new(const cuframes_format *format, int plane, const input *in) {
  uint32_t row_bytes, rows;
  if (cuframes_format_plane_size(format, plane, &row_bytes, &rows) != CUFRAMES_OK)
    return NULL;
  uint64_t bytes = (uint64_t)format->pitch[plane] * (rows - 1) + row_bytes;
  uint8_t *memory = bytes <= BYTES_MAX ? malloc(bytes) : NULL;
  for (uint64_t i = 0; memory && i < bytes; i++)
    memory[i] = in->size ? in->data[i % in->size] : (uint8_t)i;
  return memory;
}

static void run(cuframes_preprocess *preprocess, const cuframes_picture *picture,
                const cuframes_preprocess_options *o) {
  cuframes_format tensor;
  cuframes_geometry geometry;
  uint64_t bytes = 0;
  if (cuframes_preprocess_format(preprocess, 1, &tensor) != CUFRAMES_OK ||
      cuframes_format_layout(&tensor, 0, &bytes) != CUFRAMES_OK)
    abort(); /* it is small */
  void *out = malloc(bytes);
  if (!out)
    abort();
  int result = cuframes_preprocess_run(preprocess, picture, 1, out, NULL, &geometry);
  if (result == CUFRAMES_OK) {
    if (geometry.x + geometry.width > o->width || geometry.y + geometry.height > o->height ||
        !(geometry.scale_x > 0 && geometry.scale_y > 0))
      abort();
  } else if (strlen(cuframes_last_error()) < 10)
    abort();
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input in = { data, size };
  cuframes_format format = { 0 }, laid_out;
  cuframes_picture picture = { .format = &format };
  cuframes_preprocess_options options;
  cuframes_preprocess *preprocess = NULL;
  uint16_t width, height;
  uint8_t kinds[6];
  take(&in, kinds, sizeof kinds);
  take(&in, &width, sizeof width);
  take(&in, &height, sizeof height);
  take(&in, &picture.crop, sizeof picture.crop);
  take(&in, &options, sizeof options);
  options.struct_size = sizeof options;
  options.device = NULL;
  options.capacity = 1;
  if (options.width > SIDE_MAX)
    options.width = 1 + options.width % SIDE_MAX;
  if (options.height > SIDE_MAX)
    options.height = 1 + options.height % SIDE_MAX;
  if (kinds[5] & 1) /* or else few come through */
    memset(options.reserved, 0, sizeof options.reserved);
  format.pixel_format = kinds[0] % 20;
  format.width = width;
  format.height = kinds[5] & 2 ? height % 512 : height;
  format.color = (cuframes_color){ .matrix = kinds[1], .range = kinds[2] % 4 };
  format.chroma_location = kinds[3] % 8;
  if (cuframes_preprocess_create(&options, &preprocess) != CUFRAMES_OK)
    return 0;
  laid_out = format;
  if (cuframes_format_layout(&laid_out, 1u << kinds[4] % 8, NULL) == CUFRAMES_OK && !(kinds[5] & 4))
    format = laid_out;
  for (int i = 0; i < cuframes_pixel_format_planes(format.pixel_format); i++)
    picture.plane[i] = plane_new(&format, i, &in);
  run(preprocess, &picture, &options);
  for (int i = 0; i < CUFRAMES_PLANES; i++)
    free((void *)picture.plane[i]);
  cuframes_preprocess_destroy(preprocess);
  return 0;
}
