/* wire/schema.h - the tables behind codec.c, open to the test that compares them with docs/protocol.md. */
#ifndef CF_WIRE_SCHEMA_H
#define CF_WIRE_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

enum cf_field_kind {
  CF_FIELD_U32,
  CF_FIELD_I32,
  CF_FIELD_U64,
  CF_FIELD_I64,
  CF_FIELD_TEXT,  /* char array of max + 1 bytes */
  CF_FIELD_BYTES, /* cf_bytes, at most max bytes */
  CF_FIELD_LIST,  /* uint32_t array, up to max of them; their number is another field */
  CF_FIELD_GROUP  /* repeated; max is its enum cf_info_group */
};

typedef struct cf_schema_field {
  uint16_t tag;
  uint16_t kind;         /* enum cf_field_kind */
  uint32_t offset;       /* in the struct of the message */
  uint32_t max;          /* numbers: how many, always all of them */
  uint32_t count_offset; /* CF_FIELD_LIST: of the uint32_t that counts */
  const char *name;
} cf_schema_field;

/* In place of a message type: the fields of a group. Larger than any type on the wire. */
#define CF_SCHEMA_GROUP(group) (0x10000u + (uint32_t)(group))
/* The tag of a group in INFO. */
#define CF_GROUP_TAG(group) (0x100u + (uint32_t)(group))

/* The index-th field of a message type or CF_SCHEMA_GROUP(), NULL past the last one or if there is no such type. */
const cf_schema_field *cf_message_schema(uint32_t type, size_t index);

#endif
