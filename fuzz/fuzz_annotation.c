/* fuzz_annotation.c - packets that say something of a frame, as anybody may write them. What is accepted must be sound,
 * point into the packet, and pass the check that a publisher makes.
 */
#include <stdlib.h>
#include <string.h>

#include "annotation/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition) {
  if (!condition)
    abort();
}

static void try_packet(const uint8_t *bytes, size_t size) {
  cf_annotation_head head = { 0 };
  const void *payload = NULL;
  const char *wrong = cf_annotation_parse(bytes, size, &head, &payload);
  require(!wrong || (!payload && head.magic == 0)); /* nothing is given of one that is refused */
  if (wrong)
    return;
  require(cf_annotation_is_one(bytes, size) && size >= sizeof head && memcmp(&head, bytes, sizeof head) == 0);
  require(payload == bytes + sizeof head && head.length == size - sizeof head);
  require(head.seq != 0 && memchr(head.stream, '\0', sizeof head.stream) && head.stream[0] != '\0');
  require(!cf_annotation_check(&head, payload, head.length));
  if (head.type != CUFRAMES_ANNOTATION_DETECTIONS)
    return;
  cuframes_detection d;
  require(head.length % sizeof d == 0);
  for (uint32_t at = 0; at < head.length; at += (uint32_t)sizeof d) {
    memcpy(&d, (const uint8_t *)payload + at, sizeof d);
    require(memchr(d.label, '\0', sizeof d.label) && d.x - d.x == 0 && d.confidence - d.confidence == 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(size ? size : 1); /* of its own, so that a read past its end is seen */
  require(copy != NULL);
  memcpy(copy, data, size);
  try_packet(copy, size);
  if (size >= sizeof(cf_annotation_head)) { /* what chance would hardly find */
    memcpy(copy, &(uint32_t[2]){ CF_ANNOTATION_MAGIC, CF_ANNOTATION_VERSION }, 8);
    memcpy(copy + offsetof(cf_annotation_head, length), &(uint32_t){ (uint32_t)(size - sizeof(cf_annotation_head)) },
           4);
    try_packet(copy, size);
  }
  free(copy);
  return 0;
}
