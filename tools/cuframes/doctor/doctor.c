/* doctor.c - cuframes doctor: finds why sharing cannot or will not work, and changes nothing. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "causes.h"
#include "common/cli.h"
#include "common/json.h"
#include "common/reader.h"
#include "common/secrets.h"
#include "doctor.h"
#include "guard.h"
#include "places.h"

#define SECOND INT64_C(1000000000)
#define SLICE_MS 100
#define LIMIT_NS (10 * SECOND)

static const char help[] =
    "usage: cuframes doctor [NAME] [OPTIONS]\n"
    "Finds why sharing cannot or will not work here, and changes nothing. Without NAME it asks whether streams can be\n"
    "published and read; with NAME whether this process can read that stream, and joins it. Of each problem it says\n"
    "what, why, and the command that mends it. The last line is `ready`, or how many problems there are.\n\n"
    "  --all              also what is well, what is good to know, and what cannot be seen from here\n"
    "  --timeout SECONDS  longest time for each part (default 10)\n" READER_HELP_FRAMES READER_HELP_BASIC
    "\nWith --json: an object with ready, problems, name, directory and findings, each with subject, check, state\n"
    "(problem; with --all well, note, unknown), what, why, mend.\n"
    "Exit code 1: there are problems.\n";

/* Each touches a file system, a driver or another process, any of which may hang. Limits come early: who has no
 * descriptors left is told that, and not what fails for it. */
static void find_directory(doctor *d);
static void make_place(doctor *d);
static void remove_place(doctor *d);
static const doctor_part parts[] = {
  { "directory", find_directory },   { "limits", doctor_limits },   { "directory", doctor_directory },
  { "directory", doctor_leftovers }, { "kernel", doctor_kernel },   { "stream", doctor_stream },
  { "accounts", doctor_accounts },   { "device", doctor_hardware }, { "container", doctor_container },
  { "device", doctor_device },       { "trial", make_place },       { "trial", doctor_trial },
  { "stream", doctor_join },
};
static const doctor_part last_part = { "trial", remove_place };

/* ---- places ---- */

static void find_directory(doctor *d) {
  doctor_stage(d, "finding the runtime directory");
  places_find(d);
}

static void make_place(doctor *d) {
  const char *named = getenv("TMPDIR");
  const char *const places[] = { named && *named ? named : "/tmp", "/tmp", "/dev/shm" };
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char path[DOCTOR_PATH];
    const int length = snprintf(path, sizeof path, "%s/cuframes-doctor-XXXXXX", places[i]);
    doctor_stage(d, "making a directory for the trial in %.100s", places[i]);
    if (length < (int)sizeof path && mkdtemp(path)) {
      memcpy(d->trial_directory, path, sizeof path);
      return;
    }
  }
}

/* What a publisher that was killed left there, too. */
static void remove_place(doctor *d) {
  static const char *const files[] = { "trial.sock", "trial.lock" };
  char path[DOCTOR_PATH + 16];
  if (d->trial_directory[0] == '\0')
    return;
  doctor_stage(d, "removing the directory of the trial, %.100s", d->trial_directory);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, "%s/%s", d->trial_directory, files[i]);
    (void)unlink(path); /* most often it is not there */
  }
  if (rmdir(d->trial_directory) != 0)
    cli_note("cannot remove %s: %s", d->trial_directory, strerror(errno));
  d->trial_directory[0] = '\0';
}

/* ---- running the parts ---- */

/* The process that runs them is not this one: processes are made by one that has no threads, and this one gets some
 * when it says something. False: a signal ended it. */
static bool run_parts(doctor *d) {
  int alive = -1, status = 0;
  const int64_t began = cuframes_now();
  const pid_t examiner = guard_fork(&alive);
  if (examiner == 0) {
    guard_run(d, parts, sizeof parts / sizeof *parts, &last_part);
    exit(EXIT_SUCCESS);
  }
  if (examiner < 0) {
    d->part = "limits";
    guard_found_no_process(d, errno);
    return true;
  }
  struct pollfd end = { .fd = alive, .events = POLLIN };
  while (!cli_stopped && poll(&end, 1, SLICE_MS) <= 0)
    if (cuframes_now() - began > SECOND)
      cli_live("%s", d->stage);
  if (cli_stopped)
    (void)kill(examiner, SIGTERM); /* it ends what it started; after Ctrl-C it knows already */
  while (waitpid(examiner, &status, 0) < 0 && errno == EINTR) {
  }
  (void)close(alive);
  cli_live_end();
  if (!cli_stopped && status != 0) {
    finding_status(found(d, FOUND_PROBLEM, "process", "the doctor itself ended early, while %s", d->stage), status);
    remove_place(d); /* nobody else will */
  }
  return !cli_stopped;
}

/* ---- what is said ---- */

/* Texts of other processes are in it: no secrets, nothing that a terminal obeys. */
static void clean(char text[FINDING_TEXT]) {
  char shown[FINDING_TEXT];
  secrets_hide(shown, sizeof shown, text);
  memcpy(text, shown, sizeof shown);
  for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++)
    if (*at < 0x20 || *at == 0x7f)
      *at = *at == '\n' || *at == '\t' ? ' ' : '?';
    else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
      at[0] = at[1] = '?';
}

