/* reader.c - options and joining for the commands that read a stream. */
#include "reader.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream_state.h"
#include "suggest.h"

/* "--wait 5" beside "--wait=5": getopt_long leaves a separate value of an optional argument where it is. */
static int take_wait(reader_config *options, int argc, char **argv) {
  const char *text = optarg;
  if (!text && optind < argc && cli_parse_seconds(argv[optind], &options->wait_ns)) {
    optind++;
    return CLI_OK;
  }
  if (!text)
    options->wait_ns = CUFRAMES_WAIT_FOREVER;
  return text ? cli_take_seconds("wait", text, &options->wait_ns) : CLI_OK;
}

/* The place of a value in a list of words that ends with NULL; -1 after a message with `sentence`. */
static int take_word(const char *sentence, const char *const *words) {
  for (int i = 0; words[i]; i++)
    if (!strcmp(optarg, words[i]))
      return i;
  (void)cli_usage("%s, not '%s'%s", sentence, optarg, suggest_text("", suggest_from(optarg, words)).text);
  return -1;
}

/* A mode that is asked for is to be had or said in info; complete is what every stream can do. */
static int take_sync(reader_config *options) {
  static const char *const words[] = { "complete", "timeline", "slot-events", NULL };
  static const uint32_t modes[] = { CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_COMPLETE,
                                    CUFRAMES_SYNC_SLOT_EVENTS | CUFRAMES_SYNC_COMPLETE };
  const int at = take_word("--sync is complete, timeline or slot-events", words);
  if (at < 0)
    return CLI_USAGE;
  options->sync = modes[at];
  return CLI_OK;
}

static int take_mode(reader_config *options) {
  static const char *const words[] = { "newest", "ordered", NULL };
  const int at = take_word("--mode is newest or ordered", words);
  if (at < 0)
    return CLI_USAGE;
  options->mode = at ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST;
  return CLI_OK;
}

static int take_device(reader_config *options) {
  options->device = optarg;
  return cli_is_device(optarg) ? CLI_OK
                               : cli_usage("--device %s " CLI_DEVICES "%s", optarg,
                                           suggest_text("", suggest_from(optarg, cli_device_words)).text);
}

int reader_option(reader_config *options, int option, char **argv, int argc) {
  switch (option) {
    case READER_NAME: options->name = optarg; return CLI_OK;
    case READER_DIR: options->directory = optarg; return CLI_OK;
    case READER_JSON: options->json = true; return CLI_OK;
    case READER_WAIT: return take_wait(options, argc, argv);
    case READER_RECONNECT: options->reconnect = true; return CLI_OK;
    case READER_LEASES:
      return cli_parse_unsigned(optarg, 1, 64, &options->leases)
                 ? CLI_OK
                 : cli_usage("--leases takes a number from 1 to 64, not '%s'", optarg);
    case READER_DEPTH:
      return cli_parse_unsigned(optarg, 1, 256, &options->depth)
                 ? CLI_OK
                 : cli_usage("--depth takes a number from 1 to 256, not '%s'", optarg);
    case READER_LABEL: options->label = optarg; return CLI_OK;
    case READER_MODE: return take_mode(options);
    case READER_DEVICE: return take_device(options);
    case READER_SYNC: return take_sync(options);
    case READER_CHECK: options->check = true; return CLI_OK;
    case READER_MAX_AGE: return cli_take_seconds("max-age", optarg, &options->max_age_ns);
    default: return cli_bad_option(option, argv);
  }
}

int reader_check_options(const reader_config *options) {
  return options->max_age_ns && !options->check ? cli_usage("--max-age belongs to --check") : CLI_OK;
}

int reader_take_name(reader_config *options, int argc, char **argv, const char **file) {
  if (!options->name && optind < argc)
    options->name = argv[optind++];
  if (!options->name)
    return cli_usage("the NAME of the stream is missing; `cuframes list` shows which there are");
  if (file && optind < argc)
    *file = argv[optind++];
  if (optind < argc)
    return cli_usage("unexpected argument '%s' after %s", argv[optind], argv[optind - 1]);
  return CLI_OK;
}

int reader_no_memory(void) {
  cli_error("out of memory");
  return CLI_FAILED;
}

bool reader_pause(int64_t deadline) {
  for (;;) {
    int64_t left = deadline - cuframes_now();
    if (cli_stopped)
      return false;
    if (left <= 0)
      return true;
    if (left > READER_SLICE_NS)
      left = READER_SLICE_NS;
    (void)poll(NULL, 0, (int)((left + 999999) / 1000000)); /* ended early by a signal: looked at above */
  }
}

