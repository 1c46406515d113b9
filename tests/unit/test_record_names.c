/* test_record_names.c - names of a recording's files: what patterns are refused, names back to their times, changes of
 * files by the clock on days of 23, 24 and 25 hours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../tools/cuframes/record/names.c"

#define SEGMENT(seconds) ((seconds)*NS)

static void use_zone(const char *zone) {
  setenv("TZ", zone, 1);
  tzset();
}

/* Middle Europe by its rule, whatever zones are installed here. */
static void use_europe(void) {
  use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
}

static void refused(const char *pattern, int64_t segment, const char *why) {
  names n;
  if (names_init(&n, pattern, segment, true))
    fail_msg("'%s' was taken", pattern);
  if (!strstr(n.problem, why))
    fail_msg("'%s' is refused with: %s", pattern, n.problem);
  names_free(&n);
}

static void taken(const char *pattern, int64_t segment) {
  names n;
  if (!names_init(&n, pattern, segment, true))
    fail_msg("'%s' is refused with: %s", pattern, n.problem);
  names_free(&n);
}

static void test_patterns(void **state) {
  (void)state;
  refused("plain.mp4", SEGMENT(600), "date");
  refused("%H%M%S.mp4", SEGMENT(600), "date");
  refused("%Y%m-%H%M%S.mp4", SEGMENT(600), "date");
  refused("%F.mp4", SEGMENT(3600), "%H");
  refused("%F-%M.mp4", SEGMENT(3600), "%H");
  refused("%F-%H.mp4", SEGMENT(600), "%M");
  refused("%F-%H%M.mp4", SEGMENT(90), "%S");
  refused("%F-%H%M.mp4", 0, "%S");
  refused("%F-%H%M%Q.mp4", SEGMENT(600), "%Q, which is none of these: %Y %m");
  refused("%F-%B.mp4", SEGMENT(600), "%B");
  refused("%F-%T%", SEGMENT(600), "'%'");
  refused("%F/../%T.mp4", SEGMENT(600), "'..'");
  refused("%F/%T/", SEGMENT(600), "directory");
  refused("%Y/1/2/3/4/5/6/7/8/%F-%T.mp4", SEGMENT(600), "too many");
  taken("%F.mp4", SEGMENT(86400));
  taken("%F-%H.mp4", SEGMENT(7200));
  taken("%j-%y-%H%M.mp4", SEGMENT(120));
  taken("/a/b/%Y/%m/%d/%H%M%S%z.mp4", SEGMENT(1));
  taken("%s.ts", 0);
  taken("100%%-%F-%T.mkv", 0);
}

static void path_is(const names *n, int64_t seconds, unsigned number, const char *wanted) {
  char path[NAMES_PATH_MAX];
  assert_true(names_path(n, seconds, number, path));
  assert_string_equal(path, wanted);
}

static void test_paths(void **state) {
  names n;
  (void)state;
  assert_true(names_init(&n, "/rec/cam/%Y/%m-%d/door-%H%M%S%%.mp4", SEGMENT(600), true));
  assert_string_equal(n.root, "/rec/cam/");
  assert_int_equal(n.levels, 3);
  path_is(&n, 1774749599, 1, "2026/03-29/door-015959%.mp4");
  path_is(&n, 1774749599, 12, "2026/03-29/door-015959%-12.mp4");
  names_free(&n);
  assert_true(names_init(&n, "%F-%s", 0, true));
  assert_string_equal(n.root, ".");
  path_is(&n, 86400, 2, "1970-01-02-86400-2");
  names_free(&n);
}

/* Every name leads back to its time, but for the hour that comes twice, where it leads to one of the two. */
static void check_back(const char *pattern, bool utc, int64_t from, int64_t to, int64_t step, int64_t twice) {
  names n;
  assert_true(names_init(&n, pattern, SEGMENT(step), utc));
  for (int64_t seconds = from; seconds < to; seconds += step) {
    char path[NAMES_PATH_MAX], *rest = path;
    names_fields fields;
    names_no_fields(&fields);
    assert_true(names_path(&n, seconds, 1 + (unsigned)(seconds / step % 3), path));
    for (int level = 0; level < n.levels; level++)
      assert_true(names_match(&n, level, strsep(&rest, "/"), &fields));
    const int64_t back = names_time(&n, &fields), off = back > seconds ? back - seconds : seconds - back;
    if (off != 0 && off != twice)
      fail_msg("%s: %lld gives %s, which is %lld", pattern, (long long)seconds, path, (long long)back);
    assert_int_equal(fields.number, 1 + (unsigned)(seconds / step % 3));
    assert_false(fields.part);
  }
  names_free(&n);
}

static void test_back(void **state) {
  const int64_t spring = 1774656000 /* 2026-03-28 */, autumn = 1792800000 /* 2026-10-24 */;
  (void)state;
  use_europe();
  for (int i = 0; i < 2; i++) {
    const int64_t from = i ? autumn : spring, to = from + 3 * DAY;
    check_back("%Y/%m/%d/a-%H%M%S.mp4", true, from, to, 61, 0);
    check_back("%Y/%m/%d/a-%H%M%S.mp4", false, from, to, 61, HOUR);
    check_back("a-%F-%T%z.mp4", false, from, to, 61, 0);
    check_back("%y%j/%H%M.mp4", false, from, to, 60, HOUR);
    check_back("%F-%s", false, from, to, 61, 0);
  }
}

