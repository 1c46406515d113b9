/* test_annotation.c - the bytes of an annotation: what is taken, and each thing for which it is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "annotation/payload.h"

typedef struct packet {
  cf_annotation_head head;
  cuframes_detection detections[2];
} packet;

static packet sound(void) {
  return (packet){ .head = { .magic = CF_ANNOTATION_MAGIC,
                             .version = CF_ANNOTATION_VERSION,
                             .instance = 0x0123456789abcdef,
                             .seq = 5,
                             .pts = -7,
                             .type = CUFRAMES_ANNOTATION_DETECTIONS,
                             .length = 2 * sizeof(cuframes_detection),
                             .stream = "cam-1.x_Y" },
                   .detections = { { .x = 0.5F, .label = "person" },
                                   { .x = -1, .label = "1234567890123456789012345678901" } } };
}

static void a_sound_one_is_taken_apart(void **state) {
  (void)state;
  packet p = sound();
  cf_annotation_head head;
  const void *data = NULL;
  assert_null(cf_annotation_parse(&p, sizeof p, &head, &data));
  assert_memory_equal(&head, &p.head, sizeof head);
  assert_ptr_equal(data, p.detections);
  p.detections[0].confidence = 1;
  memcpy(p.detections[0].label, " ~\xc2\xa0\xc3\x9f\xe2\x82\xac",
         10); /* the first after a control character, and others */
  assert_null(cf_annotation_parse(&p, sizeof p, &head, &data));
  p.head.length = 0; /* nothing was found */
  assert_null(cf_annotation_parse(&p, sizeof p.head, &head, &data));
  p.head.type = CUFRAMES_ANNOTATION_APPLICATION;
  p.head.length = 3;
  assert_null(cf_annotation_parse(&p, sizeof p.head + 3, &head, &data));
  memset(p.head.stream, 'n', CUFRAMES_NAME_MAX); /* as long as names are */
  assert_null(cf_annotation_parse(&p, sizeof p.head + 3, &head, &data));
}

#define LIE(name, ...)                                                                                                 \
  static void name(packet *p, size_t *size) {                                                                          \
    (void)p, (void)size;                                                                                               \
    __VA_ARGS__;                                                                                                       \
  }
LIE(another_magic, p->head.magic++)
LIE(another_version, p->head.version++)
LIE(no_seq, p->head.seq = 0)
LIE(long_length, p->head.length += sizeof(cuframes_detection))
LIE(short_length, p->head.length -= sizeof(cuframes_detection))
LIE(endless_length, p->head.length = UINT32_MAX)
LIE(short_packet, *size -= 1)
LIE(head_alone, *size = sizeof p->head - 1; p->head.length = 0)
LIE(nothing, *size = 0)
LIE(three_bytes, *size = 3)
LIE(type_none, p->head.type = 0)
LIE(type_unknown, p->head.type = 2)
LIE(type_last_of_ours, p->head.type = CUFRAMES_ANNOTATION_APPLICATION - 1)
LIE(half_a_detection, p->head.length -= 32; *size -= 32)
LIE(no_name, p->head.stream[0] = 0)
LIE(name_without_end, memset(p->head.stream, 'n', sizeof p->head.stream))
LIE(name_of_a_path, p->head.stream[1] = '/')
LIE(name_that_hides, p->head.stream[0] = '.')
LIE(name_with_more_behind, p->head.stream[60] = 'x')
LIE(label_without_end, memset(p->detections[1].label, 'l', sizeof p->detections[1].label))
LIE(x_is_no_number, p->detections[0].x = NAN)
LIE(y_is_infinite, p->detections[1].y = INFINITY)
LIE(width_is_infinite, p->detections[1].width = -INFINITY)
LIE(height_is_no_number, p->detections[1].height = NAN)
LIE(confidence_is_no_number, p->detections[1].confidence = NAN)
LIE(no_instance, p->head.instance = 0)
LIE(confidence_is_more_than_all, p->detections[1].confidence = 1.0001F)
LIE(confidence_is_less_than_none, p->detections[0].confidence = -0.0001F)
LIE(reserved_is_not_0, p->detections[1].reserved = 1)
LIE(label_with_escape, memcpy(p->detections[0].label, "a\033[2J", 6))
LIE(label_with_line_end, memcpy(p->detections[1].label, "a\nb", 4))
LIE(label_with_delete, memcpy(p->detections[0].label, "\x7f", 2))
LIE(label_with_unit_separator, memcpy(p->detections[0].label, "\x1f", 2))
LIE(label_with_first_of_c1, memcpy(p->detections[0].label, "a\xc2\x80", 4))
LIE(label_with_csi_of_c1, memcpy(p->detections[0].label,
                                 "a\xc2\x9b"
                                 "2J",
                                 6))
LIE(label_with_last_of_c1, memcpy(p->detections[0].label, "\xc2\x9f", 3))

static void each_lie_is_seen(void **state) {
  (void)state;
  static const struct {
    void (*lie)(packet *p, size_t *size);
    const char *name;
  } lies[] = {
#define ENTRY(lie) { lie, #lie }
    ENTRY(another_magic),
    ENTRY(another_version),
    ENTRY(no_seq),
    ENTRY(long_length),
    ENTRY(short_length),
    ENTRY(endless_length),
    ENTRY(short_packet),
    ENTRY(head_alone),
    ENTRY(nothing),
    ENTRY(three_bytes),
    ENTRY(type_none),
    ENTRY(type_unknown),
    ENTRY(type_last_of_ours),
    ENTRY(half_a_detection),
    ENTRY(no_name),
    ENTRY(name_without_end),
    ENTRY(name_of_a_path),
    ENTRY(name_that_hides),
    ENTRY(name_with_more_behind),
    ENTRY(label_without_end),
    ENTRY(x_is_no_number),
    ENTRY(y_is_infinite),
    ENTRY(width_is_infinite),
    ENTRY(height_is_no_number),
    ENTRY(confidence_is_no_number),
    ENTRY(no_instance),
    ENTRY(confidence_is_more_than_all),
    ENTRY(confidence_is_less_than_none),
    ENTRY(reserved_is_not_0),
    ENTRY(label_with_escape),
    ENTRY(label_with_line_end),
    ENTRY(label_with_delete),
    ENTRY(label_with_unit_separator),
    ENTRY(label_with_first_of_c1),
    ENTRY(label_with_csi_of_c1),
    ENTRY(label_with_last_of_c1),
  };
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    packet p = sound();
    size_t size = sizeof p;
    cf_annotation_head head = { .seq = 4711 };
    const void *data = NULL;
    lies[i].lie(&p, &size);
    if (!cf_annotation_parse(&p, size, &head, &data))
      fail_msg("%s is believed", lies[i].name);
    assert_true(head.seq == 4711 && !data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_sound_one_is_taken_apart),
    cmocka_unit_test(each_lie_is_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
