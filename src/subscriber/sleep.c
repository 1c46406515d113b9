/* subscriber/sleep.c - how a subscriber's threads sleep: on a word of the publisher's memory, which they cannot
 * write. So what is to end their sleep without the publisher is a flag of this process, which they read after they
 * announced themselves, and the watcher wakes the word (watcher.c).
 */
#include "os/clock.h"
#include "os/thread.h"
#include "subscriber/subscriber.h"

bool cf_is_interrupted(const cuframes_subscriber *s, enum cf_sleeper who) {
  return cf_flag_get(&s->interruptions) != cf_flag_get(&s->interruptions_seen[who]);
}

bool cf_take_interruption(cuframes_subscriber *s, enum cf_sleeper who) {
  uint32_t count = cf_flag_get(&s->interruptions);
  if (count == cf_flag_get(&s->interruptions_seen[who]))
    return false;
  cf_flag_set(&s->interruptions_seen[who], count); /* several end one wait */
  return true;
}

bool cf_must_not_sleep(const cuframes_subscriber *s, const cf_connection *connection, enum cf_sleeper who) {
  if (who == CF_SLEEPER_LEASES)
    return cf_is_interrupted(s, CF_SLEEPER_FRAMES) || cf_callback_stops(s) || cf_reader_evicted(&connection->reader);
  return (connection && cf_connection_gone(connection)) || cf_is_interrupted(s, who) ||
         (who == CF_SLEEPER_FRAMES ? cf_callback_stops(s) : cf_flag_get(&s->packets.notifier.stop) != 0);
}

__attribute__((hot)) void cf_sleep_for_frame(cuframes_subscriber *s, cf_connection *connection, bool started,
                                             uint64_t last, int64_t deadline) {
  const cf_frame_reader *reader = &connection->reader;
  cf_flag *sleepers = &connection->sleepers[CF_SLEEPER_FRAMES];
  (void)cf_flag_add(sleepers, 1); /* before the flags are read: pairs with sleepers_wake */
  uint32_t word = cf_reader_prepare_wait(reader);
  if (!cf_reader_news(reader, started, last) && !cf_must_not_sleep(s, connection, CF_SLEEPER_FRAMES))
    (void)cf_futex_wait(&reader->control->wake, word, deadline); /* whatever ended it, the caller looks again */
  cf_reader_end_wait(reader);
  (void)cf_flag_add(sleepers, -1);
}

void cf_sleep_for_packet(cuframes_subscriber *s, cf_connection *connection, uint32_t word, int64_t deadline) {
  cf_flag *sleepers = &connection->sleepers[CF_SLEEPER_PACKETS];
  (void)cf_flag_add(sleepers, 1);
  if (!cf_must_not_sleep(s, connection, CF_SLEEPER_PACKETS) && !cf_reader_ended(&connection->reader))
    (void)cf_futex_wait(&connection->packet_reader.region->wake, word, deadline);
  (void)cf_flag_add(sleepers, -1);
}

void cf_sleep_for_connection(cuframes_subscriber *s, enum cf_sleeper who, int64_t deadline) {
  uint32_t seen = cf_flag_get(&s->joins); /* before the look: pairs with cf_joins_announce */
  pthread_mutex_lock(&s->lock);
  bool sleep = !s->connection && !cf_rejoin_is_ready(&s->rejoin);
  pthread_mutex_unlock(&s->lock);
  if (sleep && !cf_must_not_sleep(s, NULL, who))
    (void)cf_futex_wait(&s->joins.value, seen, deadline); /* the caller looks again */
}

void cuframes_subscriber_interrupt(cuframes_subscriber *s) {
  if (!s || !cf_process_is(s->maker))
    return;
  (void)cf_flag_add(&s->interruptions, 1);
  cf_joins_announce(s);
  cf_watcher_ring();
}
