/* say.h - what pages are told, as JSON texts. Each gives a body, which is the caller's; NULL: out of memory. */
#ifndef CUFRAMES_WALL_SAY_H
#define CUFRAMES_WALL_SAY_H

#include <jansson.h>

#include "http/http.h"
#include "sample.h"

/* Lets go of the value. */
http_body *say(json_t *value);

http_body *say_hello(void);
http_body *say_pong(double ping);
http_body *say_error(const char *why);
http_body *say_track(uint16_t tile, const track_config *c);
http_body *say_dropped(uint16_t tile, uint64_t count);
/* A text under a key: "waiting", "pictures". */
http_body *say_why(uint16_t tile, const char *key, const char *why);
http_body *say_gone(uint16_t tile);
http_body *say_detail(const cuframes_stream_info *info);

#endif
