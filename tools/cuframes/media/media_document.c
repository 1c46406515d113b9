/* media_document.c - documents that RTP brings in parts, put together: ONVIF's metadata.
 *
 * FFmpeg gives out each part as a packet, without RTP's mark of the last one. Text shows by itself where it begins and
 * that it is whole. Of what is packed, all parts have one time, and the last one is smaller than the others; or, if
 * not, the next document's time tells. */
#include <string.h>

#include "media.h"

#define DOCUMENT_MOST (1 << 20)
#define FIRST_TAG 200  /* bytes in which a document's name stands */
#define PART_LEAST 900 /* bytes; no sender cuts into smaller parts, for the smallest link takes 1500 */

static bool ends_with(const uint8_t *data, size_t size, const char *end) {
  const size_t length = strlen(end);
  while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == '\r' || data[size - 1] == ' ' || data[size - 1] == 0))
    size--;
  return size >= length && memcmp(data + size - length, end, length) == 0;
}

static bool is_text(const uint8_t *data, size_t size) {
  return size > 0 && data[0] == '<';
}

/* Whether a document begins here, and not just an element of one. */
static bool begins(const uint8_t *data, size_t size) {
  static const char prologue[] = "<?xml", name[] = "MetadataStream";
  if (size >= 2 && data[0] == 0x1f && data[1] == 0x8b)
    return true;
  if (!is_text(data, size))
    return false;
  if (size >= sizeof prologue - 1 && memcmp(data, prologue, sizeof prologue - 1) == 0)
    return true;
  const size_t first = size < FIRST_TAG ? size : FIRST_TAG;
  const uint8_t *end = memchr(data, '>', first);
  return size > 1 && data[1] != '/' &&
         memmem(data, end != NULL ? (size_t)(end - data) : first, name, sizeof name - 1) != NULL;
}

static bool is_whole(const media_document *d, size_t last) {
  if (is_text(d->data, d->size))
    return ends_with(d->data, d->size, "MetadataStream>") || ends_with(d->data, d->size, "MetadataStream/>");
  return last < d->part || last < PART_LEAST;
}

bool media_document_is_part(const media *m) {
  const int stream = m->packet->stream_index;
  const AVCodecParameters *from = m->in->streams[stream]->codecpar;
  const char *format = m->in->iformat->name;
  return stream < MEDIA_LENGTH_TRACKS && from->codec_type == AVMEDIA_TYPE_DATA && from->codec_id == AV_CODEC_ID_NONE &&
         m->packet->size > 0 && (strcmp(format, "rtsp") == 0 || strcmp(format, "sdp") == 0);
}

bool media_document_is_over(const media *m) {
  const media_document *d = &m->documents[m->packet->stream_index];
  const uint8_t *data = m->packet->data;
  const size_t size = (size_t)m->packet->size;
  if (d->size == 0)
    return false;
  return begins(data, size) || (!is_text(d->data, d->size) && m->packet->pts != d->first->pts) ||
         d->size + size > DOCUMENT_MOST;
}

bool media_document_add(media *m) {
  media_document *d = &m->documents[m->packet->stream_index];
  const size_t more = (size_t)m->packet->size;
  if (d->first == NULL && (d->first = av_packet_alloc()) == NULL)
    return true;
  uint8_t *data = av_realloc(d->data, d->size + more + AV_INPUT_BUFFER_PADDING_SIZE);
  if (data == NULL)
    return true; /* it goes as it is */
  d->data = data;
  memcpy(data + d->size, m->packet->data, more);
  memset(data + d->size + more, 0, AV_INPUT_BUFFER_PADDING_SIZE);
  if (d->size == 0) {
    d->part = more;
    av_packet_unref(d->first);
    (void)av_packet_copy_props(d->first, m->packet); /* its times, which need no memory */
    d->first->stream_index = m->packet->stream_index;
  }
  d->size += more;
  if (!is_whole(d, more))
    return false;
  media_document_take(m, m->packet->stream_index, m->packet);
  return true;
}

void media_document_take(media *m, int stream, AVPacket *to) {
  media_document *d = &m->documents[stream];
  av_packet_unref(to);
  (void)av_packet_copy_props(to, d->first);
  to->stream_index = stream;
  if (av_packet_from_data(to, d->data, (int)d->size) == 0)
    d->data = NULL; /* it is the packet's now */
  d->size = 0;
}

void media_document_forget(media *m) {
  for (int i = 0; i < MEDIA_LENGTH_TRACKS; i++) {
    av_freep(&m->documents[i].data);
    av_packet_free(&m->documents[i].first);
    m->documents[i].size = 0;
  }
}
