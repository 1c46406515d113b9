/* consumer.c - the smallest program of somebody else: C99 and C++17 alike. */
#include <cuframes/cuframes.h>
#include <stdio.h>

int main(void) {
  return puts(cuframes_version()) < 0;
}
