/* relay.c - the sockets and the thread of a relay.
 *
 * The thread sleeps in poll() on what can go on: the listening socket until libavformat is there, libavformat and the
 * camera as long as what the one sends has room on its way to the other, and a doorbell that ends it. */
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cuframes/cuframes.h>
#include <libavutil/error.h>

#include "connect.h"
#include "session.h"

#define CHUNK 65536
#define WAITING_MOST (1 << 20) /* bytes on their way to libavformat; more are left to the camera */
#define GUESTS_MAX 8           /* connections that have not shown yet that they are libavformat's */
#define QUIET_MS 300           /* a description without a length is over when nothing comes for so long */
#define QUIET_LENGTH_MS 2000   /* one that is shorter than it says */
#define DOUBTED_MS 2000
#define GOODBYE_MS 400

struct rtsp_relay {
  rtsp_relay_options options;
  char address[128];
  rtsp_session session;
  pthread_t thread;
  pthread_mutex_t lock; /* guards these two */
  rtsp_relay_report report;
  bool closing;
  int listener, client, camera, doorbell;
  int guests[GUESTS_MAX];
  unsigned guest_count;
  bool client_gone, camera_gone, reset; /* the camera has broken off */
  int64_t leave_at;                     /* when the camera is not waited for any more; 0: nobody leaves yet */
};

/* --- libavformat's side --- */

static int listen_on(bool six, int *port) {
  union {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
  } at;
  memset(&at, 0, sizeof at);
  socklen_t size = six ? sizeof at.six : sizeof at.four;
  if (six)
    at.six = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
  else
    at.four = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  const int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && bind(fd, &at.any, size) == 0 && listen(fd, GUESTS_MAX) == 0 && getsockname(fd, &at.any, &size) == 0) {
    *port = ntohs(six ? at.six.sin6_port : at.four.sin_port);
    return fd;
  }
  if (fd >= 0)
    close(fd);
  return -1;
}

/* On the loopback of the camera's family: libavformat sends reports by UDP from a socket of that. */
static bool invite(rtsp_relay *r) {
  uint64_t secret[2];
  int port = 0;
  bool six = strchr(r->session.peer, ':') != NULL;
  r->listener = listen_on(six, &port);
  if (r->listener < 0 && six) {
    six = false;
    r->listener = listen_on(six, &port);
  }
  if (r->listener < 0 || getrandom(secret, sizeof secret, 0) != sizeof secret)
    return false;
  snprintf(r->address, sizeof r->address, "rtsp://%s:%d/%016llx%016llx", six ? "[::1]" : "127.0.0.1", port,
           (unsigned long long)secret[0], (unsigned long long)secret[1]);
  snprintf(r->session.local, sizeof r->session.local, "%s", r->address);
  return true;
}

static void accept_guest(rtsp_relay *r) {
  const int on = 1, fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* it is only slower without */
  if (r->guest_count == GUESTS_MAX) {
    close(r->guests[0]);
    memmove(r->guests, r->guests + 1, --r->guest_count * sizeof *r->guests);
  }
  r->guests[r->guest_count++] = fd;
}

/* Whether the first line of a guest has the secret; while it may still come, it stays a guest. */
static bool is_ours(const rtsp_relay *r, int fd, bool *wrong) {
  char text[512];
  const ssize_t size = recv(fd, text, sizeof text - 1, MSG_PEEK);
  const char *path = strrchr(r->session.local, '/');
  *wrong = size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
  if (size <= 0)
    return false;
  text[size] = '\0';
  const bool ours = strstr(text, path) != NULL;
  *wrong = !ours && (strchr(text, '\n') != NULL || size == (ssize_t)sizeof text - 1);
  return ours;
}

static void look_at_guest(rtsp_relay *r, unsigned number) {
  bool wrong;
  const int fd = r->guests[number];
  if (is_ours(r, fd, &wrong))
    r->client = fd;
  else if (wrong)
    close(fd);
  else
    return;
  r->guest_count--;
  memmove(r->guests + number, r->guests + number + 1, (r->guest_count - number) * sizeof *r->guests);
}

/* It is here: nobody else is wanted. */
static void close_door(rtsp_relay *r) {
  while (r->guest_count > 0)
    close(r->guests[--r->guest_count]);
  if (r->listener >= 0)
    close(r->listener);
  r->listener = -1;
}

/* --- bytes --- */

/* False: the other side is gone. */
static bool receive(int fd, rtsp_bytes *to, bool *reset) {
  uint8_t data[CHUNK];
  const ssize_t size = recv(fd, data, sizeof data, 0);
  if (size > 0)
    rtsp_bytes_add(to, data, (size_t)size);
  else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
    *reset = size < 0;
    return false;
  }
  return !to->failed;
}

