/* publish_fleet.c - see publish_fleet.h. */
#include "publish_fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/json.h"

#define GRACE_NS PUBLISH_SECOND /* for workers to say good-bye and end; some calls cannot be interrupted */

static bool has_ended(publish_worker *worker) {
  pthread_mutex_lock(&worker->job.lock);
  bool ended = worker->job.ended || worker->job.abandoned;
  pthread_mutex_unlock(&worker->job.lock);
  return ended;
}

static void take_options(publish_options *to, publish_options *from) {
  *to = *from;
  publish_options_init(from); /* its strings are ours now */
}

/* What a new configuration does to a stream. Before it does so: the stream's own events follow. */
static void say_change(publish_worker *worker, const char *what) {
  const bool removed = strcmp(what, "removed") == 0;
  publish_job_note(&worker->job, "%s %s the configuration", what, removed ? "from" : "by");
  publish_job_event(&worker->job, what, NULL);
}

/* Its thread waits for the lock, and so says nothing before it is said what it is. */
static int start_thread(publish_worker *worker, const char *what) {
  pthread_mutex_lock(&worker->job.lock);
  const int error = pthread_create(&worker->job.thread, NULL, publish_job_thread, &worker->job);
  if (error == 0 && what != NULL)
    say_change(worker, what);
  pthread_mutex_unlock(&worker->job.lock);
  return error;
}

/* Takes the options over; they are gone if it cannot be started. what: it is said, if not NULL. */
static bool start(publish_fleet *fleet, publish_options *options, const char *what) {
  publish_worker **workers = realloc(fleet->workers, (fleet->count + 1) * sizeof(publish_worker *));
  publish_worker *worker = calloc(1, sizeof *worker);
  int error = ENOMEM;
  if (workers != NULL)
    fleet->workers = workers;
  if (workers != NULL && worker != NULL) {
    take_options(&worker->options, options);
    if (publish_job_init(&worker->job, &worker->options, fleet->run)) {
      error = start_thread(worker, what);
      if (error != 0)
        publish_job_free(&worker->job);
    }
    if (error == 0) {
      fleet->workers[fleet->count++] = worker;
      fleet->waits = false;
      return true;
    }
    take_options(options, &worker->options);
  }
  cli_error("%s: cannot be started: %s", options->name, strerror(error));
  publish_options_free(options);
  free(worker);
  fleet->failed = true;
  return false;
}

static void set_streams(publish_run *run, size_t count) {
  pthread_mutex_lock(&run->lock);
  run->streams = count;
  pthread_mutex_unlock(&run->lock);
}

void publish_fleet_begin(publish_fleet *fleet, publish_request *request) {
  set_streams(fleet->run, request->stream_count);
  for (size_t i = 0; i < request->stream_count; i++)
    (void)start(fleet, &request->streams[i], NULL); /* which says so, and notes it */
  fleet->waits = request->stream_count == 0; /* of a file: a service may begin before it knows its first stream */
  request->stream_count = 0;
}

static void free_next(publish_worker *worker) {
  if (worker->next != NULL)
    publish_options_free(worker->next);
  free(worker->next);
  worker->next = NULL;
}

/* Of one that has ended, and that nothing touches any more. */
static void free_worker(publish_worker *worker) {
  pthread_join(worker->job.thread, NULL);
  publish_job_free(&worker->job);
  publish_options_free(&worker->options);
  free_next(worker);
  free(worker);
}

static void tell_to_end(publish_worker *worker) {
  publish_job_stop(&worker->job);
  if (worker->abandon_at == 0)
    worker->abandon_at = cuframes_now() + GRACE_NS;
}

void publish_fleet_stop(publish_fleet *fleet) {
  publish_run_stop(fleet->run);
  for (size_t i = 0; i < fleet->count; i++) {
    free_next(fleet->workers[i]);
    tell_to_end(fleet->workers[i]);
  }
}

/* --- a new configuration --- */

static publish_worker *find(const publish_fleet *fleet, const char *name) {
  for (size_t i = 0; i < fleet->count; i++)
    if (strcmp(fleet->workers[i]->options.name, name) == 0)
      return fleet->workers[i];
  return NULL;
}

static bool has_failed(publish_worker *worker) {
  pthread_mutex_lock(&worker->job.lock);
  bool failed = worker->job.ended && worker->job.exit_code != CLI_OK;
  pthread_mutex_unlock(&worker->job.lock);
  return failed;
}

/* Ends a worker; what comes in its place takes its options over. False: out of memory, and it stays. */
static bool replace(publish_worker *worker, publish_options *options, const char *what) {
  publish_options *next = options ? malloc(sizeof *next) : NULL;
  if (options != NULL && next == NULL)
    return false;
  free_next(worker);
  if (options != NULL)
    take_options(next, options);
  worker->next = next;
  worker->leaving = true;
  say_change(worker, what);
  tell_to_end(worker);
  return true;
}

typedef struct changes {
  size_t added, removed, changed, same;
} changes;

