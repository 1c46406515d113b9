/* stream.c - see stream.h.
 *
 * Locks, in this order: `lock` is held for reading by whoever uses the publisher, and for writing by who makes or ends
 * it; `format_lock` and `state_lock` are for the fields behind them, and are never held while something is waited
 * for. */
#include "stream.h"

#include <string.h>

#include "access.h"
#include "plugin.h"

#define GST_CAT_DEFAULT cf_gst_debug

#define SLICE (100 * GST_MSECOND) /* how long a wait goes on before it looks whether it is to stop */

/* A pad that is part of the stream; only its address is looked at. */
typedef struct pad_entry {
  gconstpointer pad;
  cf_gst_pad_state state;
} pad_entry;

struct cf_gst_stream {
  gatomicrefcount references;
  GRWLock lock;
  cuframes_publisher *publisher; /* NULL: closed */
  guint opening;
  gint64 ordered_timeout, wait_timeout;
  guint wait_subscribers, lent_most;
  gint lent; /* atomic; slots that upstream has */

  GMutex format_lock;
  cuframes_format format; /* all zero: none yet */

  GMutex state_lock;
  GArray *pads; /* of pad_entry */
  gboolean playing, waited;
  guint32 source; /* what was said of it, enum cuframes_source_state */
  guint64 counts[CF_GST_COUNTS];
  cuframes_publisher_stats last; /* of the stream that was closed */
};

cf_gst_stream *cf_gst_stream_new(void) {
  cf_gst_stream *stream = g_new0(cf_gst_stream, 1);
  g_atomic_ref_count_init(&stream->references);
  g_rw_lock_init(&stream->lock);
  g_mutex_init(&stream->format_lock);
  g_mutex_init(&stream->state_lock);
  stream->pads = g_array_new(FALSE, FALSE, sizeof(pad_entry));
  return stream;
}

cf_gst_stream *cf_gst_stream_ref(cf_gst_stream *stream) {
  g_atomic_ref_count_inc(&stream->references);
  return stream;
}

void cf_gst_stream_unref(cf_gst_stream *stream) {
  if (!g_atomic_ref_count_dec(&stream->references))
    return;
  cf_gst_stream_close(stream);
  g_array_unref(stream->pads);
  g_mutex_clear(&stream->state_lock);
  g_mutex_clear(&stream->format_lock);
  g_rw_lock_clear(&stream->lock);
  g_free(stream);
}

/* ---- what the source does ---- */

static guint32 source_of(const cf_gst_stream *stream) {
  guint ready = 0, ended = 0;
  for (guint i = 0; i < stream->pads->len; i++) {
    const cf_gst_pad_state state = g_array_index(stream->pads, pad_entry, i).state;
    ready += state != CF_GST_PAD_NEW;
    ended += state == CF_GST_PAD_ENDED;
  }
  if (stream->pads->len > 0 && ended == stream->pads->len)
    return CUFRAMES_SOURCE_ENDED;
  if (ready < stream->pads->len || ready == 0)
    return CUFRAMES_SOURCE_CONNECTING;
  if (stream->playing)
    return CUFRAMES_SOURCE_LIVE;
  return stream->source == CUFRAMES_SOURCE_CONNECTING ? CUFRAMES_SOURCE_CONNECTING : CUFRAMES_SOURCE_STALLED;
}

/* With both locks held, or nobody else there yet: says it where it is another one. */
static void source_update(cf_gst_stream *stream) {
  cuframes_source_info info = { .struct_size = sizeof info, .state = source_of(stream) };
  if (!stream->publisher || info.state == stream->source)
    return;
  if (info.state == CUFRAMES_SOURCE_STALLED)
    g_strlcpy(info.reason, "the pipeline is paused", sizeof info.reason);
  stream->source = info.state;
  (void)cuframes_publisher_set_source(stream->publisher, &info); /* which cannot fail with this */
}

/* ---- open and close ---- */

/* Slots that upstream may have: one is the newest frame, and one is for the sink to copy into. */
static guint lent_most(const cf_gst_settings *settings) {
  return settings->max_slots ? MIN(settings->max_open, MAX(settings->max_slots, 2) - 2) : settings->max_open;
}

