/* rtsp_server.c - a camera for the tests: serves a file by RTSP on 127.0.0.1, at its own pace, over TCP or UDP.
 *
 * Prints its URL as the first line of stdout once it can be connected to. Every client gets the film from its
 * beginning. Ends with 0 on SIGTERM and SIGINT. With --stall it is a camera that accepts and never answers.
 *
 * With --stamps it says on stdout what it tells its clients of time, for the video, ahead of sending it:
 *   picture RTP          the RTP timestamp of each access unit, 32 bits
 *   report NTP RTP       of each RTCP sender report: 64 bits of NTP time (32.32), and the RTP timestamp of that moment
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib-unix.h>
#include <gst/pbutils/pbutils.h>
#include <gst/rtsp-server/rtsp-server.h>

enum { EXIT_USAGE = 2, MAX_HELD = 256 };

typedef struct arguments {
  gchar *file, *path;
  gint port;
  gboolean stall, stamps;
} arguments;

static int fail(const char *what, const char *why) {
  fprintf(stderr, "rtsp_server: %s: %s\n", what, why);
  return EXIT_FAILURE;
}

static void announce(int port, const char *path) {
  printf("rtsp://127.0.0.1:%d%s\n", port, path);
  fflush(stdout);
}

/* ---- the camera that never answers ---- */

static int stall_listen(int port, int *bound) {
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  socklen_t size = sizeof address;
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 16) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    int error = errno;
    if (fd >= 0)
      close(fd);
    errno = error;
    return -1;
  }
  *bound = ntohs(address.sin_port);
  return fd;
}

/* Keeps every connection open and reads nothing. */
static int stall(const arguments *arguments) {
  int held[MAX_HELD], count = 0, port = 0, status = EXIT_SUCCESS;
  int listener = stall_listen(arguments->port, &port);
  sigset_t signals;

  if (listener < 0)
    return fail("listen", strerror(errno));
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  struct pollfd fds[2] = { { .fd = listener, .events = POLLIN },
                           { .fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN } };
  announce(port, arguments->path);
  while (!(fds[1].revents & POLLIN)) {
    if (poll(fds, 2, -1) < 0) {
      status = fail("poll", strerror(errno));
      break;
    }
    if (fds[0].revents & POLLIN) {
      int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
      if (fd < 0)
        continue;
      fprintf(stderr, "rtsp_server: a client waits\n");
      if (count < MAX_HELD)
        held[count++] = fd;
      else
        close(fd);
    }
  }
  while (count > 0)
    close(held[--count]);
  close(fds[1].fd);
  close(listener);
  return status;
}

/* ---- the camera that plays a file ---- */

typedef struct payload {
  const char *caps, *elements;
} payload;

static const payload video_payloads[] = {
  { "video/x-h264", "h264parse config-interval=-1 ! rtph264pay" },
  { "video/x-h265", "h265parse config-interval=-1 ! rtph265pay" },
  { NULL, NULL },
};

static const payload audio_payloads[] = {
  { "audio/mpeg", "aacparse ! rtpmp4gpay" },
  { "audio/x-opus", "rtpopuspay" },
  { NULL, NULL },
};

static const payload demuxers[] = {
  { "video/quicktime", "qtdemux" },
  { "video/x-matroska", "matroskademux" },
  { "video/mpegts", "tsdemux" },
  { NULL, NULL },
};

static const char *elements_for(const payload *table, GstDiscovererStreamInfo *info) {
  GstCaps *caps = info ? gst_discoverer_stream_info_get_caps(info) : NULL;
  const char *name, *found = NULL;

  if (!caps || gst_caps_is_empty(caps))
    return NULL;
  name = gst_structure_get_name(gst_caps_get_structure(caps, 0));
  for (; table->caps && !found; table++)
    if (strcmp(table->caps, name) == 0)
      found = table->elements;
  gst_caps_unref(caps);
  return found;
}

static const char *first_of(const payload *table, GList *streams) {
  return streams ? elements_for(table, streams->data) : NULL;
}

