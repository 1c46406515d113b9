/* gstreamer.c - GStreamer's ways between processes: shmsink to shmsrc, and unixfdsink to unixfdsrc. */
#include <gst/allocators/gstfdmemory.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peers.h"

#define BUFFERS 8

typedef struct gst_way {
  const char *sink, *source; /* element and its options */
  const picture *made;
  char socket[300];
  GstElement *pipeline, *app;
  GstBufferPool *pool;        /* of the sender, or: */
  GstBuffer *shared[BUFFERS]; /* unixfdsink takes memory with a descriptor only */
  bool has_descriptors;
} gst_way;

static bool has_element(const char *name) {
  gst_init(NULL, NULL);
  GstElementFactory *factory = gst_element_factory_find(name);
  if (factory)
    gst_object_unref(factory);
  return factory != NULL;
}

/* In a process of its own: GStreamer starts threads, and what forks afterwards must have none. */
static void look(void *argument, unsigned index) {
  bool *found = argument;
  (void)index;
  found[0] = has_element("shmsrc") && has_element("appsrc");
  found[1] = has_element("unixfdsrc") && has_element("appsrc");
}

static bool is_there(int which) {
  static bool *found;
  crew looker;
  if (!found) {
    found = shared_new(2 * sizeof *found);
    crew_start(&looker, 1, look, found);
    crew_join(&looker);
  }
  return found[which];
}

static const char *shm_missing(void) {
  return is_there(0) ? NULL : "no shmsrc: install gstreamer1.0-plugins-bad and gstreamer1.0-plugins-base";
}

static const char *unixfd_missing(void) {
  return is_there(1) ? NULL : "no unixfdsrc: it takes GStreamer 1.24 (Debian 13) with gstreamer1.0-plugins-bad";
}

static void *gst_way_new(const picture *made, const char *sink, const char *source, const char *name) {
  gst_way *way = calloc(1, sizeof *way);
  if (!way)
    bench_die("no memory");
  *way = (gst_way){ .sink = sink, .source = source, .made = made };
  (void)snprintf(way->socket, sizeof way->socket, "%s/%s.socket", streams_directory(), name);
  return way;
}

static void *shm_open_all(const picture *made, unsigned readers) {
  static char sink[128];
  (void)readers;
  (void)snprintf(sink, sizeof sink, "shmsink wait-for-connection=false shm-size=%zu", 16 * made->bytes + (1 << 20));
  return gst_way_new(made, sink, "shmsrc is-live=true", "shm");
}

static void *unixfd_open_all(const picture *made, unsigned readers) {
  (void)readers;
  gst_way *way = gst_way_new(made, "unixfdsink", "unixfdsrc", "unixfd");
  way->has_descriptors = true;
  return way;
}

static GstElement *pipeline_make(const char *description) {
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch(description, &error);
  if (!pipeline || error)
    bench_die("GStreamer: %s: %s", description, error ? error->message : "no pipeline");
  return pipeline;
}

static void pool_make(gst_way *way) {
  way->pool = gst_buffer_pool_new();
  GstStructure *config = gst_buffer_pool_get_config(way->pool);
  gst_buffer_pool_config_set_params(config, NULL, (guint)way->made->bytes, 4, 0);
  if (!gst_buffer_pool_set_config(way->pool, config) || !gst_buffer_pool_set_active(way->pool, TRUE))
    bench_die("GStreamer: no buffer pool");
}

static void shared_make(gst_way *way) {
  GstAllocator *allocator = gst_fd_allocator_new();
  for (int i = 0; i < BUFFERS; i++) {
    int fd = memfd_create("picture", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)way->made->bytes) != 0)
      bench_die("no memory");
    way->shared[i] = gst_buffer_new();
    gst_buffer_append_memory(way->shared[i],
                             gst_fd_allocator_alloc(allocator, fd, way->made->bytes, GST_FD_MEMORY_FLAG_KEEP_MAPPED));
  }
  gst_object_unref(allocator);
}

/* One that nobody reads any more; of the shared ones it is not the caller's. */
static GstBuffer *buffer_take(gst_way *way) {
  GstBuffer *buffer = NULL;
  if (!way->has_descriptors && gst_buffer_pool_acquire_buffer(way->pool, &buffer, NULL) == GST_FLOW_OK)
    return buffer;
  for (int i = 0; i < BUFFERS && way->has_descriptors; i++)
    if (gst_buffer_is_writable(way->shared[i]) && gst_buffer_is_all_memory_writable(way->shared[i]))
      return way->shared[i];
  bench_die("GStreamer: no buffer is free");
}

