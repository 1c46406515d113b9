/* info.c - cuframes info: all there is to know of one stream and of who reads it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/reader.h"

static const char help[] =
    "usage: cuframes info NAME [OPTIONS]\n"
    "Shows one stream: its pictures, its memory, its packets, and each subscriber with the slots it "
    "holds.\n\n" READER_HELP_WAIT READER_HELP_BASIC
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

static void print_packets(const cuframes_stream_info *info) {
  static const char *const types[] = { "unknown", "video", "audio", "data" };
  char text[32], ring[32];
  if (!info->packet_slots) {
    printf("packets      none\n");
    return;
  }
  bytes_text(text, sizeof(text), info->packet_bytes);
  bytes_text(ring, sizeof(ring), info->packet_data_bytes);
  printf("packets      %" PRIu64 " (%s), ring of %u packets and %s\n", info->packets, text, info->packet_slots, ring);
  for (size_t i = 0; i < info->track_count; i++)
    printf("  stream %-3zu %s %s\n", i, types[info->tracks[i]->media_type <= 3 ? info->tracks[i]->media_type : 0],
           info->tracks[i]->codec);
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
    printf("%s%s\n", seat->packets ? " packets" : "", seat->evicted ? " EVICTED" : "");
  }
}

static void print_stream(const cuframes_stream_info *info) {
  char picture[FORMAT_TEXT], memory[32];
  format_text(picture, sizeof(picture), &info->format);
  bytes_text(memory, sizeof(memory), info->memory_bytes);
  printf("name         %s\n", info->name);
  if (*info->description)
    printf("source       %s\n", info->description);
  printf("publisher    process %d, device %s\n", info->pid, info->device);
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
  if (info->age_ns == CUFRAMES_NO_TIME)
    printf(", none yet\n");
  else
    printf(", newest %.1f ms ago\n", (double)info->age_ns / 1e6);
  printf("slots        %u of at most %u, %u pinned, in %u segment%s\n", info->slots, info->max_slots,
         info->slots_pinned, info->segments, info->segments == 1 ? "" : "s");
  printf("memory       %s, %s\n", memory, *info->memory ? info->memory : "unknown");
  printf("losses       %" PRIu64 " dropped, %" PRIu64 " evictions\n", info->dropped, info->evictions);
  print_packets(info);
  print_subscribers(info);
}

int cmd_info(int argc, char **argv) {
  static const struct option options[] = { READER_OPTIONS_BASIC, READER_OPTIONS_NAME, { 0 } };
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
  if (code)
    return code;
  cuframes_stream_info *info = NULL;
  code = reader_query(&reader, &info);
  if (code)
    return code;
  if (reader.json)
    code = cli_json_print(cli_json_stream(info, true), false);
  else
    print_stream(info);
  cuframes_stream_info_free(info);
  return code;
}
