/* grid_draw.c - see grid_draw.h. */
#include "grid_draw.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <cuframes/cuframes.h>

#include "grid_options.h"
#include "grid_paint.h"

/* One picture's work. */
typedef struct job {
  const cuframes_layer *layers;
  uint32_t count;
  const cuframes_picture *output;
} job;

typedef struct grid_draw {
  cuframes_compositor *compositor;
  cuframes_compositor *host; /* of grid_draw_can() */
  pthread_t threads[GRID_THREADS_MAX];
  uint32_t thread_count; /* beside the caller's */
  uint32_t next_number;  /* for threads that begin; lock */
  pthread_mutex_t lock;  /* of what follows */
  pthread_cond_t begin, done;
  uint64_t turn;    /* a new one: there is a job */
  uint32_t working; /* threads that are not done with it */
  bool end;
  job job;
  int error;
  char why[256];
} grid_draw;

static void draw_part(grid_draw *d, uint32_t part) {
  const int error = cuframes_compositor_run_part(d->compositor, d->job.layers, d->job.count, d->job.output, NULL, part,
                                                 d->thread_count + 1);
  if (error == CUFRAMES_OK)
    return;
  pthread_mutex_lock(&d->lock);
  d->error = error;
  snprintf(d->why, sizeof d->why, "%s", cuframes_last_error());
  pthread_mutex_unlock(&d->lock);
}

static void *draw_thread(void *user) {
  grid_draw *d = user;
  uint64_t turn = 0;
  pthread_mutex_lock(&d->lock);
  const uint32_t part = ++d->next_number;
  for (;;) {
    while (d->turn == turn && !d->end)
      pthread_cond_wait(&d->begin, &d->lock);
    if (d->end)
      break;
    turn = d->turn;
    pthread_mutex_unlock(&d->lock);
    draw_part(d, part);
    pthread_mutex_lock(&d->lock);
    if (--d->working == 0)
      pthread_cond_signal(&d->done);
  }
  pthread_mutex_unlock(&d->lock);
  return NULL;
}

grid_draw *grid_draw_open(const char *device, uint32_t threads, char *why, size_t size) {
  grid_draw *d = calloc(1, sizeof *d);
  const cuframes_compositor_options options = { .struct_size = sizeof options,
                                                .capacity = GRID_LAYERS_MAX,
                                                .device = device };
  if (d == NULL || cuframes_compositor_create(&options, &d->compositor) != CUFRAMES_OK) {
    snprintf(why, size, "%s", d ? cuframes_last_error() : "out of memory");
    free(d);
    return NULL;
  }
  const cuframes_compositor_options on_host = { .struct_size = sizeof on_host };
  if (cuframes_compositor_create(&on_host, &d->host) != CUFRAMES_OK) {
    snprintf(why, size, "%s", cuframes_last_error());
    cuframes_compositor_destroy(d->compositor);
    free(d);
    return NULL;
  }
  pthread_mutex_init(&d->lock, NULL); /* none of these can fail without attributes */
  pthread_cond_init(&d->begin, NULL);
  pthread_cond_init(&d->done, NULL);
  while (d->thread_count + 1 < threads && pthread_create(&d->threads[d->thread_count], NULL, draw_thread, d) == 0)
    d->thread_count++; /* with fewer it takes longer */
  return d;
}

void grid_draw_close(grid_draw *d) {
  if (d == NULL)
    return;
  pthread_mutex_lock(&d->lock);
  d->end = true;
  pthread_cond_broadcast(&d->begin);
  pthread_mutex_unlock(&d->lock);
  for (uint32_t i = 0; i < d->thread_count; i++)
    (void)pthread_join(d->threads[i], NULL);
  cuframes_compositor_destroy(d->compositor);
  cuframes_compositor_destroy(d->host);
  pthread_cond_destroy(&d->begin);
  pthread_cond_destroy(&d->done);
  pthread_mutex_destroy(&d->lock);
  free(d);
}

int grid_draw_picture(grid_draw *d, const cuframes_layer *layers, uint32_t count, const cuframes_picture *output,
                      void *stream, char *why, size_t size) {
  if (stream != NULL) {
    const int error = cuframes_compositor_run(d->compositor, layers, count, output, stream);
    if (error != CUFRAMES_OK)
      snprintf(why, size, "%s", cuframes_last_error());
    return error;
  }
  pthread_mutex_lock(&d->lock);
  d->job = (job){ layers, count, output };
  d->error = CUFRAMES_OK;
  d->working = d->thread_count;
  d->turn++;
  pthread_cond_broadcast(&d->begin);
  pthread_mutex_unlock(&d->lock);
  draw_part(d, 0);
  pthread_mutex_lock(&d->lock);
  while (d->working > 0)
    pthread_cond_wait(&d->done, &d->lock);
  const int error = d->error;
  snprintf(why, size, "%s", d->why);
  pthread_mutex_unlock(&d->lock);
  return error;
}

bool grid_draw_can(grid_draw *d, const cuframes_picture *picture, char *why, size_t size) {
  uint8_t pixel[1];
  const cuframes_format format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 1, .height = 1, .pitch = { 1 } };
  const cuframes_picture output = { .format = &format, .plane = { pixel } };
  cuframes_layer layer = { .picture = *picture }; /* of no size: it is checked and planned, and nothing is drawn */
  layer.picture.device = NULL;
  if (cuframes_compositor_run(d->host, &layer, 1, &output, NULL) == CUFRAMES_OK)
    return true;
  snprintf(why, size, "%s", cuframes_last_error());
  return false;
}
