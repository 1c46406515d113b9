/* info.c - cuframes info: all there is to know of one stream and of who reads it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/reader.h"
#include "common/secrets.h"
#include "common/stream_state.h"

static const char help[] =
    "usage: cuframes info NAME [OPTIONS]\n"
    "Shows one stream: its pictures, its memory, its packets, and each subscriber with the slots it "
    "holds.\n\n"
    "  --check            one line: `live`, or `not live: ` and why; the exit code is 5 then\n"
    "  --max-age SECONDS  with --check: the newest picture may be so old (default: any age; 5 where the publisher "
    "does\n"
    "                     not say whether its source is live)\n" READER_HELP_WAIT READER_HELP_BASIC
    "\nWith --json: the keys of list, and slots, max_slots, slots_pinned, segments, memory, memory_bytes, dropped,\n"
    "evictions, packet_bytes, packet_slots, packet_data_bytes, color, sync_modes, tracks, subscriber_list.\n";

static void print_color(const cuframes_color *color) {
  static const char *const ranges[] = { "not said", "limited", "full" };
  if (!color->matrix && !color->range && !color->primaries && !color->transfer)
    printf("color        not said\n");
  else
    printf("color        matrix %u, range %s, primaries %u, transfer %u (H.273)\n", color->matrix,
           color->range < 3 ? ranges[color->range] : "unknown", color->primaries, color->transfer);
}

/* Only what is said. */
static void print_words(const cuframes_format *format) {
  static const char *const turns[] = { "",
                                       "upright",
                                       "left and right swapped",
                                       "turn by 180 degrees",
                                       "top and bottom swapped",
                                       "rows and columns swapped",
                                       "turn by 90 degrees clockwise",
                                       "turn by 180 degrees, rows and columns swapped",
                                       "turn by 270 degrees clockwise" };
  if (chroma_text(format->chroma_location))
    printf("chroma       %s\n", chroma_text(format->chroma_location));
  if (fields_text(format->field_order))
    printf("fields       %s\n", fields_text(format->field_order));
  if (format->orientation && format->orientation <= CUFRAMES_ORIENTATION_LEFT_BOTTOM)
    printf("orientation  %u: %s\n", format->orientation, turns[format->orientation]);
  if (format->sample_aspect_den)
    printf("pixels       %u:%u\n", format->sample_aspect_num, format->sample_aspect_den);
}

static void print_state(const cuframes_source_info *source) {
  char since[MOMENT_TEXT], span[SPAN_TEXT];
  const int64_t now = cuframes_now();
  if (source->state == CUFRAMES_SOURCE_UNKNOWN) {
    printf("state        not said\n");
    return;
  }
  moment_text(since, sizeof(since), source->since);
  span_text(span, sizeof(span), now - source->since);
  printf("state        %s since %s (%s)%s%s", state_name(source), since, span, *source->reason ? ": " : "",
         source->reason);
  if (source->next_attempt > now)
    printf("; next attempt in %.1f s", (double)(source->next_attempt - now) / 1e9);
  else if (source->next_attempt)
    printf("; being tried now");
  printf("\n");
}

static void print_age(int64_t age_ns) {
  char moment[MOMENT_TEXT];
  if (age_ns == CUFRAMES_NO_TIME) {
    printf(", none yet\n");
    return;
  }
  moment_text(moment, sizeof(moment), cuframes_now() - age_ns);
  printf(", newest %.1f ms ago, %s\n", (double)age_ns / 1e6, moment);
}

static void print_track(size_t number, const cuframes_track_info *track) {
  static const char *const types[] = { "unknown", "video", "audio", "data" };
  printf("  stream %-3zu %s %s", number, types[track->media_type <= 3 ? track->media_type : 0], track->codec);
  if (track->bit_rate)
    printf(", %.0f kbit/s", (double)track->bit_rate / 1e3);
  if (track->keyframe_interval_ns)
    printf(", keyframe after %.2f s (%u frames), at most %.2f s (%u)", (double)track->keyframe_interval_ns / 1e9,
           track->keyframe_interval_frames, (double)track->keyframe_longest_ns / 1e9, track->keyframe_longest_frames);
  if (track->keyframe_age_ns != CUFRAMES_NO_TIME)
    printf(", newest %.1f s ago", (double)track->keyframe_age_ns / 1e9);
  else if (track->media_type == CUFRAMES_MEDIA_VIDEO && track->packets > 0)
    printf(", no keyframe yet");
  printf("\n");
}

static void print_packets(const cuframes_stream_info *info) {
  char text[32], ring[32];
  if (!info->packet_slots) {
    printf("packets      none\n");
    return;
  }
  bytes_text(text, sizeof(text), info->packet_bytes);
  bytes_text(ring, sizeof(ring), info->packet_data_bytes);
  printf("packets      %" PRIu64 " (%s), ring of %u packets and %s\n", info->packets, text, info->packet_slots, ring);
  for (size_t i = 0; i < info->track_count; i++)
    print_track(i, info->tracks[i]);
}

