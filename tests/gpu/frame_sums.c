/* frame_sums.c - an ordered subscriber for tests/gpu/nvdec: prints for every frame its number, size and MD5.
 *
 *   frame_sums NAME --frames N [--dir DIR] [--device auto|host|cuda...] [--against FILE]
 *
 * One line per frame: SEQ WIDTHxHEIGHT FORMAT MD5. The sum is that of the visible rows, one plane behind the other, as
 * FFmpeg's framemd5 has it; 4:2:0 in three planes is summed up as NV12, so that it does not matter who decoded it. With
 * --against, FILE has the same pictures, over and over, packed in that way; the last line is then
 * "difference max M mean X" in steps of a sample's byte. Exit 0 if N frames came and none was missing.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

#define TIMEOUT INT64_C(20000000000)

/* ---- MD5 (RFC 1321) ---- */

typedef struct md5 {
  uint32_t state[4];
  uint64_t bytes;
  uint8_t block[64];
} md5;

/* floor(2^32 * abs(sin(i + 1))) */
static const uint32_t md5_sines[64] = {
  0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
  0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
  0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
  0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
  0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
  0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
  0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
  0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static void md5_block(md5 *m, const uint8_t *bytes) {
  static const uint8_t shifts[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };
  uint32_t a = m->state[0], b = m->state[1], c = m->state[2], d = m->state[3], words[16];
  memcpy(words, bytes, sizeof words); /* little-endian, as all that cuframes runs on */
  for (unsigned i = 0; i < 64; i++) {
    uint32_t mix, word;
    switch (i / 16) {
      case 0: mix = (b & c) | (~b & d), word = i; break;
      case 1: mix = (d & b) | (~d & c), word = 5 * i + 1; break;
      case 2: mix = b ^ c ^ d, word = 3 * i + 5; break;
      default: mix = c ^ (b | ~d), word = 7 * i;
    }
    uint32_t sum = a + mix + md5_sines[i] + words[word % 16], shift = shifts[i / 16][i % 4];
    a = d, d = c, c = b;
    b += sum << shift | sum >> (32 - shift);
  }
  m->state[0] += a, m->state[1] += b, m->state[2] += c, m->state[3] += d;
}

static void md5_begin(md5 *m) {
  *m = (md5){ .state = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } };
}

static void md5_add(md5 *m, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    size_t used = m->bytes % 64, part = size < 64 - used ? size : 64 - used;
    memcpy(m->block + used, bytes, part);
    m->bytes += part;
    bytes += part;
    size -= part;
    if (m->bytes % 64 == 0)
      md5_block(m, m->block);
  }
}

static void md5_text(md5 *m, char text[33]) {
  static const uint8_t end[64] = { 0x80 };
  uint64_t bits = m->bytes * 8;
  md5_add(m, end, 64 - (m->bytes + 8) % 64);
  md5_add(m, (const uint8_t *)&bits, sizeof bits);
  for (int i = 0; i < 16; i++)
    (void)snprintf(text + 2 * i, 3, "%02x", (unsigned)((const uint8_t *)m->state)[i]);
}

/* ---- pictures ---- */

static void fail(const char *what) {
  fprintf(stderr, "frame_sums: %s: %s\n", what, cuframes_last_error());
  exit(1);
}

typedef struct picture_kind {
  uint8_t *bytes; /* packed */
  size_t size, capacity;
} picture;

static uint8_t *grow(picture *p, size_t more) {
  if (p->size + more > p->capacity) {
    p->capacity = p->size + more;
    p->bytes = realloc(p->bytes, p->capacity);
    if (!p->bytes) {
      fputs("frame_sums: no memory\n", stderr);
      exit(1);
    }
  }
  p->size += more;
  return p->bytes + p->size - more;
}

static void add_plane(const cuframes_frame *frame, int plane, picture *p) {
  uint32_t row, rows;
  if (cuframes_format_plane_size(cuframes_frame_format(frame), plane, &row, &rows) != 0)
    fail("plane");
  if (cuframes_frame_copy_to_host(frame, plane, grow(p, (size_t)row * rows), 0) != 0)
    fail("copy to the host");
}

