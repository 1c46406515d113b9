/* camera.h - what a value in the bucket of cameras says, if it can be used. */
#ifndef FLEET_CAMERA_H
#define FLEET_CAMERA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CAMERA_NAME_MAX 63
#define CAMERA_VALUE_MAX 16384
#define CAMERA_WHY_MAX 200

typedef struct camera_info {
  json_t *stream; /* as the file of `cuframes publish --config` has it, with the name; NULL: it cannot be used */
  json_t *labels; /* those that a node must have; borrowed from `fleet` */
  json_t *fleet;
  bool exclusive;           /* may never run twice: it has one login */
  char why[CAMERA_WHY_MAX]; /* why it cannot be used */
} camera_info;

/* trusted: it may name files, devices and users of this machine, and options of FFmpeg. */
void camera_read(camera_info *c, const char *name, const char *value, size_t length, bool trusted);
void camera_free(camera_info *c);

/* Whether it is the name of a stream that can be the key of a bucket. */
bool camera_name_is_valid(const char *name);
/* Whether `has` has all the strings of `wants`; each may be NULL. */
bool camera_labels_fit(const json_t *wants, const json_t *has);

#endif