static cuframes_publisher_options options_of(const cf_gst_settings *settings,
                                             const cuframes_packet_ring_options *ring) {
  return (cuframes_publisher_options){
    .struct_size = sizeof(cuframes_publisher_options),
    .policy = (uint32_t)settings->policy,
    .directory = settings->directory,
    .device = settings->device ? settings->device : "host",
    .description = settings->description ? settings->description : "GStreamer",
    .slots = settings->slots,
    .max_slots = settings->max_slots,
    .max_open = lent_most(settings) + 1,
    .ordered_timeout_ns = (int64_t)settings->ordered_timeout,
    .socket_mode = settings->mode,
    .side_data_max = settings->side_data,
    .packets = ring,
    .log = cf_gst_log,
    .reserve = (uint32_t)settings->reserve,
  };
}

/* Who may join, into the options; the lists are the caller's, also on failure. */
static int access_of(const cf_gst_settings *settings, cuframes_publisher_options *options, guint32 **users,
                     guint32 **groups) {
  guint32 *owner = NULL;
  gsize owners = 0;
  int result = cf_gst_groups(settings->group, &owner, &owners);
  if (result == CUFRAMES_OK && owners > 1)
    result = cuframes_set_last_error(CUFRAMES_ERR_INVALID, "the property group takes one group");
  if (result == CUFRAMES_OK && owners == 1)
    options->socket_gid = owner[0];
  if (result == CUFRAMES_OK)
    result = cf_gst_users(settings->allow_users, users, &options->allow_uid_count);
  if (result == CUFRAMES_OK)
    result = cf_gst_groups(settings->allow_groups, groups, &options->allow_gid_count);
  options->allow_uids = *users;
  options->allow_gids = *groups;
  if (*users || *groups)
    options->access = CUFRAMES_ACCESS_LISTED;
  g_free(owner);
  return result;
}

static int publisher_new(const cf_gst_settings *settings, GstObject *log, cuframes_publisher **publisher) {
  const cuframes_packet_ring_options ring = { .struct_size = sizeof ring,
                                              .slots = settings->packet_slots,
                                              .data_bytes = settings->packet_bytes,
                                              .max_packet = settings->packet_bytes / 4 };
  guint32 *users = NULL, *groups = NULL;
  if (!settings->stream)
    return cuframes_set_last_error(CUFRAMES_ERR_NAME, "the stream has no name: set the property stream, as stream=cam");
  cuframes_publisher_options options = options_of(settings, &ring);
  options.log_user = log;
  int result = access_of(settings, &options, &users, &groups);
  if (result == CUFRAMES_OK)
    result = cuframes_publisher_create(settings->stream, &options, publisher);
  g_free(users);
  g_free(groups);
  return result;
}

int cf_gst_stream_open(cf_gst_stream *stream, const cf_gst_settings *settings, GstObject *log) {
  cuframes_publisher *publisher = NULL;
  cf_gst_stream_close(stream);
  const int result = publisher_new(settings, log, &publisher);
  if (result != CUFRAMES_OK)
    return result;
  g_rw_lock_writer_lock(&stream->lock);
  stream->publisher = publisher;
  stream->opening++;
  stream->ordered_timeout = (gint64)settings->ordered_timeout;
  stream->wait_timeout = (gint64)settings->wait_timeout;
  stream->wait_subscribers = settings->wait_subscribers;
  stream->lent_most = lent_most(settings);
  memset(&stream->format, 0, sizeof stream->format);
  stream->playing = stream->waited = FALSE;
  stream->source = CUFRAMES_SOURCE_UNKNOWN;
  memset(stream->counts, 0, sizeof stream->counts);
  g_array_set_size(stream->pads, 0);
  source_update(stream); /* at once: of one that says nothing readers believe that it has no pictures */
  g_rw_lock_writer_unlock(&stream->lock);
  return CUFRAMES_OK;
}

void cf_gst_stream_close(cf_gst_stream *stream) {
  g_rw_lock_writer_lock(&stream->lock);
  cuframes_publisher *publisher = g_steal_pointer(&stream->publisher);
  if (publisher) {
    stream->last.struct_size = sizeof stream->last;
    (void)cuframes_publisher_get_stats(publisher, &stream->last); /* which cannot fail with these arguments */
  }
  g_rw_lock_writer_unlock(&stream->lock);
  cuframes_publisher_destroy(publisher);
}

