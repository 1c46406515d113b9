/* prepare.c - makes what a network takes of a camera's pictures, and publishes it as a stream of tensors, so that one
 * process prepares and any number infer: prepare CAMERA TENSORS */
#include <cuframes/cuframes.h>
#include <cuframes/vision.h>
#include <stdio.h>

typedef struct prepare {
  cuframes_subscriber *camera;
  cuframes_publisher *tensors;
  cuframes_preprocess *preprocess;
  uint64_t said; /* the number of the frame whose geometry was printed last */
} prepare;

/* From the camera's newest picture to a slot of the stream of tensors: one pass over it, no copy. */
static int one_picture(prepare *p) {
  cuframes_frame *frame = NULL, *tensor = NULL;
  cuframes_picture picture;
  cuframes_geometry where;
  int result = cuframes_subscriber_next(p->camera, CUFRAMES_WAIT_FOREVER, &frame);
  if (result != CUFRAMES_OK)
    return result;
  cuframes_publish_info info = { .struct_size = sizeof info, .pts = cuframes_frame_pts(frame) };
  result = cuframes_picture_from_frame(frame, &picture);
  if (result == CUFRAMES_OK)
    result = cuframes_publisher_acquire(p->tensors, &tensor);
  if (result == CUFRAMES_OK)
    result = cuframes_preprocess_run(p->preprocess, &picture, 1, cuframes_frame_plane(tensor, 0), NULL, &where);
  if (result == CUFRAMES_OK && (p->said == 0 || cuframes_frame_flags(frame) & CUFRAMES_FRAME_NEW_FORMAT)) {
    p->said = cuframes_frame_seq(frame);
    printf("%ux%u fills %ux%u at %u, %u; a box comes back by (x - %g) / %g, (y - %g) / %g\n", picture.format->width,
           picture.format->height, where.width, where.height, where.x, where.y, where.offset_x, where.scale_x,
           where.offset_y, where.scale_y);
  }
  cuframes_frame_release(frame);
  if (result == CUFRAMES_OK)
    result = cuframes_publisher_publish(p->tensors, tensor, &info);
  else
    (void)cuframes_publisher_cancel(p->tensors, tensor);        /* NULL is fine */
  return result == CUFRAMES_ERR_DROPPED ? CUFRAMES_OK : result; /* no slot for this one */
}

int main(int argc, char **argv) {
  const char *camera = argc > 1 ? argv[1] : "demo", *tensors = argc > 2 ? argv[2] : "tensors";
  cuframes_preprocess_options how = { .struct_size = sizeof how, .width = 640, .height = 640 };
  cuframes_subscriber_options reading = { .struct_size = sizeof reading, .connect_timeout_ns = INT64_C(5000000000) };
  cuframes_publisher_options writing = { .struct_size = sizeof writing };
  prepare p = { 0 };
  for (int i = 0; i < 3; i++) /* as YOLO has it: values 0 to 1, grey around the picture */
    how.padding[i] = 114;
  reading.device = "host";
  setvbuf(stdout, NULL, _IOLBF, 0);
  int result = cuframes_preprocess_create(&how, &p.preprocess);
  if (result == CUFRAMES_OK)
    result = cuframes_preprocess_format(p.preprocess, 1, &writing.format);
  if (result == CUFRAMES_OK)
    result = cuframes_publisher_create(tensors, &writing, &p.tensors);
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_create(camera, &reading, &p.camera);
  while (result == CUFRAMES_OK)
    result = one_picture(&p);
  fprintf(stderr, "prepare: %s\n", cuframes_last_error());
  cuframes_subscriber_destroy(p.camera);
  cuframes_publisher_destroy(p.tensors);
  cuframes_preprocess_destroy(p.preprocess);
  return result != CUFRAMES_ERR_PUBLISHER_GONE;
}
