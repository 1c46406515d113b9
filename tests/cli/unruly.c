/* unruly.c - a publisher that does what it should not, for test_doctor.py; until its stdin ends.
 *
 *   unruly NAME WHAT
 *
 *   still      pictures whose times stand still
 *   back       whose times go back
 *   scribble   writes into pictures after it has published them
 *   packets    no pictures at all, an empty packet ring
 *   old        one picture, and says nothing of its source
 *   crowd      as still, with as many readers of its own as a stream may have but some
 *   full       with as many as it may have
 *   asleep     nothing at all: it listens, and hangs in the kernel (of the directory CUFRAMES_DIR)
 *   stalled, refused, reconnecting, ended   says so of its source, with a reason that tries the terminal's control
 *              characters
 *   mute-...   likewise, without a reason
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cuframes/cuframes.h>

#define EVERY_MS 10
#define READERS_MOST 256
#define CROWD 185 /* of more of one user no monitor is let in */
#define FULL 128  /* the default */

static cuframes_publisher *publisher;
static cuframes_frame *last; /* the one published last, of which a reference is kept */

static int fail(const char *what) {
  fprintf(stderr, "unruly: %s: %s\n", what, cuframes_last_error());
  return 1;
}

static int publish_picture(const char *what, int64_t number) {
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = number * 40000000 };
  cuframes_frame *frame;
  if (strcmp(what, "still") == 0 || strcmp(what, "crowd") == 0)
    info.pts = 40000000;
  if (strcmp(what, "back") == 0)
    info.pts = (1000000 - number) * 40000000;
  if (cuframes_publisher_acquire(publisher, &frame) < 0)
    return -1;
  memset(cuframes_frame_plane(frame, 0), (int)number, (size_t)cuframes_frame_pitch(frame, 0) * 180);
  if (strcmp(what, "scribble") == 0) {
    cuframes_frame_release(last);
    last = cuframes_frame_ref(frame);
  }
  return cuframes_publisher_publish(publisher, frame, &info);
}

/* As fast as it goes, so that no reader sees the same twice. */
static void scribble(int64_t number) {
  unsigned char *plane = cuframes_frame_plane(last, 0);
  for (int i = 0; plane && i < 2000; i++)
    memset(plane, (int)(number + i), (size_t)cuframes_frame_pitch(last, 0) * 180);
}

static int set_source(const char *what) {
  cuframes_source_info source = { .struct_size = sizeof source };
  if (strncmp(what, "mute-", 5) == 0)
    what += 5;
  else
    snprintf(source.reason, sizeof source.reason, "because\x1b[31m of\nme");
  source.state = strcmp(what, "stalled") == 0        ? CUFRAMES_SOURCE_STALLED
                 : strcmp(what, "refused") == 0      ? CUFRAMES_SOURCE_REFUSED
                 : strcmp(what, "ended") == 0        ? CUFRAMES_SOURCE_ENDED
                 : strcmp(what, "reconnecting") == 0 ? CUFRAMES_SOURCE_RECONNECTING
                                                     : CUFRAMES_SOURCE_UNKNOWN;
  return source.state ? cuframes_publisher_set_source(publisher, &source) : CUFRAMES_OK;
}

/* Until this process ends. */
static int add_readers(const char *name, int count) {
  const cuframes_subscriber_options options = { .struct_size = sizeof options, .leases = 1 };
  for (int i = 0; i < count; i++) {
    cuframes_subscriber *reader = NULL;
    if (cuframes_subscriber_create(name, &options, &reader) < 0)
      return -1;
  }
  return 0;
}

static void raise_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to the hard limit it may */
  }
}

/* Who starts a process by vfork() waits in the kernel, in state D, until that has ended. */
static int sleep_in_the_kernel(const char *name) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
  const char *directory = getenv("CUFRAMES_DIR");
  snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.sock", directory ? directory : ".", name);
  const int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listener, 64) != 0) {
    perror("unruly: listen");
    return 1;
  }
  const pid_t child = vfork();
  if (child == 0) {
    (void)poll(&end, 1, -1);
    _exit(0);
  }
  (void)waitpid(child, NULL, 0);
  (void)unlink(address.sun_path);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc == 3 ? argv[2] : "";
  const cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  cuframes_publisher_options options = { .struct_size = sizeof options, .max_open = 4, .max_slots = 1024 };
  const int crowd = strcmp(what, "crowd") == 0 ? CROWD : strcmp(what, "full") == 0 ? FULL : 0;
  if (strcmp(what, "asleep") == 0)
    return sleep_in_the_kernel(argv[1]);
  raise_descriptors();
  if (crowd > FULL)
    options.max_subscribers = READERS_MOST;
  if (strcmp(what, "packets") == 0)
    options.packets = &ring;
  else
    options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 320, .height = 180 };
  if (argc != 3 || cuframes_publisher_create(argv[1], &options, &publisher) < 0)
    return fail("create");
  const int goes_on = strcmp(what, "crowd") == 0 || strcmp(what, "still") == 0 || strcmp(what, "back") == 0 ||
                      strcmp(what, "scribble") == 0;
  if ((!options.packets && publish_picture(what, 1) < 0) || set_source(what) < 0)
    return fail("publish");
  if (add_readers(argv[1], crowd) < 0)
    return fail("join");
  struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
  for (int64_t number = 2; poll(&end, 1, goes_on ? EVERY_MS : -1) == 0; number++) {
    if (publish_picture(what, number) < 0)
      return fail("publish");
    if (last)
      scribble(number);
  }
  cuframes_frame_release(last);
  cuframes_publisher_destroy(publisher);
  return 0;
}
