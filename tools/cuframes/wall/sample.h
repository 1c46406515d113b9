/* sample.h - encoded samples in the form that browsers take, and what the tracks are that they belong to.
 *
 * Threads  Made by the thread of a feed or of pictures, and then handed over: from there on they belong to the server's
 * thread, which counts who uses them. */
#ifndef CUFRAMES_WALL_SAMPLE_H
#define CUFRAMES_WALL_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

#include "http/http.h"

/* As on the wire (docs/wall.md). OTHER goes into files alone. */
enum sample_kind { SAMPLE_OTHER, SAMPLE_VIDEO, SAMPLE_AUDIO, SAMPLE_JPEG, SAMPLE_DATA };
enum sample_flag { SAMPLE_KEY = 1, SAMPLE_DISCONTINUITY = 2, SAMPLE_HIDDEN = 4 };
#define SAMPLE_HEAD 40 /* bytes before each sample on the wire */

/* What a track is, from some sample on. */
typedef struct track_config {
  unsigned uses;
  uint32_t number; /* counts up within a feed */
  uint32_t track;  /* its index */
  enum sample_kind kind;
  cuframes_codec_params params;
  void *extradata; /* as the publisher says */
  size_t extradata_size;
  char codec[64]; /* as browsers name it; empty: none plays it */
  uint8_t *description;
  size_t description_size;
} track_config;

typedef struct sample {
  unsigned uses;
  enum sample_kind kind;
  uint8_t flags;
  uint32_t track, config;
  int64_t pts, dts; /* us */
  uint32_t duration;
  int64_t taken;   /* CLOCK_REALTIME us */
  int64_t arrived; /* CLOCK_MONOTONIC ns */
  const uint8_t *data;
  size_t size;
  uint8_t *own;            /* what `data` is, if it is not the packet's */
  cuframes_packet *packet; /* NULL: of none */
  http_body *body;         /* while somebody has it; its reference is theirs */
} sample;

/* With one use. NULL: out of memory. A reference to the packet is taken. */
sample *sample_of_packet(cuframes_packet *packet, enum sample_kind kind);
/* Takes the bytes, by malloc(), over, also if it fails. */
sample *sample_of_bytes(uint8_t *bytes, size_t size, enum sample_kind kind);
sample *sample_ref(sample *s);
/* Its bytes, for all to whom they are sent: with a reference, the caller's. NULL: out of memory. */
http_body *sample_body(sample *s);
void sample_drop(sample *s);

track_config *track_config_ref(track_config *c);
void track_config_drop(track_config *c);

/* The head of a sample on the wire. */
void sample_head(uint8_t head[SAMPLE_HEAD], const sample *s, uint16_t tile, uint8_t flags);

/* CLOCK_REALTIME us. */
int64_t sample_now(void);

#endif
