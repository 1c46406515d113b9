/* metrics.c - cuframes metrics: the numbers of streams for Prometheus, over HTTP, printed, or as a file for
 * node_exporter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect.h"
#include "common/cli.h"
#include "common/reader.h"
#include "http/options.h"
#include "looker.h"
#include "serve.h"
#include "textfile.h"

#define TIMEOUT_NS INT64_C(1000000000)
#define INTERVAL_NS (15 * INT64_C(1000000000))

static const char help[] =
    "usage: cuframes metrics [NAME...] [--listen ADDRESS:PORT]\n"
    "       cuframes metrics [NAME...] --textfile FILE [--interval SECONDS]\n"
    "       cuframes metrics [NAME...] --once\n"
    "The numbers of all streams, or of these, as Prometheus reads them. Nobody joins a stream for that: publishers "
    "are\n"
    "asked, and one that does not answer costs the others nothing. docs/metrics.md says what each number means.\n\n"
    "  --listen ADDRESS:PORT  serve them over HTTP there, at /metrics (default " SERVE_DEFAULT
    ", or the socket that a\n"
    "                     service manager hands over); :PORT is every address, and port 0 any that is free\n" HTTP_HELP
    "  --once             print them once; with --textfile, write that once\n"
    "  --textfile FILE    a file for node_exporter's textfile collector, written anew each time and then renamed, so\n"
    "                     that nobody reads half of it; removed at the end. Its name must end in .prom there\n"
    "  --interval SECONDS from one writing to the next (default 15)\n"
    "  --timeout SECONDS  how long streams have to answer, all together (default 1)\n"
    "  --dir DIR          runtime directory (default: $CUFRAMES_DIR, /run/cuframes, ...)\n"
    "  --help             this text\n";

typedef struct metrics_options {
  collector from;
  const char *textfile;
  http_options http;
  int64_t interval_ns;
  bool once, has_interval;
} metrics_options;

static int print_once(metrics_options *options) {
  exposition out = { 0 };
  int code = CLI_OK;
  if (collect(&options->from, &out))
    fwrite(out.text, 1, out.length, stdout);
  else
    code = reader_no_memory();
  if (options->from.directory_failed)
    code = CLI_FAILED; /* what there is was printed; a stream that does not answer is a number like others */
  exposition_free(&out);
  return code;
}

/* Writes a look into the file. False, and in `why` the reason, if it did not get there. */
static bool write_look(const metrics_options *options, exposition *found, char *why, size_t size) {
  bool done = !found->failed;
  if (done)
    done = textfile_write(options->textfile, found->text, found->length, why, size);
  else
    snprintf(why, size, "out of memory");
  exposition_free(found);
  return done;
}

static int write_once(metrics_options *options) {
  char why[1024];
  exposition found = { 0 };
  found.failed = !collect(&options->from, &found);
  if (write_look(options, &found, why, sizeof why))
    return CLI_OK;
  cli_error("%s", why);
  return CLI_FAILED;
}

/* A disk that is full at the start is a mistake; one that becomes so is said, and tried again. */
static int write_on(const metrics_options *options, looker *asked) {
  char why[1024];
  exposition found;
  bool written = true;
  for (int64_t due = cuframes_now(), looks = 0;; looks++) {
    looker_ask(asked);
    if (!looker_wait(asked, &found))
      break;
    const bool was = written;
    written = write_look(options, &found, why, sizeof why);
    if (!written && looks == 0) {
      cli_error("%s", why);
      return CLI_FAILED;
    }
    if (was && !written)
      cli_error("%s; it is tried again every %.3g s", why, (double)options->interval_ns / 1e9);
    else if (!was && written)
      cli_note("%s is written again", options->textfile);
    due += options->interval_ns;
    if (due < cuframes_now())
      due = cuframes_now(); /* it took longer, or the process was stopped */
    if (!reader_pause(due))
      break;
  }
  textfile_remove(options->textfile);
  return written ? CLI_OK : CLI_FAILED;
}

