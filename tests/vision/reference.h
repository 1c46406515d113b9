/* vision/reference.h - what a preprocess must give, in double, written from the formulas of ITU-T H.273 and of the
 * headers and not from the library: it knows positions in the picture, not windows of samples.
 */
#ifndef TESTS_VISION_REFERENCE_H
#define TESTS_VISION_REFERENCE_H

#include <cuframes/vision.h>

/* The value of an IEEE 754 binary16. */
float half_to_float(uint16_t half);

/* Memory of a picture, filled with noise or with what is smooth; pitches with some room behind the rows. */
typedef struct test_picture {
  cuframes_format format;
  cuframes_picture picture;
  void *memory[CUFRAMES_PLANES];
} test_picture;

enum test_content { CONTENT_NOISE, CONTENT_SMOOTH, CONTENT_EXTREMES };

/* format: pixel format, size, colour and chroma location; planes are made. */
test_picture *test_picture_new(cuframes_format format, enum test_content content, uint32_t seed);
void test_picture_free(test_picture *picture);

/* Value 0..255 of R, G and B (cut off), of an output pixel of a tile of width x height pixels that shows the crop. */
void reference_pixel(const cuframes_picture *picture, const double crop[4], uint32_t width, uint32_t height, uint32_t i,
                     uint32_t j, uint32_t filter, double rgb[3]);
/* The same, of luma. */
double reference_gray(const cuframes_picture *picture, const double crop[4], uint32_t width, uint32_t height,
                      uint32_t i, uint32_t j, uint32_t filter);

/* Values 0..255 of the channels of a pixel of the tensor, padding included, before scale, mean and std. */
void reference_values(const cuframes_preprocess_options *options, const cuframes_picture *picture, uint32_t x,
                      uint32_t y, double values[3]);

#endif
