/* gallery.h - JPEG pictures of one stream's frames, for all who want some: one subscriber, in a thread of its own,
 * which makes a picture once for all who want it in the same width.
 *
 * Threads  The server's, for all that is declared here. */
#ifndef CUFRAMES_WALL_GALLERY_H
#define CUFRAMES_WALL_GALLERY_H

#include <pthread.h>

#include "http/http.h"
#include "sample.h"

#define GALLERY_WIDTHS 16 /* at the same time; who comes with another one gets the nearest of these */
#define GALLERY_WHY 512

typedef struct gallery gallery;

/* Who wants pictures; in a list of the gallery. */
typedef struct gallery_reader {
  uint32_t width;      /* 0: as it is, and so is one that is wider */
  int64_t interval_ns; /* between two pictures; 0: the next one alone */
  void (*picture)(void *user, sample *s);
  void (*none)(void *user, const char *why); /* there is none so far */
  void *user;
  int64_t due; /* of the gallery: the next one */
  struct gallery_reader *next;
} gallery_reader;

struct gallery {
  struct gallery *next;
  http_server *server;
  char name[CUFRAMES_NAME_MAX + 1];
  const char *directory;
  /* the server's thread */
  gallery_reader *readers;
  int64_t idle_since;
  /* shared */
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  pthread_cond_t changed;
  cuframes_subscriber *subscriber;
  struct gallery_event *events, **last;
  uint32_t widths[GALLERY_WIDTHS];
  size_t width_count;
  int64_t interval_ns;
  bool at_once; /* somebody has had none yet */
  bool stop, ended;
};

/* NULL: out of memory, or no thread could be started. */
gallery *gallery_create(http_server *server, const char *directory, const char *name);
void gallery_stop(gallery *g);
bool gallery_reap(gallery *g);
/* Waits for the thread; the call before gallery_free(). */
void gallery_join(gallery *g);
void gallery_free(gallery *g);

void gallery_add(gallery *g, gallery_reader *reader);
void gallery_remove(gallery *g, gallery_reader *reader);
/* Gives what was made since the last call. Readers may add and remove themselves. */
void gallery_take(gallery *g);

#endif