static bool deliver(int fd, rtsp_bytes *from) {
  while (from->size > 0) {
    const ssize_t size = send(fd, rtsp_bytes_data(from), from->size, MSG_NOSIGNAL);
    if (size < 0)
      return errno == EAGAIN || errno == EINTR;
    rtsp_bytes_drop(from, (size_t)size);
  }
  return true;
}

/* --- the thread --- */

static void report(rtsp_relay *r) {
  const rtsp_session *s = &r->session;
  pthread_mutex_lock(&r->lock);
  r->report.refused_track = s->refused_track;
  r->report.refused_status = s->refused_status;
  r->report.videos_left = 0;
  for (unsigned i = 0; i < s->description.count; i++)
    r->report.videos_left += strcmp(s->description.tracks[i].kind, "video") == 0 &&
                             !s->description.tracks[i].left_out && (int)i != s->refused_track;
  if (s->refused_track >= 0)
    memcpy(r->report.refused_kind, s->description.tracks[s->refused_track].kind, sizeof r->report.refused_kind);
  memcpy(r->report.why, s->why, sizeof r->report.why);
  pthread_mutex_unlock(&r->lock);
}

static bool is_closing(void *relay) {
  rtsp_relay *r = relay;
  pthread_mutex_lock(&r->lock);
  const bool closing = r->closing;
  pthread_mutex_unlock(&r->lock);
  return closing;
}

/* To where the session wants to go now. */
static bool connect_anew(rtsp_relay *r) {
  char peer[RTSP_PEER_MAX];
  close(r->camera);
  r->camera = rtsp_connect(r->session.at.host, r->session.at.port, is_closing, r, peer);
  if (r->camera < 0) {
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(r->camera, text, sizeof text);
    snprintf(r->session.why, sizeof r->session.why, "%.64s:%s: %s", r->session.at.host, r->session.at.port, text);
    return false;
  }
  rtsp_session_connected(&r->session, peer);
  rtsp_session_take(&r->session); /* what libavformat has asked meanwhile */
  return true;
}

static bool from_camera(rtsp_relay *r) {
  rtsp_session *s = &r->session;
  if (receive(r->camera, &s->from_camera, &r->reset)) {
    rtsp_session_take(s);
    return true;
  }
  return rtsp_session_hung_up(s);
}

/* Everything that can be done now. False: it is over. */
static bool step(rtsp_relay *r, const struct pollfd *p) {
  rtsp_session *s = &r->session;
  bool gone = false;
  if (p[1].revents != 0 && r->listener >= 0)
    accept_guest(r);
  for (unsigned i = r->guest_count; i-- > 0 && r->client < 0;)
    look_at_guest(r, i);
  if (r->client >= 0)
    close_door(r);
  if (p[2].revents & (POLLIN | POLLHUP | POLLERR)) {
    if (!receive(r->client, &s->from_client, &gone))
      r->client_gone = true;
    rtsp_session_take(s);
  }
  if (p[3].revents & (POLLIN | POLLHUP | POLLERR) && !from_camera(r))
    r->camera_gone = true;
  const bool nothing = p[0].revents == 0 && p[2].revents == 0 && p[3].revents == 0;
  if (nothing && s->waits_for_body) {
    s->quiet = true;
    rtsp_session_take(s);
    s->quiet = false;
  } else if (nothing && s->doubted) {
    rtsp_session_forgotten(s);
  }
  if (s->wants_connection && !connect_anew(r))
    r->camera_gone = true;
  if (!r->camera_gone && !deliver(r->camera, &s->to_camera))
    r->camera_gone = true;
  report(r); /* before libavformat, and so its caller, can know of it */
  if (r->client >= 0 && !r->client_gone && !deliver(r->client, &s->to_client))
    r->client_gone = true;
  if (r->client_gone)
    rtsp_bytes_clear(&s->to_client);
  return !s->to_client.failed && ((!s->ended && !r->camera_gone) || s->to_client.size > 0);
}

/* Whether nobody is to be waited for any more. */
static bool is_over(rtsp_relay *r) {
  const rtsp_session *s = &r->session;
  const int64_t now = cuframes_now();
  if (!r->client_gone && !(is_closing(r) && r->client < 0))
    return false;
  if (r->leave_at == 0)
    r->leave_at = now + GOODBYE_MS * INT64_C(1000000);
  const bool asks = s->queued > 0 && strcmp(s->queue[s->queued - 1].method, "TEARDOWN") == 0;
  return now >= r->leave_at || r->camera_gone || (s->to_camera.size == 0 && !asks);
}

