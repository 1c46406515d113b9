/* source_test.h - the input `test:WIDTHxHEIGHT@FPS[,PIXFMT]`: pattern.h's picture at a steady pace. */
#ifndef CUFRAMES_CLI_SOURCE_TEST_H
#define CUFRAMES_CLI_SOURCE_TEST_H

#include <stdbool.h>

struct publish_job;

bool source_test_is(const char *input);

/* NULL if the description is good, else what is wrong with it (static). */
const char *source_test_check(const char *input);

/* Publishes until the job is to stop. Gives an exit code, after a message. */
int source_test_run(struct publish_job *job);

#endif
