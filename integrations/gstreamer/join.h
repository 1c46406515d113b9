/* join.h - joining a stream, which can be given up at any moment.
 *
 * The library waits up to 2 s for a publisher's answer, and nothing ends that wait. It goes on in a thread of its own,
 * so that a pipeline that is to stop need not wait for a publisher that is stopped itself. */
#ifndef CUFRAMES_GST_JOIN_H
#define CUFRAMES_GST_JOIN_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

typedef struct cf_gst_join cf_gst_join;

/* Begins. Takes the name, and the strings of *options, which are freed with it. While nobody publishes the name it
 * tries again, for `wait` ns; negative: for ever. Blocks: never; but where there is no thread to be had, until it is
 * done, with one attempt. */
cf_gst_join *cf_gst_join_new(gchar *name, const cuframes_subscriber_options *options, gint64 wait);

/* Ends cf_gst_join_wait() at once, now or when it is called. Any thread. */
void cf_gst_join_give_up(cf_gst_join *join);

/* Until it is done: OK, and the subscriber is the caller's; an error, whose detail the calling thread has; INTERRUPTED:
 * it was given up, and whatever comes of it is left again. Once. */
int cf_gst_join_wait(cf_gst_join *join, cuframes_subscriber **subscriber);

void cf_gst_join_unref(cf_gst_join *join);

G_END_DECLS

#endif
