/* tls.c - see tls.h. libwebsockets says why a certificate does not do only in its log, which is read for that. */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"

#define LOOK_SECONDS 2 /* at files that may have changed */
#define SOON_SECONDS ((time_t)14 * 24 * 3600)

static char said[300]; /* the first line of the log; libwebsockets' log is one for the process */

static void log_take(int level, const char *line) {
  (void)level;
  if (*said == '\0')
    snprintf(said, sizeof said, "%s", line);
}

/* The reason at the end of "problem ... error:0A00018E:SSL routines::key values mismatch". */
static const char *reason(void) {
  said[strcspn(said, "\n")] = '\0';
  const char *end = strstr(said, "::"), *at = end ? end + 2 : said;
  return *at ? at : "out of memory";
}

static struct lws_vhost *vhost_try(http_server *server, struct lws_context_creation_info *info) {
  *said = '\0';
  lws_set_log_level(LLL_ERR, log_take);
  struct lws_vhost *vhost = lws_create_vhost(server->context, info);
  lws_set_log_level(0, NULL);
  return vhost;
}

/* ---- the files ---- */

static int file_check(const char *option, const char *path, bool is_secret) {
  struct stat status;
  if (stat(path, &status) != 0 || access(path, R_OK) != 0) {
    cli_error("--%s %s: %s", option, path, strerror(errno));
    return CLI_FAILED;
  }
  if (is_secret && S_ISREG(status.st_mode) && (status.st_mode & (S_IROTH | S_IWOTH))) {
    cli_error("--%s %s: everybody here may read or write it: chmod 600 %s", option, path, path);
    return CLI_FAILED;
  }
  return CLI_OK;
}

static int files_check(const http_options *options) {
  const bool one = strcmp(options->certificate, options->key) == 0;
  const int code = file_check("certificate", options->certificate, one);
  return code || one ? code : file_check("key", options->key, true);
}

/* What says that they are others: when, and which; in one number, of which two different ones are hardly equal. */
static uint64_t files_state(const http_options *options) {
  const char *const paths[] = { options->certificate, options->key };
  uint64_t state = 1;
  for (size_t i = 0; i < 2; i++) {
    struct stat status = { 0 };
    (void)stat(paths[i], &status); /* not there: that is a state, too */
    state = state * 1000003 + (uint64_t)status.st_mtim.tv_sec;
    state = state * 1000003 + (uint64_t)status.st_mtim.tv_nsec;
    state = state * 1000003 + (uint64_t)status.st_ino;
  }
  return state;
}

#ifdef LWS_WITH_TLS

static void expiry_note(http_server *server) {
  union lws_tls_cert_info_results found = { 0 };
  char day[32] = "";
  struct tm when;
  if (lws_tls_vhost_cert_info(server->vhost, LWS_TLS_CERT_INFO_VALIDITY_TO, &found, 0) != 0)
    return;
  const time_t left = found.time - time(NULL);
  if (left > SOON_SECONDS || !gmtime_r(&found.time, &when))
    return;
  (void)strftime(day, sizeof day, "%Y-%m-%d %H:%M UTC", &when);
  if (left < 0)
    cli_note("the certificate %s has expired on %s: browsers refuse it", server->options.certificate, day);
  else
    cli_note("the certificate %s expires on %s", server->options.certificate, day);
}

static void files_take(http_server *server) {
  const http_options *options = &server->options;
  (void)lws_tls_cert_updated(server->context, options->certificate, options->key, NULL, 0, NULL, 0);
}

static bool info_fill(const http_options *options, struct lws_context_creation_info *info) {
  info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
  info->ssl_cert_filepath = options->certificate;
  info->ssl_private_key_filepath = options->key;
  info->ssl_options_set = (long)(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
  info->alpn = "http/1.1";
  return true;
}

#else /* a libwebsockets that was built without it, as for a machine that has no OpenSSL */

static void expiry_note(http_server *server) {
  (void)server;
}

static void files_take(http_server *server) {
  (void)server;
}

static bool info_fill(const http_options *options, struct lws_context_creation_info *info) {
  (void)info;
  cli_error("--certificate %s: this libwebsockets was built without TLS; Debian's libwebsockets has it",
            options->certificate);
  return false;
}

#endif

/* ---- its life ---- */

int tls_prepare(const http_options *options, struct lws_context_creation_info *info) {
  if (!options->certificate)
    return CLI_OK;
  return info_fill(options, info) ? files_check(options) : CLI_FAILED;
}

int tls_vhost_create(http_server *server, struct lws_context_creation_info *info) {
  const http_options *options = &server->options;
  server->tls_state = options->certificate ? files_state(options) : 0;
  server->vhost = vhost_try(server, info);
  if (server->vhost) {
    if (options->certificate)
      expiry_note(server);
    return CLI_OK;
  }
  if (options->certificate)
    cli_error("cannot use the certificate %s with the key %s: %s", options->certificate, options->key, reason());
  else
    cli_error("the HTTP server cannot be set up: memory or descriptors have run out");
  return CLI_FAILED;
}

/* They are tried beside those that are in use: once those are replaced, there is no way back. */
static bool files_fit(http_server *server) {
  struct lws_context_creation_info info = { .port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                            .protocols = server->protocols,
                                            .vhost_name = "trial" };
  (void)info_fill(&server->options, &info); /* it could when there was the first */
  struct lws_vhost *trial = vhost_try(server, &info);
  if (trial)
    lws_vhost_destroy(trial);
  return trial != NULL;
}

void tls_look(http_server *server) {
  const http_options *options = &server->options;
  const lws_usec_t now = lws_now_usecs();
  if (!options->certificate || now < server->tls_due)
    return;
  server->tls_due = now + LOOK_SECONDS * LWS_USEC_PER_SEC;
  const uint64_t state = files_state(options);
  if (state == server->tls_state)
    return;
  server->tls_state = state;
  if (files_check(options) != CLI_OK)
    return;
  if (!files_fit(server)) {
    cli_error("the certificate %s has changed and does not fit the key %s (%s): the one before stays in use",
              options->certificate, options->key, reason());
    return;
  }
  files_take(server);
  cli_note("the certificate %s has changed and is used from now on", options->certificate);
  expiry_note(server);
}
