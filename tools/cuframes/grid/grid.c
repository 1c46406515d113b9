/* grid.c - `cuframes grid`: streams tiled into one picture, which is published as a stream, at a rate of its own. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/json.h"
#include "grid_draw.h"
#include "grid_events.h"
#include "grid_paint.h"
#include "grid_wall.h"

#define SECOND INT64_C(1000000000)
#define STATUS_NS (SECOND / 2)
#define THREADS_USUAL 4u
#define LATE_TICKS 2 /* so many pictures behind the clock, and some are left out */

typedef struct grid_counts {
  uint64_t pictures, dropped, late;
  int64_t drawing_ns, longest_ns;
} grid_counts;

typedef struct grid_run {
  grid_options options;
  char **argv;
  int argc;
  sigset_t signals_open; /* the mask under which signals arrive */
  bool has_terminal;     /* it began on one */
  grid_wall wall;
  grid_directory *directory;
  grid_paint paint;
  cuframes_publisher *publisher;
  int64_t began, first_tick;
  uint64_t tick; /* since first_tick */
  int64_t shown_at;
  uint64_t shown_pictures;
  grid_counts counts;
  const char *ended;
} grid_run;

static volatile sig_atomic_t hung_up; /* SIGHUP came */

static void on_hangup(int number) {
  (void)number;
  hung_up = 1;
}

/* ---- the publisher ---- */

static cuframes_format format_of(const grid_options *o) {
  const bool yuv = o->pixel_format == CUFRAMES_PIXEL_NV12 || o->pixel_format == CUFRAMES_PIXEL_YUV420P ||
                   o->pixel_format == CUFRAMES_PIXEL_P010;
  return (cuframes_format){ .pixel_format = o->pixel_format,
                            .width = o->width,
                            .height = o->height,
                            .color = { .matrix = yuv ? 1 : 0, .range = yuv ? 1 : 2, .primaries = 1, .transfer = 1 },
                            .chroma_location = yuv ? CUFRAMES_CHROMA_LEFT : CUFRAMES_CHROMA_NOT_SAID,
                            .field_order = CUFRAMES_FIELDS_PROGRESSIVE,
                            .sample_aspect_num = 1,
                            .sample_aspect_den = 1 };
}

/* "grid of door, yard": what list shows. */
static void describe(const grid_options *o, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "%s%s", GRID_DESCRIPTION, o->tile_count ? "" : "all streams");
  for (uint32_t i = 0; i < o->tile_count && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", o->tiles[i].stream);
}

static void log_troubles(void *user, int level, const char *line) {
  if (level <= CUFRAMES_LOG_WARNING)
    cli_log(user, level, line);
}

static int begin_publisher(grid_run *r) {
  const grid_options *o = &r->options;
  char description[256];
  describe(o, description, sizeof description);
  const cuframes_publisher_options options = { .struct_size = sizeof options,
                                               .policy = o->policy,
                                               .format = format_of(o),
                                               .directory = o->directory,
                                               .device = grid_device_name(r->wall.device),
                                               .description = description,
                                               .max_open = 1,
                                               .ordered_timeout_ns = o->ordered_timeout_ns,
                                               .log = o->quiet ? log_troubles : cli_log };
  const int error = cuframes_publisher_create(o->output, &options, &r->publisher);
  if (error != CUFRAMES_OK) {
    cli_doctor_knows(error, NULL, o->directory, o->device);
    return cli_failed(error, o->output);
  }
  const cuframes_source_info source = { .struct_size = sizeof source, .state = CUFRAMES_SOURCE_LIVE };
  (void)cuframes_publisher_set_source(r->publisher, &source); /* it is well-formed */
  return CLI_OK;
}

/* ---- pictures ---- */

static int64_t tick_time(const grid_run *r, uint64_t tick) {
  return (int64_t)((unsigned __int128)tick * r->options.rate_den * (uint64_t)SECOND / r->options.rate_num);
}

