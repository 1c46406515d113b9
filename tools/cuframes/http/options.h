/* options.h - the options of commands that serve, for their tables, switches and helps. */
#ifndef CUFRAMES_HTTP_OPTIONS_H
#define CUFRAMES_HTTP_OPTIONS_H

#include <getopt.h>

#include "http.h"

enum { HTTP_LISTEN, HTTP_CERTIFICATE, HTTP_KEY, HTTP_LOGIN, HTTP_HOST, HTTP_OPEN };

/* For a table of getopt_long(); `first` is the value of the first of them, behind all of the command's own. --open is
 * for sites that are private. */
/* clang-format off */
#define HTTP_OPTIONS(first)                                                  \
  { "listen", required_argument, NULL, (first) + HTTP_LISTEN },              \
  { "certificate", required_argument, NULL, (first) + HTTP_CERTIFICATE },    \
  { "key", required_argument, NULL, (first) + HTTP_KEY },                    \
  { "login", required_argument, NULL, (first) + HTTP_LOGIN },                \
  { "host", required_argument, NULL, (first) + HTTP_HOST }
#define HTTP_OPTION_OPEN(first) { "open", no_argument, NULL, (first) + HTTP_OPEN }
/* clang-format on */

/* For their helps, behind --listen, whose default differs. */
#define HTTP_HELP                                                                                                      \
  "  --certificate FILE HTTPS instead of HTTP, with this certificate and its chain (PEM); read anew when it\n"         \
  "                     changes\n"                                                                                     \
  "  --key FILE         its private key (PEM; default: in the file of the certificate)\n"                              \
  "  --login FILE       who may ask: lines USER:PASSWORD, or one line with a token\n"                                  \
  "  --host NAME        a further name that it may be asked by; can be given several times\n"
#define HTTP_HELP_OPEN "  --open             without a login, too, everybody may look from elsewhere\n"

/* Takes one: its value without `first`, HTTP_LISTEN and so on. An exit code, after a message. */
int http_option_take(int option, const char *value, http_options *options);
/* After all of them. */
int http_options_check(const http_options *options);
/* Whether one of them was given that only makes sense for who serves: its name, or NULL. */
const char *http_options_given(const http_options *options);

#endif
