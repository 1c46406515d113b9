/* test_timeline.c - a source's times as the stream's, with simulated sources and arrivals: they go on, whatever the
 * source's clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../tools/cuframes/media/picture_order.c"
#undef NO_TIME
#include "../../tools/cuframes/media/timeline.c"

#define MS INT64_C(1000000)
#define FRAME (40 * MS)
#define SOUND (20 * MS)
#define HOUR (3600 * SECOND)
#define TS_WRAP ((INT64_C(1) << 33) * 100000 / 9)
#define RTP_WRAP ((INT64_C(1) << 32) * 100000 / 9)
#define VIDEO 0
#define AUDIO 1

/* A source: its clock, and ours. */
typedef struct source {
  timeline line;
  int64_t now;      /* our clock */
  int64_t ahead[2]; /* the source's clock of a track less ours */
  int64_t last[2];  /* dts, as published */
  int64_t jumps[2], wild[2];
  int reports;
} source;

static void start(source *s, timeline_kind kind) {
  memset(s, 0, sizeof *s);
  timeline_init(&s->line);
  s->line.kind = kind;
  s->now = 1000 * SECOND;
  s->ahead[VIDEO] = s->ahead[AUDIO] = -s->now; /* its times begin at 0 */
  s->last[VIDEO] = s->last[AUDIO] = NO_TIME;
}

static timeline_times give(source *s, int track, timeline_stamp stamp) {
  stamp.arrival = stamp.arrival ? stamp.arrival : s->now;
  const timeline_times out = timeline_packet(&s->line, (uint32_t)track, &stamp);
  assert_true(out.dts != NO_TIME);
  assert_true(out.pts == NO_TIME || out.pts >= out.dts);
  assert_true(s->last[track] == NO_TIME || out.dts > s->last[track]);
  s->last[track] = out.dts;
  s->jumps[track] += out.jump != 0;
  s->wild[track] += out.wild != 0;
  return out;
}

/* A packet of now with a time of now. */
static int64_t take(source *s, int track) {
  const int64_t time = s->now + s->ahead[track];
  return give(s, track, (timeline_stamp){ .pts = time, .dts = time }).dts;
}

/* So many pictures, with two packets of sound each. */
static void play(source *s, int pictures) {
  for (int i = 0; i < pictures; i++, s->now += FRAME) {
    (void)take(s, VIDEO);
    (void)take(s, AUDIO);
    s->now += SOUND;
    (void)take(s, AUDIO);
    s->now -= SOUND;
  }
}

static int64_t off(const source *s, int track) {
  return s->last[track] - (s->now - 1000 * SECOND);
}

/* Whether a track is where our clock says it is, at its last packet: the one before now. */
static void assert_in_time(const source *s, int track, int64_t tolerance) {
  const int64_t behind = track == VIDEO ? FRAME : SOUND;
  if (llabs(off(s, track) + behind) > tolerance)
    fail_msg("track %d is off by %lld ms", track, (long long)((off(s, track) + behind) / MS));
}

static void test_times_that_are_right_stay(void **state) {
  const timeline_kind kinds[] = { TIMELINE_FILE, TIMELINE_SPLICED, TIMELINE_LIVE };
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    source s;
    start(&s, kinds[i]);
    s.ahead[VIDEO] += 7 * HOUR;
    s.ahead[AUDIO] += 7 * HOUR;
    play(&s, 1000);
    assert_int_equal(s.last[VIDEO], 7 * HOUR + 999 * FRAME);
    assert_int_equal(s.last[AUDIO], 7 * HOUR + 999 * FRAME + SOUND);
    assert_int_equal(s.jumps[VIDEO] + s.jumps[AUDIO] + s.wild[VIDEO] + s.wild[AUDIO], 0);
  }
}

