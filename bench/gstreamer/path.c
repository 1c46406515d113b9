/* path.c - how long a frame takes from the sink of one GStreamer process to the source of others: cuframessink and
 * cuframessrc beside GStreamer's own shm and unixfd elements, in one run and in turn.
 *
 * Frames are 1080p NV12, 60 a second, drawn by the publisher into whatever memory its sink proposes, as a decoder
 * would. The time is written into the picture where it enters the sink, and read where it leaves the source. CPU time
 * is that of the publisher's process, with drawing, and of a client's, for each frame. */
#include <gst/gst.h>

#include <getopt.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bench.h"

#define CAPS "video/x-raw,format=NV12,width=1920,height=1080,framerate=60/1"
#define DRAW "videotestsrc is-live=true pattern=black ! " CAPS " ! "
#define RATE 60
#define CLIENTS_MOST 64
#define STAMP "cuframes" /* before the time, so that no other frame is taken for one of ours */

/* `%s` is a path: a directory for streams, or a socket. */
static const struct way {
  const char *name, *element, *sink, *source;
} ways[] = {
  { "cuframes", "cuframessink", DRAW "cuframessink name=sink stream=bench directory=%s",
    "cuframessrc name=source stream=bench directory=%s connect-timeout=-1 ! fakesink sync=false" },
  { "shm", "shmsink",
    DRAW "shmsink name=sink socket-path=%s/shm wait-for-connection=false sync=false shm-size=268435456",
    "shmsrc name=source socket-path=%s/shm is-live=true ! " CAPS " ! fakesink sync=false" },
  { "unixfd", "unixfdsink", DRAW "unixfdsink name=sink socket-path=%s/unixfd sync=false",
    "unixfdsrc name=source socket-path=%s/unixfd ! fakesink sync=false" },
};

/* What a client has measured; shared with the publisher. */
typedef struct client {
  gint ready, stopped; /* it has had a frame; it is to stand still */
  gdouble cpu_us;
  samples *latencies; /* us */
} client;

static double cpu_us(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

/* ---- probes ---- */

static GstPadProbeReturn write_time(GstPad *pad, GstPadProbeInfo *info, gpointer user) {
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  GstMapInfo map;
  (void)pad;
  if (!gst_buffer_map(buffer, &map, GST_MAP_WRITE))
    bench_die("a frame cannot be written");
  memcpy(map.data, STAMP, 8);
  const gint64 now = now_ns();
  memcpy(map.data + 8, &now, sizeof now);
  gst_buffer_unmap(buffer, &map);
  ++*(guint64 *)user;
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn read_time(GstPad *pad, GstPadProbeInfo *info, gpointer user) {
  client *c = user;
  GstMapInfo map;
  gint64 then;
  const gint64 now = now_ns();
  (void)pad;
  if (!gst_buffer_map(GST_PAD_PROBE_INFO_BUFFER(info), &map, GST_MAP_READ))
    bench_die("a frame cannot be read");
  if (map.size >= 16 && memcmp(map.data, STAMP, 8) == 0) {
    memcpy(&then, map.data + 8, sizeof then);
    if (c->latencies->count < c->latencies->capacity)
      samples_add(c->latencies, (double)(now - then) / 1000);
    g_atomic_int_set(&c->ready, TRUE);
  }
  gst_buffer_unmap(GST_PAD_PROBE_INFO_BUFFER(info), &map);
  return GST_PAD_PROBE_OK;
}

static GstElement *pipeline_of(const char *text, const char *path, const char *name, const char *pad_name,
                               GstPadProbeCallback probe, gpointer user) {
  char *line = g_strdup_printf(text, path);
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch(line, &error);
  if (error)
    bench_die("%s: %s", line, error->message);
  GstElement *element = gst_bin_get_by_name(GST_BIN(pipeline), name);
  GstPad *pad = gst_element_get_static_pad(element, pad_name);
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, probe, user, NULL);
  gst_object_unref(pad);
  gst_object_unref(element);
  g_free(line);
  return pipeline;
}

/* ---- processes ---- */

/* shmsrc complains of itself each time it finds no socket. */
static void say_nothing(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer user) {
  (void)domain;
  (void)level;
  (void)message;
  (void)user;
}

/* Until the publisher ends it. Sources that do not wait for their socket are tried again. */
static void run_client(const struct way *way, const char *path, client *c) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  gst_init(NULL, NULL);
  g_log_set_default_handler(say_nothing, NULL);
  GstElement *pipeline = NULL;
  double before = 0;
  while (!g_atomic_int_get(&c->stopped)) {
    if (!pipeline) {
      pipeline = pipeline_of(way->source, path, "source", "src", read_time, c);
      gst_element_set_state(pipeline, GST_STATE_PLAYING);
    }
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, 50 * GST_MSECOND, (GstMessageType)(GST_MESSAGE_ERROR | GST_MESSAGE_EOS));
    gst_object_unref(bus);
    if (message && !g_atomic_int_get(&c->ready)) {
      gst_element_set_state(pipeline, GST_STATE_NULL);
      g_clear_pointer(&pipeline, gst_object_unref);
    }
    g_clear_pointer(&message, gst_message_unref);
    if (before == 0 && g_atomic_int_get(&c->ready)) {
      before = cpu_us();
      c->latencies->count = 0; /* the first ones are of the start */
    }
  }
  c->cpu_us = cpu_us() - before;
  if (pipeline) {
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
  }
  _exit(0);
}

typedef struct result {
  guint clients, served; /* those that were to have frames, and those that had */
  figure latency;        /* us, over all clients' frames */
  gdouble publisher_cpu_us, client_cpu_us;
  gdouble arrived; /* part of the frames, 0..1 */
} result;

