/* times.c - a subscriber for the end-to-end tests: prints the times of so many frames, and of all packets meanwhile,
 * one per line.
 *
 *   times NAME FRAMES       0: only the extradata of the first track
 *
 *   extradata HEX
 *   frame SEQ PTS CAPTURED [TYPE:HEX...]      its side data
 *   packet STREAM PTS DTS FLAGS        a time that is not given is "-"
 *
 * Frames are taken in order, packets from the last keyframe on. Exit 0, or 1 with the library's reason.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <cuframes/cuframes.h>

#define SLICE_NS INT64_C(20000000)

static int fail(const char *what) {
  fprintf(stderr, "times: %s: %s\n", what, cuframes_last_error());
  return 1;
}

static void print_time(int64_t ns) {
  if (ns == CUFRAMES_NO_TIME)
    printf(" -");
  else
    printf(" %" PRId64, ns);
}

static void print_side_data(const cuframes_frame *frame) {
  uint32_t type;
  size_t size;
  const uint8_t *data;
  for (uint32_t i = 0; (data = cuframes_frame_side_data_at(frame, i, &type, &size)) != NULL; i++) {
    printf(" %" PRIu32 ":", type);
    for (size_t k = 0; k < size; k++)
      printf("%02x", data[k]);
  }
}

static int print_extradata(cuframes_subscriber *subscriber) {
  cuframes_codec_params params = { .struct_size = sizeof params };
  const void *extradata;
  size_t size;
  if (cuframes_subscriber_get_codec_params(subscriber, 0, &params, &extradata, &size) < 0)
    return fail("cannot ask for extradata");
  printf("extradata ");
  for (size_t i = 0; i < size; i++)
    printf("%02x", ((const uint8_t *)extradata)[i]);
  putchar('\n');
  return 0;
}

static int take_frames(cuframes_subscriber *subscriber, uint64_t *left) {
  cuframes_frame *frame;
  int error = cuframes_subscriber_next(subscriber, SLICE_NS, &frame);
  for (; error == CUFRAMES_OK;
       error = *left > 0 ? cuframes_subscriber_next(subscriber, 0, &frame) : CUFRAMES_ERR_TIMEOUT) {
    --*left;
    printf("frame %" PRIu64, cuframes_frame_seq(frame));
    print_time(cuframes_frame_pts(frame));
    print_time(cuframes_frame_capture_time(frame));
    print_side_data(frame);
    putchar('\n');
    cuframes_frame_release(frame); /* stale at the worst, and then the next call says so */
  }
  return error;
}

static int take_packets(cuframes_subscriber *subscriber) {
  cuframes_packet *packet;
  int error;
  while ((error = cuframes_subscriber_next_packet(subscriber, 0, &packet)) == CUFRAMES_OK) {
    printf("packet %" PRIu32, cuframes_packet_track(packet));
    print_time(cuframes_packet_pts(packet));
    print_time(cuframes_packet_dts(packet));
    printf(" %" PRIu32 "\n", cuframes_packet_flags(packet));
    cuframes_packet_release(packet);
  }
  return error;
}

int main(int argc, char **argv) {
  cuframes_subscriber_options options = {
    .struct_size = sizeof options, .mode = CUFRAMES_MODE_ORDERED, .depth = 16, .connect_timeout_ns = 60000000000
  };
  cuframes_subscriber *subscriber;
  if (argc != 3)
    return 2;
  if (cuframes_subscriber_create(argv[1], &options, &subscriber) < 0)
    return fail("cannot join");
  int error = cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME), code = 0;
  uint64_t left = strtoull(argv[2], NULL, 10);
  if (error < 0)
    code = fail("no packets");
  else if (left == 0)
    code = print_extradata(subscriber);
  while (code == 0 && left > 0) {
    error = take_frames(subscriber, &left);
    if (error == CUFRAMES_ERR_TIMEOUT)
      error = take_packets(subscriber);
    if (error == CUFRAMES_ERR_PUBLISHER_GONE) {
      (void)take_packets(subscriber); /* those that it left */
      break;
    }
    if (error != CUFRAMES_ERR_TIMEOUT)
      code = fail("cannot go on");
  }
  cuframes_subscriber_destroy(subscriber);
  return code;
}
