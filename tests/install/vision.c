/* vision.c - the smallest program of somebody else that uses the second library, too: C99 and C++17 alike. */
#include <cuframes/vision.h>
#include <stdio.h>

int main(void) {
  cuframes_preprocess_options options = { 0 };
  cuframes_preprocess *preprocess = NULL;
  options.struct_size = sizeof options;
  options.width = options.height = 8;
  int result = cuframes_preprocess_create(&options, &preprocess);
  puts(result == CUFRAMES_OK ? cuframes_version() : cuframes_last_error());
  cuframes_preprocess_destroy(preprocess);
  return result != CUFRAMES_OK;
}
