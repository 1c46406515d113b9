/* top.c - cuframes top: streams and their subscribers, live. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/reader.h"
#include "common/stream_state.h"

static const char help[] =
    "usage: cuframes top [NAME...] [OPTIONS]\n"
    "Shows streams live: rates, pinned slots, and for each subscriber its mode, which slots it holds, how far it\n"
    "is behind, what it skipped, evictions. Without a NAME: all streams. On a terminal the screen is redrawn in\n"
    "place, elsewhere one block follows the other. Ctrl-C ends it.\n\n"
    "  --interval SECONDS from one look to the next (default 1)\n"
    "  --count N          end after N looks\n"
    "  --duration SECONDS end after that time\n"
    "  --wait[=SECONDS]   wait for the streams to appear (without a value: for ever)\n" READER_HELP_BASIC
    "\nWith --json: one line for each look, an object with time (s since 1970) and streams (as info gives them).\n";

/* One stream at one look. */
typedef struct row {
  char name[CUFRAMES_NAME_MAX + 1];
  char detail[160]; /* why there is no info */
  int error;
  const cuframes_stream_info *info;
  cuframes_stream_info *asked; /* info, if it was asked for by name */
} row;

typedef struct look {
  row *rows;
  size_t count;
  cuframes_streams *streams; /* info of the rows, if all were asked for */
  int64_t time;
} look;

static void look_free(look *view) {
  for (size_t i = 0; i < view->count; i++)
    cuframes_stream_info_free(view->rows[i].asked);
  cuframes_streams_free(view->streams);
  free(view->rows);
  *view = (look){ 0 };
}

static int look_at_all(const char *directory, look *view) {
  int error = cuframes_stream_list(directory, READER_QUERY_NS, &view->streams);
  if (error) {
    cli_doctor_knows(error, NULL, directory, NULL);
    return cli_failed(error, "looking for streams");
  }
  view->rows = calloc(view->streams->count + 1, sizeof(row));
  if (!view->rows)
    return reader_no_memory();
  for (size_t i = 0; i < view->streams->count; i++) {
    const cuframes_stream_entry *from = view->streams->entries[i];
    row *to = &view->rows[view->count++];
    snprintf(to->name, sizeof(to->name), "%s", from->name);
    snprintf(to->detail, sizeof(to->detail), "%s", from->detail ? from->detail : "");
    to->error = from->error;
    to->info = from->info;
  }
  return CLI_OK;
}

static int look_at(const reader_config *options, char **names, size_t count, look *view) {
  view->time = cuframes_now();
  if (!count)
    return look_at_all(options->directory, view);
  view->rows = calloc(count, sizeof(row));
  if (!view->rows)
    return reader_no_memory();
  for (size_t i = 0; i < count; i++) {
    row *to = &view->rows[view->count++];
    snprintf(to->name, sizeof(to->name), "%s", names[i]);
    to->error = cuframes_stream_query(options->directory, names[i], READER_QUERY_NS, &to->asked);
    to->info = to->asked;
    if (to->error) { /* in the words of a list */
      const char *detail = cuframes_last_error();
      snprintf(to->detail, sizeof(to->detail), "%s", *detail ? detail : cuframes_strerror(to->error));
    }
  }
  return CLI_OK;
}

/* Frames per second that a subscriber took since the look before; negative: not known. */
static double taken_per_second(const look *before, const look *now, const char *stream,
                               const cuframes_subscriber_info *seat) {
  for (size_t i = 0; i < before->count; i++) {
    const cuframes_stream_info *info = before->rows[i].info;
    if (!info || strcmp(before->rows[i].name, stream) != 0)
      continue;
    for (size_t k = 0; k < info->subscriber_count; k++) {
      const cuframes_subscriber_info *old = info->subscribers[k];
      if (old->pid == seat->pid && !strcmp(old->label, seat->label) && old->delivered <= seat->delivered)
        return (double)(seat->delivered - old->delivered) * 1e9 / (double)(now->time - before->time);
    }
  }
  return -1;
}

