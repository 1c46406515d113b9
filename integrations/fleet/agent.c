/* agent.c - the work of one agent: look, keep, claim, run, again and again.
 *
 * What it does without a control plane: everything goes on, since nothing is known. Only an exclusive camera rests,
 * before its lease can have run out at the server. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

#define LEAVING_MOST (10 * SECOND)

static volatile sig_atomic_t asked_to_end, asked_to_hand_over;

static void on_signal(int number) {
  if (number == SIGUSR1)
    asked_to_hand_over = 1;
  else
    asked_to_end = 1;
}

/* It goes on while the machine is suspended, as the server's does, and nobody sets it. */
int64_t agent_clock(void) {
  struct timespec now = { 0 };
  (void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail with this clock */
  return now.tv_sec * SECOND + now.tv_nsec;
}

/* One agent for each directory; its number stays the same, so that the next one knows its leases. */
static int own(agent *a) {
  char path[512], id[64] = "";
  unsigned char bytes[16];
  if (mkdir(a->options->state, 0700) != 0 && errno != EEXIST) {
    say("%s: %s", a->options->state, strerror(errno));
    return -1;
  }
  snprintf(path, sizeof path, "%s/agent.id", a->options->state);
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
    say("%s: %s", path, fd >= 0 && errno == EWOULDBLOCK ? "another agent uses this directory" : strerror(errno));
    if (fd >= 0)
      close(fd);
    return -1;
  }
  const ssize_t had = read(fd, id, sizeof id - 1);
  if (had == 33 && strspn(id, "0123456789abcdef") == 32) {
    memcpy(a->id, id, 32);
    return fd;
  }
  bool good = getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes;
  for (size_t i = 0; i < sizeof bytes; i++)
    snprintf(a->id + 2 * i, 3, "%02x", bytes[i]);
  good = good && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 && dprintf(fd, "%s\n", a->id) == 33;
  if (!good) {
    say("%s: %s", path, strerror(errno));
    close(fd);
    return -1;
  }
  return fd;
}

/* The publisher will not have it: on this node it is not tried again until its description changes. */
static void refuse(void *user, const char *name, const char *why) {
  agent *a = user;
  held *h = held_find(&a->held, name);
  if (h == NULL)
    return;
  registry_problem(a, name, h->camera, why);
  h->dropped = true;
  (void)bus_write(a->bus, BUS_LEASES, name, NULL, h->revision, NULL); /* else it expires */
}

/* Cameras that were removed or changed. One that is not in a bucket that was made anew was not removed. */
static void follow_cameras(agent *a) {
  for (size_t i = 0; i < a->held.count; i++) {
    held *h = &a->held.cameras[i];
    const bus_entry *entry = bus_view_find(&a->cameras, h->name);
    camera_info c;
    if (entry == NULL) {
      if (a->cameras.last < h->camera)
        continue;
      say("camera %s: was removed", h->name);
      h->dropped = true;
      a->tell = true;
      (void)bus_write(a->bus, BUS_LEASES, h->name, NULL, h->revision, NULL); /* else it expires */
    } else if (entry->revision != h->camera) {
      camera_read(&c, entry->key, entry->value, entry->length, a->options->trusted);
      if (c.stream) {
        held_describe(h, &c, entry->revision);
        a->held.changed = true;
      } else {
        registry_problem(a, h->name, entry->revision, c.why); /* it goes on as it was */
      }
      camera_free(&c);
    }
  }
  if (a->problems_of == a->cameras.changes)
    return;
  a->problems_of = a->cameras.changes;
  void *next;
  const char *name;
  json_t *value;
  json_object_foreach_safe(a->problems, next, name, value) {
    const bus_entry *entry = bus_view_find(&a->cameras, name);
    if (entry == NULL || entry->revision != (uint64_t)json_integer_value(json_object_get(value, "camera"))) {
      (void)json_object_del(a->problems, name);
      a->tell = true;
    }
  }
  for (size_t i = 0; i < a->cameras.count; i++) { /* each node says what is wrong, also of what it would not take */
    const bus_entry *entry = &a->cameras.entries[i];
    camera_info c;
    if (json_object_get(a->problems, entry->key))
      continue;
    camera_read(&c, entry->key, entry->value, entry->length, a->options->trusted);
    if (c.stream == NULL)
      registry_problem(a, entry->key, entry->revision, c.why);
    camera_free(&c);
  }
}

/* Another agent of the same name would take this one's leases for its own node's. */
static bool name_is_ours(agent *a) {
  const bus_entry *entry = bus_view_find(&a->nodes, a->options->node);
  json_t *value = entry ? json_loadb(entry->value, entry->length, 0, NULL) : NULL;
  const char *id = json_string_value(json_object_get(value, "id"));
  const bool ours = id == NULL || strcmp(id, a->id) == 0;
  json_decref(value);
  if (!ours && !a->said_away) {
    say("another agent is called %s, or was until just now: waiting until it is gone", a->options->node);
    a->said_away = true;
  }
  return ours;
}

/* The order matters: this node's value is written before its leases, so that it expires before them, and whoever sees
 * that a lease has expired does not count on this node any more. */
static bool keep(agent *a) {
  const bool due = a->now - a->told_at >= bus_ttl(a->bus) / 4;
  if ((a->tell || due) && registry_tell_node(a) != BUS_OK)
    return false;
  return leases_renew(a) && claims_take_offers(a) && claims_make(a);
}

static bool look(agent *a) {
  if (!bus_is_there(a->bus) || bus_look(a->bus, &a->cameras) != BUS_OK || bus_look(a->bus, &a->nodes) != BUS_OK)
    return false;
  registry_read_nodes(a);
  return a->others != NULL;
}