/* With the lock held for reading: the publisher, or NULL and an error. */
static cuframes_publisher *publisher_of(const cf_gst_stream *stream) {
  if (!stream->publisher)
    (void)cuframes_set_last_error(CUFRAMES_ERR_PUBLISHER_GONE, "the stream has ended with its element");
  return stream->publisher;
}

/* ---- frames ---- */

gboolean cf_gst_stream_is_on_host(cf_gst_stream *stream) {
  g_rw_lock_reader_lock(&stream->lock);
  const gboolean is = stream->publisher && strcmp(cuframes_publisher_device(stream->publisher, NULL), "host") == 0;
  g_rw_lock_reader_unlock(&stream->lock);
  return is;
}

/* Pictures of the same kind, which may say other things of themselves. */
static gboolean is_like(const cuframes_format *a, const cuframes_format *b) {
  return a->pixel_format == b->pixel_format && a->width == b->width && a->height == b->height;
}

int cf_gst_stream_set_format(cf_gst_stream *stream, const cuframes_format *format) {
  cuframes_format wanted = *format;
  int result = CUFRAMES_ERR_PUBLISHER_GONE;
  g_rw_lock_reader_lock(&stream->lock);
  cuframes_publisher *publisher = publisher_of(stream);
  g_mutex_lock(&stream->format_lock);
  if (wanted.pitch[0] == 0 && is_like(&wanted, &stream->format)) {
    memcpy(wanted.pitch, stream->format.pitch, sizeof wanted.pitch);
    memcpy(wanted.offset, stream->format.offset, sizeof wanted.offset);
    wanted.padding = stream->format.padding;
  }
  if (publisher)
    result = memcmp(&wanted, &stream->format, sizeof wanted) == 0 ? CUFRAMES_OK
                                                                  : cuframes_publisher_set_format(publisher, &wanted);
  if (result == CUFRAMES_OK)
    stream->format = wanted;
  g_mutex_unlock(&stream->format_lock);
  g_rw_lock_reader_unlock(&stream->lock);
  return result;
}

/* Whether upstream may have another one, which is counted then. */
static gboolean lend_one(cf_gst_stream *stream) {
  if (g_atomic_int_add(&stream->lent, 1) < (gint)stream->lent_most)
    return TRUE;
  g_atomic_int_add(&stream->lent, -1);
  return FALSE;
}

int cf_gst_stream_acquire(cf_gst_stream *stream, gboolean lend, cf_gst_slot *slot) {
  cuframes_frame *frame = NULL;
  int result = CUFRAMES_ERR_PUBLISHER_GONE;
  g_rw_lock_reader_lock(&stream->lock);
  cuframes_publisher *publisher = publisher_of(stream);
  const gboolean may = !lend || lend_one(stream);
  if (publisher)
    result = may ? cuframes_publisher_acquire(publisher, &frame)
                 : cuframes_set_last_error(CUFRAMES_ERR_LEASE_LIMIT, "upstream has as many slots as max-open says");
  if (result == CUFRAMES_OK) /* with a reference that publish() and the end of the stream leave alone */
    *slot = (cf_gst_slot){ .frame = cuframes_frame_ref(frame), .opening = stream->opening, .lent = lend };
  else if (lend && may)
    g_atomic_int_add(&stream->lent, -1);
  g_rw_lock_reader_unlock(&stream->lock);
  return result;
}

/* With the lock held for reading. */
static gboolean is_ours(const cf_gst_stream *stream, const cf_gst_slot *slot) {
  return stream->publisher && slot->opening == stream->opening && !slot->published;
}

gboolean cf_gst_stream_owns(cf_gst_stream *stream, const cf_gst_slot *slot) {
  g_rw_lock_reader_lock(&stream->lock);
  const gboolean owns = is_ours(stream, slot);
  g_rw_lock_reader_unlock(&stream->lock);
  return owns;
}

