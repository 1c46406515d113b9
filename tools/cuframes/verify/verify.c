/* verify.c - cuframes verify: looks at every frame as a subscriber and proves that the stream keeps its promises:
 * nothing torn, nothing twice, nothing out of order; and how fast frames arrive.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/picture_hash.h"
#include "common/reader.h"
#include "latency.h"
#include "pattern/pattern.h"

static const char help[] =
    "usage: cuframes verify NAME [OPTIONS]\n"
    "Reads a stream and checks every frame. Test pictures (publish test:...) carry their number and are checked\n"
    "byte by byte; of any other picture a checksum is taken when it arrives and again before it is given back.\n\n"
    "  --duration SECONDS end after that time (default: when the publisher ends, or Ctrl-C)\n"
    "  --frames N         end after N frames\n"
    "  --delay SECONDS    hold each frame that long, as a slow subscriber does, then check it again (also --slow)\n"
    "  --timeout SECONDS  end when no frame comes for that long (default: 10 for the first one if there is no\n"
    "                     --duration, then for ever)\n" READER_HELP_WAIT READER_HELP_JOIN READER_HELP_FRAMES
        READER_HELP_BASIC
    "\nWith --json: an object with frames, gaps (ordered: places where frames are missing), missing (how many),\n"
    "duplicates, longest_duplicate_run, back_jumps, torn, skipped (newest), latency_us {p50, p99, max, histogram},\n"
    "epochs, reconnects, evictions, corrupt, source_gaps, inexact, stamped, seconds, fps, ended.\n"
    "Latency is from publishing to the return of the subscriber's call.\n"
    "Exit code 1: something was torn, twice, went back or is missing, or the stream was lost; 3: no such stream;\n"
    "4: no frame came.\n";

typedef struct verify {
  reader_config reader;
  int64_t duration_ns, delay_ns, timeout_ns;
  uint32_t frame_limit;

  cuframes_subscriber *subscriber;
  picture_planes planes;
  int64_t start, shown;
  const char *ended;

  /* Of the frame before, in this epoch and connection. */
  uint64_t last_seq, last_number, duplicate_run;
  bool have_seq, have_number;
  bool stamped;     /* a whole test picture was seen in this epoch: from then on every picture has to be one */
  uint64_t pending; /* inexact test pictures before that: torn ones, or a film of a test picture */

  uint64_t frames, gaps, missing, duplicates, longest_run, back_jumps, torn, skipped;
  uint64_t epochs, reconnects, evictions, corrupt, source_gaps, inexact;
  bool ever_stamped;
  int64_t first_latency;
  latency latency;
} verify;

static void note_duplicate(verify *v) {
  v->duplicates++;
  if (++v->duplicate_run > v->longest_run)
    v->longest_run = v->duplicate_run;
}

/* A new epoch: the source's numbers start anew, and after a reconnect the sequence too. */
static void note_epoch(verify *v, uint64_t seq) {
  cuframes_subscriber_stats stats = { .struct_size = sizeof(stats) };
  v->have_number = v->stamped = false;
  v->inexact += v->pending;
  v->pending = 0;
  if (v->frames)
    v->epochs++;
  if (!cuframes_subscriber_get_stats(v->subscriber, &stats) && stats.reconnects != v->reconnects) {
    v->reconnects = stats.reconnects;
    v->have_seq = false;
  }
  if (v->have_seq && seq <= v->last_seq)
    v->have_seq = false;
}

static void check_order(verify *v, uint64_t seq, bool has_number, uint64_t number) {
  const bool same_seq = v->have_seq && seq == v->last_seq, seq_back = v->have_seq && seq < v->last_seq;
  const bool compare = has_number && v->have_number && v->have_seq;
  const bool same_number = compare && number == v->last_number, number_back = compare && number < v->last_number;
  if (same_seq || same_number)
    note_duplicate(v);
  else
    v->duplicate_run = 0;
  if (seq_back || number_back)
    v->back_jumps++;
  if (v->have_seq && seq > v->last_seq + 1) {
    if (v->reader.mode == CUFRAMES_MODE_ORDERED) {
      v->gaps++;
      v->missing += seq - v->last_seq - 1;
    } else {
      v->skipped += seq - v->last_seq - 1;
    }
  }
  if (compare && seq > v->last_seq && number > v->last_number && number - v->last_number > seq - v->last_seq)
    v->source_gaps++; /* the source left pictures out before they were published */
  v->last_seq = seq;
  v->have_seq = true;
  v->last_number = number;
  v->have_number = has_number;
}

