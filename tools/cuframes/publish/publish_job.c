/* publish_job.c - see publish_job.h. */
#include "publish_job.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/cli.h"
#include "common/cli_avlog.h"
#include "common/json.h"
#include "common/secrets.h"
#include "media/source_media.h"
#include "pattern/test_spec.h"
#include "source_test.h"

#define STAY PUBLISH_SECOND
#define LATE_NS (PUBLISH_SECOND / 2)
#define JUMP_NS (20 * PUBLISH_SECOND)    /* a wait longer than this is a jump of the source's times */
#define SLOTS_MOST 1024u                 /* of a publisher */
#define WAIT_SLICE (PUBLISH_SECOND / 10) /* between two looks at the signals */
#define LIMITER_NS (5 * PUBLISH_SECOND)

bool publish_job_init(publish_job *job, const publish_options *options, publish_run *run) {
  *job = (publish_job){ .options = options, .run = run, .stats.struct_size = sizeof job->stats };
  char *shown = secrets_shown(options->input);
  snprintf(job->input, sizeof job->input, "%s", shown ? shown : "");
  free(shown);
  return shown != NULL && pthread_mutex_init(&job->lock, NULL) == 0;
}

void publish_job_free(publish_job *job) {
  pthread_mutex_destroy(&job->lock);
}

/* --- stopping and waiting --- */

bool publish_job_stopping(publish_job *job) {
  publish_run *run = job->run;
  pthread_mutex_lock(&run->lock);
  bool stopping = run->stopping || job->stopping || (run->deadline != 0 && cuframes_now() >= run->deadline);
  pthread_mutex_unlock(&run->lock);
  return stopping;
}

bool publish_job_wait(publish_job *job, int64_t when) {
  publish_run *run = job->run;
  pthread_mutex_lock(&run->lock);
  int64_t until = run->deadline != 0 && run->deadline < when ? run->deadline : when;
  struct timespec at = { .tv_sec = until / PUBLISH_SECOND, .tv_nsec = until % PUBLISH_SECOND };
  int waited = 0;
  while (!run->stopping && !job->stopping && waited == 0 && cuframes_now() < until)
    waited = pthread_cond_timedwait(&run->changed, &run->lock, &at);
  bool go_on = !run->stopping && !job->stopping && (run->deadline == 0 || cuframes_now() < run->deadline);
  pthread_mutex_unlock(&run->lock);
  return go_on;
}

void publish_job_stop(publish_job *job) {
  publish_run *run = job->run;
  pthread_mutex_lock(&run->lock);
  job->stopping = true;
  pthread_cond_broadcast(&run->changed);
  pthread_mutex_unlock(&run->lock);
}

void publish_run_stop(publish_run *run) {
  pthread_mutex_lock(&run->lock);
  run->stopping = true;
  pthread_cond_broadcast(&run->changed);
  pthread_mutex_unlock(&run->lock);
}

bool publish_run_stopping(publish_run *run) {
  pthread_mutex_lock(&run->lock);
  bool stopping = run->stopping;
  pthread_mutex_unlock(&run->lock);
  return stopping;
}

size_t publish_run_streams(publish_run *run) {
  pthread_mutex_lock(&run->lock);
  size_t streams = run->streams > 0 ? run->streams : 1;
  pthread_mutex_unlock(&run->lock);
  return streams;
}

void publish_job_library(publish_job *job, bool enter) {
  pthread_mutex_lock(&job->lock);
  job->in_library = enter;
  bool abandoned = job->abandoned;
  pthread_mutex_unlock(&job->lock);
  if (abandoned)
    pthread_exit(NULL); /* the process is about to end; nothing of the job may be touched any more */
}

bool publish_job_pace(publish_job *job, publish_pace *pace, int64_t pts) {
  int64_t now = cuframes_now();
  if (!pace->running || (!pace->steady && pace->base + pts - now > JUMP_NS)) {
    pace->base = now - pts;
    pace->running = true;
  } else if (now - (pace->base + pts) > LATE_NS) {
    uint64_t swallowed;
    publish_job_count(job, &job->counts.late);
    if (publish_limiter_may(&job->late_limiter, &swallowed))
      publish_job_warn(job, "cannot keep the pace: %.1f s late", (double)(now - (pace->base + pts)) / 1e9);
    pace->base = now - pts;
  }
  return publish_job_wait(job, pace->base + pts);
}

