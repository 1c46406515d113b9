/* api/packet.h - publishing packets of one kind into a track of that kind; src/publisher/packets.c does it. */
#ifndef CF_API_PACKET_H
#define CF_API_PACKET_H

#include <cuframes/publisher.h>

/* cuframes_publisher_publish_packet(), INVALID if the track is described as of another codec; codec NULL: of any. */
int cf_publish_packet_of(cuframes_publisher *publisher, const cuframes_packet_info *info, const char *codec);

#endif
