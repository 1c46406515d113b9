/* source.c - a publisher of stamped pictures. */
#include "source.h"

static const char *const memory_names[MEMORY_KINDS] = { "vmm", "legacy", "external_vmm", "external_alloc",
                                                        "external_pool" };

const char *memory_kind_name(memory_kind kind) {
  return memory_names[kind];
}

void memory_kind_need(memory_kind kind) {
  bool vmm = kind == MEMORY_VMM || kind == EXTERNAL_VMM, legacy = kind == MEMORY_LEGACY || kind == EXTERNAL_ALLOC;
  if ((vmm && !facts.vmm) || (legacy && !facts.legacy) || (kind == EXTERNAL_POOL && !facts.pools))
    skip_because("%s has no memory of the kind %s", facts.name, memory_names[kind]);
}

uint64_t stamp(uint64_t number) {
  return (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t format_words(const cuframes_format *format) {
  uint64_t end = 0;
  for (int plane = 0; plane < cuframes_pixel_format_planes(format->pixel_format); plane++) {
    uint32_t row_bytes, rows;
    CHECK_OK(cuframes_format_plane_size(format, plane, &row_bytes, &rows));
    uint64_t plane_end = format->offset[plane] + (uint64_t)format->pitch[plane] * rows;
    end = plane_end > end ? plane_end : end;
  }
  return (end - format->offset[0]) / sizeof(uint64_t);
}

cu_deviceptr frame_address(const cuframes_frame *frame) {
  return (cu_deviceptr)(uintptr_t)cuframes_frame_plane(frame, 0);
}

uint64_t frame_words(const cuframes_frame *frame) {
  return format_words(cuframes_frame_format(frame));
}

/* ---- buffers of the caller's own ---- */

static uint64_t up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/* All in two blocks, so that most buffers lie somewhere inside an allocation. */
static void make_blocks(source *s, uint64_t bytes) {
  uint32_t half = (s->count + 1) / 2;
  for (int i = 0; i < 2; i++)
    CHECK_OK(cu.cuMemAlloc(&s->blocks[i], half * bytes));
  for (uint32_t i = 0; i < s->count; i++)
    s->buffers[i] = s->blocks[i / half] + i % half * bytes;
}

static void make_pool(source *s, uint64_t bytes) {
  cu_pool_props props = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                          .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                          .location = { CU_MEM_LOCATION_TYPE_DEVICE, s->g.device } };
  CHECK_OK(cu.cuMemPoolCreate(&s->pool, &props));
  for (uint32_t i = 0; i < s->count; i++)
    CHECK_OK(cu.cuMemAllocFromPoolAsync(&s->buffers[i], bytes, s->pool, s->stream));
  CHECK_OK(cu.cuStreamSynchronize(s->stream));
}

static void make_buffers(source *s, uint32_t count) {
  uint64_t bytes = up(s->words * sizeof(uint64_t), 512);
  CHECK(count <= SOURCE_BUFFERS);
  s->count = count;
  if (s->memory == EXTERNAL_ALLOC)
    make_blocks(s, bytes);
  if (s->memory == EXTERNAL_POOL)
    make_pool(s, bytes);
  for (uint32_t i = 0; i < count; i++) {
    if (s->memory == EXTERNAL_VMM) {
      gpu_memory_make(&s->g, &s->vmm[i], up(bytes, SEGMENT), NULL);
      s->buffers[i] = s->vmm[i].address;
    }
    CHECK_OK(cuframes_publisher_register_external(s->publisher, (void *)(uintptr_t)s->buffers[i],
                                                  s->words * sizeof(uint64_t), &s->registered[i]));
  }
}

static void free_buffers(source *s) {
  for (int i = 0; i < 2 && s->blocks[i]; i++)
    CHECK_OK(cu.cuMemFree(s->blocks[i]));
  for (uint32_t i = 0; i < s->count; i++) {
    if (s->memory == EXTERNAL_VMM)
      gpu_memory_end(&s->vmm[i]);
    if (s->memory == EXTERNAL_POOL)
      CHECK_OK(cu.cuMemFreeAsync(s->buffers[i], s->stream));
  }
  if (s->pool) {
    CHECK_OK(cu.cuStreamSynchronize(s->stream));
    CHECK_OK(cu.cuMemPoolDestroy(s->pool));
  }
}

/* ---- */

void source_begin(source *s, const source_options *options) {
  char device[16] = "cuda:0";
  device[5] = (char)('0' + options->ordinal);
  *s = (source){ .memory = options->memory, .format = options->format, .side_data = options->side_data };
  bool external = options->memory >= EXTERNAL_VMM;
  if (external) {
    uint64_t bytes;
    CHECK_OK(cuframes_format_layout(&s->format, 256, &bytes));
    s->words = format_words(&s->format);
  }
  gpu_begin(&s->g, options->ordinal);
  CHECK_OK(cu.cuStreamCreate(&s->stream, CU_STREAM_NON_BLOCKING));
  cuframes_publisher_options publisher = {
    .struct_size = sizeof publisher,
    .format = s->format,
    .device = device,
    .slots = external ? 0 : options->buffers,
    .reserve = options->full ? CUFRAMES_RESERVE_FULL : CUFRAMES_RESERVE_NEED,
    .memory = options->memory == MEMORY_LEGACY ? CUFRAMES_MEMORY_LEGACY : CUFRAMES_MEMORY_DEFAULT,
    .external = external,
    .side_data_max = options->side_data ? 64 : 0,
    .socket_mode = options->for_everyone ? 0666 : 0,
    .ordered_timeout_ns = patience(),
  };
  CHECK_OK(cuframes_publisher_create(options->name, &publisher, &s->publisher));
  if (external && options->buffers > 0)
    make_buffers(s, options->buffers);
}

static void fill(source *s, cu_deviceptr address, uint64_t words) {
  CHECK_OK(LAUNCH(&s->g, s->stream, "fill", address, words, stamp(s->number)));
}

/* Every third time it asks for a certain one. */
static bool take_a_certain_one(source *s, cuframes_frame **frame) {
  if (s->count == 0 || s->number % 3 != 0)
    return false;
  *frame = s->registered[s->number / 3 % s->count];
  int result = cuframes_publisher_reopen(s->publisher, *frame);
  if (result != CUFRAMES_ERR_BUSY)
    CHECK_OK(result);
  return result == CUFRAMES_OK;
}

/* Faster than a pool can grow: then again. */
static int acquire(source *s, cuframes_frame **frame) {
  int result;
  WAIT_FOR((result = cuframes_publisher_acquire(s->publisher, frame)) != CUFRAMES_ERR_DROPPED);
  return result;
}

void source_publish(source *s) {
  cuframes_publish_info info = { .struct_size = sizeof info };
  cuframes_frame *frame = NULL;
  s->number++;
  info.pts = (int64_t)s->number * 1000;
  if (s->fresh < s->count)
    frame = s->registered[s->fresh++];
  else if (!take_a_certain_one(s, &frame))
    CHECK_OK(acquire(s, &frame));
  fill(s, frame_address(frame), frame_words(frame));
  if (s->side_data) /* the CPU's, and there before the picture is */
    CHECK_OK(cuframes_frame_add_side_data(frame, SIDE_NUMBER, &s->number, sizeof s->number));
  CHECK_OK(cuframes_publisher_publish_on(s->publisher, frame, s->stream, &info));
}

void source_publish_60(source *s, uint64_t count) {
  int64_t start = cuframes_now();
  for (uint64_t i = 0; i < count; i++) {
    int64_t early = start + (int64_t)i * SECOND / 60 - cuframes_now();
    if (early > 0)
      pause_ms((int)(early / MS) + 1);
    source_publish(s);
  }
}

cuframes_publisher_stats source_stats(const source *s) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_publisher_get_stats(s->publisher, &stats));
  return stats;
}

void source_end(source *s) {
  cuframes_publisher_destroy(s->publisher);
  free_buffers(s);
  CHECK_OK(cu.cuStreamDestroy(s->stream));
  gpu_end(&s->g);
}
