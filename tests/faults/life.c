/* faults/life.c - the life of a stream, call by call. */
#include "faults/life.h"

#include <stdio.h>
#include <string.h>

#include "support/packets.h"

static struct {
  bool on;
  uint64_t number; /* of the last picture */
  cuframes_publisher *publisher;
  cuframes_subscriber *newest, *ordered, *packets;
} l;

/* ---- calls that may fail ---- */

/* An error is one of these: what is missing, or what the other side is seen to do for lack of it. */
static bool is_about_resources(int error) {
  switch (error) {
    case CUFRAMES_ERR_NO_MEMORY:
    case CUFRAMES_ERR_SYSTEM:
    case CUFRAMES_ERR_DIRECTORY:
    case CUFRAMES_ERR_NO_SUCH_STREAM: return true;
    default: return false;
  }
}

static void check_error(const char *call, int error) {
  if (!failing_hit() || !is_about_resources(error) || strlen(cuframes_last_error()) < 8) {
    char text[1024];
    snprintf(text, sizeof text, "%s gave %d (%s), after %s failed", call, error, cuframes_last_error(),
             failing_hit() ? failing_hit() : "nothing");
    check_failed(__FILE__, __LINE__, text);
  }
}

/* Calls; once more after a failure, since only one call of the system failed. */
#define TRY(call)                                                                                                      \
  do {                                                                                                                 \
    int result_ = (call);                                                                                              \
    if (result_ != CUFRAMES_OK) {                                                                                      \
      check_error(#call, result_);                                                                                     \
      if (!l.on)                                                                                                       \
        CHECK_OK(call);                                                                                                \
    }                                                                                                                  \
  } while (0)

/* ---- steps ---- */

static int create(void) {
  static const uint32_t ids[] = { 0, 12345 };
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *made = NULL;
  options.side_data_max = 64;
  options.access = CUFRAMES_ACCESS_LISTED;
  options.allow_uids = options.allow_gids = ids;
  options.allow_uid_count = options.allow_gid_count = 2;
  options.ordered_timeout_ns = 10 * MS; /* who could not take a frame makes no room meanwhile, on this same thread */
  int result = cuframes_publisher_create("s", &options, &made);
  CHECK((result == CUFRAMES_OK) == (made != NULL));
  if (made)
    l.publisher = made;
  return result;
}

static int join(uint32_t mode, uint32_t leases, cuframes_subscriber **subscriber) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *made = NULL;
  options.leases = leases;
  options.directory = fixture_directory();
  int result = cuframes_subscriber_create("s", &options, &made);
  CHECK((result == CUFRAMES_OK) == (made != NULL));
  if (made)
    *subscriber = made;
  return result;
}

static int publish(void) {
  int result = picture_publish(l.publisher, l.number + 1);
  l.number += result == CUFRAMES_OK;
  return result;
}

/* Takes the next frame and gives it back. One that cannot be mapped is lost: there must be another. */
static int take(cuframes_subscriber *subscriber) {
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_next(subscriber, SECOND, &frame);
  CHECK((result == CUFRAMES_OK) == (frame != NULL));
  if (!frame) {
    CHECK_OK(publish());
    return result;
  }
  CHECK(picture_is(frame, picture_number(frame)));
  cuframes_frame_release(frame);
  return CUFRAMES_OK;
}

static void packet_side(void) {
  static const uint8_t extradata[100] = { 1 };
  cuframes_codec_params video = video_params();
  cuframes_packet_info packet = {
    .struct_size = sizeof packet, .data = extradata, .size = 100, .flags = CUFRAMES_PACKET_KEY
  };
  TRY(cuframes_publisher_enable_packets(l.publisher, NULL));
  int result = cuframes_publisher_set_codec_params(l.publisher, 0, &video);
  if (result != CUFRAMES_OK && result != CUFRAMES_ERR_NO_PACKET_RING) { /* the ring's memory */
    check_error("cuframes_publisher_set_codec_params", result);
    result = cuframes_publisher_set_codec_params(l.publisher, 0, &video);
  }
  CHECK(result == CUFRAMES_OK || l.on);
  if (result == CUFRAMES_OK)
    TRY(cuframes_publisher_set_codec_extradata(l.publisher, 0, extradata, sizeof extradata));
  if (cuframes_publisher_publish_packet(l.publisher, &packet) != CUFRAMES_OK)
    CHECK(l.on);
}