/* One more try for a stream that is not there? False after the message of the end. */
static bool keep_waiting(const reader_config *options, int error, int64_t start, int *code) {
  if (cli_stopped || (options->given_up && options->given_up(options->user))) {
    *code = CLI_FAILED;
    return false;
  }
  if (!options->wait_ns || error != CUFRAMES_ERR_NO_SUCH_STREAM) {
    cli_doctor_knows(error, options->name, options->directory, options->device);
    *code = cli_failed(error, options->name);
    return false;
  }
  if (options->wait_ns > 0 && cuframes_now() - start >= options->wait_ns) {
    cli_error("no stream %s after %.3g s", options->name, (double)options->wait_ns / 1e9);
    *code = CLI_TIMEOUT;
    return false;
  }
  cli_live("waiting for %s", options->name);
  return true;
}

/* The same for a stream that is there and has not begun. */
static bool keep_waiting_for_pictures(const reader_config *options, const cuframes_stream_info *info, int64_t start,
                                      int *code) {
  char state[STATE_TEXT];
  state_text(state, sizeof(state), info->source);
  *code = CLI_FAILED;
  if (cli_stopped)
    return false;
  if (options->wait_ns > 0 && cuframes_now() - start >= options->wait_ns) {
    cli_error("%s has not begun after %.3g s: %s", options->name, (double)options->wait_ns / 1e9, state);
    *code = CLI_TIMEOUT;
    return false;
  }
  cli_live("waiting for the first picture of %s: %s", options->name, state);
  return true;
}

int reader_query(const reader_config *options, cuframes_stream_info **info) {
  const int64_t start = cuframes_now();
  for (;;) {
    int code, error = cuframes_stream_query(options->directory, options->name, READER_QUERY_NS, info);
    if (!error && (!options->wait_ns || options->any_state || pictures_of(*info) != PICTURES_AWAITED))
      break;
    const bool goes_on =
        error ? keep_waiting(options, error, start, &code) : keep_waiting_for_pictures(options, *info, start, &code);
    if (!error)
      cuframes_stream_info_free(*info);
    *info = NULL;
    if (!goes_on)
      return code;
    (void)reader_pause(cuframes_now() + READER_SLICE_NS / 2); /* a signal ends the next try */
  }
  cli_live_end();
  return CLI_OK;
}

bool reader_trouble(const reader_config *options, char *text, size_t size) {
  cuframes_stream_info *info = NULL;
  if (cuframes_stream_query(options->directory, options->name, READER_QUERY_NS, &info) != CUFRAMES_OK)
    return false;
  const uint32_t state = info->source->state;
  const bool trouble = state != CUFRAMES_SOURCE_UNKNOWN && state != CUFRAMES_SOURCE_LIVE;
  if (trouble)
    state_text(text, size, info->source);
  cuframes_stream_info_free(info);
  return trouble;
}

bool has_pictures(const cuframes_format *format) {
  return format->pixel_format != 0;
}

/* What there is to wait for; pictures, if nobody answers. */
static enum stream_pictures look_for_pictures(const reader_config *options) {
  cuframes_stream_info *info = NULL;
  enum stream_pictures found = PICTURES_THERE;
  if (cuframes_stream_query(options->directory, options->name, READER_QUERY_NS, &info) == CUFRAMES_OK)
    found = pictures_of(info);
  cuframes_stream_info_free(info);
  return found;
}

static void say_no_pictures(const reader_config *options) {
  cli_error("%s has no pictures, only packets: `cuframes info %s` shows them", options->name, options->name);
}

void reader_say_trouble(const reader_config *options) {
  char text[STATE_TEXT];
  if (reader_trouble(options, text, sizeof(text)))
    cli_note("%s: %s", options->name, text);
  else if (options->mode != CUFRAMES_MODE_PACKETS && look_for_pictures(options) == PICTURES_NONE)
    say_no_pictures(options); /* they were awaited, and now it is known that there are none */
}

/* What was joined: whether there is something to wait for. Gives an exit code, after a message. */
static int check_joined(reader_config *options, int64_t start) {
  const enum stream_pictures found = look_for_pictures(options);
  if (found == PICTURES_NONE && options->mode != CUFRAMES_MODE_PACKETS) {
    say_no_pictures(options);
    return CLI_FAILED;
  }
  options->first_by = 0;
  if (found == PICTURES_AWAITED && options->wait_ns != 0)
    options->first_by = options->wait_ns < 0 ? INT64_MAX : start + options->wait_ns;
  return CLI_OK;
}

