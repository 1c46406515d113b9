/* detector.c - says where a camera's pictures are brightest: detector CAMERA NAME
 * It looks at the newest picture of CAMERA, and publishes what it found as the stream NAME, which has no pictures. */
#include <cuframes/cuframes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 8 }; /* the picture is cut into so many columns and rows */

/* The sum of the first plane's bytes in one cell: brightness in the formats whose first plane is luma. */
static unsigned long long cell_sum(const unsigned char *rows, size_t pitch, uint32_t row_bytes, uint32_t count,
                                   uint32_t column, uint32_t row) {
  unsigned long long sum = 0;
  for (uint32_t y = row * count / CELLS; y < (row + 1) * count / CELLS; y++)
    for (uint32_t x = column * row_bytes / CELLS; x < (column + 1) * row_bytes / CELLS; x++)
      sum += rows[y * pitch + x];
  return sum;
}

static cuframes_detection brightest(const unsigned char *rows, size_t pitch, uint32_t row_bytes, uint32_t count) {
  cuframes_detection found = { .width = 1.0F / CELLS, .height = 1.0F / CELLS, .label = "bright" };
  unsigned long long most = 0, all = 1;
  for (uint32_t i = 0; i < CELLS * CELLS; i++) {
    unsigned long long sum = cell_sum(rows, pitch, row_bytes, count, i % CELLS, i / CELLS);
    all += sum;
    if (sum < most)
      continue;
    most = sum;
    found.x = (float)(i % CELLS) / CELLS;
    found.y = (float)(i / CELLS) / CELLS;
  }
  found.confidence = (float)((double)most / (double)all); /* the brightest cell's share of all the light */
  return found;
}

/* Looks at one frame, wherever it lies. */
static int look(const cuframes_frame *frame, cuframes_detection *found) {
  uint32_t row_bytes, rows;
  int result = cuframes_format_plane_size(cuframes_frame_format(frame), 0, &row_bytes, &rows);
  unsigned char *copy = result == CUFRAMES_OK ? malloc((size_t)row_bytes * rows) : NULL;
  if (!copy)
    return result == CUFRAMES_OK ? CUFRAMES_ERR_NO_MEMORY : result;
  result = cuframes_frame_copy_to_host(frame, 0, copy, 0);
  if (result == CUFRAMES_OK)
    *found = brightest(copy, row_bytes, row_bytes, rows);
  free(copy);
  return result;
}

int main(int argc, char **argv) {
  cuframes_subscriber_options from = { .struct_size = sizeof from, .connect_timeout_ns = INT64_C(5000000000) };
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring }; /* there before anybody can join */
  cuframes_publisher_options to = { .struct_size = sizeof to,
                                    .description = "where it is brightest",
                                    .packets = &ring };
  cuframes_subscriber *camera = NULL;
  cuframes_publisher *publisher = NULL;
  if (argc != 3) {
    fprintf(stderr, "usage: detector CAMERA NAME\n");
    return 2;
  }
  int result = cuframes_publisher_create(argv[2], &to, &publisher); /* no format: packets alone */
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_create(argv[1], &from, &camera);
  while (result == CUFRAMES_OK) {
    cuframes_frame *frame;
    cuframes_detection found;
    cuframes_frame_id id = { .struct_size = sizeof id };
    result = cuframes_subscriber_next(camera, CUFRAMES_WAIT_FOREVER, &frame);
    if (result != CUFRAMES_OK)
      break;
    result = look(frame, &found);
    if (result == CUFRAMES_OK)
      result = cuframes_frame_identify(frame, &id);
    cuframes_frame_release(frame);
    if (result == CUFRAMES_OK)
      result = cuframes_publisher_publish_annotation(publisher, 0, &id, CUFRAMES_ANNOTATION_DETECTIONS, &found,
                                                     sizeof found);
  }
  fprintf(stderr, "detector: %s\n", cuframes_last_error());
  cuframes_subscriber_destroy(camera);
  cuframes_publisher_destroy(publisher);
  return result != CUFRAMES_ERR_PUBLISHER_GONE;
}
