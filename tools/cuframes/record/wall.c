/* wall.c - from the stream's times to the clock on the wall. */
#include "wall.h"

#include <time.h>

#include <cuframes/cuframes.h>

#define SECOND INT64_C(1000000000)
#define MAX_JUMP (10 * SECOND)
#define MAX_BACK SECOND
/* The clock was set, not slewed. */
#define CLOCK_SET SECOND
/* A file is live if it took as long as its times say, within a fiftieth; of that much its drift is taken back. */
#define DRIFT_SHARE 50

int64_t wall_now(void) {
  struct timespec now = { 0 };
  (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
  return now.tv_sec * SECOND + now.tv_nsec;
}

static int64_t clock_offset(void) {
  return wall_now() - cuframes_now();
}

void wall_tie(wall *w, int64_t time) {
  w->set = true;
  w->offset = wall_now() - time;
  w->latest = w->file_time = time;
  w->latest_came = w->file_came = cuframes_now();
  w->least_late = INT64_MAX;
  w->clock = clock_offset();
}

bool wall_note(wall *w, int64_t time, int64_t usual) {
  const int64_t now = cuframes_now(), step = time - w->latest;
  const int64_t most = (20 * usual > MAX_JUMP ? 20 * usual : MAX_JUMP) + (now - w->latest_came);
  const int64_t back = 20 * usual > MAX_BACK ? 20 * usual : MAX_BACK; /* pictures come out of their order */
  if (step > most || step < -back)
    return false;
  const int64_t late = wall_now() - wall_of(w, time);
  if (late < w->least_late)
    w->least_late = late;
  if (time > w->latest) {
    w->latest = time;
    w->latest_came = now;
  }
  return true;
}

int64_t wall_of(const wall *w, int64_t time) {
  return time + w->offset;
}

void wall_begin_file(wall *w, int64_t time) {
  const int64_t now = cuframes_now(), took = now - w->file_came, length = time - w->file_time;
  const int64_t most = length / DRIFT_SHARE;
  if (most > 0 && took - length < most && length - took < most && w->least_late != INT64_MAX) {
    const int64_t late = w->least_late;
    w->offset += late > most ? most : late < -most ? -most : late;
  }
  w->file_time = time;
  w->file_came = now;
  w->least_late = INT64_MAX;
}

bool wall_was_set(wall *w, int64_t *by) {
  const int64_t clock = clock_offset();
  *by = clock - w->clock;
  if (*by<CLOCK_SET && * by> - CLOCK_SET) {
    w->clock = clock; /* slewed: drift takes care of it */
    return false;
  }
  w->clock = clock;
  w->offset += *by;
  w->least_late = INT64_MAX;
  return true;
}
