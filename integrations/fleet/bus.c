/* bus.c - connection, buckets, writes and reads. */
#include "bus_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

#define SERVERS_MOST 16
#define VALUE_MAX (256 * 1024) /* of one value: what more would be is refused by the server */

static const char *const suffixes[BUS_BUCKETS] = { "cameras", "leases", "nodes" };

static bool uses_tls(const bus_options *options) {
  return options->ca || options->certificate || strstr(options->servers, "tls://");
}

/* What can be done about it, or NULL. */
static const char *remedy_for(const bus *b, natsStatus status, const char *detail) {
  switch (status) {
    case NATS_SSL_ERROR:
      return strstr(detail, "address mismatch") || strstr(detail, "ostname mismatch")
                 ? "the URL must have a name that is in the server's certificate"
             : strstr(detail, "expired") ? "the server needs a new certificate"
             : strstr(detail, "self-signed") || strstr(detail, "issuer certificate")
                 ? "--ca names a file with the certificate, or its authority's"
                 : NULL;
    case NATS_SECURE_CONNECTION_WANTED: return "the server has no TLS: nats:// without --ca reaches it, unprotected";
    case NATS_CONNECTION_AUTH_FAILED:
      return "the server wants another user and password, or token, in the URL, or other --credentials";
    case NATS_PROTOCOL_ERROR:
    case NATS_IO_ERROR:
    case NATS_CONNECTION_CLOSED:
      return uses_tls(&b->options) ? "the server hung up; it may want a certificate, of an authority that it knows: "
                                     "--certificate and --key"
                                   : NULL;
    case NATS_NO_SERVER: return "nobody answers there";
    case NATS_NO_RESPONDERS: return "the server has no JetStream: nats-server -js";
    case NATS_NOT_PERMITTED: return "the server lets this user do less than an agent must";
    default: return NULL;
  }
}

bus_answer bus_failed(bus *b, natsStatus status, jsErrCode code) {
  const char *detail = nats_GetLastError(NULL);
  if (status == NATS_TIMEOUT) { /* a request that is not allowed has no answer, and the refusal comes by itself */
    const char *refusal = NULL;
    if (natsConnection_GetLastError(b->connection, &refusal) == NATS_NOT_PERMITTED) {
      status = NATS_NOT_PERMITTED;
      detail = refusal;
    }
  }
  const char *place = detail && *detail == '(' ? strstr(detail, "): ") : NULL; /* in the library's source */
  detail = place ? place + 3 : detail && *detail ? detail : natsStatus_GetText(status);
  const char *remedy = remedy_for(b, status, detail);
  snprintf(b->error, sizeof b->error, "%.300s%s%s%s", detail, remedy ? " (" : "", remedy ? remedy : "",
           remedy ? ")" : "");
  if (code == JSStreamWrongLastSequenceErr)
    return BUS_TAKEN;
  return code == JSNoMessageFoundErr ? BUS_ABSENT : BUS_AWAY;
}

const char *bus_error(const bus *b) {
  return b->error;
}

int64_t bus_ttl(const bus *b) {
  return b->ttl_ns;
}

static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *user) {
  (void)connection;
  (void)subscription;
  (void)status;
  (void)user; /* who asked is told by the call; the library would print it */
}

/* The list "a,b" becomes pointers into `text`. */
static int split(char *text, const char **parts, int most) {
  int count = 0;
  for (char *save, *part = strtok_r(text, ",", &save); part && count < most; part = strtok_r(NULL, ",", &save))
    parts[count++] = part;
  return count;
}

/* The list without what stands before an @: users, passwords and tokens. */
static void show_servers(const char *servers, char *shown, size_t size) {
  char *text = strdup(servers);
  const char *parts[SERVERS_MOST];
  size_t used = 0;
  *shown = '\0';
  const int count = text ? split(text, parts, SERVERS_MOST) : 0;
  for (int i = 0; i < count && used < size; i++) {
    const char *at = strrchr(parts[i], '@');
    used += (size_t)snprintf(shown + used, size - used, "%s%s", i ? "," : "", at ? at + 1 : parts[i]);
  }
  free(text);
}

