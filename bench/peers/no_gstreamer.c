/* no_gstreamer.c - in place of gstreamer.c where its headers are missing. */
#include "peers.h"

static const char *missing(void) {
  return "built without GStreamer: install libgstreamer-plugins-base1.0-dev and build again";
}

const peer peer_shm = { .name = "gst-shm", .about = "GStreamer's shmsink to shmsrc", .missing = missing };
const peer peer_unixfd = { .name = "gst-unixfd", .about = "GStreamer's unixfdsink to unixfdsrc", .missing = missing };
