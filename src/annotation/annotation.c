/* annotation/annotation.c - publishing what is to be said of a frame, and reading it out of a packet. */
#include <stdlib.h>
#include <string.h>

#include "annotation/payload.h"
#include "api/options.h"
#include "api/packet.h"
#include "os/error.h"

/* A packet that nobody described a track for: then it is one of annotations. */
static int packet_publish(cuframes_publisher *publisher, const cuframes_packet_info *packet) {
  static const cuframes_codec_params params = { .struct_size = sizeof params,
                                                .media_type = CUFRAMES_MEDIA_DATA,
                                                .codec = CUFRAMES_ANNOTATION_CODEC,
                                                .profile = UINT32_MAX,
                                                .level = UINT32_MAX };
  int result = cf_publish_packet_of(publisher, packet, CUFRAMES_ANNOTATION_CODEC);
  if (result != CUFRAMES_ERR_NO_CODEC_PARAMS)
    return result;
  result = cuframes_publisher_set_codec_params(publisher, packet->track, &params);
  return result == CUFRAMES_OK ? cf_publish_packet_of(publisher, packet, CUFRAMES_ANNOTATION_CODEC) : result;
}

int cuframes_publisher_publish_annotation(cuframes_publisher *publisher, uint32_t track, const cuframes_frame_id *of,
                                          uint32_t type, const void *data, size_t size) {
  cuframes_frame_id id;
  if (!publisher || !of || (!data && size > 0))
    return cf_fail(CUFRAMES_ERR_INVALID,
                   "cuframes_publisher_publish_annotation: publisher, frame and data must be given");
  int result = cf_options_copy(&id, sizeof id, of, "cuframes_frame_id");
  if (result != CUFRAMES_OK)
    return result;
  if (id.reserved != 0)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_frame_id.reserved is %u: it must be 0", id.reserved);
  if (size > UINT32_MAX - sizeof(cf_annotation_head))
    return cf_fail(CUFRAMES_ERR_PACKET_OVERSIZED, "an annotation of %zu bytes", size);
  cf_annotation_head head = { .magic = CF_ANNOTATION_MAGIC,
                              .version = CF_ANNOTATION_VERSION,
                              .instance = id.instance,
                              .seq = id.seq,
                              .pts = id.pts,
                              .type = type,
                              .length = (uint32_t)size };
  memcpy(head.stream, id.stream, sizeof head.stream);
  const char *wrong = cf_annotation_check(&head, data, size);
  if (wrong)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_publisher_publish_annotation: %s", wrong);
  uint8_t *bytes = malloc(sizeof head + size);
  if (!bytes)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "out of memory");
  memcpy(bytes, &head, sizeof head);
  if (size > 0)
    memcpy(bytes + sizeof head, data, size);
  result = packet_publish(publisher, &(cuframes_packet_info){ .struct_size = sizeof(cuframes_packet_info),
                                                              .track = track,
                                                              .data = bytes,
                                                              .size = sizeof head + size,
                                                              .pts = id.pts,
                                                              .dts = id.pts,
                                                              .flags = CUFRAMES_PACKET_KEY });
  free(bytes);
  return result;
}

int cuframes_packet_annotation(const cuframes_packet *packet, cuframes_frame_id *of, uint32_t *type, const void **data,
                               size_t *size) {
  cf_annotation_head head;
  const void *payload;
  if (!packet)
    return cf_fail(CUFRAMES_ERR_INVALID, "cuframes_packet_annotation: no packet given");
  const char *wrong = cf_annotation_parse(cuframes_packet_data(packet), cuframes_packet_size(packet), &head, &payload);
  if (wrong)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "packet %llu is no sound annotation: %s",
                   (unsigned long long)cuframes_packet_seq(packet), wrong);
  cuframes_frame_id id = { .instance = head.instance, .seq = head.seq, .pts = head.pts };
  memcpy(id.stream, head.stream, sizeof id.stream);
  int result = of ? cf_stats_give(of, &id, sizeof id, "cuframes_frame_id") : CUFRAMES_OK;
  if (result != CUFRAMES_OK)
    return result;
  if (type)
    *type = head.type;
  if (data)
    *data = payload;
  if (size)
    *size = head.length;
  return CUFRAMES_OK;
}
