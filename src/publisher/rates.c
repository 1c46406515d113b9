/* publisher/rates.c - see rates.h. */
#include "publisher/rates.h"

#include <cuframes/common.h>

/* A step's number and its bytes stand in one word, so that bytes are never counted for another half second. */
#define BYTE_BITS 40
#define BYTES_MOST ((UINT64_C(1) << BYTE_BITS) - 1)

static uint64_t step_number(int64_t now) {
  return (uint64_t)(now / CF_RATE_STEP) & (UINT64_MAX >> BYTE_BITS);
}

static void bytes_count(cf_track_rate *rate, int64_t now, uint64_t size) {
  uint64_t number = step_number(now);
  cf_counter *step = &rate->steps[number % CF_RATE_STEPS];
  uint64_t word = cf_counter_get(step);
  uint64_t bytes = word >> BYTE_BITS == number ? word & BYTES_MOST : 0;
  bytes = size < BYTES_MOST - bytes ? bytes + size : BYTES_MOST;
  cf_counter_set(step, number << BYTE_BITS | bytes);
}

static void interval_note(cf_track_rate *rate, uint64_t ns, uint64_t frames) {
  cf_keyframe_interval longest = { ns, frames };
  rate->intervals[rate->interval_count++ % CF_RATE_INTERVALS] = longest;
  for (uint64_t i = 0; i < CF_RATE_INTERVALS && i < rate->interval_count; i++) {
    const cf_keyframe_interval *one = &rate->intervals[i];
    longest.ns = one->ns > longest.ns ? one->ns : longest.ns;
    longest.frames = one->frames > longest.frames ? one->frames : longest.frames;
  }
  cf_counter_set(&rate->last_ns, ns);
  cf_counter_set(&rate->last_frames, frames);
  cf_counter_set(&rate->longest_ns, longest.ns);
  cf_counter_set(&rate->longest_frames, longest.frames);
}

/* Times that go back say nothing of how far apart two keyframes are. */
static void keyframe_count(cf_track_rate *rate, uint64_t number, const cf_rated_packet *packet) {
  bool timed = packet->time != CUFRAMES_NO_TIME && rate->key_time != CUFRAMES_NO_TIME;
  int64_t from = timed ? rate->key_time : rate->key_came, to = timed ? packet->time : packet->now;
  if (rate->key_packet != 0 && to > from)
    interval_note(rate, (uint64_t)to - (uint64_t)from, number - rate->key_packet);
  rate->key_packet = number;
  rate->key_time = packet->time;
  rate->key_came = packet->now;
  cf_counter_set(&rate->newest_key, (uint64_t)packet->now);
}

void cf_rate_count(cf_track_rate *rate, const cf_rated_packet *packet) {
  uint64_t number = cf_counter_get(&rate->packets) + 1;
  if (number == 1)
    cf_counter_set(&rate->first, (uint64_t)packet->now);
  if (packet->is_video_key)
    keyframe_count(rate, number, packet);
  bytes_count(rate, packet->now, packet->size);
  cf_counter_set(&rate->newest, (uint64_t)packet->now);
  cf_counter_set(&rate->packets, number);
}

void cf_rate_restart(cf_track_rate *rate) {
  rate->key_packet = 0;
}

uint64_t cf_rate_bits(const cf_track_rate *rate, int64_t now) {
  uint64_t current = step_number(now), bytes = 0;
  int64_t first = (int64_t)cf_counter_get(&rate->first), newest = (int64_t)cf_counter_get(&rate->newest);
  int64_t begin = (now / CF_RATE_STEP - (CF_RATE_STEPS - 1)) * CF_RATE_STEP; /* of the oldest step that counts */
  if (first == 0 || now - first < CF_SECOND || newest < begin)
    return 0;
  for (size_t i = 0; i < CF_RATE_STEPS; i++) {
    uint64_t word = cf_counter_get(&rate->steps[i]);
    if (((current - (word >> BYTE_BITS)) & (UINT64_MAX >> BYTE_BITS)) < CF_RATE_STEPS)
      bytes += word & BYTES_MOST;
  }
  if (first > begin)
    begin = first;
  return (uint64_t)((double)bytes * 8e9 / (double)(now - begin));
}
