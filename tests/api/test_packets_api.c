/* test_packets_api.c - encoded packets: the ring, tracks, parameters, where a reader begins. */
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "support/packets.h"

#define KEY CUFRAMES_PACKET_KEY
#define NEW_PARAMS CUFRAMES_PACKET_NEW_PARAMS

static void the_ring_has_the_sizes_that_were_asked_for(void **state) {
  (void)state;
  static const struct {
    cuframes_packet_ring_options asked;
    uint32_t slots;
    uint64_t data_bytes, max_packet;
  } rings[] = {
    { { .slots = 0 }, 64, 8 << 20, 2 << 20 },
    { { .slots = 100, .data_bytes = 1 << 20 }, 128, 1 << 20, 1 << 18 },
    { { .slots = 1, .data_bytes = 1000, .max_packet = 1000 }, 2, 1024, 1000 },
  };
  for (size_t i = 0; i < sizeof rings / sizeof rings[0]; i++) {
    cuframes_publisher *publisher = publisher_new("s");
    uint64_t before = publisher_stats(publisher).memory_bytes;
    cuframes_packet_ring_options ring = rings[i].asked;
    cuframes_codec_params video = video_params();
    cuframes_stream_info *info = NULL;
    ring.struct_size = sizeof ring;
    CHECK_OK(cuframes_publisher_enable_packets(publisher, &ring));
    CHECK_RESULT(cuframes_publisher_enable_packets(publisher, &ring), CUFRAMES_ERR_BUSY);
    CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
    CHECK_OK(packet_publish(publisher, 0, 1, rings[i].max_packet, KEY));
    CHECK_RESULT(packet_publish(publisher, 0, 2, rings[i].max_packet + 1, KEY), CUFRAMES_ERR_PACKET_OVERSIZED);
    CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
    assert_int_equal(info->packet_slots, rings[i].slots);
    assert_int_equal(info->packet_data_bytes, rings[i].data_bytes);
    assert_int_equal(info->packets, 1);
    assert_int_equal(info->packet_bytes, rings[i].max_packet);
    assert_int_equal(info->track_count, 1);
    assert_string_equal(info->tracks[0]->codec, "h264");
    uint64_t more = publisher_stats(publisher).memory_bytes - before;
    CHECK_BETWEEN(more, rings[i].data_bytes + 64 * rings[i].slots, rings[i].data_bytes + 64 * rings[i].slots + 8192);
    cuframes_stream_info_free(info);
    cuframes_publisher_destroy(publisher);
  }
}

static void impossible_rings_are_refused(void **state) {
  (void)state;
  static const cuframes_packet_ring_options bad[] = {
    { .slots = 65537 },
    { .slots = UINT32_MAX },
    { .data_bytes = (UINT64_C(1) << 32) + 1 },
    { .data_bytes = UINT64_MAX },
    { .data_bytes = 1000, .max_packet = 2000 },
    { .max_packet = UINT64_MAX },
  };
  cuframes_publisher *publisher = publisher_new("s");
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    cuframes_packet_ring_options ring = bad[i];
    ring.struct_size = sizeof ring;
    CHECK_RESULT(cuframes_publisher_enable_packets(publisher, &ring), CUFRAMES_ERR_INVALID);
  }
  CHECK_RESULT(cuframes_publisher_enable_packets(publisher, &bad[0]), CUFRAMES_ERR_INVALID); /* no size said */
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  cuframes_publisher_destroy(publisher);
}

