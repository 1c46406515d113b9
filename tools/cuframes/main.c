/* main.c - the program `cuframes`: finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "common/cli.h"
#include "common/secrets.h"
#include "common/suggest.h"

typedef struct cli_command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *summary;
} cli_command;

static const cli_command commands[] = {
  { "publish", cmd_publish, "decode files, cameras or a test picture into streams" },
  { "list", cmd_list, "the streams of this machine" },
  { "info", cmd_info, "everything about one stream and who reads it" },
  { "top", cmd_top, "live view of all streams and their subscribers" },
  { "snapshot", cmd_snapshot, "a picture of a stream as PNG, JPEG or raw" },
  { "record", cmd_record, "the packets of a stream into MP4, MKV or TS, without encoding" },
  { "pipe", cmd_pipe, "pictures or packets into a pipe, for FFmpeg, GStreamer, OpenCV, Frigate" },
  { "grid", cmd_grid, "many streams as one picture, published as a stream: a wall of cameras" },
  { "wall", cmd_wall, "all streams in a browser, live, without encoding anything" },
  { "verify", cmd_verify, "prove a stream: gaps, duplicates, torn pictures, latency" },
  { "doctor", cmd_doctor, "find why sharing does not work, and what mends it" },
  { "metrics", cmd_metrics, "the numbers of streams for Prometheus" },
};
static const size_t command_count = sizeof commands / sizeof *commands;

/* What the program does besides, as words and as options; with and without dashes they mean the same. */
static const char *const own_words[] = { "help", "version", NULL };

static void print_help(FILE *to) {
  fputs("usage: cuframes COMMAND [ARGUMENTS]\n\n"
        "Video frames and packets shared between processes: decoded once, copied never.\n\nCommands:\n",
        to);
  for (size_t i = 0; i < command_count; i++)
    fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
  fputs("  help       this text; with a COMMAND its options, as COMMAND --help\n"
        "  version    the version, as --version\n\n"
        "Example, in two terminals:\n"
        "  cuframes publish test:1280x720@30 --name test\n"
        "  cuframes snapshot test now.png\n\n"
        "Exit codes: 0 done, 1 failed, 2 usage, 3 no such stream, 4 timeout, 5 not live (--check).\n",
        to);
}

static const cli_command *find_command(const char *name) {
  for (size_t i = 0; i < command_count; i++)
    if (strcmp(name, commands[i].name) == 0)
      return &commands[i];
  return NULL;
}

static int unknown_command(const char *name) {
  suggestion guess = { .typed = name };
  for (size_t i = 0; i < command_count; i++)
    suggest_offer(&guess, commands[i].name);
  for (size_t i = 0; own_words[i]; i++)
    suggest_offer(&guess, own_words[i]);
  return cli_usage("unknown command \"%s\"%s", name, suggest_text("", guess.best).text);
}

/* An option where a command should stand: often one that belongs behind the command that follows. */
static int misplaced_option(int argc, char **argv) {
  const cli_command *command = NULL;
  int at = 2;
  for (; at < argc && !command; at++)
    command = find_command(argv[at]);
  if (!command) {
    const char *word = argv[1] + strspn(argv[1], "-");
    return cli_usage("unknown option %s%s", argv[1], suggest_text("--", suggest_from(word, own_words)).text);
  }
  char right[512];
  int used = snprintf(right, sizeof right, "cuframes %s", command->name);
  for (int i = 1; i < argc && used < (int)sizeof right; i++)
    if (i != at - 1)
      used += snprintf(right + used, sizeof right - (size_t)used, " %s", argv[i]);
  return cli_usage("%s stands before the command; options stand behind it: %s", argv[1], right);
}

static int run_command(int argc, char **argv) {
  const cli_command *command = find_command(argv[0]);
  if (!command)
    return unknown_command(argv[0]);
  cli_set_command(command->name);
  return command->run(argc, argv);
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c) {
  return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

static int help(int argc, char **argv) {
  char option[] = "--help";
  if (argc > 3)
    return cli_usage("help takes one COMMAND: unexpected argument '%s'", argv[3]);
  if (argc == 3 && !is_one_of(argv[2], own_words[0], own_words[1], "--help")) {
    char *arguments[] = { argv[2], option, NULL };
    return run_command(2, arguments);
  }
  print_help(stdout);
  return CLI_OK;
}

static int run(int argc, char **argv) {
  if (argc < 2) {
    print_help(stderr);
    cli_error("the COMMAND is missing");
    return CLI_USAGE;
  }
  if (is_one_of(argv[1], "help", "--help", "-h"))
    return help(argc, argv);
  if (is_one_of(argv[1], "version", "--version", "-V")) {
    if (argc == 3 && is_one_of(argv[2], "help", "--help", "-h")) {
      print_help(stdout);
      return CLI_OK;
    }
    if (argc > 2)
      return cli_usage("%s takes no arguments: unexpected argument '%s'", argv[1], argv[2]);
    printf("cuframes %s\n", cuframes_version());
    return CLI_OK;
  }
  return argv[1][0] == '-' ? misplaced_option(argc, argv) : run_command(argc - 1, argv + 1);
}

int main(int argc, char **argv) {
  cli_output_begin();
  for (int i = 1; i < argc; i++)
    if (strstr(argv[i], "://"))
      secrets_learn(argv[i]); /* before anything is said of it */
  return cli_output_end(run(argc, argv));
}