/* Looks at a picture that just came. *hash is what it must still be at its release. */
static bool check_picture(verify *v, const cuframes_format *format, uint64_t *number) {
  switch (pattern_check(v->planes.plane, v->planes.pitch, format, number)) {
    case PATTERN_WHOLE:
      if (!v->stamped)
        v->torn += v->pending;
      v->pending = 0;
      v->stamped = v->ever_stamped = true;
      return true;
    case PATTERN_TORN:
      if (v->stamped)
        v->torn++;
      else
        v->pending++;
      return false;
    default:
      if (v->stamped)
        v->torn++;
      return false;
  }
}

/* Everything about one frame between next and release. 0 or a negative CUFRAMES_ERR_*. */
static int check_frame(verify *v, const cuframes_frame *frame) {
  const cuframes_format *format = cuframes_frame_format(frame);
  const uint32_t flags = cuframes_frame_flags(frame);
  const uint64_t seq = cuframes_frame_seq(frame);
  uint64_t number = 0;
  if (flags & CUFRAMES_FRAME_DISCONTINUITY)
    note_epoch(v, seq);
  if (flags & CUFRAMES_FRAME_NEW_FORMAT)
    v->stamped = false;
  v->corrupt += flags & CUFRAMES_FRAME_CORRUPT ? 1 : 0;
  int error = picture_view(&v->planes, frame, true);
  if (error)
    return error;
  const uint64_t hash = picture_hash(&v->planes, format);
  const uint64_t torn_before = v->torn;
  bool has_number = check_picture(v, format, &number);
  check_order(v, seq, has_number, number);
  v->frames++;
  (void)reader_pause(cuframes_now() + v->delay_ns); /* a signal ends it early: checked and released all the same */
  error = picture_view(&v->planes, frame, true);
  if (!error && v->torn == torn_before && picture_hash(&v->planes, format) != hash)
    v->torn++; /* it changed under the lease */
  return error;
}

static void note_latency(verify *v, int64_t now, const cuframes_frame *frame, bool first) {
  int64_t ns = now - cuframes_frame_timestamp(frame);
  /* The first one was published before anybody asked for it. */
  if (first)
    v->first_latency = ns;
  else
    latency_add(&v->latency, ns);
}

static void show_progress(verify *v, int64_t now) {
  if (now - v->shown < READER_SLICE_NS)
    return;
  v->shown = now;
  cli_live("%s: %" PRIu64 " frames in %.1f s, torn %" PRIu64 ", duplicates %" PRIu64 ", back jumps %" PRIu64
           ", gaps %" PRIu64 ", skipped %" PRIu64 ", p50 %.0f us",
           v->reader.name, v->frames, (double)(now - v->start) / 1e9, v->torn, v->duplicates, v->back_jumps, v->gaps,
           v->skipped, latency_percentile(&v->latency, 0.5) / 1e3);
}

/* How long the next frame may take; 0: the time is over. *is_end: it is --duration that ends it. */
static int64_t frame_timeout(const verify *v, bool *is_end) {
  int64_t limit = v->timeout_ns;
  *is_end = false;
  if (!limit)
    limit = v->frames || v->duration_ns ? CUFRAMES_WAIT_FOREVER : 10000000000;
  if (!v->frames)
    limit = reader_first_timeout(&v->reader, limit);
  if (v->duration_ns) {
    int64_t left = v->start + v->duration_ns - cuframes_now();
    if (left <= 0 || limit < 0 || left < limit) {
      *is_end = true;
      return left > 0 ? left : 0;
    }
  }
  return limit;
}

