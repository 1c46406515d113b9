/* crash/survivor.c - a subscriber that looks closely at what it gets while others die. */
#include "crash/survivor.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash/crash.h"
#include "support/packets.h"

bool survivor_join(survivor *s, uint32_t mode, uint32_t leases, uint32_t depth) {
  cuframes_subscriber_options options = subscriber_options(mode);
  options.leases = leases;
  options.depth = depth;
  *s = (survivor){ .mode = mode };
  int result = cuframes_subscriber_create("s", &options, &s->subscriber);
  if (result == CUFRAMES_ERR_NO_SUCH_STREAM)
    return false;
  CHECK_OK(result);
  if (mode != CUFRAMES_MODE_PACKETS)
    return true;
  result = cuframes_subscriber_enable_packets(s->subscriber, CUFRAMES_PACKETS_FROM_KEYFRAME);
  if (result == CUFRAMES_OK)
    return true;
  CHECK_RESULT(result, CUFRAMES_ERR_PUBLISHER_GONE);
  survivor_leave(s);
  return false;
}

static void held_release(survivor *s) {
  if (!s->held)
    return;
  CHECK(picture_is(s->held, s->held_number));
  cuframes_frame_release(s->held);
  s->held = NULL;
}

static void number_came(survivor *s, uint64_t number) {
  CHECK(number > s->last);
  CHECK(s->mode == CUFRAMES_MODE_NEWEST || s->last == 0 || number == s->last + 1);
  s->last = number;
  s->checked++;
}

/* One picture or packet, if there is one in that time. */
static int look(survivor *s, int64_t timeout_ns) {
  if (s->mode == CUFRAMES_MODE_PACKETS) {
    cuframes_packet *packet = NULL;
    int result = cuframes_subscriber_next_packet(s->subscriber, timeout_ns, &packet);
    if (result != CUFRAMES_OK)
      return result;
    uint64_t number = (uint64_t)cuframes_packet_pts(packet) / 1000;
    CHECK(packet_is(packet, number, cuframes_packet_size(packet)));
    cuframes_packet_release(packet);
    number_came(s, number);
    return CUFRAMES_OK;
  }
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(s->subscriber, timeout_ns, &frame);
  if (result != CUFRAMES_OK)
    return result;
  number_came(s, picture_number(frame));
  held_release(s);
  s->held = frame;
  s->held_number = s->last;
  return CUFRAMES_OK;
}

bool survivor_take(survivor *s, uint64_t number) {
  int result = CUFRAMES_OK;
  while (s->last < number && result == CUFRAMES_OK)
    result = look(s, patience());
  if (result != CUFRAMES_ERR_PUBLISHER_GONE)
    CHECK_OK(result);
  return result == CUFRAMES_OK;
}

void survivor_take_up_to(survivor *s, uint64_t number) {
  while (s->last < number)
    CHECK_OK(look(s, patience()));
}

void survivor_end(survivor *s) {
  int64_t start = cuframes_now();
  int result;
  if (!s->subscriber)
    return;
  while ((result = look(s, patience())) == CUFRAMES_OK)
    ;
  CHECK_RESULT(result, CUFRAMES_ERR_PUBLISHER_GONE);
  SOON(cuframes_now() - start, AT_ONCE_MS);
  survivor_leave(s);
}

void survivor_leave(survivor *s) {
  cuframes_subscriber_destroy(s->subscriber);
  s->subscriber = NULL;
  held_release(s);
}

int survivor_descriptors(void) {
  static const char name[] = "/memfd:standin";
  DIR *open = opendir("/proc/self/fd");
  int count = 0;
  CHECK(open != NULL);
  for (struct dirent *entry; (entry = readdir(open)) != NULL;) {
    char path[300], target[64];
    snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
    ssize_t length = readlink(path, target, sizeof target);
    bool standin = length >= (ssize_t)sizeof name - 1 && strncmp(target, name, sizeof name - 1) == 0;
    count += length > 0 && !standin;
  }
  closedir(open);
  return count;
}
