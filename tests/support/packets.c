/* support/packets.c - packets to test with. */
#include "support/packets.h"

#include <stdlib.h>
#include <string.h>

cuframes_codec_params video_params(void) {
  return (cuframes_codec_params){ .struct_size = sizeof(cuframes_codec_params),
                                  .media_type = CUFRAMES_MEDIA_VIDEO,
                                  .codec = "h264",
                                  .profile = 100,
                                  .level = 41,
                                  .width = 1920,
                                  .height = 1080,
                                  .frame_rate_num = 30000,
                                  .frame_rate_den = 1001,
                                  .time_base_num = 1,
                                  .time_base_den = 90000,
                                  .bit_rate = UINT64_C(6000000000) };
}

cuframes_codec_params audio_params(void) {
  return (cuframes_codec_params){ .struct_size = sizeof(cuframes_codec_params),
                                  .media_type = CUFRAMES_MEDIA_AUDIO,
                                  .codec = "aac",
                                  .profile = UINT32_MAX,
                                  .level = UINT32_MAX,
                                  .sample_rate = 48000,
                                  .channels = 6,
                                  .frame_size = 1024,
                                  .time_base_num = 1,
                                  .time_base_den = 48000 };
}

cuframes_publisher *packet_publisher(const char *name, uint32_t slots, uint64_t data_bytes) {
  cuframes_publisher *publisher = publisher_new(name);
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = slots, .data_bytes = data_bytes };
  cuframes_codec_params video = video_params(), audio = audio_params();
  CHECK_OK(cuframes_publisher_enable_packets(publisher, &ring));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 1, &audio));
  return publisher;
}

cuframes_subscriber *packet_subscriber(const char *name, uint32_t start, bool reconnect) {
  cuframes_subscriber_options options = subscriber_options(CUFRAMES_MODE_PACKETS);
  cuframes_subscriber *subscriber = NULL;
  options.reconnect = reconnect;
  subscriber = subscriber_join(name, &options);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, start));
  return subscriber;
}

static uint8_t byte_at(uint64_t number, size_t at) {
  return (uint8_t)(number * 31 + at * 7 + (at >> 8) + (number >> 6));
}

int packet_publish(cuframes_publisher *publisher, uint32_t stream, uint64_t number, size_t size, uint32_t flags) {
  uint8_t *data = malloc(size + 1);
  CHECK(data != NULL);
  for (size_t i = 0; i < size; i++)
    data[i] = byte_at(number, i);
  cuframes_packet_info info = { .struct_size = sizeof info,
                                .track = stream,
                                .data = data,
                                .size = size,
                                .pts = (int64_t)number * 1000,
                                .dts = (int64_t)number * 1000 - 500,
                                .duration = 40,
                                .flags = flags };
  int result = cuframes_publisher_publish_packet(publisher, &info);
  free(data);
  return result;
}

bool packet_is(const cuframes_packet *packet, uint64_t number, size_t size) {
  const uint8_t *data = cuframes_packet_data(packet);
  if (cuframes_packet_size(packet) != size || cuframes_packet_pts(packet) != (int64_t)number * 1000 ||
      cuframes_packet_dts(packet) != (int64_t)number * 1000 - 500 || cuframes_packet_duration(packet) != 40)
    return false;
  for (size_t i = 0; i < size; i++)
    if (data[i] != byte_at(number, i))
      return false;
  for (size_t i = size; i < size + 64; i++)
    if (data[i] != 0)
      return false;
  return true;
}

uint64_t packet_look(cuframes_subscriber *subscriber, uint32_t *flags) {
  cuframes_packet *packet = NULL;
  CHECK_OK(cuframes_subscriber_next_packet(subscriber, patience(), &packet));
  CHECK(packet != NULL);
  uint64_t number = (uint64_t)cuframes_packet_pts(packet) / 1000;
  CHECK(packet_is(packet, number, cuframes_packet_size(packet)));
  if (flags)
    *flags = cuframes_packet_flags(packet);
  cuframes_packet_release(packet);
  return number;
}

void packet_none(cuframes_subscriber *subscriber) {
  cuframes_packet *packet = NULL;
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  CHECK(packet == NULL);
}
