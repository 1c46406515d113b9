/* control.c - commands from stdin and from signals. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t splits, toggles;

static void on_split(int number) {
  (void)number;
  splits++;
}

static void on_toggle(int number) {
  (void)number;
  toggles++;
}

void control_catch_signals(void) {
  struct sigaction action = { .sa_handler = on_split };
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
  action.sa_handler = on_toggle;
  sigaction(SIGUSR2, &action, NULL);
}

void control_begin(control *c, bool input) {
  *c = (control){ .input = input };
}

/* False if nothing more is there now. */
static bool read_more(control *c) {
  struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
  if (!c->input || c->reads <= 0 || poll(&in, 1, 0) <= 0)
    return false;
  c->reads--;
  const ssize_t got = read(STDIN_FILENO, c->text + c->used, CONTROL_LINE_MAX - c->used);
  if (got > 0) {
    c->used += (size_t)got;
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  c->ended = true;
  c->input = false;
  if (!c->used)
    return false;
  c->text[c->used++] = '\n'; /* a last line without its end */
  return true;
}

/* The next line that is there now, in c->line; one that is too long is cut. */
static bool take_line(control *c) {
  for (;;) {
    const char *end = memchr(c->text, '\n', c->used);
    if (!end && c->used < CONTROL_LINE_MAX) {
      if (!read_more(c))
        return false;
      continue;
    }
    const size_t length = end ? (size_t)(end - c->text) : c->used, whole = end ? length + 1 : length;
    const bool rest = c->skipping;
    c->skipping = !end;
    for (size_t i = 0; !rest && i < length; i++)
      c->line[i] = c->text[i] ? c->text[i] : '?';
    if (!rest)
      c->line[length] = '\0';
    memmove(c->text, c->text + whole, c->used - whole);
    c->used -= whole;
    if (!rest)
      return true;
  }
}

/* The word of a line, without blanks around it. */
static enum control_command understand(char *line) {
  static const struct {
    const char *word;
    enum control_command command;
  } words[] = {
    { "start", CONTROL_START }, { "stop", CONTROL_STOP }, { "split", CONTROL_SPLIT }, { "quit", CONTROL_QUIT }
  };
  const size_t blanks = strspn(line, " \t\r");
  memmove(line, line + blanks, strlen(line) - blanks + 1);
  for (size_t length = strlen(line); length && strchr(" \t\r", line[length - 1]);)
    line[--length] = '\0';
  if (!*line)
    return CONTROL_NONE;
  for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
    if (!strcmp(line, words[i].word))
      return words[i].command;
  return CONTROL_UNKNOWN;
}

void control_begin_round(control *c) {
  c->reads = CONTROL_READS;
}

enum control_command control_next(control *c) {
  if (c->splits_seen != splits) {
    c->splits_seen = splits; /* two at once are one */
    strcpy(c->line, "SIGUSR1");
    return CONTROL_SPLIT;
  }
  if (c->toggles_seen != toggles) {
    c->toggles_seen++;
    strcpy(c->line, "SIGUSR2");
    return CONTROL_TOGGLE;
  }
  while (take_line(c)) {
    const enum control_command command = understand(c->line);
    if (command != CONTROL_NONE)
      return command;
  }
  return CONTROL_NONE;
}