/* The gst-launch line for a file, by what is in it. NULL, with the reason printed, if it cannot be served. */
static gchar *launch_line(const char *file) {
  GError *error = NULL;
  gchar *uri = gst_filename_to_uri(file, &error), *line = NULL;
  GstDiscoverer *discoverer = uri ? gst_discoverer_new(10 * GST_SECOND, &error) : NULL;
  GstDiscovererInfo *info = discoverer ? gst_discoverer_discover_uri(discoverer, uri, &error) : NULL;

  if (info) {
    GstDiscovererStreamInfo *container = gst_discoverer_info_get_stream_info(info);
    GList *videos = gst_discoverer_info_get_video_streams(info);
    GList *audios = gst_discoverer_info_get_audio_streams(info);
    const char *demuxer = elements_for(demuxers, container);
    const char *video = first_of(video_payloads, videos), *audio = first_of(audio_payloads, audios);

    if (demuxer && video) {
      gchar *sound = audio ? g_strdup_printf("d. ! queue ! %s name=pay1 pt=97 ", audio) : g_strdup("");
      line = g_strdup_printf("( filesrc location=\"%s\" ! %s name=d d. ! queue ! %s name=pay0 pt=96 %s)", file, demuxer,
                             video, sound);
      g_free(sound);
    }
    gst_discoverer_stream_info_list_free(audios);
    gst_discoverer_stream_info_list_free(videos);
    if (container)
      gst_discoverer_stream_info_unref(container);
    g_object_unref(info);
  }
  if (!line)
    (void)fail(file, error ? error->message : "no film that can be sent by RTP");
  g_clear_error(&error);
  if (discoverer)
    g_object_unref(discoverer);
  g_free(uri);
  return line;
}

static gboolean quit(gpointer loop) {
  g_main_loop_quit(loop);
  return G_SOURCE_CONTINUE;
}

static GstRTSPFilterResult drop_client(GstRTSPServer *server, GstRTSPClient *client, gpointer user) {
  (void)server, (void)client, (void)user;
  return GST_RTSP_FILTER_REMOVE;
}

static void client_connected(GstRTSPServer *server, GstRTSPClient *client, gpointer user) {
  (void)server, (void)client, (void)user;
  fprintf(stderr, "rtsp_server: a client connected\n");
}

/* ---- what it tells of time ---- */

static uint32_t read_32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* An RTP packet on its way out; the last one of a picture is marked. */
static void print_picture(GstBuffer *buffer) {
  uint8_t head[8];
  if (gst_buffer_extract(buffer, 0, head, sizeof head) == sizeof head && (head[1] & 0x80)) {
    printf("picture %" PRIu32 "\n", read_32(head + 4));
    fflush(stdout);
  }
}

static gboolean print_each(GstBuffer **buffer, guint index, gpointer user) {
  (void)index, (void)user;
  print_picture(*buffer);
  return TRUE;
}

static GstPadProbeReturn packet_passes(GstPad *pad, GstPadProbeInfo *info, gpointer user) {
  (void)pad, (void)user;
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER_LIST)
    gst_buffer_list_foreach(GST_PAD_PROBE_INFO_BUFFER_LIST(info), print_each, NULL);
  else
    print_picture(GST_PAD_PROBE_INFO_BUFFER(info));
  return GST_PAD_PROBE_OK;
}

/* Before it is sent: a sender report is the first part of its packet. */
static gboolean report_leaves(GObject *session, GstBuffer *buffer, gboolean early, gpointer user) {
  uint8_t report[20];
  (void)session, (void)early, (void)user;
  if (gst_buffer_extract(buffer, 0, report, sizeof report) == sizeof report && report[1] == 200) {
    printf("report %" PRIu64 " %" PRIu32 "\n", (uint64_t)read_32(report + 8) << 32 | read_32(report + 12),
           read_32(report + 16));
    fflush(stdout);
  }
  return FALSE; /* not changed */
}

static void media_prepared(GstRTSPMedia *media, gpointer user) {
  GstRTSPStream *video = gst_rtsp_media_get_stream(media, 0);
  GObject *session = gst_rtsp_stream_get_rtpsession(video);
  GstPad *pad = gst_rtsp_stream_get_srcpad(video);
  (void)user;
  g_object_set(session, "rtcp-min-interval", (guint64)(200 * GST_MSECOND), NULL); /* or the first comes late */
  g_signal_connect(session, "on-sending-rtcp", G_CALLBACK(report_leaves), NULL);
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST, packet_passes, NULL, NULL);
  gst_object_unref(pad);
  g_object_unref(session);
}

