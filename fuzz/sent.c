/* sent.c - messages built from the input of a fuzz target, with descriptors beside them. */
#include "sent.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/message.h"
#include "wire/schema.h"

#define MOST 253 /* descriptors beside one message; the kernel takes no more */
#define WAITS 10000

void sent_require(bool holds) {
  if (!holds)
    abort();
}

uint8_t sent_byte(sent_input *in) {
  if (in->size == 0)
    return 0;
  in->size--;
  return *in->data++;
}

uint64_t sent_number(sent_input *in) {
  static const uint64_t borders[] = { 0, 1, 2, 64, 4096, INT32_MAX, UINT32_MAX, INT64_MAX, INT64_MIN, UINT64_MAX };
  uint64_t number = 0;
  uint8_t b = sent_byte(in);
  if (b < 0xa0)
    return b % 24;
  if (b < 0xe0)
    return borders[b % 10];
  for (int i = 0; i < 8; i++)
    number = number << 8 | sent_byte(in);
  return number;
}

/* ---- descriptors ---- */

enum kind { SEALED, UNSEALED, PIPE, SOCKET, DEVICE, FOLDER, KINDS };

static int memory(bool sealed) {
  int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  sent_require(fd >= 0 && ftruncate(fd, 8192) == 0);
  if (sealed)
    sent_require(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE) == 0);
  return fd;
}

static int descriptor(enum kind kind) {
  int ends[2];
  switch (kind) {
    case PIPE: sent_require(pipe2(ends, O_CLOEXEC) == 0); break;
    case SOCKET: sent_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0); break;
    case DEVICE: return open("/dev/null", O_RDWR | O_CLOEXEC);
    case FOLDER: return open("/", O_PATH | O_CLOEXEC);
    default: return memory(kind == SEALED);
  }
  close(ends[1]);
  return ends[0];
}

/* ---- messages ---- */

static bool send_message(int to, const void *bytes, size_t length, int fd, int count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MOST * sizeof(int))];
  } control;
  struct iovec data = { .iov_base = (void *)bytes, .iov_len = length };
  struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
  int fds[MOST];
  for (int i = 0; i < count; i++)
    fds[i] = fd;
  if (count > 0) {
    memset(&control, 0, sizeof control);
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(rights), fds, (size_t)count * sizeof(int));
  }
  return sendmsg(to, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* The fields of a type, whatever it is, by its schema. */
static void fill(sent_input *in, uint32_t type, uint8_t *fields) {
  static const uint8_t bytes[64] = "some bytes";
  const cf_schema_field *f;
  for (size_t i = 0; (f = cf_message_schema(type, i)) != NULL; i++) {
    cf_bytes piece = { bytes, sent_byte(in) % sizeof bytes };
    if (f->kind == CF_FIELD_TEXT) {
      for (size_t k = 0, n = sent_byte(in) % (f->max + 1u); k < n; k++)
        fields[f->offset + k] = (uint8_t)sent_number(in);
    } else if (f->kind == CF_FIELD_BYTES) {
      memcpy(fields + f->offset, &piece, sizeof piece);
    } else if (f->kind != CF_FIELD_LIST && f->kind != CF_FIELD_GROUP) {
      bool wide = f->kind == CF_FIELD_U64 || f->kind == CF_FIELD_I64;
      for (size_t k = 0; k < f->max; k++) {
        uint64_t number = sent_number(in);
        memcpy(fields + f->offset + k * (wide ? 8u : 4u), &number, wide ? 8 : 4);
      }
    }
  }
}

static size_t build(sent_input *in, uint32_t type, uint8_t *message) {
  union {
    uint8_t bytes[8192];
    uint64_t align;
  } fields;
  uint8_t how = sent_byte(in);
  memset(&fields, 0, sizeof fields);
  if (how < 8)
    return 0; /* an empty one */
  if (how < 16) {
    size_t length = sent_byte(in);
    length = length < in->size ? length : in->size;
    memcpy(message, in->data, length);
    in->data += length;
    in->size -= length;
    return length;
  }
  if (type == 0)
    type = 1 + sent_byte(in) % CF_MSG_SIDE_DATA;
  fill(in, type, fields.bytes);
  size_t length = cf_message_encode(type, fields.bytes, message, CF_WIRE_MESSAGE_MAX);
  if (type == CF_MSG_INFO && length > 0 && how % 2) { /* with a seat */
    memset(&fields, 0, sizeof fields);
    fill(in, CF_SCHEMA_GROUP(CF_GROUP_SEAT), fields.bytes);
    (void)cf_message_append(CF_GROUP_SEAT, fields.bytes, message, &length, CF_WIRE_MESSAGE_MAX); /* if it fits */
  }
  if (how < 32 && length > 0) /* damaged */
    message[sent_number(in) % length] ^= sent_byte(in);
  return length;
}

bool sent_send(sent_input *in, int to, uint32_t type) {
  static uint8_t message[CF_WIRE_MESSAGE_MAX];
  static const int counts[] = { 0, 0, 0, 1, 1, 1, 2, 2, 3, 8, 9, MOST };
  size_t length = build(in, type, message);
  int count = counts[sent_byte(in) % (sizeof counts / sizeof counts[0])];
  int fd = count > 0 ? descriptor((enum kind)(sent_byte(in) % KINDS)) : -1;
  bool sent = send_message(to, message, length, fd, count);
  if (fd >= 0)
    close(fd);
  return sent;
}

/* ---- what is left ---- */

int sent_descriptors(void) {
  DIR *directory = opendir("/proc/self/fd");
  int count = 0;
  if (!directory)
    return -1;
  while (readdir(directory))
    count++;
  closedir(directory);
  return count;
}

void sent_wait_closed(int descriptors) {
  for (int i = 0; sent_descriptors() > descriptors; i++) {
    sent_require(i < WAITS); /* they were forgotten */
    (void)poll(NULL, 0, 1);
  }
}
