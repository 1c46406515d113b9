/* test_spec.h - the description of a test picture, `test:WIDTHxHEIGHT@FPS[,PIXFMT]`, as numbers. */
#ifndef CUFRAMES_CLI_TEST_SPEC_H
#define CUFRAMES_CLI_TEST_SPEC_H

#include <stdbool.h>
#include <stdint.h>

typedef struct test_spec {
  uint32_t width, height, pixel_format;
  uint64_t rate_num, rate_den; /* pictures per second; 0/1: as fast as possible */
} test_spec;

/* The pixel formats of pictures, in words: what --format takes, and the end of a test picture's description. */
#define PICTURE_FORMATS                                                                                                \
  "nv12 p010 yuv420p yuv422p yuv444p gray8 rgb24 rgba bgra bgr24 yuyv422 uyvy422 gray16 yuv420p10 yuv422p10 rgbp"
/* CUFRAMES_PIXEL_NONE if it is no name of one of them. */
uint32_t picture_format_from_name(const char *name);

/* Whether an input is one. */
bool test_spec_is(const char *input);

/* Parses one. NULL if it is good, else what is wrong with it (static), and then *spec means nothing. */
const char *test_spec_parse(const char *input, test_spec *spec);

#endif