int cf_gst_stream_publish(cf_gst_stream *stream, cf_gst_slot *slot, const cuframes_publish_info *info,
                          const gpointer *on) {
  int result = CUFRAMES_ERR_PUBLISHER_GONE;
  g_rw_lock_reader_lock(&stream->lock);
  cuframes_publisher *publisher = publisher_of(stream);
  if (publisher && is_ours(stream, slot)) {
    slot->published = TRUE;
    result = on ? cuframes_publisher_publish_on(publisher, slot->frame, *on, info)
                : cuframes_publisher_publish(publisher, slot->frame, info);
    if (result == CUFRAMES_ERR_INTERRUPTED) /* it is open still */
      slot->published = FALSE;
  }
  g_rw_lock_reader_unlock(&stream->lock);
  return result;
}

void cf_gst_stream_let_go(cf_gst_stream *stream, cf_gst_slot *slot) {
  g_rw_lock_reader_lock(&stream->lock);
  if (is_ours(stream, slot))
    (void)cuframes_publisher_cancel(stream->publisher, slot->frame); /* it is open: that cannot fail */
  g_rw_lock_reader_unlock(&stream->lock);
  cuframes_frame_release(slot->frame);
  if (slot->lent)
    g_atomic_int_add(&stream->lent, -1);
  *slot = (cf_gst_slot){ 0 };
}

void cf_gst_stream_discontinuity(cf_gst_stream *stream) {
  g_rw_lock_reader_lock(&stream->lock);
  if (stream->publisher)
    (void)cuframes_publisher_discontinuity(stream->publisher); /* which cannot fail */
  g_rw_lock_reader_unlock(&stream->lock);
}

void cf_gst_stream_interrupt(cf_gst_stream *stream) {
  g_rw_lock_reader_lock(&stream->lock);
  cuframes_publisher_interrupt(stream->publisher);
  g_rw_lock_reader_unlock(&stream->lock);
}

/* ---- packets ---- */

int cf_gst_stream_describe(cf_gst_stream *stream, guint track, const cuframes_codec_params *params,
                           const GByteArray *extradata) {
  int result = CUFRAMES_ERR_PUBLISHER_GONE;
  g_rw_lock_reader_lock(&stream->lock);
  cuframes_publisher *publisher = publisher_of(stream);
  if (publisher)
    result = cuframes_publisher_set_codec_params(publisher, track, params);
  if (result == CUFRAMES_OK)
    result = cuframes_publisher_set_codec_extradata(publisher, track, extradata->data, extradata->len);
  g_rw_lock_reader_unlock(&stream->lock);
  return result;
}

int cf_gst_stream_publish_packet(cf_gst_stream *stream, const cuframes_packet_info *packet) {
  int result = CUFRAMES_ERR_PUBLISHER_GONE;
  g_rw_lock_reader_lock(&stream->lock);
  cuframes_publisher *publisher = publisher_of(stream);
  if (publisher)
    result = cuframes_publisher_publish_packet(publisher, packet);
  g_rw_lock_reader_unlock(&stream->lock);
  return result;
}

/* ---- pads ---- */

static void state_lock(cf_gst_stream *stream) {
  g_rw_lock_reader_lock(&stream->lock);
  g_mutex_lock(&stream->state_lock);
}

static void state_unlock(cf_gst_stream *stream) {
  g_mutex_unlock(&stream->state_lock);
  g_rw_lock_reader_unlock(&stream->lock);
}

static pad_entry *pad_find(cf_gst_stream *stream, gconstpointer pad, guint *index) {
  for (guint i = 0; i < stream->pads->len; i++) {
    pad_entry *entry = &g_array_index(stream->pads, pad_entry, i);
    if (entry->pad != pad)
      continue;
    *index = i;
    return entry;
  }
  return NULL;
}

void cf_gst_stream_set_pad(cf_gst_stream *stream, gconstpointer pad, cf_gst_pad_state state) {
  guint index;
  state_lock(stream);
  pad_entry *found = pad_find(stream, pad, &index);
  const pad_entry entry = { pad, state };
  if (found)
    found->state = state;
  else
    g_array_append_val(stream->pads, entry);
  source_update(stream);
  state_unlock(stream);
}

void cf_gst_stream_remove_pad(cf_gst_stream *stream, gconstpointer pad) {
  guint index;
  state_lock(stream);
  if (pad_find(stream, pad, &index))
    g_array_remove_index_fast(stream->pads, index);
  source_update(stream);
  state_unlock(stream);
}