static const char *state_word(enum finding_state state) {
  static const char *const words[] = { "well", "note", "unknown", "problem" };
  return words[state];
}

static json_t *text_or_null(const char *text) {
  return *text ? cli_json_text(text) : json_null();
}

static json_t *finding_json(const finding *f) {
  json_t *object = json_object();
  json_object_set_new(object, "subject", json_string(f->subject));
  json_object_set_new(object, "check", json_string(f->check));
  json_object_set_new(object, "state", json_string(state_word(f->state)));
  json_object_set_new(object, "what", cli_json_text(f->what));
  json_object_set_new(object, "why", text_or_null(f->why));
  json_object_set_new(object, "mend", text_or_null(f->mend));
  return object;
}

static int print_json(const doctor *d, bool all) {
  const size_t problems = finding_count(d, FOUND_PROBLEM);
  json_t *object = json_object(), *findings = json_array();
  json_object_set_new(object, "ready", json_boolean(problems == 0));
  json_object_set_new(object, "problems", json_integer((json_int_t)problems));
  json_object_set_new(object, "name", d->name ? cli_json_text(d->name) : json_null());
  json_object_set_new(object, "directory", text_or_null(d->path));
  for (size_t i = 0; i < d->finding_count; i++)
    if (all || d->findings[i].state == FOUND_PROBLEM)
      json_array_append_new(findings, finding_json(&d->findings[i]));
  json_object_set_new(object, "findings", findings);
  return cli_json_print(object, false);
}

static void print_plain(const doctor *d, bool all) {
  const size_t problems = finding_count(d, FOUND_PROBLEM);
  for (size_t i = 0; i < d->finding_count; i++) {
    const finding *f = &d->findings[i];
    if (!all && f->state != FOUND_PROBLEM)
      continue;
    printf("%-8s %s: %s\n", state_word(f->state), f->subject, f->what);
    if (*f->why)
      printf("  why    %s\n", f->why);
    if (*f->mend)
      printf("  mend   %s\n", f->mend);
  }
  if (problems)
    printf("%zu problem%s\n", problems, problems == 1 ? "" : "s");
  else
    printf("ready\n");
}

/* ---- the command ---- */

enum { ALL = READER_OWN, TIMEOUT };

static int parse(int argc, char **argv, reader_config *reader, doctor *d, bool *all) {
  static const struct option options[] = { READER_OPTIONS_BASIC,
                                           { "name", required_argument, NULL, READER_NAME },
                                           READER_OPTIONS_FRAMES,
                                           { "all", no_argument, NULL, ALL },
                                           { "timeout", required_argument, NULL, TIMEOUT },
                                           { 0 } };
  int option, code = CLI_OK;
  while (!code && (option = cli_getopt(argc, argv, ":h", options, NULL)) != -1) {
    switch (option) {
      case 'h':
      case READER_HELP: fputs(help, stdout); return -1;
      case ALL: *all = true; break;
      case TIMEOUT: code = cli_take_seconds("timeout", optarg, &d->limit_ns); break;
      default: code = reader_option(reader, option, argv, argc);
    }
  }
  if (!code && (reader->name || optind < argc))
    code = reader_take_name(reader, argc, argv, NULL);
  return code;
}

static int check_name(const char *name) {
  return places_is_name(name) ? CLI_OK : cli_failed(CUFRAMES_ERR_NAME, name);
}

int cmd_doctor(int argc, char **argv) {
  reader_config reader = { 0 };
  bool all = false;
  doctor *d = mmap(NULL, sizeof *d, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (d == MAP_FAILED)
    return reader_no_memory();
  d->limit_ns = LIMIT_NS;
  int code = parse(argc, argv, &reader, d, &all);
  if (code == CLI_OK && reader.name)
    code = check_name(reader.name);
  if (code != CLI_OK) {
    (void)munmap(d, sizeof *d); /* it was mapped */
    return code < 0 ? CLI_OK : code;
  }
  d->name = reader.name;
  d->directory = reader.directory;
  d->device = reader.device ? reader.device : "auto";
  d->sync = reader.sync;
  d->part = "limits";
  doctor_stage(d, "starting");
  cli_catch_signals();
  (void)signal(SIGCHLD,
               SIG_DFL); /* who started this may ignore it, and then the kernel does not say how children end */
  const bool done = run_parts(d);
  for (size_t i = 0; i < d->finding_count; i++) {
    clean(d->findings[i].what);
    clean(d->findings[i].why);
    clean(d->findings[i].mend);
  }
  code = finding_count(d, FOUND_PROBLEM) ? CLI_FAILED : CLI_OK;
  if (!done) {
    cli_error("ended before it was through");
    code = CLI_FAILED;
  } else if ((reader.json ? print_json(d, all) : (print_plain(d, all), CLI_OK)) != CLI_OK) {
    code = CLI_FAILED;
  }
  (void)munmap(d, sizeof *d);
  return code;
}
