/* pattern.h - the test picture of `publish test:`: moving, and wholly determined by the frame number and the format.
 *
 * Whoever holds a picture can read its number from the pixels and then prove every visible byte of it.
 *
 * Background  tri(i) = i < 256 ? i : 511 - i, for i modulo 512. Component c of the sample at (x, y) of a plane is
 *               plane 0:       tri(x + y + 3 n + offset[c])
 *               other planes:  tri(s (x - y - 5 n) + offset[c])        s = 2 where chroma is halved in width, else 1
 *             with x, y in samples of that plane, n the frame number, offset 0, 171, 341 for R, G, B (whatever their
 *             order in memory), 0 for luma, 0 and 128 for Cb and Cr; alpha is 255. In YUV and gray formats a value
 *             v becomes 16 + (v * 55 >> 6), that is 16..235. Where samples have 16 bits, P010 has v * 257 & 0xffc0 in
 *             them, gray16 v * 257, and the planar 10-bit formats v * 257 >> 6. Each of rgbp's planes is a plane 0.
 *             yuyv422 and uyvy422 have the samples of yuv422p, packed; in the last pair of an odd width the second
 *             luma sample is that of the column behind the last.
 * Stamp       16 x 10 square blocks of B pixels, B = min(width / 96, height / 60, 64) made even and at least 2, their
 *             top left corner at (B, B). Two rows of blocks are a magic word of 32 bits, four rows the number, one
 *             row a checksum, each most significant bit first, white is 1. The last three rows of blocks show the
 *             number's last eight decimal digits (3 x 5 font, half a block per dot). Black and white are 16 and 235
 *             (0 and 255 in RGB), chroma beneath is 128.
 * Size        From 36 x 24 pixels (PATTERN_MIN_WIDTH x _HEIGHT) there is a stamp; smaller pictures have the
 *             background only, and pattern_check() calls them PATTERN_NOT.
 *
 * A test picture that went through a lossy encoder still shows its number but is no longer exact: PATTERN_TORN. */
#ifndef CUFRAMES_CLI_PATTERN_H
#define CUFRAMES_CLI_PATTERN_H

#include <stdint.h>

#include <cuframes/format.h>

#define PATTERN_MIN_WIDTH 36
#define PATTERN_MIN_HEIGHT 24

enum pattern_result {
  PATTERN_NOT,   /* no stamp here: some other picture, or too small for one */
  PATTERN_WHOLE, /* every visible byte is as its number demands */
  PATTERN_TORN   /* a stamp, but its checksum or some other byte of the picture is wrong */
};

/* Draws picture `number`. Writes the visible bytes only, never the rest of a row. The format must have passed
 * cuframes_format_layout(); plane and pitch have one entry per plane of it. */
void pattern_draw(uint8_t *const plane[], const uint32_t pitch[], const cuframes_format *format, uint64_t number);

/* Looks for a stamp and, if there is one, compares every visible byte. *number is set for WHOLE and TORN (there it
 * may be nonsense), and may be NULL. */
enum pattern_result pattern_check(const uint8_t *const plane[], const uint32_t pitch[], const cuframes_format *format,
                                  uint64_t *number);

#endif