/* One picture is stamped far away, and the next is as if nothing had been. */
static void test_a_wild_packet_moves_nothing(void **state) {
  const int64_t strays[] = { 10 * HOUR, -10 * HOUR, 1500 * MS, -1500 * MS, 400 * MS };
  (void)state;
  for (size_t i = 0; i < sizeof strays / sizeof *strays; i++) {
    source s;
    start(&s, TIMELINE_LIVE);
    play(&s, 100);
    s.ahead[VIDEO] += strays[i];
    const int64_t at = take(&s, VIDEO);
    s.ahead[VIDEO] -= strays[i];
    assert_true(llabs(at - 100 * FRAME) <= 5 * MS);
    s.now += FRAME;
    play(&s, 100);
    assert_int_equal(s.last[VIDEO], 200 * FRAME);
    assert_int_equal(s.last[AUDIO], 200 * FRAME + SOUND);
    assert_int_equal(s.wild[VIDEO], 1);
    assert_int_equal(s.jumps[VIDEO], 0);
  }
}

/* Wild ones again and again must not add up. */
static void test_many_wild_packets(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  play(&s, 100);
  for (int i = 0; i < 200; i++) {
    const int64_t stray = (i * 7919 % 4000 - 2000) * MS;
    s.ahead[VIDEO] += stray;
    (void)take(&s, VIDEO);
    s.ahead[VIDEO] -= stray;
    s.now += FRAME;
    play(&s, 5);
  }
  assert_in_time(&s, VIDEO, DISORDER);
  assert_in_time(&s, AUDIO, 0);
}

/* The camera's clock is set; sound follows some packets later, by exactly as much. */
static void test_a_step_of_the_clock_keeps_tracks_together(void **state) {
  const int64_t steps[] = { HOUR, -HOUR, 10 * HOUR, 3 * SECOND, -3 * SECOND, 180001 * HOUR, -50 * HOUR };
  (void)state;
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
    for (int first = VIDEO; first <= AUDIO; first++) {
      source s;
      start(&s, TIMELINE_LIVE);
      play(&s, 100);
      s.ahead[first] += steps[i];
      play(&s, 30);
      s.ahead[!first] += steps[i];
      play(&s, 100);
      assert_in_time(&s, VIDEO, FRAME);
      /* One step for both: the offset of sound to pictures is the source's again. */
      assert_int_equal(s.line.tracks[VIDEO].offset, s.line.tracks[AUDIO].offset);
      assert_int_equal(s.jumps[VIDEO] + s.jumps[AUDIO], 1);
    }
}

/* Sound is stamped by another clock from its beginning, or from some report on; later it is mended. */
static void test_sound_by_another_clock(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  s.ahead[AUDIO] += 50 * HOUR;
  play(&s, 100);
  assert_in_time(&s, VIDEO, 0);
  assert_in_time(&s, AUDIO, FRAME);
  s.ahead[AUDIO] -= 50 * HOUR;
  play(&s, 100);
  assert_int_equal(s.last[VIDEO], 199 * FRAME);
  assert_int_equal(s.line.tracks[VIDEO].offset, s.line.tracks[AUDIO].offset);
  s.ahead[AUDIO] -= 50 * HOUR;
  play(&s, 100);
  assert_in_time(&s, AUDIO, FRAME);
}

/* RTCP's first reports bring tracks together that began at 0 both: by less than two seconds, either way. */
static void test_reports_that_bring_tracks_together(void **state) {
  const int64_t steps[] = { 700 * MS, -700 * MS };
  (void)state;
  for (size_t i = 0; i < 2; i++)
    for (int track = VIDEO; track <= AUDIO; track++) {
      source s;
      start(&s, TIMELINE_LIVE);
      play(&s, 50);
      s.ahead[track] += steps[i];
      play(&s, 100);
      assert_int_equal(s.line.tracks[VIDEO].offset, s.line.tracks[AUDIO].offset);
      assert_int_equal(s.jumps[VIDEO] + s.jumps[AUDIO], 0);
    }
}

