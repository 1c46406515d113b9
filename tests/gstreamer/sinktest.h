/* sinktest.h - a cuframessink in a harness, and a subscriber of its stream in the same process. */
#ifndef CUFRAMES_SINKTEST_H
#define CUFRAMES_SINKTEST_H

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cuframes/cuframes.h>

#define WAIT_NS (INT64_C(120) * 1000000000) /* finds what hangs; nothing is judged by it */
#define SMALL "video/x-raw,format=NV12,width=64,height=48,framerate=25/1"

/* In a runtime directory of its own. */
typedef struct sinktest {
  gchar *directory;
  GstElement *sink;
  GstHarness *harness; /* of the pad `sink` */
  GstBufferPool *pool; /* that the sink has proposed */
  cuframes_subscriber *subscriber;
} sinktest;

/* The directory alone, for what is to be there before the sink. */
void sinktest_prepare(sinktest *t);
/* The sink of the stream "cam", with these properties besides (may be ""), playing, and negotiated (NULL: not yet). */
void sinktest_begin(sinktest *t, const gchar *properties, const gchar *caps);
/* The same in a directory that is prepared. */
void sinktest_begin_there(sinktest *t, const gchar *properties, const gchar *caps);
/* All of it, and fails if anything is left in the directory. */
void sinktest_end(sinktest *t);

/* An ordered subscriber for which so many frames may wait. */
void sinktest_subscribe(sinktest *t, guint depth);
/* Its next frame, the caller's. */
cuframes_frame *sinktest_next(sinktest *t);

/* Caps on the pad, and the pool that is proposed for them, if one is. */
void sinktest_negotiate(sinktest *t, const gchar *caps);

/* A buffer out of that pool, all bytes of this value, at picture `number` of 25 per second. */
GstBuffer *sinktest_buffer(sinktest *t, guint8 value, guint number);
/* One of ordinary memory. */
GstBuffer *sinktest_ordinary(gsize size, guint8 value, guint number);
void sinktest_push(sinktest *t, GstBuffer *buffer);

/* That each visible byte of the frame's first plane has this value. */
void sinktest_is_filled(cuframes_frame *frame, guint8 value);

/* One of the numbers in the property stats. */
guint64 sinktest_stat(GstElement *sink, const gchar *name);

#endif
