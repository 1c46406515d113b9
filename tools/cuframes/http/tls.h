/* tls.h - the certificate of the server: whether its files can be used, until when, and what changes in them. */
#ifndef CUFRAMES_HTTP_TLS_H
#define CUFRAMES_HTTP_TLS_H

#include "server.h"

/* Before there is a context: puts into it what libwebsockets wants for TLS. An exit code, after a message. */
int tls_prepare(const http_options *options, struct lws_context_creation_info *info);
/* Makes the vhost, with TLS where there is a certificate. An exit code, after a message. */
int tls_vhost_create(http_server *server, struct lws_context_creation_info *info);
/* Now and then: takes files that have changed, if they fit each other. */
void tls_look(http_server *server);

#endif
