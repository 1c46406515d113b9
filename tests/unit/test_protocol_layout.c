/* test_protocol_layout.c - the tables of shared memory in docs/protocol.md against the structs, field by field and both
 * ways, and the numbers in its text against the constants.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cuframes/frame.h>

#include "annotation/payload.h"
#include "exchange/frame_writer.h"
#include "exchange/packet_ring.h"
#include "exchange/side_data.h"

typedef struct field {
  const char *name;
  size_t offset, size;
} field;

#define FIELD(type, member)                                                                                            \
  { #member, offsetof(type, member), sizeof(((type *)0)->member) }
#define ARRAY(type, member, count)                                                                                     \
  { #member "[" #count "]", offsetof(type, member), sizeof(((type *)0)->member) }

static const field control[] = {
  FIELD(cf_control, magic),         FIELD(cf_control, layout),          FIELD(cf_control, capacity),
  FIELD(cf_control, instance),      FIELD(cf_control, index_offset),    FIELD(cf_control, slots_offset),
  FIELD(cf_control, extras_offset), FIELD(cf_control, side_data_max),   FIELD(cf_control, pad0),
  FIELD(cf_control, head),          FIELD(cf_control, state),           FIELD(cf_control, segment_floor),
  FIELD(cf_control, segment_top),   FIELD(cf_control, newest_mark),     FIELD(cf_control, source),
  FIELD(cf_control, newest_pts),    FIELD(cf_control, newest_duration), FIELD(cf_control, newest_timestamp),
  FIELD(cf_control, newest_epoch),  FIELD(cf_control, newest_segment),  FIELD(cf_control, wake),
  FIELD(cf_control, pad3),
};

static const field slot[] = {
  FIELD(cf_slot, seq),   FIELD(cf_slot, ready),    FIELD(cf_slot, offset),   FIELD(cf_slot, segment),
  FIELD(cf_slot, flags), FIELD(cf_slot, pts),      FIELD(cf_slot, duration), FIELD(cf_slot, timestamp),
  FIELD(cf_slot, epoch), FIELD(cf_slot, reserved),
};

static const field extra[] = {
  FIELD(cf_extra, capture_time),
  FIELD(cf_extra, side_offset),
  FIELD(cf_extra, side_bytes),
};

static const field side_entry[] = {
  FIELD(cf_side_entry, type),
  FIELD(cf_side_entry, size),
};

static const field mastering[] = {
  ARRAY(cuframes_mastering_display, primaries, 6),
  ARRAY(cuframes_mastering_display, white_point, 2),
  FIELD(cuframes_mastering_display, max_luminance),
  FIELD(cuframes_mastering_display, min_luminance),
};

static const field light[] = {
  FIELD(cuframes_content_light, max_content),
  FIELD(cuframes_content_light, max_average),
};

static const field calibration[] = {
  FIELD(cuframes_camera_calibration, fx),
  FIELD(cuframes_camera_calibration, fy),
  FIELD(cuframes_camera_calibration, cx),
  FIELD(cuframes_camera_calibration, cy),
  FIELD(cuframes_camera_calibration, width),
  FIELD(cuframes_camera_calibration, height),
  FIELD(cuframes_camera_calibration, distortion),
  FIELD(cuframes_camera_calibration, reserved),
  ARRAY(cuframes_camera_calibration, coefficients, 12),
};

static const field seat[] = {
  FIELD(cf_seat, cursor),         FIELD(cf_seat, room),        FIELD(cf_seat, reserved),
  ARRAY(cf_seat, lease, 64),      FIELD(cf_seat, pad0),        FIELD(cf_seat, waiting),
  FIELD(cf_seat, packet_waiting), FIELD(cf_seat, packet_word), FIELD(cf_seat, pad1),
  ARRAY(cf_seat, released, 64),   FIELD(cf_seat, last_seq),    FIELD(cf_seat, delivered),
  FIELD(cf_seat, skipped),        FIELD(cf_seat, latency_sum), FIELD(cf_seat, pad2),
  ARRAY(cf_seat, counters, 64),   FIELD(cf_seat, state),       FIELD(cf_seat, publisher_waits),
  FIELD(cf_seat, fenced_from),    FIELD(cf_seat, pad3),
};

static const field region[] = {
  FIELD(cf_packet_region, magic),      FIELD(cf_packet_region, layout),      FIELD(cf_packet_region, slots),
  FIELD(cf_packet_region, data_bytes), FIELD(cf_packet_region, data_offset), FIELD(cf_packet_region, max_packet),
  FIELD(cf_packet_region, pad0),       FIELD(cf_packet_region, head),        FIELD(cf_packet_region, tail),
  FIELD(cf_packet_region, keyframe),   FIELD(cf_packet_region, params),      FIELD(cf_packet_region, wake),
  FIELD(cf_packet_region, pad1),
};

static const field record[] = {
  FIELD(cf_packet_record, seq),      FIELD(cf_packet_record, position), FIELD(cf_packet_record, size),
  FIELD(cf_packet_record, track),    FIELD(cf_packet_record, flags),    FIELD(cf_packet_record, params),
  FIELD(cf_packet_record, pts),      FIELD(cf_packet_record, dts),      FIELD(cf_packet_record, duration),
  FIELD(cf_packet_record, reserved),
};

static const field annotation[] = {
  FIELD(cf_annotation_head, magic),  FIELD(cf_annotation_head, version), FIELD(cf_annotation_head, instance),
  FIELD(cf_annotation_head, seq),    FIELD(cf_annotation_head, pts),     FIELD(cf_annotation_head, type),
  FIELD(cf_annotation_head, length), FIELD(cf_annotation_head, stream),
};

static const field detection[] = {
  FIELD(cuframes_detection, x),         FIELD(cuframes_detection, y),          FIELD(cuframes_detection, width),
  FIELD(cuframes_detection, height),    FIELD(cuframes_detection, confidence), FIELD(cuframes_detection, class_id),
  FIELD(cuframes_detection, object_id), FIELD(cuframes_detection, reserved),   FIELD(cuframes_detection, label),
};

static const struct table {
  const char *heading; /* the paragraph below begins with the size */
  const field *fields;
  size_t count, size;
} tables[] = {
#define TABLE(heading, fields, type)                                                                                   \
  { heading, fields, sizeof fields / sizeof fields[0], sizeof(type) }
  TABLE("### Control page", control, cf_control),
  TABLE("### Slot", slot, cf_slot),
  TABLE("### Extra", extra, cf_extra),
  TABLE("### Side data entry", side_entry, cf_side_entry),
  TABLE("### Mastering display", mastering, cuframes_mastering_display),
  TABLE("### Content light", light, cuframes_content_light),
  TABLE("### Camera calibration", calibration, cuframes_camera_calibration),
  TABLE("### Seat", seat, cf_seat),
  TABLE("### Packet region", region, cf_packet_region),
  TABLE("### Packet record", record, cf_packet_record),
  TABLE("### Annotation", annotation, cf_annotation_head),
  TABLE("### Detection", detection, cuframes_detection),
};
#define TABLES (sizeof tables / sizeof tables[0])