static void write_subscribers(FILE *out, const look *before, const look *now, const cuframes_stream_info *info) {
  if (info->subscriber_count)
    fprintf(out, "  %-20s %8s %-8s %6s %7s %6s %10s %9s  %s\n", "SUBSCRIBER", "PID", "MODE", "LEASES", "FPS", "LAG",
            "DELIVERED", "SKIPPED", "HOLDS");
  for (size_t i = 0; i < info->subscriber_count; i++) {
    const cuframes_subscriber_info *seat = info->subscribers[i];
    char leases[24], fps[16] = "-";
    double rate = taken_per_second(before, now, info->name, seat);
    if (rate >= 0)
      snprintf(fps, sizeof(fps), "%.1f", rate);
    snprintf(leases, sizeof(leases), "%u/%u", seat->leases_held, seat->leases);
    fprintf(out, "  %-20.20s %8d %-8s %6s %7s %6" PRIu64 " %10" PRIu64 " %9" PRIu64 "  ", seat->label, seat->pid,
            mode_text(seat->mode), leases, fps, seat->lag, seat->delivered, seat->skipped);
    for (uint32_t k = 0; k < seat->leases_held; k++)
      fprintf(out, "%sslot %u", k ? ", " : "", seat->held_slots[k]);
    fprintf(out, "%s%s\n", seat->packets ? " packets" : "", seat->evicted ? " EVICTED" : "");
  }
}

/* "  stalled 12 s", without the reason; nothing where the publisher says nothing. */
static void short_state(char *text, size_t size, const cuframes_source_info *source) {
  char words[STATE_TEXT] = "";
  cuframes_source_info bare = *source;
  bare.reason[0] = '\0';
  if (source->state != CUFRAMES_SOURCE_UNKNOWN)
    state_text(words, sizeof(words), &bare);
  snprintf(text, size, "%s%s", *words ? "  " : "", words);
}

static void write_reason(FILE *out, const cuframes_stream_info *info) {
  if (*info->source->reason)
    fprintf(out, "  %s: %s\n", state_name(info->source), info->source->reason);
}

static void write_look(FILE *out, const look *before, const look *now) {
  if (!now->count)
    fprintf(out, "no streams\n");
  for (size_t i = 0; i < now->count; i++) {
    const cuframes_stream_info *info = now->rows[i].info;
    char picture[FORMAT_TEXT], memory[32], state[STATE_TEXT];
    if (!info) {
      fprintf(out, "%s  %s\n", now->rows[i].name, now->rows[i].detail);
      continue;
    }
    picture_text(picture, sizeof(picture), info);
    bytes_text(memory, sizeof(memory), info->memory_bytes);
    short_state(state, sizeof(state), info->source);
    if (!has_pictures(&info->format)) {
      fprintf(out, "%s  %s%s  packets %" PRIu64 "  %s  subscribers %zu\n", info->name, picture, state, info->packets,
              memory, info->subscriber_count);
      write_reason(out, info);
      write_subscribers(out, before, now, info);
      continue;
    }
    fprintf(out, "%s  %s  %.*s%s  %.1f fps  frames %" PRIu64 "  packets %" PRIu64 "  slots %u, %u pinned  %s",
            info->name, picture, DEVICE_COLUMNS, info->device, state, info->fps, info->frames, info->packets,
            info->slots, info->slots_pinned, memory);
    fprintf(out, "  subscribers %zu  dropped %" PRIu64 "  evictions %" PRIu64, info->subscriber_count, info->dropped,
            info->evictions);
    fprintf(out, "\n");
    write_reason(out, info);
    write_subscribers(out, before, now, info);
  }
}

/* Redraws from the top left corner, cut to the screen: each line is wiped behind its text, then what is below. */
static void draw(const char *text) {
  struct winsize screen = { 0 };
  (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &screen); /* unknown: 0, not cut */
  unsigned lines = 0;
  fputs("\033[H", stdout);
  while (*text && (!screen.ws_row || ++lines < screen.ws_row)) {
    int length = (int)strcspn(text, "\n");
    printf("%.*s\033[K\n", screen.ws_col && length > screen.ws_col ? screen.ws_col : length, text);
    text += length + (text[length] == '\n');
  }
  fputs("\033[J", stdout);
}

static int show(const look *before, const look *now, bool terminal) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    return reader_no_memory();
  write_look(out, before, now);
  int lost = fclose(out);
  if (lost || !text) {
    free(text);
    return reader_no_memory();
  }
  if (terminal)
    draw(text);
  else
    printf("%s%s", before->time ? "\n" : "", text); /* a blank line between two looks */
  free(text);
  return cli_output_flush() ? CLI_OK : CLI_FAILED;
}

