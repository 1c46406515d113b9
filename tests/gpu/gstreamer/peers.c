/* peers.c - a picture from one pipeline's sink pad to the source pads of others, in memory of a GPU, for `run`, which
 * knows the elements that it does so with.
 *
 *   peers publish TABLE SINK SECONDS CLIENTS PATIENCE   1080p NV12 at 60 a second, until all clients have measured; the
 *                                                       clients have PATIENCE seconds to join
 *   peers read TABLE SOURCE NUMBER pts|offset           what tells which frame it is
 *   peers report TABLE CLIENTS                          one object of JSON
 *
 * TABLE is a file that all map: when each frame was pushed, and when each reader had it. Every picture is of one value,
 * its number, and every reader looks at each byte of one in 16. */
#define GST_USE_UNSTABLE_API
#include <gst/cuda/cuda-gst.h>
#include <gst/cuda/gstcudabufferpool.h>
#include <gst/cuda/gstcudaloader.h>
#include <gst/cuda/gstcudamemory.h>
#if GST_CHECK_VERSION(1, 24, 0)
#include <gst/cuda/gstcudastream.h>
#endif
#include <gst/gst.h>
#include <gst/video/video.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define READERS 128
#define FRAMES 8192 /* that a run may take, joining included */
#define WIDTH 1920
#define HEIGHT 1080
#define SETTLE 20 /* frames before those that are measured, and behind them */
#define PERIOD (GST_SECOND / 60)
#define CAPS "video/x-raw(memory:CUDAMemory),format=NV12,width=1920,height=1080,framerate=60/1"

typedef struct table {
  _Atomic gint64 base;            /* of the publisher's pipeline */
  _Atomic gint first, last, done; /* frames from `first` on are measured, before `last` */
  _Atomic gint64 pushed[FRAMES];
  double publisher_cpu; /* seconds between first and last */
  struct {
    _Atomic gint joined, got, wrong, checked;
    double cpu;
    gint first, last;
    gint32 latency[FRAMES]; /* us; 0: none */
  } reader[READERS];
} table;

static table *shared;

static gint64 now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * GST_SECOND + t.tv_nsec;
}

static double cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

_Noreturn static void die(const char *what) {
  fprintf(stderr, "peers: %s\n", what);
  exit(1);
}

static void map_table(const char *path) {
  int file = open(path, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof *shared) != 0)
    die("no table");
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (shared == MAP_FAILED)
    die("no table");
}

static GstElement *element(const char *line) {
  GError *error = NULL;
  GstElement *made = gst_parse_launch(line, &error);
  if (!made || error)
    die(error ? error->message : line);
  return made;
}

static void watch(GstElement *pipeline) {
  GstBus *bus = gst_element_get_bus(pipeline);
  GstMessage *message;
  while ((message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING))) {
    GError *error = NULL;
    gchar *debug = NULL;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR)
      gst_message_parse_error(message, &error, &debug);
    else
      gst_message_parse_warning(message, &error, &debug);
    fprintf(stderr, "peers: %s (%s)\n", error->message, debug ? debug : "");
    g_clear_error(&error);
    g_free(debug);
    gst_message_unref(message);
  }
  gst_object_unref(bus);
}

/* ---- publisher ---- */

static GstBufferPool *pool_of(GstPad *pad, GstCaps *caps) {
  GstQuery *query = gst_query_new_allocation(caps, TRUE);
  GstBufferPool *pool = NULL;
  if (!gst_pad_peer_query(pad, query) || gst_query_get_n_allocation_pools(query) == 0)
    die("no pool");
  gst_query_parse_nth_allocation_pool(query, 0, &pool, NULL, NULL, NULL);
  gst_query_unref(query);
  if (!pool)
    die("no pool");
  if (!gst_buffer_pool_is_active(pool) && !gst_buffer_pool_set_active(pool, TRUE))
    die("no pool");
  return pool;
}

/* Every byte of the luma plane is the frame's number: by the GPU, in order on the memory's stream; GstCuda of 1.22
 * knows neither fills nor streams, and uploads it, which is no measurement. */
#if GST_CHECK_VERSION(1, 24, 0)
static CUstream stream_of(GstCudaMemory *memory) {
  return gst_cuda_stream_get_handle(gst_cuda_memory_get_stream(memory));
}

static void draw(GstBuffer *buffer, gint number) {
  GstMapInfo map;
  GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
  GstCudaMemory *cuda = GST_CUDA_MEMORY_CAST(memory);
  if (!gst_memory_map(memory, &map, GST_MAP_WRITE | GST_MAP_CUDA))
    die("cannot map");
  gst_cuda_context_push(cuda->context);
  if (CuMemsetD2D8Async((CUdeviceptr)(guintptr)map.data, (size_t)cuda->info.stride[0], (unsigned char)number, WIDTH,
                        HEIGHT, stream_of(cuda)) != CUDA_SUCCESS)
    die("cannot fill");
  gst_cuda_context_pop(NULL);
  gst_memory_unmap(memory, &map);
}
#else
static CUstream stream_of(GstCudaMemory *memory) {
  (void)memory;
  return NULL;
}

