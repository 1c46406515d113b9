/* grid_directory.c - see grid_directory.h. */
#include "grid_directory.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/stream_state.h"

#define LOOK_MS 500
#define ANSWER_NS INT64_C(500000000) /* a publisher that was stopped does not answer, and all wait for it */

typedef struct grid_directory {
  char *path; /* NULL: the usual one */
  pthread_t thread;
  int end_fd;           /* readable: the thread ends */
  pthread_mutex_t lock; /* of what follows */
  grid_listing *newest;
} grid_directory;

static void fill(struct grid_listed *to, const cuframes_stream_entry *from) {
  *to = (struct grid_listed){ .answers = from->info != NULL };
  snprintf(to->name, sizeof to->name, "%s", from->name);
  if (from->info == NULL)
    return;
  snprintf(to->reason, sizeof to->reason, "%s", from->info->source->reason);
  to->has_pictures = pictures_of(from->info) != PICTURES_NONE;
  to->is_grid = strncmp(from->info->description, GRID_DESCRIPTION, strlen(GRID_DESCRIPTION)) == 0;
}

/* NULL: it could not be looked at; the next time may be better. */
static grid_listing *look(const char *path) {
  cuframes_streams *streams;
  if (cuframes_stream_list(path, ANSWER_NS, &streams) != CUFRAMES_OK)
    return NULL;
  grid_listing *listing = malloc(sizeof *listing + streams->count * sizeof listing->entries[0]);
  for (size_t i = 0; listing != NULL && i < streams->count; i++)
    fill(&listing->entries[i], streams->entries[i]);
  if (listing != NULL)
    listing->count = streams->count;
  cuframes_streams_free(streams);
  return listing;
}

static void *watch(void *user) {
  grid_directory *d = user;
  struct pollfd end = { .fd = d->end_fd, .events = POLLIN };
  do {
    grid_listing *listing = look(d->path);
    pthread_mutex_lock(&d->lock);
    if (listing != NULL) {
      free(d->newest);
      d->newest = listing;
    }
    pthread_mutex_unlock(&d->lock);
  } while (poll(&end, 1, LOOK_MS) <= 0);
  return NULL;
}

grid_directory *grid_directory_open(const char *directory) {
  grid_directory *d = calloc(1, sizeof *d);
  if (d == NULL)
    return NULL;
  d->path = directory ? strdup(directory) : NULL;
  d->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_mutex_init(&d->lock, NULL); /* cannot fail without attributes */
  if ((directory == NULL || d->path != NULL) && d->end_fd >= 0 && pthread_create(&d->thread, NULL, watch, d) == 0)
    return d;
  pthread_mutex_destroy(&d->lock);
  if (d->end_fd >= 0)
    close(d->end_fd);
  free(d->path);
  free(d);
  return NULL;
}

grid_listing *grid_directory_take(grid_directory *d) {
  pthread_mutex_lock(&d->lock);
  grid_listing *listing = d->newest;
  d->newest = NULL;
  pthread_mutex_unlock(&d->lock);
  return listing;
}

void grid_directory_close(grid_directory *d) {
  if (d == NULL)
    return;
  (void)eventfd_write(d->end_fd, 1); /* of 0, so that it has room */
  (void)pthread_join(d->thread, NULL);
  pthread_mutex_destroy(&d->lock);
  close(d->end_fd);
  free(d->newest);
  free(d->path);
  free(d);
}
