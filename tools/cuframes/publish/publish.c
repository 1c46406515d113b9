/* publish.c - `cuframes publish`: one worker per stream; this thread watches, shows the state, reads the configuration
 * anew and ends it all. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libavformat/avformat.h>

#include "common/cli.h"
#include "common/cli_avlog.h"
#include "common/json.h"
#include "common/output.h"
#include "media/media_device.h"
#include "media/media_extra.h"
#include "publish_fleet.h"
#include "publish_service.h"

#define STATUS_NS (PUBLISH_SECOND / 2)
#define SHOWN_MAX 4 /* streams in the live line */

typedef struct watch {
  publish_fleet fleet;
  publish_service service;
  publish_run *run;
  char **argv; /* to be read anew, with the file that it names */
  int argc;
  sigset_t signals_open; /* the mask under which signals arrive */
  int64_t status_last;
  bool status_shown; /* there was something to tell */
  bool has_terminal; /* it began on one */
} watch;

static volatile sig_atomic_t hung_up; /* SIGHUP came */

static void on_hangup(int number) {
  (void)number;
  hung_up = 1;
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
  const size_t count = w->fleet.count;
  size_t used = 0, shown = count < SHOWN_MAX ? count : SHOWN_MAX;
  int64_t now = cuframes_now();
  double seconds = (double)(now - w->status_last) / 1e9, all_fps = 0;
  for (size_t i = 0; i < count; i++) {
    cuframes_publisher_stats s;
    publish_counts c;
    publish_job *job = &w->fleet.workers[i]->job;
    publish_job_stats(job, &s, &c);
    double fps = (double)(s.frames - job->status_frames) / seconds;
    job->status_frames = s.frames;
    all_fps += fps;
    if (i < shown && used < sizeof line) {
      used += (size_t)snprintf(line + used, sizeof line - used,
                               "%s%s: %.1f fps, %llu frames, %u subscribers, %llu dropped, %llu decode errors",
                               i ? " | " : "", job->options->name, fps, (unsigned long long)s.frames, s.subscribers,
                               (unsigned long long)s.dropped, (unsigned long long)c.decode_errors);
    }
  }
  w->status_last = now;
  if (all_fps == 0 && !w->status_shown)
    return; /* nothing has come yet */
  w->status_shown = true;
  if (count > shown)
    cli_live("%zu streams, %.1f fps in all | %s", count, all_fps, line);
  else
    cli_live("%s", line);
}

/* A second signal is to end the process at once, from here on wherever this thread waits. */
static void open_signals(const watch *w) {
  pthread_sigmask(SIG_SETMASK, &w->signals_open, NULL);
}

/* Whether they have stalled. Gives when to look again. */
static int64_t look_at_sources(const watch *w) {
  int64_t again = INT64_MAX;
  for (size_t i = 0; i < w->fleet.count; i++) {
    const int64_t one = publish_state_look(&w->fleet.workers[i]->job);
    again = one < again ? one : again;
  }
  return again;
}

/* The command line and what it names, and whether it can be at all. Gives an exit code, after a message. */
static int read_request(int argc, char **argv, publish_request *request) {
  int code = publish_parse(argc, argv, request);
  for (size_t i = 0; code == CLI_OK && i < request->stream_count; i++) {
    const publish_options *o = &request->streams[i];
    /* Options of cameras are known once libavdevice is there; where it is not, that is what the stream ends with. */
    if (media_device_path(o->input) == NULL || media_device_load())
      code = media_extra_validate(o->input_options);
  }
  return code;
}

/* A file that is wrong changes nothing. What is wrong has been said, and is said to who reads events. */
static void say_not_reloaded(const watch *w, const char *said) {
  char message[512];
  snprintf(message, sizeof message, "%s", said);
  cli_error("nothing was changed");
  if (w->run->request->json)
    cli_json_event(json_pack("{s:s,s:o}", "event", "not_reloaded", "message", cli_json_text(message)));
}

/* SIGHUP: the command line again, and so the configuration that it names, as it is now. */
static void reload(watch *w) {
  publish_request request = { .anew = true };
  char said[512];
  hung_up = 0;
  if (w->has_terminal && !isatty(STDERR_FILENO)) {
    publish_run_stop(w->run); /* the terminal has gone, and who began this with it */
    return;
  }
  publish_service_reloading(&w->service);
  const int code = read_request(w->argc, w->argv, &request);
  cli_last_said(said, sizeof said);
  if (code == CLI_OK)
    publish_fleet_change(&w->fleet, &request);
  else
    say_not_reloaded(w, said);
  publish_request_free(&request);
}

static int64_t earlier(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Until every worker has ended. After a stop they get a moment, then those that hang in FFmpeg are left behind. */
static void watch_workers(watch *w) {
  bool live = !w->run->request->quiet, stopping = false;
  w->status_last = cuframes_now();
  while (!publish_fleet_is_over(&w->fleet)) {
    int64_t now = cuframes_now(), deadline = w->run->deadline, until = now + 3600 * PUBLISH_SECOND;
    if (hung_up && !stopping)
      reload(w);
    if (!stopping && (cli_stopped || publish_run_stopping(w->run) || (deadline != 0 && now >= deadline))) {
      stopping = true;
      publish_service_stopping(&w->service);
      publish_fleet_stop(&w->fleet);
      open_signals(w);
    }
    const int64_t tend = publish_fleet_tend(&w->fleet, now), look = stopping ? INT64_MAX : look_at_sources(w);
    if (publish_fleet_is_over(&w->fleet))
      break;
    if (live && !stopping && now - w->status_last >= STATUS_NS)
      show_status(w);
    if (live && !stopping)
      until = w->status_last + STATUS_NS;
    if (!stopping && deadline != 0 && deadline < until)
      until = deadline;
    until = earlier(until, earlier(look, publish_service_tell(&w->service, &w->fleet, now)));
    wait_for_something(w, earlier(tend, until));
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

/* Signals arrive in this thread and only while it waits: none is missed between looking and waiting. */
static void catch_signals(watch *w, bool has_config) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, &w->signals_open);
  cli_catch_signals();
  if (has_config)
    (void)sigaction(SIGHUP, &(struct sigaction){ .sa_handler = on_hangup }, NULL); /* cannot fail for this one */
}

static int publish_all(publish_request *request, int argc, char **argv) {
  publish_run run;
  watch w = {
    .run = &run, .fleet = { .run = &run }, .argc = argc, .argv = argv, .has_terminal = isatty(STDERR_FILENO)
  };
  if (!init_run(&run, request)) {
    cli_error("out of memory or descriptors");
    return CLI_FAILED;
  }
  catch_signals(&w, request->has_config);
  avformat_network_init();
  output_on_error(stop_without_output, &run);
  publish_service_begin(&w.service);
  publish_fleet_begin(&w.fleet, request);
  watch_workers(&w);
  output_on_error(NULL, NULL);
  open_signals(&w);
  int code = publish_fleet_end(&w.fleet);
  avformat_network_deinit();
  publish_gpus_free(&run.gpus);
  close(run.ended_fd);
  pthread_cond_destroy(&run.changed);
  pthread_mutex_destroy(&run.lock);
  return code;
}

int cmd_publish(int argc, char **argv) {
  publish_request request = { .streams = NULL };
  cli_avlog_install();
  int code = read_request(argc, argv, &request);
  if (request.help)
    publish_print_help();
  else if (code == CLI_OK)
    code = publish_all(&request, argc, argv);
  publish_request_free(&request);
  return code;
}