/* Draws the wall into an open frame and publishes it. Gives an exit code, after a message. */
static int publish_picture(grid_run *r, cuframes_frame *frame) {
  char why[256];
  cuframes_picture output;
  void *stream = grid_device_stream(r->wall.device);
  int error = cuframes_picture_from_frame(frame, &output);
  if (error != CUFRAMES_OK) {
    snprintf(why, sizeof why, "%s", cuframes_last_error());
  } else {
    output.device = NULL;
    error = grid_draw_picture(r->wall.draw, r->paint.layers, r->paint.count, &output, stream, why, sizeof why);
  }
  if (error != CUFRAMES_OK) {
    (void)cuframes_publisher_cancel(r->publisher, frame); /* it is open, so this cannot fail */
    cli_error("%s: drawing: %s", r->options.output, why);
    return CLI_FAILED;
  }
  const cuframes_publish_info info = { .struct_size = sizeof info,
                                       .flags = CUFRAMES_FRAME_KEY,
                                       .pts = r->first_tick - r->began + tick_time(r, r->tick),
                                       .duration = tick_time(r, r->tick + 1) - tick_time(r, r->tick) };
  error = cuframes_publisher_publish_on(r->publisher, frame, stream, &info);
  if (error == CUFRAMES_ERR_DROPPED)
    r->counts.dropped++;
  else if (error != CUFRAMES_OK)
    return cli_failed(error, r->options.output);
  else
    r->counts.pictures++;
  return CLI_OK;
}

static int make_picture(grid_run *r) {
  cuframes_frame *frame;
  const int64_t now = cuframes_now();
  if (!grid_wall_arrange(&r->wall, grid_directory_take(r->directory), now))
    return reader_no_memory();
  grid_wall_take(&r->wall, now);
  if (!grid_paint_make(&r->paint, &r->wall))
    return reader_no_memory();
  const int error = cuframes_publisher_acquire(r->publisher, &frame);
  if (error == CUFRAMES_ERR_DROPPED || error == CUFRAMES_ERR_LEASE_LIMIT) {
    r->counts.dropped++; /* the next one may have a slot */
    return CLI_OK;
  }
  if (error != CUFRAMES_OK)
    return cli_failed(error, r->options.output);
  const int64_t began = cuframes_now();
  const int code = publish_picture(r, frame);
  const int64_t took = cuframes_now() - began;
  r->counts.drawing_ns += took;
  r->counts.longest_ns = took > r->counts.longest_ns ? took : r->counts.longest_ns;
  return code;
}

/* ---- reading the options anew ---- */

