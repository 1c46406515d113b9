/* media_device.h - cameras of this machine: what names one, and FFmpeg's part for them. */
#ifndef CUFRAMES_CLI_MEDIA_DEVICE_H
#define CUFRAMES_CLI_MEDIA_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

/* The path of the V4L2 device that an INPUT names, in the INPUT; NULL: it names something else. A camera that is not
 * there now has its usual name. */
const char *media_device_path(const char *input);

/* Loads FFmpeg's libavdevice, once for the process; any thread may call. It is loaded and not linked because it brings
 * some 80 libraries for sound and windows with it, which nobody should wait for who has no such camera. */
bool media_device_load(void);
/* Why that failed. */
void media_device_lacking(char *text, size_t size);

#endif