static void test_an_outage_is_as_long_as_our_clock_says(void **state) {
  const int64_t clocks[] = { 0, -5000 * HOUR, 777 * HOUR };
  (void)state;
  for (size_t i = 0; i < 3; i++)
    for (int untimed = 0; untimed < 2; untimed++) {
      source s;
      start(&s, TIMELINE_LIVE);
      play(&s, 400); /* 16 s */
      s.now += 1600 * MS;
      s.ahead[VIDEO] += clocks[i];
      s.ahead[AUDIO] += clocks[i];
      timeline_restart(&s.line, 99 * SECOND);
      if (untimed) {
        (void)give(&s, VIDEO, (timeline_stamp){ .pts = NO_TIME, .dts = NO_TIME });
        assert_int_equal(s.last[VIDEO], 400 * FRAME + 1600 * MS);
        s.now += FRAME;
      }
      play(&s, 100);
      assert_in_time(&s, VIDEO, 0);
      assert_in_time(&s, AUDIO, 0);
      assert_int_equal(s.jumps[VIDEO] + s.jumps[AUDIO], 0);
    }
}

/* FFmpeg has read a second of packets to find out what comes: they are given out at once, after the first. */
static void test_what_was_read_ahead(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  for (int round = 0; round < 3; round++) {
    const int64_t opened = s.now;
    for (int i = 0; i < 25; i++) {
      const int64_t time = s.now + s.ahead[VIDEO];
      s.now += FRAME;
      (void)give(&s, VIDEO,
                 (timeline_stamp){
                     .pts = time, .dts = time, .early = i > 0, .arrival = i == 0 ? opened : opened + 26 * FRAME });
    }
    for (int i = 0; i < 100; i++, s.now += FRAME)
      (void)take(&s, VIDEO);
    assert_in_time(&s, VIDEO, MS);
    s.now += 2 * SECOND;
    s.ahead[VIDEO] -= 3 * HOUR;
    timeline_restart(&s.line, 0);
  }
  assert_int_equal(s.jumps[VIDEO], 0);
}

/* The network holds everything back for five seconds and gives it out at once; the source lost nothing. */
static void test_a_stall_of_the_network(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  play(&s, 100);
  const int64_t late = s.now + 5 * SECOND;
  for (; s.now < late; s.now += FRAME) {
    const int64_t time = s.now + s.ahead[VIDEO];
    (void)give(&s, VIDEO, (timeline_stamp){ .pts = time, .dts = time, .arrival = late });
  }
  play(&s, 100);
  assert_int_equal(s.last[VIDEO], (s.now - 1000 * SECOND) - FRAME);
  assert_int_equal(s.jumps[VIDEO] + s.wild[VIDEO], 0);
}

/* A camera that rests for a minute, and then goes on by its clock. */
static void test_a_pause_is_no_jump(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  play(&s, 100);
  s.now += 60 * SECOND;
  play(&s, 100);
  assert_in_time(&s, VIDEO, 0);
  assert_int_equal(s.jumps[VIDEO], 0);
}

static void test_counters_that_go_round(void **state) {
  const int64_t wraps[] = { TS_WRAP, RTP_WRAP };
  (void)state;
  for (size_t i = 0; i < 2; i++)
    for (int kind = TIMELINE_SPLICED; kind <= TIMELINE_LIVE; kind++) {
      source s;
      int64_t time = wraps[i] - 50 * FRAME;
      start(&s, (timeline_kind)kind);
      for (int n = 0; n < 200; n++, time += FRAME, s.now += FRAME) {
        /* B-frames: pts and dts do not go round at once */
        const int64_t pts = time + (n % 3 == 0 ? 3 : 1) * FRAME;
        const timeline_times t =
            give(&s, VIDEO,
                 (timeline_stamp){ .pts = pts % wraps[i], .dts = time % wraps[i], .wrap = wraps[i], .reorder = 2 });
        assert_int_equal(t.dts, time);
        assert_int_equal(t.pts, pts);
      }
      assert_int_equal(s.jumps[VIDEO] + s.wild[VIDEO], 0);
    }
}

static void test_no_times_at_all_go_by_our_clock(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  for (int i = 0; i < 500; i++, s.now += 200 * MS) /* 5 pictures a second, and FFmpeg says 25 */
    (void)give(&s, VIDEO, (timeline_stamp){ .pts = NO_TIME, .dts = NO_TIME, .nominal = FRAME });
  assert_true(llabs(off(&s, VIDEO) + 200 * MS) <= SECOND);
}