static void test_foreign_names(void **state) {
  static const char *const foreign[] = { "door-20261129-120000.mp4x",
                                         "door-20261129-120000.mkv",
                                         "door-20261129-120000",
                                         "door-20261129-1200000.mp4",
                                         "door-20261329-120000.mp4",
                                         "door-20261129-250000.mp4",
                                         "door-2026112-120000.mp4",
                                         "xdoor-20261129-120000.mp4",
                                         "door-20261129-120000-1.mp4",
                                         "door-20261129-120000-0.mp4",
                                         "door-20261129-120000-.mp4",
                                         "door-20261129-120000-99999.mp4",
                                         "door-%Y%m%d-%H%M%S.mp4",
                                         "door-20261129-12000 .mp4",
                                         "",
                                         ".",
                                         "..",
                                         ".part",
                                         "door-20261129-120000.mp4.part.part" };
  names n;
  names_fields fields;
  (void)state;
  assert_true(names_init(&n, "door-%Y%m%d-%H%M%S.mp4", SEGMENT(600), true));
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
    names_no_fields(&fields);
    if (names_match(&n, 0, foreign[i], &fields))
      fail_msg("'%s' counts as ours", foreign[i]);
  }
  names_no_fields(&fields);
  assert_true(names_match(&n, 0, "door-20261129-120000-7.mp4.part", &fields));
  assert_true(fields.part);
  assert_int_equal(fields.number, 7);
  names_free(&n);
}

/* The changes of files from `from` on are these times of the clock. */
static void boundaries_are(int64_t from, int64_t segment, const char *const *wanted) {
  int64_t at = from;
  for (int i = 0; wanted[i]; i++) {
    const int64_t next = names_boundary(at, segment, false);
    char text[64];
    struct tm tm;
    assert_true(next > at);
    broken_down(next, false, &tm);
    assert_true(strftime(text, sizeof text, "%m-%d %H:%M%z", &tm) > 0);
    assert_string_equal(text, wanted[i]);
    at = next;
  }
}

static void test_boundaries(void **state) {
  const int64_t spring = 1774742400 /* 2026-03-29 00:00Z, 01:00+0100 */;
  const int64_t autumn = 1792886400 /* 2026-10-25 00:00Z, 02:00+0200 */;
  (void)state;
  use_europe();
  boundaries_are(spring, 1800,
                 (const char *const[]){ "03-29 01:30+0100", "03-29 03:00+0200", "03-29 03:30+0200", NULL });
  boundaries_are(spring, HOUR, (const char *const[]){ "03-29 03:00+0200", "03-29 04:00+0200", NULL });
  /* 02:00 is not on the clock: the moment at which it would have been is. */
  boundaries_are(spring, 2 * HOUR, (const char *const[]){ "03-29 03:00+0200", "03-29 04:00+0200", NULL });
  boundaries_are(spring, DAY, (const char *const[]){ "03-30 00:00+0200", "03-31 00:00+0200", NULL });
  boundaries_are(
      autumn, 1800,
      (const char *const[]){ "10-25 02:30+0200", "10-25 02:00+0100", "10-25 02:30+0100", "10-25 03:00+0100", NULL });
  boundaries_are(autumn, HOUR,
                 (const char *const[]){ "10-25 02:00+0100", "10-25 03:00+0100", "10-25 04:00+0100", NULL });
  boundaries_are(autumn, 2 * HOUR, (const char *const[]){ "10-25 04:00+0100", "10-25 06:00+0100", NULL });
  boundaries_are(autumn, DAY, (const char *const[]){ "10-26 00:00+0100", "10-27 00:00+0100", NULL });
  use_zone("AAA-5:45"); /* ten minutes of a clock that is 5:45 ahead */
  boundaries_are(autumn + 1, 600, (const char *const[]){ "10-25 05:50+0545", "10-25 06:00+0545", NULL });
}

/* In a year of any of these, files never stand still and never are longer than twice the time asked for and an hour. */
static void test_boundaries_all_year(void **state) {
  static const int64_t segments[] = { 1, 60, 420, 600, 3600, 5400, 10800, 86400, 7 * 86400 };
  static const char *const zones[] = { "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "UTC0",
                                       "LHST-10:30LHDT-11,M10.1.0,M4.1.0" };
  (void)state;
  for (size_t z = 0; z < sizeof zones / sizeof *zones; z++)
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
      use_zone(zones[z]);
      const int64_t segment = segments[i], begin = 1767225600, end = begin + (segment < 600 ? 2 : 365) * DAY;
      for (int64_t at = begin, next; at < end; at = next) {
        next = names_boundary(at, segment, false);
        assert_true(next > at && next - at <= 2 * segment + HOUR);
      }
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_patterns),      cmocka_unit_test(test_paths),      cmocka_unit_test(test_back),
    cmocka_unit_test(test_foreign_names), cmocka_unit_test(test_boundaries), cmocka_unit_test(test_boundaries_all_year),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
