/* support/raw.c - the protocol spoken by hand. */
#include "support/raw.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/memory.h"

/* ---- a client ---- */

int raw_connect(const char *name) {
  int fd = -1;
  CHECK_OK(cf_connect(-1, fixture_path("%s.sock", name), name, cuframes_now() + patience(), NULL, &fd));
  return fd;
}

void raw_send(int fd, uint32_t type, const void *fields) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = cf_message_encode(type, fields, message, sizeof message);
  CHECK(length > 0);
  (void)send(fd, message, length, MSG_NOSIGNAL); /* the other side may have closed: what it said counts */
}

uint32_t raw_receive(int fd, uint8_t message[CF_WIRE_MESSAGE_MAX], size_t *length, cf_fds *fds) {
  int result = cf_receive_by(fd, cuframes_now() + patience(), NULL, message, CF_WIRE_MESSAGE_MAX, length, fds);
  if (result == CUFRAMES_ERR_PUBLISHER_GONE)
    return 0;
  CHECK_OK(result);
  return cf_message_type(message, *length);
}

void raw_expect(int fd, uint32_t type, void *fields, cf_fds *fds) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = 0;
  CHECK(raw_receive(fd, message, &length, fds) == type);
  CHECK(cf_message_decode(type, message, length, fields));
}

void raw_expect_end(int fd) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = 0;
  cf_fds fds;
  CHECK(raw_receive(fd, message, &length, &fds) == 0);
}

cf_msg_refused raw_expect_refused(int fd, bool end) {
  cf_msg_refused refused = { 0 };
  cf_fds fds;
  raw_expect(fd, CF_MSG_REFUSED, &refused, &fds);
  CHECK(fds.count == 0);
  CHECK(refused.code < 0 && refused.text[0] != '\0');
  if (end)
    raw_expect_end(fd);
  return refused;
}

cf_msg_hello raw_hello(uint32_t mode) {
  return (cf_msg_hello){ .version_min = CF_WIRE_VERSION_MIN,
                         .version_max = CF_WIRE_VERSION_MAX,
                         .role = CF_ROLE_SUBSCRIBER,
                         .mode = mode,
                         .sync_modes = CUFRAMES_SYNC_COMPLETE,
                         .label = "by hand" };
}

static void seat_map(raw_seat *raw, cf_fds *fds) {
  CHECK(fds->count == 2);
  raw->control_fd = fds->fd[0];
  raw->seat_fd = fds->fd[1];
  void *control = mmap(NULL, raw->welcome.control_bytes, PROT_READ, MAP_SHARED, raw->control_fd, 0);
  void *seat = mmap(NULL, raw->welcome.seat_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, raw->seat_fd, 0);
  CHECK(control != MAP_FAILED && seat != MAP_FAILED);
  raw->control = control;
  raw->seat = seat;
}

bool raw_try_join(raw_seat *raw, int fd, const cf_msg_hello *hello, int64_t deadline) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = 0;
  cf_fds fds = { .count = 0 };
  raw->fd = fd;
  raw_send(fd, CF_MSG_HELLO, hello);
  int result = cf_receive_by(fd, deadline, NULL, message, sizeof message, &length, &fds);
  if (result == CUFRAMES_OK && cf_message_decode(CF_MSG_WELCOME, message, length, &raw->welcome)) {
    seat_map(raw, &fds);
    return true;
  }
  cf_fds_close(&fds);
  close(fd);
  return false;
}

void raw_join(raw_seat *raw, const char *name, const cf_msg_hello *hello) {
  CHECK(raw_try_join(raw, raw_connect(name), hello, cuframes_now() + patience()));
}

void raw_leave(raw_seat *raw) {
  munmap((void *)raw->control, raw->welcome.control_bytes);
  munmap(raw->seat, raw->welcome.seat_bytes);
  close(raw->control_fd);
  close(raw->seat_fd);
  close(raw->fd);
}

/* ---- a publisher that is none ---- */

#define FRAME_BYTES 4096
#define FRAMES 4

