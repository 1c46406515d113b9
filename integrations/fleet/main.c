/* main.c - the program cuframes-agent: its commands and options. */
#include <cuframes/cuframes.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "commands.h"
#include "say.h"

#define USAGE 2
#define PATIENCE_MS 5000

static const char help_text[] =
    "usage: cuframes-agent run [OPTIONS]\n"
    "       cuframes-agent put FILE | get [NAME] | rm NAME... | status [OPTIONS]\n"
    "\n"
    "Cameras of many machines: each runs an agent, and they share the cameras among them by a NATS server. What is "
    "run\n"
    "is one `cuframes publish` on each machine.\n"
    "\n"
    "  run            run this node's share, until SIGTERM; SIGUSR1 leaves the cameras running for the next agent\n"
    "  put FILE       add or change the cameras of a file as `cuframes publish --config` has it; -: standard input\n"
    "  get [NAME]     print them, passwords and all\n"
    "  rm NAME...     remove cameras\n"
    "  status         nodes, cameras, epochs and problems; exit code 5 if a camera has no place or is wrong\n"
    "\n"
    "Options:\n"
    "  --nats URL,...     servers (default: $NATS_URL, else nats://127.0.0.1:4222); tls://: with TLS\n"
    "  --credentials FILE JWT and seed, as nsc makes them\n"
    "  --ca FILE          certificates that the server's is checked with\n"
    "  --certificate FILE this client's own, with --key FILE\n"
    "  --key FILE         the key that belongs to it\n"
    "  --fleet NAME       what the buckets are called: NAME_cameras, NAME_leases, NAME_nodes (default: cuframes)\n"
    "  --ttl SECONDS      how long a lease lasts, for who makes the buckets (default: 12; 2 to 3600)\n"
    "  --replicas N       likewise: servers that keep them (default: 3 in a cluster, else 1)\n"
    "  --trust-cameras    cameras may name files, devices and users of this machine, and options of FFmpeg\n"
    "  --json             of status: as JSON\n"
    "  --help, --version\n"
    "\n"
    "Options of run:\n"
    "  --node NAME        this node (default: the host's name up to the first dot)\n"
    "  --cameras N        as many as it may have (default: 64)\n"
    "  --decoders N       of its GPU, for who looks (default: 0)\n"
    "  --label LABEL      what it has, for cameras that want it; may be repeated\n"
    "  --address URL      where its streams are to be had by others, such as https://node1.example:10817\n"
    "  --balance SECONDS  at most one camera in so long goes to an emptier node (default: 30; 0: none)\n"
    "  --dir DIR          runtime directory of the streams\n"
    "  --state DIR        what must outlive the agent (default: /var/lib/cuframes-agent)\n"
    "  --publisher PATH   the program cuframes (default: cuframes)\n";

enum {
  OPTION_FIRST = 256,
  NATS,
  CREDENTIALS,
  CA,
  CERTIFICATE,
  KEY,
  FLEET,
  TTL,
  REPLICAS,
  TRUST,
  JSON,
  NODE,
  CAMERAS,
  DECODERS,
  LABEL,
  ADDRESS,
  BALANCE,
  DIR,
  STATE,
  PUBLISHER,
  HELP,
  VERSION
};

static const struct option longs[] = {
  { "nats", required_argument, NULL, NATS },
  { "credentials", required_argument, NULL, CREDENTIALS },
  { "ca", required_argument, NULL, CA },
  { "certificate", required_argument, NULL, CERTIFICATE },
  { "key", required_argument, NULL, KEY },
  { "fleet", required_argument, NULL, FLEET },
  { "ttl", required_argument, NULL, TTL },
  { "replicas", required_argument, NULL, REPLICAS },
  { "trust-cameras", no_argument, NULL, TRUST },
  { "json", no_argument, NULL, JSON },
  { "node", required_argument, NULL, NODE },
  { "cameras", required_argument, NULL, CAMERAS },
  { "decoders", required_argument, NULL, DECODERS },
  { "label", required_argument, NULL, LABEL },
  { "address", required_argument, NULL, ADDRESS },
  { "balance", required_argument, NULL, BALANCE },
  { "dir", required_argument, NULL, DIR },
  { "state", required_argument, NULL, STATE },
  { "publisher", required_argument, NULL, PUBLISHER },
  { "help", no_argument, NULL, HELP },
  { "version", no_argument, NULL, VERSION },
  { NULL, 0, NULL, 0 },
};

typedef struct request {
  agent_options o;
  char host[CAMERA_NAME_MAX + 1];
  bool json;
} request;

static bool number(const char *text, double least, double most, double *value) {
  char *end;
  *value = strtod(text, &end);
  return end != text && *end == '\0' && *value >= least && *value <= most;
}

static bool set_text(request *r, int option, const char *text) {
  const char **to;
  switch (option) {
    case NATS: to = &r->o.bus.servers; break;
    case CREDENTIALS: to = &r->o.bus.credentials; break;
    case CA: to = &r->o.bus.ca; break;
    case CERTIFICATE: to = &r->o.bus.certificate; break;
    case KEY: to = &r->o.bus.key; break;
    case FLEET: to = &r->o.bus.fleet; break;
    case NODE: to = &r->o.node; break;
    case ADDRESS: to = &r->o.address; break;
    case DIR: to = &r->o.directory; break;
    case STATE: to = &r->o.state; break;
    case PUBLISHER: to = &r->o.publisher; break;
    default: return false;
  }
  *to = text;
  return true;
}

