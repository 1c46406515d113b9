/* publish_options.c - the options of `cuframes publish`: their names, their values, the command line. */
#include "publish_options.h"

#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/suggest.h"
#include "pattern/test_spec.h"
#include "publish_address.h"

enum option_number {
  OPTION_NAME = 256,
  OPTION_DEVICE,
  OPTION_MEMORY,
  OPTION_FORMAT,
  OPTION_LOOP,
  OPTION_REALTIME,
  OPTION_DECODE_COPY,
  OPTION_FRESH_DECODER,
  OPTION_SLOTS,
  OPTION_MAX_SLOTS,
  OPTION_WAIT_FOR,
  OPTION_SIDE_DATA,
  OPTION_POLICY,
  OPTION_RESERVE,
  OPTION_ORDERED_TIMEOUT,
  OPTION_GROUP,
  OPTION_MODE,
  OPTION_ALLOW_UID,
  OPTION_ALLOW_GID,
  OPTION_NO_PACKETS,
  OPTION_PACKET_SLOTS,
  OPTION_PACKET_BYTES,
  OPTION_RTSP_TRANSPORT,
  OPTION_VARIANT,
  OPTION_INPUT_OPTION,
  OPTION_TIMEOUT,
  OPTION_PICTURE_TIMEOUT,
  OPTION_LOGIN_RETRY,
  OPTION_TIMES,
  OPTION_RECONNECT,
  OPTION_NO_RECONNECT,
  OPTION_USER,
  OPTION_PASSWORD_FILE,
  OPTION_DIR,
  OPTION_DURATION,
  OPTION_JSON,
  OPTION_QUIET
};

/* 64 packets, the library's default, are about one second of video with sound; keyframes are often several seconds
 * apart, and who joins late wants the last one. */
#define PACKET_SLOTS_DEFAULT 2048
#define PACKET_BYTES_DEFAULT (UINT64_C(16) << 20)

