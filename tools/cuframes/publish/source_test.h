/* source_test.h - the input `test:WIDTHxHEIGHT@FPS[,PIXFMT]`: pattern.h's picture at a steady pace. */
#ifndef CUFRAMES_CLI_SOURCE_TEST_H
#define CUFRAMES_CLI_SOURCE_TEST_H

typedef struct publish_job publish_job;

/* Publishes until the job is to stop. Gives an exit code, after a message. */
int source_test_run(publish_job *job);

#endif
