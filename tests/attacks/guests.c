/* attacks/guests.c - attackers that use the library as anybody does, only more of it than is good; processes that
 * fork or have little of everything; and tricks with the files of the runtime directory.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks/attacks.h"
#include "link/channel.h"
#include "os/memory.h"
#include "support/attack.h"
#include "support/raw.h"
#include "support/stream.h"

static uint32_t dice(attacker *me, uint32_t limit) {
  return attack_below(&me->random, limit);
}

/* NULL: not now. */
static cuframes_subscriber *join(attacker *me, uint32_t mode, uint32_t leases, uint32_t depth) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  options.leases = leases;
  options.depth = depth;
  options.connect_timeout_ns = 100 * MS;
  atomic_fetch_add(&me->tries, 1);
  return cuframes_subscriber_create(me->stream, &options, &subscriber) == 0 ? subscriber : NULL;
}

static uint32_t some_mode(attacker *me) {
  return me->patient || dice(me, 2) ? CUFRAMES_MODE_NEWEST : CUFRAMES_MODE_ORDERED;
}

/* ---- subscribers ---- */

/* Takes all the leases there are and holds what it gets: the pool grows, and shrinks when it has gone. */
void attack_growth(attacker *me) {
  enum { LEASES = 16 };
  while (attack_goes_on(me)) {
    cuframes_frame *held[LEASES] = { NULL };
    cuframes_subscriber *subscriber = join(me, some_mode(me), LEASES, 32);
    for (int i = 0; i < LEASES && subscriber && attack_goes_on(me); i++)
      if (cuframes_subscriber_next(subscriber, 100 * MS, &held[i]) != CUFRAMES_OK)
        break;
    pause_ms((int)dice(me, 100));
    bool first = dice(me, 2);
    if (first)
      cuframes_subscriber_destroy(subscriber);
    for (int i = 0; i < LEASES; i++)
      cuframes_frame_release(held[i]);
    if (!first)
      cuframes_subscriber_destroy(subscriber);
  }
}

void attack_crowd(attacker *me) {
  while (attack_goes_on(me)) {
    cuframes_subscriber *subscriber = join(me, some_mode(me), 1 + dice(me, 16), 1 + dice(me, 32));
    cuframes_frame *frame = NULL;
    if (subscriber && dice(me, 2) && cuframes_subscriber_next(subscriber, 20 * MS, &frame) == CUFRAMES_OK)
      CHECK(picture_is(frame, (uint64_t)cuframes_frame_pts(frame) / 1000));
    cuframes_frame_release(frame);
    cuframes_subscriber_destroy(subscriber);
  }
}

/* ---- forks ---- */

typedef struct parent {
  cuframes_subscriber *subscriber;
  cuframes_frame *frame;
} parent;

static parent family; /* a child that exits is to find what it points to */

static void be_child(uint32_t how) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (how == 0) {
    cuframes_subscriber_destroy(family.subscriber);
    cuframes_frame_release(family.frame);
  } else if (how == 1) {
    cuframes_frame *none = NULL;
    if (cuframes_subscriber_next(family.subscriber, 0, &none) != CUFRAMES_ERR_INVALID)
      _exit(1);
  } else if (how == 2) {
    pause_ms(30); /* it outlives what its parent leaves */
  } else {
#ifndef __SANITIZE_ADDRESS__ /* it would look for leaks in threads that are not here any more */
    exit(0);                 /* with handlers, destructors and all */
#endif
  }
  _exit(0);
}

static void fork_and_go_on(attacker *me) {
  uint64_t number = (uint64_t)cuframes_frame_pts(family.frame) / 1000;
  int status = 0;
  fflush(NULL);
  uint32_t how = dice(me, 4);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0)
    be_child(how);
  if (how != 2)
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  CHECK(picture_is(family.frame, number));
  cuframes_frame_release(family.frame);
  family.frame = NULL;
  int result = cuframes_subscriber_next(family.subscriber, patience(), &family.frame);
  if (result == CUFRAMES_OK) { /* what comes is whole, and newer */
    CHECK((uint64_t)cuframes_frame_pts(family.frame) / 1000 > number);
    CHECK(picture_is(family.frame, (uint64_t)cuframes_frame_pts(family.frame) / 1000));
  } else {
    CHECK(result == CUFRAMES_ERR_EVICTED || result == CUFRAMES_ERR_PUBLISHER_GONE);
  }
  if (how == 2)
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

void attack_forks(attacker *me) {
  while (attack_goes_on(me)) {
    family.subscriber = join(me, some_mode(me), 3, 4);
    if (family.subscriber && cuframes_subscriber_next(family.subscriber, 200 * MS, &family.frame) == CUFRAMES_OK)
      for (int i = 0; i < 4 && attack_goes_on(me) && family.frame; i++)
        fork_and_go_on(me);
    cuframes_frame_release(family.frame);
    cuframes_subscriber_destroy(family.subscriber);
    family = (parent){ 0 };
  }
}

/* ---- little of everything ---- */

static void limit_set(int resource, rlim_t value) {
  struct rlimit limit;
  CHECK(getrlimit(resource, &limit) == 0);
  limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
  CHECK(setrlimit(resource, &limit) == 0);
}

/* Of what it could look at: not even that may be possible. */
static void check_whole(const cuframes_frame *frame) {
  bool whole = false;
  if (picture_look(frame, (uint64_t)cuframes_frame_pts(frame) / 1000, &whole) == CUFRAMES_OK)
    CHECK(whole);
}

