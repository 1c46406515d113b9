/* subscriber/packets.c - reading the packet ring of a stream. */
#include <stdlib.h>
#include <string.h>

#include "api/format.h"
#include "api/options.h"
#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "subscriber/subscriber.h"

#define PADDING 64

/* Packets to use again, of one subscriber; counted, since those that are out outlive it. */
struct cf_packet_pool {
  cf_flag references; /* the subscriber's, and each packet's that is out */
  uint32_t maker;     /* os/process.h */
  pthread_mutex_t lock;
  struct cuframes_packet *idle;
};

struct cuframes_packet {
  cf_packet_pool *pool;
  cf_packet_meta meta;
  cf_flag out;     /* references in callers' hands */
  size_t capacity; /* of data, without the padding */
  uint8_t *data;
  struct cuframes_packet *next;
};

const void *cuframes_packet_data(const cuframes_packet *packet) {
  return packet ? packet->data : NULL;
}
size_t cuframes_packet_size(const cuframes_packet *packet) {
  return packet ? packet->meta.size : 0;
}
uint32_t cuframes_packet_track(const cuframes_packet *packet) {
  return packet ? packet->meta.track : 0;
}
int64_t cuframes_packet_pts(const cuframes_packet *packet) {
  return packet ? packet->meta.pts : CUFRAMES_NO_TIME;
}
int64_t cuframes_packet_dts(const cuframes_packet *packet) {
  return packet ? packet->meta.dts : CUFRAMES_NO_TIME;
}
int64_t cuframes_packet_duration(const cuframes_packet *packet) {
  return packet ? packet->meta.duration : 0;
}
uint32_t cuframes_packet_flags(const cuframes_packet *packet) {
  return packet ? packet->meta.flags : 0;
}
uint64_t cuframes_packet_seq(const cuframes_packet *packet) {
  return packet ? packet->meta.seq : 0;
}

/* ---- packets to use again ---- */

static void packet_free(cuframes_packet *packet) {
  free(packet->data);
  free(packet);
}

static void pool_drop(cf_packet_pool *pool) {
  if (!pool || cf_flag_add(&pool->references, -1) > 0)
    return;
  for (cuframes_packet *packet = pool->idle, *next; packet; packet = next) {
    next = packet->next;
    packet_free(packet);
  }
  pthread_mutex_destroy(&pool->lock);
  free(pool);
}

static cf_packet_pool *pool_create(void) {
  cf_packet_pool *pool = calloc(1, sizeof *pool);
  if (!pool)
    return NULL;
  cf_flag_set(&pool->references, 1);
  pool->maker = cf_process_here();
  pthread_mutex_init(&pool->lock, NULL);
  return pool;
}

/* A packet that is out, and keeps the pool; NULL: out of memory. */
static cuframes_packet *packet_get(cf_packet_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  cuframes_packet *packet = pool->idle;
  if (packet)
    pool->idle = packet->next;
  pthread_mutex_unlock(&pool->lock);
  if (!packet)
    packet = calloc(1, sizeof *packet);
  if (!packet)
    return NULL;
  packet->pool = pool;
  (void)cf_flag_add(&pool->references, 1);
  cf_flag_set(&packet->out, 1);
  return packet;
}

cuframes_packet *cuframes_packet_ref(cuframes_packet *packet) {
  return packet && cf_flag_join(&packet->out) != 0 ? packet : NULL;
}

void cuframes_packet_release(cuframes_packet *packet) {
  if (!packet || cf_flag_take(&packet->out) != 1)
    return;
  cf_packet_pool *pool = packet->pool;
  if (!cf_process_is(pool->maker)) { /* who had the lock when this process was forked may not be here */
    packet_free(packet);
    pool_drop(pool);
    return;
  }
  pthread_mutex_lock(&pool->lock);
  packet->next = pool->idle;
  pool->idle = packet;
  pthread_mutex_unlock(&pool->lock);
  pool_drop(pool);
}