/* All servers together are waited for no longer than for an answer: meanwhile the agent does nothing else. */
static natsStatus set_options(natsOptions *to, const bus_options *options) {
  const char *parts[SERVERS_MOST];
  char *servers = strdup(options->servers);
  natsStatus status = servers ? NATS_OK : NATS_NO_MEMORY;
  const int count = status == NATS_OK ? split(servers, parts, SERVERS_MOST) : 0;
  if (status == NATS_OK)
    status = natsOptions_SetServers(to, parts, count);
  free(servers);
  if (status == NATS_OK && count > 0)
    status = natsOptions_SetTimeout(to, options->wait_ms / count);
  if (status == NATS_OK && uses_tls(options))
    status = natsOptions_SetSecure(to, true);
  if (status == NATS_OK && options->ca)
    status = natsOptions_LoadCATrustedCertificates(to, options->ca);
  if (status == NATS_OK && options->certificate)
    status = natsOptions_LoadCertificatesChain(to, options->certificate, options->key);
  if (status == NATS_OK && options->credentials)
    status = natsOptions_SetUserCredentialsFromFiles(to, options->credentials, NULL);
  if (status == NATS_OK)
    status = natsOptions_SetName(to, options->name);
  return status;
}

/* A server that is gone is noticed by its silence, and looked for again for ever. */
static natsStatus set_patience(natsOptions *to, int64_t wait_ms) {
  natsStatus status = natsOptions_SetPingInterval(to, wait_ms);
  if (status == NATS_OK)
    status = natsOptions_SetMaxPingsOut(to, 2);
  if (status == NATS_OK)
    status = natsOptions_SetMaxReconnect(to, -1);
  if (status == NATS_OK)
    status = natsOptions_SetReconnectWait(to, 250);
  if (status == NATS_OK)
    status = natsOptions_SetFailRequestsOnDisconnect(to, true);
  if (status == NATS_OK)
    status = natsOptions_SetErrorHandler(to, on_error, NULL);
  return status;
}

static void leave_server(bus *b) {
  for (int i = 0; i < BUS_BUCKETS; i++) {
    kvStore_Destroy(b->stores[i]);
    b->stores[i] = NULL;
  }
  jsCtx_Destroy(b->js);
  b->js = NULL;
  natsConnection_Close(b->connection);
  natsConnection_Destroy(b->connection);
  b->connection = NULL;
}

/* The first connection, and one anew after the library has given up: it does so where a server refuses who asks, which
 * may be mended there. Only an attempt by itself says what was wrong, not those that it repeats. */
static bool join_server(bus *b) {
  jsOptions js;
  char why[sizeof b->error];
  leave_server(b);
  jsOptions_Init(&js);
  js.Wait = b->options.wait_ms;
  natsStatus status = natsConnection_Connect(&b->connection, b->wanted);
  if (status == NATS_OK)
    status = natsConnection_JetStream(&b->js, b->connection, &js);
  if (status == NATS_OK)
    return true;
  b->refused = status != NATS_NO_SERVER && status != NATS_TIMEOUT;
  (void)bus_failed(b, status, 0);
  memcpy(why, b->error, sizeof why);
  snprintf(b->error, sizeof b->error, "no connection to %.150s: %.400s", b->shown, why);
  leave_server(b);
  return false;
}

static bool can_read(const char *path) {
  const bool good = path == NULL || access(path, R_OK) == 0;
  if (!good)
    say("%s: %s", path, strerror(errno));
  return good;
}