/* false: the value cannot be. */
static bool set(request *r, int option, const char *text) {
  double value = 0;
  if (set_text(r, option, text))
    return *text != '\0';
  switch (option) {
    case TTL:
      if (!number(text, 2, 3600, &value))
        return false;
      r->o.bus.ttl_ns = (int64_t)(value * 1e9);
      return true;
    case REPLICAS:
      if (!number(text, 1, 5, &value))
        return false;
      r->o.bus.replicas = (int)value;
      return true;
    case CAMERAS:
    case DECODERS:
      if (!number(text, 0, 100000, &value))
        return false;
      *(option == CAMERAS ? &r->o.cameras_most : &r->o.decoders) = (unsigned)value;
      return true;
    case BALANCE:
      if (!number(text, 0, 1e6, &value))
        return false;
      r->o.balance_ns = (int64_t)(value * 1e9);
      return true;
    case LABEL: return *text != '\0' && json_array_append_new(r->o.labels, json_string(text)) == 0;
    case TRUST: r->o.trusted = true; return true;
    case JSON: r->json = true; return true;
    default: return false;
  }
}

static void defaults(request *r) {
  const char *servers = getenv("NATS_URL");
  *r = (request){ .o = { .bus = { .servers = servers && *servers ? servers : "nats://127.0.0.1:4222",
                                  .fleet = "cuframes",
                                  .name = "cuframes-agent",
                                  .ttl_ns = 12 * SECOND },
                         .state = "/var/lib/cuframes-agent",
                         .publisher = "cuframes",
                         .labels = json_array(),
                         .cameras_most = 64,
                         .balance_ns = 30 * SECOND } };
  if (gethostname(r->host, sizeof r->host - 1) == 0)
    r->host[strcspn(r->host, ".")] = '\0';
  r->o.node = r->host;
}

static int usage(const char *message) {
  say("%s", message);
  fputs("See `cuframes-agent --help`.\n", stderr);
  return USAGE;
}

/* 0, or an exit code after a message; -1: all is done. */
static int parse(int argc, char **argv, request *r) {
  int option, index = 0;
  char message[300];
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":h", longs, &index)) != -1) {
    if (option == HELP || option == 'h') {
      fputs(help_text, stdout);
      return -1;
    }
    if (option == VERSION) {
      printf("cuframes-agent %s\n", cuframes_version());
      return -1;
    }
    if (option == '?' || option == ':') {
      snprintf(message, sizeof message, "%s: %.100s", option == '?' ? "no such option" : "it needs a value",
               argv[optind - 1]);
      return usage(message);
    }
    if (!set(r, option, optarg)) {
      snprintf(message, sizeof message, "--%s cannot be '%.100s'", longs[index].name, optarg ? optarg : "");
      return usage(message);
    }
  }
  if (!camera_name_is_valid(r->o.node))
    return usage("--node wants a name: letters, digits, and . _ - within");
  for (const char *at = r->o.bus.fleet; *at; at++)
    if (strchr(" .*>/\\$", *at) || strlen(r->o.bus.fleet) > 40)
      return usage("--fleet wants a short name without dots, blanks and wildcards");
  if (!r->o.bus.certificate != !r->o.bus.key)
    return usage("--certificate and --key belong together");
  r->o.bus.wait_ms = r->o.bus.ttl_ns / 6 / 1000000;
  r->o.bus.wait_ms = r->o.bus.wait_ms < 1000 ? 1000 : r->o.bus.wait_ms > 2000 ? 2000 : r->o.bus.wait_ms;
  return 0;
}

/* Commands are for people: they wait for the server a little, and then say what is wrong. */
static bus *connect_now(const request *r) {
  bus *b = bus_open(&r->o.bus);
  for (int waited = 0; b && waited < PATIENCE_MS; waited += 50) {
    if (bus_is_there(b))
      return b;
    if (bus_is_refused(b))
      break;
    (void)poll(NULL, 0, 50);
  }
  if (b)
    say("%s", bus_error(b));
  bus_close(b);
  return NULL;
}

static int run_command(const request *r, const char *command, char **arguments, int count) {
  const bool puts_file = strcmp(command, "put") == 0, gets = strcmp(command, "get") == 0;
  const bool removes = strcmp(command, "rm") == 0, shows = strcmp(command, "status") == 0;
  if (!puts_file && !gets && !removes && !shows)
    return usage("the commands are run, put, get, rm and status");
  if ((puts_file && count != 1) || (gets && count > 1) || (removes && count < 1) || (shows && count > 0))
    return usage(puts_file ? "put wants one FILE"
                 : removes ? "rm wants NAMEs"
                 : gets    ? "get wants one NAME, or none"
                           : "status wants no arguments");
  bus *b = connect_now(r);
  if (b == NULL)
    return 1;
  const int code = puts_file ? command_put(b, arguments[0], r->o.trusted)
                   : gets    ? command_get(b, count ? arguments[0] : NULL)
                   : removes ? command_rm(b, arguments, count)
                             : command_status(b, r->json);
  bus_close(b);
  return fflush(stdout) == 0 ? code : 1;
}

int main(int argc, char **argv) {
  request r;
  defaults(&r);
  int code = parse(argc, argv, &r);
  if (code == 0) {
    const int count = argc - optind;
    if (count == 0)
      code = usage("the COMMAND is missing");
    else if (strcmp(argv[optind], "run") == 0)
      code = count == 1 ? agent_run(&r.o) : usage("run wants no arguments");
    else
      code = run_command(&r, argv[optind], argv + optind + 1, count - 1);
  }
  json_decref(r.o.labels);
  return code < 0 ? 0 : code;
}
