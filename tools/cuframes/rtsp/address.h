/* address.h - RTSP's addresses: their parts, and what a control attribute means. */
#ifndef CUFRAMES_CLI_RTSP_ADDRESS_H
#define CUFRAMES_CLI_RTSP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "message.h"

typedef struct rtsp_address {
  char host[256]; /* without brackets */
  char port[8];
  char whole[RTSP_ADDRESS_MAX];  /* "rtsp://host:port/path?query", without a login, as it is asked for */
  char user[512], password[512]; /* as they are, not percent-encoded */
  bool has_login;
} rtsp_address;

/* Takes an "rtsp://" address apart. False: it is none, or too long. */
bool rtsp_address_read(rtsp_address *a, const char *text);

/* A way to read what stands behind "a=control:", or in a header, against the address that it belongs to; the first ways
 * are those that most cameras mean. False: there are no more, or it is too long. */
bool rtsp_address_of_track(const char *base, const char *control, unsigned way, char *to, size_t size);

#endif