static void draw(GstBuffer *buffer, gint number) {
  GstMapInfo map;
  GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
  if (!gst_memory_map(memory, &map, GST_MAP_WRITE))
    die("cannot map");
  memset(map.data, (guint8)number, (gsize)GST_CUDA_MEMORY_CAST(memory)->info.stride[0] * HEIGHT);
  gst_memory_unmap(memory, &map);
}
#endif

_Noreturn static void publish(const char *line, double seconds, int clients, int patience) {
  GstElement *pipeline = gst_pipeline_new(NULL), *sink = element(line);
  gst_bin_add(GST_BIN(pipeline), sink);
  GstPad *pad = gst_pad_new("src", GST_PAD_SRC), *to = gst_element_get_static_pad(sink, "sink");
  GstCaps *caps = gst_caps_from_string(CAPS);
  GstClock *clock = gst_system_clock_obtain();
  gst_pipeline_use_clock(GST_PIPELINE(pipeline), clock);
  gst_pad_set_active(pad, TRUE);
  if (gst_pad_link_full(pad, to, GST_PAD_LINK_CHECK_NOTHING) != GST_PAD_LINK_OK)
    die("cannot link");
  const gint64 base = now();
  gst_element_set_start_time(pipeline, GST_CLOCK_TIME_NONE);
  gst_element_set_base_time(pipeline, (GstClockTime)base);
  atomic_store(&shared->base, base);
  if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    watch(pipeline);
    die("cannot play");
  }
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_push_event(pad, gst_event_new_stream_start("peers"));
  if (!gst_pad_push_event(pad, gst_event_new_caps(caps)))
    die("caps are refused");
  gst_pad_push_event(pad, gst_event_new_segment(&segment));
  GstBufferPool *pool = pool_of(pad, caps);
  double cpu_first = 0;
  const gint64 limit = now() + patience * (gint64)GST_SECOND;
  for (gint i = 0; i < FRAMES; i++) {
    struct timespec at;
    const gint64 due = base + (gint64)GST_SECOND / 4 + i * (gint64)PERIOD;
    at.tv_sec = due / (gint64)GST_SECOND, at.tv_nsec = due % (gint64)GST_SECOND;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    gint joined = 0;
    for (gint r = 0; r < clients; r++)
      joined += atomic_load(&shared->reader[r].joined);
    if (!atomic_load(&shared->first) && (joined == clients || now() > limit)) {
      atomic_store(&shared->last, i + SETTLE + (gint)(seconds * 60));
      atomic_store(&shared->first, i + SETTLE);
    }
    const gint first = atomic_load(&shared->first), last = atomic_load(&shared->last);
    if (first && i == first)
      cpu_first = cpu();
    if (first && i == last)
      shared->publisher_cpu = cpu() - cpu_first;
    if (first && i == last + SETTLE)
      break;
    GstBuffer *buffer = NULL;
    if (gst_buffer_pool_acquire_buffer(pool, &buffer, NULL) != GST_FLOW_OK)
      die("no buffer");
    draw(buffer, i);
    GST_BUFFER_PTS(buffer) = (GstClockTime)i * PERIOD;
    GST_BUFFER_DURATION(buffer) = PERIOD;
    atomic_store(&shared->pushed[i], now());
    if (gst_pad_push(pad, buffer) != GST_FLOW_OK)
      die("cannot push");
    watch(pipeline);
  }
  atomic_store(&shared->done, 1);
  _exit(0); /* a peer's sink waits for its clients for long */
}

/* ---- readers ---- */

typedef struct reader {
  gint number, seen;
  gboolean by_offset;
  gint64 base;
  double cpu_first;
} reader;

