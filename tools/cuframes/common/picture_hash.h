/* picture_hash.h - a checksum of a picture's visible bytes. */
#ifndef CUFRAMES_PICTURE_HASH_H
#define CUFRAMES_PICTURE_HASH_H

#include <stdint.h>

#include "reader.h"

/* Any change of a picture changes it with near certainty. It is for comparing within one process. */
uint64_t picture_hash(const picture_planes *planes, const cuframes_format *format);

#endif
