/* attacks/strangers.c - attackers that speak the protocol by hand: sockets, messages and seats. */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attacks/attacks.h"
#include "os/memory.h"
#include "support/attack.h"
#include "support/raw.h"
#include "support/scribble.h"

#define CONNECT_MS 500
#define ANSWER_MS 2000

uint64_t attack_random(uint64_t *state) {
  uint64_t x = *state += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

uint32_t attack_below(uint64_t *state, uint32_t limit) {
  return limit == 0 ? 0 : (uint32_t)((attack_random(state) >> 32) * limit >> 32);
}

bool attack_goes_on(const attacker *me) {
  return cuframes_now() < me->end && !atomic_load((_Atomic uint32_t *)me->over);
}

static int try_connect(attacker *me) {
  int fd = -1;
  atomic_fetch_add(&me->tries, 1);
  (void)cf_connect(-1, fixture_path("%s.sock", me->stream), me->stream, cuframes_now() + CONNECT_MS * MS, NULL, &fd);
  return fd;
}

/* Until the round is over, or the publisher has hung up. */
static void stay(attacker *me) {
  while (attack_goes_on(me))
    pause_ms(5);
}

static uint32_t dice(attacker *me, uint32_t limit) {
  return attack_below(&me->random, limit);
}

/* A mode in which it cannot hold up the stream, where that would be no wonder. */
static uint32_t some_mode(attacker *me) {
  static const uint32_t modes[] = { CUFRAMES_MODE_NEWEST, CUFRAMES_MODE_PACKETS, CUFRAMES_MODE_ORDERED };
  return modes[dice(me, me->patient ? 2 : 3)];
}

static bool join(attacker *me, raw_seat *raw, uint32_t mode, uint32_t role) {
  cf_msg_hello hello = raw_hello(mode);
  int fd = try_connect(me);
  if (fd < 0)
    return false;
  hello.role = role;
  hello.leases = mode == CUFRAMES_MODE_PACKETS ? 0 : SCRIBBLE_LEASES;
  return raw_try_join(raw, fd, &hello, cuframes_now() + ANSWER_MS * MS);
}

/* ---- descriptors ---- */

void attack_close_for_me(attacker *me) {
  enum { PITS = 12 };
  tar_pit pits[PITS];
  int made = 0;
  while (made < PITS && attack_goes_on(me)) {
    raw_seat raw;
    bool seated = dice(me, 2) && join(me, &raw, some_mode(me), CF_ROLE_SUBSCRIBER);
    int fd = seated ? raw.fd : try_connect(me);
    if (fd < 0)
      continue;
    for (uint32_t empty = dice(me, 3); empty > 0; empty--)
      (void)send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT);
    pits[made] = tar_pit_new();
    (void)send_tar(fd, &pits[made++]); /* a kernel that knows how refuses */
    if (seated)
      raw_leave(&raw);
    else
      close(fd);
  }
  stay(me);
  while (made > 0)
    tar_pit_end(&pits[--made]);
}

void attack_empty_messages(attacker *me) {
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(null >= 0);
  while (attack_goes_on(me)) {
    int fd = try_connect(me);
    for (uint32_t i = dice(me, 6); fd >= 0 && i > 0; i--)
      if (!send_with(fd, "", 0, null, 8))
        (void)send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT);
    cf_close(fd);
    pause_ms(1);
  }
  close(null);
}

/* ---- more than its share ---- */

