/* session.h - what passes between libavformat's RTSP client and a camera, put right on the way.
 *
 * libavformat speaks RTSP as the standard has it, and opens nothing where a camera does not: one that knows no OPTIONS,
 * wants a SHA-256 digest, writes "; timeout=10" with a blank, or sends bytes between its packets. A session stands
 * between the two. It gives libavformat what it understands and the camera what it wants; what is in order passes.
 *
 *   login        is ours: libavformat has no password. Stale nonces are answered again, whenever they come.
 *   OPTIONS      may fail; GET_PARAMETER may be unknown, then OPTIONS keeps the session.
 *   redirects    are followed here.
 *   DESCRIBE     description.h. A body may come without a length.
 *   SETUP        addresses are tried in the ways in which cameras mean them; Transport and Session are rewritten.
 *   packets      what is none is skipped, channels and dynamic payload types become those that were announced.
 *
 * No sockets, no threads and no clock here: relay.c has them. */
#ifndef CUFRAMES_CLI_RTSP_SESSION_H
#define CUFRAMES_CLI_RTSP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "bytes.h"
#include "description.h"
#include "login.h"
#include "message.h"

#define RTSP_QUEUE_MAX 20 /* requests that wait for their replies */
#define RTSP_HEADERS_MAX 2048

typedef struct rtsp_request {
  long number, client_number; /* CSeq, at the camera and at libavformat */
  char method[RTSP_WORD_MAX];
  char address[RTSP_ADDRESS_MAX];
  char headers[RTSP_HEADERS_MAX]; /* lines, without CSeq and login */
  int track;                      /* of SETUP; -1 */
  unsigned logins;                /* challenges that were answered for it */
  bool logged_in;                 /* it went out with an answer */
  bool plain;                     /* what cameras may not like is left out: the range of PLAY */
  bool unheard;                   /* libavformat knows nothing of it */
} rtsp_request;

typedef struct rtsp_session {
  rtsp_address at; /* the camera, and what is asked for */
  rtsp_login login;
  char local[128]; /* the address of ours that libavformat asks for */
  char peer[64];   /* the camera's numeric address */
  uint32_t left_out;

  rtsp_bytes from_client, to_client, from_camera, to_camera;
  rtsp_request queue[RTSP_QUEUE_MAX];
  unsigned queued;
  long number; /* CSeq of the last request */

  rtsp_description description;
  bool described, playing, lost; /* lost: what comes is no packet, and the next one is looked for */
  char base[RTSP_ADDRESS_MAX];   /* what tracks' addresses are relative to */
  char all[RTSP_ADDRESS_MAX];    /* the address of all tracks together */
  char id[256];                  /* of the session at the camera */
  long timeout;                  /* of the same, seconds; 0: not said */
  bool no_options, no_get_parameter, logged_in;
  unsigned redirects;
  bool doubted;     /* the camera says that there is no such session: unless something comes, it is so */
  uint64_t skipped; /* bytes that were neither packets nor messages */

  bool waits_for_body, waits_for_length; /* a reply's head is here; and it does not say how much is to follow */
  bool quiet;                            /* nothing more follows for now */
  bool wants_connection;                 /* to `at`, anew: then rtsp_session_connected() */
  bool ended;                            /* nothing good comes any more */
  int refused_track, refused_status;     /* SETUP of which the camera refused, and how; -1: none */
  char why[204];                         /* it ended; "": nothing is known */
} rtsp_session;

/* address: with a login or without. False: it is none. */
bool rtsp_session_init(rtsp_session *s, const char *address, uint32_t left_out);
/* There is a connection to `at`: what was asked and not answered is asked again. peer: the camera's numeric address. */
void rtsp_session_connected(rtsp_session *s, const char *peer);
/* Looks at what has come in from_client or from_camera. */
void rtsp_session_take(rtsp_session *s);
/* Nothing has come for two seconds although it is doubted that anything will. */
void rtsp_session_forgotten(rtsp_session *s);
/* The camera has closed its side. True: a new connection is worth a try, and wanted. */
bool rtsp_session_hung_up(rtsp_session *s);
void rtsp_session_free(rtsp_session *s);

/* packets.c: from_camera begins with a packet, or with what is none: passes it on, or away. False: more must come. */
bool rtsp_packets_take(rtsp_session *s);
/* It begins with what is neither a packet nor a message: goes on where something may begin. Likewise. */
bool rtsp_packets_skip(rtsp_session *s);

/* replies.c: what the camera answers to a request, which is out of the queue. */
void rtsp_replies_take(rtsp_session *s, const rtsp_message *m, const rtsp_request *request);
/* session.c, for that: asks; and answers libavformat. */
void rtsp_session_ask(rtsp_session *s, const rtsp_request *request);
void rtsp_session_answer(rtsp_session *s, const rtsp_request *request, int status, const char *reason,
                         const char *headers, const rtsp_bytes *body);

#endif
