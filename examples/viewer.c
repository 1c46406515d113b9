/* viewer.c - prints what a detector found in each picture of a camera: viewer CAMERA DETECTOR
 * A program that draws has the picture in its hand at the same time. */
#include <cuframes/cuframes.h>
#include <stdio.h>
#include <string.h>

/* What was found in the frame, in pixels. */
static void print_boxes(const cuframes_frame *frame, const cuframes_detection *found, size_t count) {
  float width = (float)cuframes_frame_width(frame), height = (float)cuframes_frame_height(frame);
  for (size_t i = 0; i < count; i++)
    printf("frame %llu: %s %.2f at %.0f,%.0f size %.0fx%.0f\n", (unsigned long long)cuframes_frame_seq(frame),
           found[i].label, (double)found[i].confidence, (double)(found[i].x * width), (double)(found[i].y * height),
           (double)(found[i].width * width), (double)(found[i].height * height));
}

static int show(cuframes_join *detections, const cuframes_frame *frame) {
  cuframes_frame_id id = { .struct_size = sizeof id };
  cuframes_packet *packet;
  uint32_t type;
  const void *data;
  size_t size;
  int result = cuframes_frame_identify(frame, &id);
  if (result == CUFRAMES_OK)
    result = cuframes_join_find(detections, &id, INT64_C(200000000), &packet); /* a picture is not held up for longer */
  if (result == CUFRAMES_ERR_TIMEOUT || result == CUFRAMES_ERR_STALE) {
    printf("frame %llu: the detector said nothing of it\n", (unsigned long long)id.seq);
    return CUFRAMES_OK;
  }
  if (result != CUFRAMES_OK)
    return result;
  result = cuframes_packet_annotation(packet, NULL, &type, &data, &size);
  if (result == CUFRAMES_OK && type == CUFRAMES_ANNOTATION_DETECTIONS)
    print_boxes(frame, data, size / sizeof(cuframes_detection));
  cuframes_packet_release(packet);
  return result;
}

int main(int argc, char **argv) {
  cuframes_subscriber_options camera_options = { .struct_size = sizeof camera_options,
                                                 .connect_timeout_ns = INT64_C(5000000000) };
  cuframes_join_options join_options = { .struct_size = sizeof join_options,
                                         .connect_timeout_ns = INT64_C(5000000000),
                                         .type = CUFRAMES_ANNOTATION_DETECTIONS };
  cuframes_subscriber *camera = NULL;
  cuframes_join *detections = NULL;
  if (argc != 3) {
    fprintf(stderr, "usage: viewer CAMERA DETECTOR\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0); /* each line at once, into a pipe, too */
  int result = cuframes_join_create(argv[2], &join_options, &detections);
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_create(argv[1], &camera_options, &camera);
  while (result == CUFRAMES_OK) {
    cuframes_frame *frame;
    result = cuframes_subscriber_next(camera, CUFRAMES_WAIT_FOREVER, &frame);
    if (result != CUFRAMES_OK)
      break;
    result = show(detections, frame);
    cuframes_frame_release(frame);
  }
  fprintf(stderr, "viewer: %s\n", cuframes_last_error());
  cuframes_subscriber_destroy(camera);
  cuframes_join_destroy(detections);
  return result != CUFRAMES_ERR_PUBLISHER_GONE;
}
