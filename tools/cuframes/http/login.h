/* login.h - who may ask: passwords or a token from a file, a cookie for those who have shown one, and patience with
 * those who guess.
 *
 * Threads  One. */
#ifndef CUFRAMES_HTTP_LOGIN_H
#define CUFRAMES_HTTP_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOGIN_TEXT 512                 /* USER:PASSWORD or a token, with its end */
#define LOGIN_ADDRESS 16               /* bytes: IPv6, or IPv4 within it */
#define LOGIN_SLOW_US INT64_C(1000000) /* from one wrong login of an address to its next one */

typedef struct login login;

/* Gives an exit code, after a message. */
int login_read(const char *path, login **read);
void login_free(login *l);
bool login_has_passwords(const login *l);

/* The header Authorization, and a token that was given otherwise; "": none. Takes as long for wrong ones as for right
 * ones. */
bool login_fits(const login *l, const char *authorization, const char *token);

/* What a cookie has for those who have logged in: random, another one in each run. */
const char *login_secret(const login *l);
bool login_is_secret(const login *l, const char *value);

/* From an address, of which an IPv6 network is one, a wrong login came; until the time is over, no other is to be
 * looked at. Times are of CLOCK_MONOTONIC, us. Of many addresses the last ones are kept. */
void login_failed(login *l, const uint8_t address[LOGIN_ADDRESS], int64_t now);
bool login_is_slowed(const login *l, const uint8_t address[LOGIN_ADDRESS], int64_t now);

#endif