void attack_unread_answers(attacker *me) {
  enum { SEATS = 5, ASKED = 230 };
  raw_seat raw[SEATS];
  int seats = 0;
  while (seats < SEATS && attack_goes_on(me) && join(me, &raw[seats], some_mode(me), CF_ROLE_SUBSCRIBER))
    seats++;
  for (int k = 0; k < ASKED && attack_goes_on(me); k++)
    for (int i = 0; i < seats; i++) {
      uint8_t message[CF_WIRE_MESSAGE_MAX];
      uint32_t what = dice(me, 3);
      cf_msg_get_segment segment = { .segment = 1 + dice(me, 3) };
      uint32_t none = 0;
      uint32_t type = what == 0 ? CF_MSG_GET_SEGMENT : what == 1 ? CF_MSG_GET_PACKETS : CF_MSG_GET_INFO;
      size_t length = cf_message_encode(type, what == 0 ? (void *)&segment : &none, message, sizeof message);
      (void)send(raw[i].fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  stay(me);
  while (seats > 0)
    raw_leave(&raw[--seats]);
}

static void flood(attacker *me, const cf_msg_hello *hello) {
  enum { MOST = 150 };
  int fds[MOST], count = 0;
  while (count < MOST && attack_goes_on(me)) {
    int fd = try_connect(me);
    if (fd < 0)
      break;
    if (hello)
      raw_send(fd, CF_MSG_HELLO, hello);
    fds[count++] = fd;
  }
  stay(me);
  while (count > 0)
    close(fds[--count]);
}

void attack_monitors(attacker *me) {
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  hello.role = CF_ROLE_MONITOR;
  flood(me, &hello);
}

void attack_silence(attacker *me) {
  flood(me, NULL);
}

/* Comes and goes as fast as it can. */
void attack_connections(attacker *me) {
  cf_msg_hello hello = raw_hello(CUFRAMES_MODE_NEWEST);
  while (attack_goes_on(me)) {
    int fd = try_connect(me);
    uint32_t how = dice(me, 4);
    if (fd >= 0 && how < 2)
      raw_send(fd, CF_MSG_HELLO, &hello);
    if (fd >= 0 && how == 1)
      (void)shutdown(fd, SHUT_RDWR);
    cf_close(fd);
  }
}

/* ---- what is no message ---- */

/* A HELLO whose label has bytes that a terminal would obey. */
void attack_labels(attacker *me) {
  static const char *const texts[] = { "\x1b[2J\x1b[31m",
                                       "\xc2\x9b"
                                       "31m",
                                       "a\nb",
                                       "\xe2\x80\xae"
                                       "cba",
                                       "\xff\xfe",
                                       "\xc0\x80",
                                       "\xed\xa0\x80",
                                       "tab\there",
                                       "\x7f",
                                       "\xe2\x80\xa8" };
  cf_msg_hello hello = raw_hello(some_mode(me));
  while (attack_goes_on(me)) {
    uint8_t message[CF_WIRE_MESSAGE_MAX];
    const char *text = texts[dice(me, sizeof texts / sizeof texts[0])];
    int fd = try_connect(me);
    memset(hello.label, 'L', CF_LABEL_BYTES - 1);
    size_t length = cf_message_encode(CF_MSG_HELLO, &hello, message, sizeof message);
    for (size_t at = 0; at + strlen(text) <= length; at++)
      if (message[at] == 'L') {
        memcpy(message + at, text, strlen(text));
        break;
      }
    if (fd >= 0)
      (void)send(fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    pause_ms((int)dice(me, 4));
    cf_close(fd);
  }
}

/* Parts of messages, and bytes that are none. */
void attack_halves(attacker *me) {
  while (attack_goes_on(me)) {
    uint8_t message[CF_WIRE_MESSAGE_MAX];
    cf_msg_hello hello = raw_hello(dice(me, 4));
    int fd = try_connect(me);
    size_t length = cf_message_encode(CF_MSG_HELLO, &hello, message, sizeof message);
    for (uint32_t i = 1 + dice(me, 3); fd >= 0 && i > 0; i--) {
      size_t part = dice(me, 3) ? 1 + dice(me, (uint32_t)length) : dice(me, sizeof message);
      for (uint32_t wrong = dice(me, 3); wrong > 0; wrong--)
        message[dice(me, (uint32_t)length)] = (uint8_t)dice(me, 256);
      (void)send(fd, message, part, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    pause_ms((int)dice(me, 8));
    cf_close(fd);
  }
}

/* Sound messages of any type at any time, with and without descriptors, from who has joined and who has not. */
void attack_babble(attacker *me) {
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(null >= 0);
  while (attack_goes_on(me)) {
    raw_seat raw;
    bool seated = dice(me, 2) && join(me, &raw, some_mode(me), CF_ROLE_SUBSCRIBER);
    int fd = seated ? raw.fd : try_connect(me);
    for (uint32_t i = 1 + dice(me, 30); fd >= 0 && i > 0; i--) {
      uint8_t message[CF_WIRE_MESSAGE_MAX];
      union {
        uint64_t align;
        uint32_t words[4096];
      } fields = { .words = { dice(me, 4), dice(me, 70), dice(me, 3) } };
      size_t length = cf_message_encode(1 + dice(me, CF_MSG_SIDE_DATA + 1), &fields, message, sizeof message);
      if (length > 0 && dice(me, 8) == 0 && send_with(fd, message, length, null, 1 + (int)dice(me, 8)))
        continue;
      (void)send(fd, message, length > 0 ? length : 3, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (seated)
      raw_leave(&raw);
    else
      cf_close(fd);
    pause_ms(1);
  }
  close(null);
}

/* ---- seats ---- */

static void scribble(attacker *me, const scribble_style *style) {
  raw_seat raw;
  uint32_t mode = me->patient ? CUFRAMES_MODE_NEWEST : style->mode;
  if (!join(me, &raw, mode, CF_ROLE_SUBSCRIBER))
    return;
  while (attack_goes_on(me)) {
    for (int i = 0; i < 2000; i++)
      style->write(&raw);
    pause_ms(1);
  }
  raw_leave(&raw); /* with whatever stands in its leases */
}

void attack_scribbling(attacker *me) {
  scribble(me, &scribble_styles[dice(me, SCRIBBLE_STYLES)]);
}

/* Leases that are there at one look and gone at the next. */
void attack_leases(attacker *me) {
  for (int i = 0; i < SCRIBBLE_STYLES; i++)
    if (attack_goes_on(me) && scribble_styles[i].mode == CUFRAMES_MODE_NEWEST) {
      int64_t end = me->end;
      me->end = cuframes_now() + (end - cuframes_now()) / 3;
      scribble(me, &scribble_styles[i]);
      me->end = end;
    }
}
