/* rtsp_server.c - a camera for the tests: serves a file by RTSP on 127.0.0.1, at its own pace, over TCP or UDP.
 *
 * Prints its URL as the first line of stdout once it can be connected to. Every client gets the film from its
 * beginning. Ends with 0 on SIGTERM and SIGINT. With --stall it is a camera that accepts and never answers.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include <arpa/inet.h>
#include <errno.h>
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
  gboolean stall;
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
  arguments arguments = { NULL, NULL, 0, FALSE };
  const GOptionEntry options[] = {
    { "port", 'p', 0, G_OPTION_ARG_INT, &arguments.port, "TCP port, 0 for any that is free", "PORT" },
    { "path", 'm', 0, G_OPTION_ARG_STRING, &arguments.path, "path of the stream, default /cam", "PATH" },
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
            error ? error->message : "usage: rtsp_server [--port N] [--path /PATH] FILE | --stall");
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
