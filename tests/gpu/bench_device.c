/* bench_device.c - a CUDA context for each process of the benchmark, words that streams write, pictures to copy. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_gpu.h"

#define PAGE 4096u
#define SOURCES 4u /* different pictures, so that they do not all stay in the caches */

typedef struct line {
  alignas(64) _Atomic uint64_t value;
  uint8_t pad[56];
} line;

cf_cuda_driver cu;
cu_stream work;
static cu_device device;
static cu_context context;
static line *words; /* a page */
static cu_deviceptr words_address, sources, bare, mapped;
static cu_mem_handle mapped_handle;

void cu_check(cu_result result, const char *what) {
  if (result != CUDA_SUCCESS) {
    (void)cf_cuda_check(&cu, result, "%s", what);
    bench_die("%s", cuframes_last_error());
  }
}

/* ---- words ---- */

void device_words(void) {
  uint8_t *part = processes_memory((size_t)2 * PAGE);
  words = (line *)(part + (PAGE - (uintptr_t)part % PAGE) % PAGE);
}

_Atomic uint64_t *word_at(enum word word) {
  return &words[word].value;
}

static cu_deviceptr word_address(enum word word) {
  return words_address + word * sizeof(line);
}

void word_write(cu_stream stream, enum word word, uint64_t value) {
  CHECK_CUDA(cu.cuStreamWriteValue64(stream, word_address(word), value, CU_STREAM_WRITE_VALUE_DEFAULT));
}

void counter_wait(cu_stream stream, enum word word, uint64_t value) {
  CHECK_CUDA(cu.cuStreamWaitValue64(stream, word_address(word), value, CU_STREAM_WAIT_VALUE_GEQ));
}

void word_store(enum word word, uint64_t value) {
  atomic_store_explicit(word_at(word), value, memory_order_release);
}

/* ---- the device ---- */

#define GRANULE ((size_t)2 << 20)
#define MAPPED ((BARE_PICTURES * PICTURE + GRANULE - 1) / GRANULE * GRANULE)

/* Memory as the slots of frames are in; none where the GPU has no such. */
static void mapped_begin(void) {
  int vmm = 0;
  CHECK_CUDA(cu.cuDeviceGetAttribute(&vmm, CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED, device));
  if (!vmm)
    return;
  cu_mem_prop prop = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                       .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                       .location = { CU_MEM_LOCATION_TYPE_DEVICE, device } };
  cu_mem_access access = { .location = prop.location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
  CHECK_CUDA(cu.cuMemCreate(&mapped_handle, MAPPED, &prop, 0));
  CHECK_CUDA(cu.cuMemAddressReserve(&mapped, MAPPED, 0, 0, 0));
  CHECK_CUDA(cu.cuMemMap(mapped, MAPPED, 0, mapped_handle, 0));
  CHECK_CUDA(cu.cuMemSetAccess(mapped, MAPPED, &access, 1));
}

static void mapped_end(void) {
  CHECK_CUDA(cu.cuMemUnmap(mapped, MAPPED));
  CHECK_CUDA(cu.cuMemAddressFree(mapped, MAPPED));
  CHECK_CUDA(cu.cuMemRelease(mapped_handle));
}

void device_begin(bool pictures) {
  bench_check(cf_cuda_driver_load(&cu), "CUDA");
  if (!cu.cuStreamWriteValue64 || !cu.cuStreamWaitValue64)
    bench_die("the driver has no 64-bit stream memory operations: there is nothing to measure with");
  CHECK_CUDA(cu.cuDeviceGet(&device, 0));
  CHECK_CUDA(cu.cuDevicePrimaryCtxRetain(&context, device));
  CHECK_CUDA(cu.cuCtxPushCurrent(context));
  CHECK_CUDA(cu.cuStreamCreate(&work, CU_STREAM_NON_BLOCKING));
  CHECK_CUDA(cu.cuMemHostRegister(words, PAGE, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP));
  CHECK_CUDA(cu.cuMemHostGetDevicePointer(&words_address, words, 0));
  if (pictures) {
    CHECK_CUDA(cu.cuMemAlloc(&sources, SOURCES * PICTURE));
    CHECK_CUDA(cu.cuMemAlloc(&bare, BARE_PICTURES * PICTURE));
    CHECK_CUDA(cu.cuMemsetD8(sources, 0x55, SOURCES * PICTURE));
    mapped_begin();
  }
}

void device_end(void) {
  if (sources)
    CHECK_CUDA(cu.cuMemFree(sources));
  if (bare)
    CHECK_CUDA(cu.cuMemFree(bare));
  if (mapped)
    mapped_end();
  CHECK_CUDA(cu.cuMemHostUnregister(words));
  CHECK_CUDA(cu.cuStreamDestroy(work));
  cu_context popped;
  CHECK_CUDA(cu.cuCtxPopCurrent(&popped));
  CHECK_CUDA(cu.cuDevicePrimaryCtxRelease(device));
}

static cu_deviceptr source_plane(unsigned number, int plane) {
  return sources + number % SOURCES * PICTURE + (size_t)plane * PITCH * HEIGHT;
}

void work_ask(void) {
  cu_context current;
  cu_capture_status status;
  CHECK_CUDA(cu.cuCtxGetCurrent(&current));
  if (cu.cuStreamIsCapturing)
    CHECK_CUDA(cu.cuStreamIsCapturing(work, &status));
}

