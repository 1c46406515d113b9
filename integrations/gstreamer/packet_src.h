/* packet_src.h - cuframespacketsrc: the encoded packets of a stream of cuframes, a pad for each of its tracks. */
#ifndef CUFRAMES_GST_PACKET_SRC_H
#define CUFRAMES_GST_PACKET_SRC_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define CF_GST_TYPE_PACKET_SRC (cf_gst_packet_src_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesPacketSrc, cf_gst_packet_src, CF_GST, PACKET_SRC, GstElement)

G_END_DECLS

#endif
