/* bench.h - what the tests of sources share: a directory with publishers of this process, and an element at work. */
#ifndef CUFRAMES_TESTS_GST_BENCH_H
#define CUFRAMES_TESTS_GST_BENCH_H

#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cuframes/cuframes.h>

#define BENCH_PATIENCE (480 * (gint64)GST_SECOND) /* for what must come: it finds what hangs, whatever the machine */

/* A directory of its own for streams, which is $CUFRAMES_DIR from then on; and away with it. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* A publisher, or the test fails. Zero of the format means 64 x 48 NV12. */
cuframes_publisher *bench_publisher(const char *name, const cuframes_format *format);
/* Publishes a frame whose every byte is `value`; its pts is value * 40 ms. */
void bench_publish(cuframes_publisher *publisher, guint8 value);
/* Until so many have joined. */
void bench_joined(cuframes_publisher *publisher, guint32 count);

/* An element, or a bin of several as gst-launch-1.0 writes it, that plays on the system's clock; `name` is that of the
 * source in it, and its bus the harness's. What comes out of it is counted. */
typedef struct bench {
  GstHarness *harness;
  GstElement *source;
  GstBus *bus;
  GMutex lock;
  GCond came;
  guint buffers;
} bench;

void bench_play(bench *b, const gchar *pipeline, const gchar *stream);
/* Until so many buffers have come in all; the harness has them, or is about to, until they are pulled. */
void bench_wait(bench *b, guint buffers);
void bench_end(bench *b);

/* The next message of that type, the caller's; the test fails without. */
GstMessage *bench_message(bench *b, GstMessageType type);
guint64 bench_stat(GstElement *source, const gchar *field);

/* Open descriptors, and threads, of this process. */
guint bench_descriptors(void);
guint bench_threads(void);
/* Until there are no more than that; the test fails if there always are. A publisher of this process closes what it had
 * for a subscriber in its own time. */
void bench_descriptors_end(guint most);
void bench_threads_end(guint most);

#endif
