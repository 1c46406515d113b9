/* login.h - who asks at a camera: answers to its challenges (RFC 7617; RFC 2617 and 7616: MD5, SHA-256, SHA-512-256,
 * each as "-sess", too, with qop "auth" or none). Of those that a camera offers the strongest is answered. */
#ifndef CUFRAMES_CLI_RTSP_LOGIN_H
#define CUFRAMES_CLI_RTSP_LOGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "message.h"

enum rtsp_scheme { RTSP_LOGIN_NONE, RTSP_LOGIN_BASIC, RTSP_LOGIN_MD5, RTSP_LOGIN_SHA256, RTSP_LOGIN_SHA512_256 };

typedef struct rtsp_login {
  char *user, *password; /* NULL: nobody */
  bool no_basic;         /* the password is not for this host as it is */
  enum rtsp_scheme scheme;
  bool session, stale, qop; /* "-sess"; the last challenge said that only its nonce is new */
  char realm[512], nonce[1024], opaque[1024];
  char algorithm[32]; /* as the camera spells it; "": it did not say */
  unsigned count;     /* answers with this nonce */
} rtsp_login;

/* user and password, NULL for none, are copied. False: out of memory. */
bool rtsp_login_set(rtsp_login *l, const char *user, const char *password);
/* Takes the strongest challenge of a 401. False: there is none that can be answered. */
bool rtsp_login_challenged(rtsp_login *l, const rtsp_message *reply);
/* The Authorization line for a request, with its end; "" before a challenge, and without a user. */
void rtsp_login_answer(rtsp_login *l, const char *method, const char *address, char *line, size_t size);
void rtsp_login_free(rtsp_login *l);

#endif
