/* support/fake.h - a publisher for tests that lie: raw_publisher with packets, which answers every request of every
 * client, honestly unless the test does it instead.
 */
#ifndef SUPPORT_FAKE_H
#define SUPPORT_FAKE_H

#include "exchange/packet_ring.h"
#include "support/raw.h"

/* Of its packet region. */
enum { FAKE_SLOTS = 8, FAKE_DATA = 4096 };

typedef struct fake {
  raw_publisher *raw;
  cf_msg_packets packets;
  int region_fd;
  uint64_t region_bytes;
  cf_packet_region *region;
  cf_packet_writer writer;
  bool (*instead)(struct fake *f, int fd, uint32_t type); /* on its thread; true: answered */
  uint32_t only;                                          /* for `instead`: what it is about */
  int code;
} fake;

/* Makes one named "s", with one frame and packets 1 (a keyframe), 2 and 3; start() lets clients in. */
fake *fake_new(void);
void fake_start(fake *f);
void fake_end(fake *f);

/* Sends a message; who asked may be gone. */
void fake_answer(int fd, uint32_t type, const void *fields, const int *fds, int fd_count);

#endif
