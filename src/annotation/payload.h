/* annotation/payload.h - the bytes of a packet that says something of a frame; docs/protocol.md describes them. Pure.
 */
#ifndef CF_ANNOTATION_PAYLOAD_H
#define CF_ANNOTATION_PAYLOAD_H

#include <assert.h>
#include <stdbool.h>

#include <cuframes/annotation.h>

#define CF_ANNOTATION_MAGIC 0x544f4e41u /* "ANOT" */
#define CF_ANNOTATION_VERSION 1u

/* Then `length` bytes follow, and the packet ends. */
typedef struct cf_annotation_head {
  uint32_t magic, version;
  uint64_t instance; /* of the publisher of the frame, as in WELCOME */
  uint64_t seq;
  int64_t pts;
  uint32_t type; /* enum cuframes_annotation_type */
  uint32_t length;
  char stream[CUFRAMES_NAME_MAX + 1]; /* zeroes behind the name */
} cf_annotation_head;

static_assert(sizeof(cf_annotation_head) == 104 && offsetof(cf_annotation_head, instance) == 8 &&
                  offsetof(cf_annotation_head, type) == 32 && offsetof(cf_annotation_head, stream) == 40,
              "docs/protocol.md, annotation");
static_assert(sizeof(cuframes_detection) == 64 && offsetof(cuframes_detection, confidence) == 16 &&
                  offsetof(cuframes_detection, label) == 32,
              "docs/protocol.md, detection");

/* What is wrong with an annotation, in a few words; NULL: nothing. */
const char *cf_annotation_check(const cf_annotation_head *head, const void *data, size_t size);

/* Takes the bytes of a packet apart. On success *data points into them. NULL: well; else what is wrong. */
const char *cf_annotation_parse(const void *bytes, size_t size, cf_annotation_head *head, const void **data);

/* Whether it says of itself that it is one. */
bool cf_annotation_is_one(const void *bytes, size_t size);

#endif
