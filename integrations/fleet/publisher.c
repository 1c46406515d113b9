/* publisher.c - starting, finding, telling and ending `cuframes publish`. */
#include "publisher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "say.h"

#define SECOND INT64_C(1000000000)
#define TELL_AGAIN (5 * SECOND)
#define TELL_FIRST SECOND /* while it comes up it does not listen */
#define START_AGAIN (2 * SECOND)
#define PATIENCE_MS 15000

static void send_signal(const publisher *p, int number) {
  if (p->pidfd >= 0)
    (void)pidfd_send_signal(p->pidfd, number, NULL, 0); /* it may just have ended, which is seen later */
}

/* Who holds the lock has written its number into the file. It was that process when its pidfd was opened, if the lock
 * is still held afterwards. */
static bool find_running(publisher *p) {
  char text[32] = "";
  const int fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return false;
  bool found = false;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && read(fd, text, sizeof text - 1) > 0) {
    p->pid = (int)strtol(text, NULL, 10);
    p->pidfd = p->pid > 1 ? pidfd_open(p->pid, 0) : -1;
    found = p->pidfd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
    if (!found && p->pidfd >= 0) {
      close(p->pidfd);
      p->pidfd = -1;
    }
  }
  close(fd);
  return found;
}

bool publisher_open(publisher *p, const char *state_directory) {
  p->pidfd = p->events_fd = -1;
  snprintf(p->config, sizeof p->config, "%s/publish.json", state_directory);
  snprintf(p->lock, sizeof p->lock, "%s/publish.lock", state_directory);
  snprintf(p->events, sizeof p->events, "%s/publish.events", state_directory);
  if (mkfifo(p->events, 0600) != 0 && errno != EEXIST) {
    say("%s: %s", p->events, strerror(errno));
    return false;
  }
  p->events_fd = open(p->events, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (p->events_fd < 0) {
    say("%s: %s", p->events, strerror(errno));
    return false;
  }
  if (find_running(p)) {
    p->was_found = true; /* what it runs is not asked: it is told anew */
    say("found the publisher, process %d, and goes on with it", p->pid);
  }
  return true;
}

/* In the child: its number into the lock that it will hold, what it says into the FIFO. */
static void become(const publisher *p, int lock) {
  sigset_t none;
  const int out = open(p->events, O_RDWR), in = open("/dev/null", O_RDONLY);
  if (out < 0 || in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
    return;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  (void)signal(SIGHUP, SIG_IGN); /* one that comes before it can read its file anew must not end it */
  (void)setsid();                /* Ctrl-C is for the agent, which ends it in order */
  char number[16];
  const int length = snprintf(number, sizeof number, "%d\n", (int)getpid());
  if (ftruncate(lock, 0) != 0 || write(lock, number, (size_t)length) != length || fcntl(lock, F_SETFD, 0) != 0)
    return;
  execlp(p->program, p->program, "publish", "--config", p->config, "--json", "--quiet", p->directory ? "--dir" : NULL,
         p->directory, NULL);
}

static void start(publisher *p, int64_t now) {
  const int lock = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  p->again_at = now + START_AGAIN;
  if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
    say("%s: %s", p->lock, strerror(errno));
  } else {
    const pid_t child = fork();
    if (child == 0) {
      become(p, lock);
      dprintf(STDERR_FILENO, "cuframes-agent: cannot run %s: %s\n", p->program, strerror(errno));
      _exit(127);
    }
    p->pid = child;
    p->pidfd = child > 0 ? pidfd_open(child, 0) : -1;
    p->was_found = false;
  }
  if (lock >= 0)
    close(lock); /* the child's stays */
}

static bool has_ended(publisher *p) {
  struct pollfd watched = { .fd = p->pidfd, .events = POLLIN };
  if (p->pidfd < 0)
    return true;
  if (poll(&watched, 1, 0) <= 0)
    return false;
  int status = 0;
  if (waitpid(p->pid, &status, WNOHANG) != p->pid)
    say("the publisher, process %d, ended", p->pid); /* it was an earlier agent's child */
  else if (WIFEXITED(status))
    say("the publisher, process %d, ended with %d", p->pid, WEXITSTATUS(status));
  else
    say("the publisher, process %d, was ended by signal %d", p->pid, WTERMSIG(status));
  close(p->pidfd);
  p->pidfd = -1;
  json_decref(p->running);
  json_decref(p->taken);
  p->running = p->taken = NULL;
  p->told_at = 0;
  return true;
}

static bool is_among(const json_t *streams, const json_t *wanted) {
  for (size_t i = 0; i < json_array_size(streams); i++)
    if (json_equal(json_array_get(streams, i), wanted))
      return true;
  return false;
}

/* Which stream a message is about that begins with an input: "test:0x0@0: wants ...". */
static const json_t *find_input(const json_t *streams, const char *message) {
  for (size_t i = 0; message && i < json_array_size(streams); i++) {
    const char *input = json_string_value(json_object_get(json_array_get(streams, i), "input"));
    const size_t length = input ? strlen(input) : 0;
    if (length > 0 && strncmp(message, input, length) == 0 && message[length] == ':')
      return json_array_get(streams, i);
  }
  return NULL;
}

/* A file is refused for one stream, which is named by its place: "FILE: stream 2: ...", or by its input. Where it is
 * not, it is one of those that came since the last file that was taken: they are left out one by one, until the rest is
 * taken. */
static void take_refusal(publisher *p, const char *message) {
  const char *at = message ? strstr(message, ": stream ") : NULL;
  const long place = at ? strtol(at + 9, NULL, 10) : 0;
  const char *why = at && strchr(at + 2, ':') ? strchr(at + 2, ':') + 2 : message;
  const json_t *stream = json_array_get(p->running, place > 0 ? (size_t)place - 1 : SIZE_MAX);
  if (stream == NULL)
    stream = find_input(p->running, message);
  for (size_t i = 0; stream == NULL && i < json_array_size(p->running); i++)
    if (!is_among(p->taken, json_array_get(p->running, i)))
      stream = json_array_get(p->running, i);
  const char *name = json_string_value(json_object_get(stream, "name"));
  if (name)
    p->refuses(p->user, name, why ? why : "the publisher refuses it");
  else
    say("the publisher: %s", why ? why : "it refuses its file");
}

static void take_event(publisher *p) {
  json_t *event = json_loads(p->line, 0, NULL);
  const char *what = json_string_value(json_object_get(event, "event"));
  if (what && (strcmp(what, "reloaded") == 0 || strcmp(what, "not_reloaded") == 0)) {
    p->told_at = 0;
    if (*what == 'n') {
      take_refusal(p, json_string_value(json_object_get(event, "message")));
    } else {
      json_decref(p->taken);
      p->taken = json_incref(p->running);
    }
  }
  json_decref(event);
}

static void read_events(publisher *p) {
  char bytes[4096];
  ssize_t count;
  while ((count = read(p->events_fd, bytes, sizeof bytes)) > 0)
    for (ssize_t i = 0; i < count; i++)
      if (bytes[i] == '\n') {
        p->line[p->line_used] = '\0';
        take_event(p);
        p->line_used = 0;
      } else if (p->line_used < sizeof p->line - 1) {
        p->line[p->line_used++] = bytes[i];
      }
}

static bool write_config(const publisher *p, json_t *streams) {
  json_t *file = json_pack("{s:O}", "streams", streams);
  const bool good = file && file_write(p->config, file);
  json_decref(file);
  return good;
}

void publisher_run(publisher *p, json_t *streams, int64_t now) {
  read_events(p);
  if (has_ended(p)) {
    if (json_array_size(streams) == 0 || now < p->again_at)
      return;
    json_t *empty = json_array();
    if (write_config(p, empty))
      start(p, now);
    json_decref(p->running);
    p->running = empty;
  }
  const int64_t patience = p->taken ? TELL_AGAIN : TELL_FIRST;
  const bool differs = !json_equal(p->running, streams), overdue = p->told_at && now - p->told_at > patience;
  if (p->pidfd < 0 || (p->told_at && !overdue) || !(differs || overdue))
    return;
  if (differs && write_config(p, streams)) {
    json_decref(p->running);
    p->running = json_incref(streams);
  }
  p->told_at = now;
  send_signal(p, SIGHUP);
}

void publisher_stop(publisher *p) {
  struct pollfd watched = { .fd = p->pidfd, .events = POLLIN };
  if (p->pidfd < 0)
    return;
  send_signal(p, SIGTERM);
  if (poll(&watched, 1, PATIENCE_MS) <= 0) {
    send_signal(p, SIGKILL);
    (void)poll(&watched, 1, PATIENCE_MS);
  }
  (void)has_ended(p);
}

void publisher_close(publisher *p) {
  if (p->pidfd >= 0)
    close(p->pidfd);
  if (p->events_fd >= 0)
    close(p->events_fd);
  json_decref(p->running);
  json_decref(p->taken);
}
