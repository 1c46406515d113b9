/* annotation/payload.c - the bytes of an annotation, checked before anybody believes them. */
#include "annotation/payload.h"

#include <string.h>

#include "api/text.h"

static bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* A stream's name, and zeroes to the end. */
static bool is_stream_name(const char name[CUFRAMES_NAME_MAX + 1]) {
  size_t length = strnlen(name, CUFRAMES_NAME_MAX + 1);
  if (length == 0 || length > CUFRAMES_NAME_MAX || !is_alnum(name[0]))
    return false;
  for (size_t i = 1; i <= CUFRAMES_NAME_MAX; i++)
    if (i < length ? !is_alnum(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-' : name[i] != '\0')
      return false;
  return true;
}

/* Neither infinite nor no number: only of these the difference with itself is not 0. */
static bool is_finite(float value) {
  return value - value == 0;
}

static const char *detections_check(const void *data, size_t size) {
  cuframes_detection d;
  if (size % sizeof d != 0)
    return "its size is not that of whole detections";
  for (size_t at = 0; at < size; at += sizeof d) {
    memcpy(&d, (const uint8_t *)data + at, sizeof d);
    if (!memchr(d.label, '\0', sizeof d.label))
      return "the label of a detection has no end";
    if (!is_finite(d.x) || !is_finite(d.y) || !is_finite(d.width) || !is_finite(d.height) || !is_finite(d.confidence))
      return "a number of a detection is not finite";
    if (d.confidence < 0 || d.confidence > 1)
      return "the confidence of a detection is not within 0 to 1";
    if (d.reserved != 0)
      return "a reserved field of a detection is not 0";
    if (!cf_text_is_shown((const uint8_t *)d.label, strlen(d.label)))
      return "the label of a detection is not UTF-8, or has a control character";
  }
  return NULL;
}

const char *cf_annotation_check(const cf_annotation_head *head, const void *data, size_t size) {
  if (!is_stream_name(head->stream))
    return "it names no stream";
  if (head->instance == 0)
    return "it names no instance";
  if (head->seq == 0)
    return "it names no frame";
  if (head->type == CUFRAMES_ANNOTATION_DETECTIONS)
    return detections_check(data, size);
  return head->type < CUFRAMES_ANNOTATION_APPLICATION ? "its type is not known; types of your own begin at 0x10000"
                                                      : NULL;
}

bool cf_annotation_is_one(const void *bytes, size_t size) {
  uint32_t magic = 0;
  if (size >= sizeof magic)
    memcpy(&magic, bytes, sizeof magic);
  return magic == CF_ANNOTATION_MAGIC;
}

const char *cf_annotation_parse(const void *bytes, size_t size, cf_annotation_head *head, const void **data) {
  cf_annotation_head h;
  if (!cf_annotation_is_one(bytes, size))
    return "it is none";
  if (size < sizeof h)
    return "it is too short";
  memcpy(&h, bytes, sizeof h);
  if (h.version != CF_ANNOTATION_VERSION)
    return "its version is another one";
  if (h.length != size - sizeof h)
    return "its length is not that of the packet";
  const uint8_t *payload = (const uint8_t *)bytes + sizeof h;
  const char *wrong = cf_annotation_check(&h, payload, h.length);
  if (!wrong) {
    *head = h;
    *data = payload;
  }
  return wrong;
}
