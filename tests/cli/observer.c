/* observer.c - a subscriber for the end-to-end tests: holds every frame for a while and says in JSON what it saw.
 *
 *   observer NAME [--ordered] [--hold MS] [--duration S] [--frames N] [--reconnect] [--wait] [--pin N]
 *
 * With --pin it takes N frames (at most 8) and gives none back until it is told to end. "changed" counts frames whose
 * bytes were not the same at the end of the hold as at its beginning. Ends after the duration or so many frames, on
 * SIGINT or SIGTERM, or with the stream ("end" has the error code). "epochs" and "new_formats" count the flags behind
 * the first frame. Exit 0 unless it could not join.
 */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuframes/cuframes.h>

#define PINNED_MOST 8

typedef struct observer_record {
  uint64_t frames, gaps, duplicates, back_jumps, changed, epochs, new_formats, corrupt;
  uint64_t first, last;
  int64_t last_time, longest_interval;   /* between neighbours in sequence, ns */
  int64_t last_arrival, longest_silence; /* between frames delivered here, ns */
  uint32_t width, height;
} observer_record;

static cuframes_subscriber *subscriber;
static volatile sig_atomic_t stopped;

static void stop(int number) {
  (void)number;
  stopped = 1;
  cuframes_subscriber_interrupt(subscriber);
}

/* A sum of every byte of the picture (FNV-1a by 8 bytes where it can). */
static uint64_t fingerprint(const cuframes_frame *frame) {
  const cuframes_format *format = cuframes_frame_format(frame);
  uint64_t sum = 14695981039346656037u;

  for (int plane = 0; plane < cuframes_pixel_format_planes(format->pixel_format); plane++) {
    const uint8_t *row = cuframes_frame_plane(frame, plane);
    uint32_t bytes = 0, rows = 0;

    if (cuframes_format_plane_size(format, plane, &bytes, &rows) != 0)
      return 0;
    for (uint32_t y = 0; y < rows; y++, row += format->pitch[plane]) {
      uint32_t x = 0;
      for (; x + 8 <= bytes; x += 8) {
        uint64_t word;
        memcpy(&word, row + x, 8);
        sum = (sum ^ word) * 1099511628211u;
      }
      for (; x < bytes; x++)
        sum = (sum ^ row[x]) * 1099511628211u;
    }
  }
  return sum;
}

static void look(observer_record *seen, const cuframes_frame *frame) {
  uint64_t seq = cuframes_frame_seq(frame);
  uint32_t flags = cuframes_frame_flags(frame);
  int64_t time = cuframes_frame_timestamp(frame), now = cuframes_now();

  if (seen->frames > 0 && (flags & CUFRAMES_FRAME_DISCONTINUITY))
    seen->epochs++;
  if (seen->frames > 0 && (flags & CUFRAMES_FRAME_NEW_FORMAT))
    seen->new_formats++;
  if (flags & CUFRAMES_FRAME_CORRUPT)
    seen->corrupt++;
  if (seen->frames > 0 && !(flags & CUFRAMES_FRAME_DISCONTINUITY)) {
    if (seq == seen->last)
      seen->duplicates++;
    else if (seq < seen->last)
      seen->back_jumps++;
    else if (seq > seen->last + 1)
      seen->gaps++;
    else if (time - seen->last_time > seen->longest_interval)
      seen->longest_interval = time - seen->last_time;
  }
  if (seen->frames == 0)
    seen->first = seq;
  else if (now - seen->last_arrival > seen->longest_silence)
    seen->longest_silence = now - seen->last_arrival;
  seen->frames++;
  seen->last = seq;
  seen->last_time = time;
  seen->last_arrival = now;
  seen->width = cuframes_frame_width(frame);
  seen->height = cuframes_frame_height(frame);
}

/* Gives why it ended. */
static int watch(observer_record *seen, int hold_ms, uint64_t frames, int64_t deadline) {
  int error = CUFRAMES_OK;

  while (!stopped && seen->frames < frames && cuframes_now() < deadline) {
    cuframes_frame *frame = NULL;
    error = cuframes_subscriber_next(subscriber, deadline - cuframes_now(), &frame);
    if (error != CUFRAMES_OK) {
      fprintf(stderr, "observer: %s\n", cuframes_last_error());
      break;
    }
    uint64_t before = fingerprint(frame);
    look(seen, frame);
    if (hold_ms > 0) {
      (void)poll(NULL, 0, hold_ms); /* the work of a slow consumer */
      if (fingerprint(frame) != before)
        seen->changed++;
    }
    cuframes_frame_release(frame); /* STALE after the publisher went: the next call says so */
  }
  return error == CUFRAMES_ERR_TIMEOUT || error == CUFRAMES_ERR_INTERRUPTED ? CUFRAMES_OK : error;
}