/* The lists above leave nothing out: every byte of a struct belongs to one field. */
static void fields_cover_their_struct(void **state) {
  (void)state;
  for (const struct table *t = tables; t < tables + TABLES; t++) {
    size_t end = 0;
    for (size_t i = 0; i < t->count; i++) {
      if (t->fields[i].offset != end)
        fail_msg("%s: %s starts at %zu, the field before it ends at %zu", t->heading, t->fields[i].name,
                 t->fields[i].offset, end);
      end += t->fields[i].size;
    }
    assert_int_equal(end, t->size);
  }
}

static FILE *open_document(void) {
  FILE *file = fopen(CF_SOURCE_DIR "/docs/protocol.md", "r");
  if (!file)
    fail_msg("cannot open %s/docs/protocol.md", CF_SOURCE_DIR);
  return file;
}

static void check_row(const struct table *t, size_t row, const char *line) {
  char expected[128];
  if (row >= t->count)
    fail_msg("%s: the struct has no such field: %s", t->heading, line);
  (void)snprintf(expected, sizeof expected, "| %zu | %zu | `%s` | ", t->fields[row].offset, t->fields[row].size,
                 t->fields[row].name);
  if (strncmp(line, expected, strlen(expected)) != 0)
    fail_msg("%s: documented as %s instead of %s", t->heading, line, expected);
}

