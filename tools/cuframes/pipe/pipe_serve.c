/* pipe_serve.c - a socket that many may read: each that connects gets a subscriber, and a thread, of its own. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cli_avlog.h"
#include "pipe_run.h"

#define CLIENTS_MAX 64
#define SLICE_MS 100

typedef struct client {
  pthread_t thread;
  bool used, done; /* done: the thread has nothing left to do but to end */
  pipe_run run;
  pipe_config config;
  char label[CUFRAMES_LABEL_MAX + 1];
  struct server *server;
} client;

typedef struct server {
  const pipe_config *config;
  int fd;
  struct stat path;     /* of the socket, as it was made */
  bool no_room;         /* for one more was said */
  pthread_mutex_t lock; /* guards `done` of the clients, and what follows */
  client clients[CLIENTS_MAX];
  uint64_t served, refused, pictures, packets, bytes, skipped, lost;
} server;

static void *serve_client(void *argument) {
  client *c = argument;
  server *s = c->server;
  cli_avlog_thread(c->run.who);
  (void)pipe_run_all(&c->run); /* what went wrong was said; the next one may do better */
  sink_close(&c->run.sink);
  if (c->run.ended && (c->run.heard || !c->run.code))
    pipe_say_end(&c->run);
  json_decref(c->run.tracks);
  pthread_mutex_lock(&s->lock);
  s->pictures += c->run.pictures;
  s->packets += c->run.packets;
  s->bytes += c->run.sink.bytes;
  s->skipped += c->run.skipped;
  s->lost += c->run.lost;
  c->done = true;
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

/* A place for one more; those whose threads have ended are cleared. */
static client *free_place(server *s) {
  client *place = NULL;
  for (int i = 0; i < CLIENTS_MAX; i++) {
    client *c = &s->clients[i];
    pthread_mutex_lock(&s->lock);
    const bool over = c->used && c->done;
    pthread_mutex_unlock(&s->lock);
    if (over) {
      pthread_join(c->thread, NULL);
      c->used = c->done = false;
    }
    if (!c->used && !place)
      place = c;
  }
  return place;
}

/* Signals are for the thread that accepts. */
static bool start_thread(client *c) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  c->used = pthread_create(&c->thread, NULL, serve_client, c) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return c->used;
}

/* It has gone again; or it waits where nothing can be opened for it, and poll() would not wait any more. */
static void note_no_client(server *s, int error) {
  if (error == EAGAIN || error == EWOULDBLOCK || error == ECONNABORTED || error == EINTR)
    return;
  if (!s->no_room)
    cli_note("%s: a reader has to wait: %s", s->config->reader.name, strerror(error));
  s->no_room = true;
  (void)reader_pause(cuframes_now() + SLICE_MS * INT64_C(1000000)); /* a signal ends the next look */
  (void)free_place(s);                                              /* whose threads have ended is done with */
}

static void accept_client(server *s) {
  const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) {
    note_no_client(s, errno);
    return;
  }
  client *c = free_place(s);
  s->no_room = false;
  if (!c) {
    cli_note("%s: %d read already, one more is refused", s->config->reader.name, CLIENTS_MAX);
    s->refused++;
    (void)close(fd);
    return;
  }
  const unsigned long long number = ++s->served;
  *c = (client){ .server = s, .config = *s->config };
  snprintf(c->label, sizeof c->label, "%.40s %llu", s->config->reader.label, number);
  c->config.reader.label = c->label;
  c->run.config = &c->config;
  snprintf(c->run.who, sizeof c->run.who, "%s, reader %llu", s->config->reader.name, number);
  sink_socket(&c->run.sink, fd);
  if (!start_thread(c)) {
    cli_note("%s: there is no thread to be had", c->run.who);
    s->refused++;
    sink_close(&c->run.sink);
  }
}

/* ---- the socket ---- */

/* Whether a server has left its socket there, and is no more. One that listens refuses a socket of this kind in another
 * way, and takes it for no reader. */
static bool is_left_over(const struct sockaddr_un *address) {
  struct stat kind;
  if (lstat(address->sun_path, &kind) || !S_ISSOCK(kind.st_mode))
    return false;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool refused =
      fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) && errno == ECONNREFUSED;
  if (fd >= 0)
    (void)close(fd); /* it carried nothing */
  return refused;
}

static int open_socket(server *s, struct sockaddr_un *address) {
  const char *path = s->config->listen;
  struct stat there;
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path)
    return cli_usage("--listen takes a path of at most %zu bytes", sizeof address->sun_path - 1);
  memcpy(address->sun_path, path, strlen(path) + 1);
  if (!lstat(path, &there) && !S_ISSOCK(there.st_mode))
    return cli_usage("%s is there already, and is no socket: --listen makes one where there is nothing", path);
  if (is_left_over(address))
    (void)unlink(path); /* else bind() says so */
  s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (s->fd >= 0 && !bind(s->fd, (const struct sockaddr *)address, sizeof *address) && !lstat(path, &s->path) &&
      !listen(s->fd, CLIENTS_MAX))
    return CLI_OK;
  cli_error("cannot listen on %s: %s", path, strerror(errno));
  return CLI_FAILED;
}

/* Unless somebody has taken it away, and another server has its own there now. */
static void remove_socket(const server *s) {
  struct stat now;
  if (!lstat(s->config->listen, &now) && now.st_dev == s->path.st_dev && now.st_ino == s->path.st_ino)
    (void)unlink(s->config->listen); /* nobody can do anything about it */
}

static json_t *report(const server *s) {
  return json_pack("{s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "name", cli_json_text(s->config->reader.name), "listen",
                   cli_json_text(s->config->listen), "readers", (json_int_t)s->served, "readers_refused",
                   (json_int_t)s->refused, "pictures", (json_int_t)s->pictures, "packets", (json_int_t)s->packets,
                   "skipped", (json_int_t)s->skipped, "lost", (json_int_t)s->lost, "bytes", (json_int_t)s->bytes,
                   "ended", "signal");
}

static void end_clients(server *s) {
  for (int i = 0; i < CLIENTS_MAX; i++)
    if (s->clients[i].used)
      pthread_join(s->clients[i].thread, NULL); /* it looks at cli_stopped */
}

int pipe_serve(const pipe_config *config) {
  struct sockaddr_un address = { 0 };
  server *s = calloc(1, sizeof *s);
  if (!s)
    return reader_no_memory();
  *s = (server){ .config = config, .fd = -1 };
  int code = pipe_look_for_stream(config);
  if (!code)
    code = open_socket(s, &address);
  if (!code && pthread_mutex_init(&s->lock, NULL) == 0) {
    cli_note("%s: listening on %s", config->reader.name, config->listen);
    while (!cli_stopped)
      if (poll(&(struct pollfd){ .fd = s->fd, .events = POLLIN }, 1, SLICE_MS) > 0)
        accept_client(s);
    remove_socket(s);
    end_clients(s);
    pthread_mutex_destroy(&s->lock);
    if (config->reader.json)
      pipe_print_report(report(s));
  }
  if (s->fd >= 0)
    (void)close(s->fd);
  free(s);
  return code;
}