static int write_file(const metrics_options *options) {
  looker *asked = looker_start(&options->from, NULL, NULL);
  if (!asked)
    return CLI_FAILED;
  const int code = write_on(options, asked);
  looker_end(asked);
  return code;
}

static int parse(int argc, char **argv, metrics_options *options) {
  enum { ONCE = READER_OWN, TEXTFILE, INTERVAL, TIMEOUT, SERVE };
  static const struct option long_options[] = { { "help", no_argument, NULL, READER_HELP },
                                                { "dir", required_argument, NULL, READER_DIR },
                                                { "once", no_argument, NULL, ONCE },
                                                HTTP_OPTIONS(SERVE),
                                                { "textfile", required_argument, NULL, TEXTFILE },
                                                { "interval", required_argument, NULL, INTERVAL },
                                                { "timeout", required_argument, NULL, TIMEOUT },
                                                { 0 } };
  int option, code = CLI_OK;
  while (!code && (option = cli_getopt(argc, argv, ":h", long_options, NULL)) != -1) {
    switch (option) {
      case 'h':
      case READER_HELP: fputs(help, stdout); return -1;
      case READER_DIR: options->from.directory = optarg; break;
      case ONCE: options->once = true; break;
      case TEXTFILE: options->textfile = optarg; break;
      case INTERVAL:
        options->has_interval = true;
        code = cli_take_seconds("interval", optarg, &options->interval_ns);
        break;
      case TIMEOUT: code = cli_take_seconds("timeout", optarg, &options->from.timeout_ns); break;
      default:
        code =
            option >= SERVE ? http_option_take(option - SERVE, optarg, &options->http) : cli_bad_option(option, argv);
    }
  }
  return code;
}

static int check_options(const metrics_options *options) {
  const size_t length = options->textfile ? strlen(options->textfile) : 0;
  const char *serves = http_options_given(&options->http);
  if (serves && (options->textfile || options->once))
    return cli_usage("%s serves the numbers, and --textfile and --once do not: each has a process of its own", serves);
  if (options->has_interval && (options->once || !options->textfile))
    return cli_usage("--interval goes with --textfile alone, and not with --once");
  if (options->textfile && (length == 0 || options->textfile[length - 1] == '/'))
    return cli_usage("--textfile takes the name of a file, not '%s'", options->textfile);
  if (options->textfile && (length < 5 || strcmp(options->textfile + length - 5, ".prom") != 0))
    cli_note("node_exporter reads only files whose names end in .prom, not %s", options->textfile);
  return http_options_check(&options->http);
}

/* A name that cannot be one is a mistake; one that is not there is a stream that is down. */
static int check_names(const metrics_options *options) {
  for (size_t i = 0; i < options->from.name_count; i++) {
    cuframes_stream_info *info = NULL;
    const int error = cuframes_stream_query(options->from.directory, options->from.names[i], 0, &info);
    cuframes_stream_info_free(info);
    if (error == CUFRAMES_ERR_NAME)
      return cli_failed(error, "NAME");
  }
  return CLI_OK;
}

int cmd_metrics(int argc, char **argv) {
  metrics_options options = { .interval_ns = INTERVAL_NS, .from = { .timeout_ns = TIMEOUT_NS } };
  int code = parse(argc, argv, &options);
  if (code)
    return code < 0 ? CLI_OK : code;
  options.from.names = argv + optind;
  options.from.name_count = (size_t)(argc - optind);
  options.from.started = cuframes_now();
  code = check_options(&options);
  if (!code)
    code = check_names(&options);
  if (code)
    return code;
  if (options.once) { /* which a signal may end as it likes */
    code = options.textfile ? write_once(&options) : print_once(&options);
    collector_free(&options.from);
    return code;
  }
  cli_catch_signals();
  return options.textfile ? write_file(&options) : metrics_serve(&options.from, &options.http);
}
