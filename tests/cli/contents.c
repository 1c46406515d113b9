/* contents.c - a subscriber for the end-to-end tests: prints what so many packets of one track are, from the oldest one
 * on: contents NAME TRACK COUNT
 *
 *   packet PTS FLAGS HEX
 *
 * Exit 0, or 1 with the library's reason. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <cuframes/cuframes.h>

int main(int argc, char **argv) {
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .mode = CUFRAMES_MODE_PACKETS,
                                          .connect_timeout_ns = 60000000000 };
  cuframes_subscriber *subscriber = NULL;
  cuframes_packet *packet;
  if (argc != 4)
    return 2;
  int error = cuframes_subscriber_create(argv[1], &options, &subscriber);
  if (error == CUFRAMES_OK)
    error = cuframes_subscriber_enable_packets(subscriber, CUFRAMES_PACKETS_FROM_OLDEST);
  const unsigned long track = strtoul(argv[2], NULL, 10);
  for (unsigned long left = strtoul(argv[3], NULL, 10); error == CUFRAMES_OK && left > 0;) {
    error = cuframes_subscriber_next_packet(subscriber, CUFRAMES_WAIT_FOREVER, &packet);
    if (error != CUFRAMES_OK)
      break;
    if (cuframes_packet_track(packet) == track) {
      const unsigned char *data = cuframes_packet_data(packet);
      printf("packet %" PRId64 " %" PRIu32 " ", cuframes_packet_pts(packet), cuframes_packet_flags(packet));
      for (size_t i = 0; i < cuframes_packet_size(packet); i++)
        printf("%02x", data[i]);
      putchar('\n');
      left--;
    }
    cuframes_packet_release(packet);
  }
  if (error != CUFRAMES_OK)
    fprintf(stderr, "contents: %s\n", cuframes_last_error());
  cuframes_subscriber_destroy(subscriber);
  return error != CUFRAMES_OK;
}
