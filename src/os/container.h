/* os/container.h - from a member to the struct that it is embedded in. */
#ifndef CF_OS_CONTAINER_H
#define CF_OS_CONTAINER_H

#include <stddef.h>

#define CF_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