void work_copy(unsigned number, bool as_a_frame) {
  for (int plane = 0; plane < 2; plane++) {
    if (as_a_frame)
      work_ask();
    cu_copy_2d copy = { .from_type = CU_MEMORYTYPE_DEVICE,
                        .from_device = source_plane(number, plane),
                        .from_pitch = PITCH,
                        .to_type = CU_MEMORYTYPE_DEVICE,
                        .to_device = (as_a_frame && mapped ? mapped : bare) + number % BARE_PICTURES * PICTURE +
                                     (size_t)plane * PITCH * HEIGHT,
                        .to_pitch = PITCH,
                        .width = WIDTH,
                        .height = plane ? HEIGHT / 2 : HEIGHT };
    CHECK_CUDA(cu.cuMemcpy2DAsync(&copy, work));
  }
}

void work_fill(cuframes_frame *frame, unsigned number) {
  for (int plane = 0; plane < 2; plane++)
    bench_check(
        cuframes_frame_copy_from_device(frame, plane, (void *)(uintptr_t)source_plane(number, plane), PITCH, work),
        "copy into a frame");
}

/* ---- what it is ---- */

static void driver_version(char *text, size_t size) {
  char said[256];
  FILE *file = fopen("/proc/driver/nvidia/version", "re");
  (void)snprintf(text, size, "%s", dlsym(cu.library, "standin_live") ? "stand-in, no GPU" : "unknown");
  const char *at = file && fgets(said, sizeof said, file) ? strstr(said, "  ") : NULL;
  for (; at; at = strchr(at, ' ')) { /* the first word that is a number with dots */
    at += strspn(at, " ");
    size_t length = strspn(at, "0123456789.");
    if (length > 3 && at[length] == ' ') {
      (void)snprintf(text, size, "%.*s", (int)length, at);
      break;
    }
  }
  if (file)
    (void)fclose(file);
}

void device_describe(FILE *out, bool json) {
  char name[96] = "", version[64], mps[256];
  const char *directory = getenv("CUDA_MPS_PIPE_DIRECTORY");
  CHECK_CUDA(cu.cuDeviceGetName(name, sizeof name, device));
  driver_version(version, sizeof version);
  (void)snprintf(mps, sizeof mps, "%s/control", directory ? directory : "/tmp/nvidia-mps");
  bool shared = access(mps, F_OK) == 0;
  fprintf(out,
          json ? "{\"name\": \"%s\", \"driver\": \"%s\", \"cuda\": \"%d.%d\", \"mps\": %s}"
               : "%s; driver %s; CUDA %d.%d; MPS: %s.\n",
          name, version, cu.version / 1000, cu.version % 1000 / 10,
          json     ? shared ? "true" : "false"
          : shared ? "yes"
                   : "no, so the GPU switches between the contexts of the processes");
}

/* ---- streams of frames ---- */

cuframes_publisher *gpu_publish(const char *name, uint32_t width, uint32_t height, cuframes_publisher_options options) {
  cuframes_publisher *publisher;
  options.struct_size = sizeof options;
  options.directory = streams_directory();
  options.device = "cuda:0";
  options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_NV12, .width = width, .height = height };
  bench_check(cuframes_publisher_create(name, &options, &publisher), "publish");
  return publisher;
}

void gpu_send(cuframes_publisher *publisher, cuframes_frame *frame, int64_t pts) {
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = pts };
  bench_check(cuframes_publisher_publish_on(publisher, frame, work, &info), "publish a frame");
}

cuframes_subscriber *gpu_join(const char *name, cuframes_subscriber_options options) {
  options.device = "cuda:0";
  return stream_join(name, options);
}

void audience_run(void *argument, unsigned index) {
  audience *a = argument;
  (void)index;
  uint32_t granted = 0;
  cuframes_subscriber *subscriber =
      gpu_join(a->name, (cuframes_subscriber_options){ .mode = a->mode, .depth = a->mode ? 16 : 0, .sync = a->sync });
  bench_check(cuframes_subscriber_device(subscriber, NULL, 0, &granted), "device");
  atomic_store_explicit(&a->granted, granted, memory_order_relaxed);
  tally_add(&a->arrived);
  for (;;) {
    cuframes_frame *frame;
    int result = a->on_stream ? cuframes_subscriber_next_on(subscriber, CUFRAMES_WAIT_FOREVER, work, &frame)
                              : cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &frame);
    if (result == CUFRAMES_ERR_PUBLISHER_GONE)
      break;
    bench_check(result, "next frame");
    if (a->on_stream)
      cuframes_frame_release_on(frame, work);
    else
      cuframes_frame_release(frame);
    if (a->counts)
      tally_add(&a->taken);
  }
  cuframes_subscriber_destroy(subscriber);
}

/* ---- rows ---- */

void row_add(report_row row, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(row.what, sizeof row.what, format, arguments);
  va_end(arguments);
  report_add(&row);
}

void row_limit(const char *section, figure seen, double most, const char *format, ...) {
  report_row row = {
    .section = section, .figure = seen, .beside = "the most it should be", .bare = { most, NAN }, .goal = 1
  };
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(row.what, sizeof row.what, format, arguments);
  va_end(arguments);
  report_add(&row);
}
