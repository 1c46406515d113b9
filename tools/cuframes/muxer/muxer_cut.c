/* muxer_cut.c - a file that begins with what is not shown: pictures that others are decoded from, and sound.
 *
 * They come from films that were cut without encoding. Of our containers MP4 alone can hide them, by an edit list at
 * its beginning. FFmpeg applies that to what the file's head lists, not to fragments, and hides all of it where the
 * list says 0, for "as long as the film", as files of fragments do. So the head has the samples up to the cut, and at
 * the end the lists are given their durations, in place. (A file that was cut off has 0 there: FFmpeg then shows it
 * from its second fragment on.) */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libavutil/intreadwrite.h>
#include <libavutil/mathematics.h>
#include <libavutil/opt.h>

#include "muxer_parts.h"

#define NO_TIME CUFRAMES_NO_TIME
#define SECOND INT64_C(1000000000)
#define HIDDEN_MOST 1024             /* packets of a group of pictures that is not shown */
#define HEAD_MOST (INT64_C(1) << 26) /* bytes of a head that is looked through */

static bool is_hidden(const cuframes_packet *packet) {
  return cuframes_packet_flags(packet) & CUFRAMES_PACKET_HIDDEN;
}

static bool is_lead(const muxer *m, const cuframes_packet *packet) {
  return cuframes_packet_track(packet) == m->lead;
}

bool muxer_begins_hidden(const muxer *m) {
  return m->have_video && m->waiting_count > 0 && is_hidden(m->waiting[0]);
}

/* The earliest time at which something of the lead is shown. *sure: nothing earlier can come. */
static int64_t first_shown(const muxer *m, bool *sure) {
  int64_t first = NO_TIME;
  *sure = false;
  for (size_t i = 0; i < m->waiting_count; i++) {
    const cuframes_packet *packet = m->waiting[i];
    const int64_t pts = cuframes_packet_pts(packet), dts = cuframes_packet_dts(packet);
    if (!is_lead(m, packet))
      continue;
    *sure = *sure || (first != NO_TIME && dts != NO_TIME && dts >= first);
    if (!is_hidden(packet) && pts != NO_TIME && (first == NO_TIME || pts < first))
      first = pts;
  }
  return first;
}

/* Whether the others have come as far, or the lead is far beyond it. */
static bool all_have_passed(const muxer *m, int64_t time) {
  int64_t latest[CUFRAMES_TRACKS_MAX];
  bool all = true;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    latest[i] = INT64_MAX; /* nothing came of it, and will perhaps not */
  for (size_t i = 0; i < m->waiting_count; i++)
    if (cuframes_packet_pts(m->waiting[i]) != NO_TIME)
      latest[cuframes_packet_track(m->waiting[i])] = cuframes_packet_pts(m->waiting[i]);
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    all = all && latest[i] >= time;
  return all || (latest[m->lead] != INT64_MAX && latest[m->lead] > time + SECOND);
}

bool muxer_knows_beginning(const muxer *m) {
  bool sure;
  const int64_t first = first_shown(m, &sure);
  return !muxer_begins_hidden(m) || (sure && all_have_passed(m, first));
}

int64_t muxer_beginning(const muxer *m) {
  bool sure;
  return m->cut ? first_shown(m, &sure) : NO_TIME;
}

void muxer_begin_later(muxer *m, const cuframes_packet *packet) {
  bool sure;
  size_t kept = 0;
  if (!muxer_begins_hidden(m) || !is_lead(m, packet) || !(cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY) ||
      !is_hidden(packet) || first_shown(m, &sure) != NO_TIME)
    return;
  for (size_t i = 0; i < m->waiting_count; i++)
    if (is_lead(m, m->waiting[i]))
      cuframes_packet_release(m->waiting[i]);
    else
      m->waiting[kept++] = m->waiting[i];
  m->waiting_count = kept;
}

bool muxer_can_hide(const muxer *m) {
  bool sure;
  return muxer_begins_hidden(m) && !strcmp(m->output->oformat->name, "mp4") && !m->to_stdout &&
         m->output->pb->seekable & AVIO_SEEKABLE_NORMAL && first_shown(m, &sure) != NO_TIME;
}

void muxer_cut_options(AVDictionary **options) {
  av_dict_set(options, "movflags", "+default_base_moof", 0);
  av_dict_set(options, "use_editlist", "1", 0);
  av_dict_set_int(options, "frag_duration", INT_MAX, 0); /* until muxer_cut_passed() */
}

bool muxer_cut_passed(muxer *m) {
  const int error = av_interleaved_write_frame(m->output, NULL); /* what it keeps to put tracks into their order */
  av_opt_set_int(m->output->priv_data, "frag_duration", SECOND / 1000, 0);
  av_opt_set(m->output->priv_data, "movflags", "+frag_keyframe", 0);
  m->cut_passed = true;
  return muxer_note_error(m, error);
}