/* Holds so many frames until the end. 0, or why it ended early. */
static int pin(unsigned count) {
  cuframes_frame *frames[PINNED_MOST] = { NULL };
  int error = CUFRAMES_OK;
  for (unsigned i = 0; i < count && error == CUFRAMES_OK; i++)
    error = cuframes_subscriber_next(subscriber, CUFRAMES_WAIT_FOREVER, &frames[i]);
  while (!stopped && error == CUFRAMES_OK)
    (void)poll(NULL, 0, 200); /* a signal ends it, also one that comes just before */
  for (unsigned i = 0; i < count; i++)
    cuframes_frame_release(frames[i]);
  return error == CUFRAMES_ERR_INTERRUPTED ? CUFRAMES_OK : error;
}

static void report(const observer_record *seen, const cuframes_subscriber_stats *stats, int end) {
  printf("{\"frames\": %" PRIu64 ", \"first\": %" PRIu64 ", \"last\": %" PRIu64 ", \"gaps\": %" PRIu64
         ", \"duplicates\": %" PRIu64 ", \"back_jumps\": %" PRIu64 ", \"changed\": %" PRIu64 ", \"epochs\": %" PRIu64
         ", \"new_formats\": %" PRIu64 ", \"corrupt\": %" PRIu64 ", \"skipped\": %" PRIu64 ", \"reconnects\": %" PRIu64
         ", \"longest_interval_ms\": %.3f, \"longest_silence_ms\": %.3f, \"width\": %" PRIu32 ", \"height\": %" PRIu32
         ", \"end\": %d}\n",
         seen->frames, seen->first, seen->last, seen->gaps, seen->duplicates, seen->back_jumps, seen->changed,
         seen->epochs, seen->new_formats, seen->corrupt, stats->skipped, stats->reconnects,
         (double)seen->longest_interval / 1e6, (double)seen->longest_silence / 1e6, seen->width, seen->height, end);
}

int main(int argc, char **argv) {
  const struct option names[] = {
    { "ordered", no_argument, NULL, 'o' },        { "hold", required_argument, NULL, 'h' },
    { "duration", required_argument, NULL, 'd' }, { "frames", required_argument, NULL, 'f' },
    { "reconnect", no_argument, NULL, 'r' },      { "wait", no_argument, NULL, 'w' },
    { "pin", required_argument, NULL, 'p' },      { NULL, 0, NULL, 0 }
  };
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .label = "observer",
                                          .connect_timeout_ns = 60000000000 };
  cuframes_subscriber_stats stats = { .struct_size = sizeof stats };
  struct sigaction action = { .sa_handler = stop };
  observer_record seen = { 0 };
  double duration = 36000;
  uint64_t frames = UINT64_MAX;
  int hold_ms = 0, option;

  while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
    switch (option) {
      case 'o': options.mode = CUFRAMES_MODE_ORDERED; break;
      case 'h': hold_ms = atoi(optarg); break;
      case 'd': duration = atof(optarg); break;
      case 'f': frames = strtoull(optarg, NULL, 10); break;
      case 'w': options.connect_timeout_ns = INT64_C(36000000000000); break;
      case 'r': options.reconnect = 1; break;
      case 'p': options.leases = (uint32_t)atoi(optarg) % (PINNED_MOST + 1); break;
      default: return 2;
    }
  }
  if (optind + 1 != argc)
    return 2;
  if (cuframes_subscriber_create(argv[optind], &options, &subscriber) != CUFRAMES_OK) {
    fprintf(stderr, "observer: %s\n", cuframes_last_error());
    return 1;
  }
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  fprintf(stderr, "observer: joined\n");
  int end =
      options.leases ? pin(options.leases) : watch(&seen, hold_ms, frames, cuframes_now() + (int64_t)(duration * 1e9));
  (void)cuframes_subscriber_get_stats(subscriber, &stats); /* cannot fail with this size */
  report(&seen, &stats, end);
  action.sa_handler = SIG_IGN; /* the handler must not meet a destroyed subscriber */
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  cuframes_subscriber_destroy(subscriber);
  return 0;
}
