/* subscriber/source.c - what the publisher says of its source, as the control page has it. */
#include "api/options.h"
#include "os/clock.h"
#include "os/error.h"
#include "subscriber/subscriber.h"

int cuframes_subscriber_get_source(cuframes_subscriber *s, cuframes_source_info *source) {
  if (!s)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_get_source: no subscriber given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_connection *connection = cf_subscriber_current(s);
  if (!connection || cf_connection_gone(connection) || cf_reader_ended(&connection->reader)) {
    cf_connection_drop(connection);
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  }
  uint64_t word = cf_reader_source(&connection->reader);
  cf_connection_drop(connection);
  cuframes_source_info given = { .state = cf_source_word_state(word), .since = cf_source_word_since(word) };
  return cf_stats_give(source, &given, sizeof given, "cuframes_source_info");
}

void cf_source_explain(const cf_connection *connection, const char *missing) {
  const uint64_t word = cf_reader_source(&connection->reader);
  const uint32_t state = cf_source_word_state(word);
  const char *name = cuframes_source_state_name(state);
  if (state == CUFRAMES_SOURCE_UNKNOWN || state == CUFRAMES_SOURCE_LIVE || !name)
    return;
  const int64_t passed = cf_now() - cf_source_word_since(word);
  cf_fail(CUFRAMES_ERR_TIMEOUT, "no %s in the time given; the source: %s for %.1f s (`cuframes info` says more)",
          missing, name, passed > 0 ? (double)passed / (double)CF_SECOND : 0.0);
}