static void a_ring_may_come_with_the_publisher(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_packet_ring_options ring = {
    .struct_size = sizeof ring, .slots = 8, .data_bytes = 4096, .max_packet = 8192
  };
  cuframes_publisher *publisher = NULL;
  cuframes_stream_info *info = NULL;
  options.packets = &ring;
  CHECK_RESULT(cuframes_publisher_create("s", &options, &publisher), CUFRAMES_ERR_INVALID); /* more than the ring */
  assert_null(publisher);
  ring.max_packet = 1024;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher)); /* and no name was taken in vain */
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  assert_true(info->packet_slots == 8 && info->packet_data_bytes == 4096);
  cuframes_stream_info_free(info);
  CHECK_RESULT(cuframes_publisher_enable_packets(publisher, NULL), CUFRAMES_ERR_BUSY);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void without_a_ring_everything_says_so(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_codec_params video = video_params();
  CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, 0, &video), CUFRAMES_ERR_NO_PACKET_RING);
  CHECK_RESULT(cuframes_publisher_set_codec_extradata(publisher, 0, "x", 1), CUFRAMES_ERR_NO_PACKET_RING);
  CHECK_RESULT(packet_publish(publisher, 0, 1, 10, KEY), CUFRAMES_ERR_NO_PACKET_RING);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_PACKETS);
  cuframes_packet *none = NULL;
  uint32_t count = 77;
  CHECK_RESULT(cuframes_subscriber_enable_packets(subscriber, 0), CUFRAMES_ERR_NO_PACKET_RING);
  detail_names("s");
  CHECK_RESULT(cuframes_subscriber_enable_packets(subscriber, 3), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_subscriber_next_packet(subscriber, 0, &none), CUFRAMES_ERR_NO_PACKET_RING);
  CHECK_RESULT(cuframes_subscriber_track_count(subscriber, &count), CUFRAMES_ERR_NO_PACKET_RING);
  assert_int_equal(count, 77);
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL)); /* it may come later */
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  CHECK_OK(cuframes_subscriber_track_count(subscriber, &count));
  assert_int_equal(count, 0);
  packet_none(subscriber);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void parameters_are_checked(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_codec_params good = video_params(), bad = good;
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_RESULT(packet_publish(publisher, 0, 1, 10, KEY), CUFRAMES_ERR_NO_CODEC_PARAMS);
  CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, CUFRAMES_TRACKS_MAX, &good), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, 0, NULL), CUFRAMES_ERR_INVALID);
  for (uint32_t type = 0; type <= 4; type += 4) {
    bad.media_type = type;
    CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, 0, &bad), CUFRAMES_ERR_INVALID);
  }
  bad = good;
  memset(bad.codec, 'x', sizeof bad.codec); /* no end */
  CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, 0, &bad), CUFRAMES_ERR_INVALID);
  bad.codec[0] = '\0';
  CHECK_RESULT(cuframes_publisher_set_codec_params(publisher, 0, &bad), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &good));
  uint8_t *large = calloc(1, CUFRAMES_EXTRADATA_MAX + 1);
  assert_non_null(large);
  CHECK_RESULT(cuframes_publisher_set_codec_extradata(publisher, 0, large, CUFRAMES_EXTRADATA_MAX + 1),
               CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_codec_extradata(publisher, 0, NULL, 1), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_set_codec_extradata(publisher, 99, large, 1), CUFRAMES_ERR_INVALID);
  free(large);
  cuframes_packet_info packet = { .struct_size = sizeof packet, .data = "x", .size = 0 };
  CHECK_RESULT(cuframes_publisher_publish_packet(publisher, &packet), CUFRAMES_ERR_INVALID);
  packet = (cuframes_packet_info){ .struct_size = sizeof packet, .data = NULL, .size = 1 };
  CHECK_RESULT(cuframes_publisher_publish_packet(publisher, &packet), CUFRAMES_ERR_INVALID);
  packet = (cuframes_packet_info){ .struct_size = sizeof packet, .data = "x", .size = 1, .track = 16 };
  CHECK_RESULT(cuframes_publisher_publish_packet(publisher, &packet), CUFRAMES_ERR_INVALID);
  packet = (cuframes_packet_info){ .struct_size = sizeof packet, .data = "x", .size = SIZE_MAX };
  CHECK_RESULT(cuframes_publisher_publish_packet(publisher, &packet), CUFRAMES_ERR_PACKET_OVERSIZED);
  assert_int_equal(publisher_stats(publisher).packets, 0);
  cuframes_publisher_destroy(publisher);
}

static void check_params(cuframes_subscriber *subscriber, uint32_t stream, const cuframes_codec_params *wanted,
                         const uint8_t *extradata, size_t size) {
  cuframes_codec_params got = { .struct_size = sizeof got };
  const void *data = NULL;
  size_t length = 77;
  CHECK_OK(cuframes_subscriber_get_codec_params(subscriber, stream, &got, &data, &length));
  assert_memory_equal(&got, wanted, sizeof got);
  assert_int_equal(length, size);
  assert_non_null(data);
  for (size_t i = 0; i < size + 64; i++)
    assert_int_equal(((const uint8_t *)data)[i], i < size ? extradata[i] : 0);
}