/* Evicted, and told to go on: a new place in the stream. Gives an exit code. */
static int rejoin(verify *v) {
  v->evictions++;
  cuframes_subscriber_destroy(v->subscriber);
  v->subscriber = NULL;
  v->have_seq = v->have_number = false;
  v->reconnects = 0;
  return reader_join(&v->reader, &v->subscriber);
}

/* The end that an error of next is. Gives an exit code; CLI_OK with v->ended NULL to go on. */
static int note_error(verify *v, int error, bool is_end) {
  if (error == CUFRAMES_ERR_INTERRUPTED && cli_stopped) {
    v->ended = "signal";
    return CLI_OK;
  }
  if (error == CUFRAMES_ERR_TIMEOUT) {
    v->ended = is_end ? "duration" : "timeout";
    if (!is_end || !v->frames) {
      cli_error("%s: no frame%s came in time", v->reader.name, v->frames ? " more" : "");
      reader_say_trouble(&v->reader);
    }
    return is_end ? CLI_OK : CLI_TIMEOUT;
  }
  if (error == CUFRAMES_ERR_PUBLISHER_GONE) {
    v->ended = "publisher_gone";
    cli_note("%s: the publisher has gone", v->reader.name);
    return CLI_OK;
  }
  if (error == CUFRAMES_ERR_EVICTED) {
    if (v->reader.reconnect) {
      cli_note("%s: evicted for being too slow, joining again", v->reader.name);
      return rejoin(v);
    }
    v->evictions++;
  }
  v->ended = error == CUFRAMES_ERR_EVICTED ? "evicted" : "error";
  return cli_failed(error, v->reader.name);
}

static int run(verify *v) {
  int code = CLI_OK;
  bool first = true;
  v->start = v->shown = cuframes_now();
  while (!code && !v->ended) {
    bool is_end;
    cuframes_frame *frame = NULL;
    int64_t timeout = frame_timeout(v, &is_end);
    int error = timeout ? reader_next(v->subscriber, timeout, &frame) : CUFRAMES_ERR_TIMEOUT;
    const int64_t now = cuframes_now();
    show_progress(v, now);
    if (error) {
      code = note_error(v, error, is_end);
      first = true;
      continue;
    }
    note_latency(v, now, frame, first);
    first = false;
    error = check_frame(v, frame);
    cuframes_frame_release(frame);
    if (error) {
      v->ended = "error";
      code = cli_failed(error, v->reader.name);
    } else if (v->frame_limit && v->frames >= v->frame_limit) {
      v->ended = "frames";
    }
  }
  if (!v->latency.count && v->frames)
    latency_add(&v->latency, v->first_latency);
  v->inexact += v->pending;
  if (!v->ended)
    v->ended = cli_stopped ? "signal" : "error";
  return code;
}

static void set_count(json_t *object, const char *key, uint64_t value) {
  json_object_set_new(object, key, json_integer((json_int_t)value));
}

static int print_json(const verify *v, double seconds) {
  json_t *object = json_object();
  json_object_set_new(object, "name", cli_json_text(v->reader.name));
  json_object_set_new(object, "mode", json_string(mode_text(v->reader.mode)));
  set_count(object, "frames", v->frames);
  set_count(object, "gaps", v->gaps);
  set_count(object, "missing", v->missing);
  set_count(object, "duplicates", v->duplicates);
  set_count(object, "longest_duplicate_run", v->longest_run);
  set_count(object, "back_jumps", v->back_jumps);
  set_count(object, "torn", v->torn);
  set_count(object, "skipped", v->skipped);
  json_object_set_new(object, "latency_us", latency_json(&v->latency));
  set_count(object, "epochs", v->epochs);
  set_count(object, "reconnects", v->reconnects);
  set_count(object, "evictions", v->evictions);
  set_count(object, "corrupt", v->corrupt);
  set_count(object, "source_gaps", v->source_gaps);
  set_count(object, "inexact", v->inexact);
  json_object_set_new(object, "stamped", json_boolean(v->ever_stamped));
  json_object_set_new(object, "seconds", cli_json_rounded(seconds, 3));
  json_object_set_new(object, "fps", cli_json_rounded((double)v->frames / seconds, 2));
  json_object_set_new(object, "ended", json_string(v->ended));
  return cli_json_print(object, false);
}

