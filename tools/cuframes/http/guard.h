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

/* Whether the header Host, or the host of the header Origin, is that name, with whatever port. */
bool guard_is_host(const char *host, const char *name);
bool guard_is_origin(const char *origin, const char *name);

/* Whether the header Origin is the scheme, host and port that the header Host asks for; if it is empty, no browser
 * asks, or only its user. */
bool guard_is_own_origin(const char *origin, const char *host, bool secure);

/* The value of one of the arguments, "name=value", each with its end ('\0') behind it. False: there is none, or it
 * does not fit; `value` is untouched then. */
bool guard_argument(const char *arguments, size_t length, const char *name, char *value, size_t size);

/* The value of a cookie, out of all that the header Cookie has. False: it is not there, or does not fit. */
bool guard_cookie(const char *cookies, const char *name, char *value, size_t size);

/* "USER:PASSWORD" of the header Authorization, decoded. False: it has none, or it does not fit. */
bool guard_basic(const char *authorization, char *both, size_t size);
/* Its token; NULL: it has none. */
const char *guard_bearer(const char *authorization);

#endif
