/* test_annotation.c - what others say of a frame: a detector with a stream of its own, and who asks for what it said of
 * the frame in his hand.
 */
#include <pthread.h>
#include <string.h>

#include "support/stream.h"

/* A stream without pictures, as detectors have it. */
static cuframes_publisher *detector_new(const char *name, const cuframes_packet_ring_options *ring) {
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.format = (cuframes_format){ 0 };
  CHECK_OK(cuframes_publisher_create(name, &options, &publisher));
  CHECK_OK(cuframes_publisher_enable_packets(publisher, ring));
  return publisher;
}

static cuframes_join *join_new(uint32_t keep, uint32_t type, uint32_t reconnect) {
  cuframes_join_options options = {
    .struct_size = sizeof options, .keep = keep, .type = type, .reconnect = reconnect, .connect_timeout_ns = patience()
  };
  cuframes_join *join = NULL;
  CHECK_OK(cuframes_join_create("detector", &options, &join));
  return join;
}

static cuframes_frame_id id_of(const char *stream, uint64_t instance, uint64_t seq) {
  cuframes_frame_id id = { .struct_size = sizeof id, .instance = instance, .seq = seq, .pts = (int64_t)seq * 1000 };
  memcpy(id.stream, stream, strlen(stream));
  return id;
}

/* Says of that frame its own number. */
static void say_of(cuframes_publisher *detector, const cuframes_frame_id *id) {
  cuframes_detection found = { .x = 0.25F, .width = 0.5F, .confidence = 1, .class_id = (uint32_t)id->seq };
  CHECK_OK(
      cuframes_publisher_publish_annotation(detector, 0, id, CUFRAMES_ANNOTATION_DETECTIONS, &found, sizeof found));
}

static void is_said_of(cuframes_packet *packet, const cuframes_frame_id *id) {
  cuframes_frame_id of = { .struct_size = sizeof of };
  uint32_t type = 0;
  const void *data = NULL;
  size_t size = 0;
  CHECK_OK(cuframes_packet_annotation(packet, &of, &type, &data, &size));
  CHECK(memcmp(&of, id, sizeof of) == 0);
  CHECK(type == CUFRAMES_ANNOTATION_DETECTIONS && size == sizeof(cuframes_detection));
  CHECK(((const cuframes_detection *)data)->class_id == id->seq);
  CHECK(cuframes_packet_pts(packet) == id->pts);
  cuframes_packet_release(packet);
}

/* From a camera's frame to what a detector said of it, and nothing else. */
static void what_was_said_of_a_frame_is_found(void **state) {
  (void)state;
  cuframes_publisher *camera = publisher_new("camera"), *detector = detector_new("detector", NULL);
  cuframes_subscriber *looks = subscriber_new("camera", 0), *shows = subscriber_new("camera", CUFRAMES_MODE_ORDERED);
  cuframes_join *join = join_new(0, 0, 0);
  cuframes_packet *packet = NULL;
  for (uint64_t number = 1; number <= 20; number++) {
    CHECK_OK(picture_publish(camera, number));
    cuframes_frame *frame = frame_take(looks), *same = frame_take(shows);
    cuframes_frame_id id = { .struct_size = sizeof id }, shown = id;
    CHECK_OK(cuframes_frame_identify(frame, &id));
    CHECK_OK(cuframes_frame_identify(same, &shown));
    CHECK_RESULT(cuframes_join_find(join, &shown, 0, &packet), CUFRAMES_ERR_TIMEOUT);
    if (number % 4 == 0) { /* this one the detector leaves out */
      cuframes_frame_release(frame);
      cuframes_frame_release(same);
      continue;
    }
    say_of(detector, &id);
    for (int again = 0; again < 2; again++) {
      CHECK_OK(cuframes_join_find(join, &shown, patience(), &packet));
      is_said_of(packet, &id);
    }
    if (number % 4 == 1 && number > 1) {
      cuframes_frame_id before = shown;
      before.seq--;
      CHECK_RESULT(cuframes_join_find(join, &before, patience(), &packet), CUFRAMES_ERR_STALE);
      detail_names("camera");
      CHECK_OK(cuframes_join_latest(join, &before, &packet));
      before.seq--;
      before.pts -= 2000;
      is_said_of(packet, &before);
    }
    cuframes_frame_release(frame);
    cuframes_frame_release(same);
  }
  cuframes_join_destroy(join);
  cuframes_subscriber_destroy(looks);
  cuframes_subscriber_destroy(shows);
  cuframes_publisher_destroy(camera);
  cuframes_publisher_destroy(detector);
}

