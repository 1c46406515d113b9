/* guard.h - what clients say of whom they ask, and from where, taken apart without the server: whether a request may
 * be answered at all.
 *
 * Threads  Any; nothing is kept. */
#ifndef CUFRAMES_HTTP_GUARD_H
#define CUFRAMES_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the header Host names an address, or this machine as localhost, or nothing. */
bool guard_is_own_host(const char *host);

/* Whether the header Origin is the scheme, host and port that the header Host asks for; if it is empty, no browser
 * asks, or only its user. */
bool guard_is_own_origin(const char *origin, const char *host, bool secure);

/* The value of one of the arguments, "name=value", each with its end ('\0') behind it. False: there is none, or it
 * does not fit; `value` is untouched then. */
bool guard_argument(const char *arguments, size_t length, const char *name, char *value, size_t size);

#endif
