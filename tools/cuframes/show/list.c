/* list.c - cuframes list: every stream of the runtime directory, one line each. */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/reader.h"
#include "common/secrets.h"
#include "common/stream_state.h"

static const char help[] =
    "usage: cuframes list [OPTIONS]\n"
    "Shows the streams of the runtime directory.\n\n"
    "  --check            exit code 5 if one of them is not live, 3 if there is none\n"
    "  --max-age SECONDS  with --check: the newest picture may be so old (default: any age; 5 where the publisher "
    "does\n"
    "                     not say whether its source is live)\n" READER_HELP_BASIC
    "\nWith --json: an array of objects with name, width, height, format, chroma_location, field_order, orientation,\n"
    "sample_aspect, fps, device, subscribers, frames, packets, pid, description, age_ms, state, state_since,\n"
    "state_reason, next_attempt, last_picture; a tensor's have tensor. An entry that does not answer has its name and\n"
    "`error`. No stream at all is no error.\n";

#define STATE_COLUMNS 48

/* The width of what a column has in it. */
static int widest(int width, const char *text, int most) {
  const int length = (int)strlen(text);
  return length > most ? most : length > width ? length : width;
}

/* A state's column: what is too long for it ends in "...". */
static void state_column(char *text, size_t size, const cuframes_source_info *source) {
  if (source->state == CUFRAMES_SOURCE_UNKNOWN)
    snprintf(text, size, "-");
  else
    state_text(text, size, source);
  if (strlen(text) <= STATE_COLUMNS)
    return;
  size_t end = STATE_COLUMNS - 3;
  while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
    end--; /* not within a character */
  snprintf(text + end, size - end, "...");
}

static void print_table(const cuframes_streams *streams) {
  int width = 4, device = 8, state = 5;
  char text[STATE_TEXT];
  for (size_t i = 0; i < streams->count; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    width = widest(width, entry->name, CUFRAMES_NAME_MAX);
    if (!entry->info)
      continue;
    device = strlen(entry->info->device) > 8 ? DEVICE_COLUMNS : device;
    state_column(text, sizeof(text), entry->info->source);
    state = widest(state, text, STATE_COLUMNS);
  }
  printf("%-*s  %-20s %7s  %-*s  %-*s %11s %10s %10s  %s\n", width, "NAME", "PICTURE", "FPS", state, "STATE", device,
         "DEVICE", "SUBSCRIBERS", "FRAMES", "PACKETS", "SOURCE");
  for (size_t i = 0; i < streams->count; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    const cuframes_stream_info *info = entry->info;
    char picture[FORMAT_TEXT], source[SOURCE_TEXT];
    if (!info) {
      printf("%-*s  %s\n", width, entry->name, entry->detail ? entry->detail : "");
      continue;
    }
    picture_text(picture, sizeof(picture), info);
    state_column(text, sizeof(text), info->source);
    secrets_hide(source, sizeof(source), info->description); /* not every publisher takes care */
    printf("%-*s  %-20s %7.2f  %-*s  %-*.*s %11zu %10llu %10llu  %s\n", width, info->name, picture, info->fps, state,
           text, device, device, info->device, info->subscriber_count, (unsigned long long)info->frames,
           (unsigned long long)info->packets, source);
  }
}

/* --check of what was shown. Gives the exit code. */
static int check(const cuframes_streams *streams, int64_t max_age_ns) {
  char why[STATE_TEXT];
  for (size_t i = 0; i < streams->count; i++) {
    const cuframes_stream_info *info = streams->entries[i]->info;
    if (!info || !state_is_live(info, max_age_ns, why, sizeof(why)))
      return CLI_NOT_LIVE;
  }
  return streams->count ? CLI_OK : CLI_NO_STREAM;
}

static json_t *streams_json(const cuframes_streams *streams) {
  json_t *array = json_array();
  for (size_t i = 0; i < streams->count; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    json_t *object;
    if (entry->info) {
      object = cli_json_stream(entry->info, false);
    } else {
      object = json_object();
      json_object_set_new(object, "name", cli_json_text(entry->name));
      json_object_set_new(object, "error",
                          cli_json_text(entry->detail ? entry->detail : cuframes_strerror(entry->error)));
    }
    json_array_append_new(array, object);
  }
  return array;
}

int cmd_list(int argc, char **argv) {
  static const struct option options[] = { READER_OPTIONS_BASIC, READER_OPTIONS_CHECK, { 0 } };
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
  if (optind < argc)
    return cli_usage("list takes no NAME: `cuframes info %s` shows one stream", argv[optind]);

  int code = reader_check_options(&reader);
  if (code)
    return code;
  cuframes_streams *streams = NULL;
  int error = cuframes_stream_list(reader.directory, READER_QUERY_NS, &streams);
  if (error) {
    cli_doctor_knows(error, NULL, reader.directory, NULL);
    return cli_failed(error, "looking for streams");
  }
  if (reader.json) {
    code = cli_json_print(streams_json(streams), false);
  } else if (streams->count) {
    print_table(streams);
  } else {
    char directory[4096] = "";
    if (!reader.directory)
      (void)cuframes_directory_find(directory, sizeof(directory)); /* only for the message */
    cli_note("no streams in %s; 'cuframes publish' starts one", reader.directory ? reader.directory : directory);
  }
  if (reader.check && !code)
    code = check(streams, reader.max_age_ns);
  cuframes_streams_free(streams);
  return code;
}