static GstPadProbeReturn came(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
  const gint64 at = now();
  reader *r = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  (void)pad;
  gint64 index = r->by_offset ? (gint64)GST_BUFFER_OFFSET(buffer) - 1
                              : (gint64)(GST_BUFFER_PTS(buffer) + (GstClockTime)r->base -
                                         (GstClockTime)atomic_load(&shared->base) + PERIOD / 2) /
                                    (gint64)PERIOD;
  atomic_store(&shared->reader[r->number].joined, 1);
  const gint first = atomic_load(&shared->first), last = atomic_load(&shared->last);
  if (index < 0 || index >= FRAMES || !first || index < first)
    return GST_PAD_PROBE_OK;
  if (!r->cpu_first)
    r->cpu_first = cpu();
  if (index >= last) {
    if (!shared->reader[r->number].cpu)
      shared->reader[r->number].cpu = cpu() - r->cpu_first;
    return GST_PAD_PROBE_OK;
  }
  shared->reader[r->number].latency[index] = (gint32)((at - atomic_load(&shared->pushed[index])) / 1000 + 1);
  atomic_fetch_add(&shared->reader[r->number].got, 1);
  if (r->seen++ % 16 != 0)
    return GST_PAD_PROBE_OK;
  GstMemory *memory = gst_buffer_peek_memory(buffer, 0);
  GstMapInfo map;
  static guint8 luma[WIDTH * HEIGHT];
  if (!gst_is_cuda_memory(memory) || !gst_memory_map(memory, &map, GST_MAP_READ | GST_MAP_CUDA)) {
    atomic_fetch_add(&shared->reader[r->number].wrong, 1);
    return GST_PAD_PROBE_OK;
  }
  GstCudaMemory *cuda = GST_CUDA_MEMORY_CAST(memory);
  CUDA_MEMCPY2D copy = { .srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = (CUdeviceptr)(guintptr)map.data,
                         .srcPitch = (size_t)cuda->info.stride[0],
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = luma,
                         .dstPitch = WIDTH,
                         .WidthInBytes = WIDTH,
                         .Height = HEIGHT };
  CUstream stream = stream_of(cuda);
  gst_cuda_context_push(cuda->context);
  gboolean good = CuMemcpy2DAsync(&copy, stream) == CUDA_SUCCESS && CuStreamSynchronize(stream) == CUDA_SUCCESS;
  gst_cuda_context_pop(NULL);
  gst_memory_unmap(memory, &map);
  good = good && luma[0] == (guint8)index && memcmp(luma, luma + 1, sizeof luma - 1) == 0;
  atomic_fetch_add(&shared->reader[r->number].checked, 1);
  if (!good)
    atomic_fetch_add(&shared->reader[r->number].wrong, 1);
  return GST_PAD_PROBE_OK;
}

_Noreturn static void read_frames(const char *line, int number, gboolean by_offset) {
  gchar *all = g_strdup_printf("%s ! video/x-raw(memory:CUDAMemory) ! fakesink sync=false", line);
  GstElement *pipeline = element(all);
  GstIterator *sources = gst_bin_iterate_sources(GST_BIN(pipeline));
  GValue item = G_VALUE_INIT;
  if (gst_iterator_next(sources, &item) != GST_ITERATOR_OK)
    die("no source");
  GstElement *source = g_value_get_object(&item);
  GstPad *pad = gst_element_get_static_pad(source, "src");
  static reader r;
  r = (reader){ .number = number, .by_offset = by_offset };
  GstClock *clock = gst_system_clock_obtain();
  gst_pipeline_use_clock(GST_PIPELINE(pipeline), clock);
  while (!(r.base = atomic_load(&shared->base)))
    g_usleep(1000);
  gst_element_set_start_time(pipeline, GST_CLOCK_TIME_NONE);
  gst_element_set_base_time(pipeline, (GstClockTime)r.base);
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, came, &r, NULL);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  while (!atomic_load(&shared->done)) {
    g_usleep(50000);
    watch(pipeline);
  }
  _exit(0);
}

/* ---- report ---- */

static int by_value(const void *a, const void *b) {
  return *(const gint32 *)a - *(const gint32 *)b;
}

static void report(int clients) {
  static gint32 all[READERS * FRAMES];
  gsize count = 0;
  const gint first = shared->first, last = shared->last;
  gint least = G_MAXINT, wrong = 0, checked = 0, joined = 0;
  double spent = 0, frames = 0;
  for (gint r = 0; r < clients; r++) {
    for (gint i = first; i < last; i++)
      if (shared->reader[r].latency[i])
        all[count++] = shared->reader[r].latency[i];
    least = MIN(least, shared->reader[r].got);
    wrong += shared->reader[r].wrong, checked += shared->reader[r].checked, joined += shared->reader[r].joined;
    spent += shared->reader[r].cpu, frames += shared->reader[r].got;
  }
  qsort(all, count, sizeof *all, by_value);
  printf("{\"joined\": %d, \"frames\": %d, \"least\": %d, \"checked\": %d, \"wrong\": %d", joined, last - first, least,
         checked, wrong);
  if (count)
    printf(", \"p50\": %d, \"p99\": %d, \"max\": %d, \"cpu_sink\": %.0f, \"cpu_source\": %.0f", all[count / 2],
           all[count * 99 / 100], all[count - 1], shared->publisher_cpu * 1e6 / (last - first), spent * 1e6 / frames);
  printf("}\n");
}

static int count_of(const char *text) {
  const int count = atoi(text);
  if (count < 1 || count > READERS)
    die("so many clients there cannot be");
  return count;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  const gboolean publishes = strcmp(what, "publish") == 0 && argc == 7, reads = strcmp(what, "read") == 0 && argc == 6;
  if (!publishes && !reads && !(strcmp(what, "report") == 0 && argc == 4)) {
    fprintf(stderr, "usage: peers publish|read|report TABLE ...; run knows the rest\n");
    return 2;
  }
  map_table(argv[2]);
  if (!publishes && !reads) {
    report(count_of(argv[3]));
    return 0;
  }
  gst_init(NULL, NULL);
  if (!gst_cuda_load_library())
    die("there is no CUDA");
  gst_cuda_memory_init_once();
  if (publishes)
    publish(argv[3], atof(argv[4]), count_of(argv[5]), atoi(argv[6]));
  read_frames(argv[3], count_of(argv[4]) - 1, strcmp(argv[5], "offset") == 0);
}
