/* support/raw.h - the protocol spoken by hand: a client that does as the test likes, and a publisher that is none.
 * docs/protocol.md says what they should do.
 */
#ifndef SUPPORT_RAW_H
#define SUPPORT_RAW_H

#include <pthread.h>

#include "exchange/frame_writer.h"
#include "link/channel.h"
#include "support/fixture.h"
#include "wire/message.h"

/* A connection to the publisher of that name in the runtime directory; it must come about. */
int raw_connect(const char *name);
void raw_send(int fd, uint32_t type, const void *fields);
/* Waits for a message: its type, 0 when the other side closes instead. Descriptors that come are the caller's. */
uint32_t raw_receive(int fd, uint8_t message[CF_WIRE_MESSAGE_MAX], size_t *length, cf_fds *fds);
/* Waits for a message of that type and decodes it. */
void raw_expect(int fd, uint32_t type, void *fields, cf_fds *fds);
/* Waits for REFUSED: its code. What follows must be the end, if `end`. */
cf_msg_refused raw_expect_refused(int fd, bool end);
/* Waits for the other side to close without a word. */
void raw_expect_end(int fd);

/* A HELLO that any publisher takes. */
cf_msg_hello raw_hello(uint32_t mode);

/* A subscriber by hand, with what WELCOME brought. */
typedef struct raw_seat {
  int fd;
  cf_msg_welcome welcome;
  int control_fd, seat_fd;
  const cf_control *control;
  cf_seat *seat;
} raw_seat;

void raw_join(raw_seat *raw, const char *name, const cf_msg_hello *hello);
/* The same with a connection that is there, where it may be refused, or not be answered by then: false, and the
 * connection is closed. */
bool raw_try_join(raw_seat *raw, int fd, const cf_msg_hello *hello, int64_t deadline);
void raw_leave(raw_seat *raw);

/* ---- a publisher that is none ---- */

/* What it says and gives, honest until the test changes it. One frame is published, in segment 1. */
typedef struct raw_publisher {
  cf_msg_welcome welcome;
  int welcome_fds[2], welcome_fd_count;
  cf_msg_segment segment;
  int segment_fd;
  cf_msg_side_data side; /* of segment 1; side_data_max of the control page says whether there are any */
  int side_fd;           /* RAW_SIDE_BYTES of them */
  uint8_t *side_bytes;
  uint32_t welcome_type, segment_type, side_type; /* of the answers; 0: none comes */
  cf_control *control;                            /* 64 slots */
  uint8_t *frames;
  cf_frame_writer writer;
  cf_slot_note notes[64];
  cf_slot_run run;
  int listener;
  pthread_t thread;
} raw_publisher;

enum { RAW_SIDE_BYTES = 4096 };

/* Makes one; the name is free to connect to after raw_publisher_run(). */
raw_publisher *raw_publisher_new(const char *name);
/* Answers one connection after the other on a thread, until end. */
void raw_publisher_run(raw_publisher *p);
void raw_publisher_end(raw_publisher *p, const char *name);

/* Shared memory with these seals only. */
int raw_memory(uint64_t bytes, int seals);

#endif