/* --- the publisher --- */

static int library_failed(publish_job *job, int error, const char *what) {
  char text[CUFRAMES_NAME_MAX + 64];
  snprintf(text, sizeof text, "%s: %s", job->options->name, what);
  publish_job_event(job, "error", json_pack("{s:s}", "message", cuframes_last_error()));
  return cli_failed(error, text);
}

/* The first line of the stream: what is published and where its pictures lie. */
static void announce(publish_job *job, const cuframes_format *format) {
  const char *reason, *device = cuframes_publisher_device(job->publisher, &reason);
  char text[FORMAT_TEXT];
  format_text(text, sizeof text, format);
  publish_job_note(job, "publishing %s, %s on device %s (%s)", job->input, text, device, reason);
  json_t *more = json_pack("{s:o,s:i,s:i,s:s,s:s,s:s}", "input", cli_json_text(job->input), "width", (int)format->width,
                           "height", (int)format->height, "format", cuframes_pixel_format_name(format->pixel_format),
                           "device", device, "device_reason", reason);
  cli_json_add_words(more, format);
  publish_job_event(job, "start", more);
}

/* The library names the stream in its lines itself. */
static void log_line(void *user, int level, const char *line) {
  const publish_job *job = user;
  if (!job->run->request->quiet || level <= CUFRAMES_LOG_WARNING)
    cli_log(NULL, level, line);
}

bool publish_job_on_gpu(const publish_job *job) {
  return job->publisher != NULL && strcmp(cuframes_publisher_device(job->publisher, NULL), "host") != 0;
}

static const char *publish_job_device(const publish_job *job) {
  return job->options->device ? job->options->device : "auto";
}

int publish_job_gather(publish_job *job) {
  uint32_t count = job->options->wait_for;
  int error = CUFRAMES_OK;
  if (count == 0 || job->has_gathered)
    return CLI_OK;
  job->has_gathered = true;
  publish_job_note(job, "waiting for %u subscribers", count);
  publish_state_pause(job);
  do { /* a look at the signals now and then */
    error = cuframes_publisher_wait_subscribers(job->publisher, count, WAIT_SLICE);
  } while (error == CUFRAMES_ERR_TIMEOUT && !publish_job_stopping(job));
  publish_state_connected(job);
  return error < 0 && error != CUFRAMES_ERR_TIMEOUT ? library_failed(job, error, "cannot wait for subscribers")
                                                    : CLI_OK;
}

/* So many slots at most and those that a decoder works in; 0 stays the library's default. */
static uint32_t with_decoder_slots(const publish_job *job, uint32_t slots) {
  uint32_t all = slots + job->decoder_slots;
  return slots == 0 ? 0 : all < SLOTS_MOST ? all : SLOTS_MOST;
}

/* A test picture has no packets, and draws into one slot at a time. */
static uint32_t decoder_slots_most(const publish_job *job) {
  return test_spec_is(job->options->input) || job->options->decode_copy ? 0 : PUBLISH_DECODER_SLOTS;
}

int publish_job_claim(publish_job *job) {
  const publish_options *o = job->options;
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring,
                                        .slots = o->packet_slots,
                                        .data_bytes = o->packet_bytes,
                                        .max_packet = o->packet_bytes / 4 };
  job->decoder_slots = decoder_slots_most(job); /* lowered with the first format */
  cuframes_publisher_options options = {
    .struct_size = sizeof options,
    .packets = o->no_packets || test_spec_is(o->input) ? NULL : &ring,
    .policy = o->policy ? CUFRAMES_POLICY_DROP : CUFRAMES_POLICY_WAIT,
    .reserve = o->reserve ? CUFRAMES_RESERVE_FULL : CUFRAMES_RESERVE_NEED,
    .directory = job->run->request->directory,
    .device = publish_job_device(job),
    .memory = o->memory ? CUFRAMES_MEMORY_LEGACY : CUFRAMES_MEMORY_DEFAULT,
    .description = job->input,
    .slots = o->slots,
    .max_slots = with_decoder_slots(job, o->max_slots),
    .max_open = 1 + job->decoder_slots,
    .side_data_max = o->side_data,
    .ordered_timeout_ns = o->ordered_timeout_ns,
    .socket_mode = o->socket_mode,
    .socket_gid = o->gid,
    .access = o->is_listed ? CUFRAMES_ACCESS_LISTED : CUFRAMES_ACCESS_DIRECTORY,
    .allow_uids = o->allow_uids,
    .allow_uid_count = o->allow_uid_count,
    .allow_gids = o->allow_gids,
    .allow_gid_count = o->allow_gid_count,
    .log = log_line,
    .log_user = job,
  };
  cuframes_publisher *publisher;
  int error = cuframes_publisher_create(o->name, &options, &publisher);
  if (error < 0) {
    cli_doctor_knows(error, NULL, options.directory, o->device);
    return library_failed(job, error, "cannot publish");
  }
  pthread_mutex_lock(&job->lock);
  job->publisher = publisher;
  pthread_mutex_unlock(&job->lock);
  publish_state_begin(job);
  if (job->gpu != NULL && strcmp(gpu_name(job->gpu->gpu), cuframes_publisher_device(publisher, NULL)) != 0) {
    snprintf(job->gpu_why, sizeof job->gpu_why, "not the GPU of the pictures");
    job->gpu = NULL; /* "auto" may find a GPU, and find that it cannot share its memory */
  }
  return CLI_OK;
}

