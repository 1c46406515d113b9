/* publisher/packets.c - the packet ring of a publisher. */
#include <stdlib.h>
#include <string.h>

#include "api/format.h"
#include "api/options.h"
#include "api/packet.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "os/thread.h"
#include "publisher/publisher.h"

#define RING_SLOTS 64
#define RING_DATA (UINT64_C(8) << 20)
#define RING_PACKET (UINT64_C(2) << 20)
#define RING_NAME "cuframes-packets"

void cf_packets_init(cf_packets *packets) {
  packets->fd = -1;
  pthread_mutex_init(&packets->lock, NULL);
  pthread_mutex_init(&packets->describe, NULL);
}

uint32_t cf_packets_wake(cf_packets *packets) {
  pthread_mutex_lock(&packets->lock);
  const uint32_t wake = packets->enabled ? cf_packet_writer_wake(&packets->writer) : 0;
  pthread_mutex_unlock(&packets->lock);
  return wake;
}

void cf_packets_free(cf_packets *packets) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    free(packets->tracks[i].extradata);
  cf_memory_unmap(packets->region, packets->bytes);
  cf_close(packets->fd);
  pthread_mutex_destroy(&packets->lock);
  pthread_mutex_destroy(&packets->describe);
}

static int ring_options(const cuframes_packet_ring_options *options, cuframes_packet_ring_options *o) {
  int result = cf_options_copy(o, sizeof *o, options, "cuframes_packet_ring_options");
  if (result != CUFRAMES_OK)
    return result;
  if (o->slots > CF_PACKET_SLOTS_MAX || o->data_bytes > CF_PACKET_DATA_MAX)
    return cf_fail(CUFRAMES_ERR_INVALID, "a packet ring of %u slots and %llu bytes: at most %u and %llu", o->slots,
                   (unsigned long long)o->data_bytes, CF_PACKET_SLOTS_MAX, CF_PACKET_DATA_MAX);
  uint32_t slots = 2;
  while (slots < (o->slots ? o->slots : RING_SLOTS))
    slots *= 2;
  o->slots = slots;
  o->data_bytes = ((o->data_bytes ? o->data_bytes : RING_DATA) + 63) & ~UINT64_C(63);
  if (o->max_packet == 0)
    o->max_packet = o->data_bytes / 4 < RING_PACKET ? o->data_bytes / 4 : RING_PACKET;
  if (o->max_packet > o->data_bytes)
    return cf_fail(CUFRAMES_ERR_INVALID, "the largest packet (%llu bytes) must fit the ring (%llu)",
                   (unsigned long long)o->max_packet, (unsigned long long)o->data_bytes);
  return CUFRAMES_OK;
}

/* Of the ring, what readers look at before there is a packet. */
static uint64_t ring_head(uint64_t bytes) {
  const uint64_t head = cf_page_round(sizeof(cf_packet_region));
  return head < bytes ? head : bytes;
}

static int ring_create(cf_packets *packets, const cuframes_packet_ring_options *o) {
  uint64_t bytes = cf_packet_region_bytes(o->slots, o->data_bytes);
  int fd;
  void *region;
  int result = cf_memory_create_sparse(RING_NAME, bytes, ring_head(bytes), CF_SEAL_PUBLIC, &fd, &region);
  if (result != CUFRAMES_OK)
    return result;
  if (!cf_packet_writer_init(&packets->writer, region, o->slots, o->data_bytes, o->max_packet, 1)) {
    cf_memory_unmap(region, bytes);
    cf_close(fd);
    return cf_fail(CUFRAMES_ERR_INVALID, "a packet ring cannot have these sizes");
  }
  pthread_mutex_lock(&packets->describe);
  packets->fd = fd;
  packets->region = region;
  packets->bytes = bytes;
  packets->enabled = true;
  pthread_mutex_unlock(&packets->describe);
  cf_counter_set(&packets->memory_bytes, ring_head(bytes));
  return CUFRAMES_OK;
}

/* With the lock held: the whole ring, for the first track. A stream that waits for its camera, or whose pictures are
 * not encoded, does without. */
static int ring_reserve(cf_packets *packets) {
  if (packets->reserved)
    return CUFRAMES_OK;
  int result = cf_memory_reserve(RING_NAME, packets->fd, ring_head(packets->bytes), packets->bytes);
  if (result != CUFRAMES_OK)
    return result;
  packets->reserved = true;
  cf_counter_set(&packets->memory_bytes, packets->bytes);
  return CUFRAMES_OK;
}

