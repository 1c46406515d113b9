/* support/fake.c - a publisher for tests that lie. */
#include "support/fake.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/memory.h"

void fake_answer(int fd, uint32_t type, const void *fields, const int *fds, int fd_count) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = cf_message_encode(type, fields, message, sizeof message);
  CHECK(length > 0);
  (void)cf_send(fd, message, length, fds, fd_count); /* who asked may be gone */
}

static void answer_honestly(const fake *f, int fd, uint32_t type, const uint8_t *message, size_t length) {
  const raw_publisher *p = f->raw;
  cf_msg_hello hello = { 0 };
  cf_msg_get_segment get = { 0 };
  switch (type) {
    case CF_MSG_HELLO:
      CHECK(cf_message_decode(CF_MSG_HELLO, message, length, &hello));
      fake_answer(fd, CF_MSG_WELCOME, &p->welcome, p->welcome_fds, hello.role == CF_ROLE_SUBSCRIBER ? 2 : 0);
      break;
    case CF_MSG_GET_SEGMENT:
      CHECK(cf_message_decode(CF_MSG_GET_SEGMENT, message, length, &get));
      if (get.segment == 1)
        fake_answer(fd, CF_MSG_SEGMENT, &p->segment, &p->segment_fd, 1);
      else
        fake_answer(fd, CF_MSG_REFUSED, &(cf_msg_refused){ .code = CUFRAMES_ERR_STALE, .text = "gone" }, NULL, 0);
      break;
    case CF_MSG_GET_PACKETS: fake_answer(fd, CF_MSG_PACKETS, &f->packets, &f->region_fd, 1); break;
    case CF_MSG_GET_CODEC:
      fake_answer(fd, CF_MSG_CODEC, &(cf_msg_codec){ .media_type = 1, .codec = "h264" }, NULL, 0);
      break;
    case CF_MSG_GET_INFO:
      fake_answer(fd, CF_MSG_INFO, &(cf_msg_info){ .name = "s", .format = { .width = 64 } }, NULL, 0);
      break;
  }
}

/* False when the client has gone. */
static bool serve(fake *f, int fd) {
  uint8_t message[CF_WIRE_MESSAGE_MAX];
  size_t length = 0;
  cf_fds fds;
  int result = cf_receive(fd, message, sizeof message, &length, &fds);
  uint32_t type = result == CUFRAMES_OK ? cf_message_type(message, length) : 0;
  if (type != 0 && (!f->instead || !f->instead(f, fd, type)))
    answer_honestly(f, fd, type, message, length);
  return type != 0 || result == CF_RECEIVE_NOTHING;
}

#define CLIENTS 8

static void *fake_run(void *argument) {
  fake *f = argument;
  struct pollfd fds[1 + CLIENTS] = { { .fd = f->raw->listener, .events = POLLIN } };
  for (int i = 1; i <= CLIENTS; i++)
    fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
  while (!(fds[0].revents & POLLHUP)) { /* shut down: the end */
    (void)poll(fds, 1 + CLIENTS, -1);
    int fresh = accept4(f->raw->listener, NULL, NULL, SOCK_CLOEXEC);
    for (int i = 1; i <= CLIENTS; i++) {
      if (fds[i].fd >= 0 && fds[i].revents && !serve(f, fds[i].fd)) {
        close(fds[i].fd);
        fds[i].fd = -1;
      }
      if (fds[i].fd < 0) {
        fds[i] = (struct pollfd){ .fd = fresh, .events = POLLIN };
        fresh = -1;
      }
    }
    CHECK(fresh < 0);
  }
  for (int i = 1; i <= CLIENTS; i++)
    cf_close(fds[i].fd);
  return NULL;
}

fake *fake_new(void) {
  fake *f = calloc(1, sizeof *f);
  void *region = NULL;
  CHECK(f != NULL);
  f->raw = raw_publisher_new("s");
  f->region_bytes = cf_page_round(cf_packet_region_bytes(FAKE_SLOTS, FAKE_DATA));
  CHECK_OK(cf_memory_create("cuframes-raw", f->region_bytes, CF_SEAL_PUBLIC, &f->region_fd, &region));
  f->region = region;
  f->packets = (cf_msg_packets){ .bytes = f->region_bytes, .track_count = 1 };
  CHECK(cf_packet_writer_init(&f->writer, region, FAKE_SLOTS, FAKE_DATA, FAKE_DATA / 4, 1));
  for (int i = 0; i < 3; i++)
    CHECK(cf_packet_write(&f->writer, &(cf_packet_meta){ .size = 100, .pts = i }, (uint8_t[100]){ 0 }, i == 0) != 0);
  return f;
}

void fake_start(fake *f) {
  CHECK(pthread_create(&f->raw->thread, NULL, fake_run, f) == 0);
}

void fake_end(fake *f) {
  raw_publisher_end(f->raw, "s");
  close(f->region_fd);
  cf_memory_unmap(f->region, f->region_bytes);
  free(f);
}
