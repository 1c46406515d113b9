/* join.c - joins the stream as any subscriber does, takes some pictures, and looks whether they are whole and by which
 * clock they come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "view.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define PICTURES 8
#define AGE_MOST (10 * SECOND) /* of a picture that was waited for */

/* Whether timestamps are of our CLOCK_MONOTONIC: in a time namespace, or a virtual machine, it is another one. */
static void look_at_clock(doctor *d, const view *v) {
  const bool ahead = v->ahead_ns > MS, behind = v->age_ns != CUFRAMES_NO_TIME && v->age_ns > AGE_MOST;
  if (!ahead && !behind) {
    if (v->age_ns == CUFRAMES_NO_TIME)
      found(d, FOUND_UNKNOWN, "clock",
            "whether the publisher's clock is ours: only one picture came, and it is not from the future");
    else
      found(d, FOUND_WELL, "clock", "pictures come %.3f ms after they were published, by one clock",
            (double)v->age_ns / 1e6);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "clock", "pictures of %s are dated %.1f s in the %s", d->name,
                     (double)(ahead ? v->ahead_ns : v->age_ns) / 1e9, ahead ? "future" : "past");
  finding_why(
      f, "the publisher has another CLOCK_MONOTONIC: a time namespace of its own, or it was restored from a snapshot");
  finding_mend(f, "ls -l /proc/%d/ns/time /proc/self/ns/time; start both in the same one (no unshare --time)",
               d->publisher > 0 ? d->publisher : 1);
}

static void look_at_times(doctor *d, const view *v) {
  if (v->seen < 3 || v->last_pts == CUFRAMES_NO_TIME) {
    found(d, FOUND_UNKNOWN, "times", "how the source's clock goes: %s",
          v->seen < 3 ? "too few pictures came" : "pictures have no times");
    return;
  }
  const double source = (double)v->pts_ns / 1e6, ours = (double)v->published_ns / 1e6;
  if (!v->pts_back && v->pts_ns > 0) {
    found(d, FOUND_WELL, "times", "the source's clock went %.0f ms while ours went %.0f ms", source, ours);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "times", "the source's clock %s in %s",
                     v->pts_back ? "goes back" : "stands still", d->name);
  finding_why(f, "of %u pictures in a row the times did not rise: recordings and joins with detections go by them",
              v->seen);
  finding_mend(f, "cuframes publish ... --name %s --times arrival takes our clock instead", d->name);
}

static void look_at_capture(doctor *d, const view *v) {
  if (v->capture_off_ns == CUFRAMES_NO_TIME)
    found(d, FOUND_UNKNOWN, "capture",
          "what the camera's clock on the wall says: pictures do not tell when they were taken");
  else
    found(d, llabs(v->capture_off_ns) > 60 * SECOND ? FOUND_NOTE : FOUND_WELL, "capture",
          "the newest picture was taken %.1f s %s by the camera's clock on the wall",
          (double)llabs(v->capture_off_ns) / 1e9, v->capture_off_ns > 0 ? "in the future" : "ago");
}

static void found_failing(doctor *d, const view *v) {
  const char *what = v->outcome == VIEW_TORN     ? "pictures of %s are not whole"
                     : v->outcome == VIEW_LESSER ? "%s cannot be read in the sync mode that was asked for"
                     : v->seen > 0               ? "%s was joined, and then lost"
                                                 : "%s cannot be read by this process";
  char text[160];
  snprintf(text, sizeof text, what, d->name);
  finding *f = found(d, FOUND_PROBLEM, v->outcome == VIEW_LESSER ? "sync" : "join", "%s", text);
  view_blame(v, f, d);
}

/* Whether it was said of the camera that no pictures come. */
static bool is_awaited(const doctor *d) {
  for (size_t i = 0; i < d->finding_count; i++)
    if (d->findings[i].state == FOUND_PROBLEM && strcmp(d->findings[i].check, "camera") == 0)
      return true;
  return false;
}

void doctor_join(doctor *d) {
  view v = { .name = d->name,
             .directory = d->path,
             .device = d->device,
             .sync = d->sync,
             .pictures = PICTURES,
             .packets = d->stream_answers && !d->stream_pictures,
             .limit_ns = d->limit_ns * 3 / 4 };
  if (!d->name || d->path[0] == '\0')
    return;
  if (d->stream_barred || d->low_limits || d->kernel_barred || (d->gpu_barred && doctor_gpu(d))) {
    found(d, FOUND_UNKNOWN, "join", "whether %s can be read was not tried: see the above", d->name);
    return;
  }
  const bool awaited = is_awaited(d);
  if (awaited) { /* the newest picture, if there ever was one */
    v.pictures = 1;
    v.limit_ns = v.limit_ns < SECOND ? v.limit_ns : SECOND;
  }
  doctor_stage(d, "joining %s%s", d->name, doctor_gpu(d) ? " on the GPU" : "");
  view_read(&v);
  if (awaited && v.outcome == VIEW_FAILED && v.error == CUFRAMES_ERR_TIMEOUT) {
    found(d, FOUND_UNKNOWN, "join", "%s was joined; whether its pictures are whole: none came", d->name);
    return;
  }
  if (v.outcome != VIEW_WHOLE)
    found_failing(d, &v);
  else if (v.packets)
    found(d, FOUND_WELL, "join", "%s was joined for its packets; it has no pictures", d->name);
  else
    found(d, FOUND_WELL, "join", "%u pictures of %s were read, mode %s, and stayed whole", v.seen, d->name,
          view_sync_text(v.granted));
  if (v.seen > 0) {
    look_at_clock(d, &v);
    look_at_times(d, &v);
    look_at_capture(d, &v);
  }
}