static void media_made(GstRTSPMediaFactory *factory, GstRTSPMedia *media, gpointer user) {
  (void)factory;
  g_signal_connect(media, "prepared", G_CALLBACK(media_prepared), user);
}

static int serve(const arguments *arguments) {
  gchar *line = launch_line(arguments->file);
  gchar *service = g_strdup_printf("%d", arguments->port);
  int status = EXIT_SUCCESS;

  if (!line) {
    g_free(service);
    return EXIT_FAILURE;
  }
  GMainLoop *loop = g_main_loop_new(NULL, FALSE);
  GstRTSPServer *server = gst_rtsp_server_new();
  GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(server);
  GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
  guint ids[3];

  gst_rtsp_server_set_address(server, "127.0.0.1");
  gst_rtsp_server_set_service(server, service);
  gst_rtsp_media_factory_set_launch(factory, line);
  if (arguments->stamps)
    g_signal_connect(factory, "media-configure", G_CALLBACK(media_made), NULL);
  gst_rtsp_mount_points_add_factory(mounts, arguments->path, factory); /* takes the factory */
  g_object_unref(mounts);
  g_signal_connect(server, "client-connected", G_CALLBACK(client_connected), NULL);
  ids[0] = gst_rtsp_server_attach(server, NULL);
  ids[1] = g_unix_signal_add(SIGTERM, quit, loop);
  ids[2] = g_unix_signal_add(SIGINT, quit, loop);
  if (ids[0] == 0) {
    status = fail("cannot listen on port", service);
  } else {
    announce(gst_rtsp_server_get_bound_port(server), arguments->path);
    g_main_loop_run(loop);
  }
  for (int i = 0; i < 3; i++)
    if (ids[i] != 0)
      g_source_remove(ids[i]);
  GList *clients = gst_rtsp_server_client_filter(server, drop_client, NULL);
  g_list_free_full(clients, g_object_unref);
  g_object_unref(server);
  g_main_loop_unref(loop);
  g_free(line);
  g_free(service);
  return status;
}

int main(int argc, char **argv) {
  arguments arguments = { NULL, NULL, 0, FALSE, FALSE };
  const GOptionEntry options[] = {
    { "port", 'p', 0, G_OPTION_ARG_INT, &arguments.port, "TCP port, 0 for any that is free", "PORT" },
    { "path", 'm', 0, G_OPTION_ARG_STRING, &arguments.path, "path of the stream, default /cam", "PATH" },
    { "stamps", 0, 0, G_OPTION_ARG_NONE, &arguments.stamps, "say on stdout what clients are told of time", NULL },
    { "stall", 0, 0, G_OPTION_ARG_NONE, &arguments.stall, "accept and never answer; needs no file", NULL },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  GOptionContext *context = g_option_context_new("[FILE]");
  GError *error = NULL;
  int status;

  g_option_context_add_main_entries(context, options, NULL);
  bool parsed = g_option_context_parse(context, &argc, &argv, &error);
  g_option_context_free(context);
  arguments.file = argc == 2 ? argv[1] : NULL;
  if (!parsed || argc > 2 || (arguments.file == NULL) != arguments.stall || arguments.port < 0 ||
      arguments.port > 65535 || (arguments.path && arguments.path[0] != '/')) {
    fprintf(stderr, "rtsp_server: %s\n",
            error ? error->message : "usage: rtsp_server [--port N] [--path /PATH] [--stamps] FILE | --stall");
    g_clear_error(&error);
    g_free(arguments.path);
    return EXIT_USAGE;
  }
  if (!arguments.path)
    arguments.path = g_strdup("/cam");
  if (arguments.stall) {
    status = stall(&arguments);
  } else {
    gst_init(NULL, NULL);
    status = serve(&arguments);
  }
  g_free(arguments.path);
  return status;
}