int raw_memory(uint64_t bytes, int seals) {
  int fd = memfd_create("cuframes-raw", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
  CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

static void frames_make(raw_publisher *p) {
  void *frames = NULL;
  CHECK_OK(cf_memory_create("cuframes-raw", FRAME_BYTES * FRAMES, CF_SEAL_PUBLIC, &p->segment_fd, &frames));
  p->frames = frames;
  p->segment = (cf_msg_segment){
    .segment = 1,
    .bytes = FRAME_BYTES * FRAMES,
    .format = { .pixel_format = CUFRAMES_PIXEL_GRAY8, .width = 64, .height = 16, .pitch = { 64 } }
  };
  void *side = NULL;
  CHECK_OK(cf_memory_create("cuframes-raw", RAW_SIDE_BYTES, CF_SEAL_PUBLIC, &p->side_fd, &side));
  p->side_bytes = side;
  p->side = (cf_msg_side_data){ .segment = 1, .bytes = RAW_SIDE_BYTES };
  p->side_type = CF_MSG_SIDE_DATA;
  p->run = (cf_slot_run){ .segment = 1, .count = FRAMES, .stride = FRAME_BYTES };
  cf_writer_offer(&p->writer, &p->run);
  cf_writer_adopt(&p->writer);
  cf_writer_set_floor(&p->writer, 1);
  cf_writer_set_top(&p->writer, 1);
  uint32_t slot = cf_writer_acquire(&p->writer);
  CHECK(slot != CF_NO_SLOT);
  (void)cf_writer_publish(&p->writer, slot, &(cf_frame_meta){ .pts = 1 }, true);
}

raw_publisher *raw_publisher_new(const char *name) {
  raw_publisher *p = calloc(1, sizeof *p);
  uint64_t control_bytes = cf_page_round(cf_control_bytes(64));
  void *control = NULL, *seat = NULL;
  CHECK(p != NULL);
  CHECK_OK(cf_memory_create("cuframes-raw", control_bytes, CF_SEAL_PUBLIC, &p->welcome_fds[0], &control));
  CHECK_OK(cf_memory_create("cuframes-raw", cf_page_round(sizeof(cf_seat)), CF_SEAL_PAIR, &p->welcome_fds[1], &seat));
  cf_memory_unmap(seat, cf_page_round(sizeof(cf_seat)));
  p->control = control;
  cf_writer_init(&p->writer, control, 64, p->notes, 77, 1);
  frames_make(p);
  p->welcome = (cf_msg_welcome){ .version = CF_WIRE_VERSION_MAX,
                                 .sync_mode = CUFRAMES_SYNC_COMPLETE,
                                 .leases = 2,
                                 .control_bytes = control_bytes,
                                 .seat_bytes = cf_page_round(sizeof(cf_seat)),
                                 .device = "host",
                                 .instance = 77 };
  p->welcome_fd_count = 2;
  p->welcome_type = CF_MSG_WELCOME;
  p->segment_type = CF_MSG_SEGMENT;
  CHECK_OK(cf_listen(-1, fixture_path("%s.sock", name), 0600, 0, &p->listener));
  return p;
}

static void answer(int fd, uint32_t type, const void *fields, const int *fds, int fd_count) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = cf_message_encode(type, fields, message, sizeof message);
  (void)cf_send(fd, message, length, fds, fd_count); /* who asked may be gone */
}

static void serve(const raw_publisher *p, int fd) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = 0;
  cf_fds fds;
  while (cf_receive_by(fd, cuframes_now() + patience(), NULL, message, sizeof message, &length, &fds) == CUFRAMES_OK) {
    uint32_t type = cf_message_type(message, length);
    if (type == CF_MSG_HELLO && p->welcome_type == CF_MSG_WELCOME)
      answer(fd, CF_MSG_WELCOME, &p->welcome, p->welcome_fds, p->welcome_fd_count);
    else if (type == CF_MSG_GET_SEGMENT && p->segment_type == CF_MSG_SEGMENT)
      answer(fd, CF_MSG_SEGMENT, &p->segment, &p->segment_fd, p->segment_fd >= 0 ? 1 : 0);
    else if (type == CF_MSG_GET_SIDE_DATA && p->side_type == CF_MSG_SIDE_DATA)
      answer(fd, CF_MSG_SIDE_DATA, &p->side, &p->side_fd, p->side_fd >= 0 ? 1 : 0);
    else if (type == CF_MSG_GET_SIDE_DATA)
      answer(fd, CF_MSG_REFUSED, &(cf_msg_refused){ .code = CUFRAMES_ERR_UNSUPPORTED, .text = "none" }, NULL, 0);
    else if ((type == CF_MSG_HELLO ? p->welcome_type : p->segment_type) == CF_MSG_CODEC)
      answer(fd, CF_MSG_CODEC, &(cf_msg_codec){ 0 }, NULL, 0); /* not what was asked */
  }
}

static void *publisher_run(void *argument) {
  raw_publisher *p = argument;
  for (;;) {
    struct pollfd ready = { .fd = p->listener, .events = POLLIN };
    (void)poll(&ready, 1, -1);
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && (ready.revents & POLLHUP))
      return NULL; /* shut down: the end */
    if (fd >= 0) {
      serve(p, fd);
      close(fd);
    }
  }
}

void raw_publisher_run(raw_publisher *p) {
  CHECK(pthread_create(&p->thread, NULL, publisher_run, p) == 0);
}

void raw_publisher_end(raw_publisher *p, const char *name) {
  CHECK(shutdown(p->listener, SHUT_RDWR) == 0);
  CHECK(pthread_join(p->thread, NULL) == 0);
  CHECK(unlink(fixture_path("%s.sock", name)) == 0);
  close(p->listener);
  for (int i = 0; i < 2; i++)
    close(p->welcome_fds[i]);
  if (p->segment_fd >= 0)
    close(p->segment_fd);
  munmap(p->control, cf_page_round(cf_control_bytes(64)));
  cf_close(p->side_fd);
  munmap(p->side_bytes, RAW_SIDE_BYTES);
  munmap(p->frames, FRAME_BYTES * FRAMES);
  free(p);
}
