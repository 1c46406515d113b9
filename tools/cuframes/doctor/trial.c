/* trial.c - proves that sharing works: a stream of the doctor's own, in a directory of its own, published by one
 * process and read by another, and every byte compared; in host memory and, where there is one, on the GPU. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "causes.h"
#include "common/reader.h"
#include "doctor.h"
#include "gpu_state.h"
#include "guard.h"
#include "media/canvas.h"
#include "pattern/pattern.h"
#include "view.h"

#define NAME "trial"
#define PICTURES 5
#define EVERY_MS 20

/* What the publisher says when it can be joined, or cannot publish. */
typedef struct answer {
  int error; /* of the library */
  char sentence[512];
  char device[CUFRAMES_DEVICE_NAME_MAX + 1];
} answer;

/* ---- the publishing process ---- */

static int publish_one(cuframes_publisher *publisher, host_canvas *canvas, uint64_t number) {
  cuframes_frame *frame;
  int error = cuframes_publisher_acquire(publisher, &frame);
  if (error == CUFRAMES_ERR_DROPPED)
    return CUFRAMES_OK; /* there is no slot for this one */
  if (error != CUFRAMES_OK)
    return error;
  if (!canvas_begin(canvas, frame)) {
    (void)cuframes_publisher_cancel(publisher, frame); /* it is open */
    return CUFRAMES_ERR_NO_MEMORY;
  }
  pattern_draw(canvas->plane, canvas->pitch, cuframes_frame_format(frame), number);
  error = canvas_end(canvas, frame);
  if (error != CUFRAMES_OK) {
    (void)cuframes_publisher_cancel(publisher, frame);
    return error;
  }
  const cuframes_publish_info info = { .struct_size = sizeof info, .pts = (int64_t)number * EVERY_MS * 1000000 };
  return cuframes_publisher_publish_on(publisher, frame, NULL, &info);
}

static void tell(int fd, int error, const char *device) {
  answer a = { .error = error };
  if (error != CUFRAMES_OK)
    snprintf(a.sentence, sizeof a.sentence, "%s", cuframes_last_error());
  snprintf(a.device, sizeof a.device, "%s", device ? device : "");
  while (write(fd, &a, sizeof a) < 0 && errno == EINTR) {
  }
}

/* Publishes until it is killed, or nobody listens to it any more. */
static void publish(const doctor *d, const char *device, int to) {
  const cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .format = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 320, .height = 180 },
    .directory = d->trial_directory,
    .device = device,
  };
  cuframes_publisher *publisher = NULL;
  host_canvas canvas = { .memory = NULL };
  int error = cuframes_publisher_create(NAME, &options, &publisher);
  if (error == CUFRAMES_OK)
    error = publish_one(publisher, &canvas, 1);
  tell(to, error, cuframes_publisher_device(publisher, NULL));
  struct pollfd hung_up = { .fd = to };
  for (uint64_t number = 2; error == CUFRAMES_OK && poll(&hung_up, 1, EVERY_MS) == 0; number++)
    error = publish_one(publisher, &canvas, number);
  canvas_free(&canvas);
  cuframes_publisher_destroy(publisher);
}

/* ---- the reading one ---- */

static bool hear(int from, answer *a, int64_t deadline) {
  struct pollfd ready = { .fd = from, .events = POLLIN };
  while (cuframes_now() < deadline)
    if (poll(&ready, 1, 100) > 0)
      return read(from, a, sizeof *a) == (ssize_t)sizeof *a;
  return false;
}

static void read_trial(doctor *d, const char *what, const char *device, uint32_t sync) {
  view v = { .name = NAME,
             .directory = d->trial_directory,
             .device = device,
             .sync = sync,
             .pictures = PICTURES,
             .stamped = true,
             .limit_ns = d->limit_ns / 2 };
  view_read(&v);
  if (v.outcome == VIEW_WHOLE) {
    found(d, FOUND_WELL, what, "%s: %u pictures came from one process to another and every byte was right, mode %s",
          what, v.seen, view_sync_text(v.granted));
    return;
  }
  finding *f =
      found(d, FOUND_PROBLEM, what, "%s: a stream of the doctor's own cannot be read by another process", what);
  view_blame(&v, f, d);
}

static void try_device(doctor *d, const char *what, const char *device, uint32_t sync) {
  int ends[2], alive = -1;
  answer a;
  doctor_stage(d, "publishing a trial stream on the %s", device_is_gpu(device) ? "GPU" : "host");
  if (pipe(ends) != 0) {
    found(d, FOUND_UNKNOWN, what, "%s: not tried, since there is no pipe: %s", what, strerror(errno));
    return;
  }
  pid_t publisher = guard_fork(&alive);
  if (publisher == 0) {
    (void)close(ends[0]);
    (void)signal(SIGPIPE, SIG_IGN);
    publish(d, device, ends[1]);
    exit(EXIT_SUCCESS);
  }
  const int fork_error = errno;
  (void)close(ends[1]);
  if (publisher < 0) {
    found(d, FOUND_UNKNOWN, what, "%s: not tried, since no process can be started: %s", what, strerror(fork_error));
  } else if (!hear(ends[0], &a, cuframes_now() + d->limit_ns)) {
    int status = 0;
    finding *f = found(d, FOUND_PROBLEM, what, "%s: a trial publisher ended without a word", what);
    (void)kill(publisher, SIGKILL); /* it is ours, so it is there */
    while (waitpid(publisher, &status, 0) < 0 && errno == EINTR) {
    }
    finding_status(f, status);
    publisher = -1; /* it has been waited for */
  } else if (a.error != CUFRAMES_OK) {
    finding_error(found(d, FOUND_PROBLEM, what, "%s: nothing can be published", what), d, a.error, a.sentence);
  } else {
    doctor_stage(d, "reading a trial stream on the %s", device_is_gpu(device) ? "GPU" : "host");
    read_trial(d, what, device_is_gpu(device) ? device : NULL, sync);
  }
  (void)close(ends[0]);
  /* It ends in order at once, since nobody listens. */
  if (publisher > 0) {
    struct pollfd end = { .fd = alive, .events = POLLIN };
    doctor_stage(d, "ending a trial stream on the %s", device_is_gpu(device) ? "GPU" : "host");
    (void)poll(&end, 1, -1); /* the part has a limit of time */
    (void)waitpid(publisher, NULL, 0);
  }
  if (alive >= 0)
    (void)close(alive);
}

void doctor_trial(doctor *d) {
  if (d->low_limits || d->kernel_barred || d->connect_barred) {
    found(d, FOUND_UNKNOWN, "host", "whether sharing works was not tried: see the %s",
          d->low_limits      ? "limits"
          : d->kernel_barred ? "kernel"
                             : "stream");
    return;
  }
  if (d->trial_directory[0] == '\0') {
    found(d, FOUND_UNKNOWN, "host",
          "whether sharing works was not tried: there is no place for a directory of its own "
          "(TMPDIR, /tmp, /dev/shm)");
    return;
  }
  try_device(d, "host", "host", 0);
  const char *gpu = doctor_gpu(d);
  if (gpu_is_beside_the_point(d))
    return;
  if (!d->gpu_works) {
    if (gpu || d->gpu_expected)
      found(d, FOUND_UNKNOWN, "gpu", "whether sharing on the GPU works was not tried: see the device");
    return;
  }
  gpu = gpu ? gpu : "cuda";
  try_device(d, "gpu", gpu, d->sync ? d->sync : CUFRAMES_SYNC_COMPLETE);
}
