/* wall.c - cuframes wall: all streams of this machine in a browser, and as files for other programs. */
#include <malloc.h>
#include <stdio.h>

#include "common/cli.h"
#include "common/cli_avlog.h"
#include "common/reader.h"
#include "http/options.h"
#include "wall.h"

#define POLICY                                                                                                         \
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "      \
  "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

static const char help[] =
    "usage: cuframes wall [NAME...] [OPTIONS]\n"
    "All streams of this machine in a browser, or these: the packets are sent as they are, and nothing is encoded. A\n"
    "stream without packets that a browser could play is shown as a JPEG a second. docs/wall.md says what browsers "
    "can,\n"
    "and how to let others look.\n\n"
    "  --listen ADDRESS:PORT  serve there (default " WALL_DEFAULT
    ", or the socket that a service manager hands over);\n"
    "                     :PORT is every address, and port 0 any that is free\n" HTTP_HELP HTTP_HELP_OPEN
    "  --clients N        so many connections at the same time (default 256, which is the most)\n"
    "  --dir DIR          runtime directory (default: $CUFRAMES_DIR, /run/cuframes, ...)\n"
    "  --help             this text\n"
    "\nFor other programs: /NAME.ts and /NAME.mp4 (?audio=none), /NAME.jpg (?width=), /NAME.mjpeg (?width=, ?fps=) "
    "and\n"
    "/streams.json.\n";

static int parse(int argc, char **argv, wall_options *options) {
  enum { CLIENTS = READER_OWN, SERVE };
  static const struct option long_options[] = { { "help", no_argument, NULL, READER_HELP },
                                                { "dir", required_argument, NULL, READER_DIR },
                                                HTTP_OPTIONS(SERVE),
                                                HTTP_OPTION_OPEN(SERVE),
                                                { "clients", required_argument, NULL, CLIENTS },
                                                { 0 } };
  int option, code = CLI_OK;
  uint32_t clients;
  while (!code && (option = cli_getopt(argc, argv, ":h", long_options, NULL)) != -1) {
    switch (option) {
      case 'h':
      case READER_HELP: fputs(help, stdout); return -1;
      case READER_DIR: options->directory = optarg; break;
      case CLIENTS:
        if (cli_parse_unsigned(optarg, 1, HTTP_CLIENTS_MAX, &clients))
          options->http.clients_max = clients;
        else
          code = cli_usage("--clients is a number from 1 to %d, not '%s'", HTTP_CLIENTS_MAX, optarg);
        break;
      default:
        code =
            option >= SERVE ? http_option_take(option - SERVE, optarg, &options->http) : cli_bad_option(option, argv);
    }
  }
  return code ? code : http_options_check(&options->http);
}

/* A name that cannot be one is a mistake; one that is not there may come. */
static int check_names(const wall_options *options) {
  for (size_t i = 0; i < options->name_count; i++) {
    cuframes_stream_info *info = NULL;
    const int error = cuframes_stream_query(options->directory, options->names[i], 0, &info);
    cuframes_stream_info_free(info);
    if (error == CUFRAMES_ERR_NAME)
      return cli_failed(error, "NAME");
  }
  return CLI_OK;
}

/* Threads for feeds and pictures come and go with those who look. A sample is made by one and given back by another.
 * With a heap for each of them the C library kept twice as much free memory as is in use. */
static void share_one_heap(void) {
#ifdef M_ARENA_MAX
  (void)mallopt(M_ARENA_MAX, 1);
#endif
}

int cmd_wall(int argc, char **argv) {
  wall_options options = { .http = { .by_default = WALL_DEFAULT, .is_private = true, .policy = POLICY } };
  int code = parse(argc, argv, &options);
  if (code)
    return code < 0 ? CLI_OK : code;
  options.names = argv + optind;
  options.name_count = (size_t)(argc - optind);
  code = check_names(&options);
  if (code)
    return code;
  cli_avlog_install();
  cli_avlog_hold(true); /* what a stream's packets are like is no news, for each who looks anew */
  cli_catch_signals();
  share_one_heap();
  return wall_serve(&options);
}
