/* main.c - the program `cuframes`: finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *summary;
};

static const struct command commands[] = {
  { "publish", cmd_publish, "decode files, cameras or a test picture into streams" },
  { "list", cmd_list, "the streams of this machine" },
  { "info", cmd_info, "everything about one stream and who reads it" },
  { "top", cmd_top, "live view of all streams and their subscribers" },
  { "snapshot", cmd_snapshot, "a picture of a stream as PNG, JPEG or raw" },
  { "record", cmd_record, "the packets of a stream into MP4, MKV or TS, without encoding" },
  { "verify", cmd_verify, "prove a stream: gaps, duplicates, torn pictures, latency" },
};

static void print_help(FILE *to) {
  fputs("Usage: cuframes COMMAND [ARGUMENTS]\n\n"
        "Video frames and packets shared between processes: decoded once, copied never.\n\nCommands:\n",
        to);
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
  }
  fputs("\n`cuframes COMMAND --help` says more. --version gives the version.\n"
        "Exit codes: 0 ok, 1 failed, 2 usage, 3 no such stream, 4 timeout.\n",
        to);
}

static int run_command(int argc, char **argv) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(argv[0], commands[i].name) == 0) {
      cli_set_command(commands[i].name);
      return commands[i].run(argc, argv);
    }
  }
  return cli_usage("there is no command \"%s\"", argv[0]);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    print_help(stderr);
    return CLI_USAGE;
  }
  const char *first = argv[1];
  if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
    if (argc > 2) {
      char help[] = "--help";
      char *arguments[] = { argv[2], help, NULL };
      return run_command(2, arguments);
    }
    print_help(stdout);
  } else if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
    printf("cuframes %s\n", cuframes_version());
  } else {
    return run_command(argc - 1, argv + 1);
  }
  return CLI_OK;
}