static void parameters_and_extradata_arrive(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_codec_params video = video_params(), audio = audio_params(), data = video;
  uint8_t *extradata = malloc(CUFRAMES_EXTRADATA_MAX);
  uint32_t count = 0;
  assert_non_null(extradata);
  for (size_t i = 0; i < CUFRAMES_EXTRADATA_MAX; i++)
    extradata[i] = (uint8_t)(i * 5 + 1);
  CHECK_OK(cuframes_subscriber_track_count(subscriber, &count));
  assert_int_equal(count, 2);
  check_params(subscriber, 0, &video, extradata, 0);
  check_params(subscriber, 1, &audio, extradata, 0);
  CHECK_OK(cuframes_publisher_set_codec_extradata(publisher, 0, extradata, CUFRAMES_EXTRADATA_MAX));
  CHECK_OK(cuframes_publisher_set_codec_extradata(publisher, 1, extradata, 3));
  data.media_type = CUFRAMES_MEDIA_DATA;
  strcpy(data.codec, "a-name-of-thirty-one-characters");
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 15, &data));
  check_params(subscriber, 0, &video, extradata, CUFRAMES_EXTRADATA_MAX);
  check_params(subscriber, 1, &audio, extradata, 3);
  check_params(subscriber, 15, &data, extradata, 0);
  CHECK_OK(cuframes_publisher_set_codec_extradata(publisher, 0, NULL, 0));
  check_params(subscriber, 0, &video, extradata, 0);
  CHECK_OK(cuframes_subscriber_track_count(subscriber, &count));
  assert_int_equal(count, 3);
  CHECK_OK(cuframes_subscriber_get_codec_params(subscriber, 0, NULL, NULL, NULL));
  CHECK_RESULT(cuframes_subscriber_get_codec_params(subscriber, 2, &data, NULL, NULL), CUFRAMES_ERR_NO_CODEC_PARAMS);
  CHECK_RESULT(cuframes_subscriber_get_codec_params(subscriber, 16, &data, NULL, NULL), CUFRAMES_ERR_NO_CODEC_PARAMS);
  CHECK_RESULT(cuframes_subscriber_get_codec_params(subscriber, UINT32_MAX, &data, NULL, NULL),
               CUFRAMES_ERR_NO_CODEC_PARAMS);
  free(extradata);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void packets_of_all_streams_arrive_in_order(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  static const size_t sizes[] = { 1, 7, 8, 9, 100, 4096, 65537, 2 << 20 };
  cuframes_packet *kept = NULL;
  for (uint64_t i = 0; i < 40; i++) {
    size_t size = sizes[i % 8];
    const uint32_t said = (i % 10 == 0  ? KEY
                           : i % 3 == 0 ? CUFRAMES_PACKET_CORRUPT
                                        : 0) |
                          (i % 4 == 0 ? CUFRAMES_PACKET_HIDDEN : 0) | (i % 5 == 0 ? CUFRAMES_PACKET_DISPOSABLE : 0);
    CHECK_OK(packet_publish(publisher, i % 2, i, size, said));
    cuframes_packet *packet = NULL;
    CHECK_OK(cuframes_subscriber_next_packet(subscriber, patience(), &packet));
    assert_true(packet_is(packet, i, size));
    assert_int_equal(cuframes_packet_seq(packet), i + 1);
    assert_int_equal(cuframes_packet_track(packet), i % 2);
    assert_int_equal(cuframes_packet_flags(packet), said | (i < 2 ? NEW_PARAMS : 0));
    if (i == 6)
      kept = packet; /* its own copy: the ring goes round meanwhile */
    else
      cuframes_packet_release(packet);
  }
  assert_true(packet_is(kept, 6, 65537));
  cuframes_packet_release(kept);
  cuframes_packet_release(kept); /* twice does no harm */
  cuframes_packet_release(NULL);
  cuframes_subscriber_stats stats = subscriber_stats(subscriber);
  assert_int_equal(stats.packets, 40);
  assert_int_equal(stats.packets_lost, 0);
  assert_int_equal(publisher_stats(publisher).packets, 40);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_change_of_parameters_marks_the_next_packet_of_its_stream(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_codec_params video = video_params();
  uint32_t flags;
  CHECK_OK(packet_publish(publisher, 0, 1, 10, KEY));
  CHECK_OK(packet_publish(publisher, 1, 2, 10, KEY));
  assert_int_equal(packet_look(subscriber, &flags), 1);
  assert_int_equal(packet_look(subscriber, &flags), 2);
  video.width = 1280;
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 0, &video));
  CHECK_OK(cuframes_publisher_set_codec_extradata(publisher, 0, "sps", 3));
  CHECK_OK(packet_publish(publisher, 1, 3, 10, KEY));
  CHECK_OK(packet_publish(publisher, 0, 4, 10, KEY));
  CHECK_OK(packet_publish(publisher, 0, 5, 10, 0));
  assert_int_equal(packet_look(subscriber, &flags), 3);
  assert_int_equal(flags, KEY);
  assert_int_equal(packet_look(subscriber, &flags), 4);
  assert_int_equal(flags, KEY | NEW_PARAMS);
  check_params(subscriber, 0, &video, (const uint8_t *)"sps", 3);
  assert_int_equal(packet_look(subscriber, &flags), 5);
  assert_int_equal(flags, 0);
  CHECK_OK(cuframes_publisher_discontinuity(publisher));
  CHECK_OK(packet_publish(publisher, 1, 6, 10, 0));
  CHECK_OK(packet_publish(publisher, 0, 7, 10, 0));
  assert_int_equal(packet_look(subscriber, &flags), 6);
  assert_int_equal(flags, CUFRAMES_PACKET_DISCONTINUITY);
  assert_int_equal(packet_look(subscriber, &flags), 7);
  assert_int_equal(flags, 0);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void a_late_reader_begins_at_a_keyframe(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *first = packet_subscriber("s", 0, false);
  CHECK_OK(packet_publish(publisher, 0, 1, 10, 0));   /* no start yet */
  CHECK_OK(packet_publish(publisher, 1, 2, 10, KEY)); /* each of audio is a key, but there is video */
  packet_none(first);
  for (uint64_t number = 3; number <= 20; number++)
    CHECK_OK(packet_publish(publisher, number % 3 == 0 ? 0 : 1, number, 100,
                            number == 6 || number == 12 || number % 3 ? KEY : 0));
  assert_int_equal(packet_look(first, NULL), 12); /* it had nothing yet: the last start there is */
  cuframes_subscriber *late = packet_subscriber("s", CUFRAMES_PACKETS_FROM_KEYFRAME, false);
  cuframes_subscriber *next = packet_subscriber("s", CUFRAMES_PACKETS_FROM_NEXT_KEYFRAME, false);
  for (uint64_t number = 12; number <= 20; number++)
    assert_int_equal(packet_look(late, NULL), number);
  packet_none(late);
  packet_none(next);
  CHECK_OK(packet_publish(publisher, 0, 21, 10, 0));
  CHECK_OK(packet_publish(publisher, 1, 22, 10, KEY));
  packet_none(next);
  CHECK_OK(packet_publish(publisher, 0, 23, 10, KEY));
  assert_int_equal(packet_look(next, NULL), 23);
  assert_int_equal(subscriber_stats(next).packets_lost, 0); /* what was before it was not meant for it */
  cuframes_subscriber_destroy(first);
  cuframes_subscriber_destroy(late);
  cuframes_subscriber_destroy(next);
  cuframes_publisher_destroy(publisher);
}

