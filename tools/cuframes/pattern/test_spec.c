/* test_spec.c - see test_spec.h. */
#include "test_spec.h"

#include <string.h>

#include <cuframes/format.h>

#include "common/cli.h"

#define SECOND_NS INT64_C(1000000000)
#define PREFIX "test:"

bool test_spec_is(const char *input) {
  return strncmp(input, PREFIX, strlen(PREFIX)) == 0;
}

uint32_t picture_format_from_name(const char *name) {
  const uint32_t format = cuframes_pixel_format_from_name(name);
  return format == CUFRAMES_PIXEL_TENSOR ? CUFRAMES_PIXEL_NONE : format;
}

/* A number without sign or blanks at *text, which moves behind it. */
static bool take_number(const char **text, uint32_t max, uint32_t *value) {
  size_t digits = strspn(*text, "0123456789");
  char copy[11] = "";
  if (digits == 0 || digits >= sizeof copy)
    return false;
  memcpy(copy, *text, digits);
  *text += digits;
  return cli_parse_unsigned(copy, 1, max, value);
}

/* FPS: 30, 29.97, 30000/1001 or max. */
static bool parse_rate(const char *text, test_spec *source) {
  if (strcmp(text, "max") == 0) {
    source->rate_num = 0;
    source->rate_den = 1;
    return true;
  }
  if (strchr(text, '/') != NULL) {
    uint32_t num, den;
    bool good = take_number(&text, 100000000, &num) && *text++ == '/' && take_number(&text, 1000000, &den);
    if (!good || *text != '\0')
      return false;
    source->rate_num = num;
    source->rate_den = den;
    return num / den <= 100000;
  }
  int64_t ns;
  if (!cli_parse_seconds(text, &ns) || ns < 1000000 || ns > 100000 * SECOND_NS)
    return false; /* a decimal number greater than 0, as it happens: from 0.001 to 100000 per second */
  source->rate_num = (uint64_t)ns;
  source->rate_den = (uint64_t)SECOND_NS;
  return true;
}

const char *test_spec_parse(const char *input, test_spec *source) {
  *source = (test_spec){ .pixel_format = CUFRAMES_PIXEL_NV12 };
  const char *text = input + strlen(PREFIX);
  if (!take_number(&text, CUFRAMES_SIZE_MAX, &source->width) || *text++ != 'x' ||
      !take_number(&text, CUFRAMES_SIZE_MAX, &source->height) || *text++ != '@')
    return "wants test:WIDTHxHEIGHT@FPS[,PIXFMT] with a width and height from 1 to 65535";
  size_t length = strcspn(text, ",");
  char rate[32] = "";
  if (length >= sizeof rate)
    return "wants a shorter FPS";
  memcpy(rate, text, length);
  if (!parse_rate(rate, source))
    return "wants FPS from 0.001 to 100000, as 30, 29.97 or 30000/1001, or the word max";
  if (text[length] == ',')
    source->pixel_format = picture_format_from_name(text + length + 1);
  return source->pixel_format ? NULL : "wants a pixel format of " PICTURE_FORMATS;
}