static const char help_text[] =
    "usage: cuframes publish INPUT --name NAME [OPTIONS] [INPUT --name NAME [OPTIONS]]...\n"
    "       cuframes publish --config FILE\n\n"
    "Decodes each INPUT once and publishes its pictures, and beside them its encoded packets, under NAME.\n\n"
    "INPUT  anything FFmpeg's libavformat opens: a file, rtsp://..., srt://..., udp://..., http://...\n"
    "       or a camera of this machine (V4L2): /dev/video0, a name in /dev/v4l/, or v4l2:DEVICE\n"
    "       or test:WIDTHxHEIGHT@FPS[,PIXFMT]: a moving picture with its number stamped into the pixels; FPS is\n"
    "       a number, a fraction such as 30000/1001, or max (as fast as possible). test:1280x720@30,nv12\n"
    "       A file that exists is a file, whatever its name looks like; - is standard input; behind -- names may\n"
    "       begin with a dash\n"
    "NAME   letters, digits, '.', '_' and '-', at most 63, the first a letter or digit\n\n"
    "Options of a stream stand behind its INPUT; those before the first INPUT are defaults for all that follow:\n"
    "  --name NAME             the stream's name\n"
    "  --device DEVICE         where the pictures lie: host, cuda, cuda:NUMBER, cuda:GPU-UUID, or auto (default): on\n"
    "                          a GPU if there is one. There NVDEC decodes, where it can\n"
    "  --memory KIND           of a GPU: default, or legacy (for who cannot use the default; see docs/gpu.md)\n"
    "  --format PIXFMT         nv12, p010, yuv420p, yuv422p, yuv444p, gray8, rgb24, rgba, bgra, bgr24, yuyv422,\n"
    "                          uyvy422, gray16, yuv420p10, yuv422p10 or rgbp; default: the decoder's own if it is\n"
    "                          one of these, else the nearest (converted into the slot)\n"
    "  --loop                  start again at the end; times go on\n"
    "  --realtime              at the pace of the picture's times, not as fast as possible (live inputs and test:\n"
    "                          pace themselves)\n"
    "  --decode-copy           decode into memory of the decoder's own and copy each picture into its slot, also "
    "where\n"
    "                          the decoder could write into slots: fewer slots, more work\n"
    "  --fresh-decoder         a new decoder for each round of --loop and each connection, also where the one that is\n"
    "                          there could go on\n"
    "  --slots N               frames allocated at first (default 6)\n"
    "  --max-slots N           up to which the pool grows; subscribers that could hold more are refused\n"
    "                          (default 1024)\n"
    "  --reserve need|full     slots for the frames that are in use, and more ahead of need (default), or for all\n"
    "                          that subscribers may hold, before each is let in\n"
    "  --side-data BYTES       room per frame for SEI user data, captions and HDR metadata (default 0, at most 65536)\n"
    "  --wait-for N            begin when so many subscribers have joined, so that they miss nothing\n"
    "  --policy wait|drop      when an ordered subscriber is full: wait for it and then evict it (default), or\n"
    "                          drop the new picture for everybody\n"
    "  --ordered-timeout S     how long to wait for it (default 1)\n"
    "  --group GROUP           give the socket to this group (name or number)\n"
    "  --mode MODE             permissions of the socket, octal (default 0660)\n"
    "  --allow-uid USER        let only these users in; name or number, may be repeated\n"
    "  --allow-gid GROUP       let only these groups in; likewise\n"
    "  --no-packets            publish pictures only\n"
    "  --packet-slots N        packets kept (default 2048: some tens of seconds of video and sound, so that who\n"
    "                          joins late still finds a keyframe)\n"
    "  --packet-bytes SIZE     bytes of packets kept, e.g. 16M (default); the largest packet is a quarter of it\n"
    "  --rtsp-transport T      auto (default): tcp, and udp if the camera refuses that or nothing comes by it; tcp,\n"
    "                          udp, udp_multicast or http (RTSP and RTP in a tunnel)\n"
    "  --variant WHICH         of an input with several videos (HLS, DASH, programmes): largest, smallest,\n"
    "                          WIDTHxHEIGHT or bits per second such as 2M: the largest of at most that\n"
    "  --input-option KEY=VALUE  an option of FFmpeg's demuxer, protocol or decoder; may be repeated\n"
    "  --timeout S             a live input that sends nothing for so long counts as dead (default 10; HLS and\n"
    "                          DASH 30)\n"
    "  --picture-timeout S     likewise one whose picture stands still while sound or data comes (default: as\n"
    "                          --timeout, and 3 times as long as its pictures take to come)\n"
    "  --login-retry S         wait before the next try where a login was refused: twice as long each time, up to 15\n"
    "                          times as long (default 60)\n"
    "  --times T               auto (default): the source's times, or if it has none, as HTTP MJPEG or raw H.264, "
    "that\n"
    "                          of the arrival; source: its own, or made up by its frame rate; arrival: our clock\n"
    "  --reconnect             reopen this input whenever it fails or ends, as is done for live inputs (network\n"
    "                          addresses and cameras): after 0.5 s, then twice as long each time, up to 10 s\n"
    "  --no-reconnect          end when a live input fails or ends\n"
    "  --user USER             of the address, beside it instead of in it; any characters\n"
    "  --password-file FILE    its password (of SRT: the passphrase) is the first line of FILE, where others do not "
    "see\n"
    "                          it, as they do in an address on the command line (ps)\n\n"
    "Options of the whole run, anywhere:\n"
    "  --duration S            end after S seconds (fractions allowed)\n"
    "  --dir DIR               runtime directory\n"
    "  --json                  events and a summary per stream as JSON lines on stdout\n"
    "  --quiet                 only warnings and errors\n"
    "  --config FILE           streams from a JSON file: {\"streams\": [{\"input\": ..., \"name\": ..., and the\n"
    "                          options above by their names}], \"dir\": ..., \"duration\": ...}\n"
    "  --help                  this text\n\n"
    "Ends with the input, after --duration, or at Ctrl-C. Exit codes: 0 ok, 1 an input failed, 2 usage, 4 a live\n"
    "input gave no picture within --duration.\n";

void publish_print_help(void) {
  fputs(help_text, stdout);
}