void cf_gst_stream_set_playing(cf_gst_stream *stream, gboolean playing) {
  state_lock(stream);
  stream->playing = playing;
  source_update(stream);
  state_unlock(stream);
}

/* ---- waits ---- */

/* One slice of a wait; TIMEOUT: there may be another. */
static int wait_slice(cf_gst_stream *stream, guint subscribers, gint64 limit) {
  const gint64 left = limit - cuframes_now();
  int result = CUFRAMES_ERR_PUBLISHER_GONE;
  g_rw_lock_reader_lock(&stream->lock);
  cuframes_publisher *publisher = publisher_of(stream);
  if (publisher)
    result = subscribers ? cuframes_publisher_wait_subscribers(publisher, subscribers, CLAMP(left, 0, (gint64)SLICE))
                         : cuframes_publisher_drain(publisher, CLAMP(left, 0, (gint64)SLICE));
  g_rw_lock_reader_unlock(&stream->lock);
  return result;
}

static gboolean wait_for(cf_gst_stream *stream, guint subscribers, gint64 timeout, const gint *stop) {
  const gint64 now = cuframes_now(), limit = timeout > G_MAXINT64 - now ? G_MAXINT64 : now + timeout;
  while (!g_atomic_int_get(stop)) {
    const int result = wait_slice(stream, subscribers, limit);
    if (result != CUFRAMES_ERR_TIMEOUT && result != CUFRAMES_ERR_INTERRUPTED)
      return TRUE;
    if (cuframes_now() >= limit) {
      if (subscribers)
        GST_WARNING("fewer than %u subscribers have joined within wait-timeout; it goes on", subscribers);
      return TRUE;
    }
  }
  return FALSE;
}

gboolean cf_gst_stream_wait(cf_gst_stream *stream, const gint *stop) {
  state_lock(stream);
  const guint subscribers = stream->waited ? 0 : stream->wait_subscribers;
  const gint64 timeout = stream->wait_timeout;
  state_unlock(stream);
  if (subscribers == 0)
    return TRUE;
  if (!wait_for(stream, subscribers, timeout, stop))
    return FALSE;
  state_lock(stream);
  stream->waited = TRUE;
  state_unlock(stream);
  return TRUE;
}

gboolean cf_gst_stream_drain(cf_gst_stream *stream, const gint *stop) {
  return wait_for(stream, 0, stream->ordered_timeout, stop);
}

/* ---- statistics ---- */

void cf_gst_stream_count(cf_gst_stream *stream, cf_gst_count count) {
  g_mutex_lock(&stream->state_lock);
  stream->counts[count]++;
  g_mutex_unlock(&stream->state_lock);
}

GstStructure *cf_gst_stream_stats(cf_gst_stream *stream) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  guint64 counts[CF_GST_COUNTS];
  state_lock(stream);
  if (!stream->publisher || cuframes_publisher_get_stats(stream->publisher, &stats) != CUFRAMES_OK)
    stats = stream->last;
  memcpy(counts, stream->counts, sizeof counts);
  state_unlock(stream);
  return gst_structure_new(
      "cuframes-sink-stats", "frames", G_TYPE_UINT64, stats.frames, "in-place", G_TYPE_UINT64, counts[CF_GST_IN_PLACE],
      "copied", G_TYPE_UINT64, counts[CF_GST_COPIED], "repeated", G_TYPE_UINT64, counts[CF_GST_REPEATED],
      "ordinary-buffers", G_TYPE_UINT64, counts[CF_GST_ORDINARY], "dropped", G_TYPE_UINT64, counts[CF_GST_DROPPED],
      "packets", G_TYPE_UINT64, stats.packets, "packet-bytes", G_TYPE_UINT64, stats.packet_bytes, "packets-left-out",
      G_TYPE_UINT64, counts[CF_GST_LEFT_OUT], "subscribers", G_TYPE_UINT, stats.subscribers, "evictions", G_TYPE_UINT64,
      stats.evictions, "waits", G_TYPE_UINT64, stats.waits, "slots", G_TYPE_UINT, stats.slots, "memory-bytes",
      G_TYPE_UINT64, stats.memory_bytes, NULL);
}
