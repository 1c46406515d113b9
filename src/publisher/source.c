/* publisher/source.c - what the application says of its source: on the control page, and to monitors. */
#include <string.h>

#include "api/options.h"
#include "os/clock.h"
#include "os/error.h"
#include "publisher/publisher.h"

static int source_check(const cuframes_source_info *source, int64_t now) {
  if (source->state > CUFRAMES_SOURCE_REFUSED)
    return cf_fail(CUFRAMES_ERR_INVALID, "the source's state is %u: expected 0 to %d (enum cuframes_source_state)",
                   source->state, CUFRAMES_SOURCE_REFUSED);
  if (source->since < 0 || source->since > now)
    return cf_fail(CUFRAMES_ERR_INVALID, "the source's state is so since a time that is still to come, or negative: "
                                         "expected 0 (now) or a CLOCK_MONOTONIC time that has passed");
  if (source->next_attempt < 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "the source's next attempt has a negative time: expected 0 (none) or more");
  if (source->reserved[0] || source->reserved[1])
    return cf_fail(CUFRAMES_ERR_INVALID, "a reserved field of the source is not 0: clear the struct first");
  return CUFRAMES_OK;
}

/* Ends the text where there is room for no more, and not within a character. */
static void reason_cut(char reason[CUFRAMES_REASON_MAX + 1]) {
  size_t length = strnlen(reason, CUFRAMES_REASON_MAX);
  if (length == CUFRAMES_REASON_MAX && reason[length] != '\0')
    while (length > 0 && ((uint8_t)reason[length] & 0xc0) == 0x80)
      length--;
  memset(reason + length, 0, CUFRAMES_REASON_MAX + 1 - length);
}

/* Attempts that fail one after the other are one loss, and what was never there is none. */
static bool is_lost(uint32_t from, uint32_t to) {
  return (from == CUFRAMES_SOURCE_LIVE || from == CUFRAMES_SOURCE_STALLED) &&
         (to == CUFRAMES_SOURCE_RECONNECTING || to == CUFRAMES_SOURCE_REFUSED);
}

int cuframes_publisher_set_source(cuframes_publisher *p, const cuframes_source_info *given) {
  cuframes_source_info source;
  int64_t now = cf_now();
  if (!p || !given)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_set_source: publisher and source must be given");
  int result = cf_publisher_check(p);
  if (result == CUFRAMES_OK)
    result = cf_options_copy(&source, sizeof source, given, "cuframes_source_info");
  if (result == CUFRAMES_OK)
    result = source_check(&source, now);
  if (result != CUFRAMES_OK)
    return result;
  reason_cut(source.reason);
  cf_source *own = &p->source;
  pthread_mutex_lock(&own->lock);
  if (source.since == 0)
    source.since = source.state == own->state && own->since != 0 ? own->since : now;
  if (source.state == CUFRAMES_SOURCE_UNKNOWN)
    source.since = 0;
  if (is_lost(own->state, source.state))
    own->reconnects++;
  own->state = source.state;
  own->since = source.since;
  own->attempt = source.next_attempt;
  memcpy(own->reason, source.reason, sizeof own->reason);
  cf_writer_set_source(&p->writer, cf_source_word(source.state, source.since));
  pthread_mutex_unlock(&own->lock);
  return CUFRAMES_OK;
}

void cf_source_describe(cuframes_publisher *p, cf_msg_info *info) {
  cf_source *own = &p->source;
  pthread_mutex_lock(&own->lock);
  info->source_state = own->state;
  info->source_since = own->since;
  info->source_attempt = own->attempt;
  info->reconnects = own->reconnects;
  memcpy(info->source_reason, own->reason, sizeof info->source_reason);
  pthread_mutex_unlock(&own->lock);
}