/* Takes part in its victim, and publishes under a name of its own. What cannot be had is an error in words. */
static void live(attacker *me) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cuframes_subscriber *subscriber = join(me, CUFRAMES_MODE_NEWEST, 16, 0);
  cuframes_frame *frame = NULL;
  char name[32];
  snprintf(name, sizeof name, "x-limits-%d", me->id);
  int result = cuframes_publisher_create(name, &options, &publisher);
  CHECK(result == CUFRAMES_OK || cuframes_last_error()[0] != '\0');
  if (publisher)
    (void)picture_publish(publisher, 1);
  if (subscriber && cuframes_subscriber_next(subscriber, 50 * MS, &frame) == CUFRAMES_OK)
    check_whole(frame);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

void attack_limits(attacker *me) {
  while (attack_goes_on(me)) {
    limit_set(RLIMIT_NOFILE, 5 + dice(me, 30));
    limit_set(RLIMIT_FSIZE, dice(me, 2) ? RLIM_INFINITY : (rlim_t)dice(me, 64) << 10);
    live(me);
    pause_ms(1);
  }
}

/* Memory that is short, and shared memory that is not its own: it maps what it can. */
void attack_memory(attacker *me) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  bool limited = false; /* the sanitizer takes most addresses for itself */
#else
  bool limited = true;
#endif
  while (attack_goes_on(me)) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file && fscanf(file, "%llu", &pages) == 1);
    fclose(file);
    if (limited)
      limit_set(RLIMIT_AS, pages * 4096 + ((rlim_t)dice(me, 24) << 20));
    live(me);
    limit_set(RLIMIT_AS, RLIM_INFINITY);
    size_t bytes = (size_t)(1 + dice(me, 64)) << 20;
    void *much = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (much != MAP_FAILED) {
      memset(much, 1, bytes);
      munmap(much, bytes);
    }
  }
}

/* ---- files ---- */

/* What anybody may do in a directory like /tmp: it must not get at what is there. With others' rights the sticky bit
 * keeps the files of the streams. */
void attack_directory(attacker *me) {
  while (attack_goes_on(me)) {
    char mine[512], theirs[512];
    snprintf(mine, sizeof mine, "%s", fixture_path("x-%d.%s", me->id, dice(me, 2) ? "sock" : "lock"));
    snprintf(theirs, sizeof theirs, "%s", fixture_path("%s.%s", me->stream, dice(me, 2) ? "sock" : "lock"));
    switch (dice(me, 6)) {
      case 0: (void)symlink("/etc/hostname", mine); break;
      case 1: (void)symlink(mine, mine); break;
      case 2: (void)mkfifo(mine, 0666); break;
      case 3: (void)mkdir(mine, 0777); break;
      case 4: (void)symlink(theirs, mine); break;
      default: cf_close(open(mine, O_CREAT | O_RDWR | O_CLOEXEC, 0666)); break;
    }
    if (me->user != 0) { /* as ourselves it would be allowed */
      int fd = open(theirs, O_RDWR | O_NONBLOCK | O_CLOEXEC);
      CHECK(fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0);
      cf_close(fd);
      CHECK(unlink(theirs) != 0 && rename(theirs, mine) != 0);
      CHECK(me->mortal || rename(mine, theirs) != 0); /* a name that nobody has he may take */
      CHECK(chmod(theirs, 0777) != 0);
    }
    pause_ms(1 + (int)dice(me, 10));
    if (unlink(mine) != 0)
      (void)rmdir(mine);
  }
}

/* ---- a publisher that lies ---- */

/* One answer, such as it is, to whoever asks. */
static void answer_falsely(attacker *me, int fd, tar_pit *pit) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  cf_msg_welcome welcome = { .version = CF_WIRE_VERSION_MAX, .control_bytes = UINT64_MAX, .device = "host" };
  cf_msg_info info = { .name = "x", .timestamp = dice(me, 2) ? INT64_MIN : INT64_MAX, .frames = UINT64_MAX };
  cf_msg_refused refused = { .code = CUFRAMES_ERR_NO_CAPACITY, .text = "LLLLLLLL" };
  size_t length = 0;
  switch (dice(me, 6)) {
    case 0: length = cf_message_encode(CF_MSG_WELCOME, &welcome, message, sizeof message); break;
    case 1: length = cf_message_encode(CF_MSG_INFO, &info, message, sizeof message); break;
    case 2:
      length = cf_message_encode(CF_MSG_REFUSED, &refused, message, sizeof message);
      for (size_t at = 0; at < length; at++)
        if (message[at] == 'L')
          message[at] = 0x9b;
      break;
    case 3:
      if (pit->fd >= 0)
        (void)send_tar(fd, pit);
      return;
    case 4: return; /* never */
    default:
      length = 1 + dice(me, 300);
      memset(message, (int)dice(me, 256), length);
      break;
  }
  (void)send(fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Who lists the directory asks it, too. */
void attack_lies(attacker *me) {
  enum { CLIENTS = 16 };
  int listener = -1, fds[CLIENTS], count = 0;
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  char path[512];
  tar_pit pit = tar_pit_new();
  snprintf(path, sizeof path, "%s", fixture_path("x-lies-%d.sock", me->id));
  if (cf_listen(-1, path, 0666, 0, &listener) != CUFRAMES_OK)
    pause_ms(1); /* somebody was quicker */
  while (listener >= 0 && attack_goes_on(me)) {
    int fd = count < CLIENTS ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (fd >= 0) {
      fds[count++] = fd;
      atomic_fetch_add(&me->tries, 1);
    }
    for (int i = 0; i < count; i++)
      if (recv(fds[i], message, sizeof message, MSG_DONTWAIT) > 0)
        answer_falsely(me, fds[i], &pit);
    if (count == CLIENTS && dice(me, 50) == 0)
      close(fds[--count]);
    pause_ms(1);
  }
  while (count > 0)
    close(fds[--count]);
  tar_pit_end(&pit);
  if (listener < 0)
    return;
  close(listener);
  (void)unlink(path);
}
