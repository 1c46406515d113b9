/* support/packets.h - packets to test with: bytes that follow from a number. */
#ifndef SUPPORT_PACKETS_H
#define SUPPORT_PACKETS_H

#include "support/stream.h"

cuframes_codec_params video_params(void);
cuframes_codec_params audio_params(void);

/* A publisher with a ring of these sizes (0: defaults), video as track 0 and audio as 1. */
cuframes_publisher *packet_publisher(const char *name, uint32_t slots, uint64_t data_bytes);
/* A subscriber for packets only that reads them. */
cuframes_subscriber *packet_subscriber(const char *name, uint32_t start, bool reconnect);

/* Publishes packet `number`, of `size` bytes, with pts number * 1000, dts pts - 500, duration 40. */
int packet_publish(cuframes_publisher *publisher, uint32_t stream, uint64_t number, size_t size, uint32_t flags);
/* Whether packet data, size and times are of that number. */
bool packet_is(const cuframes_packet *packet, uint64_t number, size_t size);

/* The next packet, which must come within the usual patience; gives it back and says its number (from its pts); fails
 * if it is not whole. flags may be NULL. */
uint64_t packet_look(cuframes_subscriber *subscriber, uint32_t *flags);
/* There is no packet now. */
void packet_none(cuframes_subscriber *subscriber);

#endif
