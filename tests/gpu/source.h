/* source.h - a publisher of stamped pictures in each kind of GPU memory.
 *
 * Picture number N, pts N * 1000, is seq N; every 64-bit word of its memory, from the first plane to the end of the
 * last, is stamp(N), written by a kernel on the source's stream.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include "program.h"

typedef enum memory_kind { MEMORY_VMM, MEMORY_LEGACY, EXTERNAL_VMM, EXTERNAL_ALLOC, EXTERNAL_POOL } memory_kind;
#define MEMORY_KINDS 5
const char *memory_kind_name(memory_kind kind);
/* Skips the test where this GPU has not that kind. */
void memory_kind_need(memory_kind kind);

typedef struct source_options {
  const char *name;
  memory_kind memory;
  cuframes_format format;
  uint32_t buffers;  /* external: as many; else as many slots at first, 0: the default. A test may put buffers of its
                        own into `buffers` below, and `count` */
  bool full;         /* slots for all who join are there before they are let in, and no others */
  int ordinal;       /* of the GPU */
  bool for_everyone; /* the socket is open to other users */
  bool side_data;    /* each frame says its number in its side data, too */
} source_options;

/* The type of that. */
#define SIDE_NUMBER (CUFRAMES_SIDE_DATA_APPLICATION + 1)

#define SOURCE_BUFFERS 96

typedef struct source {
  gpu g;
  cu_stream stream;
  cuframes_publisher *publisher;
  memory_kind memory;
  cuframes_format format;
  uint64_t words;  /* external: of each buffer */
  uint64_t number; /* of the last picture */
  bool side_data;
  cu_deviceptr buffers[SOURCE_BUFFERS];
  cuframes_frame *registered[SOURCE_BUFFERS];
  gpu_memory vmm[SOURCE_BUFFERS];
  cu_deviceptr blocks[2];
  cu_pool pool;
  uint32_t count, fresh; /* buffers, and those that were never published */
} source;

uint64_t stamp(uint64_t number);
/* The memory of a frame, in words. */
cu_deviceptr frame_address(const cuframes_frame *frame);
uint64_t frame_words(const cuframes_frame *frame);

/* In a child. */
void source_begin(source *s, const source_options *options);
/* Fills and publishes the next picture. */
void source_publish(source *s);
/* `count` of them, one a sixtieth of a second. */
void source_publish_60(source *s, uint64_t count);
cuframes_publisher_stats source_stats(const source *s);
void source_end(source *s);

#endif
