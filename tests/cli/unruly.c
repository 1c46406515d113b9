/* unruly.c - a publisher that does what it should not, for test_doctor.py; until its stdin ends.
 *
 *   unruly NAME WHAT
 *
 *   still      pictures whose times stand still
 *   back       whose times go back
 *   scribble   writes into pictures after it has published them
 *   packets    no pictures at all, an empty packet ring
 *   old        one picture, and says nothing of its source
 *   stalled, refused, ended   says so of its source, with a reason that tries the terminal's control characters
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cuframes/cuframes.h>

#define EVERY_MS 10

static cuframes_publisher *publisher;
static cuframes_frame *last; /* the one published last, of which a reference is kept */

static int fail(const char *what) {
  fprintf(stderr, "unruly: %s: %s\n", what, cuframes_last_error());
  return 1;
}

static int publish_picture(const char *what, int64_t number) {
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = number * 40000000 };
  cuframes_frame *frame;
  if (strcmp(what, "still") == 0)
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
  cuframes_source_info source = { .struct_size = sizeof source, .reason = "because\x1b[31m of\nme" };
  source.state = strcmp(what, "stalled") == 0   ? CUFRAMES_SOURCE_STALLED
                 : strcmp(what, "refused") == 0 ? CUFRAMES_SOURCE_REFUSED
                 : strcmp(what, "ended") == 0   ? CUFRAMES_SOURCE_ENDED
                                                : CUFRAMES_SOURCE_UNKNOWN;
  return source.state ? cuframes_publisher_set_source(publisher, &source) : CUFRAMES_OK;
}

int main(int argc, char **argv) {
  const char *what = argc == 3 ? argv[2] : "";
  const cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  cuframes_publisher_options options = { .struct_size = sizeof options, .max_open = 4 };
  if (strcmp(what, "packets") == 0)
    options.packets = &ring;
  else
    options.format = (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 320, .height = 180 };
  if (argc != 3 || cuframes_publisher_create(argv[1], &options, &publisher) < 0)
    return fail("create");
  const int goes_on = strcmp(what, "still") == 0 || strcmp(what, "back") == 0 || strcmp(what, "scribble") == 0;
  if ((!options.packets && publish_picture(what, 1) < 0) || set_source(what) < 0)
    return fail("publish");
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