int cuframes_publisher_enable_packets(cuframes_publisher *p, const cuframes_packet_ring_options *options) {
  cuframes_packet_ring_options o;
  if (!p)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_enable_packets: no publisher given");
  int result = cf_publisher_check(p);
  if (result == CUFRAMES_OK)
    result = ring_options(options, &o);
  if (result != CUFRAMES_OK)
    return result;
  pthread_mutex_lock(&p->packets.lock);
  result = p->packets.enabled ? cf_fail(CUFRAMES_ERR_BUSY, "the stream has its packet ring already")
                              : ring_create(&p->packets, &o);
  pthread_mutex_unlock(&p->packets.lock);
  return result;
}

static int no_ring(void) {
  return cf_fail(CUFRAMES_ERR_NO_PACKET_RING, "call cuframes_publisher_enable_packets() first");
}

static int bad_track(uint32_t track) {
  return cf_fail(CUFRAMES_ERR_INVALID, "track %u: expected 0 to %d", track, CUFRAMES_TRACKS_MAX - 1);
}

/* The next packet of the stream tells readers to ask for the parameters anew. */
static void params_changed(cf_packets *packets, uint32_t track) {
  packets->new_params |= 1u << track;
  packets->tracks[track].generation = ++packets->params_generation;
  cf_packet_writer_params(&packets->writer, packets->params_generation);
}

static int params_check(const cuframes_codec_params *params) {
  uint32_t reserved = params->reserved8;
  for (size_t i = 0; i < sizeof params->reserved / sizeof params->reserved[0]; i++)
    reserved |= params->reserved[i];
  if (params->media_type < CUFRAMES_MEDIA_VIDEO || params->media_type > CUFRAMES_MEDIA_DATA ||
      params->codec[0] == '\0' || !memchr(params->codec, '\0', sizeof params->codec))
    return cf_fail(CUFRAMES_ERR_INVALID, "codec parameters need a media type (1 to 3, got %u) and a codec name",
                   params->media_type);
  if (reserved)
    return cf_fail(CUFRAMES_ERR_INVALID, "a reserved field of the codec parameters is not 0: clear the struct first");
  if (cf_format_words_check(params->color, params->chroma_location, params->field_order, params->orientation) ||
      cf_format_aspect_check(params->sample_aspect_num, params->sample_aspect_den))
    return CUFRAMES_ERR_INVALID; /* the detail says which */
  return CUFRAMES_OK;
}

int cuframes_publisher_set_codec_params(cuframes_publisher *p, uint32_t track, const cuframes_codec_params *given) {
  cuframes_codec_params params;
  if (!p || !given)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_set_codec_params: publisher and params must be given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  if (track >= CUFRAMES_TRACKS_MAX)
    return bad_track(track);
  int result = cf_options_copy(&params, sizeof params, given, "cuframes_codec_params");
  if (result == CUFRAMES_OK)
    result = params_check(&params);
  if (result != CUFRAMES_OK)
    return result;
  cf_packets *packets = &p->packets;
  pthread_mutex_lock(&packets->lock);
  result = packets->enabled ? ring_reserve(packets) : no_ring();
  if (result == CUFRAMES_OK) {
    pthread_mutex_lock(&packets->describe);
    cf_track *e = &packets->tracks[track];
    packets->track_count += !e->set;
    e->set = true;
    e->params = params;
    pthread_mutex_unlock(&packets->describe);
    params_changed(packets, track);
  }
  pthread_mutex_unlock(&packets->lock);
  return result;
}