static int read_packet(void) {
  cuframes_packet *packet = NULL;
  int result = cuframes_subscriber_next_packet(l.packets, 0, &packet);
  CHECK((result == CUFRAMES_OK) == (packet != NULL));
  if (packet)
    CHECK(cuframes_packet_size(packet) == 100);
  cuframes_packet_release(packet);
  return result;
}

static int read_codec(void) {
  const void *extradata = NULL;
  size_t size = 0;
  int result = cuframes_subscriber_get_codec_params(l.packets, 0, NULL, &extradata, &size);
  CHECK(result == CUFRAMES_OK ? size == 100 || l.on : extradata == NULL && size == 0);
  return result;
}

static void read_packets(void) {
  uint32_t count = 0;
  int fd = -1;
  int result = cuframes_subscriber_enable_packets(l.packets, CUFRAMES_PACKETS_FROM_KEYFRAME);
  if (result != CUFRAMES_OK && !l.on) {
    check_error("cuframes_subscriber_enable_packets", result);
    CHECK_OK(cuframes_subscriber_enable_packets(l.packets, CUFRAMES_PACKETS_FROM_KEYFRAME));
  }
  if (l.on) { /* there may be nothing to read: no crash is all that is asked */
    (void)cuframes_subscriber_track_count(l.packets, &count);
    (void)read_codec();
    (void)read_packet();
    (void)cuframes_subscriber_packet_fd(l.packets, &fd);
    return;
  }
  TRY(cuframes_subscriber_track_count(l.packets, &count));
  TRY(read_codec());
  TRY(read_packet());
  TRY(cuframes_subscriber_packet_fd(l.packets, &fd));
}

static int look(void) {
  cuframes_stream_info *info = NULL;
  int result = cuframes_stream_query(NULL, "s", patience(), &info);
  CHECK((result == CUFRAMES_OK) == (info != NULL));
  cuframes_stream_info_free(info);
  return result;
}

static int list(void) {
  cuframes_streams *streams = NULL;
  int result = cuframes_stream_list(NULL, patience(), &streams);
  CHECK((result == CUFRAMES_OK) == (streams != NULL));
  for (size_t i = 0; streams && i < streams->count; i++)
    CHECK(streams->entries[i]->error == CUFRAMES_OK || is_about_resources(streams->entries[i]->error));
  cuframes_streams_free(streams);
  return result;
}

static void called(void *user, cuframes_frame *frame, int error) {
  (void)user, (void)error;
  if (frame)
    cuframes_frame_release(frame);
}

static void other_ways_to_wait(cuframes_subscriber *subscriber) {
  int fd = -1;
  TRY(cuframes_subscriber_fd(subscriber, &fd));
  cuframes_subscriber *other = NULL;
  TRY(join(CUFRAMES_MODE_NEWEST, 1, &other));
  if (!other)
    return;
  TRY(cuframes_subscriber_start(other, called, NULL));
  CHECK_OK(cuframes_subscriber_stop(other));
  cuframes_subscriber_destroy(other);
}

static int batch_take(cuframes_batch *batch) {
  cuframes_batch_entry entry = { 0 };
  uint32_t got = 0;
  CHECK_OK(publish());
  int result = cuframes_batch_next(batch, 1, SECOND, &entry, 1, &got);
  CHECK((result == CUFRAMES_OK) == (got == 1));
  if (got == 1 && entry.frame)
    CHECK(picture_is(entry.frame, picture_number(entry.frame)));
  cuframes_frame_release(entry.frame);
  return result == CUFRAMES_OK ? entry.error : result;
}

