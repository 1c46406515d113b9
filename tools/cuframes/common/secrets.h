/* secrets.h - passwords and the like in what the program is told: they are found in inputs, and shown nowhere.
 *
 * Two ways, one behind the other. By form: in whatever is shown, each address loses its password, the values of
 * parameters with telling names and an RTMP stream key, as far as the form of an address tells. By content: what was
 * found in an input once is taken out of every text from then on, in whatever spelling (percent-encoded or not, in
 * Base64 with its user), since FFmpeg and other systems put parts of addresses into texts of their own.
 * In doubt more is hidden than had to be.
 * Threads  Any. */
#ifndef CUFRAMES_CLI_SECRETS_H
#define CUFRAMES_CLI_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

/* From now on the secrets of this input, a file's name or an address as it was given, are hidden everywhere. */
void secrets_learn(const char *input);
/* So are this password, and the user's name and it in the ways in which servers are told. user may be NULL. */
void secrets_learn_password(const char *user, const char *password);
/* The value of a parameter or an option, if its name is a telling one ("token", "headers", "passphrase"). */
void secrets_learn_option(const char *name, const char *value);

/* What was learnt is wiped: at the end, when nothing is said any more. */
void secrets_forget(void);

/* An input as it may be shown: "rtsp://user:***@host/path". The caller's, by free(); NULL: out of memory. */
char *secrets_shown(const char *input);
/* Any text that may hold addresses or secrets, as it may be shown, of at most `size` bytes with its end. */
void secrets_hide(char *to, size_t size, const char *text);

/* Whether the value of such a parameter is a secret, or the name of a user. */
bool secrets_is_telling(const char *name, size_t length);

/* A URL with a user and a password, who may have any characters: what libavformat is to be given. NULL if the address
 * has no place for them; then *why says so. user NULL: the address has one. The caller's, by free(). */
char *secrets_insert(const char *address, const char *user, const char *password, const char **why);
/* A URL whose password was written as it is, with characters that end it for libavformat, as libavformat wants it;
 * a copy of any other. The caller's; NULL: out of memory. */
char *secrets_encoded(const char *address);

#endif