static void test_by_arrival(void **state) {
  source s;
  timeline_times t = { 0 };
  (void)state;
  start(&s, TIMELINE_LIVE);
  s.line.by_arrival = true;
  const int64_t opened = s.now;
  for (int i = 0; i < 10; i++) { /* the source's times are invented */
    s.now = opened + SECOND;
    (void)give(
        &s, VIDEO,
        (timeline_stamp){
            .pts = i * FRAME, .dts = i * FRAME, .nominal = FRAME, .early = i > 0, .arrival = i == 0 ? opened : s.now });
  }
  assert_int_equal(s.last[VIDEO], 9 * FRAME);
  for (int i = 10; i < 90; i++) {
    s.now += 200 * MS;
    t = give(&s, VIDEO, (timeline_stamp){ .pts = i * FRAME, .dts = i * FRAME, .duration = FRAME, .nominal = FRAME });
    assert_int_equal(t.dts, s.now - opened);
    assert_int_equal(t.pts, t.dts);
  }
  assert_int_equal(t.duration, 200 * MS);
  s.now += 3 * SECOND;
  timeline_restart(&s.line, 0);
  t = give(&s, VIDEO, (timeline_stamp){ .pts = 0, .dts = 0, .nominal = FRAME });
  assert_int_equal(t.dts, s.now - opened);
}

/* A clock that stands still is none. */
static void test_a_clock_that_stands_still(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  play(&s, 100);
  for (int i = 0; i < 250; i++, s.now += FRAME)
    (void)give(&s, VIDEO, (timeline_stamp){ .pts = 100 * FRAME, .dts = 100 * FRAME });
  assert_in_time(&s, VIDEO, 2 * SECOND);
}

/* From the first packet on, also of those that were read before anybody looked at the clock; a report moves the time on
 * now and then. */
static void test_a_clock_that_never_goes(void **state) {
  const int reports[] = { 0, 50 };
  (void)state;
  for (int k = 0; k < 2; k++) {
    source s;
    start(&s, TIMELINE_LIVE);
    int at_once = 0;
    for (int i = 0; i < 300; i++, s.now += FRAME) {
      const int64_t time = reports[k] > 0 ? i / reports[k] * reports[k] * FRAME : 0;
      const int64_t before = s.last[VIDEO];
      (void)give(&s, VIDEO, (timeline_stamp){ .pts = time, .dts = time, .nominal = FRAME, .early = i < 125 });
      at_once += i > 0 && s.last[VIDEO] - before < FRAME / 2;
    }
    assert_true(at_once <= REPEATS_MOST); /* the first ones, and none after a report */
    assert_in_time(&s, VIDEO, SECOND);
    assert_int_equal(s.jumps[VIDEO], 0);
  }
}

/* As it comes by RTP with B-frames: no decoding times. */
static void test_reordered_pictures_without_decoding_times(void **state) {
  static const int order[] = { 3, 1, 2 };
  source s;
  (void)state;
  start(&s, TIMELINE_LIVE);
  for (int i = 0; i < 300; i++, s.now += FRAME) {
    const int shown = i == 0 ? 0 : (i - 1) / 3 * 3 + order[(i - 1) % 3];
    const timeline_times t =
        give(&s, VIDEO, (timeline_stamp){ .pts = shown * FRAME, .dts = NO_TIME, .reorder = 1, .nominal = FRAME });
    assert_int_equal(t.pts, shown * FRAME);
  }
  assert_true(s.last[VIDEO] >= 295 * FRAME);
  assert_int_equal(s.jumps[VIDEO] + s.wild[VIDEO], 0);
}

/* What the encoder's head says of the frame rate: 3.4 pictures a second, where 25 come. */
static void test_a_frame_rate_that_is_not_so(void **state) {
  const int64_t said = 294 * MS;
  (void)state;
  for (int kind = TIMELINE_FILE; kind <= TIMELINE_LIVE; kind++) {
    source s;
    timeline_times t = { 0 };
    start(&s, (timeline_kind)kind);
    for (int i = 0; i < 100; i++, s.now += FRAME)
      t = give(&s, VIDEO, (timeline_stamp){ .pts = i * FRAME, .dts = i * FRAME, .duration = said, .nominal = said });
    assert_int_equal(t.duration, FRAME);
    assert_int_equal(t.dts, 99 * FRAME);
  }
}

