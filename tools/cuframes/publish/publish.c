/* publish.c - `cuframes publish`: one worker per stream; this thread watches, shows the state and ends it all. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libavformat/avformat.h>

#include "common/cli.h"
#include "common/cli_avlog.h"
#include "common/output.h"
#include "media/media_extra.h"
#include "publish_job.h"

#define STATUS_NS (PUBLISH_SECOND / 2)
#define GRACE_NS PUBLISH_SECOND /* for workers to say good-bye and end; some calls cannot be interrupted */
#define SHOWN_MAX 4             /* streams in the live line */

typedef struct watch {
  publish_job *jobs;
  size_t count;
  publish_run *run;
  sigset_t signals_open; /* the mask under which signals arrive */
  int64_t status_last;
  bool status_shown; /* there was something to tell */
} watch;

static bool job_ended(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  bool ended = job->ended || job->abandoned;
  pthread_mutex_unlock(&job->lock);
  return ended;
}

static bool all_ended(const watch *w) {
  for (size_t i = 0; i < w->count; i++)
    if (!job_ended(&w->jobs[i]))
      return false;
  return true;
}

/* Sleeps until a job ends, a signal comes or the time is over. */
static void wait_for_something(watch *w, int64_t until) {
  int64_t left = until - cuframes_now();
  if (left < 0)
    left = 0;
  struct timespec timeout = { .tv_sec = left / PUBLISH_SECOND, .tv_nsec = left % PUBLISH_SECOND };
  struct pollfd ended = { .fd = w->run->ended_fd, .events = POLLIN };
  eventfd_t count;
  if (ppoll(&ended, 1, &timeout, &w->signals_open) > 0)
    (void)eventfd_read(w->run->ended_fd, &count); /* only there to wake us */
}

static void show_status(watch *w) {
  char line[1024] = "";
  size_t used = 0, shown = w->count < SHOWN_MAX ? w->count : SHOWN_MAX;
  int64_t now = cuframes_now();
  double seconds = (double)(now - w->status_last) / 1e9, all_fps = 0;
  for (size_t i = 0; i < w->count; i++) {
    cuframes_publisher_stats s;
    publish_counts c;
    publish_job_stats(&w->jobs[i], &s, &c);
    double fps = (double)(s.frames - w->jobs[i].status_frames) / seconds;
    w->jobs[i].status_frames = s.frames;
    all_fps += fps;
    if (i < shown && used < sizeof line) {
      used += (size_t)snprintf(line + used, sizeof line - used,
                               "%s%s: %.1f fps, %llu frames, %u subscribers, %llu dropped, %llu decode errors",
                               i ? " | " : "", w->jobs[i].options->name, fps, (unsigned long long)s.frames,
                               s.subscribers, (unsigned long long)s.dropped, (unsigned long long)c.decode_errors);
    }
  }
  w->status_last = now;
  if (all_fps == 0 && !w->status_shown)
    return; /* nothing has come yet */
  w->status_shown = true;
  if (w->count > shown)
    cli_live("%zu streams, %.1f fps in all | %s", w->count, all_fps, line);
  else
    cli_live("%s", line);
}

/* Ends the streams whose workers hang in a call of FFmpeg that does not listen. */
static void abandon_hanging(watch *w) {
  for (size_t i = 0; i < w->count; i++) {
    publish_job *job = &w->jobs[i];
    pthread_mutex_lock(&job->lock);
    bool hangs = !job->ended && job->in_library && job->borrowers == 0;
    if (hangs) {
      if (job->publisher != NULL)
        (void)cuframes_publisher_get_stats(job->publisher, &job->stats);
      cuframes_publisher_destroy(job->publisher);
      job->publisher = NULL;
      job->abandoned = true;
    }
    pthread_mutex_unlock(&job->lock);
    if (hangs)
      publish_job_summary(job);
  }
}

/* A second signal is to end the process at once, from here on wherever this thread waits. */
static void open_signals(const watch *w) {
  pthread_sigmask(SIG_SETMASK, &w->signals_open, NULL);
}

/* Whether they have stalled. Gives when to look again. */
static int64_t look_at_sources(const watch *w) {
  int64_t again = INT64_MAX;
  for (size_t i = 0; i < w->count; i++) {
    const int64_t one = publish_state_look(&w->jobs[i]);
    again = one < again ? one : again;
  }
  return again;
}

