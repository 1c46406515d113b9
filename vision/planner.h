/* planner.h - makes plans (plan.h): the one place where geometry, colour and chroma location are decided. */
#ifndef CF_VISION_PLANNER_H
#define CF_VISION_PLANNER_H

#include <stdbool.h>

#include <cuframes/vision.h>

#include "vision/plan.h"

/* The options of a preprocess with all defaults filled in, and what they come to. */
typedef struct cf_preprocess_setup {
  cuframes_preprocess_options options;
  cf_plan_tensor tensor;
} cf_preprocess_setup;

/* True if it is all zeros: the whole picture. */
bool cf_rectangle_none(const cuframes_rectangle *rectangle);

/* True if the picture is all zeros. */
bool cf_picture_none(const cuframes_picture *picture);

/* Checks a picture that is to be read, or written to: planes, pitches, format, device. `device` is that of who uses it;
 * `what` and `index` name the picture in the detail ("picture", 3). */
int cf_picture_check(const cuframes_picture *picture, const char *device, const char *what, uint32_t index);

/* The part of a checked picture that is used, in pixels. INVALID with the detail. */
typedef struct cf_crop {
  double x, y, width, height;
} cf_crop;
int cf_picture_crop(const cuframes_picture *picture, const char *what, uint32_t index, cf_crop *crop);

/* Where the crop goes in an output of that size; may cut the crop down (cover). */
void cf_fit(uint32_t fit, uint32_t width, uint32_t height, cf_crop *crop, cuframes_geometry *geometry);

/* The plan of a checked picture for a tensor. FORMAT with the detail for a matrix that is not known. `index` names the
 * picture in the detail. */
int cf_plan_preprocess(const cf_preprocess_setup *setup, const cuframes_picture *picture, uint32_t index, cf_plan *plan,
                       cuframes_geometry *geometry);

/* The surface of a checked picture that is to be written to. */
void cf_plan_surface(const cuframes_picture *output, cf_surface *surface);
/* Restricts it to one of `parts` bands of rows. */
void cf_plan_part(cf_surface *surface, uint32_t part, uint32_t parts);

/* The plan of a layer, whose picture was checked (or is none), for an output of that format. */
int cf_plan_layer_make(const cuframes_layer *layer, uint32_t index, const cuframes_format *output, cf_plan_layer *plan);

#endif