/* libavformat has what came before. Where the camera broke off, it is told so in the same way: by a reset. */
static void say_end(rtsp_relay *r) {
  const struct linger at_once = { .l_onoff = 1 };
  if (r->client >= 0 && r->reset)
    (void)setsockopt(r->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* else it hears of an end */
}

static void *serve(void *relay) {
  rtsp_relay *r = relay;
  rtsp_session *s = &r->session;
  for (bool going = true; going && !is_over(r);) {
    struct pollfd p[4 + GUESTS_MAX] = { { .fd = r->doorbell, .events = POLLIN },
                                        { .fd = r->client < 0 ? r->listener : -1, .events = POLLIN },
                                        { .fd = r->client_gone ? -1 : r->client },
                                        { .fd = r->camera } };
    for (unsigned i = 0; i < r->guest_count; i++)
      p[4 + i] = (struct pollfd){ .fd = r->guests[i], .events = POLLIN };
    const bool closing = is_closing(r);
    p[0].fd = closing ? -1 : r->doorbell; /* it has rung */
    p[2].events = (short)(POLLIN | (s->to_client.size > 0 ? POLLOUT : 0));
    p[3].events = (short)((s->to_client.size < WAITING_MOST ? POLLIN : 0) | (s->to_camera.size > 0 ? POLLOUT : 0));
    const int body = s->waits_for_length ? QUIET_MS : QUIET_LENGTH_MS;
    const int limit = s->waits_for_body ? body : s->doubted ? DOUBTED_MS : -1;
    const bool leaving = r->leave_at != 0 || closing;
    if (poll(p, 4 + r->guest_count, leaving ? GOODBYE_MS / 4 : limit) < 0 && errno != EINTR)
      break;
    going = step(r, p);
  }
  say_end(r);
  close_door(r);
  if (r->client >= 0)
    close(r->client);
  if (r->camera >= 0)
    close(r->camera);
  r->client = r->camera = -1;
  return NULL;
}

/* --- for others --- */

static bool start_thread(rtsp_relay *r) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(&r->thread, NULL, serve, r) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started)
    (void)pthread_setname_np(r->thread, "cuframes-rtsp"); /* for who looks at threads */
  return started;
}

static void destroy(rtsp_relay *r) {
  close_door(r);
  if (r->camera >= 0)
    close(r->camera);
  if (r->doorbell >= 0)
    close(r->doorbell);
  pthread_mutex_destroy(&r->lock);
  rtsp_session_free(&r->session);
  free(r);
}

rtsp_relay *rtsp_relay_open(const rtsp_relay_options *options, int *error) {
  char peer[RTSP_PEER_MAX];
  rtsp_relay *r = calloc(1, sizeof *r);
  *error = AVERROR(ENOMEM);
  if (r == NULL)
    return NULL;
  r->options = *options;
  r->report.refused_track = -1;
  r->listener = r->client = r->camera = r->doorbell = -1;
  pthread_mutex_init(&r->lock, NULL);
  bool good = rtsp_session_init(&r->session, options->address, options->left_out);
  *error = good ? 0 : AVERROR(EINVAL);
  if (good) {
    r->camera = rtsp_connect(r->session.at.host, r->session.at.port, options->stop, options->user, peer);
    *error = r->camera < 0 ? r->camera : 0;
    good = r->camera >= 0;
  }
  if (good) {
    rtsp_session_connected(&r->session, peer);
    r->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    good = r->doorbell >= 0 && invite(r) && start_thread(r);
    *error = good ? 0 : AVERROR(errno != 0 ? errno : EIO);
  }
  if (good)
    return r;
  destroy(r);
  return NULL;
}

const char *rtsp_relay_address(const rtsp_relay *r) {
  return r->address;
}

rtsp_relay_report rtsp_relay_look(rtsp_relay *r) {
  pthread_mutex_lock(&r->lock);
  const rtsp_relay_report found = r->report;
  pthread_mutex_unlock(&r->lock);
  return found;
}

void rtsp_relay_close(rtsp_relay *r) {
  const uint64_t one = 1;
  if (r == NULL)
    return;
  pthread_mutex_lock(&r->lock);
  r->closing = true;
  pthread_mutex_unlock(&r->lock);
  (void)!write(r->doorbell, &one, sizeof one); /* it is empty: there is room */
  pthread_join(r->thread, NULL);
  destroy(r);
}