static bool same_text(const char *a, const char *b) {
  return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static json_t *note_fixed(const grid_options *was, const grid_options *is) {
  const cli_fixed all[] = { { "output", !same_text(was->output, is->output) },
                            { "dir", !same_text(was->directory, is->directory) },
                            { "device", !same_text(was->device, is->device) },
                            { "font", !same_text(was->font, is->font) },
                            { "threads", was->threads != is->threads },
                            { "policy", was->policy != is->policy },
                            { "ordered-timeout", was->ordered_timeout_ns != is->ordered_timeout_ns },
                            { "json", was->json != is->json },
                            { "quiet", was->quiet != is->quiet } };
  return cli_json_fixed(all, sizeof all / sizeof *all);
}

static void swap_text(char **a, char **b) {
  char *kept = *a;
  *a = *b;
  *b = kept;
}

/* What is said again at the next time, as long as it differs. */
static void keep_texts(grid_options *now, grid_options *options) {
  swap_text(&now->output, &options->output);
  swap_text(&now->directory, &options->directory);
  swap_text(&now->device, &options->device);
  swap_text(&now->font, &options->font);
}

/* Replaces the options; what cannot change stays. A negative CUFRAMES_ERR_* if the picture cannot become what it
 * should: then nothing has changed. */
static int replace_options(grid_run *r, grid_options *options, json_t **needs_restart) {
  grid_options *now = &r->options;
  const cuframes_format format = format_of(options);
  if (now->width != options->width || now->height != options->height || now->pixel_format != options->pixel_format) {
    const int error = cuframes_publisher_set_format(r->publisher, &format);
    if (error != CUFRAMES_OK)
      return error;
  }
  *needs_restart = note_fixed(now, options);
  keep_texts(now, options);
  options->json = now->json;
  options->quiet = now->quiet;
  options->threads = now->threads;
  options->policy = now->policy;
  options->ordered_timeout_ns = now->ordered_timeout_ns;
  if (now->rate_num != options->rate_num || now->rate_den != options->rate_den) {
    r->first_tick += tick_time(r, r->tick);
    r->tick = 0;
  }
  grid_options old;
  grid_options_take(&old, now);
  grid_options_take(now, options);
  const bool well = grid_wall_change(&r->wall, now, cuframes_now());
  grid_options_free(&old);
  return well ? CUFRAMES_OK : CUFRAMES_ERR_NO_MEMORY;
}

static void reload(grid_run *r) {
  grid_options options;
  json_t *needs_restart = NULL;
  hung_up = 0;
  if (r->options.config == NULL || (r->has_terminal && !isatty(STDERR_FILENO))) {
    cli_stopped = 1; /* the terminal has gone, and who began this with it */
    return;
  }
  int code = grid_options_read(r->argc, r->argv, &options);
  if (code == CLI_OK)
    code = grid_check_tiles(&options, r->options.output); /* which stays, whatever the file says */
  if (code == CLI_OK) {
    const int error = replace_options(r, &options, &needs_restart);
    code = error ? cli_failed(error, r->options.output) : CLI_OK;
  }
  grid_options_free(&options);
  if (code != CLI_OK) {
    char said[512];
    cli_last_said(said, sizeof said);
    json_decref(needs_restart);
    cli_error("nothing was changed");
    grid_event(&r->options, json_pack("{s:s,s:o}", "event", "not_reloaded", "message", cli_json_text(said)));
    return;
  }
  if (!r->options.quiet)
    cli_note("read the configuration anew: %u tiles", r->wall.tile_count);
  grid_event(&r->options, json_pack("{s:s,s:I,s:o}", "event", "reloaded", "tiles", (json_int_t)r->wall.tile_count,
                                    "needs_restart", needs_restart));
}

/* ---- the run ---- */

static void show_status(grid_run *r, int64_t now) {
  uint32_t lost = 0;
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  for (uint32_t i = 0; i < r->wall.source_count; i++)
    lost += r->wall.sources[i]->tiles > 0 && r->wall.sources[i]->state.signal == GRID_NONE;
  (void)cuframes_publisher_get_stats(r->publisher, &stats); /* cannot fail for a publisher */
  const double seconds = (double)(now - r->shown_at) / 1e9;
  cli_live("%s: %.1f fps, %u tiles, %u without signal, %u subscribers, %llu pictures", r->options.output,
           (double)(r->counts.pictures - r->shown_pictures) / seconds, r->wall.tile_count, lost, stats.subscribers,
           (unsigned long long)r->counts.pictures);
  r->shown_at = now;
  r->shown_pictures = r->counts.pictures;
}

/* Until that time or the end, or a signal. */
static void wait_until(const grid_run *r, int64_t until) {
  const int64_t end = r->began + r->options.duration_ns;
  const int64_t left = (r->options.duration_ns != 0 && end < until ? end : until) - cuframes_now();
  const struct timespec timeout = { .tv_sec = left > 0 ? left / SECOND : 0, .tv_nsec = left > 0 ? left % SECOND : 0 };
  (void)ppoll(NULL, 0, &timeout, &r->signals_open);
}

/* The next picture's turn. Where the clock is ahead by some pictures they are left out. */
static void advance(grid_run *r, int64_t now) {
  r->tick++;
  while (now - r->first_tick > tick_time(r, r->tick + LATE_TICKS)) {
    r->tick++;
    r->counts.late++;
  }
}

static bool is_over(grid_run *r, int64_t now) {
  const grid_options *o = &r->options;
  if (cli_stopped)
    r->ended = "signal";
  else if (o->count != 0 && r->counts.pictures >= o->count)
    r->ended = "count";
  else if (o->duration_ns != 0 && now - r->began >= o->duration_ns)
    r->ended = "duration";
  else if (o->json && !cli_output_flush())
    r->ended = "output";
  return r->ended != NULL;
}

static int run(grid_run *r) {
  int code = CLI_OK;
  r->began = r->first_tick = r->shown_at = cuframes_now();
  while (code == CLI_OK) {
    wait_until(r, r->first_tick + tick_time(r, r->tick));
    const int64_t now = cuframes_now();
    if (hung_up)
      reload(r);
    if (is_over(r, now))
      break;
    if (now < r->first_tick + tick_time(r, r->tick))
      continue; /* a signal */
    code = make_picture(r);
    if (!r->options.quiet && now - r->shown_at >= STATUS_NS)
      show_status(r, now);
    advance(r, cuframes_now());
  }
  if (r->ended == NULL)
    r->ended = "error";
  cli_live_end();
  return code;
}

/* ---- begin and end ---- */

static void say_start(const grid_run *r, const char *why_host) {
  const grid_options *o = &r->options;
  const char *device = grid_device_name(r->wall.device);
  if (!o->quiet)
    cli_note("%s: publishing a grid of %ux%u %s, %.5g pictures in a second, on device %.17s%s%s%s", o->output, o->width,
             o->height, cuframes_pixel_format_name(o->pixel_format), (double)o->rate_num / o->rate_den, device,
             *why_host ? " (" : "", why_host, *why_host ? ")" : "");
  grid_event(o, json_pack("{s:s,s:s,s:i,s:i,s:s,s:f,s:s,s:s}", "event", "start", "output", o->output, "width",
                          (int)o->width, "height", (int)o->height, "format",
                          cuframes_pixel_format_name(o->pixel_format), "fps", (double)o->rate_num / o->rate_den,
                          "device", device, "device_reason", *why_host ? why_host : "as asked"));
}

static json_t *streams_json(const grid_run *r) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < r->wall.source_count; i++) {
    const grid_source *s = r->wall.sources[i];
    if (s->tiles == 0)
      continue;
    json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:I,s:I}", "stream", s->feed.name, "state",
                                          s->state.signal == GRID_NONE   ? "no_signal"
                                          : s->state.signal == GRID_LATE ? "late"
                                                                         : "live",
                                          "frames", (json_int_t)s->feed.frames, "skipped", (json_int_t)s->feed.skipped,
                                          "losses", (json_int_t)s->feed.losses));
  }
  return list;
}