int publish_job_begin(publish_job *job, const cuframes_format *format) {
  int error = cuframes_publisher_set_limits(job->publisher, 1 + job->decoder_slots,
                                            with_decoder_slots(job, job->options->max_slots));
  if (error >= 0)
    error = cuframes_publisher_set_format(job->publisher, format);
  if (error < 0)
    return library_failed(job, error, "cannot publish");
  pthread_mutex_lock(&job->lock);
  job->has_format = true;
  pthread_mutex_unlock(&job->lock);
  announce(job, format);
  return CLI_OK;
}

void publish_job_begin_sound(publish_job *job, const char *what) {
  const char *reason, *device = cuframes_publisher_device(job->publisher, &reason);
  if (job->has_sound)
    return;
  pthread_mutex_lock(&job->lock);
  job->has_sound = true;
  pthread_mutex_unlock(&job->lock);
  publish_job_note(job, "publishing %s, sound alone (%s): it has no video, and the stream no pictures, only packets",
                   job->input, what);
  publish_job_event(job, "start",
                    json_pack("{s:o,s:i,s:i,s:s,s:s,s:s}", "input", cli_json_text(job->input), "width", 0, "height", 0,
                              "format", "none", "device", device, "device_reason", reason));
}

int publish_job_format(publish_job *job, const cuframes_format *format) {
  int error = cuframes_publisher_set_format(job->publisher, format);
  if (error < 0)
    return library_failed(job, error, "cannot change the format");
  char text[FORMAT_TEXT], words[FORMAT_TEXT];
  format_text(text, sizeof text, format);
  words_text(words, sizeof words, format);
  publish_job_note(job, "the picture is %s now%s", text, words);
  json_t *more = json_pack("{s:i,s:i,s:s}", "width", (int)format->width, "height", (int)format->height, "format",
                           cuframes_pixel_format_name(format->pixel_format));
  cli_json_add_words(more, format);
  publish_job_event(job, "format", more);
  return CLI_OK;
}

int publish_job_acquire(publish_job *job, cuframes_frame **frame) {
  publish_state_in_publisher(job, true);
  int error = cuframes_publisher_acquire(job->publisher, frame);
  publish_state_in_publisher(job, false);
  if (error == CUFRAMES_ERR_DROPPED) /* counted there */
    *frame = NULL;
  else if (error < 0)
    return library_failed(job, error, "no slot for the picture");
  return CLI_OK;
}

/* Keeps the publisher where it is until it is given back. NULL: it is gone. The lock itself must not be held while the
 * library waits for another call's end: the main thread wants it. */
static cuframes_publisher *borrow(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  cuframes_publisher *publisher = job->publisher;
  job->borrowers += publisher != NULL;
  pthread_mutex_unlock(&job->lock);
  return publisher;
}

static void give_back(publish_job *job) {
  pthread_mutex_lock(&job->lock);
  job->borrowers--;
  pthread_mutex_unlock(&job->lock);
}

cuframes_frame *publish_job_lend(publish_job *job) {
  cuframes_publisher *publisher = borrow(job);
  cuframes_frame *frame = NULL;
  if (publisher == NULL)
    return NULL;
  if (cuframes_publisher_acquire(publisher, &frame) == CUFRAMES_OK)
    (void)cuframes_frame_ref(frame); /* the same frame */
  give_back(job);
  return frame;
}

