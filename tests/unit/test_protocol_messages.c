/* test_protocol_messages.c - the bytes on the wire: golden vectors here and in docs/protocol.md, and the tables of
 * fields there against those of the codec.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cuframes/subscriber.h>

#include "wire/message.h"
#include "wire/schema.h"

#ifndef CF_SOURCE_DIR
#define CF_SOURCE_DIR "."
#endif

static const char hello_hex[] = "43554652 0100 0000 73000000 00000000" /* CUFR, HELLO, 115 bytes */
                                "0100 0000 04000000 03000000 0200 0000 04000000 03000000 0400 0000 04000000 01000000"
                                "0500 0000 04000000 01000000 0600 0000 04000000 03000000 0700 0000 04000000 08000000"
                                "0800 0000 04000000 01000000 0900 0000 07000000 67726162626572";
static const char welcome_hex[] =
    "43554652 0200 0000 7c000000 00000000" /* CUFR, WELCOME, 124 bytes */
    "0100 0000 04000000 03000000 0300 0000 04000000 01000000 0400 0000 04000000 03000000"
    "0500 0000 04000000 08000000 0600 0000 08000000 0030000000000000 0700 0000 08000000 0010000000000000"
    "0800 0000 04000000 686f7374 0900 0000 08000000 efcdab8967452301";
static const char segment_hex[] =
    "43554652 0500 0000 c4000000 00000000" /* CUFR, SEGMENT, 196 bytes */
    "0100 0000 04000000 02000000 0200 0000 08000000 009cda0100000000 0300 0000 04000000 01000000"
    "0400 0000 04000000 80070000 0500 0000 04000000 38040000 0600 0000 04000000 01010101"
    "0700 0000 10000000 80070000 80070000 00000000 00000000"
    "0800 0000 20000000 0000000000000000 00a41f0000000000 0000000000000000 0000000000000000"
    "0d00 0000 04000000 01000000 0e00 0000 04000000 02000000 1000 0000 08000000 04000000 03000000";

static const cf_msg_hello hello = { 3, 3, 0, CF_ROLE_SUBSCRIBER, 1, 3, 8, CUFRAMES_SYNC_COMPLETE, "grabber", 0 };
static const cf_msg_welcome welcome = { 3, 0, CUFRAMES_SYNC_COMPLETE, 3, 8, 12288, 4096, "host", 0x0123456789abcdef };
static const cf_msg_segment segment = {
  .segment = 2,
  .bytes = 31104000,
  .format = { .pixel_format = 1,
              .width = 1920,
              .height = 1080,
              .color = 0x01010101,
              .pitch = { 1920, 1920 },
              .offset = { 0, 2073600 },
              .chroma_location = 1,
              .field_order = 2,
              .sample_aspect = { 4, 3 } },
};

static const struct golden {
  const char *name, *hex;
  uint32_t type;
  const void *fields;
} golden[] = {
  { "HELLO", hello_hex, CF_MSG_HELLO, &hello },
  { "WELCOME", welcome_hex, CF_MSG_WELCOME, &welcome },
  { "SEGMENT", segment_hex, CF_MSG_SEGMENT, &segment },
};
#define GOLDEN (sizeof golden / sizeof golden[0])

/* Appends the bytes of a line of hex; `;` starts a comment. */
static size_t unhex(const char *line, uint8_t *bytes, size_t length) {
  static const char digits[] = "0123456789abcdef";
  for (; *line && *line != ';'; line++) {
    if (!isspace((unsigned char)*line)) {
      const char *high = strchr(digits, line[0]), *low = line[1] ? strchr(digits, line[1]) : NULL;
      assert_non_null(high);
      assert_non_null(low);
      bytes[length++] = (uint8_t)((high - digits) * 16 + (low - digits));
      line++;
    }
  }
  return length;
}

/* Decoding and encoding again must give the same bytes, so the decoded fields need no comparing of their own. */
static void golden_vectors_hold(void **unused) {
  (void)unused;
  for (size_t i = 0; i < GOLDEN; i++) {
    uint8_t expected[512], buffer[512];
    union {
      cf_msg_hello hello;
      cf_msg_welcome welcome;
      cf_msg_segment segment;
    } got;
    size_t length = unhex(golden[i].hex, expected, 0);
    assert_int_equal(cf_message_encode(golden[i].type, golden[i].fields, buffer, sizeof buffer), length);
    assert_memory_equal(buffer, expected, length);
    memset(buffer, 0, sizeof buffer);
    assert_true(cf_message_decode(golden[i].type, expected, length, &got));
    assert_int_equal(cf_message_encode(golden[i].type, &got, buffer, sizeof buffer), length);
    assert_memory_equal(buffer, expected, length);
  }
}

