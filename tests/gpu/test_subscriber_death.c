/* test_subscriber_death.c - kill -9 of a subscriber in mid-kernel: the publisher reuses its slot only after its work on
 * the GPU has ended, and the others go on.
 *
 * The kernels of the one who dies count wrong words into memory of the publisher's, which outlives them.
 */
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checker.h"
#include "cuda/pair.h"

#define CHECKS 300 /* in the victim's stream, a millisecond each: more work than it lives to see */

typedef struct death {
  int64_t reused_after; /* the kill */
  uint64_t frames;      /* published until the slot was used again */
  uint64_t wrong;       /* words that the dead one's kernels found wrong */
  uint64_t looked;      /* of its kernels ended, before the kill */
} death;

static int line[2]; /* from the publisher to the victim, for a descriptor */

/* As source_publish(), and says where. */
static cu_deviceptr publish(source *s) {
  cuframes_frame *frame = NULL;
  cuframes_publish_info info = { .struct_size = sizeof info };
  info.pts = (int64_t)++s->number * 1000;
  CHECK_OK(cuframes_publisher_acquire(s->publisher, &frame));
  cu_deviceptr address = frame_address(frame);
  CHECK_OK(LAUNCH(&s->g, s->stream, "fill", address, frame_words(frame), stamp(s->number)));
  CHECK_OK(cuframes_publisher_publish_on(s->publisher, frame, s->stream, &info));
  return address;
}

static void run_publisher(int test, void *user) {
  static source s;
  gpu_memory counts;
  int fd;
  death found = { 0 };
  (void)user;
  close(line[1]);
  source_begin(&s, &(source_options){ .name = "widow", .format = program_format(CUFRAMES_PIXEL_NV12) });
  gpu_memory_make(&s.g, &counts, SEGMENT, &fd);
  CHECK_OK(cu.cuMemsetD8(counts.address, 0, counts.bytes));
  CHECK_OK(cu.cuCtxSynchronize());
  give(line[0], "", 1, fd);
  say(test, 0);
  hear(test); /* the others are here */
  cu_deviceptr held = publish(&s);
  CHECK_OK(cu.cuStreamSynchronize(s.stream));
  hear(test);
  while (found.looked == 0) { /* its kernels run; the slot is not used meanwhile */
    found.looked = word_value(counts.address + 8);
    CHECK(publish(&s) != held);
    CHECK_OK(cu.cuStreamSynchronize(s.stream));
  }
  say(test, 0);
  int64_t killed_at = (int64_t)hear(test);
  while (publish(&s) != held) {
    found.frames++;
    CHECK_OK(cu.cuStreamSynchronize(s.stream));
    CHECK(cuframes_now() < killed_at + patience());
  }
  found.reused_after = cuframes_now() - killed_at;
  for (int64_t end = cuframes_now() + 100 * MS; cuframes_now() < end;) { /* what is still to come would come now */
    publish(&s);
    CHECK_OK(cu.cuStreamSynchronize(s.stream));
  }
  found.wrong = word_value(counts.address);
  tell(test, &found, sizeof found);
  hear(test);
  gpu_memory_end(&counts);
  source_end(&s);
}

typedef struct victim {
  uint32_t sync;
  bool release_on; /* its stream would give the frame back behind all that */
} victim;

