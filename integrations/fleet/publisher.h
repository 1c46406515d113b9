/* publisher.h - the one process `cuframes publish` that runs all cameras of this node.
 *
 * It outlives the agent: a lock that it inherits is held as long as it lives, so that the next agent of the same
 * directory finds it, and goes on with it. What it says comes through a FIFO that it holds open itself, and so is
 * never without a reader. */
#ifndef FLEET_PUBLISHER_H
#define FLEET_PUBLISHER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct publisher {
  const char *program, *directory; /* `cuframes`; where the streams are to be, NULL: as it finds out */
  char config[512], lock[512], events[512];
  int events_fd, pidfd; /* pidfd -1: none runs */
  int pid;
  json_t *running;  /* the array that it was told last */
  json_t *taken;    /* the last one that it took */
  int64_t told_at;  /* of a file of which no word has come back; 0: it has */
  int64_t again_at; /* not to be started before */
  char line[4096];  /* of an event that is not all there yet */
  size_t line_used;
  bool was_found; /* it was there before this agent */
  void (*refuses)(void *user, const char *camera, const char *why);
  void *user;
} publisher;

/* Finds one that runs. false, after a message: the directory cannot be used. */
bool publisher_open(publisher *p, const char *state_directory);
/* It is to run these (an array of streams), and no others: called again and again, it does what is to be done now. */
void publisher_run(publisher *p, json_t *streams, int64_t now);
/* Ends it, and waits for that. */
void publisher_stop(publisher *p);
/* Leaves it. */
void publisher_close(publisher *p);

#endif
