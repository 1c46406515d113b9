/* bus_parts.h - what the files of the bus share. */
#ifndef FLEET_BUS_PARTS_H
#define FLEET_BUS_PARTS_H

#include <nats/nats.h>

#include "bus.h"

struct bus {
  bus_options options;
  natsOptions *wanted;        /* the same, as the library wants them */
  natsConnection *connection; /* NULL: none yet */
  jsCtx *js;
  kvStore *stores[BUS_BUCKETS]; /* NULL: not found yet */
  char streams[BUS_BUCKETS][96];
  char subjects[BUS_BUCKETS][96]; /* up to the key */
  int64_t ttl_ns;
  bool refused;    /* by a server that was there, at the last attempt */
  char shown[256]; /* the servers, without what is secret */
  char error[600];
};

/* Keeps what was wrong, and says which answer that is. */
bus_answer bus_failed(bus *b, natsStatus status, jsErrCode code);
/* *info is the caller's. BUS_ABSENT: there is no such bucket. */
bus_answer bus_reach(bus *b, bus_bucket bucket, jsStreamInfo **info, const char *filter);

#endif
