/* client/query.h - asking a publisher about its stream, in steps that wait only if they are told to. */
#ifndef CF_CLIENT_QUERY_H
#define CF_CLIENT_QUERY_H

#include <cuframes/monitor.h>

#include "client/client.h"

typedef struct cf_query {
  int fd;
  bool is_welcome; /* and the question is asked */
  char name[CUFRAMES_NAME_MAX + 1];
  cf_msg_hello hello;
} cf_query;

/* Connects and says HELLO. Waits for room in the publisher's queue until the deadline. message: CF_WIRE_MESSAGE_MAX
 * bytes of room, here and below. Errors: those of cf_client_hello_at(). cf_query_end() is needed in any case. */
int cf_query_begin(cf_query *query, const cf_place *place, const char *name, int64_t deadline,
                   const cf_interrupt *interrupt, uint8_t *message);
/* Goes on until the deadline; on success *info is the caller's. TIMEOUT: not yet, once more. */
int cf_query_step(cf_query *query, int64_t deadline, const cf_interrupt *interrupt, uint8_t *message,
                  cuframes_stream_info **info);
void cf_query_end(cf_query *query);

/* The caller's options with their defaults. Errors: INVALID. */
int cf_query_options_take(const cuframes_query_options *options, cuframes_query_options *taken);

#endif