static void print_plain(const verify *v, double seconds) {
  printf("%s: %" PRIu64 " frames in %.1f s (%.2f per second), %s, %s\n", v->reader.name, v->frames, seconds,
         (double)v->frames / seconds, mode_text(v->reader.mode),
         v->ever_stamped ? "each test picture checked whole" : "each picture checked for change while leased");
  printf("torn          %" PRIu64 "\n", v->torn);
  printf("duplicates    %" PRIu64 ", longest run %" PRIu64 "\n", v->duplicates, v->longest_run);
  printf("back jumps    %" PRIu64 "\n", v->back_jumps);
  printf("gaps          %" PRIu64 ", %" PRIu64 " frames missing\n", v->gaps, v->missing);
  printf("skipped       %" PRIu64 "\n", v->skipped);
  if (v->epochs || v->evictions || v->corrupt || v->source_gaps || v->inexact)
    printf("also seen     %" PRIu64 " new epochs, %" PRIu64 " reconnects, %" PRIu64 " evictions, %" PRIu64
           " damaged at the source, %" PRIu64 " gaps of the source, %" PRIu64 " inexact test pictures\n",
           v->epochs, v->reconnects, v->evictions, v->corrupt, v->source_gaps, v->inexact);
  printf("latency       p50 %.1f us, p99 %.1f us, max %.1f us\n", latency_percentile(&v->latency, 0.5) / 1e3,
         latency_percentile(&v->latency, 0.99) / 1e3, (double)v->latency.max_ns / 1e3);
  latency_print(&v->latency, stdout);
}

enum { DURATION = READER_OWN, FRAMES, DELAY, TIMEOUT };

static int parse(int argc, char **argv, verify *v) {
  static const struct option options[] = { READER_OPTIONS_BASIC,
                                           READER_OPTIONS_NAME,
                                           READER_OPTIONS_JOIN,
                                           READER_OPTIONS_FRAMES,
                                           { "duration", required_argument, NULL, DURATION },
                                           { "frames", required_argument, NULL, FRAMES },
                                           { "delay", required_argument, NULL, DELAY },
                                           { "slow", required_argument, NULL, DELAY },
                                           { "timeout", required_argument, NULL, TIMEOUT },
                                           { 0 } };
  int option, code = CLI_OK;
  while (!code && (option = cli_getopt(argc, argv, ":h", options, NULL)) != -1) {
    switch (option) {
      case 'h':
      case READER_HELP: fputs(help, stdout); return -1;
      case DURATION: code = cli_take_seconds("duration", optarg, &v->duration_ns); break;
      case FRAMES:
        if (!cli_parse_unsigned(optarg, 1, UINT32_MAX, &v->frame_limit))
          code = cli_usage("--frames takes a number from 1, not '%s'", optarg);
        break;
      case DELAY: code = cli_take_seconds("delay", optarg, &v->delay_ns); break;
      case TIMEOUT: code = cli_take_seconds("timeout", optarg, &v->timeout_ns); break;
      default: code = reader_option(&v->reader, option, argv, argc);
    }
  }
  return code ? code : reader_take_name(&v->reader, argc, argv, NULL);
}

int cmd_verify(int argc, char **argv) {
  verify v = { .reader = { .label = "verify" } };
  int code = parse(argc, argv, &v);
  if (code)
    return code < 0 ? CLI_OK : code;
  cli_catch_signals();
  code = reader_join(&v.reader, &v.subscriber);
  if (code)
    return code;
  code = run(&v);
  cuframes_subscriber_destroy(v.subscriber);
  picture_free(&v.planes);
  cli_live_end();
  const double seconds = (double)(cuframes_now() - v.start) / 1e9;
  if (!code && (v.torn || v.duplicates || v.back_jumps || v.gaps))
    code = CLI_FAILED;
  if (!code && !v.frames && !cli_stopped)
    code = CLI_TIMEOUT;
  int printed = CLI_OK;
  if (v.reader.json)
    printed = print_json(&v, seconds);
  else
    print_plain(&v, seconds);
  return code ? code : printed;
}
