/* gallery_thread.h - what the thread of a gallery hands over. */
#ifndef CUFRAMES_WALL_GALLERY_THREAD_H
#define CUFRAMES_WALL_GALLERY_THREAD_H

#include "gallery.h"

/* A picture for those who want it in this width, or why there is none. */
typedef struct gallery_event {
  struct gallery_event *next;
  uint32_t width;
  sample *sample; /* NULL: none */
  char why[GALLERY_WHY];
} gallery_event;

/* The thread's function; user is the gallery. */
void *gallery_thread(void *user);

#endif