/* A file with pictures that last longer or shorter means it. */
static void test_durations_of_a_file_that_vary(void **state) {
  source s;
  int64_t time = 0;
  (void)state;
  start(&s, TIMELINE_FILE);
  for (int i = 0; i < 200; i++) {
    const int64_t lasts = i % 7 == 0 ? SECOND : FRAME + i * MS;
    const timeline_times t = give(&s, VIDEO, (timeline_stamp){ .pts = time, .dts = time, .duration = lasts });
    assert_int_equal(t.duration, lasts);
    assert_int_equal(t.dts, time);
    time += lasts;
  }
}

static void test_files(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_FILE); /* a gap of half an hour is meant */
  play(&s, 100);
  s.ahead[VIDEO] += HOUR / 2;
  s.ahead[AUDIO] += HOUR / 2;
  play(&s, 100);
  assert_int_equal(s.last[VIDEO], 199 * FRAME + HOUR / 2);
  s.ahead[VIDEO] -= HOUR / 2; /* a step back is not */
  s.ahead[AUDIO] -= HOUR / 2;
  play(&s, 100);
  assert_int_equal(s.last[VIDEO], 299 * FRAME + HOUR / 2);
  assert_int_equal(s.jumps[VIDEO] + s.jumps[AUDIO], 1);

  start(&s, TIMELINE_SPLICED);
  play(&s, 100);
  s.ahead[VIDEO] += 11 * HOUR;
  s.ahead[AUDIO] += 11 * HOUR;
  play(&s, 100);
  s.ahead[VIDEO] -= 3 * HOUR;
  s.ahead[AUDIO] -= 3 * HOUR;
  play(&s, 100);
  assert_int_equal(s.last[VIDEO], 299 * FRAME);
  assert_int_equal(s.last[AUDIO], 299 * FRAME + SOUND);
  assert_int_equal(s.jumps[VIDEO] + s.jumps[AUDIO], 2);
}

/* Subtitles come now and then, and sound after a silence; both are where the pictures are. */
static void test_gaps_of_one_track_are_no_jumps(void **state) {
  const timeline_kind kinds[] = { TIMELINE_FILE, TIMELINE_SPLICED, TIMELINE_LIVE };
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    source s;
    start(&s, kinds[i]);
    for (int n = 0; n < 5000; n++, s.now += FRAME) {
      const int64_t time = s.now + s.ahead[VIDEO];
      assert_int_equal(take(&s, VIDEO), n * FRAME);
      if (n % 1000 == 0)
        assert_int_equal(take(&s, AUDIO), n * FRAME);
      if (n % 1500 == 0) {
        const timeline_stamp stamp = { .pts = time, .dts = time, .sparse = true, .arrival = s.now };
        assert_int_equal(timeline_packet(&s.line, 2, &stamp).pts, n * FRAME);
      }
    }
    assert_int_equal(s.jumps[VIDEO] + s.jumps[AUDIO], 0);
  }
}

/* A loop joins on where it ended, and dts go on in each track. */
static void test_loops(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_FILE);
  for (int round = 0; round < 4; round++) {
    s.ahead[VIDEO] = s.ahead[AUDIO] = 5 * SECOND - s.now; /* its times begin at 5 s */
    for (int i = 0; i < 100; i++, s.now += FRAME) {
      const int64_t time = s.now + s.ahead[VIDEO];
      const timeline_times t = give(&s, VIDEO, (timeline_stamp){ .pts = time + FRAME, .dts = time, .duration = FRAME });
      assert_int_equal(t.dts, 5 * SECOND + (round * 100 + i) * FRAME);
    }
    assert_int_equal(timeline_loop(&s.line), 100 * FRAME);
  }
}

