/* connect.h - a connection to a camera. */
#ifndef CUFRAMES_CLI_RTSP_CONNECT_H
#define CUFRAMES_CLI_RTSP_CONNECT_H

#include <stdbool.h>
#include <stddef.h>

#define RTSP_PEER_MAX 64

/* Connects by TCP; the socket does not block. stop: as of relay.h. peer: gets the numeric address of who answers, of
 * RTSP_PEER_MAX bytes. Gives the socket, or an AVERROR. */
int rtsp_connect(const char *host, const char *port, bool (*stop)(void *), void *user, char *peer);

#endif
