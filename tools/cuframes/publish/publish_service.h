/* publish_service.h - what a service manager is told of a run (common/notify.h): READY once each name can be joined,
 * that it reads its configuration anew, that it ends, how many of its streams are live, and that its main thread lives.
 *
 * Ready does not wait for pictures, and the sign of life is that of the thread that watches all streams: a camera that
 * is away for a day is no reason to start the others anew.
 *
 * Threads  The main thread's alone. */
#ifndef CUFRAMES_CLI_PUBLISH_SERVICE_H
#define CUFRAMES_CLI_PUBLISH_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "publish_fleet.h"

typedef struct publish_service {
  bool is_wanted;
  bool is_ready;     /* it was said */
  bool is_stopping;  /* likewise: only signs of life follow */
  int64_t watchdog;  /* ns between two signs of life; 0: none is asked for */
  int64_t next_sign; /* when the next one is due */
  char status[256];  /* as it was said last */
} publish_service;

void publish_service_begin(publish_service *service);
/* Says what is due. Gives when to call again at the latest, or when something has changed: INT64_MAX. */
int64_t publish_service_tell(publish_service *service, const publish_fleet *fleet, int64_t now);
/* The configuration is about to be read anew; ready again when each name in it can be joined. */
void publish_service_reloading(publish_service *service);
void publish_service_stopping(publish_service *service);

#endif
