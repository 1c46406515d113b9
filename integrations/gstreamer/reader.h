/* reader.h - what the two sources share: the properties that say which stream and how, joining it, and what an error of
 * a wait means.
 *
 * Threads  One thread, the streaming thread, joins and waits, between cf_gst_reader_begin() and cf_gst_reader_done().
 *          Properties are set and got under the element's object lock; any thread may switch flushing, and when it is
 *          on, let the reader leave. */
#ifndef CUFRAMES_GST_READER_H
#define CUFRAMES_GST_READER_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

typedef struct cf_gst_reader {
  GstElement *element; /* whose it is */
  /* settings, under the object lock */
  gchar *stream, *directory, *label, *device;
  guint leases, depth;
  gint mode, sync, start;
  gboolean reconnect;
  gint64 connect_timeout; /* ns, negative: for ever */
  guint64 timeout;        /* ns, 0: for ever */
  struct cf_gst_gpu *gpu; /* of the streaming thread: in whose context it joins; NULL: none */
  GMutex use;             /* held while the streaming thread uses the subscriber, waits, too */
  /* the rest under this one */
  GMutex lock;
  GCond wake;
  guint flushing;                  /* bits of enum cf_gst_flush */
  cuframes_subscriber *subscriber; /* written with `use` held, too */
  gint64 waiting_since;            /* of the streaming thread: for what is next; 0: nothing is waited for */
  gint64 appear_limit;             /* likewise: when connect-timeout is over, if the stream was asked; else 0 */
} cf_gst_reader;

/* Adds the properties from number `first` on, those of frames or those of packets. */
void cf_gst_reader_install(GObjectClass *object_class, guint first, gboolean packets);
void cf_gst_reader_init(cf_gst_reader *reader, GstElement *element);
void cf_gst_reader_clear(cf_gst_reader *reader);

/* Of one of these properties, by name. */
void cf_gst_reader_set(cf_gst_reader *reader, const GParamSpec *pspec, const GValue *value);
void cf_gst_reader_get(cf_gst_reader *reader, const GParamSpec *pspec, GValue *value);

/* Around what the streaming thread does with the subscriber. FALSE: pads are flushed, and nothing has begun.
 * Blocks: while the element does not play, until then. */
gboolean cf_gst_reader_begin(cf_gst_reader *reader);
void cf_gst_reader_done(cf_gst_reader *reader);

/* Asks the publisher before it is joined, waiting as connect-timeout says; joining waits for what is left of that.
 * *info is the caller's. OK; INTERRUPTED, by flushing; other errors are those of which joining will tell. Blocks: as
 * cf_gst_reader_join(). */
int cf_gst_reader_ask(cf_gst_reader *reader, cuframes_stream_info **info);
/* Joins, waiting as connect-timeout says. OK; FLUSHING; ERROR, which was told. Blocks: as said, and up to 2 s for the
 * publisher's answer; flushing ends both at once. */
GstFlowReturn cf_gst_reader_join(cf_gst_reader *reader);
/* The streaming thread leaves, to join anew. */
void cf_gst_reader_drop(cf_gst_reader *reader);
/* Leaves, if it has joined. Blocks: until the streaming thread is done with what it does, which is at once when
 * flushing. */
void cf_gst_reader_leave(cf_gst_reader *reader);

/* What an error of next() or next_packet() means. OK: go on, and wait again; FLUSHING; EOS: the publisher has ended;
 * ERROR, which was told. */
GstFlowReturn cf_gst_reader_judge(cf_gst_reader *reader, int error);
/* How long the next wait may be, as `timeout` says; the time runs until cf_gst_reader_came(). */
gint64 cf_gst_reader_wait_ns(cf_gst_reader *reader);
void cf_gst_reader_came(cf_gst_reader *reader);

/* Waits, or until woken or flushing: FALSE then. */
gboolean cf_gst_reader_pause(cf_gst_reader *reader, gint64 ns);
/* Ends waits at once, those to come, too, until it is switched off for every reason: the element does not play, pads
 * are flushed, the application wants the end. */
enum cf_gst_flush { CF_GST_FLUSH_PAUSED = 1, CF_GST_FLUSH_PADS = 2, CF_GST_FLUSH_EOS = 4 };
void cf_gst_reader_set_flushing(cf_gst_reader *reader, guint why, gboolean flushing);
/* The bits of why; 0: it is not. */
guint cf_gst_reader_is_flushing(cf_gst_reader *reader);

G_END_DECLS

#endif