static void say_end(const grid_run *r) {
  const grid_counts *c = &r->counts;
  struct timespec cpu;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu); /* cannot fail for the own process */
  const double seconds = (double)(cuframes_now() - r->began) / 1e9;
  const double pictures = c->pictures ? (double)c->pictures : 1;
  if (!r->options.quiet)
    cli_note("%s: %llu pictures in %.1f s (%.2f per second), %llu left out, %llu dropped, %llu times a signal was lost",
             r->options.output, (unsigned long long)c->pictures, seconds, (double)c->pictures / seconds,
             (unsigned long long)c->late, (unsigned long long)c->dropped, (unsigned long long)r->wall.losses);
  grid_event(&r->options,
             json_pack("{s:s,s:s,s:I,s:o,s:o,s:I,s:I,s:o,s:o,s:o,s:I,s:o,s:s}", "event", "end", "output",
                       r->options.output, "pictures", (json_int_t)c->pictures, "seconds", cli_json_rounded(seconds, 3),
                       "fps", cli_json_rounded((double)c->pictures / seconds, 3), "late", (json_int_t)c->late,
                       "dropped", (json_int_t)c->dropped, "drawing_ms",
                       cli_json_rounded((double)c->drawing_ns / 1e6 / pictures, 3), "longest_ms",
                       cli_json_rounded((double)c->longest_ns / 1e6, 3), "cpu_seconds",
                       cli_json_rounded((double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9, 3), "losses",
                       (json_int_t)r->wall.losses, "streams", streams_json(r), "ended", r->ended));
}