/* Whoever is not in the new configuration leaves. */
static void remove_missing(publish_fleet *fleet, const publish_request *request, changes *all) {
  for (size_t i = 0; i < fleet->count; i++) {
    publish_worker *worker = fleet->workers[i];
    bool stays = false;
    for (size_t k = 0; k < request->stream_count; k++)
      stays = stays || strcmp(request->streams[k].name, worker->options.name) == 0;
    if (stays || (worker->leaving && worker->next == NULL))
      continue;
    (void)replace(worker, NULL, "removed");
    all->removed++;
  }
}

/* One stream of the new configuration. */
static void take_stream(publish_fleet *fleet, publish_options *options, changes *all) {
  publish_worker *worker = find(fleet, options->name);
  const publish_options *now = worker && worker->next ? worker->next : worker ? &worker->options : NULL;
  const bool leaves = worker != NULL && worker->leaving && worker->next == NULL;
  if (worker != NULL && !leaves && publish_options_equal(now, options) && !has_failed(worker)) {
    publish_options_free(options);
    all->same++;
    return;
  }
  const char *what = worker == NULL || leaves ? "added" : "changed";
  if (worker != NULL ? !replace(worker, options, what) : !start(fleet, options, what)) {
    publish_options_free(options);
    return;
  }
  all->added += *what == 'a';
  all->changed += *what == 'c';
}

static json_t *note_fixed(const publish_request *was, const publish_request *is) {
  const char *before = was->directory ? was->directory : "", *now = is->directory ? is->directory : "";
  const cli_fixed all[] = { { "dir", strcmp(before, now) != 0 },
                            { "duration", was->duration_ns != is->duration_ns },
                            { "json", was->json != is->json },
                            { "quiet", was->quiet != is->quiet } };
  return cli_json_fixed(all, sizeof all / sizeof *all);
}

void publish_fleet_change(publish_fleet *fleet, publish_request *request) {
  changes all = { 0 };
  json_t *fixed = note_fixed(fleet->run->request, request);
  set_streams(fleet->run, request->stream_count);
  remove_missing(fleet, request, &all);
  for (size_t i = 0; i < request->stream_count; i++)
    take_stream(fleet, &request->streams[i], &all);
  request->stream_count = 0;
  fleet->waits = true;
  for (size_t i = 0; i < fleet->count; i++)
    if (fleet->workers[i]->next != NULL || (!fleet->workers[i]->leaving && !has_ended(fleet->workers[i])))
      fleet->waits = false;
  if (!fleet->run->request->quiet)
    cli_note("read the configuration anew: %zu added, %zu removed, %zu changed, %zu as before", all.added, all.removed,
             all.changed, all.same);
  json_t *event = json_pack("{s:s,s:I,s:I,s:I,s:I,s:o}", "event", "reloaded", "added", (json_int_t)all.added, "removed",
                            (json_int_t)all.removed, "changed", (json_int_t)all.changed, "same", (json_int_t)all.same,
                            "needs_restart", fixed);
  if (fleet->run->request->json)
    cli_json_event(event);
  else
    json_decref(event);
}

/* --- the end of workers --- */

/* Ends the stream of one whose worker hangs in a call of FFmpeg that does not listen. */
static bool abandon(publish_worker *worker) {
  publish_job *job = &worker->job;
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
  return hangs;
}

/* Takes one that left out of the list, and starts what comes in its place. */
static void succeed(publish_fleet *fleet, size_t index) {
  publish_worker *worker = fleet->workers[index];
  publish_options *next = worker->next;
  worker->next = NULL;
  fleet->workers[index] = fleet->workers[--fleet->count];
  if (!worker->job.abandoned)
    free_worker(worker); /* else its thread may still look at it: left as it is, for as long as the process lives */
  if (next != NULL)
    (void)start(fleet, next, NULL);
  free(next);
}

int64_t publish_fleet_tend(publish_fleet *fleet, int64_t now) {
  int64_t again = INT64_MAX;
  for (size_t i = fleet->count; i-- > 0;) {
    publish_worker *worker = fleet->workers[i];
    bool ended = has_ended(worker);
    if (!ended && worker->abandon_at != 0 && now >= worker->abandon_at) {
      ended = abandon(worker);
      fleet->abandoned = fleet->abandoned || ended;
      worker->abandon_at = now + GRACE_NS;
    }
    if (ended && worker->leaving)
      succeed(fleet, i);
    else if (!ended && worker->abandon_at != 0 && worker->abandon_at < again)
      again = worker->abandon_at;
  }
  return again;
}

bool publish_fleet_is_over(const publish_fleet *fleet) {
  for (size_t i = 0; i < fleet->count; i++)
    if (!has_ended(fleet->workers[i]))
      return false;
  return !fleet->waits || publish_run_stopping(fleet->run);
}

int publish_fleet_end(publish_fleet *fleet) {
  int code = fleet->failed ? CLI_FAILED : CLI_OK;
  for (size_t i = 0; i < fleet->count; i++) {
    const publish_worker *worker = fleet->workers[i];
    if (!worker->job.abandoned)
      code = code == CLI_OK && !worker->leaving ? worker->job.exit_code : code;
  }
  if (fleet->abandoned)
    _exit(cli_output_end(code));
  while (fleet->count > 0)
    free_worker(fleet->workers[--fleet->count]);
  free(fleet->workers);
  return code;
}
