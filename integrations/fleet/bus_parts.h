/* bus_parts.h - what the files of the bus share. */
#ifndef FLEET_BUS_PARTS_H
#define FLEET_BUS_PARTS_H

#include <nats/nats.h>

#include "bus.h"

struct bus {
  bus_options options;
  natsConnection *connection;
  jsCtx *js;
  kvStore *stores[BUS_BUCKETS]; /* NULL: not found yet */
  char streams[BUS_BUCKETS][96];
  char subjects[BUS_BUCKETS][96]; /* up to the key */
  int64_t ttl_ns;
  char shown[256]; /* the servers, without what is secret */
  char error[600];
};

/* Keeps what was wrong, and says which answer that is. */
bus_answer bus_failed(bus *b, natsStatus status, jsErrCode code);
/* *info is the caller's. BUS_ABSENT: there is no such bucket. */
bus_answer bus_reach(bus *b, bus_bucket bucket, jsStreamInfo **info, const char *filter);

#endif