const struct option *publish_long_options(void) {
  static const struct option options[] = {
    { "name", required_argument, NULL, OPTION_NAME },
    { "device", required_argument, NULL, OPTION_DEVICE },
    { "memory", required_argument, NULL, OPTION_MEMORY },
    { "format", required_argument, NULL, OPTION_FORMAT },
    { "loop", no_argument, NULL, OPTION_LOOP },
    { "realtime", no_argument, NULL, OPTION_REALTIME },
    { "decode-copy", no_argument, NULL, OPTION_DECODE_COPY },
    { "fresh-decoder", no_argument, NULL, OPTION_FRESH_DECODER },
    { "slots", required_argument, NULL, OPTION_SLOTS },
    { "max-slots", required_argument, NULL, OPTION_MAX_SLOTS },
    { "wait-for", required_argument, NULL, OPTION_WAIT_FOR },
    { "side-data", required_argument, NULL, OPTION_SIDE_DATA },
    { "policy", required_argument, NULL, OPTION_POLICY },
    { "reserve", required_argument, NULL, OPTION_RESERVE },
    { "ordered-timeout", required_argument, NULL, OPTION_ORDERED_TIMEOUT },
    { "group", required_argument, NULL, OPTION_GROUP },
    { "mode", required_argument, NULL, OPTION_MODE },
    { "allow-uid", required_argument, NULL, OPTION_ALLOW_UID },
    { "allow-gid", required_argument, NULL, OPTION_ALLOW_GID },
    { "no-packets", no_argument, NULL, OPTION_NO_PACKETS },
    { "packet-slots", required_argument, NULL, OPTION_PACKET_SLOTS },
    { "packet-bytes", required_argument, NULL, OPTION_PACKET_BYTES },
    { "rtsp-transport", required_argument, NULL, OPTION_RTSP_TRANSPORT },
    { "variant", required_argument, NULL, OPTION_VARIANT },
    { "input-option", required_argument, NULL, OPTION_INPUT_OPTION },
    { "timeout", required_argument, NULL, OPTION_TIMEOUT },
    { "picture-timeout", required_argument, NULL, OPTION_PICTURE_TIMEOUT },
    { "login-retry", required_argument, NULL, OPTION_LOGIN_RETRY },
    { "times", required_argument, NULL, OPTION_TIMES },
    { "reconnect", no_argument, NULL, OPTION_RECONNECT },
    { "no-reconnect", no_argument, NULL, OPTION_NO_RECONNECT },
    { "user", required_argument, NULL, OPTION_USER },
    { "password-file", required_argument, NULL, OPTION_PASSWORD_FILE },
    { "dir", required_argument, NULL, OPTION_DIR },
    { "duration", required_argument, NULL, OPTION_DURATION },
    { "json", no_argument, NULL, OPTION_JSON },
    { "quiet", no_argument, NULL, OPTION_QUIET },
    { "config", required_argument, NULL, PUBLISH_OPTION_CONFIG },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
  };
  return options;
}

void publish_options_init(publish_options *options) {
  memset(options, 0, sizeof *options); /* also what is between its fields: publish_options_equal() */
  options->packet_slots = PACKET_SLOTS_DEFAULT;
  options->packet_bytes = PACKET_BYTES_DEFAULT;
}

/* The strings of a publish_options. */
static const size_t texts[] = { offsetof(publish_options, input),        offsetof(publish_options, name),
                                offsetof(publish_options, device),       offsetof(publish_options, user),
                                offsetof(publish_options, password),     offsetof(publish_options, password_file),
                                offsetof(publish_options, address),      offsetof(publish_options, passphrase),
                                offsetof(publish_options, input_options) };

static char **text_of(publish_options *options, size_t index) {
  return (char **)(void *)((char *)options + texts[index]);
}

void publish_options_free(publish_options *options) {
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char **text = text_of(options, i);
    free(*text);
    *text = NULL;
  }
}

