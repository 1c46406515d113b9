/* test_resources.c - joining and leaving, being killed, and changes of format, many times over: GPU memory, descriptors
 * and mappings of the publisher, and of subscribers, are back where they were.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "checker.h"

#define WARM_UP 20
#define KILLED 6
#define FOLLOWERS 2

typedef struct holdings {
  uint64_t gpu; /* bytes in use, of all processes on a real GPU */
  int descriptors;
  int mappings;         /* lines of /proc/self/maps */
  uint32_t subscribers; /* of a publisher */
} holdings;

/* Mappings of the C library's own come and go, a few of them; a sanitizer's come by the hundred. */
#define MAPPINGS_SLACK (getenv("CUFRAMES_SANITIZE") && getenv("CUFRAMES_SANITIZE")[0] ? 1000 : 8)
#define GPU_SLACK (2 * MIB)

static holdings measure(void) {
  size_t unused, total;
  char line[1024];
  holdings h = { .descriptors = fixture_descriptors() };
  FILE *maps = fopen("/proc/self/maps", "re");
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps))
    h.mappings++;
  fclose(maps);
  CHECK_OK(cu.cuMemGetInfo(&unused, &total));
  h.gpu = total - unused;
  return h;
}

static bool back(const holdings *before, const holdings *now) {
  return now->gpu <= before->gpu + GPU_SLACK && now->descriptors <= before->descriptors &&
         now->mappings <= before->mappings + MAPPINGS_SLACK;
}

static void print(const char *who, const holdings *before, const holdings *now) {
  program_note("%s: GPU memory %+" PRId64 " KiB, descriptors %+d, mappings %+d", who,
               ((int64_t)now->gpu - (int64_t)before->gpu) / 1024, now->descriptors - before->descriptors,
               now->mappings - before->mappings);
}

/* ---- the publisher: publishes all the time, and does what it is told ---- */

enum command { MEASURE = 1, END, CHANGE_FORMAT, FIRST_FORMAT };

static void run_publisher(int test, void *user) {
  static source s;
  struct pollfd asked = { .fd = test, .events = POLLIN };
  uint64_t command = 0, changes = 0;
  cuframes_format formats[3] = { program_format(CUFRAMES_PIXEL_NV12), program_format(CUFRAMES_PIXEL_P010),
                                 program_format(CUFRAMES_PIXEL_NV12) };
  (void)user;
  formats[2].width = formats[2].width / 4 * 2;
  source_begin(&s, &(source_options){ .name = "inn", .format = formats[0] });
  source_publish(&s);
  CHECK_OK(cu.cuCtxSynchronize());
  say(test, 0);
  while (command != END) {
    if (poll(&asked, 1, 4) == 0) {
      source_publish(&s);
      continue;
    }
    command = hear(test);
    if (command == MEASURE) {
      CHECK_OK(cu.cuStreamSynchronize(s.stream));
      holdings h = measure();
      h.subscribers = source_stats(&s).subscribers;
      tell(test, &h, sizeof h);
      continue;
    }
    if (command == CHANGE_FORMAT || command == FIRST_FORMAT)
      CHECK_OK(cuframes_publisher_set_format(s.publisher, &formats[command == FIRST_FORMAT ? 0 : ++changes % 3]));
    source_publish(&s);
    say(test, command == END ? source_stats(&s).segments : s.number);
  }
  hear(test);
  source_end(&s);
}

static holdings holdings_of(const child *c) {
  holdings h;
  say(c->fd, MEASURE);
  learn(c->fd, &h, sizeof h);
  return h;
}

static bool same(const holdings *a, const holdings *b) {
  return a->gpu == b->gpu && a->descriptors == b->descriptors && a->mappings == b->mappings;
}