/* Until every job has ended. After a stop workers get a moment, then those that hang in FFmpeg are left behind. */
static void watch_jobs(watch *w) {
  bool live = !w->run->request->quiet, stopping = false;
  int64_t abandon_at = 0;
  w->status_last = cuframes_now();
  while (!all_ended(w)) {
    int64_t now = cuframes_now(), deadline = w->run->deadline;
    if (!stopping && (cli_stopped || publish_run_stopping(w->run) || (deadline != 0 && now >= deadline))) {
      stopping = true;
      abandon_at = now + GRACE_NS;
      publish_run_stop(w->run);
      open_signals(w);
    } else if (stopping && now >= abandon_at) {
      abandon_hanging(w);
      abandon_at = now + GRACE_NS;
      continue;
    }
    const int64_t look = stopping ? INT64_MAX : look_at_sources(w);
    if (live && !stopping && now - w->status_last >= STATUS_NS)
      show_status(w);
    int64_t until = stopping ? abandon_at : w->status_last + STATUS_NS;
    if (!live && !stopping)
      until = deadline ? deadline : now + 3600 * PUBLISH_SECOND;
    else if (!stopping && deadline != 0 && deadline < until)
      until = deadline;
    wait_for_something(w, look < until ? look : until);
  }
  cli_live_end();
}

/* Nobody reads the events any more, or the disk is full: what cli_output_end() says is why all of it ends. */
static void stop_without_output(void *user) {
  publish_run *run = user;
  publish_run_stop(run);
  (void)eventfd_write(run->ended_fd, 1);
}

static bool init_run(publish_run *run, const publish_request *request) {
  pthread_condattr_t attributes;
  *run = (publish_run){ .request = request, .ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
  run->deadline = request->duration_ns ? cuframes_now() + request->duration_ns : 0;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  bool good = run->ended_fd >= 0 && publish_gpus_init(&run->gpus) && pthread_mutex_init(&run->lock, NULL) == 0 &&
              pthread_cond_init(&run->changed, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  return good;
}

/* Starts the workers; those that cannot be started count as failed. */
static void start_jobs(watch *w, const publish_request *request) {
  for (size_t i = 0; i < request->stream_count; i++) {
    publish_job *job = &w->jobs[w->count];
    if (!publish_job_init(job, &request->streams[i], w->run)) {
      cli_error("%s: out of memory", request->streams[i].name);
      continue;
    }
    int error = pthread_create(&job->thread, NULL, publish_job_thread, job);
    if (error != 0) {
      cli_error("%s: no thread: %s", request->streams[i].name, strerror(error));
      publish_job_free(job);
      continue;
    }
    w->count++;
  }
}

/* Gives the exit code. What a worker that was left behind may still touch is not freed: the process ends. */
static int finish(watch *w, size_t wanted) {
  int code = w->count == wanted ? CLI_OK : CLI_FAILED;
  bool abandoned = false;
  for (size_t i = 0; i < w->count; i++) {
    publish_job *job = &w->jobs[i];
    if (job->abandoned) {
      abandoned = true;
      continue;
    }
    pthread_join(job->thread, NULL);
    code = code == CLI_OK ? job->exit_code : code;
  }
  if (abandoned)
    _exit(cli_output_end(code));
  for (size_t i = 0; i < w->count; i++)
    publish_job_free(&w->jobs[i]);
  return code;
}

static int publish_all(const publish_request *request) {
  publish_run run;
  watch w = { .run = &run, .jobs = calloc(request->stream_count, sizeof *w.jobs) };
  if (w.jobs == NULL || !init_run(&run, request)) {
    cli_error("out of memory or descriptors");
    free(w.jobs);
    return CLI_FAILED;
  }
  /* Signals arrive in this thread and only while it waits: none is missed between looking and waiting. */
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, &w.signals_open);
  cli_catch_signals();
  avformat_network_init();
  output_on_error(stop_without_output, &run);
  start_jobs(&w, request);
  watch_jobs(&w);
  output_on_error(NULL, NULL);
  open_signals(&w);
  int code = finish(&w, request->stream_count);
  avformat_network_deinit();
  publish_gpus_free(&run.gpus);
  close(run.ended_fd);
  pthread_cond_destroy(&run.changed);
  pthread_mutex_destroy(&run.lock);
  free(w.jobs);
  return code;
}

int cmd_publish(int argc, char **argv) {
  publish_request request = { .streams = NULL };
  int code = publish_parse(argc, argv, &request);
  cli_avlog_install();
  for (size_t i = 0; code == CLI_OK && i < request.stream_count; i++)
    code = media_extra_validate(request.streams[i].input_options);
  if (request.help)
    publish_print_help();
  else if (code == CLI_OK)
    code = publish_all(&request);
  publish_request_free(&request);
  return code;
}
