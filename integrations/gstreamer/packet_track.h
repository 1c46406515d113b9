/* packet_track.h - one track of packets as a pad: its caps, and its packets as buffers. */
#ifndef CUFRAMES_GST_PACKET_TRACK_H
#define CUFRAMES_GST_PACKET_TRACK_H

#include <gst/gst.h>

#include <cuframes/cuframes.h>

G_BEGIN_DECLS

typedef struct cf_gst_track {
  GstPad *pad;      /* NULL: there is none (yet), or no caps for its codec */
  gboolean unknown; /* its codec has no caps: that was said */
  GstCaps *caps;
  gchar codec[CUFRAMES_CODEC_NAME_MAX + 1];
  guint media_type;
  GByteArray *sets;   /* parameter sets that a byte stream's keyframes may lack; NULL: none */
  gboolean discont;   /* the next buffer is the first, or comes after a gap */
  gboolean ask_again; /* its parameters may have changed */
} cf_gst_track;

/* Forgets what it says; the pad is the caller's matter. */
void cf_gst_track_clear(cf_gst_track *track);

/* Reads the parameters of the track as they are now. Gives 0 or an error of cuframes; *changed: caps are others now.
 * A codec without caps is not an error: `unknown` then, and no caps. Blocks: up to 2 s for the publisher's answer. */
int cf_gst_track_ask(cf_gst_track *track, cuframes_subscriber *subscriber, guint number, gboolean *changed);

/* The packet, which it takes, as a buffer: its bytes where they are, or behind the parameter sets that a keyframe of a
 * byte stream lacks. Times are not set. */
GstBuffer *cf_gst_track_buffer(cf_gst_track *track, cuframes_packet *packet);

G_END_DECLS

#endif