static void test_a_file_that_is_opened_again(void **state) {
  source s;
  (void)state;
  start(&s, TIMELINE_FILE);
  play(&s, 100);
  timeline_restart(&s.line, 2 * SECOND);
  s.ahead[VIDEO] = s.ahead[AUDIO] = -s.now;
  const int64_t end = s.line.published;
  assert_int_equal(take(&s, VIDEO), end + 2 * SECOND);
}

/* Days with a clock that is fast or slow by a hundredth of a percent: nothing is done about it. */
static void test_drift_is_left(void **state) {
  (void)state;
  for (int by = -1; by <= 1; by += 2) {
    source s;
    start(&s, TIMELINE_LIVE);
    for (int i = 0; i < 200000; i++, s.now += FRAME) {
      s.ahead[VIDEO] += by * FRAME / 10000;
      (void)take(&s, VIDEO);
    }
    assert_int_equal(s.jumps[VIDEO] + s.wild[VIDEO], 0);
    s.now += 4 * SECOND; /* an outage then is still as long as it was */
    const int64_t before = s.last[VIDEO];
    timeline_restart(&s.line, 0);
    assert_true(llabs(take(&s, VIDEO) - before - 4 * SECOND - FRAME) < 50 * MS);
  }
}

/* A film of two parts, cut without encoding: before each come pictures that decoding begins with, at times of what was
 * cut away; behind the first, some of that. */
static void test_what_is_not_shown_takes_no_time(void **state) {
  (void)state;
  source s;
  start(&s, TIMELINE_FILE);
  for (int round = 0; round < 2; round++) {
    const int64_t length = 20 * FRAME;
    int64_t shown = 0;
    for (int i = -5; i < 25; i++) { /* to be shown: 0 to 9 and then 10 to 19, before which come three from before */
      const int64_t at = (i < 13 ? i : i < 15 ? i - 7 : i - 5) * FRAME;
      const bool hidden = i < 0 || (i >= 10 && i < 15);
      const timeline_times out =
          give(&s, VIDEO,
               (timeline_stamp){ .pts = at + FRAME, .dts = at, .duration = FRAME, .reorder = 1, .hidden = hidden });
      if (!hidden) {
        assert_int_equal(out.pts, round * length + shown + FRAME);
        shown += FRAME;
      } else if (round > 0 || i > 0) {
        assert_true(out.dts < round * length + shown + FRAME);
      } else {
        assert_int_equal(out.pts, at + FRAME);
      }
    }
    assert_int_equal(timeline_loop(&s.line), length);
    s.last[VIDEO] = round * length + 19 * FRAME;
  }
  assert_int_equal(s.jumps[VIDEO] + s.wild[VIDEO], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_times_that_are_right_stay),
    cmocka_unit_test(test_a_wild_packet_moves_nothing),
    cmocka_unit_test(test_many_wild_packets),
    cmocka_unit_test(test_a_step_of_the_clock_keeps_tracks_together),
    cmocka_unit_test(test_sound_by_another_clock),
    cmocka_unit_test(test_reports_that_bring_tracks_together),
    cmocka_unit_test(test_an_outage_is_as_long_as_our_clock_says),
    cmocka_unit_test(test_what_was_read_ahead),
    cmocka_unit_test(test_a_stall_of_the_network),
    cmocka_unit_test(test_a_pause_is_no_jump),
    cmocka_unit_test(test_counters_that_go_round),
    cmocka_unit_test(test_no_times_at_all_go_by_our_clock),
    cmocka_unit_test(test_by_arrival),
    cmocka_unit_test(test_a_clock_that_stands_still),
    cmocka_unit_test(test_a_clock_that_never_goes),
    cmocka_unit_test(test_reordered_pictures_without_decoding_times),
    cmocka_unit_test(test_a_frame_rate_that_is_not_so),
    cmocka_unit_test(test_durations_of_a_file_that_vary),
    cmocka_unit_test(test_files),
    cmocka_unit_test(test_gaps_of_one_track_are_no_jumps),
    cmocka_unit_test(test_loops),
    cmocka_unit_test(test_a_file_that_is_opened_again),
    cmocka_unit_test(test_drift_is_left),
    cmocka_unit_test(test_what_is_not_shown_takes_no_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