void publish_job_take_back(publish_job *job, cuframes_frame *frame, bool open) {
  cuframes_publisher *publisher = open ? borrow(job) : NULL;
  if (publisher != NULL) {                             /* else it cancelled the frame with its end */
    (void)cuframes_publisher_cancel(publisher, frame); /* it is open, so this cannot fail */
    give_back(job);
  }
  cuframes_frame_release(frame);
}

void publish_job_came(publish_job *job, int64_t pts, int64_t duration) {
  const int64_t now = cuframes_now();
  pthread_mutex_lock(&job->lock);
  const int64_t before = job->last_frame;
  const bool live_again = publish_state_picture(job, now, pts, duration);
  if (job->last_frame != 0 && now - job->last_frame > job->longest_gap)
    job->longest_gap = now - job->last_frame;
  job->last_frame = now;
  if (job->first_frame == 0)
    job->first_frame = now;
  pthread_mutex_unlock(&job->lock);
  if (live_again)
    publish_state_say_live(job, now, before);
}

int publish_job_publish(publish_job *job, cuframes_frame *frame, const cuframes_publish_info *info) {
  publish_state_in_publisher(job, true);
  int error = cuframes_publisher_publish_on(job->publisher, frame, NULL, info); /* the stream of the copies */
  if (error < 0 && error != CUFRAMES_ERR_DROPPED)
    return library_failed(job, error, "cannot publish the picture");
  publish_job_came(job, info->pts, info->duration);
  return CLI_OK;
}

/* --- counts --- */

void publish_job_count(publish_job *job, uint64_t *counter) {
  pthread_mutex_lock(&job->lock);
  ++*counter;
  pthread_mutex_unlock(&job->lock);
}

/* With job->lock held. */
static void refresh_stats(publish_job *job) {
  if (job->publisher != NULL)
    (void)cuframes_publisher_get_stats(job->publisher, &job->stats); /* fails for a wrong size only */
}

void publish_job_stats(publish_job *job, cuframes_publisher_stats *stats, publish_counts *counts) {
  pthread_mutex_lock(&job->lock);
  refresh_stats(job);
  *stats = job->stats;
  *counts = job->counts;
  pthread_mutex_unlock(&job->lock);
}

/* --- messages --- */

static void say(publish_job *job, void (*print)(const char *format, ...), const char *format, va_list list) {
  char text[1024];
  vsnprintf(text, sizeof text, format, list);
  print("%s: %s", job->options->name, text);
}

void publish_job_note(publish_job *job, const char *format, ...) {
  if (job->run->request->quiet)
    return;
  va_list list;
  va_start(list, format);
  say(job, cli_note, format, list);
  va_end(list);
}

void publish_job_warn(publish_job *job, const char *format, ...) {
  va_list list;
  va_start(list, format);
  say(job, cli_note, format, list);
  va_end(list);
}

int publish_job_fail(publish_job *job, const char *format, ...) {
  char text[1024];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  cli_error("%s: %s", job->options->name, text);
  publish_job_event(job, "error", json_pack("{s:o}", "message", cli_json_text(text)));
  return CLI_FAILED;
}

bool publish_limiter_may(publish_limiter *limiter, uint64_t *swallowed) {
  int64_t now = cuframes_now();
  if (now < limiter->next) {
    limiter->swallowed++;
    return false;
  }
  *swallowed = limiter->swallowed;
  limiter->swallowed = 0;
  limiter->next = now + LIMITER_NS;
  return true;
}

void publish_job_event(publish_job *job, const char *event, json_t *more) {
  if (job->run->request->json) {
    json_t *line = json_pack("{s:s,s:o}", "event", event, "stream", cli_json_text(job->options->name));
    if (line != NULL && more != NULL)
      json_object_update(line, more);
    cli_json_event(line);
  }
  json_decref(more);
}

