/* list.c - cuframes list: every stream of the runtime directory, one line each. */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/reader.h"

static const char help[] =
    "usage: cuframes list [OPTIONS]\n"
    "Shows the streams of the runtime directory.\n\n" READER_HELP_BASIC
    "\nWith --json: an array of objects with name, width, height, format, chroma_location, field_order, orientation,\n"
    "sample_aspect, fps, device, subscribers, frames, packets, pid, description, age_ms; a tensor's have tensor. An "
    "entry that\n"
    "does not answer has its name and `error`. No stream at all is no error.\n";

static void print_table(const cuframes_streams *streams) {
  int width = 4, device = 8;
  for (size_t i = 0; i < streams->count; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    if ((int)strlen(entry->name) > width)
      width = (int)strlen(entry->name);
    if (entry->info && strlen(entry->info->device) > 8)
      device = DEVICE_COLUMNS;
  }
  printf("%-*s  %-20s %7s  %-*s %11s %10s %10s  %s\n", width, "NAME", "PICTURE", "FPS", device, "DEVICE", "SUBSCRIBERS",
         "FRAMES", "PACKETS", "SOURCE");
  for (size_t i = 0; i < streams->count; i++) {
    const cuframes_stream_entry *entry = streams->entries[i];
    const cuframes_stream_info *info = entry->info;
    char picture[FORMAT_TEXT];
    if (!info) {
      printf("%-*s  %s\n", width, entry->name, entry->detail ? entry->detail : "");
      continue;
    }
    format_text(picture, sizeof(picture), &info->format);
    printf("%-*s  %-20s %7.2f  %-*.*s %11zu %10llu %10llu  %s\n", width, info->name, picture, info->fps, device, device,
           info->device, info->subscriber_count, (unsigned long long)info->frames, (unsigned long long)info->packets,
           info->description);
  }
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
  static const struct option options[] = { READER_OPTIONS_BASIC, { 0 } };
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

  cuframes_streams *streams = NULL;
  int error = cuframes_stream_list(reader.directory, READER_QUERY_NS, &streams);
  if (error)
    return cli_failed(error, "list");
  int code = CLI_OK;
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
  cuframes_streams_free(streams);
  return code;
}