void cf_packet_side_free(cuframes_subscriber *s) {
  cf_packet_side *side = &s->packets;
  pool_drop(side->pool);
  cf_connection_drop(side->connection);
  free(side->extradata);
}

/* ---- reading ---- */

int cuframes_subscriber_enable_packets(cuframes_subscriber *s, uint32_t start) {
  if (!s || start > CUFRAMES_PACKETS_FROM_OLDEST)
    return cf_fail(CUFRAMES_ERR_INVALID,
                   "cuframes_subscriber_enable_packets: subscriber must be given, start is %u (0 to 2)", start);
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_packet_side *side = &s->packets;
  if (side->enabled)
    return CUFRAMES_OK;
  cf_connection *connection;
  int result = cf_subscriber_connection(s, &connection);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_connection_map_packets(connection, (enum cuframes_packet_start)start, CF_NEVER, &s->interrupt);
  if (result != CUFRAMES_OK) {
    cf_connection_drop(connection);
    return result;
  }
  side->pool = pool_create();
  if (!side->pool) {
    cf_connection_drop(connection);
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  }
  side->connection = connection;
  side->start_again =
      start == CUFRAMES_PACKETS_FROM_OLDEST ? CUFRAMES_PACKETS_FROM_OLDEST : CUFRAMES_PACKETS_FROM_KEYFRAME;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    side->params[i] = cf_packet_reader_params(&connection->packet_reader);
  side->enabled = true;
  return CUFRAMES_OK;
}

/* Reads the next packet into `packet`, whose buffer grows to fit. TIMEOUT: nothing there. */
static int packet_read(cf_packet_side *side, cuframes_packet *packet) {
  for (;;) {
    uint64_t lost = 0;
    enum cf_packet_read read =
        cf_packet_read(&side->connection->packet_reader, packet->data, packet->capacity, &packet->meta, &lost);
    cf_counter_add(&side->lost, lost);
    cf_reader_note_packets(&side->connection->reader, read == CF_PACKET_OK, lost);
    if (read == CF_PACKET_OK) {
      memset(packet->data + packet->meta.size, 0, PADDING);
      return CUFRAMES_OK;
    }
    if (read == CF_PACKET_OVERRUN)
      return cf_fail(CUFRAMES_ERR_PACKET_OVERRUN, "%llu packets were overwritten before they were read",
                     (unsigned long long)lost);
    if (read == CF_PACKET_NONE)
      return CUFRAMES_ERR_TIMEOUT;
    if (read == CF_PACKET_BROKEN)
      return cf_fail(CUFRAMES_ERR_PROTOCOL, "invalid packet region from the publisher");
    uint8_t *larger =
        realloc(packet->data, (size_t)packet->meta.size + PADDING); /* CF_PACKET_SMALL; the size is capped */
    if (!larger)
      return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
    packet->data = larger;
    packet->capacity = packet->meta.size;
  }
}

/* Goes over to the publisher that came back. TIMEOUT: not yet. */
static int packets_follow(cuframes_subscriber *s, int64_t deadline) {
  cf_packet_side *side = &s->packets;
  cf_connection *fresh;
  int result = cf_subscriber_connection(s, &fresh);
  if (result != CUFRAMES_OK)
    return result;
  result = fresh == side->connection ? CUFRAMES_ERR_TIMEOUT
                                     : cf_connection_map_packets(fresh, side->start_again, deadline, NULL);
  if (result != CUFRAMES_OK) {
    bool gone = result == CUFRAMES_ERR_PUBLISHER_GONE; /* this one, too: wait for the next */
    if (gone)
      cf_subscriber_retire(s, fresh, CF_FRAMES_LEFT);
    cf_connection_drop(fresh);
    /* its ring may be a moment behind its name */
    return gone || result == CUFRAMES_ERR_NO_PACKET_RING ? CUFRAMES_ERR_TIMEOUT : result;
  }
  cf_connection_drop(side->connection);
  side->connection = fresh;
  side->new_epoch = true;
  memset(side->params, 0, sizeof side->params);
  return CUFRAMES_OK;
}