static void print_subscribers(const cuframes_stream_info *info) {
  printf("subscribers  %zu\n", info->subscriber_count);
  if (!info->subscriber_count)
    return;
  printf("  %-20s %8s %6s %-8s %-12s %-8s %6s %10s %10s  %s\n", "LABEL", "PID", "UID", "MODE", "SYNC", "LEASES", "LAG",
         "DELIVERED", "SKIPPED", "SLOTS HELD");
  for (size_t i = 0; i < info->subscriber_count; i++) {
    const cuframes_subscriber_info *seat = info->subscribers[i];
    char leases[24];
    snprintf(leases, sizeof(leases), "%u/%u", seat->leases_held, seat->leases);
    printf("  %-20.20s %8d %6u %-8s %-12s %-8s %6" PRIu64 " %10" PRIu64 " %10" PRIu64 "  ", seat->label, seat->pid,
           seat->uid, mode_text(seat->mode), seat->sync_mode, leases, seat->lag, seat->delivered, seat->skipped);
    for (uint32_t k = 0; k < seat->leases_held; k++)
      printf("%s%u", k ? "," : "", seat->held_slots[k]);
    if (seat->mode == CUFRAMES_MODE_ORDERED)
      printf(" depth %u", seat->depth);
    if (*seat->sync_mode && strcmp(seat->sync_mode, sync_asked_text(seat)) != 0)
      printf(" (asked for %s)", sync_asked_text(seat));
    printf("%s", seat->packets ? " packets" : "");
    if (seat->packets_lost)
      printf(" (%" PRIu64 " lost)", seat->packets_lost);
    printf("%s\n", seat->evicted ? " EVICTED" : "");
  }
}

static void print_stream(const cuframes_stream_info *info) {
  char picture[FORMAT_TEXT], memory[32], source[SOURCE_TEXT];
  secrets_hide(source, sizeof(source), info->description); /* not every publisher takes care */
  picture_text(picture, sizeof(picture), info);
  bytes_text(memory, sizeof(memory), info->memory_bytes);
  printf("name         %s\n", info->name);
  if (*info->description)
    printf("source       %s\n", source);
  printf("publisher    process %d, device %s\n", info->pid, info->device);
  print_state(info->source);
  printf("picture      %s\n", picture);
  if (!has_pictures(&info->format)) {
    printf("memory       %s\n", memory);
    print_packets(info);
    print_subscribers(info);
    return;
  }
  print_color(&info->format.color);
  print_words(&info->format);
  printf("frames       %" PRIu64 ", %.2f per second", info->frames, info->fps);
  print_age(info->age_ns);
  printf("slots        %u of at most %u, %u pinned, in %u segment%s\n", info->slots, info->max_slots,
         info->slots_pinned, info->segments, info->segments == 1 ? "" : "s");
  printf("memory       %s, %s\n", memory, *info->memory ? info->memory : "unknown");
  printf("losses       %" PRIu64 " dropped, %" PRIu64 " evictions\n", info->dropped, info->evictions);
  print_packets(info);
  print_subscribers(info);
}

/* --check. Gives the exit code. */
static int check(const reader_config *reader, const cuframes_stream_info *info) {
  char why[STATE_TEXT];
  const bool live = state_is_live(info, reader->max_age_ns, why, sizeof(why));
  int code = live ? CLI_OK : CLI_NOT_LIVE;
  if (!reader->json)
    printf("%s%s\n", live ? "live" : "not live: ", live ? "" : why);
  else if (cli_json_print(cli_json_stream(info, true), false) != CLI_OK)
    code = CLI_FAILED;
  return code;
}

int cmd_info(int argc, char **argv) {
  static const struct option options[] = { READER_OPTIONS_BASIC, READER_OPTIONS_NAME, READER_OPTIONS_CHECK, { 0 } };
  reader_config reader = { 0 };
  int option;
  while ((option = cli_getopt(argc, argv, ":h", options, NULL)) != -1) {
    if (option == READER_HELP || option == 'h') {
      fputs(help, stdout);
      return CLI_OK;
    }
    int code = reader_option(&reader, option, argv, argc);
    if (code)
      return code;
  }
  int code = reader_take_name(&reader, argc, argv, NULL);
  if (!code)
    code = reader_check_options(&reader);
  if (code)
    return code;
  cuframes_stream_info *info = NULL;
  code = reader_query(&reader, &info);
  if (code)
    return code;
  if (reader.check)
    code = check(&reader, info);
  else if (reader.json)
    code = cli_json_print(cli_json_stream(info, true), false);
  else
    print_stream(info);
  cuframes_stream_info_free(info);
  return code;
}
