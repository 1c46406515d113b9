/* bus.h - the three buckets in NATS: writing only what nobody else has written meanwhile, reading, following.
 *
 * A call waits for an answer at most as long as `bus_options` says. Whatever is not an answer is BUS_AWAY: nothing is
 * known then, not even whether a write was done. */
#ifndef FLEET_BUS_H
#define FLEET_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bus bus;

typedef struct bus_options {
  const char *servers; /* URLs, with commas */
  const char *credentials, *ca, *certificate, *key;
  const char *fleet; /* what the buckets' names begin with */
  const char *name;  /* of this client, for who looks at the server */
  int64_t ttl_ns;    /* of leases and nodes; used by who makes the buckets, and what it is afterwards */
  int64_t wait_ms;
  int replicas; /* 0: three where the servers are a cluster, else one */
} bus_options;

typedef enum bus_bucket { BUS_CAMERAS, BUS_LEASES, BUS_NODES, BUS_BUCKETS } bus_bucket;
typedef enum bus_answer { BUS_OK, BUS_TAKEN, BUS_ABSENT, BUS_AWAY } bus_answer;

#define BUS_ANYTHING UINT64_MAX /* whatever is there */

/* Does not wait for a server. NULL, after a message, for options that cannot be. */
bus *bus_open(const bus_options *options);
void bus_close(bus *b);

/* Whether there is a connection and the buckets are there; they are made where they are not. */
bool bus_is_there(bus *b);
/* Whether it was not for a reason that waiting does not mend: a certificate, a password. */
bool bus_is_refused(const bus *b);
int64_t bus_ttl(const bus *b);       /* ns: that of the bucket of leases, once bus_is_there() */
const char *bus_error(const bus *b); /* of the last call that was not BUS_OK */

/* Writes if the newest revision is `expected`; 0: if there is none. `value` NULL deletes. */
bus_answer bus_write(bus *b, bus_bucket bucket, const char *key, const char *value, uint64_t expected,
                     uint64_t *revision);
/* The newest, of the server that decides about writes. *value is the caller's. A deleted one is BUS_ABSENT. */
bus_answer bus_read(bus *b, bus_bucket bucket, const char *key, char **value, uint64_t *revision);

/* How many keys a bucket has, and each of them where `each` is given. */
bus_answer bus_keys(bus *b, bus_bucket bucket, void (*each)(void *user, const char *key), void *user, size_t *count);

/* What is known of a bucket, in the order of keys. */
typedef struct bus_entry {
  char *key;
  char *value;
  size_t length;
  uint64_t revision;
} bus_entry;

typedef struct bus_view {
  bus_bucket bucket;
  bus_entry *entries;
  size_t count;
  uint64_t last;    /* revision of the newest write that is in it, or was deleted */
  uint64_t changes; /* grows when entries come, change or go */
  void *watcher;
  uint64_t target; /* up to where the bucket reached at the last look */
  int behind;      /* looks in a row at which the watcher had not told what the one before knew of */
} bus_view;

/* Brings the view up to date. The server is asked each time up to where its bucket reaches: that proves that the
 * watcher still tells all, and says what has expired, of which no event comes. */
bus_answer bus_look(bus *b, bus_view *view);
void bus_view_free(bus_view *view);
bus_entry *bus_view_find(const bus_view *view, const char *key);

#endif