/* The frame's visible rows; YUV420P becomes NV12. */
static void unpack(const cuframes_frame *frame, picture *p, picture *chroma) {
  uint32_t format = cuframes_frame_pixel_format(frame);
  p->size = chroma->size = 0;
  add_plane(frame, 0, p);
  if (format != CUFRAMES_PIXEL_YUV420P) {
    for (int plane = 1; plane < cuframes_pixel_format_planes(format); plane++)
      add_plane(frame, plane, p);
    return;
  }
  add_plane(frame, 1, chroma);
  add_plane(frame, 2, chroma);
  size_t half = chroma->size / 2;
  uint8_t *to = grow(p, chroma->size);
  for (size_t i = 0; i < half; i++) {
    to[2 * i] = chroma->bytes[i];
    to[2 * i + 1] = chroma->bytes[half + i];
  }
}

/* ---- the difference from pictures in a file ---- */

typedef struct difference {
  FILE *file;
  picture there;
  int most;
  uint64_t sum, samples;
} difference;

static void compare(difference *d, const picture *p, uint64_t number) {
  d->there.size = 0;
  uint8_t *there = grow(&d->there, p->size);
  if (fseeko(d->file, 0, SEEK_END) != 0 || ftello(d->file) < (off_t)p->size)
    fail("the file to compare with is too short");
  uint64_t count = (uint64_t)ftello(d->file) / p->size;
  if (fseeko(d->file, (off_t)(number % count * p->size), SEEK_SET) != 0 || fread(there, 1, p->size, d->file) != p->size)
    fail("the file to compare with cannot be read");
  for (size_t i = 0; i < p->size; i++) {
    int off = abs(there[i] - p->bytes[i]);
    d->most = off > d->most ? off : d->most;
    d->sum += (uint64_t)off;
  }
  d->samples += p->size;
}

/* ---- the stream ---- */

static int run(cuframes_subscriber *subscriber, uint64_t frames, difference *d) {
  picture p = { 0 }, chroma = { 0 };
  uint64_t last = 0;
  for (uint64_t i = 0; i < frames; i++) {
    cuframes_frame *frame;
    if (cuframes_subscriber_next(subscriber, TIMEOUT, &frame) != 0)
      fail("next frame");
    uint64_t seq = cuframes_frame_seq(frame);
    if (last > 0 && seq != last + 1) {
      fprintf(stderr, "frame_sums: frame %" PRIu64 " came after %" PRIu64 "\n", seq, last);
      exit(1);
    }
    last = seq;
    unpack(frame, &p, &chroma);
    md5 m;
    char text[33];
    md5_begin(&m);
    md5_add(&m, p.bytes, p.size);
    md5_text(&m, text);
    printf("%" PRIu64 " %" PRIu32 "x%" PRIu32 " %s %s\n", seq, cuframes_frame_width(frame),
           cuframes_frame_height(frame), cuframes_pixel_format_name(cuframes_frame_pixel_format(frame)), text);
    if (d->file)
      compare(d, &p, seq - 1);
    cuframes_frame_release(frame); /* stale if the stream has just ended: it was copied before */
  }
  if (d->file)
    printf("difference max %d mean %.3f\n", d->most, (double)d->sum / (double)d->samples);
  free(p.bytes);
  free(chroma.bytes);
  free(d->there.bytes);
  return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  static const struct option long_options[] = {
    { "frames", required_argument, NULL, 'n' },
    { "dir", required_argument, NULL, 'd' },
    { "device", required_argument, NULL, 'D' },
    { "against", required_argument, NULL, 'a' },
    { NULL, 0, NULL, 0 },
  };
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .mode = CUFRAMES_MODE_ORDERED,
                                          .depth = 8,
                                          .label = "frame_sums",
                                          .connect_timeout_ns = TIMEOUT };
  difference d = { 0 };
  uint64_t frames = 0;
  bool good = true;
  for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
    switch (c) {
      case 'n': frames = strtoull(optarg, NULL, 10); break;
      case 'd': options.directory = optarg; break;
      case 'D': options.device = optarg; break;
      case 'a':
        d.file = fopen(optarg, "rbe");
        good &= d.file != NULL;
        break;
      default: good = false;
    }
  }
  if (!good || frames == 0 || optind + 1 != argc) {
    fputs("usage: frame_sums NAME --frames N [--dir DIR] [--device DEVICE] [--against FILE]\n", stderr);
    return 2;
  }
  cuframes_subscriber *subscriber;
  if (cuframes_subscriber_create(argv[optind], &options, &subscriber) != 0)
    fail("join");
  int status = run(subscriber, frames, &d);
  cuframes_subscriber_destroy(subscriber);
  if (d.file)
    (void)fclose(d.file);
  return status;
}