bool publish_options_equal(const publish_options *a, const publish_options *b) {
  publish_options rest[2];
  memcpy(&rest[0], a, sizeof rest[0]);
  memcpy(&rest[1], b, sizeof rest[1]);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char **one = text_of(&rest[0], i), **other = text_of(&rest[1], i);
    if (!*one != !*other || (*one != NULL && strcmp(*one, *other) != 0))
      return false;
    *one = *other = NULL;
  }
  /* Bytes: no field can be forgotten here. At worst two that are equal are taken for different. */
  const unsigned char *bytes = (const unsigned char *)&rest[0], *others = (const unsigned char *)&rest[1];
  return memcmp(bytes, others, sizeof rest[0]) == 0;
}

static const char *set_text(char **to, const char *value) {
  char *copy = strdup(value);
  if (copy == NULL)
    return "out of memory";
  free(*to);
  *to = copy;
  return NULL;
}

static bool parse_user(const char *text, uint32_t *id) {
  const struct passwd *user = getpwnam(text);
  if (user != NULL)
    *id = user->pw_uid;
  return user != NULL || cli_parse_unsigned(text, 0, UINT32_MAX - 1, id);
}

static bool parse_group(const char *text, uint32_t *id) {
  const struct group *group = getgrnam(text);
  if (group != NULL)
    *id = group->gr_gid;
  return group != NULL || cli_parse_unsigned(text, 0, UINT32_MAX - 1, id);
}

static const char *add_id(uint32_t *list, uint32_t *count, const char *text, bool (*parse)(const char *, uint32_t *)) {
  uint32_t id;
  if (!parse(text, &id))
    return "names no user or group here";
  if (*count == PUBLISH_ALLOW_MAX)
    return "given more than 64 times";
  list[(*count)++] = id;
  return NULL;
}

static const char *set_mode(uint32_t *mode, const char *value) {
  char *end;
  unsigned long number = strtoul(value, &end, 8);
  if (strspn(value, "01234567") != strlen(value) || *end != '\0' || number == 0 || number > 0777)
    return "wants permission bits in octal, such as 0660";
  *mode = (uint32_t)number;
  return NULL;
}

/* A number of bytes, with K, M or G for powers of 1024. */
static const char *set_bytes(uint64_t *bytes, const char *value) {
  static const char sentence[] = "wants a size from 64K to 4G, such as 16M";
  size_t digits = strspn(value, "0123456789");
  if (digits == 0 || digits > 12)
    return sentence;
  uint64_t number = strtoull(value, NULL, 10);
  const char *unit = value + digits;
  if (*unit != '\0') {
    static const char units[] = "KMG";
    const char *at = strchr(units, *unit);
    if (at == NULL || unit[1] != '\0')
      return sentence;
    number = number > 1u << 22 ? UINT64_MAX : number << 10 * (at - units + 1);
  }
  if (number < 64 << 10 || number > UINT64_C(4) << 30)
    return sentence;
  *bytes = number;
  return NULL;
}

static const char *const memories[] = { "default", "legacy", NULL }, *const policies[] = { "wait", "drop", NULL },
                         *const reserves[] = { "need", "full", NULL },
                         *const times[] = { "auto", "source", "arrival", NULL }; /* as PUBLISH_TIMES_* */

const char *const publish_rtsp_transports[] = { "auto", "tcp", "udp", "udp_multicast", "http", NULL };

static const char *const variants[] = { "largest", "smallest", NULL };

static const char *set_variant(publish_variant *to, const char *value) {
  static const char sentence[] = "wants largest, smallest, WIDTHxHEIGHT, or bits per second such as 800K or 2M";
  publish_variant v = { .kind = PUBLISH_VARIANT_ANY };
  int length = 0;
  char unit = '\0';
  if (strcmp(value, variants[0]) == 0)
    v.kind = PUBLISH_VARIANT_LARGEST;
  else if (strcmp(value, variants[1]) == 0)
    v.kind = PUBLISH_VARIANT_SMALLEST;
  else if (sscanf(value, "%5" SCNu32 "x%5" SCNu32 "%n", &v.width, &v.height, &length) == 2 && value[length] == '\0')
    v.kind = v.width > 0 && v.height > 0 ? PUBLISH_VARIANT_SIZE : PUBLISH_VARIANT_ANY;
  else if (sscanf(value, "%9" SCNu64 "%n%c%n", &v.rate, &length, &unit, &length) >= 1 && value[length] == '\0')
    v.kind = strchr("KM", unit) != NULL && v.rate > 0 ? PUBLISH_VARIANT_RATE : PUBLISH_VARIANT_ANY;
  v.rate *= unit == 'K' ? 1000 : unit == 'M' ? 1000000 : 1;
  if (v.kind == PUBLISH_VARIANT_ANY || value[0] == '-' || value[0] == '+' || value[0] == ' ')
    return sentence;
  *to = v;
  return NULL;
}