void publish_job_summary(publish_job *job) {
  cuframes_publisher_stats s;
  publish_counts c;
  publish_job_stats(job, &s, &c);
  double seconds = (double)(job->last_frame - job->first_frame) / 1e9;
  double fps = s.frames > 1 && seconds > 0 ? (double)(s.frames - 1) / seconds : 0;
  char bytes[32];
  bytes_text(bytes, sizeof bytes, s.packet_bytes);
  if (s.frames == 0 && job->has_sound) {
    publish_job_note(job, "%llu packets (%s) in %.1f s, %llu reconnects", (unsigned long long)s.packets, bytes, seconds,
                     (unsigned long long)c.reconnects);
  } else if (s.frames > 0 || job->exit_code == CLI_OK) {
    publish_job_note(job,
                     "%llu frames in %.1f s (%.1f fps), %llu dropped, %llu packets (%s), %llu decode errors, "
                     "%llu damaged pictures, %llu evictions, %llu reconnects",
                     (unsigned long long)s.frames, seconds, fps, (unsigned long long)s.dropped,
                     (unsigned long long)s.packets, bytes, (unsigned long long)c.decode_errors,
                     (unsigned long long)c.corrupt, (unsigned long long)s.evictions, (unsigned long long)c.reconnects);
  }
  json_t *more = json_pack("{s:o,s:I,s:o,s:o,s:I,s:I,s:I,s:I}", "input", cli_json_text(job->input), "frames",
                           (json_int_t)s.frames, "seconds", cli_json_rounded(seconds, 3), "fps",
                           cli_json_rounded(fps, 3), "dropped", (json_int_t)s.dropped, "packets", (json_int_t)s.packets,
                           "packet_bytes", (json_int_t)s.packet_bytes, "evictions", (json_int_t)s.evictions);
  json_t *counts = json_pack(
      "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i}", "decode_errors", (json_int_t)c.decode_errors, "read_errors",
      (json_int_t)c.read_errors, "corrupt", (json_int_t)c.corrupt, "oversized", (json_int_t)c.oversized, "reconnects",
      (json_int_t)c.reconnects, "loops", (json_int_t)c.loops, "jumps", (json_int_t)c.jumps, "late", (json_int_t)c.late,
      "in_place", (json_int_t)c.in_place, "decoders", (json_int_t)c.decoders, "exit_code", job->exit_code);
  json_object_update(more, counts);
  json_decref(counts);
  if (job->first_frame != 0) {
    json_object_set_new(more, "first_after", cli_json_rounded((double)(job->first_frame - job->began) / 1e9, 3));
    json_object_set_new(more, "longest_gap", cli_json_rounded((double)job->longest_gap / 1e9, 3));
  }
  publish_job_event(job, "end", more);
}

/* --- the worker --- */

/* Who joined just now has yet to ask for memory and packets, and a short film is over before. Those who were
 * waited for get all of it: as much time as ordered subscribers have for a frame. */
static void stay_for_readers(publish_job *job, bool well) {
  const int64_t patience = job->options->ordered_timeout_ns > 0 ? job->options->ordered_timeout_ns : STAY;
  const bool waited_for = well && job->options->wait_for > 0;
  const int64_t until = waited_for ? cuframes_now() + patience : job->first_frame + STAY;
  while (job->publisher != NULL && cuframes_now() < until && !publish_job_stopping(job) &&
         cuframes_publisher_drain(job->publisher, STAY / 50) == CUFRAMES_ERR_TIMEOUT)
    ;
}

void *publish_job_thread(void *argument) {
  publish_job *job = argument;
  char name[16];
  snprintf(name, sizeof name, "%s", job->options->name);
  (void)pthread_setname_np(pthread_self(), name); /* only for people who look */
  pthread_mutex_lock(&job->lock);                 /* until who started it has said so */
  pthread_mutex_unlock(&job->lock);
  cli_avlog_thread(job->options->name);
  job->began = cuframes_now();
  job->gpu = publish_gpus_take(&job->run->gpus, publish_job_device(job), job->gpu_why, sizeof job->gpu_why);
  int code = publish_job_claim(job);
  if (code == CLI_OK)
    code = test_spec_is(job->options->input) ? source_test_run(job) : source_media_run(job);
  stay_for_readers(job, code == CLI_OK);
  pthread_mutex_lock(&job->lock);
  refresh_stats(job);
  cuframes_publisher_destroy(job->publisher);
  job->publisher = NULL;
  job->exit_code = code;
  pthread_mutex_unlock(&job->lock);
  publish_job_summary(job);
  pthread_mutex_lock(&job->lock);
  job->ended = true;
  pthread_mutex_unlock(&job->lock);
  (void)eventfd_write(job->run->ended_fd, 1); /* only fails if it is full, and then it is readable already */
  return NULL;
}