/* Reads what is there now. */
static int packet_now(cuframes_subscriber *s, cuframes_packet *packet, int64_t deadline, bool *gone) {
  cf_packet_side *side = &s->packets;
  cf_connection *connection = side->connection;
  *gone = cf_connection_gone(connection) || cf_reader_ended(&connection->reader); /* before the look */
  int result = packet_read(side, packet);
  if (result != CUFRAMES_ERR_TIMEOUT || !*gone)
    return result;
  if (!s->reconnect)
    return cf_fail(CUFRAMES_ERR_PUBLISHER_GONE, "the publisher of \"%s\" is gone", s->name);
  cf_subscriber_retire(s, connection, CF_FRAMES_LEFT);
  int64_t turn = cf_now() + 10 * CF_MS; /* one may be interrupted while one waits for an answer */
  result = packets_follow(s, turn < deadline ? turn : deadline);
  if (result != CUFRAMES_OK)
    return result;
  *gone = false;
  return packet_read(side, packet);
}

/* Sleeps until there may be a packet. */
static void packet_sleep(cuframes_subscriber *s, bool gone, int64_t deadline) {
  cf_connection *connection = s->packets.connection;
  if (gone) {
    int64_t soon = cf_now() + 10 * CF_MS; /* the connection may be back, and its ring not yet */
    cf_connection *fresh = cf_subscriber_current(s);
    if (fresh)
      (void)cf_futex_wait(&s->joins.value, cf_flag_get(&s->joins), soon < deadline ? soon : deadline);
    else
      cf_sleep_for_connection(s, CF_SLEEPER_PACKETS, deadline);
    cf_connection_drop(fresh);
    return;
  }
  uint32_t word = cf_reader_prepare_packet_wait(&connection->reader, &connection->packet_reader.region->wake);
  if (!cf_packet_reader_news(&connection->packet_reader)) {
    cf_reader_note_packet_wait(&connection->reader, word);
    cf_sleep_for_packet(s, connection, word, deadline);
  }
  cf_reader_end_packet_wait(&connection->reader);
}

/* The flags that depend on what this reader had before: packets that were lost may have had them. */
static void packet_flag(cf_packet_side *side, cf_packet_meta *meta) {
  uint32_t *known = &side->params[meta->track];
  if ((int32_t)(meta->params - *known) > 0) {
    meta->flags |= CUFRAMES_PACKET_NEW_PARAMS;
    *known = meta->params;
  }
  if (side->new_epoch)
    meta->flags |= CUFRAMES_PACKET_DISCONTINUITY;
  side->new_epoch = false;
}

int cuframes_subscriber_next_packet(cuframes_subscriber *s, int64_t timeout_ns, cuframes_packet **packet) {
  if (!s || !packet)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_next_packet: subscriber and packet must be given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_packet_side *side = &s->packets;
  if (!side->enabled)
    return cf_fail(CUFRAMES_ERR_NO_PACKET_RING, "call cuframes_subscriber_enable_packets() first");
  cuframes_packet *p = packet_get(side->pool);
  if (!p)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  int64_t deadline = cf_deadline(timeout_ns);
  int result;
  for (bool gone;; packet_sleep(s, gone, deadline)) {
    result = packet_now(s, p, deadline, &gone);
    if (result != CUFRAMES_ERR_TIMEOUT)
      break;
    if (cf_take_interruption(s, CF_SLEEPER_PACKETS)) {
      result = cf_fail(CUFRAMES_ERR_INTERRUPTED, "cuframes_subscriber_interrupt() was called");
      break;
    }
    if (cf_now() >= deadline) {
      result = cf_fail(CUFRAMES_ERR_TIMEOUT, "no packet in the time given");
      if (!gone)
        cf_source_explain(side->connection, "packet");
      cf_packet_notifier_arm(s, gone);
      break;
    }
  }
  if (result != CUFRAMES_OK) {
    cuframes_packet_release(p);
    return result;
  }
  packet_flag(side, &p->meta);
  cf_counter_add(&side->delivered, 1);
  *packet = p;
  return CUFRAMES_OK;
}