static const char *add_input_option(char **to, const char *value) {
  const char *equals = strchr(value, '=');
  if (equals == NULL || equals == value || strchr(value, '\n') != NULL)
    return "wants KEY=VALUE, such as probesize=1000000";
  if (strlen(value) >= PUBLISH_INPUT_OPTION_MAX)
    return "is longer than 1023 characters";
  const size_t before = *to ? strlen(*to) : 0, size = before + strlen(value) + 2;
  char *longer = realloc(*to, size);
  if (longer == NULL)
    return "out of memory";
  snprintf(longer + before, size - before, "%s\n", value);
  *to = longer;
  return NULL;
}

/* One of two words, by its place. */
static const char *set_choice(uint32_t *to, const char *value, const char *const *words, const char *sentence) {
  if (strcmp(value, words[0]) != 0 && strcmp(value, words[1]) != 0)
    return sentence;
  *to = strcmp(value, words[1]) == 0;
  return NULL;
}

/* One of several words, by its place. */
static const char *set_word(uint32_t *to, const char *value, const char *const *words, const char *sentence) {
  for (uint32_t i = 0; words[i] != NULL; i++) {
    if (strcmp(value, words[i]) == 0) {
      *to = i;
      return NULL;
    }
  }
  return sentence;
}

const char *publish_options_meant(int number, const char *value) {
  suggestion guess = { .typed = value };
  switch (number) {
    case OPTION_DEVICE: return suggest_from(value, cli_device_words);
    case OPTION_MEMORY: return suggest_from(value, memories);
    case OPTION_POLICY: return suggest_from(value, policies);
    case OPTION_RESERVE: return suggest_from(value, reserves);
    case OPTION_RTSP_TRANSPORT: return suggest_from(value, publish_rtsp_transports);
    case OPTION_VARIANT: return suggest_from(value, variants);
    case OPTION_TIMES: return suggest_from(value, times);
    case OPTION_FORMAT:
      for (uint32_t format = CUFRAMES_PIXEL_NONE + 1; picture_format_from_name(cuframes_pixel_format_name(format));
           format++)
        suggest_offer(&guess, cuframes_pixel_format_name(format));
      return guess.best;
    default: return NULL;
  }
}