static FILE *open_document(void) {
  FILE *file = fopen(CF_SOURCE_DIR "/docs/protocol.md", "r");
  if (!file)
    fail_msg("cannot open %s/docs/protocol.md", CF_SOURCE_DIR);
  return file;
}

static void golden_vectors_stand_in_the_document(void **unused) {
  (void)unused;
  FILE *file = open_document();
  char line[512];
  const struct golden *now = NULL;
  uint8_t bytes[512], expected[512];
  size_t length = 0, found = 0;
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "```hex ", 7) == 0) {
      for (size_t i = 0; i < GOLDEN; i++)
        now = strcmp(line + 7, golden[i].name) == 0 ? &golden[i] : now;
      assert_non_null(now);
      length = 0;
    } else if (now && strcmp(line, "```") == 0) {
      assert_int_equal(length, unhex(now->hex, expected, 0));
      assert_memory_equal(bytes, expected, length);
      found++;
      now = NULL;
    } else if (now) {
      assert_true(length <= sizeof bytes - 16);
      length = unhex(line, bytes, length);
    }
  }
  assert_int_equal(fclose(file), 0);
  assert_int_equal(found, GOLDEN);
}

/* A row of a table in docs/protocol.md as the codec's table has it. */
static void expected_row(const cf_schema_field *field, char *row, size_t size) {
  static const char *const kinds[] = { "u32", "i32", "u64", "i64", "text", "bytes", "list", "group" };
  char kind[32];
  if (field->kind >= CF_FIELD_TEXT)
    (void)snprintf(kind, sizeof kind, "%s %u", kinds[field->kind], field->max);
  else if (field->max > 1)
    (void)snprintf(kind, sizeof kind, "%s x %u", kinds[field->kind], field->max);
  else
    (void)snprintf(kind, sizeof kind, "%s", kinds[field->kind]);
  (void)snprintf(row, size, "| %u | `%s` | %s |", field->tag, field->name, kind);
}

/* "### HELLO (type 1)" gives 1, "### Seat (group 1)" CF_SCHEMA_GROUP(1), any other heading 0. */
static uint32_t type_of_heading(const char *line) {
  const char *type = strstr(line, "(type "), *group = strstr(line, "(group ");
  return type ? (uint32_t)strtoul(type + 6, NULL, 10) : group ? CF_SCHEMA_GROUP(strtoul(group + 7, NULL, 10)) : 0;
}

static void tables_stand_in_the_document(void **unused) {
  (void)unused;
  FILE *file = open_document();
  char line[512], row[128];
  uint32_t type = 0;
  size_t rows = 0, types = 0;
  bool more = true;
  while (more) {
    more = fgets(line, sizeof line, file) != NULL;
    if (!more || line[0] == '#') {
      if (type != 0 && cf_message_schema(type, rows))
        fail_msg("type 0x%x: field %s is not documented", type, cf_message_schema(type, rows)->name);
      type = more ? type_of_heading(line) : 0;
      types += type != 0;
      rows = 0;
    } else if (type != 0 && line[0] == '|' && isdigit((unsigned char)line[2])) {
      const cf_schema_field *field = cf_message_schema(type, rows++);
      if (!field)
        fail_msg("type 0x%x has no such field: %s", type, line);
      expected_row(field, row, sizeof row);
      if (strncmp(line, row, strlen(row)) != 0)
        fail_msg("type 0x%x: documented as %s instead of %s", type, line, row);
    }
  }
  assert_int_equal(fclose(file), 0);
  assert_int_equal(types, CF_MSG_SIDE_DATA + CF_GROUP_MODE);
}

/* The numbers that a stranger's program relies on. */
static void constants_are_as_documented(void **unused) {
  (void)unused;
  assert_int_equal(CF_WIRE_MAGIC, 0x52465543);
  assert_int_equal(CF_WIRE_MESSAGE_MAX, 131072);
  assert_int_equal(CF_GROUP_TAG(CF_GROUP_SEAT), 257);
  assert_int_equal(CF_WIRE_VERSION_MIN, 3);
  assert_int_equal(CF_WIRE_VERSION_MAX, 3);
  for (uint32_t type = CF_MSG_HELLO; type <= CF_SCHEMA_GROUP(CF_GROUP_MODE); type++) {
    const cf_schema_field *field, *before = NULL;
    for (size_t i = 0; (field = cf_message_schema(type, i)) != NULL; i++, before = field)
      assert_true(!before || field->tag > before->tag); /* no tag twice in a table */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(golden_vectors_hold),
    cmocka_unit_test(golden_vectors_stand_in_the_document),
    cmocka_unit_test(tables_stand_in_the_document),
    cmocka_unit_test(constants_are_as_documented),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
