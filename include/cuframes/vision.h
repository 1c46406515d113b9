/* cuframes/vision.h - the whole of libcuframes-vision: pictures of many streams become one tensor
 * (cuframes/vision/preprocess.h) or one picture (cuframes/vision/compositor.h), on the CPU or on a GPU.
 *
 * It is a library of its own (-lcuframes-vision, cuframes::vision, pkg-config cuframes-vision) on the public calls of
 * libcuframes, and follows the conventions of cuframes/common.h: cuframes_last_error() has the detail of its failures,
 * too. It has no threads of its own: the caller's do the work.
 */
#ifndef CUFRAMES_VISION_H
#define CUFRAMES_VISION_H

#include <cuframes/vision/compositor.h>
#include <cuframes/vision/picture.h>
#include <cuframes/vision/preprocess.h>

#endif