/* Signals arrive in this thread and only while it waits: none is missed between looking and waiting. */
static void catch_signals(grid_run *r) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, &r->signals_open);
  cli_catch_signals();
  if (r->options.config != NULL)
    (void)sigaction(SIGHUP, &(struct sigaction){ .sa_handler = on_hangup }, NULL); /* cannot fail for this one */
}

static uint32_t threads_of(const grid_options *o) {
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  const uint32_t usual = processors > 1 && processors < (long)THREADS_USUAL ? (uint32_t)processors : THREADS_USUAL;
  return o->threads ? o->threads : processors > 0 ? usual : 1;
}

static bool is_auto(const grid_options *o) {
  return o->device == NULL || strcmp(o->device, "auto") == 0;
}

static grid_draw *open_draw(const grid_run *r, char *why, size_t size) {
  const bool on_gpu = grid_device_is_gpu(r->wall.device);
  return grid_draw_open(grid_device_name(r->wall.device), on_gpu ? 1 : threads_of(&r->options), why, size);
}

/* Everything that a run needs; what is there when it fails, finish() frees. Gives an exit code, after a message. */
static int begin(grid_run *r, char *why_host, size_t size) {
  const grid_options *o = &r->options;
  char why[300];
  r->wall.options = o;
  r->wall.device = grid_device_open(is_auto(o) ? "auto" : o->device, why_host, size);
  if (r->wall.device == NULL) {
    cli_error("--device %s: %s", is_auto(o) ? "auto" : o->device, why_host);
    return CLI_FAILED;
  }
  r->wall.font = grid_font_open(o->font, why, sizeof why);
  if (r->wall.font == NULL) {
    cli_error("%s", why);
    return CLI_FAILED;
  }
  if (*why != '\0')
    cli_note("%s", why);
  r->wall.draw = open_draw(r, why, sizeof why);
  if (r->wall.draw == NULL && is_auto(o) && grid_device_is_gpu(r->wall.device)) {
    snprintf(why_host, size, "%s", why);
    grid_device_close(r->wall.device);
    r->wall.device = grid_device_open("host", why, sizeof why);
    r->wall.draw = r->wall.device ? open_draw(r, why, sizeof why) : NULL;
  }
  if (r->wall.draw == NULL) {
    cli_error("%s: the picture cannot be made here: %s", o->output, why);
    return CLI_FAILED;
  }
  const int code = begin_publisher(r);
  if (code != CLI_OK)
    return code;
  r->directory = grid_directory_open(o->directory);
  return r->directory ? CLI_OK : reader_no_memory();
}

static void finish(grid_run *r) {
  cuframes_publisher_destroy(r->publisher);
  grid_directory_close(r->directory);
  if (r->wall.device != NULL) {
    grid_wall_free(&r->wall);
    grid_paint_free(&r->paint, &r->wall);
  }
  grid_draw_close(r->wall.draw);
  grid_font_close(r->wall.font);
  grid_device_close(r->wall.device);
}

int cmd_grid(int argc, char **argv) {
  grid_run r = { .argc = argc, .argv = argv, .has_terminal = isatty(STDERR_FILENO) };
  char why_host[300] = "";
  int code = grid_options_read(argc, argv, &r.options);
  if (code == CLI_OK && r.options.help) {
    grid_print_help();
  } else if (code == CLI_OK) {
    catch_signals(&r);
    code = begin(&r, why_host, sizeof why_host);
    if (code == CLI_OK) {
      say_start(&r, why_host);
      code = run(&r);
      say_end(&r);
    }
    pthread_sigmask(SIG_SETMASK, &r.signals_open, NULL); /* a second signal ends what follows at once */
    finish(&r);
  }
  grid_options_free(&r.options);
  return code;
}