/* Twice: it is slept for by the thread that calls, and by one of the library's. */
static void in_a_batch(void) {
  cuframes_batch *batch = NULL;
  cuframes_subscriber *member = NULL;
  int fd = -1;
  TRY(cuframes_batch_create(NULL, &batch));
  TRY(join(CUFRAMES_MODE_NEWEST, 1, &member));
  if (batch && member) {
    TRY(cuframes_batch_add(batch, member, NULL, NULL));
    if (!l.on)
      TRY(batch_take(batch));
    TRY(cuframes_batch_fd(batch, &fd));
    if (!l.on) /* else it may have nobody, and waits for its time */
      TRY(batch_take(batch));
    (void)cuframes_batch_remove(batch, member);
    TRY(cuframes_batch_add(batch, member, NULL, NULL));
  }
  cuframes_subscriber_destroy(member);
  cuframes_batch_destroy(batch);
}

static void live(void) {
  cuframes_format larger = { .pixel_format = CUFRAMES_PIXEL_NV12, .width = 200, .height = 100 };
  TRY(create());
  if (!l.publisher)
    return;
  packet_side();
  CHECK_OK(publish());
  TRY(join(CUFRAMES_MODE_ORDERED, 2, &l.ordered));
  TRY(join(CUFRAMES_MODE_NEWEST, 12, &l.newest)); /* the pool grows for it */
  TRY(join(CUFRAMES_MODE_PACKETS, 0, &l.packets));
  CHECK_OK(publish());
  if (l.newest) {
    TRY(take(l.newest));
    other_ways_to_wait(l.newest);
  }
  if (l.ordered)
    TRY(take(l.ordered));
  if (l.packets)
    read_packets();
  TRY(look());
  TRY(list());
  TRY(cuframes_publisher_set_format(l.publisher, &larger));
  CHECK_OK(publish());
  if (l.newest)
    TRY(take(l.newest));
  cuframes_subscriber_destroy(l.newest);
  if (l.ordered)
    TRY(take(l.ordered));
  CHECK_OK(publish());
  cuframes_subscriber_destroy(l.ordered);
  cuframes_subscriber_destroy(l.packets);
  CHECK_OK(publish());
  in_a_batch();
  CHECK_OK(cuframes_publisher_discontinuity(l.publisher));
}

/* Without faults it serves a newcomer as ever. */
static void recover(void) {
  cuframes_subscriber *fresh = NULL;
  CHECK_OK(join(CUFRAMES_MODE_NEWEST, 3, &fresh));
  CHECK_OK(publish());
  CHECK(frame_look(fresh) == l.number);
  cuframes_subscriber_destroy(fresh);
}

bool life(enum call_kind kind, uint64_t nth, bool on) {
  memset(&l, 0, sizeof l);
  l.on = on;
  failing_nth(kind, nth, on);
  live();
  bool hit = failing_end();
  if (l.publisher)
    recover();
  cuframes_publisher_destroy(l.publisher);
  return hit;
}

/* ---- bystanders ---- */

void bystander_begin(bystander *b) {
  *b = (bystander){ .publisher = publisher_new("b") };
  b->newest = subscriber_new("b", CUFRAMES_MODE_NEWEST);
  b->ordered = subscriber_new("b", CUFRAMES_MODE_ORDERED);
}

void bystander_check(bystander *b) {
  CHECK_OK(picture_publish(b->publisher, ++b->number));
  CHECK(frame_look(b->newest) == b->number);
  CHECK(frame_look(b->ordered) == b->number);
}

void bystander_end(bystander *b) {
  cuframes_subscriber_destroy(b->newest);
  cuframes_subscriber_destroy(b->ordered);
  cuframes_publisher_destroy(b->publisher);
}
