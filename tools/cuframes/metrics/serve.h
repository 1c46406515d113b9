/* serve.h - the numbers over HTTP. */
#ifndef CUFRAMES_METRICS_SERVE_H
#define CUFRAMES_METRICS_SERVE_H

#include "collect.h"
#include "http/http.h"

/* Outside of 9100 to 9999, all of which Prometheus' list of exporters has given away. */
#define SERVE_DEFAULT "127.0.0.1:10816"
#define SERVE_PATH "/metrics"

/* Until Ctrl-C; the collector is taken over (looker.h). Gives an exit code. */
int metrics_serve(const collector *from, const http_options *options);

#endif