/* After an outage in which leases may have run out, those who had cameras come first, also those who find the way back
 * a little later. At the beginning others that begin now are to be seen before anybody takes all. */
static void note_there(agent *a, bool there) {
  const int64_t ttl = bus_ttl(a->bus);
  if (!there) {
    if (a->there_since != 0)
      a->lost_since = a->now;
    a->there_since = 0;
    return;
  }
  if (a->there_since == 0) {
    a->there_since = a->now;
    if (a->lost_since == 0)
      a->claims_after = a->now + ttl / 4;
    else if (a->now - a->lost_since > ttl / 2)
      a->claims_after = a->now + ttl / 2;
    if (a->said_away)
      say("the control plane is there");
    a->said_away = false;
  }
}

static bool is_to_run(const agent *a, const held *h) {
  if (h->dropped)
    return false;
  if (h->exclusive) /* it must have ended before another node can have the lease */
    return !h->superseded && h->until - bus_ttl(a->bus) / 4 > a->now;
  return !h->cold || a->now > a->cold_until;
}

static json_t *streams_to_run(const agent *a) {
  json_t *streams = json_array();
  for (size_t i = 0; i < a->held.count; i++)
    if (is_to_run(a, &a->held.cameras[i]))
      (void)json_array_append(streams, a->held.cameras[i].stream);
  return streams;
}

static void run_publisher(agent *a) {
  json_t *streams = streams_to_run(a);
  if (streams)
    publisher_run(&a->publisher, streams, a->now);
  json_decref(streams);
}

static void step(agent *a) {
  a->now = agent_clock();
  bool there = look(a) && name_is_ours(a);
  note_there(a, there);
  if (there) {
    registry_look(a);
    follow_cameras(a);
    there = keep(a);
    note_there(a, there);
  }
  if (there)
    claims_balance(a);
  leases_expire(a);
  run_publisher(a);
  held_sweep(&a->held);
  if (a->held.changed)
    held_save(&a->held);
}

/* Gives its cameras to those nodes that have room, so that none has a gap, and waits until they have them. */
static void leave(agent *a) {
  const int64_t end = agent_clock() + LEAVING_MOST;
  a->leaving = a->tell = true;
  bool wanted = true;
  while (a->there_since != 0 && wanted && agent_clock() < end && !asked_to_hand_over) {
    wanted = false;
    for (size_t i = 0; i < a->held.count; i++) {
      held *h = &a->held.cameras[i];
      node_info *best = NULL;
      for (size_t k = 0; k < a->others_count && !h->exclusive; k++) {
        node_info *other = &a->others[k];
        if (node_can(other, h->labels) && (best == NULL || place_weight(h->name, other) > place_weight(h->name, best)))
          best = other;
      }
      if (!h->offered && !h->superseded && best) {
        claims_offer(a, h, best);
        best->cameras++;
      }
      wanted = wanted || h->offered || h->superseded;
    }
    step(a);
    (void)poll(NULL, 0, (int)(a->tick_ns / 1000000));
  }
  publisher_stop(&a->publisher);
  for (size_t i = 0; i < a->held.count; i++) {
    if (a->there_since != 0)
      (void)bus_write(a->bus, BUS_LEASES, a->held.cameras[i].name, NULL, a->held.cameras[i].revision, NULL);
    a->held.cameras[i].dropped = true;
  }
  if (a->there_since != 0)
    (void)bus_write(a->bus, BUS_NODES, a->options->node, NULL, BUS_ANYTHING, NULL);
  held_sweep(&a->held);
  held_save(&a->held);
}

static void catch_signals(void) {
  const struct sigaction action = { .sa_handler = on_signal };
  (void)sigaction(SIGTERM, &action, NULL); /* cannot fail for these */
  (void)sigaction(SIGINT, &action, NULL);
  (void)sigaction(SIGUSR1, &action, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
}

/* A publisher that runs goes on with what it has. What was run before the machine was down may be somebody else's by
 * now: it waits for the control plane, but not longer than a lease. */
static void take_up(agent *a) {
  held_load(&a->held, a->options->state);
  a->cold_until = agent_clock() + bus_ttl(a->bus);
  for (size_t i = 0; i < a->held.count; i++)
    a->held.cameras[i].cold = a->publisher.pidfd < 0;
}

int agent_run(const agent_options *options) {
  agent a = { .options = options,
              .cameras = { .bucket = BUS_CAMERAS },
              .nodes = { .bucket = BUS_NODES },
              .problems = json_object(),
              .publisher = { .program = options->publisher, .directory = options->directory } };
  const int lock = own(&a);
  if (lock < 0)
    return 1;
  catch_signals();
  a.publisher.refuses = refuse;
  a.publisher.user = &a;
  int code = 1;
  a.bus = bus_open(&options->bus);
  if (a.bus && publisher_open(&a.publisher, options->state)) {
    code = 0;
    take_up(&a);
    say("node %s, for %u cameras", options->node, options->cameras_most);
    if (!bus_is_there(a.bus))
      say("no control plane yet: %s", bus_error(a.bus));
    while (!asked_to_end && !asked_to_hand_over) {
      step(&a);
      a.tick_ns = bus_ttl(a.bus) / 24;
      (void)poll(NULL, 0, (int)(a.tick_ns / 1000000)); /* a signal ends it */
    }
    if (!asked_to_hand_over)
      leave(&a);
    publisher_close(&a.publisher);
  }
  for (size_t i = 0; i < a.others_count; i++)
    json_decref(a.others[i].value);
  free(a.others);
  free(a.vacancies);
  held_free(&a.held);
  bus_view_free(&a.cameras);
  bus_view_free(&a.nodes);
  bus_close(a.bus);
  json_decref(a.problems);
  close(lock);
  return code;
}
