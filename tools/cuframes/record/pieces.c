/* pieces.c - one file after the other: begun, written, ended, and what becomes of them when the disk does not take
 * them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <libavutil/error.h>

#include "recorder.h"

#define SECOND INT64_C(1000000000)
#define RETRY_MOST (10 * SECOND)
/* Beside four groups of pictures so much room is wanted on a disk where the oldest files may be deleted. */
#define ROOM (256u << 10)
/* What a container puts around packets, beside a sixteenth of them. */
#define HEADS 4096
/* A hole between two files that is worth a word. */
#define GAP (SECOND / 2)

static int64_t seconds_of(int64_t ns) {
  return ns / SECOND - (ns % SECOND < 0);
}

void pieces_trouble(recorder *r, const char *file, const char *message) {
  const int64_t now = cuframes_now();
  r->keep_all = false;
  if (!r->troubled) {
    r->troubled = true;
    r->trouble_since = now;
    r->dropped_before = r->backlog.dropped;
    r->retry_after = SECOND / 2;
    report_error(r, file, message);
    cli_note("%s: tried again until files can be written", r->config->reader.name);
  }
  r->retry_at = now + r->retry_after;
  r->retry_after = 2 * r->retry_after < RETRY_MOST ? 2 * r->retry_after : RETRY_MOST;
}

/* A file could not be made or written: the oldest goes if the disk is full and that is allowed. */
static void after_failure(recorder *r, int error, const char *file, const char *message) {
  r->full = error == ENOSPC;
  if ((error == ENOSPC || error == EDQUOT) && retention_free_one(&r->retention))
    r->retry_at = 0;
  else
    pieces_trouble(r, file, message);
}

/* Whether a disk that was full has room for a while: what fits in by chance would soon be the end of the next file. */
static bool has_room_again(recorder *r) {
  struct statvfs disk;
  if (!r->full || statvfs(r->names.root, &disk) || (uint64_t)disk.f_bavail * disk.f_frsize >= 4 * r->usual_group + ROOM)
    return true;
  pieces_trouble(r, r->config->output, strerror(ENOSPC));
  return false;
}

static bool make_part(recorder *r, piece *f) {
  const char *what = NULL;
  char message[sizeof(f->part.file) + 256];
  if (!has_room_again(r))
    return false;
  const int error = files_create(&r->names, seconds_of(f->wall), &f->part, &what);
  if (!error)
    return true;
  snprintf(message, sizeof(message), "cannot make %s: %s: %s", *f->part.file ? f->part.file : r->config->output, what,
           strerror(-error));
  after_failure(r, -error, f->part.file, message);
  return false;
}

/* What is left of --duration; 0: no limit. */
static int64_t limit_of(const recorder *r) {
  if (!r->config->duration_ns)
    return 0;
  const int64_t done = r->recorded + (r->current.muxer ? muxer_position(r->current.muxer) : 0);
  return done < r->config->duration_ns ? r->config->duration_ns - done : 1;
}

/* One file is ours from its first packet on: two recorders in one leave nothing that plays, and what has come under
 * this name since we looked stays. False: the recording ends. */