static void other_streams_and_instances_are_not_taken_for_it(void **state) {
  (void)state;
  cuframes_publisher *detector = detector_new("detector", NULL);
  cuframes_join *join = join_new(0, 0, 0);
  cuframes_packet *packet = NULL;
  cuframes_frame_id wanted = id_of("a", 1, 5),
                    said[] = { id_of("b", 1, 5), id_of("a", 2, 5), id_of("a", 2, 6), id_of("b", 1, 9) };
  for (int i = 0; i < 4; i++)
    say_of(detector, &said[i]);
  CHECK_RESULT(cuframes_join_find(join, &wanted, 0, &packet), CUFRAMES_ERR_TIMEOUT); /* it may be later than they are */
  CHECK_RESULT(cuframes_join_latest(join, &wanted, &packet), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(cuframes_join_find(join, &said[1], 0, &packet));
  is_said_of(packet, &said[1]);
  cuframes_frame_id first = id_of("a", 1, 4), later = id_of("a", 2, 7);
  say_of(detector, &first);
  CHECK_RESULT(cuframes_join_find(join, &wanted, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  say_of(detector, &later); /* another instance after it: the camera was started anew */
  CHECK_RESULT(cuframes_join_find(join, &wanted, 0, &packet), CUFRAMES_ERR_STALE);
  CHECK_OK(cuframes_join_latest(join, &wanted, &packet));
  is_said_of(packet, &first);
  cuframes_join_destroy(join);
  cuframes_publisher_destroy(detector);
}

static void only_the_newest_are_kept(void **state) {
  (void)state;
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = 256 };
  cuframes_publisher *detector = detector_new("detector", &ring);
  cuframes_join *join = join_new(8, 0, 0);
  cuframes_packet *packet = NULL, *held = NULL;
  for (uint64_t seq = 1; seq <= 100; seq++) {
    cuframes_frame_id id = id_of("a", 1, seq);
    say_of(detector, &id);
    CHECK_OK(cuframes_join_find(join, &id, 0, &packet));
    if (seq == 1)
      held = packet;
    else
      cuframes_packet_release(packet);
  }
  cuframes_frame_id first = id_of("a", 1, 1), gone = id_of("a", 1, 92), kept = id_of("a", 1, 93);
  CHECK_RESULT(cuframes_join_find(join, &gone, patience(), &packet), CUFRAMES_ERR_STALE);
  CHECK_RESULT(cuframes_join_latest(join, &gone, &packet), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(cuframes_join_find(join, &kept, 0, &packet));
  is_said_of(packet, &kept);
  cuframes_join_destroy(join);
  is_said_of(held, &first); /* its reference is its own */
  cuframes_publisher_destroy(detector);
}

/* What has left the ring was passed by all the same, and so is all of an instance that another one followed. */
static void what_is_kept_no_more_was_passed_by(void **state) {
  (void)state;
  cuframes_publisher *detector = detector_new("detector", NULL);
  cuframes_join *join = join_new(2, 0, 0);
  cuframes_packet *packet = NULL;
  cuframes_frame_id a5 = id_of("a", 1, 5), a4 = id_of("a", 1, 4), a6 = id_of("a", 1, 6), anew = id_of("a", 2, 1),
                    unknown = id_of("a", 3, 1);
  say_of(detector, &a5);
  for (uint64_t seq = 1; seq <= 9; seq++) { /* another camera's push it out */
    cuframes_frame_id other = id_of("b", 7, seq);
    say_of(detector, &other);
    CHECK_RESULT(cuframes_join_find(join, &a6, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  }
  CHECK_RESULT(cuframes_join_find(join, &a5, patience(), &packet), CUFRAMES_ERR_STALE);
  CHECK_RESULT(cuframes_join_find(join, &a4, patience(), &packet), CUFRAMES_ERR_STALE);
  say_of(detector, &anew);
  CHECK_RESULT(cuframes_join_find(join, &a6, patience(), &packet), CUFRAMES_ERR_STALE);
  CHECK_RESULT(cuframes_join_find(join, &unknown, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  say_of(detector, &a6); /* two cameras of one name in turns: what was said last goes on */
  CHECK_OK(cuframes_join_find(join, &a6, 0, &packet));
  is_said_of(packet, &a6);
  cuframes_frame_id a7 = id_of("a", 1, 7);
  CHECK_RESULT(cuframes_join_find(join, &a7, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  cuframes_join_destroy(join);
  cuframes_publisher_destroy(detector);
}

/* A detector of more cameras than a join keeps annotations: each frame that is asked for in time is found. */
static void many_cameras_of_one_detector(void **state) {
  (void)state;
  cuframes_publisher *detector = detector_new("detector", NULL);
  cuframes_join *join = join_new(8, 0, 0);
  cuframes_packet *packet = NULL;
  for (uint64_t seq = 1; seq <= 3; seq++) {
    for (uint64_t camera = 1; camera <= 40; camera++) {
      cuframes_frame_id id = id_of("a", camera, seq);
      id.stream[1] = (char)(camera <= 20 ? '@' + camera : 'a' + camera - 20);
      say_of(detector, &id);
      CHECK_OK(cuframes_join_find(join, &id, 0, &packet));
      is_said_of(packet, &id);
      id.seq++;
      CHECK_RESULT(cuframes_join_find(join, &id, 0, &packet), CUFRAMES_ERR_TIMEOUT);
    }
  }
  cuframes_join_destroy(join);
  cuframes_publisher_destroy(detector);
}

static void a_late_join_finds_what_is_still_in_the_ring(void **state) {
  (void)state;
  cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = 16 };
  cuframes_publisher *detector = detector_new("detector", &ring);
  cuframes_packet *packet = NULL;
  for (uint64_t seq = 1; seq <= 40; seq++) {
    cuframes_frame_id id = id_of("a", 1, seq);
    say_of(detector, &id);
  }
  cuframes_join *join = join_new(0, 0, 0);
  cuframes_frame_id gone = id_of("a", 1, 24), there = id_of("a", 1, 26);
  CHECK_OK(cuframes_join_find(join, &there, 0, &packet));
  is_said_of(packet, &there);
  CHECK_RESULT(cuframes_join_find(join, &gone, 0, &packet), CUFRAMES_ERR_STALE);
  cuframes_join_destroy(join);
  cuframes_publisher_destroy(detector);
}

/* Who did not ask for a while finds what the ring still has, whether video lies beside it or not: annotations need no
 * keyframe to begin at. */
static void after_an_overrun_what_is_in_the_ring_is_found(void **state) {
  (void)state;
  for (int video = 0; video < 2; video++) {
    cuframes_packet_ring_options ring = { .struct_size = sizeof ring, .slots = 16 };
    cuframes_publisher *detector = detector_new("detector", &ring);
    cuframes_codec_params params = { .struct_size = sizeof params,
                                     .media_type = CUFRAMES_MEDIA_VIDEO,
                                     .codec = "h264" };
    cuframes_packet_info key = {
      .struct_size = sizeof key, .track = 1, .data = "key", .size = 3, .flags = CUFRAMES_PACKET_KEY
    };
    cuframes_packet *packet = NULL;
    CHECK_OK(cuframes_publisher_set_codec_params(detector, 1, &params));
    cuframes_join *join = join_new(0, 0, 0);
    if (video)
      CHECK_OK(cuframes_publisher_publish_packet(detector, &key));
    for (uint64_t seq = 1; seq <= 60; seq++) {
      cuframes_frame_id id = id_of("a", 1, seq);
      say_of(detector, &id);
      if (seq != 40 && seq != 60)
        continue;
      for (uint64_t there = seq - 15; there <= seq; there++) {
        cuframes_frame_id of = id_of("a", 1, there);
        CHECK_OK(cuframes_join_find(join, &of, 0, &packet));
        is_said_of(packet, &of);
      }
    }
    cuframes_join_destroy(join);
    cuframes_publisher_destroy(detector);
  }
}

static void types_are_told_apart(void **state) {
  (void)state;
  cuframes_publisher *detector = detector_new("detector", NULL);
  cuframes_join *mine = join_new(0, CUFRAMES_ANNOTATION_APPLICATION + 1, 0), *any = join_new(0, 0, 0);
  cuframes_frame_id id = id_of("a", 1, 5);
  cuframes_packet *packet = NULL;
  const void *data = NULL;
  size_t size = 0;
  say_of(detector, &id);
  CHECK_RESULT(cuframes_join_find(mine, &id, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  CHECK_OK(cuframes_publisher_publish_annotation(detector, 0, &id, CUFRAMES_ANNOTATION_APPLICATION + 1, "{}", 2));
  CHECK_OK(cuframes_join_find(mine, &id, 0, &packet));
  CHECK_OK(cuframes_packet_annotation(packet, NULL, NULL, &data, &size));
  assert_int_equal(size, 2);
  assert_memory_equal(data, "{}", 2);
  cuframes_packet_release(packet);
  CHECK_OK(cuframes_join_find(any, &id, 0, &packet)); /* the first that was said */
  is_said_of(packet, &id);
  cuframes_join_destroy(mine);
  cuframes_join_destroy(any);
  cuframes_publisher_destroy(detector);
}

static void *say_soon(void *argument) {
  cuframes_publisher *detector = argument;
  cuframes_frame_id before = id_of("a", 1, 6), id = id_of("a", 1, 7);
  pause_ms(20);
  say_of(detector, &before);
  pause_ms(20);
  say_of(detector, &id);
  return NULL;
}

static void who_waits_is_woken(void **state) {
  (void)state;
  cuframes_publisher *detector = detector_new("detector", NULL);
  cuframes_join *join = join_new(0, 0, 0);
  cuframes_frame_id id = id_of("a", 1, 7), never = id_of("a", 1, 8);
  cuframes_packet *packet = NULL;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, say_soon, detector), 0);
  CHECK_OK(cuframes_join_find(join, &id, CUFRAMES_WAIT_FOREVER, &packet));
  is_said_of(packet, &id);
  assert_int_equal(pthread_join(thread, NULL), 0);
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_join_find(join, &never, 50 * MS, &packet), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 49, 400);
  cuframes_join_destroy(join);
  cuframes_publisher_destroy(detector);
}

static void *wait_forever(void *argument) {
  cuframes_frame_id never = id_of("a", 1, 8);
  cuframes_packet *packet = NULL;
  CHECK_RESULT(cuframes_join_find(argument, &never, CUFRAMES_WAIT_FOREVER, &packet), CUFRAMES_ERR_INTERRUPTED);
  return NULL;
}

static void who_waits_can_be_interrupted(void **state) {
  (void)state;
  cuframes_publisher *detector = detector_new("detector", NULL);
  cuframes_join *join = join_new(0, 0, 0);
  cuframes_frame_id id = id_of("a", 1, 7), never = id_of("a", 1, 8);
  cuframes_packet *packet = NULL;
  pthread_t thread;
  cuframes_join_interrupt(NULL);
  for (int early = 0; early < 2; early++) { /* before it sleeps, and probably while it does */
    assert_int_equal(pthread_create(&thread, NULL, wait_forever, join), 0);
    if (!early)
      pause_ms(20);
    cuframes_join_interrupt(join);
    assert_int_equal(pthread_join(thread, NULL), 0);
    CHECK_RESULT(cuframes_join_find(join, &never, 0, &packet), CUFRAMES_ERR_TIMEOUT); /* it was one */
  }
  say_of(detector, &id);
  cuframes_join_interrupt(join);
  CHECK_OK(cuframes_join_latest(join, &id, &packet)); /* does not wait, and leaves it */
  is_said_of(packet, &id);
  CHECK_RESULT(cuframes_join_find(join, &never, patience(), &packet), CUFRAMES_ERR_INTERRUPTED);
  cuframes_join_interrupt(join);
  CHECK_OK(cuframes_join_find(join, &id, patience(), &packet)); /* so does one that has its answer */
  is_said_of(packet, &id);
  CHECK_RESULT(cuframes_join_find(join, &never, patience(), &packet), CUFRAMES_ERR_INTERRUPTED);
  CHECK_RESULT(cuframes_join_find(join, &never, 0, &packet), CUFRAMES_ERR_TIMEOUT);
  cuframes_join_destroy(join);
  cuframes_publisher_destroy(detector);
}

static void a_detector_may_go_and_come_back(void **state) {
  (void)state;
  cuframes_frame_id first = id_of("a", 1, 1), second = id_of("a", 1, 2), third = id_of("a", 1, 3);
  cuframes_packet *packet = NULL;
  for (uint32_t reconnect = 0; reconnect < 2; reconnect++) {
    cuframes_publisher *detector = detector_new("detector", NULL);
    cuframes_join *join = join_new(0, 0, reconnect);
    say_of(detector, &first);
    cuframes_publisher_destroy(detector);
    CHECK_OK(cuframes_join_find(join, &first, patience(), &packet)); /* its last words */
    is_said_of(packet, &first);
    int wanted = reconnect ? CUFRAMES_ERR_TIMEOUT : CUFRAMES_ERR_PUBLISHER_GONE;
    CHECK_RESULT(cuframes_join_find(join, &second, 0, &packet), wanted);
    CHECK_OK(cuframes_join_latest(join, &second, &packet));
    is_said_of(packet, &first);
    detector = detector_new("detector", NULL);
    if (reconnect) {
      WAIT_FOR(cuframes_join_find(join, &second, 0, &packet) == CUFRAMES_ERR_TIMEOUT &&
               publisher_stats(detector).subscribers == 1);
      say_of(detector, &third);
      CHECK_OK(cuframes_join_find(join, &third, patience(), &packet));
      is_said_of(packet, &third);
      CHECK_RESULT(cuframes_join_find(join, &second, patience(), &packet), CUFRAMES_ERR_STALE);
      CHECK_OK(cuframes_join_find(join, &first, 0, &packet)); /* what was kept is */
      is_said_of(packet, &first);
    }
    cuframes_join_destroy(join);
    cuframes_publisher_destroy(detector);
  }
}

/* What somebody wrote who means harm is said once, and what is sound is still found. */
static void packets_that_lie_are_refused(void **state) {
  (void)state;
  cuframes_publisher *detector = detector_new("detector", NULL);
  cuframes_codec_params params = { .struct_size = sizeof params,
                                   .media_type = CUFRAMES_MEDIA_DATA,
                                   .codec = CUFRAMES_ANNOTATION_CODEC };
  cuframes_frame_id id = id_of("a", 1, 1), next = id_of("a", 1, 2);
  cuframes_packet *packet = NULL;
  CHECK_OK(cuframes_publisher_set_codec_params(detector, 0, &params));
  CHECK_OK(cuframes_publisher_set_codec_params(detector, 1, &params));
  cuframes_subscriber *reader = subscriber_new("detector", CUFRAMES_MODE_PACKETS);
  cuframes_join *join = join_new(0, 0, 0);
  CHECK_OK(cuframes_subscriber_enable_packets(reader, CUFRAMES_PACKETS_FROM_OLDEST));
  say_of(detector, &id);
  cuframes_packet_info lie = { .struct_size = sizeof lie, .data = "ANOT, of course", .size = 15, .flags = 1 },
                       other = { .struct_size = sizeof other, .track = 1, .data = "something else", .size = 14 };
  CHECK_OK(cuframes_publisher_publish_packet(detector, &lie));
  CHECK_OK(cuframes_publisher_publish_packet(detector, &other));
  static const int wanted[] = { CUFRAMES_OK, CUFRAMES_ERR_PROTOCOL, CUFRAMES_ERR_PROTOCOL };
  for (int i = 0; i < 3; i++) {
    CHECK_OK(cuframes_subscriber_next_packet(reader, patience(), &packet));
    CHECK_RESULT(cuframes_packet_annotation(packet, NULL, NULL, NULL, NULL), wanted[i]);
    cuframes_packet_release(packet);
  }
  CHECK_RESULT(cuframes_join_find(join, &next, 0, &packet), CUFRAMES_ERR_PROTOCOL);
  detail_names("too short");
  CHECK_RESULT(cuframes_join_find(join, &next, 0, &packet),
               CUFRAMES_ERR_TIMEOUT); /* the other track's is none of ours */
  say_of(detector, &next);
  CHECK_OK(cuframes_publisher_publish_packet(detector, &lie));
  CHECK_OK(cuframes_join_find(join, &next, 0, &packet));
  is_said_of(packet, &next);
  CHECK_RESULT(cuframes_join_find(join, &next, 0, &packet),
               CUFRAMES_ERR_PROTOCOL); /* once, and later than the answer */
  detail_names("too short");
  CHECK_OK(cuframes_publisher_publish_packet(detector, &lie));
  CHECK_OK(cuframes_publisher_publish_packet(detector, &lie));
  for (int i = 0; i < 2; i++) {
    CHECK_OK(cuframes_join_latest(join, &next, &packet));
    is_said_of(packet, &next);
    CHECK_RESULT(cuframes_join_latest(join, &next, &packet), CUFRAMES_ERR_PROTOCOL);
  }
  cuframes_frame_id between = id_of("a", 1, 3), last = id_of("a", 1, 4);
  say_of(detector, &last);
  CHECK_OK(cuframes_publisher_publish_packet(detector, &lie));
  CHECK_RESULT(cuframes_join_find(join, &between, 0, &packet), CUFRAMES_ERR_STALE);
  CHECK_RESULT(cuframes_join_find(join, &last, 0, &packet), CUFRAMES_ERR_PROTOCOL);
  CHECK_OK(cuframes_join_find(join, &last, 0, &packet));
  is_said_of(packet, &last);
  cuframes_subscriber_destroy(reader);
  cuframes_join_destroy(join);
  cuframes_publisher_destroy(detector);
}

static void what_cannot_be_is_refused(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *detector = NULL;
  cuframes_detection box = { 0 };
  cuframes_frame_id id = id_of("a", 1, 1), bad = id_of("no/name", 1, 1);
  cuframes_join_options join = { .struct_size = sizeof join, .keep = 4097 };
  cuframes_join *none = NULL;
  cuframes_packet *packet = NULL;
  CHECK_RESULT(cuframes_join_create("detector", NULL, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_join_create("detector", &join, &none), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_join_create("detector", NULL, &none), CUFRAMES_ERR_NO_SUCH_STREAM);
  CHECK_RESULT(cuframes_join_create("no/name", NULL, &none), CUFRAMES_ERR_NAME);
  CHECK_OK(cuframes_publisher_create("detector", &options, &detector));
  CHECK_RESULT(cuframes_join_create("detector", NULL, &none), CUFRAMES_ERR_NO_PACKET_RING);
  assert_null(none);
  cuframes_join_destroy(NULL);
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &id, 1, &box, sizeof box),
               CUFRAMES_ERR_NO_PACKET_RING);
  CHECK_OK(cuframes_publisher_enable_packets(detector, NULL));
  CHECK_RESULT(cuframes_publisher_publish_annotation(NULL, 0, &id, 1, &box, sizeof box), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, NULL, 1, &box, sizeof box), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &id, 1, NULL, sizeof box), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &bad, 1, &box, sizeof box), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &id, 1, &box, sizeof box - 1), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &id, 2, &box, sizeof box), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, CUFRAMES_TRACKS_MAX, &id, 1, &box, sizeof box),
               CUFRAMES_ERR_INVALID);
  cuframes_frame_id unclear = id, nobodys = id;
  unclear.reserved = 1;
  nobodys.instance = 0;
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &unclear, 1, NULL, 0), CUFRAMES_ERR_INVALID);
  detail_names("reserved");
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &nobodys, 1, NULL, 0), CUFRAMES_ERR_INVALID);
  detail_names("instance");
  box.confidence = 1.5F;
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &id, 1, &box, sizeof box), CUFRAMES_ERR_INVALID);
  detail_names("confidence");
  box = (cuframes_detection){ .label = "\033c" };
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 0, &id, 1, &box, sizeof box), CUFRAMES_ERR_INVALID);
  detail_names("control character");
  box = (cuframes_detection){ 0 };
  cuframes_codec_params video = { .struct_size = sizeof video, .media_type = CUFRAMES_MEDIA_VIDEO, .codec = "h264" };
  CHECK_OK(cuframes_publisher_set_codec_params(detector, 3, &video));
  CHECK_RESULT(cuframes_publisher_publish_annotation(detector, 3, &id, 1, &box, sizeof box), CUFRAMES_ERR_INVALID);
  detail_names("track 3 is h264, not cuframes-annotation");
  assert_int_equal(publisher_stats(detector).packets, 0);
  CHECK_OK(cuframes_publisher_publish_annotation(detector, 0, &id, 1, NULL, 0)); /* it looked, and found nothing */
  CHECK_OK(cuframes_join_create("detector", NULL, &none));
  CHECK_RESULT(cuframes_join_find(none, NULL, 0, &packet), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_join_find(NULL, &id, 0, &packet), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_join_find(none, &unclear, 0, &packet), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_join_latest(none, &id, NULL), CUFRAMES_ERR_INVALID);
  CHECK_OK(cuframes_join_find(none, &id, 0, &packet));
  cuframes_packet_release(packet);
  CHECK_RESULT(cuframes_packet_annotation(NULL, NULL, NULL, NULL, NULL), CUFRAMES_ERR_INVALID);
  cuframes_join_destroy(none);
  cuframes_publisher_destroy(detector);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(what_was_said_of_a_frame_is_found),
    FIXTURE(other_streams_and_instances_are_not_taken_for_it),
    FIXTURE(only_the_newest_are_kept),
    FIXTURE(what_is_kept_no_more_was_passed_by),
    FIXTURE(many_cameras_of_one_detector),
    FIXTURE(a_late_join_finds_what_is_still_in_the_ring),
    FIXTURE(after_an_overrun_what_is_in_the_ring_is_found),
    FIXTURE(types_are_told_apart),
    FIXTURE(who_waits_is_woken),
    FIXTURE(who_waits_can_be_interrupted),
    FIXTURE(a_detector_may_go_and_come_back),
    FIXTURE(packets_that_lie_are_refused),
    FIXTURE(what_cannot_be_is_refused),
  };
  return FIXTURE_RUN("annotation", tests);
}
