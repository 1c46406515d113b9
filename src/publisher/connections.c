/* publisher/connections.c - how many connections there may be, and of whom; how much of what a peer was sent may be
 * unread.
 *
 * One user must not shut out another. So there is no fixed share: a user may have one more connection, or seat, as long
 * as it has fewer than SHARE times what is left without the last, which is for who has none. One alone gets about four
 * fifths, and however many come, something is left for the next. The same rule keeps descriptors of the process free
 * for the program, and for a good client's seat; and for monitors, of which nobody needs many, it is a stricter one.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/error.h"
#include "os/memory.h"
#include "publisher/publisher.h"

#define SHARE 4
#define MONITOR_SHARE 1
/* Connections beside those that max_subscribers allows: monitors, and who has said nothing yet. */
#define BESIDE_SEATS 128
/* So few of one user are let in whatever the share says. */
#define ALWAYS 4
/* Of a seat: its connection, its page, its process. */
#define SEAT_DESCRIPTORS 3
/* Peers of one user that have not received the descriptors that they were sent. Those count, as long as they are on
 * their way, against a limit of our user's, which is that of open files, and not the peer's. */
#define BEHIND_MOST 64
#define BEHIND_SHARE 64

static int64_t connections_of(const cf_service *service, uint32_t uid, int64_t *all) {
  int64_t count = 0;
  *all = 0;
  for (const cf_peer *peer = service->peers; peer; peer = peer->next) {
    ++*all;
    count += peer->credentials.uid == uid;
  }
  return count;
}

static int64_t descriptors_most(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT32_MAX)
    return INT32_MAX;
  return (int64_t)limit.rlim_cur;
}

/* How many descriptors this process may still open, at most: the kernel gives the lowest that is free. */
static int64_t descriptors_left(int newest) {
  return descriptors_most() - newest - 1;
}

/* These could end us as well: nothing is kept from them. */
static bool is_ours(uint32_t uid) {
  return uid == geteuid() || uid == 0;
}

static int connections_check(const cuframes_publisher *p, const cf_peer *peer, int newest, int64_t share) {
  int64_t all, mine = connections_of(&p->service, peer->credentials.uid, &all) - 1, most = p->max_subscribers;
  int64_t left = most + BESIDE_SEATS - (all - 1), descriptors = descriptors_left(newest);
  bool too_many = mine >= ALWAYS && (mine >= share * (left - 1) || SEAT_DESCRIPTORS * mine >= share * descriptors);
  if (left > 0 && !too_many)
    return CUFRAMES_OK;
  return cf_fail(CUFRAMES_ERR_NO_CAPACITY,
                 "the stream has %lld connections, %lld of them of user %u: close some of those, as a monitor's",
                 (long long)all - 1, (long long)mine, peer->credentials.uid);
}

int cf_connections_check_monitor(const cuframes_publisher *p, const cf_peer *peer) {
  int newest = fcntl(peer->fd, F_DUPFD_CLOEXEC, 0); /* the peer's own may be of long ago */
  int result = connections_check(p, peer, newest < 0 ? INT32_MAX : newest, MONITOR_SHARE);
  cf_close(newest);
  return result;
}

int cf_connections_check(const cuframes_publisher *p, const cf_peer *fresh, cf_peer **hungry) {
  *hungry = NULL;
  int result = connections_check(p, fresh, fresh->fd, SHARE);
  if (result == CUFRAMES_OK)
    return result;
  for (cf_peer *peer = p->service.peers; peer; peer = peer->next)
    if (peer != fresh && peer->state == CF_PEER_CONNECTED && peer->credentials.uid == fresh->credentials.uid)
      *hungry = peer;
  return result;
}

cf_peer *cf_connections_oldest_half_open(const cf_service *service) {
  cf_peer *oldest = NULL;
  size_t most = 0;
  for (cf_peer *peer = service->peers; peer; peer = peer->next) {
    size_t count = 0;
    if (peer->state != CF_PEER_CONNECTED)
      continue;
    for (const cf_peer *other = service->peers; other; other = other->next)
      count += other->state == CF_PEER_CONNECTED && other->credentials.uid == peer->credentials.uid;
    if (count >= most) { /* the last one found is the oldest */
      most = count;
      oldest = peer;
    }
  }
  return oldest;
}

int cf_connections_check_seat(const cuframes_publisher *p, const cf_credentials *who) {
  uint64_t taken = cf_counter_get(&p->service.subscribers), mine = 0;
  if (taken >= p->max_subscribers)
    return cf_fail(CUFRAMES_ERR_NO_CAPACITY, "the stream has %u subscribers already, its limit (max_subscribers)",
                   p->max_subscribers);
  if (is_ours(who->uid))
    return CUFRAMES_OK;
  for (const cf_peer *peer = p->service.peers; peer; peer = peer->next)
    mine += peer->promised && peer->credentials.uid == who->uid;
  if (mine == 0 || mine < SHARE * (p->max_subscribers - taken - 1))
    return CUFRAMES_OK;
  return cf_fail(CUFRAMES_ERR_NO_CAPACITY,
                 "user %u has %u of the stream's %u seats (max_subscribers); what is left is for other users", who->uid,
                 (unsigned)mine, p->max_subscribers);
}

/* By the kernel's count of what lies in the peer's queue and is still ours: nothing that the peer does with its end
 * changes that but receiving, or closing it. */
bool cf_peer_is_behind(cf_peer *peer) {
  int unread = 0;
  /* one byte of it is given back last, after the wake-up that we look at */
  if (peer->fd >= 0 && ioctl(peer->fd, SIOCOUTQ, &unread) == 0 && unread > 1)
    return true;
  peer->was_given = false;
  return false;
}

bool cf_connections_may_be_given(const cf_service *service, const cf_peer *peer) {
  int64_t behind = 0, most = descriptors_most() / BEHIND_SHARE;
  if (is_ours(peer->credentials.uid))
    return true;
  for (cf_peer *other = service->peers; other; other = other->next)
    if (other != peer && other->was_given && other->credentials.uid == peer->credentials.uid)
      behind += cf_peer_is_behind(other);
  return behind < (most < BEHIND_MOST ? most : BEHIND_MOST);
}