static bool claim(recorder *r) {
  const char *path = r->config->output;
  struct stat there;
  if (r->claimed >= 0 || !strcmp(path, "-") || (!stat(path, &there) && !S_ISREG(there.st_mode)))
    return true;
  r->claimed = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (r->claimed < 0)
    return true; /* the muxer says why */
  const char *wrong = NULL;
  if (flock(r->claimed, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
    wrong = "another recorder writes this file";
  else if (!r->config->overwrite && !fstat(r->claimed, &there) && there.st_size > 0)
    wrong = "it exists by now: --overwrite replaces it";
  if (!wrong)
    return true;
  snprintf(r->failed_text, sizeof(r->failed_text), "cannot write %s: %s", path, wrong);
  r->ended = "error";
  return false;
}

static bool begin(recorder *r, piece *f, int64_t time, int64_t not_before, int64_t limit) {
  const record_config *config = r->config;
  *f = (piece){
    .start = time, .boundary = INT64_MAX, .part = { .fd = -1, .directory = -1 }, .after_trouble = r->troubled
  };
  if (config->many) {
    wall_begin_file(&r->wall, time);
    f->wall = wall_of(&r->wall, time);
    if (f->wall < not_before)
      f->wall = not_before; /* drift was taken back over the boundary */
    if (config->segment_ns)
      f->boundary = names_boundary(seconds_of(f->wall), config->segment_ns / SECOND, config->utc) * SECOND;
    retention_begin_file(&r->retention, seconds_of(f->wall));
    retention_fit(&r->retention, r->usual_bytes);
    if (!make_part(r, f))
      return false;
  } else if (!claim(r)) {
    return false;
  }
  const muxer_options options = recorder_muxer_options(r, limit);
  f->muxer = muxer_create(config->many ? f->part.path : config->output, &options);
  if (!f->muxer) {
    files_drop(&f->part);
    pieces_trouble(r, config->output, "out of memory");
    return false;
  }
  stream_tracks_describe(&r->tracks, f->muxer);
  r->tell_tracks = false;
  return true;
}

bool piece_begin(recorder *r, int64_t time, int64_t preroll, const char *reason) {
  piece f;
  piece_end(r, &r->old, r->old_reason);
  if (!begin(r, &f, time, INT64_MIN, limit_of(r)))
    return false;
  if (r->ended_wall && f.wall - r->ended_wall > GAP)
    report_gap(r, r->ended_wall, f.wall - r->ended_wall);
  r->keep_all = false;
  r->current = f;
  report_open(r, &r->current, reason, preroll);
  return true;
}

bool piece_switch(recorder *r, int64_t time, const char *reason) {
  piece f;
  piece_end(r, &r->old, r->old_reason);
  const int64_t not_before = wall_of(&r->wall, time) >= r->current.boundary ? r->current.boundary : INT64_MIN;
  if (!begin(r, &f, time, not_before, limit_of(r))) {
    piece_end(r, &r->current, reason);
    return false;
  }
  r->old = r->current;
  r->old_reason = reason;
  r->current = f;
  r->switched_at = time;
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    r->switched[i] = !r->tracks.track[i].in_file;
  r->switched[r->tracks.lead] = true;
  report_open(r, &r->current, reason, 0);
  return true;
}

/* Files can be written again, as this one shows. */
static void resume(recorder *r, const piece *f) {
  if (!r->troubled || !f->after_trouble)
    return;
  const uint64_t dropped = r->trouble_dropped + r->backlog.dropped - r->dropped_before;
  r->troubled = r->full = false;
  r->trouble_dropped = 0;
  r->dropped += dropped;
  report_resumed(r, dropped, cuframes_now() - r->trouble_since);
}

/* Into place. What it is called now stands in f->part.file. */
static void end_part(recorder *r, piece *f, const char *reason, bool failed) {
  char message[sizeof(f->part.file) + 256];
  const bool there = files_is_there(&f->part);
  if (failed && ftruncate(f->part.fd, (off_t)f->sound_bytes)) /* then it plays up to where it is torn */
    cli_note("%s: its torn end is still there: %s", f->part.file, strerror(errno));
  if (!muxer_packets(f->muxer) || (failed && !f->sound_bytes)) {
    files_drop(&f->part);
    return;
  }
  const uint64_t bytes = failed ? f->sound_bytes : muxer_bytes(f->muxer);
  const int error = files_finish(&r->names, &f->part);
  r->files++;
  r->usual_bytes = bytes;
  retention_finished(&r->retention, bytes);
  report_file(r, f, reason, failed ? f->sound_packets : muxer_packets(f->muxer), bytes);
  if (!there)
    snprintf(message, sizeof(message), "%s was deleted while it was written", f->part.file);
  else if (error)
    snprintf(message, sizeof(message), "cannot rename %s: %s", f->part.path, strerror(-error));
  if (!there || error)
    report_error(r, f->part.file, message);
  else if (!failed)
    resume(r, f); /* it may have had one group of pictures */
}

void piece_end(recorder *r, piece *f, const char *reason) {
  if (!f->muxer)
    return;
  const bool failed = !muxer_finish(f->muxer);
  const uint64_t packets = muxer_packets(f->muxer);
  if (failed && !f->failed)
    snprintf(r->failed_text, sizeof(r->failed_text), "%s", muxer_problem(f->muxer));
  if (failed && r->config->many)
    r->trouble_dropped += packets - f->sound_packets;
  r->packets += failed && r->config->many ? f->sound_packets : packets;
  r->bytes += muxer_bytes(f->muxer);
  r->refused += muxer_refused(f->muxer);
  json_decref(r->streams);
  r->streams = stream_tracks_json(&r->tracks, f->muxer);
  r->recorded += muxer_position(f->muxer);
  r->ended_wall = wall_of(&r->wall, f->start) + muxer_position(f->muxer);
  if (r->config->many)
    end_part(r, f, reason, failed);
  else if (!packets && !r->config->existed)
    (void)unlink(r->config->output); /* most often it was never created */
  else
    r->files += packets > 0;
  muxer_free(f->muxer);
  *f = (piece){ .part = { .fd = -1, .directory = -1 } };
}

uint64_t piece_after_group(const piece *f) {
  const uint64_t group = f->fed - f->fed_before_key > f->largest_gop ? f->fed - f->fed_before_key : f->largest_gop;
  const uint64_t more = f->fed - f->sound_fed + group;
  return muxer_bytes(f->muxer) + more + more / 16 + HEADS;
}

/* What is looked after with every group of pictures. */
static void begin_group(recorder *r, piece *f) {
  struct statvfs disk;
  const uint64_t group = f->fed - f->fed_before_key;
  if (group > f->largest_gop)
    f->largest_gop = r->usual_group = group;
  f->fed_before_key = f->fed;
  if (++f->keys == 2) /* what was written before has arrived */
    resume(r, f);
  if (!r->config->many)
    return;
  retention_fit(&r->retention, muxer_bytes(f->muxer) + 2 * f->largest_gop);
  while ((r->config->keep_ns || r->config->keep_bytes) && !fstatvfs(f->part.fd, &disk) &&
         (uint64_t)disk.f_bavail * disk.f_frsize < 4 * f->largest_gop + ROOM && retention_free_one(&r->retention))
    ;
}

/* Sends it to the disk once a second. False if that failed, with a message. */
static bool keep_synced(recorder *r, const piece *f) {
  const int64_t now = cuframes_now();
  if (!r->syncer)
    return true;
  const int error = syncer_error(r->syncer);
  if (error) {
    snprintf(r->failed_text, sizeof(r->failed_text), "cannot write %s: %s", f->part.path, strerror(error));
    return false;
  }
  if (now - r->synced >= SECOND && syncer_ask(r->syncer, f->part.fd))
    r->synced = now;
  return true;
}

bool piece_write(recorder *r, piece *f, const cuframes_packet *packet, bool start) {
  int error = EIO;
  bool sound = true;
  if (start) {
    begin_group(r, f);
    if (r->config->many && !files_is_there(&f->part)) {
      snprintf(r->failed_text, sizeof(r->failed_text), "%s was deleted while it was written", f->part.path);
      sound = false;
    }
  }
  if (f->sound_bytes != muxer_bytes(f->muxer) && muxer_packets(f->muxer)) { /* without the one that made it grow */
    f->sound_bytes = muxer_bytes(f->muxer);
    f->sound_packets = muxer_packets(f->muxer) - 1;
    f->sound_fed = f->fed;
  }
  f->fed += cuframes_packet_size(packet);
  sound = sound && keep_synced(r, f);
  if (sound && muxer_write(f->muxer, packet))
    return true;
  if (sound) {
    snprintf(r->failed_text, sizeof(r->failed_text), "%s", muxer_problem(f->muxer));
    error = AVUNERROR(muxer_error(f->muxer));
  }
  f->failed = true;
  if (!r->config->many)
    return false;
  const bool current = f == &r->current;
  char message[sizeof(r->failed_text)], file[sizeof(f->part.file)];
  memcpy(message, r->failed_text, sizeof(message));
  memcpy(file, f->part.file, sizeof(file));
  piece_end(r, f, "error");
  if (current)
    after_failure(r, error, file, message);
  else
    report_error(r, file, message);
  return false;
}