static void open_sender(void *opaque) {
  gst_way *way = opaque;
  char description[1024];
  gst_init(NULL, NULL);
  (void)snprintf(description, sizeof description,
                 "appsrc name=app format=time is-live=true caps=video/x-raw,format=NV12,width=%u,height=%u,"
                 "framerate=30/1 ! %s name=out socket-path=%s sync=false async=false",
                 way->made->width, way->made->height, way->sink, way->socket);
  way->pipeline = pipeline_make(description);
  way->app = gst_bin_get_by_name(GST_BIN(way->pipeline), "app");
  if (way->has_descriptors)
    shared_make(way);
  else
    pool_make(way);
  if (gst_element_set_state(way->pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
    bench_die("GStreamer: the sending pipeline does not start");
}

static void open_reader(void *opaque, unsigned index) {
  gst_way *way = opaque;
  char description[1024];
  int64_t deadline = now_ns() + 30 * SECOND;
  (void)index;
  gst_init(NULL, NULL);
  (void)snprintf(description, sizeof description, "%s socket-path=%s ! appsink name=app sync=false", way->source,
                 way->socket);
  while (access(way->socket, F_OK) != 0 && now_ns() < deadline)
    sleep_until(now_ns() + MS);
  for (;;) { /* the socket is there a moment before anybody listens */
    way->pipeline = pipeline_make(description);
    if (gst_element_set_state(way->pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE)
      break;
    (void)gst_element_set_state(way->pipeline, GST_STATE_NULL);
    gst_object_unref(way->pipeline);
    if (now_ns() > deadline)
      bench_die("GStreamer: the reading pipeline does not start");
    sleep_until(now_ns() + 10 * MS);
  }
  way->app = gst_bin_get_by_name(GST_BIN(way->pipeline), "app");
}

static void gst_send(void *opaque, bool stamped) {
  gst_way *way = opaque;
  int64_t stamp = stamped ? now_ns() : 0;
  GstBuffer *buffer = buffer_take(way);
  (void)gst_buffer_fill(buffer, 0, way->made->source, way->made->bytes);
  (void)gst_buffer_fill(buffer, 0, &stamp, sizeof stamp);
  if (way->has_descriptors)
    (void)gst_buffer_ref(buffer);
  if (gst_app_src_push_buffer(GST_APP_SRC(way->app), buffer) != GST_FLOW_OK)
    bench_die("GStreamer: a buffer was refused");
}

static int64_t gst_receive(void *opaque, unsigned index, int64_t *arrived) {
  gst_way *way = opaque;
  int64_t stamp;
  (void)index;
  GstSample *sample = gst_app_sink_pull_sample(GST_APP_SINK(way->app));
  *arrived = now_ns();
  if (!sample || gst_buffer_extract(gst_sample_get_buffer(sample), 0, &stamp, sizeof stamp) != sizeof stamp)
    bench_die("GStreamer: the pipeline ended early");
  gst_sample_unref(sample);
  return stamp;
}

static void say_nothing(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer data) {
  (void)domain, (void)level, (void)message, (void)data;
}

static void pipeline_end(gst_way *way) {
  /* 1.22's shm elements complain when the other side has just left */
  (void)g_log_set_default_handler(say_nothing, NULL);
  (void)gst_element_set_state(way->pipeline, GST_STATE_NULL);
  gst_object_unref(way->app);
  gst_object_unref(way->pipeline);
  free(way);
}

static void close_sender(void *opaque) {
  gst_way *way = opaque;
  gst_way kept = *way;
  pipeline_end(way);
  for (int i = 0; i < BUFFERS && kept.has_descriptors; i++)
    gst_buffer_unref(kept.shared[i]);
  if (kept.pool) {
    (void)gst_buffer_pool_set_active(kept.pool, FALSE);
    gst_object_unref(kept.pool);
  }
}

static void close_reader(void *opaque, unsigned index) {
  (void)index;
  pipeline_end(opaque);
}

const peer peer_shm = {
  .name = "gst-shm",
  .about = "GStreamer's shmsink to shmsrc",
  .missing = shm_missing,
  .open_all = shm_open_all,
  .open_sender = open_sender,
  .open_reader = open_reader,
  .send = gst_send,
  .receive = gst_receive,
  .close_sender = close_sender,
  .close_reader = close_reader,
};
const peer peer_unixfd = {
  .name = "gst-unixfd",
  .about = "GStreamer's unixfdsink to unixfdsrc",
  .missing = unixfd_missing,
  .open_all = unixfd_open_all,
  .open_sender = open_sender,
  .open_reader = open_reader,
  .send = gst_send,
  .receive = gst_receive,
  .close_sender = close_sender,
  .close_reader = close_reader,
};
