/* stream.h - the stream that a cuframessink publishes: what its pads and the buffers that it gives to upstream share.
 *
 * It is counted, and lives as long as the last buffer; the stream in it is there between open and close. Every function
 * may be called from any thread. Those that give an error give one of cuframes, whose detail the calling thread has. */
#ifndef CUFRAMES_GST_STREAM_H
#define CUFRAMES_GST_STREAM_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

#include "settings.h"

G_BEGIN_DECLS

typedef struct cf_gst_stream cf_gst_stream;

cf_gst_stream *cf_gst_stream_new(void);
cf_gst_stream *cf_gst_stream_ref(cf_gst_stream *stream);
void cf_gst_stream_unref(cf_gst_stream *stream);

/* Takes the name; from then on all can join. `log` is the object that log lines are about, and outlives the stream. */
int cf_gst_stream_open(cf_gst_stream *stream, const cf_gst_settings *settings, GstObject *log);
/* Ends it: subscribers are told. Frames that are in hand stay readable and writable. */
void cf_gst_stream_close(cf_gst_stream *stream);

/* ---- frames ---- */

/* Whether the CPU can write into slots. */
gboolean cf_gst_stream_is_on_host(cf_gst_stream *stream);

/* A frame in hand: an open slot, or a published one that somebody here still looks at. */
typedef struct cf_gst_slot {
  cuframes_frame *frame; /* a reference of its own, which outlives the stream */
  guint opening;         /* of the stream, counted: a frame of an earlier one cannot be published */
  gboolean published;
  gboolean lent; /* to upstream */
} cf_gst_slot;

/* How slots look that are opened from now on. A format without pitches leaves those as they are if pictures of that
 * size and pixel format lie in them already. */
int cf_gst_stream_set_format(cf_gst_stream *stream, const cuframes_format *format);

/* Opens a slot, for the sink to copy into, or to lend it to upstream, which may have as many as the settings say and
 * so leaves one for the sink: LEASE_LIMIT beyond. Blocks as cuframes_publisher_acquire(). INTERRUPTED: that was ended.
 */
int cf_gst_stream_acquire(cf_gst_stream *stream, gboolean lend, cf_gst_slot *slot);

/* Publishes it, whatever comes of that; the frame stays in hand and is not written any more. *on: the CUDA stream whose
 * work so far makes the picture; NULL: it is complete. Blocks as cuframes_publisher_publish(). INTERRUPTED:
 * that was ended, and it can be published again. */
int cf_gst_stream_publish(cf_gst_stream *stream, cf_gst_slot *slot, const cuframes_publish_info *info,
                          const gpointer *on);

/* Whether the slot can be published here. */
gboolean cf_gst_stream_owns(cf_gst_stream *stream, const cf_gst_slot *slot);

/* Ends the reference; a slot that was never published is open again for the next frame. */
void cf_gst_stream_let_go(cf_gst_stream *stream, cf_gst_slot *slot);

/* Ends such a wait, now or the next one, also those of cf_gst_stream_wait() and cf_gst_stream_drain(), whose *stop is
 * set before. */
void cf_gst_stream_interrupt(cf_gst_stream *stream);

/* Times may jump: the next frame and packet say so. */
void cf_gst_stream_discontinuity(cf_gst_stream *stream);

/* ---- packets ---- */

/* Describes a track, and anew. */
int cf_gst_stream_describe(cf_gst_stream *stream, guint track, const cuframes_codec_params *params,
                           const GByteArray *extradata);
int cf_gst_stream_publish_packet(cf_gst_stream *stream, const cuframes_packet_info *packet);

/* ---- what the stream's pads are doing ---- */

/* A pad that is part of it comes, can be read, is at its end, goes. When all can be read the source is live, when all
 * are at their end it has ended. */
typedef enum { CF_GST_PAD_NEW, CF_GST_PAD_READY, CF_GST_PAD_ENDED } cf_gst_pad_state;
void cf_gst_stream_set_pad(cf_gst_stream *stream, gconstpointer pad, cf_gst_pad_state state);
void cf_gst_stream_remove_pad(cf_gst_stream *stream, gconstpointer pad);
/* The pipeline plays or pauses. */
void cf_gst_stream_set_playing(cf_gst_stream *stream, gboolean playing);

/* Once, before the first frame or packet: until so many subscribers have joined as the settings say, or their time is
 * over, or *stop becomes nonzero, within a tenth of a second. FALSE: *stop. */
gboolean cf_gst_stream_wait(cf_gst_stream *stream, const gint *stop);
/* At the end: until those that are to get everything have it. FALSE: *stop. */
gboolean cf_gst_stream_drain(cf_gst_stream *stream, const gint *stop);

/* ---- statistics ---- */

typedef enum {
  CF_GST_IN_PLACE, /* frames that upstream had written into their slot */
  CF_GST_COPIED,   /* frames that were copied into one */
  CF_GST_REPEATED, /* of these, those that had been published before */
  CF_GST_ORDINARY, /* buffers of ordinary memory that upstream got for want of a slot */
  CF_GST_DROPPED,  /* frames that found no slot, or no room with a subscriber under policy drop */
  CF_GST_LEFT_OUT, /* packets that are too large */
  CF_GST_COUNTS
} cf_gst_count;

void cf_gst_stream_count(cf_gst_stream *stream, cf_gst_count count);
/* All of them, and what the library counts; the caller's. */
GstStructure *cf_gst_stream_stats(cf_gst_stream *stream);

G_END_DECLS

#endif
