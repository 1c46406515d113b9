/* publish_options.h - what `cuframes publish` was asked to do: one set of options per stream, a few for the run.
 * The command line and the configuration file share the names and one parser of the values. */
#ifndef CUFRAMES_CLI_PUBLISH_OPTIONS_H
#define CUFRAMES_CLI_PUBLISH_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUBLISH_ALLOW_MAX 64
#define PUBLISH_INPUT_OPTION_MAX 1024

/* Which video of an input that has several. */
enum publish_variant_kind {
  PUBLISH_VARIANT_ANY,
  PUBLISH_VARIANT_LARGEST,
  PUBLISH_VARIANT_SMALLEST,
  PUBLISH_VARIANT_SIZE, /* the largest of at most this one */
  PUBLISH_VARIANT_RATE
};

typedef struct publish_variant {
  enum publish_variant_kind kind;
  uint32_t width, height;
  uint64_t rate; /* bits per second */
} publish_variant;

/* --times */
enum { PUBLISH_TIMES_AUTO, PUBLISH_TIMES_SOURCE, PUBLISH_TIMES_ARRIVAL };

/* One stream. Zero (or NULL) means the default. The strings are the options' own. Without padding: two are compared as
 * bytes. */
typedef struct publish_options {
  char *input, *name, *device;
  char *input_options; /* for FFmpeg: KEY=VALUE, each with a newline behind it */
  char *user, *password, *password_file;
  /* Made of these by publish_login_complete(), for libavformat alone: never to be shown. passphrase: of SRT. */
  char *address, *passphrase;
  publish_variant variant;
  uint64_t packet_bytes;
  int64_t ordered_timeout_ns, timeout_ns, picture_timeout_ns, login_retry_ns;
  int64_t gid;
  uint32_t allow_uids[PUBLISH_ALLOW_MAX], allow_gids[PUBLISH_ALLOW_MAX];
  uint32_t allow_uid_count, allow_gid_count;
  uint32_t pixel_format; /* --format; CUFRAMES_PIXEL_NONE: the decoder's */
  uint32_t slots, max_slots, policy, reserve, memory, packet_slots, socket_mode;
  uint32_t times;          /* PUBLISH_TIMES_* */
  uint32_t rtsp_transport; /* PUBLISH_RTSP_AUTO, or the place of its word */
  uint32_t wait_for;       /* subscribers, before the first frame */
  uint32_t side_data;      /* bytes per frame */
  bool loop, realtime, no_packets, reconnect, no_reconnect, decode_copy, fresh_decoder;
  bool is_listed; /* an allow list was given; with nobody on it, too */
} publish_options;

enum { PUBLISH_RTSP_AUTO = 0 };
extern const char *const publish_rtsp_transports[]; /* the words of --rtsp-transport, then NULL */

/* The streams, and what holds for all of them. */
typedef struct publish_request {
  publish_options *streams;
  size_t stream_count;
  char *directory;
  int64_t duration_ns; /* 0: no limit */
  bool json, quiet, help;
  bool has_config; /* there is a file to read anew */
  bool anew;       /* it is being read anew: then it may have no stream at all */
} publish_request;

void publish_options_init(publish_options *options);
void publish_options_free(publish_options *options);
/* Whether they ask for the same, what was made of them (the address) included. */
bool publish_options_equal(const publish_options *a, const publish_options *b);

/* The options as getopt_long wants them, ending with zeros; `flag` entries have no argument. */
const struct option *publish_long_options(void);

/* Sets one stream option by its number in publish_long_options(). value is NULL for a flag. NULL if that is fine,
 * else what is wrong with the value (static, to follow the option's name). */
const char *publish_options_set(publish_options *options, int number, const char *value);

/* Of an option whose values are words: the one that a wrong value was probably meant to be, or NULL. */
const char *publish_options_meant(int number, const char *value);

/* Sets one of the options that hold for all streams; *known says whether it is one. */
const char *publish_request_set(publish_request *request, int number, const char *value, bool *known);

/* A stream more, with a copy of these options. NULL: out of memory. */
publish_options *publish_request_add(publish_request *request, const publish_options *from);
void publish_request_free(publish_request *request);

/* Reads the command line, and the configuration file if it names one. Gives an exit code, after a message. */
int publish_parse(int argc, char **argv, publish_request *request);

/* Reads the password if a file has it, makes the address, and lets nobody see either. Gives an exit code, after a
 * message. publish_login.c */
int publish_login_complete(publish_options *options);
/* Whether everybody may read a file that a password is in. */
bool publish_is_public(const char *path);

/* Adds the streams of a configuration file. Gives an exit code, after a message. publish_config.c */
int publish_config_read(const char *path, publish_request *request);

void publish_print_help(void);

enum { PUBLISH_OPTION_CONFIG = 1000 }; /* the one option that is neither a stream's nor the run's */

#endif