const char *publish_options_set(publish_options *o, int number, const char *value) {
  static const char seconds[] = "wants " CLI_SECONDS;
  uint32_t id = 0;
  switch (number) {
    case OPTION_NAME: return set_text(&o->name, value);
    case OPTION_DEVICE: return cli_is_device(value) ? set_text(&o->device, value) : CLI_DEVICES;
    case OPTION_MEMORY: return set_choice(&o->memory, value, memories, "is neither default nor legacy");
    case OPTION_FORMAT:
      o->pixel_format = picture_format_from_name(value);
      return o->pixel_format ? NULL : "is none of " PICTURE_FORMATS;
    case OPTION_LOOP: o->loop = true; return NULL;
    case OPTION_REALTIME: o->realtime = true; return NULL;
    case OPTION_DECODE_COPY: o->decode_copy = true; return NULL;
    case OPTION_FRESH_DECODER: o->fresh_decoder = true; return NULL;
    case OPTION_SLOTS: return cli_parse_unsigned(value, 2, 1024, &o->slots) ? NULL : "wants a number from 2 to 1024";
    case OPTION_MAX_SLOTS:
      return cli_parse_unsigned(value, 2, 1024, &o->max_slots) ? NULL : "wants a number from 2 to 1024";
    case OPTION_SIDE_DATA:
      return cli_parse_unsigned(value, 0, CUFRAMES_SIDE_DATA_MAX, &o->side_data) ? NULL
                                                                                 : "wants a number from 0 to 65536";
    case OPTION_WAIT_FOR:
      return cli_parse_unsigned(value, 1, 128, &o->wait_for) ? NULL : "wants a number from 1 to 128";
    case OPTION_POLICY: return set_choice(&o->policy, value, policies, "is neither wait nor drop");
    case OPTION_RESERVE: return set_choice(&o->reserve, value, reserves, "is neither need nor full");
    case OPTION_ORDERED_TIMEOUT: return cli_parse_seconds(value, &o->ordered_timeout_ns) ? NULL : seconds;
    case OPTION_GROUP:
      if (!parse_group(value, &id))
        return "names no group here";
      o->gid = id;
      return id ? NULL : "may not be group 0: leave the option out to keep the publisher's own group";
    case OPTION_MODE: return set_mode(&o->socket_mode, value);
    case OPTION_ALLOW_UID: o->is_listed = true; return add_id(o->allow_uids, &o->allow_uid_count, value, parse_user);
    case OPTION_ALLOW_GID: o->is_listed = true; return add_id(o->allow_gids, &o->allow_gid_count, value, parse_group);
    case OPTION_NO_PACKETS: o->no_packets = true; return NULL;
    case OPTION_PACKET_SLOTS:
      return cli_parse_unsigned(value, 2, 1 << 20, &o->packet_slots) ? NULL : "wants a number from 2 to 1048576";
    case OPTION_PACKET_BYTES: return set_bytes(&o->packet_bytes, value);
    case OPTION_RTSP_TRANSPORT:
      return set_word(&o->rtsp_transport, value, publish_rtsp_transports,
                      "is none of auto, tcp, udp, udp_multicast and http");
    case OPTION_VARIANT: return set_variant(&o->variant, value);
    case OPTION_INPUT_OPTION: return add_input_option(&o->input_options, value);
    case OPTION_TIMEOUT: return cli_parse_seconds(value, &o->timeout_ns) ? NULL : seconds;
    case OPTION_PICTURE_TIMEOUT: return cli_parse_seconds(value, &o->picture_timeout_ns) ? NULL : seconds;
    case OPTION_LOGIN_RETRY: return cli_parse_seconds(value, &o->login_retry_ns) ? NULL : seconds;
    case OPTION_TIMES: return set_word(&o->times, value, times, "is none of auto, source and arrival");
    case OPTION_RECONNECT: o->reconnect = true; return NULL;
    case OPTION_NO_RECONNECT: o->no_reconnect = true; return NULL;
    case OPTION_USER: return *value ? set_text(&o->user, value) : "wants a name";
    case OPTION_PASSWORD_FILE: return *value ? set_text(&o->password_file, value) : "wants a file";
    default: return "is no option of a stream";
  }
}

const char *publish_request_set(publish_request *request, int number, const char *value, bool *known) {
  *known = true;
  switch (number) {
    case OPTION_DIR: return *value ? set_text(&request->directory, value) : "wants a directory";
    case OPTION_DURATION: return cli_parse_seconds(value, &request->duration_ns) ? NULL : "wants " CLI_SECONDS;
    case OPTION_JSON: request->json = true; return NULL;
    case OPTION_QUIET: request->quiet = true; return NULL;
    default: *known = false; return NULL;
  }
}

publish_options *publish_request_add(publish_request *request, const publish_options *from) {
  publish_options *streams = realloc(request->streams, (request->stream_count + 1) * sizeof *streams);
  if (streams == NULL)
    return NULL;
  request->streams = streams;
  publish_options *added = &streams[request->stream_count];
  *added = *from;
  bool copied = true;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const char *text = *text_of((publish_options *)from, i);
    char **copy = text_of(added, i);
    *copy = text ? strdup(text) : NULL;
    copied = copied && (text == NULL || *copy != NULL);
  }
  if (!copied) {
    publish_options_free(added);
    return NULL;
  }
  request->stream_count++;
  return added;
}