/* ---- anywhere in a file ---- */

void muxer_forget_hidden(track *t) {
  for (size_t i = 0; i < t->hidden_count; i++)
    cuframes_packet_release(t->hidden[i]);
  free(t->hidden);
  t->hidden = NULL;
  t->hidden_count = t->hidden_room = 0;
}

bool muxer_keep_hidden(muxer *m, track *t, const cuframes_packet *packet) {
  if (cuframes_packet_flags(packet) & CUFRAMES_PACKET_KEY)
    muxer_forget_hidden(t); /* decoding can begin here */
  if (!is_hidden(packet) || t->hidden_count >= HIDDEN_MOST)
    return false;
  if (t->hidden_count == t->hidden_room) {
    const size_t room = t->hidden_room ? 2 * t->hidden_room : 64;
    cuframes_packet **more = realloc(t->hidden, room * sizeof(*more));
    if (!more)
      return muxer_note_error(m, AVERROR(ENOMEM));
    t->hidden = more;
    t->hidden_room = room;
  }
  t->hidden[t->hidden_count++] = cuframes_packet_ref((cuframes_packet *)(uintptr_t)packet);
  return true;
}

/* ---- the edit lists ---- */

typedef struct span {
  int64_t at, end; /* of a box's content, or of a part of it */
} span;

/* The next box in a part of the file, which shrinks by it. */
static bool next_box(int fd, span *in, char kind[5], span *content) {
  uint8_t head[16];
  if (in->end - in->at < 8 || pread(fd, head, sizeof(head), in->at) < 8)
    return false;
  const uint32_t said = AV_RB32(head);
  const int64_t header = said == 1 ? 16 : 8;
  const int64_t size = said == 1 ? (int64_t)AV_RB64(head + 8) : said == 0 ? in->end - in->at : said;
  if (size < header || size > in->end - in->at)
    return false;
  memcpy(kind, head + 4, 4);
  kind[4] = '\0';
  *content = (span){ in->at + header, in->at + size };
  in->at += size;
  return true;
}

static bool find_box(int fd, span in, const char *kind, span *content) {
  char found[5];
  while (next_box(fd, &in, found, content))
    if (!strcmp(found, kind))
      return true;
  return false;
}

/* Gives what lasts as long as the film a duration, in the film's time scale. */
static void patch_list(int fd, span list, int64_t duration) {
  uint8_t head[8], entry[20], value[8];
  if (pread(fd, head, sizeof(head), list.at) != sizeof(head))
    return;
  const bool wide = head[0] == 1;
  const int64_t size = wide ? 20 : 12, count = AV_RB32(head + 4);
  for (int64_t i = 0, at = list.at + 8; i < count && at + size <= list.end; i++, at += size) {
    if (pread(fd, entry, (size_t)size, at) != size)
      return;
    const int64_t lasts = wide ? (int64_t)AV_RB64(entry) : AV_RB32(entry);
    const int64_t from = wide ? (int64_t)AV_RB64(entry + 8) : (int32_t)AV_RB32(entry + 4);
    if (lasts != 0 || from < 0 || (!wide && duration > UINT32_MAX))
      continue;
    if (wide)
      AV_WB64(value, (uint64_t)duration);
    else
      AV_WB32(value, (uint32_t)duration);
    if (pwrite(fd, value, wide ? 8 : 4, at) < 0)
      return; /* as it was */
  }
}

static int64_t scale_of(int fd, span moov) {
  uint8_t head[24];
  span mvhd;
  if (!find_box(fd, moov, "mvhd", &mvhd) || pread(fd, head, sizeof(head), mvhd.at) != sizeof(head))
    return 0;
  return head[0] == 1 ? AV_RB32(head + 20) : AV_RB32(head + 12);
}

/* The tracks lie in the order of their streams. */
static int64_t end_of(const muxer *m, int stream) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    if (m->tracks[i].stream && m->tracks[i].stream->index == stream)
      return m->times.track[i].shown;
  return 0;
}

void muxer_cut_finish(const muxer *m) {
  const int fd = m->cut ? open(m->path + strlen("file:"), O_RDWR | O_CLOEXEC) : -1;
  span moov, trak, edts, elst;
  char kind[5];
  if (fd < 0)
    return;
  if (find_box(fd, (span){ 0, lseek(fd, 0, SEEK_END) }, "moov", &moov) && moov.end - moov.at < HEAD_MOST) {
    const int64_t scale = scale_of(fd, moov);
    for (int stream = 0; next_box(fd, &moov, kind, &trak);) {
      if (strcmp(kind, "trak") != 0)
        continue;
      const int64_t end = end_of(m, stream++);
      if (scale > 0 && end > 0 && find_box(fd, trak, "edts", &edts) && find_box(fd, edts, "elst", &elst))
        patch_list(fd, elst, av_rescale_rnd(end, scale, SECOND, AV_ROUND_UP));
    }
  }
  (void)close(fd);
}