static void without_video_any_keyframe_is_a_start(void **state) {
  (void)state;
  cuframes_publisher *publisher = publisher_new("s");
  cuframes_codec_params audio = audio_params();
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  CHECK_OK(cuframes_publisher_set_codec_params(publisher, 3, &audio));
  for (uint64_t number = 1; number <= 5; number++)
    CHECK_OK(packet_publish(publisher, 3, number, 10, KEY));
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  assert_int_equal(packet_look(subscriber, NULL), 5);
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

static void packets_only_costs_no_frames(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  cuframes_subscriber *subscribers[5];
  cuframes_stream_info *info = NULL;
  cuframes_frame *none = NULL;
  options.slots = options.max_slots = 2;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  CHECK_OK(cuframes_publisher_enable_packets(publisher, NULL));
  for (int i = 0; i < 5; i++)
    subscribers[i] = packet_subscriber("s", 0, false);
  pictures_publish(publisher, 1, 100);
  assert_int_equal(publisher_stats(publisher).slots, 2);
  assert_int_equal(publisher_stats(publisher).subscribers, 5);
  CHECK_RESULT(cuframes_subscriber_next(subscribers[0], 0, &none), CUFRAMES_ERR_UNSUPPORTED);
  CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
  for (int i = 0; i < 5; i++) {
    assert_int_equal(info->subscribers[i]->mode, CUFRAMES_MODE_PACKETS);
    assert_int_equal(info->subscribers[i]->leases, 0);
    assert_int_not_equal(info->subscribers[i]->packets, 0);
    assert_int_equal(info->subscribers[i]->lag, 0);
    cuframes_subscriber_destroy(subscribers[i]);
  }
  cuframes_stream_info_free(info);
  cuframes_publisher_destroy(publisher);
}

static void frames_and_packets_go_together(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  CHECK_OK(cuframes_subscriber_enable_packets(subscriber, 0));
  for (uint64_t number = 1; number <= 30; number++) {
    CHECK_OK(packet_publish(publisher, 0, number, 1000, KEY));
    pictures_publish(publisher, number, 1);
    cuframes_packet *packet = NULL;
    CHECK_OK(cuframes_subscriber_next_packet(subscriber, patience(), &packet));
    cuframes_frame *frame = frame_take(subscriber);
    assert_int_equal(cuframes_packet_pts(packet), cuframes_frame_pts(frame));
    cuframes_frame_release(frame);
    cuframes_packet_release(packet);
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
}

/* As a garbage collector releases them: from another thread, late, and in any order. */
static void *release_late(void *argument) {
  cuframes_packet **packets = argument;
  for (int i = 4; i >= 0; i--)
    cuframes_packet_release(packets[i]);
  return NULL;
}

static void packets_outlive_their_subscriber(void **state) {
  (void)state;
  cuframes_publisher *publisher = packet_publisher("s", 0, 0);
  cuframes_subscriber *subscriber = packet_subscriber("s", 0, false);
  cuframes_packet *packets[5] = { NULL };
  pthread_t thread;
  for (uint64_t number = 1; number <= 5; number++) {
    CHECK_OK(packet_publish(publisher, 0, number, 100 * number, KEY));
    CHECK_OK(cuframes_subscriber_next_packet(subscriber, patience(), &packets[number - 1]));
  }
  cuframes_subscriber_destroy(subscriber);
  cuframes_publisher_destroy(publisher);
  for (uint64_t number = 1; number <= 5; number++)
    assert_true(packet_is(packets[number - 1], number, 100 * number));
  assert_int_equal(pthread_create(&thread, NULL, release_late, packets), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  cuframes_packet_release(NULL);
  assert_null(cuframes_packet_data(NULL));
  assert_int_equal(cuframes_packet_size(NULL), 0);
  assert_true(cuframes_packet_pts(NULL) == CUFRAMES_NO_TIME);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(the_ring_has_the_sizes_that_were_asked_for),
    FIXTURE(impossible_rings_are_refused),
    FIXTURE(a_ring_may_come_with_the_publisher),
    FIXTURE(without_a_ring_everything_says_so),
    FIXTURE(parameters_are_checked),
    FIXTURE(parameters_and_extradata_arrive),
    FIXTURE(packets_of_all_streams_arrive_in_order),
    FIXTURE(a_change_of_parameters_marks_the_next_packet_of_its_stream),
    FIXTURE(a_late_reader_begins_at_a_keyframe),
    FIXTURE(without_video_any_keyframe_is_a_start),
    FIXTURE(packets_only_costs_no_frames),
    FIXTURE(frames_and_packets_go_together),
    FIXTURE(packets_outlive_their_subscriber),
  };
  return FIXTURE_RUN("packets_api", tests);
}
