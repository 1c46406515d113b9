/* api/format.h - picture formats on the wire. */
#ifndef CF_API_FORMAT_H
#define CF_API_FORMAT_H

#include <cuframes/format.h>

/* cuframes_color in one word. */
uint32_t cf_color_pack(cuframes_color color);
cuframes_color cf_color_unpack(uint32_t packed);

#endif