static void run_victim(int test, void *user) {
  gpu g;
  cu_stream stream;
  gpu_memory counts;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  const victim *how = user;
  char byte;
  close(line[0]);
  hear(test);
  int fd = get(line[1], &byte, 1);
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  gpu_memory_import(&g, &counts, fd, SEGMENT, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  cuframes_subscriber_options options = { .struct_size = sizeof options,
                                          .sync = how->sync,
                                          .connect_timeout_ns = patience() };
  CHECK_OK(cuframes_subscriber_create("widow", &options, &subscriber));
  say(test, 0);
  CHECK_OK(cuframes_subscriber_next_on(subscriber, patience(), stream, &frame));
  CHECK(frame_number(frame) == 1);
  say(test, 0);
  for (uint64_t i = 1; i <= CHECKS; i++) {
    CHECK_OK(LAUNCH(&g, stream, "spin", 1000));
    CHECK_OK(LAUNCH(&g, stream, "check", frame_address(frame), frame_words(frame), stamp(1), counts.address));
    CHECK_OK(LAUNCH(&g, stream, "fill", counts.address + 8, 1, i));
  }
  if (how->release_on)
    cuframes_frame_release_on(frame, stream);
  hear(test); /* until it is killed */
}

static void run_neighbour(int test, void *user) {
  static checker v;
  struct pollfd asked = { .fd = test, .events = POLLIN };
  uint64_t last = 0, longest = 0;
  checker_options options = { .name = "widow", .sync = ((const victim *)user)->sync, .leases = 2, .release_on = true };
  hear(test);
  checker_begin(&v, &options);
  say(test, 0);
  while (poll(&asked, 1, 0) == 0) {
    int result = checker_look(&v, 10 * MS);
    if (result == CUFRAMES_ERR_TIMEOUT)
      continue;
    CHECK_OK(result);
    uint64_t now = (uint64_t)cuframes_now();
    longest = last && now - last > longest ? now - last : longest;
    last = now;
  }
  hear(test);
  checker_report report = checker_end(&v);
  tell(test, &report, sizeof report);
  say(test, longest);
}

static void kill_a_subscriber(uint32_t sync, bool release_on) {
  sync_need(sync);
  victim how = { sync, release_on };
  death found;
  checker_report report;
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) == 0);
  child *publisher = child_start(run_publisher, NULL);
  child *dying = child_start(run_victim, &how), *neighbour = child_start(run_neighbour, &how);
  close(line[0]);
  close(line[1]);
  hear(publisher->fd);
  say(dying->fd, 0);
  say(neighbour->fd, 0);
  hear(dying->fd);
  hear(neighbour->fd);
  say(publisher->fd, 0);
  hear(dying->fd); /* has the first picture */
  say(publisher->fd, 0);
  hear(publisher->fd); /* its kernels run */
  int64_t killed_at = cuframes_now();
  child_kill(dying);
  say(publisher->fd, (uint64_t)killed_at);
  learn(publisher->fd, &found, sizeof found);
  say(neighbour->fd, 0);
  learn(neighbour->fd, &report, sizeof report);
  uint64_t longest = hear(neighbour->fd);
  child_finish(neighbour);
  say(publisher->fd, 0);
  child_finish(publisher);
  program_note("slot used again %.1f ms after the kill, %" PRIu64
               " pictures later; words changed under its kernels: %" PRIu64 "; the neighbour's longest wait %.1f ms",
               (double)found.reused_after / MS, found.frames, found.wrong, (double)longest / MS);
  CHECK(found.wrong == 0);
  CHECK(found.looked < CHECKS);
  report_is_good(&report, "the neighbour", false);
}

static void complete(void **state) {
  (void)state;
  kill_a_subscriber(CUFRAMES_SYNC_COMPLETE, false);
}

static void complete_release_on(void **state) {
  (void)state;
  kill_a_subscriber(CUFRAMES_SYNC_COMPLETE, true);
}

static void timeline(void **state) {
  (void)state;
  kill_a_subscriber(CUFRAMES_SYNC_TIMELINE, false);
}

static void timeline_release_on(void **state) {
  (void)state;
  kill_a_subscriber(CUFRAMES_SYNC_TIMELINE, true);
}

static void slot_events_release_on(void **state) {
  (void)state;
  kill_a_subscriber(CUFRAMES_SYNC_SLOT_EVENTS, true);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(complete), SHOW(complete_release_on), SHOW(timeline), SHOW(timeline_release_on), SHOW(slot_events_release_on),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
