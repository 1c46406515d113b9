/* describe.c - a publisher for the end-to-end tests that has no pictures and says what it likes of itself, until a
 * signal ends it: describe NAME DESCRIPTION. */
#include <signal.h>
#include <stdio.h>

#include <cuframes/cuframes.h>

int main(int argc, char **argv) {
  sigset_t ends;
  int number;
  cuframes_publisher_options options = { .struct_size = sizeof options, .description = argc > 2 ? argv[2] : "" };
  cuframes_publisher *publisher = NULL;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &ends, NULL) != 0)
    return 1;
  if (argc < 2 || cuframes_publisher_create(argv[1], &options, &publisher) != CUFRAMES_OK) {
    fprintf(stderr, "describe: %s\n", cuframes_last_error());
    return 1;
  }
  (void)sigwait(&ends, &number); /* there is no error that it could have */
  cuframes_publisher_destroy(publisher);
  return 0;
}
