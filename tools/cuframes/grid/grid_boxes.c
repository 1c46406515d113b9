/* grid_boxes.c - see grid_boxes.h. */
#include "grid_boxes.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define JOIN_SLICE (SECOND / 4)
#define OLD_NS SECOND
#define OLD_FRAMES 60 /* where frames have no times */
#define KEEP 1024     /* annotations: one detector may look at many cameras */

typedef struct grid_boxes {
  char name[CUFRAMES_NAME_MAX + 1], label[CUFRAMES_LABEL_MAX + 1];
  char *directory;
  pthread_t thread;
  pthread_mutex_t lock; /* of stop and done */
  bool stop, done;
  bool joined;         /* the thread has ended, and was waited for */
  cuframes_join *join; /* the thread's, until it is done; then NULL if it was stopped */
} grid_boxes;

static bool is_stopped(grid_boxes *b) {
  pthread_mutex_lock(&b->lock);
  const bool stopped = b->stop;
  pthread_mutex_unlock(&b->lock);
  return stopped;
}

static void *join_thread(void *user) {
  grid_boxes *b = user;
  const cuframes_join_options options = { .struct_size = sizeof options,
                                          .keep = KEEP,
                                          .directory = b->directory,
                                          .label = b->label,
                                          .connect_timeout_ns = JOIN_SLICE,
                                          .reconnect = 1,
                                          .type = CUFRAMES_ANNOTATION_DETECTIONS };
  while (!is_stopped(b)) {
    const int error = cuframes_join_create(b->name, &options, &b->join);
    if (error == CUFRAMES_OK)
      break;
    if (error != CUFRAMES_ERR_NO_SUCH_STREAM)
      (void)poll(NULL, 0, (int)(JOIN_SLICE / 1000000)); /* it will say the same a moment later */
  }
  pthread_mutex_lock(&b->lock);
  b->done = true;
  pthread_mutex_unlock(&b->lock);
  return NULL;
}

grid_boxes *grid_boxes_open(const char *directory, const char *name, const char *label) {
  grid_boxes *b = calloc(1, sizeof *b);
  if (b == NULL)
    return NULL;
  snprintf(b->name, sizeof b->name, "%s", name);
  snprintf(b->label, sizeof b->label, "%s", label);
  pthread_mutex_init(&b->lock, NULL); /* cannot fail without attributes */
  b->directory = directory ? strdup(directory) : NULL;
  if ((directory == NULL || b->directory != NULL) && pthread_create(&b->thread, NULL, join_thread, b) == 0)
    return b;
  pthread_mutex_destroy(&b->lock);
  free(b->directory);
  free(b);
  return NULL;
}

static bool is_joined(grid_boxes *b) {
  if (b->joined)
    return true;
  pthread_mutex_lock(&b->lock);
  b->joined = b->done;
  pthread_mutex_unlock(&b->lock);
  if (b->joined)
    (void)pthread_join(b->thread, NULL); /* it is at its end */
  return b->joined;
}

bool grid_boxes_close(grid_boxes *b) {
  if (b == NULL)
    return true;
  pthread_mutex_lock(&b->lock);
  b->stop = true;
  pthread_mutex_unlock(&b->lock);
  if (!is_joined(b))
    return false;
  cuframes_join_destroy(b->join);
  pthread_mutex_destroy(&b->lock);
  free(b->directory);
  free(b);
  return true;
}

const char *grid_boxes_name(const grid_boxes *b) {
  return b->name;
}

static bool is_old(const cuframes_frame_id *frame, const cuframes_frame_id *of) {
  if (frame->pts != CUFRAMES_NO_TIME && of->pts != CUFRAMES_NO_TIME)
    return frame->pts - of->pts > OLD_NS || of->pts > frame->pts;
  return frame->seq - of->seq > OLD_FRAMES;
}

uint32_t grid_boxes_find(grid_boxes *b, const cuframes_frame *frame, cuframes_detection found[GRID_DETECTIONS_MAX]) {
  cuframes_frame_id id = { .struct_size = sizeof id }, of = { .struct_size = sizeof of };
  cuframes_packet *packet = NULL;
  const void *data = NULL;
  size_t size = 0;
  uint32_t count = 0, type = 0;
  if (!is_joined(b) || b->join == NULL || cuframes_frame_identify(frame, &id) != CUFRAMES_OK ||
      cuframes_join_latest(b->join, &id, &packet) != CUFRAMES_OK)
    return 0;
  if (cuframes_packet_annotation(packet, &of, &type, &data, &size) == CUFRAMES_OK && !is_old(&id, &of)) {
    count = (uint32_t)(size / sizeof *found);
    count = count < GRID_DETECTIONS_MAX ? count : GRID_DETECTIONS_MAX;
    if (count > 0)
      memcpy(found, data, count * sizeof *found);
  }
  cuframes_packet_release(packet);
  return count;
}