void publish_request_free(publish_request *request) {
  for (size_t i = 0; i < request->stream_count; i++)
    publish_options_free(&request->streams[i]);
  free(request->streams);
  free(request->directory);
}

/* What can be said of the streams before anything is opened. */
static int check_streams(publish_request *request) {
  if (request->stream_count == 0 && !request->anew && !request->has_config)
    return cli_usage("no INPUT: give a file, an address or a test picture such as test:1280x720@30");
  for (size_t i = 0; i < request->stream_count; i++) {
    publish_options *o = &request->streams[i];
    test_spec spec;
    publish_address_tidy(o->input);
    const char *wrong = test_spec_is(o->input) ? test_spec_parse(o->input, &spec) : NULL;
    if (wrong != NULL)
      return cli_usage("%s: %s", o->input, wrong);
    if (o->name == NULL)
      return cli_usage("no --name for %s: --name NAME behind it says what the stream is called", o->input);
    for (size_t k = 0; k < i; k++)
      if (strcmp(o->name, request->streams[k].name) == 0)
        return cli_usage("two streams are called \"%s\": each needs a --name of its own", o->name);
    if (o->reconnect && o->no_reconnect)
      return cli_usage("%s: --reconnect and --no-reconnect exclude each other", o->name);
    int code = publish_login_complete(o);
    if (code != CLI_OK)
      return code;
    wrong = publish_address_wrong(o->address);
    if (wrong != NULL)
      return cli_usage("%s%s%s", o->input, *o->input ? " " : "", wrong);
  }
  return CLI_OK;
}

static int set_option(publish_request *request, publish_options *stream, int number, const char *name) {
  if (number == PUBLISH_OPTION_CONFIG) {
    request->has_config = true;
    return publish_config_read(optarg, request);
  }
  bool known;
  const char *wrong = publish_request_set(request, number, optarg, &known);
  if (!known)
    wrong = publish_options_set(stream, number, optarg);
  if (wrong == NULL)
    return CLI_OK;
  const char *meant = optarg ? publish_options_meant(number, optarg) : NULL;
  /* The value of one of FFmpeg's options may be a secret. */
  const int shown = optarg == NULL ? 0 : (int)(number == OPTION_INPUT_OPTION ? strcspn(optarg, "=") : strlen(optarg));
  return cli_usage("--%s%s%.*s %s%s", name, optarg ? " " : "", shown, optarg ? optarg : "", wrong,
                   suggest_text("", meant).text);
}

/* An INPUT with the options that stood before the first one. */
static int add_input(publish_request *request, publish_options *defaults, const char *input) {
  free(defaults->input);
  defaults->input = strdup(input);
  return defaults->input && publish_request_add(request, defaults) ? CLI_OK : CLI_FAILED;
}

int publish_parse(int argc, char **argv, publish_request *request) {
  publish_options defaults;
  publish_options_init(&defaults);
  ssize_t current = -1; /* the stream whose INPUT came last */
  int code = CLI_OK, option, at = 0;
  opterr = 0;
  optind = 0; /* from the beginning, also the second time */
  /* '-': an INPUT comes as option 1, in its place among the others. */
  while (code == CLI_OK && (option = cli_getopt(argc, argv, "-:h", publish_long_options(), &at)) != -1) {
    publish_options *stream = current < 0 ? &defaults : &request->streams[current];
    if (option == 1) {
      current = (ssize_t)request->stream_count;
      code = add_input(request, &defaults, optarg);
    } else if (option == 'h') {
      request->help = true;
      break;
    } else if (option == '?' || option == ':') {
      code = cli_bad_option(option, argv);
    } else {
      code = set_option(request, stream, option, publish_long_options()[at].name);
    }
  }
  /* Behind "--" all are INPUTs, and may begin with a dash. */
  for (; code == CLI_OK && !request->help && optind < argc; optind++)
    code = add_input(request, &defaults, argv[optind]);
  publish_options_free(&defaults);
  return code != CLI_OK || request->help ? code : check_streams(request);
}
