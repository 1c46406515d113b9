/* boxes.c - a detector for the end-to-end tests: finds in each picture of CAMERA what it was told, COUNT times the same
 * box, and publishes that as the stream NAME; until CAMERA ends or SIGINT comes.
 *
 *   boxes CAMERA NAME COUNT X,Y,WIDTH,HEIGHT
 */
#include <stdio.h>
#include <stdlib.h>

#include <cuframes/cuframes.h>

enum { COUNT_MAX = 1024 };

static int usage(void) {
  fprintf(stderr, "usage: boxes CAMERA NAME COUNT X,Y,WIDTH,HEIGHT\n");
  return 2;
}

/* What is found in the next picture. */
static int find(cuframes_subscriber *camera, cuframes_publisher *publisher, const cuframes_detection *found,
                size_t count) {
  cuframes_frame *frame;
  cuframes_frame_id id = { .struct_size = sizeof id };
  int result = cuframes_subscriber_next(camera, CUFRAMES_WAIT_FOREVER, &frame);
  if (result != CUFRAMES_OK)
    return result;
  result = cuframes_frame_identify(frame, &id);
  cuframes_frame_release(frame);
  if (result != CUFRAMES_OK)
    return result;
  return cuframes_publisher_publish_annotation(publisher, 0, &id, CUFRAMES_ANNOTATION_DETECTIONS, found,
                                               count * sizeof *found);
}

int main(int argc, char **argv) {
  static cuframes_detection found[COUNT_MAX];
  const cuframes_subscriber_options from = { .struct_size = sizeof from, .connect_timeout_ns = INT64_C(5000000000) };
  const cuframes_packet_ring_options ring = { .struct_size = sizeof ring };
  const cuframes_publisher_options to = { .struct_size = sizeof to, .packets = &ring };
  cuframes_subscriber *camera = NULL;
  cuframes_publisher *publisher = NULL;
  cuframes_detection box = { .confidence = 1 };
  if (argc != 5 || sscanf(argv[4], "%f,%f,%f,%f", &box.x, &box.y, &box.width, &box.height) != 4)
    return usage();
  const size_t count = (size_t)strtoul(argv[3], NULL, 10);
  if (count > COUNT_MAX)
    return usage();
  for (size_t i = 0; i < count; i++)
    found[i] = box;
  int result = cuframes_publisher_create(argv[2], &to, &publisher);
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_create(argv[1], &from, &camera);
  while (result == CUFRAMES_OK)
    result = find(camera, publisher, found, count);
  if (result != CUFRAMES_ERR_PUBLISHER_GONE)
    fprintf(stderr, "boxes: %s\n", cuframes_last_error());
  cuframes_subscriber_destroy(camera);
  cuframes_publisher_destroy(publisher);
  return result != CUFRAMES_ERR_PUBLISHER_GONE;
}
