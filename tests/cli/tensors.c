/* tensors.c - a publisher for the end-to-end tests: one tensor of 2x3x5 float16, whose bytes count up from 0; until
 * SIGINT comes.
 *
 *   tensors NAME
 */
#include <signal.h>
#include <stdio.h>

#include <cuframes/cuframes.h>

static int fail(void) {
  fprintf(stderr, "tensors: %s\n", cuframes_last_error());
  return 1;
}

int main(int argc, char **argv) {
  cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .format = { .pixel_format = CUFRAMES_PIXEL_TENSOR, .tensor = { CUFRAMES_ELEMENT_FLOAT16, 3, { 2, 3, 5 } } },
  };
  cuframes_publisher *publisher = NULL;
  cuframes_frame *frame;
  unsigned char bytes[60];
  sigset_t interrupt;
  int number;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  sigprocmask(SIG_BLOCK, &interrupt, NULL); /* before the library makes threads, which then have it blocked, too */
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (unsigned char)i;
  if (argc != 2 || cuframes_publisher_create(argv[1], &options, &publisher) < 0 ||
      cuframes_publisher_acquire(publisher, &frame) < 0 || cuframes_frame_copy_from_host(frame, 0, bytes, 0) < 0 ||
      cuframes_publisher_publish(publisher, frame, NULL) < 0)
    return fail();
  (void)sigwait(&interrupt, &number); /* fails for a set that is none */
  cuframes_publisher_destroy(publisher);
  return 0;
}
