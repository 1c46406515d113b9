/* media_tables.c - programmes of a transport stream whose tables change in mid-film.
 *
 * FFmpeg can merge the versions of a table: what the new one names on other PIDs goes on as the streams that are there,
 * place by place. That is right as long as each is what it was; it is taken for the same codec even where it is another
 * one, or sound. So a file in which that happens is opened again, with a stream for each PID, and they are put together
 * here. A live input cannot be read twice. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "media.h"

#define TAIL_BYTES (INT64_C(8) << 20) /* the pictures that FFmpeg keeps back are not so large */

static bool is_of(const AVStream *stream, enum AVMediaType type) {
  return stream->codecpar->codec_type == type && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

static unsigned count(const AVFormatContext *in, unsigned end, enum AVMediaType type) {
  unsigned found = 0;
  for (unsigned i = 0; i < end; i++)
    found += is_of(in->streams[i], type);
  return found;
}

bool media_tables_merge(const media *m) {
  const bool file = m->path != NULL && strcmp(m->path, MEDIA_PIPE) != 0;
  return file && !m->split;
}

static int version(const media *m) {
  return m->in->nb_programs == 1 ? m->in->programs[0]->pmt_version : -1;
}

void media_tables_begin(media *m) {
  m->table_version = version(m);
  m->table_streams = m->in->nb_streams;
}

/* Of a file FFmpeg has read the end by now. */
bool media_tables_changed(media *m) {
  const bool film = m->path != NULL && m->in->pb != NULL && (m->in->pb->seekable & AVIO_SEEKABLE_NORMAL);
  if (!film || strcmp(m->in->iformat->name, "mpegts") != 0 || m->tables_known)
    return false;
  if (m->split) { /* to see whether there are other PIDs, too */
    m->tables_known = true;
    m->split = m->in->nb_streams > m->table_streams && count(m->in, m->table_streams, AVMEDIA_TYPE_VIDEO) == 1;
    return !m->split;
  }
  m->split = m->table_version >= 0 && version(m) >= 0 && version(m) != m->table_version;
  m->tables_known = !m->split;
  return m->split;
}

/* Each table names one video; of sounds each the same number, if that comes out even. */
int media_tables_track(const media *m, unsigned stream) {
  const AVFormatContext *in = m->in;
  const enum AVMediaType type = in->streams[stream]->codecpar->codec_type;
  const unsigned all = count(in, m->streams_at_first, type), before = count(in, stream, type);
  const unsigned tables = count(in, m->streams_at_first, AVMEDIA_TYPE_VIDEO);
  const bool even = type == AVMEDIA_TYPE_VIDEO || (type == AVMEDIA_TYPE_AUDIO && tables > 0 && all % tables == 0);
  const unsigned each = type == AVMEDIA_TYPE_VIDEO || tables == 0 ? 1 : all / tables;
  if (!m->split || !even || each == 0 || stream >= m->streams_at_first || before < each)
    return -1;
  for (unsigned i = 0; i < stream; i++)
    if (is_of(in->streams[i], type) && count(in, i, type) == before % each)
      return m->track_of[i];
  return -1;
}

/* --- where the PID changes ---
 * FFmpeg gives out a picture when the next one of its PID begins, and that of a PID that has gone at the end of the
 * file: too late to be shown. So the film is read once more, up to where the other PID begins. */

void media_tables_note(media *m) {
  m->table_last = m->packet->dts;
}

bool media_tables_is_late(const media *m) {
  return m->packet->pos >= 0 && m->packet->pos < m->table_began;
}

static AVFormatContext *open_part(media *m, int64_t start, int64_t end) {
  const size_t room = strlen(m->path) + 100;
  char *name = malloc(room);
  AVFormatContext *in = NULL;
  if (name == NULL)
    return NULL;
  snprintf(name, room, "subfile,,start,%" PRId64 ",end,%" PRId64 ",,:%s", start, end, m->path);
  const AVInputFormat *format = av_find_input_format("mpegts");
  if (avformat_open_input(&in, name, format, NULL) < 0)
    in = NULL;
  free(name);
  return in;
}

/* The packet's times on the same turn of the clock as those before it; false: it was had already, or nothing tells. */
static bool is_behind(const media *m, AVPacket *packet, int wrap_bits) {
  const int64_t turn = wrap_bits > 0 && wrap_bits < 63 ? INT64_C(1) << wrap_bits : 0;
  if (packet->dts == AV_NOPTS_VALUE || m->table_last == AV_NOPTS_VALUE)
    return false;
  for (; turn > 0 && packet->dts < m->table_last - turn / 2; packet->dts += turn)
    packet->pts += packet->pts == AV_NOPTS_VALUE ? 0 : turn;
  return packet->dts > m->table_last;
}

static int take_tail(media *m, AVFormatContext *part, AVPacket *packet) {
  const AVStream *ours = m->in->streams[m->video];
  int code = CLI_OK;
  while (code == CLI_OK && av_read_frame(part, packet) >= 0) {
    const AVStream *from = part->streams[packet->stream_index];
    if (from->id == ours->id && from->codecpar->codec_id == ours->codecpar->codec_id &&
        is_behind(m, packet, ours->pts_wrap_bits)) {
      av_packet_move_ref(m->packet, packet);
      m->packet->stream_index = m->video;
      media_tables_note(m);
      media_publish_packet(m);
      media_side_note(m);
      code = media_decode(m, m->packet);
      av_packet_unref(m->packet);
    }
    av_packet_unref(packet);
  }
  return code;
}

int media_tables_tail(media *m) {
  const int64_t end = m->packet->pos;
  if (end <= 0)
    return CLI_OK;
  AVFormatContext *part = open_part(m, end > TAIL_BYTES ? end - TAIL_BYTES : 0, end);
  AVPacket *packet = av_packet_alloc(), *next = av_packet_alloc();
  int code = CLI_OK;
  if (part != NULL && packet != NULL && next != NULL) {
    av_packet_move_ref(next, m->packet);
    code = take_tail(m, part, packet);
    av_packet_unref(m->packet);
    av_packet_move_ref(m->packet, next);
  }
  m->table_began = end;
  av_packet_free(&packet);
  av_packet_free(&next);
  avformat_close_input(&part);
  return code;
}