int cuframes_publisher_set_codec_extradata(cuframes_publisher *p, uint32_t track, const void *extradata, size_t size) {
  if (!p || (!extradata && size > 0))
    return cf_fail(CUFRAMES_ERR_INVALID,
                   "cuframes_publisher_set_codec_extradata: publisher and extradata must be given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  if (track >= CUFRAMES_TRACKS_MAX)
    return bad_track(track);
  if (size > CUFRAMES_EXTRADATA_MAX)
    return cf_fail(CUFRAMES_ERR_INVALID, "extradata of %zu bytes: at most %d", size, CUFRAMES_EXTRADATA_MAX);
  void *copy = size > 0 ? malloc(size) : NULL;
  if (size > 0 && !copy)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  if (copy)
    memcpy(copy, extradata, size);
  cf_packets *packets = &p->packets;
  pthread_mutex_lock(&packets->lock);
  int result = packets->enabled ? CUFRAMES_OK : no_ring();
  if (result == CUFRAMES_OK) {
    pthread_mutex_lock(&packets->describe);
    cf_track *e = &packets->tracks[track];
    void *old = e->extradata;
    e->extradata = copy;
    e->extradata_size = size;
    copy = old;
    pthread_mutex_unlock(&packets->describe);
    params_changed(packets, track);
  }
  pthread_mutex_unlock(&packets->lock);
  free(copy);
  return result;
}

/* Where a late reader may start: a video keyframe; without video, any keyframe. */
static bool is_start(const cf_packets *packets, const cuframes_packet_info *packet) {
  if (!(packet->flags & CUFRAMES_PACKET_KEY))
    return false;
  if (packets->tracks[packet->track].params.media_type == CUFRAMES_MEDIA_VIDEO)
    return true;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (packets->tracks[i].set && packets->tracks[i].params.media_type == CUFRAMES_MEDIA_VIDEO)
      return false;
  return true;
}

static int packet_check(const cuframes_publisher *p, const cuframes_packet_info *packet) {
  const cf_packets *packets = &p->packets;
  if (!packets->enabled)
    return no_ring();
  if (packet->track >= CUFRAMES_TRACKS_MAX)
    return bad_track(packet->track);
  if (!packet->data || packet->size == 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "a packet without data");
  if (!packets->tracks[packet->track].set)
    return cf_fail(CUFRAMES_ERR_NO_CODEC_PARAMS, "describe track %u with cuframes_publisher_set_codec_params() first",
                   packet->track);
  if (packet->size > packets->writer.max_packet)
    return cf_fail(CUFRAMES_ERR_PACKET_OVERSIZED, "a packet of %zu bytes: the ring takes at most %llu", packet->size,
                   (unsigned long long)packets->writer.max_packet);
  return CUFRAMES_OK;
}

int cuframes_publisher_publish_packet(cuframes_publisher *p, const cuframes_packet_info *info) {
  return cf_publish_packet_of(p, info, NULL);
}

static void packet_rate(cuframes_publisher *p, const cf_packet_meta *meta) {
  bool is_video = p->packets.tracks[meta->track].params.media_type == CUFRAMES_MEDIA_VIDEO;
  cf_rated_packet packet = { .size = meta->size,
                             .now = cf_now(),
                             .time = meta->dts != CUFRAMES_NO_TIME ? meta->dts : meta->pts,
                             .is_video_key = is_video && (meta->flags & CUFRAMES_PACKET_KEY) };
  if (meta->flags & CUFRAMES_PACKET_DISCONTINUITY) /* of all tracks, whichever comes first */
    for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
      cf_rate_restart(&p->rates[i]);
  cf_rate_count(&p->rates[meta->track], &packet);
}

/* Whether the packet may be one of that codec. */
static int codec_check(const cf_packets *packets, uint32_t track, const char *codec) {
  const char *described = packets->tracks[track].params.codec;
  if (codec && strcmp(described, codec) != 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "track %u is %s, not %s", track, described, codec);
  return CUFRAMES_OK;
}

int cf_publish_packet_of(cuframes_publisher *p, const cuframes_packet_info *info, const char *codec) {
  cuframes_packet_info packet;
  if (!p || !info)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_publish_packet: publisher and packet must be given");
  if (cf_publisher_check(p) != CUFRAMES_OK)
    return CUFRAMES_ERR_INVALID;
  int result = cf_options_copy(&packet, sizeof packet, info, "cuframes_packet_info");
  if (result != CUFRAMES_OK)
    return result;
  cf_packets *packets = &p->packets;
  pthread_mutex_lock(&packets->lock);
  result = packet_check(p, &packet);
  if (result == CUFRAMES_OK)
    result = codec_check(packets, packet.track, codec);
  if (result == CUFRAMES_OK) {
    uint32_t bit = 1u << packet.track;
    uint32_t flags = packet.flags & (CUFRAMES_PACKET_KEY | CUFRAMES_PACKET_DISCONTINUITY | CUFRAMES_PACKET_CORRUPT |
                                     CUFRAMES_PACKET_HIDDEN | CUFRAMES_PACKET_DISPOSABLE);
    flags |= (packets->new_params & bit ? CUFRAMES_PACKET_NEW_PARAMS : 0) |
             (packets->new_epoch ? CUFRAMES_PACKET_DISCONTINUITY : 0);
    packets->new_params &= ~bit;
    packets->new_epoch = false;
    cf_packet_meta meta = { .size = (uint32_t)packet.size,
                            .track = packet.track,
                            .flags = flags,
                            .params = packets->tracks[packet.track].generation,
                            .pts = packet.pts,
                            .dts = packet.dts,
                            .duration = packet.duration };
    (void)cf_packet_write(&packets->writer, &meta, packet.data, is_start(packets, &packet)); /* its size was checked */
    uint32_t sleepers = cf_writer_packet_sleepers(&p->writer);
    if (sleepers > 0 && (sleepers <= CF_WAKE_DIRECT || !cf_waker_takes_packet(p, cf_now())))
      (void)cf_futex_wake(&packets->writer.region->wake, INT32_MAX);
    cf_counter_add(&packets->count, 1);
    cf_counter_add(&packets->byte_count, packet.size);
    packet_rate(p, &meta);
  }
  pthread_mutex_unlock(&packets->lock);
  return result;
}