static result figures(client *clients, guint count, guint64 frames, double publisher_cpu) {
  result r = { .clients = count };
  size_t all = 0;
  for (guint i = 0; i < count; i++)
    all += clients[i].latencies->count;
  samples *together = samples_new(all + 1);
  for (guint i = 0; i < count; i++) {
    r.served += clients[i].latencies->count > 0;
    r.client_cpu_us += clients[i].cpu_us;
    for (size_t k = 0; k < clients[i].latencies->count; k++)
      samples_add(together, clients[i].latencies->value[k]);
  }
  if (all > 0) {
    r.latency = samples_figure(together, 0);
    r.client_cpu_us /= (double)all;
  }
  r.publisher_cpu_us = frames ? publisher_cpu / (double)frames : 0;
  r.arrived = frames ? (double)all / (double)count / (double)frames : 0;
  samples_free(together);
  return r;
}

/* In a process of its own, since GStreamer cannot be begun twice after a fork. */
static void publish(const struct way *way, const char *path, client *clients, guint count, guint seconds, result *r) {
  guint64 frames = 0;
  gst_init(NULL, NULL);
  GstElement *pipeline = pipeline_of(way->sink, path, "sink", "sink", write_time, &frames);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  const gint64 limit = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
  guint ready = 0;
  while (ready < count && g_get_monotonic_time() < limit) {
    g_usleep(10000);
    ready = 0;
    for (guint i = 0; i < count; i++)
      ready += g_atomic_int_get(&clients[i].ready) != 0;
  }
  const guint64 first = frames;
  const double before = cpu_us();
  for (guint i = 0; i < count; i++)
    clients[i].latencies->count = 0;
  g_usleep((gulong)seconds * G_USEC_PER_SEC);
  const double used = cpu_us() - before;
  const guint64 published = frames - first;
  for (guint i = 0; i < count; i++)
    g_atomic_int_set(&clients[i].stopped, TRUE);
  while (wait(NULL) > 0)
    ;
  *r = figures(clients, count, published, used);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  _exit(0);
}

static result measure(const struct way *way, guint count, guint seconds) {
  char *path = g_dir_make_tmp("gst-path-XXXXXX", NULL);
  client *clients = shared_new(count * sizeof *clients);
  result *shared = shared_new(sizeof *shared), r;
  for (guint i = 0; i < count; i++)
    clients[i].latencies = samples_new((size_t)(seconds + 120) * RATE * 2);
  const pid_t publisher = fork();
  if (publisher == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (guint i = 0; i < count; i++)
      if (fork() == 0)
        run_client(way, path, &clients[i]);
    publish(way, path, clients, count, seconds, shared);
  }
  int status;
  if (publisher < 0 || waitpid(publisher, &status, 0) < 0 || status != 0)
    bench_die("%s with %u clients failed", way->name, count);
  r = *shared;
  for (guint i = 0; i < count; i++)
    samples_free(clients[i].latencies);
  shared_free(clients, count * sizeof *clients);
  shared_free(shared, sizeof *shared);
  (void)g_rmdir(path);
  g_free(path);
  return r;
}

/* In a process of its own, as above. */
static gboolean is_here(const struct way *way) {
  const pid_t asking = fork();
  int status = 1;
  if (asking == 0) {
    gst_init(NULL, NULL);
    GstElementFactory *factory = gst_element_factory_find(way->element);
    _exit(factory ? 0 : 1);
  }
  return asking > 0 && waitpid(asking, &status, 0) == asking && status == 0;
}

static const char help[] = "usage: cuframes-bench-gstreamer [--seconds N] [CLIENTS...]\n"
                           "Frames from a sink of GStreamer to sources in other processes, 1080p60 NV12: cuframes, and "
                           "GStreamer's own shm and\n"
                           "unixfd where they are, in turn. CLIENTS are numbers of processes that read at once "
                           "(default: 1 8 16). GST_PLUGIN_PATH\n"
                           "names the directory of libgstcuframes.so.\n";

int main(int argc, char **argv) {
  static const struct option options[] = { { "seconds", required_argument, NULL, 's' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
  guint seconds = 10, counts[16] = { 1, 8, 16 }, rows = 3;
  int option;
  while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (option == 'h') {
      fputs(help, stdout);
      return 0;
    }
    if (option != 's' || (seconds = (guint)g_ascii_strtoull(optarg, NULL, 10)) == 0) {
      fputs(help, stderr);
      return 2;
    }
  }
  if (optind < argc)
    rows = 0;
  for (int i = optind; i < argc && rows < G_N_ELEMENTS(counts); i++) {
    counts[rows] = (guint)g_ascii_strtoull(argv[i], NULL, 10);
    if (counts[rows] == 0 || counts[rows] > CLIENTS_MOST) {
      fprintf(stderr, "cuframes-bench-gstreamer: '%s' is no number of clients from 1 to %d\n", argv[i], CLIENTS_MOST);
      return 2;
    }
    rows++;
  }
  printf("%-9s %8s %7s %12s %10s %9s %16s %16s\n", "way", "clients", "served", "median us", "p99 us", "arrived",
         "publisher us", "client us");
  for (guint row = 0; row < rows; row++)
    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
      if (!is_here(&ways[i])) {
        if (row == 0)
          printf("%-9s not here\n", ways[i].name);
        continue;
      }
      const result r = measure(&ways[i], counts[row], seconds);
      printf("%-9s %8u %7u %12.1f %10.1f %8.1f%% %16.1f %16.1f\n", ways[i].name, r.clients, r.served, r.latency.median,
             r.latency.p99, r.arrived * 100, r.publisher_cpu_us, r.client_cpu_us);
      fflush(stdout);
    }
  return 0;
}