int64_t reader_first_timeout(const reader_config *options, int64_t timeout_ns) {
  if (options->first_by == 0 || timeout_ns < 0)
    return timeout_ns;
  if (options->first_by == INT64_MAX)
    return CUFRAMES_WAIT_FOREVER;
  const int64_t left = options->first_by - cuframes_now();
  return left > timeout_ns ? left : timeout_ns;
}

int reader_join(reader_config *options, cuframes_subscriber **subscriber) {
  char label[CUFRAMES_LABEL_MAX + 1];
  snprintf(label, sizeof(label), "%s", options->label ? options->label : "cuframes");
  cuframes_subscriber_options join = {
    .struct_size = sizeof(join),
    .mode = options->mode,
    .directory = options->directory,
    .label = label,
    .leases = options->leases,
    .depth = options->depth,
    .reconnect = options->reconnect,
    .log = cli_log,
    .sync = options->sync,
    .device = options->device,
  };
  const int64_t start = cuframes_now();
  for (;;) {
    int64_t left = options->wait_ns - (cuframes_now() - start);
    if (options->wait_ns < 0 || left > READER_SLICE_NS)
      left = READER_SLICE_NS;
    join.connect_timeout_ns = options->wait_ns && left > 0 ? left : 0;
    int code, error = cuframes_subscriber_create(options->name, &join, subscriber);
    if (!error)
      break;
    if (error == CUFRAMES_ERR_TIMEOUT && options->wait_ns)
      error = CUFRAMES_ERR_NO_SUCH_STREAM;
    if (!keep_waiting(options, error, start, &code))
      return code;
  }
  const int code = check_joined(options, start);
  if (code != CLI_OK) {
    cuframes_subscriber_destroy(*subscriber);
    *subscriber = NULL;
  }
  cli_live_end();
  return code;
}

int reader_enable_packets(const reader_config *options, cuframes_subscriber *subscriber, uint32_t start) {
  const int64_t deadline = cuframes_now() + READER_QUERY_NS;
  for (;;) {
    const int error = cuframes_subscriber_enable_packets(subscriber, start);
    if (!error)
      return CLI_OK;
    if (error != CUFRAMES_ERR_NO_PACKET_RING || cuframes_now() >= deadline)
      return cli_failed(error, options->name);
    if (!reader_pause(cuframes_now() + READER_SLICE_NS / 4))
      return CLI_FAILED;
  }
}

int reader_next(cuframes_subscriber *subscriber, int64_t timeout_ns, cuframes_frame **frame) {
  const int64_t start = cuframes_now();
  for (;;) {
    int64_t left = timeout_ns < 0 ? READER_SLICE_NS : start + timeout_ns - cuframes_now();
    if (cli_stopped)
      return CUFRAMES_ERR_INTERRUPTED;
    if (left <= 0)
      return CUFRAMES_ERR_TIMEOUT;
    int error = cuframes_subscriber_next(subscriber, left < READER_SLICE_NS ? left : READER_SLICE_NS, frame);
    if (error != CUFRAMES_ERR_TIMEOUT)
      return error;
  }
}

int picture_view(picture_planes *view, const cuframes_frame *frame, bool in_place) {
  const bool host_memory = in_place && !strcmp(cuframes_frame_device(frame), "host");
  const cuframes_format *format = cuframes_frame_format(frame);
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  uint32_t pitch[CUFRAMES_PLANES], rows[CUFRAMES_PLANES];
  size_t total = 64;
  for (int i = 0; i < planes; i++) {
    int error = cuframes_format_plane_size(format, i, &pitch[i], &rows[i]);
    if (error)
      return error;
    pitch[i] = (pitch[i] + 63) & ~63u;
    total += (size_t)pitch[i] * rows[i];
  }
  if (!host_memory && total > view->copy_bytes) {
    uint8_t *grown = realloc(view->copy, total);
    if (!grown)
      return CUFRAMES_ERR_NO_MEMORY;
    view->copy = grown;
    view->copy_bytes = total;
  }
  uint8_t *next = view->copy;
  for (int i = 0; i < CUFRAMES_PLANES; i++) {
    view->plane[i] = NULL;
    view->pitch[i] = 0;
    if (i >= planes)
      continue;
    view->plane[i] = host_memory ? cuframes_frame_plane(frame, i) : next;
    view->pitch[i] = host_memory ? cuframes_frame_pitch(frame, i) : pitch[i];
    int error = host_memory ? 0 : cuframes_frame_copy_to_host(frame, i, next, pitch[i]);
    if (error)
      return error;
    if (!host_memory)
      next += (size_t)pitch[i] * rows[i];
  }
  return 0;
}

void picture_free(picture_planes *view) {
  free(view->copy);
  *view = (picture_planes){ 0 };
}