static void every_row_is_a_field_and_every_field_a_row(void **state) {
  (void)state;
  FILE *file = open_document();
  char line[512];
  const struct table *now = NULL;
  size_t rows = 0, found = 0, group = 0;
  for (bool more = true, sized = false, in_fields = true; more;) {
    more = fgets(line, sizeof line, file) != NULL;
    line[more ? strcspn(line, "\n") : 0] = 0;
    if (!more || line[0] == '#') {
      if (now && rows != now->count)
        fail_msg("%s: field %s is not documented", now->heading, now->fields[rows].name);
      if (now && !sized)
        fail_msg("%s: its size, %zu, is not said", now->heading, now->size);
      now = NULL;
      for (size_t i = 0; i < TABLES && more; i++)
        now = strcmp(line, tables[i].heading) == 0 ? &tables[i] : now;
      found += now != NULL;
      rows = 0;
      sized = false;
      in_fields = true;
    } else if (now && rows == 0 && isdigit((unsigned char)line[0])) {
      sized = strtoul(line, NULL, 10) == now->size;
    } else if (now && strncmp(line, "| type |", 8) == 0) {
      in_fields = false; /* another table of the same paragraph */
    } else if (now && in_fields && line[0] == '|' && isdigit((unsigned char)line[2])) {
      check_row(now, rows++, line);
      group++;
    }
  }
  assert_int_equal(fclose(file), 0);
  assert_int_equal(found, TABLES);
  size_t fields = 0;
  for (const struct table *t = tables; t < tables + TABLES; t++)
    fields += t->count;
  assert_int_equal(group, fields);
}

static void numbers_are_as_documented(void **state) {
  (void)state;
  assert_true(CF_CONTROL_MAGIC == 0x4c4f52544e4f4346 && memcmp(&(uint64_t){ CF_CONTROL_MAGIC }, "FCONTROL", 8) == 0);
  assert_true(CF_PACKET_MAGIC == 0x5452504655434b50 && memcmp(&(uint64_t){ CF_PACKET_MAGIC }, "PKCUFPRT", 8) == 0);
  assert_true(CF_CONTROL_LAYOUT == 3 && CF_PACKET_LAYOUT == 1);
  assert_true(CF_SLOTS_MAX == 2048 && CF_LEASES_MAX == 64 && CF_PACKET_SLOTS_MAX == 65536);
  assert_true(CF_PACKET_DATA_MAX == UINT64_C(1) << 32 && CF_SEQ_MAX == (UINT64_C(1) << 48) - 1);
  assert_true(CF_SIDE_DATA_MAX == 65536 && CF_SLOT_HAS_EXTRA == UINT32_C(1) << 31);
  assert_true(CUFRAMES_SIDE_DATA_SEI_USER_DATA == 1 && CUFRAMES_SIDE_DATA_A53_CAPTIONS == 2 &&
              CUFRAMES_SIDE_DATA_MASTERING_DISPLAY == 3 && CUFRAMES_SIDE_DATA_CONTENT_LIGHT == 4 &&
              CUFRAMES_SIDE_DATA_CAMERA_CALIBRATION == 5 && CUFRAMES_SIDE_DATA_APPLICATION == 65536);
  assert_true(CUFRAMES_DISTORTION_NONE == 0 && CUFRAMES_DISTORTION_BROWN == 1 && CUFRAMES_DISTORTION_EQUIDISTANT == 2);
  assert_true(CF_SIDE_ALIGN == 8);
  assert_true(CF_ANNOTATION_MAGIC == 0x544f4e41 && memcmp(&(uint32_t){ CF_ANNOTATION_MAGIC }, "ANOT", 4) == 0);
  assert_true(CF_ANNOTATION_VERSION == 1 && CUFRAMES_ANNOTATION_DETECTIONS == 1 &&
              CUFRAMES_ANNOTATION_APPLICATION == 65536 &&
              strcmp(CUFRAMES_ANNOTATION_CODEC, "cuframes-annotation") == 0);
  assert_true(CF_CURSOR_NONE == UINT64_MAX);
  assert_true(cf_ref(0x123456789abc, 0xdef0) == 0x123456789abcdef0);
  assert_true(cf_ref_seq(0x123456789abcdef0) == 0x123456789abc && cf_ref_slot(0x123456789abcdef0) == 0xdef0);
  assert_true(CF_CONTROL_RUNNING == 1 && CF_CONTROL_ENDED == 2 && CF_SEAT_ACTIVE == 1 && CF_SEAT_EVICTED == 2);
  assert_true(CUFRAMES_FRAME_KEY == 4 && CUFRAMES_FRAME_CORRUPT == 8);
  assert_true(CUFRAMES_PACKET_KEY == 1 && CUFRAMES_PACKET_DISCONTINUITY == 2 && CUFRAMES_PACKET_CORRUPT == 4 &&
              CUFRAMES_PACKET_NEW_PARAMS == 8 && CUFRAMES_PACKET_HIDDEN == 16 && CUFRAMES_PACKET_DISPOSABLE == 32);
  for (uint32_t depth = 0; depth < 10; depth++)
    assert_int_equal(cf_seat_cost(3, depth), 3 + (depth ? (depth > 2 ? depth : 2) - 1 : 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(fields_cover_their_struct),
    cmocka_unit_test(every_row_is_a_field_and_every_field_a_row),
    cmocka_unit_test(numbers_are_as_documented),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