/* Asks until it has so many subscribers and nothing changes any more. */
static holdings settled(const child *c, uint32_t subscribers) {
  holdings now = holdings_of(c), before;
  int64_t end = cuframes_now() + patience();
  do {
    CHECK(cuframes_now() < end);
    before = now;
    pause_ms(50);
    now = holdings_of(c);
  } while (now.subscribers != subscribers || !same(&before, &now));
  return now;
}

/* Asks until it is back: what was killed takes a while to go. */
static void comes_back(const child *c, const char *who, const holdings *before) {
  holdings now = holdings_of(c);
  for (int64_t end = cuframes_now() + patience(); !back(before, &now) && cuframes_now() < end; now = holdings_of(c))
    pause_ms(20);
  print(who, before, &now);
  CHECK(back(before, &now));
}

static void end(child *publisher) {
  say(publisher->fd, END);
  hear(publisher->fd);
  say(publisher->fd, 0);
  child_finish(publisher);
}

/* ---- joining and leaving ---- */

static void join_and_leave(const gpu *g, cu_stream stream, uint32_t round) {
  const uint32_t syncs[3] = { CUFRAMES_SYNC_COMPLETE, CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_COMPLETE,
                              CUFRAMES_SYNC_SLOT_EVENTS | CUFRAMES_SYNC_COMPLETE };
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .sync = syncs[round % 3],
                                          .mode = round % 2 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST,
                                          .connect_timeout_ns = patience() };
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  cu_deviceptr wrong = word_new();
  CHECK_OK(cuframes_subscriber_create("inn", &options, &subscriber));
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &frame));
  CHECK_OK(LAUNCH(g, stream, "check", frame_address(frame), frame_words(frame), stamp(frame_number(frame)), wrong));
  if (round % 5 == 0) {
    CHECK_OK(cu.cuStreamSynchronize(stream));
    cuframes_subscriber_destroy(subscriber);
    cuframes_frame_release(frame);
  } else {
    cuframes_frame_release_on(frame, stream);
    cuframes_subscriber_destroy(subscriber);
  }
  CHECK_OK(cu.cuStreamSynchronize(stream));
  CHECK(word_value(wrong) == 0);
  CHECK_OK(cu.cuMemFree(wrong));
}

/* Does so as many times as it hears; measures when it hears MEASURE, for which it is told 0 times first. */
static void run_peer(int test, void *user) {
  gpu g;
  cu_stream stream;
  (void)user;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (uint64_t times; (times = hear(test)) > 0;) {
    for (uint32_t i = 0; i < times; i++)
      join_and_leave(&g, stream, i);
    holdings h = measure();
    tell(test, &h, sizeof h);
  }
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
}

static void joining_and_leaving(void **state) {
  (void)state;
  uint32_t cycles = program.cycles ? program.cycles : 1000;
  holdings peer_before, peer_after;
  child *publisher = child_start(run_publisher, NULL), *peer = child_start(run_peer, NULL);
  hear(publisher->fd);
  say(peer->fd, WARM_UP);
  learn(peer->fd, &peer_before, sizeof peer_before);
  holdings before = settled(publisher, 0);
  int64_t start = cuframes_now();
  say(peer->fd, cycles);
  learn(peer->fd, &peer_after, sizeof peer_after);
  /* GPU memory is counted for the whole card: what the publisher gives back later than this looks like ours */
  for (int64_t end = cuframes_now() + patience(); !back(&peer_before, &peer_after) && cuframes_now() < end;) {
    say(peer->fd, 1);
    learn(peer->fd, &peer_after, sizeof peer_after);
  }
  program_note("%" PRIu32 " times, %.2f ms each", cycles, (double)(cuframes_now() - start) / MS / cycles);
  comes_back(publisher, "publisher", &before);
  print("subscriber", &peer_before, &peer_after);
  CHECK(back(&peer_before, &peer_after));
  say(peer->fd, 0);
  child_finish(peer);
  end(publisher);
}

/* ---- being killed ---- */