static int show_json(const look *now) {
  struct timespec wall;
  (void)clock_gettime(CLOCK_REALTIME, &wall); /* cannot fail with this clock */
  json_t *object = json_object(), *streams = json_array();
  json_object_set_new(object, "time", cli_json_rounded((double)wall.tv_sec + (double)wall.tv_nsec / 1e9, 3));
  for (size_t i = 0; i < now->count; i++) {
    const row *from = &now->rows[i];
    json_t *stream = from->info ? cli_json_stream(from->info, true) : json_object();
    if (!from->info) {
      json_object_set_new(stream, "name", cli_json_text(from->name));
      json_object_set_new(stream, "error", cli_json_text(from->detail));
    }
    json_array_append_new(streams, stream);
  }
  json_object_set_new(object, "streams", streams);
  return cli_json_print(object, true);
}

typedef struct top_options {
  reader_config reader;
  int64_t interval_ns, duration_ns;
  uint32_t count;
  char **names;
  size_t name_count;
} top_options;

static int run(const top_options *options) {
  const int64_t start = cuframes_now();
  const bool terminal = !options->reader.json && isatty(STDOUT_FILENO);
  look before = { 0 }, now = { 0 };
  int code = CLI_OK;
  if (terminal)
    fputs("\033[2J\033[?25l", stdout); /* clear, hide the cursor */
  for (uint32_t i = 0; !code && !cli_stopped && (!options->count || i < options->count); i++) {
    int64_t due = start + (int64_t)i * options->interval_ns;
    bool over = options->duration_ns && due - start >= options->duration_ns;
    if (!reader_pause(over ? start + options->duration_ns : due) || over)
      break;
    code = look_at(&options->reader, options->names, options->name_count, &now);
    if (!code)
      code = options->reader.json ? show_json(&now) : show(&before, &now, terminal);
    look_free(&before);
    before = now;
    now = (look){ 0 };
  }
  if (terminal)
    fputs("\033[?25h", stdout);
  look_free(&before);
  return code;
}

static int parse(int argc, char **argv, top_options *options) {
  enum { INTERVAL = READER_OWN, COUNT, DURATION };
  static const struct option long_options[] = { READER_OPTIONS_BASIC,
                                                READER_OPTIONS_NAME,
                                                { "interval", required_argument, NULL, INTERVAL },
                                                { "count", required_argument, NULL, COUNT },
                                                { "duration", required_argument, NULL, DURATION },
                                                { 0 } };
  int option, code = CLI_OK;
  while (!code && (option = cli_getopt(argc, argv, ":h", long_options, NULL)) != -1) {
    switch (option) {
      case 'h':
      case READER_HELP: fputs(help, stdout); return -1;
      case INTERVAL: code = cli_take_seconds("interval", optarg, &options->interval_ns); break;
      case COUNT:
        if (!cli_parse_unsigned(optarg, 1, UINT32_MAX, &options->count))
          code = cli_usage("--count takes a number from 1, not '%s'", optarg);
        break;
      case DURATION: code = cli_take_seconds("duration", optarg, &options->duration_ns); break;
      default: code = reader_option(&options->reader, option, argv, argc);
    }
  }
  return code;
}

int cmd_top(int argc, char **argv) {
  top_options options = { .interval_ns = 1000000000, .reader = { .any_state = true } };
  int code = parse(argc, argv, &options);
  if (code)
    return code < 0 ? CLI_OK : code;
  options.names = argv + optind;
  options.name_count = (size_t)(argc - optind);
  if (options.reader.name) {
    if (options.name_count)
      return cli_usage("either --name or NAMEs");
    options.names = (char **)&options.reader.name;
    options.name_count = 1;
  }
  cli_catch_signals();
  /* A name that is not there at the start is a mistake; one that goes later is shown as gone. */
  for (size_t i = 0; i < options.name_count; i++) {
    cuframes_stream_info *info = NULL;
    options.reader.name = options.names[i];
    code = reader_query(&options.reader, &info);
    cuframes_stream_info_free(info);
    if (code)
      return code;
  }
  return run(&options);
}
