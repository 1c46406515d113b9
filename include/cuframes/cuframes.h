/* cuframes: video frames and packets shared between processes, decoded once, copied never.
 * This header brings in the whole API. */
#ifndef CUFRAMES_CUFRAMES_H
#define CUFRAMES_CUFRAMES_H

#include <cuframes/annotation.h>
#include <cuframes/batch.h>
#include <cuframes/common.h>
#include <cuframes/dlpack.h>
#include <cuframes/format.h>
#include <cuframes/frame.h>
#include <cuframes/monitor.h>
#include <cuframes/packet.h>
#include <cuframes/publisher.h>
#include <cuframes/side_data.h>
#include <cuframes/source.h>
#include <cuframes/subscriber.h>

#endif