static void run_short_life(int test, void *user) {
  static checker v;
  (void)user;
  checker_begin(&v, &(checker_options){ .name = "inn", .sync = CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_COMPLETE });
  CHECK_OK(checker_look(&v, patience()));
  say(test, 0);
  while (checker_look(&v, patience()) == CUFRAMES_OK)
    ;
}

static void live_shortly(int times) {
  for (int i = 0; i < times; i++) {
    child *c = child_start(run_short_life, NULL);
    hear(c->fd);
    child_kill(c);
  }
}

static void being_killed(void **state) {
  (void)state;
  child *publisher = child_start(run_publisher, NULL);
  hear(publisher->fd);
  live_shortly(1);
  holdings before = settled(publisher, 0);
  live_shortly(KILLED);
  comes_back(publisher, "publisher", &before);
  end(publisher);
}

/* ---- changes of format ---- */

typedef struct follower_end {
  checker_report report;
  holdings before, after;
} follower_end;

static void run_follower(int test, void *user) {
  static checker v;
  struct pollfd asked = { .fd = test, .events = POLLIN };
  follower_end e = { 0 };
  bool ordered = user != NULL;
  checker_begin(&v, &(checker_options){ .name = "inn",
                                        .mode = ordered ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST,
                                        .depth = ordered ? 16 : 0,
                                        .sync = CUFRAMES_SYNC_TIMELINE | CUFRAMES_SYNC_COMPLETE,
                                        .leases = 3,
                                        .release_on = ordered });
  for (int i = 0; i < WARM_UP; i++)
    CHECK_OK(checker_look(&v, patience()));
  e.before = measure();
  say(test, 0);
  uint64_t last = UINT64_MAX; /* until it is told which is the last picture of interest */
  while (v.report.last < last) {
    CHECK_OK(checker_look(&v, patience()));
    if (last == UINT64_MAX && poll(&asked, 1, 0) == 1)
      last = hear(test);
  }
  for (int64_t until = cuframes_now() + patience(); cuframes_now() < until;) {
    CHECK_OK(checker_look(&v, patience()));
    e.after = measure();
    if (back(&e.before, &e.after))
      break;
  }
  e.report = checker_end(&v);
  tell(test, &e, sizeof e);
}

static void changes_of_format(void **state) {
  (void)state;
  uint32_t changes = program.changes ? program.changes : 100;
  child *followers[FOLLOWERS], *publisher = child_start(run_publisher, NULL);
  hear(publisher->fd);
  for (int i = 0; i < FOLLOWERS; i++)
    followers[i] = child_start(run_follower, i == 0 ? NULL : &changes);
  for (int i = 0; i < FOLLOWERS; i++)
    hear(followers[i]->fd);
  holdings before = settled(publisher, FOLLOWERS);
  uint64_t last = 0;
  for (uint32_t i = 1; i <= changes; i++) {
    say(publisher->fd, i < changes ? CHANGE_FORMAT : FIRST_FORMAT);
    last = hear(publisher->fd);
    pause_ms(15); /* some pictures of each format */
  }
  for (int i = 0; i < FOLLOWERS; i++)
    say(followers[i]->fd, last);
  for (int i = 0; i < FOLLOWERS; i++) {
    follower_end e;
    learn(followers[i]->fd, &e, sizeof e);
    child_finish(followers[i]);
    report_is_good(&e.report, "a follower", i == 1);
    print(i == 1 ? "ordered subscriber" : "subscriber", &e.before, &e.after);
    CHECK(back(&e.before, &e.after));
    CHECK(i == 0 || e.report.formats + 1 >= changes); /* the last may be to the format that is there */
  }
  comes_back(publisher, "publisher", &before);
  program_note("%" PRIu32 " changes of format, %" PRIu64 " pictures", changes, last);
  end(publisher);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = { SHOW(joining_and_leaving), SHOW(being_killed), SHOW(changes_of_format) };
  return PROGRAM_RUN(argc, argv, tests);
}