bus *bus_open(const bus_options *options) {
  bus *b = calloc(1, sizeof *b);
  if (b == NULL)
    return NULL;
  b->options = *options;
  b->ttl_ns = options->ttl_ns;
  show_servers(options->servers, b->shown, sizeof b->shown);
  for (int i = 0; i < BUS_BUCKETS; i++) {
    snprintf(b->streams[i], sizeof b->streams[i], "KV_%s_%s", options->fleet, suffixes[i]);
    snprintf(b->subjects[i], sizeof b->subjects[i], "$KV.%s_%s.", options->fleet, suffixes[i]);
  }
  if (!can_read(options->ca) || !can_read(options->certificate) || !can_read(options->key) ||
      !can_read(options->credentials)) {
    bus_close(b);
    return NULL;
  }
  natsStatus status = natsOptions_Create(&b->wanted);
  if (status == NATS_OK)
    status = set_options(b->wanted, options);
  if (status == NATS_OK)
    status = set_patience(b->wanted, options->wait_ms);
  if (status != NATS_OK) {
    (void)bus_failed(b, status, 0);
    say("%s: %s", b->shown, b->error);
    bus_close(b);
    return NULL;
  }
  return b;
}

void bus_close(bus *b) {
  if (b == NULL)
    return;
  leave_server(b);
  natsOptions_Destroy(b->wanted);
  free(b);
}

static bus_answer make_bucket(bus *b, bus_bucket bucket) {
  char name[128];
  kvConfig config;
  kvConfig_Init(&config);
  snprintf(name, sizeof name, "%s_%s", b->options.fleet, suffixes[bucket]);
  config.Bucket = name;
  config.MaxValueSize = VALUE_MAX;
  config.TTL = bucket == BUS_CAMERAS ? 0 : b->options.ttl_ns;
  config.Replicas = b->options.replicas ? b->options.replicas : 3;
  kvStore *made = NULL;
  natsStatus status = js_CreateKeyValue(&made, b->js, &config);
  if (status != NATS_OK) {
    (void)bus_failed(b, status, 0);
    if (b->options.replicas == 0 && strstr(b->error, "non-clustered")) {
      config.Replicas = 1; /* a cluster that lacks a member says something else, and is asked again */
      status = js_CreateKeyValue(&made, b->js, &config);
    }
  }
  kvStore_Destroy(made);
  return status == NATS_OK ? BUS_OK : bus_failed(b, status, 0);
}

bus_answer bus_reach(bus *b, bus_bucket bucket, jsStreamInfo **info, const char *filter) {
  jsErrCode code = 0;
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = b->options.wait_ms;
  options.Stream.Info.SubjectsFilter = filter;
  natsStatus status = natsConnection_Status(b->connection) == NATS_CONN_STATUS_CONNECTED
                          ? js_GetStreamInfo(info, b->js, b->streams[bucket], &options, &code)
                          : NATS_CONNECTION_DISCONNECTED;
  if (status == NATS_OK)
    return BUS_OK;
  (void)bus_failed(b, status, code);
  return code == JSStreamNotFoundErr ? BUS_ABSENT : BUS_AWAY;
}

static bool find_bucket(bus *b, bus_bucket bucket) {
  jsStreamInfo *info = NULL;
  bus_answer answer = bus_reach(b, bucket, &info, NULL);
  if (answer == BUS_ABSENT && make_bucket(b, bucket) == BUS_OK)
    answer = bus_reach(b, bucket, &info, NULL);
  if (answer != BUS_OK)
    return false;
  if (bucket == BUS_LEASES && info->Config->MaxAge > 0)
    b->ttl_ns = info->Config->MaxAge;
  jsStreamInfo_Destroy(info);
  char name[128];
  snprintf(name, sizeof name, "%s_%s", b->options.fleet, suffixes[bucket]);
  const natsStatus status = js_KeyValue(&b->stores[bucket], b->js, name);
  if (status != NATS_OK)
    (void)bus_failed(b, status, 0);
  return status == NATS_OK;
}

bool bus_is_refused(const bus *b) {
  return b->connection == NULL && b->refused;
}

