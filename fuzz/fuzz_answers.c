/* fuzz_answers.c - what a publisher answers, as subscribers and monitors hear it: to HELLO, to each request, and to
 * GET_INFO; with any descriptors beside it, and any numbers in it.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/query.h"
#include "link/discard.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/memory.h"
#include "sent.h"
#include "wire/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t message[CF_WIRE_MESSAGE_MAX];

static void check_text(const char *text, size_t room) {
  size_t length = strnlen(text, room);
  sent_require(length < room && cf_text_is_shown((const uint8_t *)text, length));
}

/* An error has words that may be shown. */
static void check_result(int result) {
  if (result != CUFRAMES_OK) {
    sent_require(result < 0);
    check_text(cf_last_detail(), 512);
  }
}

static void hear_welcome(int fd, int wanted) {
  cf_msg_hello hello = { .version_min = CF_WIRE_VERSION_MIN, .version_max = CF_WIRE_VERSION_MAX };
  cf_joined joined = { .fd = -1, .fds = { -1, -1 } };
  int result = cf_client_welcome(fd, "s", &hello, CF_AT_ONCE, NULL, message, wanted, &joined);
  check_result(result);
  if (result != CUFRAMES_OK) {
    sent_require(joined.fd == -1 && joined.fds[0] == -1 && joined.fds[1] == -1);
    return;
  }
  sent_require(joined.fd == fd && (joined.fds[0] >= 0) == (wanted > 0) && (joined.fds[1] >= 0) == (wanted > 1));
  check_text(joined.welcome.device, sizeof joined.welcome.device);
  void *control = NULL, *seat = NULL;
  if (wanted == 2 && cf_memory_map(joined.fds[0], joined.welcome.control_bytes, CF_SEAL_PUBLIC, &control) == 0)
    cf_memory_unmap(control, joined.welcome.control_bytes);
  if (wanted == 2 && cf_memory_map(joined.fds[1], joined.welcome.seat_bytes, CF_SEAL_PAIR, &seat) == 0)
    cf_memory_unmap(seat, joined.welcome.seat_bytes);
  cf_joined_discard_fds(&joined, fd);
}

static void hear_answer(int fd, uint32_t type) {
  size_t length = 0;
  int came = -1;
  bool has_fd = type == CF_MSG_SEGMENT || type == CF_MSG_PACKETS || type == CF_MSG_SIDE_DATA;
  int result = cf_client_answer(fd, type, CF_AT_ONCE, NULL, message, &length, has_fd ? &came : NULL);
  check_result(result);
  sent_require(result == CUFRAMES_OK || came == -1);
  sent_require(came == -1 || has_fd);
  sent_require(result != CUFRAMES_OK || cf_message_type(message, length) == type);
  cf_discard(came, fd);
}

static void hear_info(int fd) {
  cf_query query = { .fd = fd, .is_welcome = true, .name = "s" };
  cuframes_stream_info *info = NULL;
  int result = cf_query_step(&query, CF_AT_ONCE, NULL, message, &info);
  check_result(result);
  sent_require((result == CUFRAMES_OK) == (info != NULL));
  if (!info)
    return;
  sent_require(info->age_ns == CUFRAMES_NO_TIME || info->age_ns >= 0);
  check_text(info->name, sizeof info->name);
  check_text(info->device, sizeof info->device);
  check_text(info->description, sizeof info->description);
  check_text(info->memory, sizeof info->memory);
  check_text(info->source->reason, sizeof info->source->reason);
  sent_require(info->source->since >= 0 && info->source->next_attempt >= 0);
  for (size_t i = 0; i < info->subscriber_count; i++)
    check_text(info->subscribers[i]->label, sizeof info->subscribers[i]->label);
  for (size_t i = 0; i < info->track_count; i++) {
    const cuframes_track_info *track = info->tracks[i];
    check_text(track->codec, sizeof track->codec);
    sent_require(track->age_ns == CUFRAMES_NO_TIME || track->age_ns >= 0);
    sent_require(track->keyframe_interval_ns >= 0 && track->keyframe_longest_ns >= 0);
  }
  cuframes_stream_info_free(info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint32_t answers[] = { CF_MSG_SEGMENT, CF_MSG_PACKETS, CF_MSG_CODEC, CF_MSG_EVENTS, CF_MSG_SIDE_DATA };
  sent_input in = { data, size };
  int ends[2], descriptors = sent_descriptors();
  sent_require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  for (int i = 0; i < 4 && in.size > 0; i++) {
    uint8_t what = sent_byte(&in) % 8;
    uint32_t type = what == 0 ? CF_MSG_WELCOME : what == 1 ? CF_MSG_INFO : answers[what % 5];
    (void)sent_send(&in, ends[0], sent_byte(&in) < 0x40 ? 0 : type); /* or there is no room */
    if (what == 0)
      hear_welcome(ends[1], sent_byte(&in) & 1 ? 2 : 0);
    else if (what == 1)
      hear_info(ends[1]);
    else
      hear_answer(ends[1], type);
  }
  close(ends[0]);
  sent_require(cf_hang_up(ends[1]));
  sent_wait_closed(descriptors);
  return 0;
}
