/* report.c - what the stand-in has alive, asked for by a test or written at the end of a program. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static const char *const names[STANDIN_KINDS] = {
  [STANDIN_CONTEXTS] = "contexts",
  [STANDIN_STREAMS] = "streams",
  [STANDIN_EVENTS] = "events",
  [STANDIN_MODULES] = "modules",
  [STANDIN_ALLOCATIONS] = "allocations",
  [STANDIN_HANDLES] = "handles",
  [STANDIN_RESERVATIONS] = "reservations",
  [STANDIN_MAPPINGS] = "mappings",
  [STANDIN_IPC_MAPPINGS] = "ipc_mappings",
  [STANDIN_POOLS] = "pools",
  [STANDIN_REGISTRATIONS] = "registrations",
  [STANDIN_HOST_ALLOCATIONS] = "host_allocations",
  [STANDIN_SWEPT] = "swept",
};

static long count(standin_kind kind) {
  switch (kind) {
    case STANDIN_CONTEXTS: return si_contexts_alive();
    case STANDIN_STREAMS: return si_streams_live();
    case STANDIN_EVENTS: return si_events_live();
    case STANDIN_MODULES: return si_modules_live();
    case STANDIN_ALLOCATIONS: return si_spaces_count(SI_ALLOCATION) + si_spaces_count(SI_POOLED);
    case STANDIN_HANDLES: return si_handles_count();
    case STANDIN_RESERVATIONS: return si_spaces_count(SI_RESERVATION);
    case STANDIN_MAPPINGS: return si_maps_count();
    case STANDIN_IPC_MAPPINGS: return si_spaces_count(SI_IPC);
    case STANDIN_POOLS: return si_pools_count();
    case STANDIN_REGISTRATIONS: return si_spaces_count(SI_REGISTERED);
    case STANDIN_HOST_ALLOCATIONS: return si_spaces_count(SI_HOST);
    case STANDIN_SWEPT: return si_swept();
    default: return -1;
  }
}

long standin_live(standin_kind kind) {
  pthread_mutex_lock(&si_lock);
  long result = count(kind);
  pthread_mutex_unlock(&si_lock);
  return result;
}

const char *standin_kind_name(standin_kind kind) {
  return (unsigned)kind < STANDIN_KINDS ? names[kind] : "";
}

/* One write, so that lines of several processes do not mix. A forked child has nothing to say. */
__attribute__((destructor)) static void report(void) {
  const char *path = si_configuration()->report;
  if (!*path || si_forked())
    return;
  char line[512];
  int length = snprintf(line, sizeof line, "%d", (int)getpid());
  for (int kind = 0; kind < STANDIN_KINDS; kind++)
    length +=
        snprintf(line + length, sizeof line - (size_t)length, " %s=%ld", names[kind], standin_live((standin_kind)kind));
  line[length++] = '\n';
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0)
    return;
  if (write(fd, line, (size_t)length) != length)
    fprintf(stderr, "standin: the report could not be written\n");
  close(fd);
}