/* ---- codec parameters ---- */

int cuframes_subscriber_track_count(cuframes_subscriber *s, uint32_t *count) {
  if (!s || !count)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_subscriber_track_count: subscriber and count must be given");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_connection *connection;
  cf_msg_packets packets;
  cf_question question = { CF_MSG_GET_PACKETS, CF_MSG_PACKETS, 0, CF_NEVER, &s->interrupt };
  int fd;
  int result = cf_subscriber_connection(s, &connection);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_connection_ask(connection, &question, &packets, &fd);
  if (result == CUFRAMES_OK)
    cf_discard(fd, connection->fd);
  cf_connection_drop(connection);
  if (result != CUFRAMES_OK)
    return result;
  *count = packets.track_count;
  return CUFRAMES_OK;
}

/* What a publisher says is checked as what an application says. */
static int params_of(const cf_msg_codec *codec, cuframes_codec_params *params) {
  *params = (cuframes_codec_params){ .media_type = codec->media_type,
                                     .profile = codec->profile,
                                     .level = codec->level,
                                     .width = codec->width,
                                     .height = codec->height,
                                     .frame_rate_num = codec->frame_rate_num,
                                     .frame_rate_den = codec->frame_rate_den,
                                     .sample_rate = codec->sample_rate,
                                     .channels = codec->channels,
                                     .frame_size = codec->frame_size,
                                     .time_base_num = codec->time_base_num,
                                     .time_base_den = codec->time_base_den,
                                     .color = cf_color_unpack(codec->color),
                                     .bit_rate = codec->bit_rate,
                                     .chroma_location = (uint8_t)codec->chroma_location,
                                     .field_order = (uint8_t)codec->field_order,
                                     .orientation = (uint8_t)codec->orientation,
                                     .sample_aspect_num = codec->sample_aspect[0],
                                     .sample_aspect_den = codec->sample_aspect[1] };
  memcpy(params->codec, codec->codec, sizeof params->codec);
  if (!cf_light_from_wire(codec, params) ||
      cf_format_words_check(params->color, codec->chroma_location, codec->field_order, codec->orientation) ||
      cf_format_aspect_check(codec->sample_aspect[0], codec->sample_aspect[1]))
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the publisher's track %u has impossible parameters", codec->track);
  return CUFRAMES_OK;
}

int cuframes_subscriber_get_codec_params(cuframes_subscriber *s, uint32_t track, cuframes_codec_params *params,
                                         const void **extradata, size_t *extradata_size) {
  if (!s || (extradata && !extradata_size))
    return cf_fail(CUFRAMES_ERR_INVALID,
                   "cuframes_subscriber_get_codec_params: subscriber must be given, extradata with its size");
  if (cf_subscriber_check(s) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  cf_connection *connection;
  cuframes_codec_params now;
  cf_msg_codec codec;
  uint8_t *copy;
  int result = cf_subscriber_connection(s, &connection);
  if (result != CUFRAMES_OK)
    return result;
  result = cf_connection_ask_codec(connection, track, &s->interrupt, &codec, &copy);
  cf_connection_drop(connection);
  if (result != CUFRAMES_OK)
    return result;
  result = params_of(&codec, &now);
  if (result == CUFRAMES_OK && params)
    result = cf_stats_give(params, &now, sizeof now, "cuframes_codec_params");
  if (result != CUFRAMES_OK) {
    free(copy);
    return result;
  }
  if (extradata) {
    *extradata = copy;
    *extradata_size = codec.extradata.length;
  }
  pthread_mutex_lock(&s->packets.lock);
  void *old = s->packets.extradata;
  s->packets.extradata = copy;
  pthread_mutex_unlock(&s->packets.lock);
  free(old);
  return CUFRAMES_OK;
}
