/* meter.c - a publisher that does what it is told, for tests of numbers: it publishes nothing by itself. It
 * ends with its stdin, or by SIGINT.
 *
 *   meter NAME
 *
 * 64x16 grey, and a video track. Commands on stdin, each answered with "done":
 *
 *   frames N           publish N frames
 *   packets N SIZE     publish N packets of so many bytes, every tenth a keyframe, 40 ms apart
 *   source STATE TEXT  the source's state by its number, and the reason
 *
 * A frame that is dropped for a full ordered subscriber is one of the N.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

#define NS INT64_C(1000000000)

static int fail(const char *what) {
  fprintf(stderr, "meter: %s: %s\n", what, cuframes_last_error());
  return 1;
}

static cuframes_publisher *create(const char *name) {
  cuframes_publisher *publisher = NULL;
  const cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  cuframes_publisher_options options = { .struct_size = sizeof options,
                                         .policy = CUFRAMES_POLICY_DROP,
                                         .packets = &ring,
                                         .format = {
                                             .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 64, .height = 16 } };
  cuframes_codec_params params = { .struct_size = sizeof params, .media_type = CUFRAMES_MEDIA_VIDEO, .codec = "h264" };
  params.time_base_num = 1;
  params.time_base_den = 1000;
  if (cuframes_publisher_create(name, &options, &publisher) != CUFRAMES_OK)
    return NULL;
  return cuframes_publisher_set_codec_params(publisher, 0, &params) == CUFRAMES_OK ? publisher : NULL;
}

static int frames(cuframes_publisher *publisher, unsigned long count) {
  while (count-- > 0) {
    cuframes_frame *frame = NULL;
    int result = cuframes_publisher_acquire(publisher, &frame);
    if (result == CUFRAMES_OK)
      result = cuframes_publisher_publish(publisher, frame, NULL);
    if (result != CUFRAMES_OK && result != CUFRAMES_ERR_DROPPED)
      return fail("a frame");
  }
  return 0;
}

static int packets(cuframes_publisher *publisher, unsigned long count, size_t size) {
  static uint8_t bytes[65536];
  static uint64_t serial;
  for (; count > 0; count--, serial++) {
    cuframes_packet_info packet = { .struct_size = sizeof packet, .data = bytes, .size = size };
    packet.pts = packet.dts = (int64_t)serial * (NS / 25);
    packet.flags = serial % 10 == 0 ? CUFRAMES_PACKET_KEY : 0;
    if (size > sizeof bytes || cuframes_publisher_publish_packet(publisher, &packet) != CUFRAMES_OK)
      return fail("a packet");
  }
  return 0;
}

static int source(cuframes_publisher *publisher, unsigned long state, const char *reason) {
  cuframes_source_info info = { .struct_size = sizeof info, .state = (uint32_t)state };
  snprintf(info.reason, sizeof info.reason, "%s", reason);
  return cuframes_publisher_set_source(publisher, &info) == CUFRAMES_OK ? 0 : fail("the source");
}

static int obey(cuframes_publisher *publisher, const char *line) {
  unsigned long count, size;
  int at = 0;
  if (sscanf(line, "frames %lu", &count) == 1)
    return frames(publisher, count);
  if (sscanf(line, "packets %lu %lu", &count, &size) == 2)
    return packets(publisher, count, size);
  if (sscanf(line, "source %lu %n", &count, &at) == 1)
    return source(publisher, count, line + at);
  fprintf(stderr, "meter: no command: %s\n", line);
  return 2;
}

static void on_signal(int number) {
  (void)number; /* reading has ended, and so all does in order */
}

int main(int argc, char **argv) {
  char line[512];
  const struct sigaction end = { .sa_handler = on_signal };
  (void)sigaction(SIGINT, &end, NULL); /* cannot fail with this signal */
  if (argc != 2) {
    fprintf(stderr, "usage: meter NAME\n");
    return 2;
  }
  cuframes_publisher *publisher = create(argv[1]);
  int code = publisher ? 0 : fail("the publisher");
  if (publisher)
    printf("done\n");
  fflush(stdout);
  while (!code && fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    code = obey(publisher, line);
    printf("done\n");
    fflush(stdout);
  }
  cuframes_publisher_destroy(publisher);
  return code;
}