bool bus_is_there(bus *b) {
  if (natsConnection_IsClosed(b->connection) && !join_server(b))
    return false;
  if (natsConnection_Status(b->connection) != NATS_CONN_STATUS_CONNECTED) {
    snprintf(b->error, sizeof b->error, "no connection to %s", b->shown);
    return false;
  }
  for (int i = 0; i < BUS_BUCKETS; i++)
    if (b->stores[i] == NULL && !find_bucket(b, i))
      return false;
  return true;
}

static void subject_of(const bus *b, bus_bucket bucket, const char *key, char *subject, size_t size) {
  snprintf(subject, size, "%s%s", b->subjects[bucket], key);
}

bus_answer bus_write(bus *b, bus_bucket bucket, const char *key, const char *value, uint64_t expected,
                     uint64_t *revision) {
  char subject[512];
  jsErrCode code = 0;
  jsPubAck *ack = NULL;
  jsPubOptions options;
  natsMsg *message = NULL;
  subject_of(b, bucket, key, subject, sizeof subject);
  jsPubOptions_Init(&options);
  options.MaxWait = b->options.wait_ms;
  options.ExpectNoMessage = expected == 0;
  options.ExpectLastSubjectSeq = expected == BUS_ANYTHING ? 0 : expected;
  natsStatus status = natsConnection_Status(b->connection) == NATS_CONN_STATUS_CONNECTED
                          ? natsMsg_Create(&message, subject, NULL, value, value ? (int)strlen(value) : 0)
                          : NATS_CONNECTION_DISCONNECTED;
  if (status == NATS_OK && value == NULL)
    status = natsMsgHeader_Set(message, "KV-Operation", "DEL");
  if (status == NATS_OK)
    status = js_PublishMsg(&ack, b->js, message, &options, &code);
  natsMsg_Destroy(message);
  if (status != NATS_OK)
    return bus_failed(b, status, code);
  if (revision)
    *revision = ack->Sequence;
  jsPubAck_Destroy(ack);
  return BUS_OK;
}

bus_answer bus_read(bus *b, bus_bucket bucket, const char *key, char **value, uint64_t *revision) {
  char subject[512];
  jsErrCode code = 0;
  natsMsg *message = NULL;
  jsOptions options;
  subject_of(b, bucket, key, subject, sizeof subject);
  jsOptions_Init(&options);
  options.Wait = b->options.wait_ms;
  natsStatus status = natsConnection_Status(b->connection) == NATS_CONN_STATUS_CONNECTED
                          ? js_GetLastMsg(&message, b->js, b->streams[bucket], subject, &options, &code)
                          : NATS_CONNECTION_DISCONNECTED;
  if (status != NATS_OK)
    return status == NATS_NOT_FOUND ? BUS_ABSENT : bus_failed(b, status, code);
  const char *operation = NULL;
  const bool gone = natsMsgHeader_Get(message, "KV-Operation", &operation) == NATS_OK;
  *revision = natsMsg_GetSequence(message);
  *value = gone ? NULL : strndup(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message));
  natsMsg_Destroy(message);
  if (gone)
    return BUS_ABSENT;
  return *value ? BUS_OK : BUS_AWAY;
}

bus_answer bus_keys(bus *b, bus_bucket bucket, void (*each)(void *user, const char *key), void *user, size_t *count) {
  char filter[256];
  jsStreamInfo *info = NULL;
  subject_of(b, bucket, ">", filter, sizeof filter);
  bus_answer answer = bus_reach(b, bucket, &info, each ? filter : NULL);
  if (answer != BUS_OK)
    return answer;
  *count = (size_t)info->State.NumSubjects;
  const jsStreamStateSubjects *subjects = info->State.Subjects;
  for (int i = 0; each && subjects && i < subjects->Count; i++)
    each(user, subjects->List[i].Subject + strlen(b->subjects[bucket]));
  jsStreamInfo_Destroy(info);
  return BUS_OK;
}
