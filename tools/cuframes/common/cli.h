/* cli.h - what the commands share: exit codes, messages, signals, durations, the live line. */
#ifndef CUFRAMES_CLI_H
#define CUFRAMES_CLI_H

#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NO_STREAM = 3, CLI_TIMEOUT = 4, CLI_NOT_LIVE = 5 };

/* Each command: argv[0] is its name. Gives an enum cli_exit. */
int cmd_publish(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_pipe(int argc, char **argv);
int cmd_grid(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_wall(int argc, char **argv);
int cmd_metrics(int argc, char **argv);

/* Messages to stderr, one line each, with "cuframes COMMAND: " in front. None waits for who reads them (output.h). */
void cli_set_command(const char *command);
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What the calling thread said last, without its beginning, of at most `size` bytes with its end. */
void cli_last_said(char *text, size_t size);
/* "what: detail of the library's last error"; gives the exit code that fits the error. */
int cli_failed(int error, const char *what);
/* Where the cause of an error is one that `cuframes doctor` finds, so much is put behind the message of this thread's
 * next cli_failed(): "; `cuframes doctor NAME --dir DIR --device DEVICE` says more". The name is of the stream to be
 * read, NULL: to publish. directory and device: as given, or NULL. */
void cli_doctor_knows(int error, const char *name, const char *directory, const char *device);
/* A usage error: the message and where help is; gives CLI_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* getopt_long() that prints nothing itself; cli_bad_option() then knows the options. `shorts` begins with ':', or '-'
 * and ':'. */
int cli_getopt(int argc, char **argv, const char *shorts, const struct option *options, int *index);
/* For its '?' and ':': names the option, and the one that was probably meant; gives CLI_USAGE. */
int cli_bad_option(int result, char **argv);

/* SIGINT and SIGTERM set it; another one kills as usual, if it comes so much later. */
#define CLI_PATIENCE_MS 500
extern volatile sig_atomic_t cli_stopped;
void cli_catch_signals(void);

/* Seconds with fractions, greater than 0, to ns. False if it is not that. */
bool cli_parse_seconds(const char *text, int64_t *ns);
/* A number in decimal digits, with a point or without: what stands behind it, or NULL if there is none. strtod() would
 * take blanks, signs, "0x10", "1e9", "inf" and "nan", too. */
const char *cli_parse_decimal(const char *text, double *value);
#define CLI_SECONDS "seconds, more than 0, such as 2.5"
/* The same for an option (without its dashes), with the message. CLI_OK or CLI_USAGE. */
int cli_take_seconds(const char *option, const char *text, int64_t *ns);
/* Whether it can be a --device: auto, host, cuda, cuda:NUMBER or cuda:GPU-UUID. If not, CLI_DEVICES says so. */
bool cli_is_device(const char *text);
#define CLI_DEVICES "is none of auto, host, cuda, cuda:NUMBER and cuda:GPU-UUID"
extern const char *const cli_device_words[]; /* those of them that are words, then NULL */
bool cli_parse_unsigned(const char *text, uint32_t min, uint32_t max, uint32_t *value);

/* A cuframes_log_fn that writes to stderr through cli_note; user is a const char * prefix or NULL. */
void cli_log(void *user, int level, const char *line);

/* The live line: on a terminal it rewrites one line of stderr, elsewhere it prints a line at most every 5 s.
 * cli_live_end() ends it with a newline where one is due; every message above does so by itself. */
void cli_live(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_live_end(void);

/* ---- what goes to stdout ---- */

/* Once, at the start: output_begin(), descriptors 0 to 2 that are closed are filled, so that no socket gets the
 * program's output, and a closed pipe is an error of write() instead of a signal. */
void cli_output_begin(void);
/* Sends what was printed on its way. False if stdout takes nothing more: time to end. */
bool cli_output_flush(void);
/* Once, at the end, with the exit code so far; gives the final one. Output that got lost, as on a full disk or because
 * nobody read it, is a failure and said here. A reader that closed its pipe had enough: neither. What was said has a
 * second to go out. */
int cli_output_end(int code);

#endif
