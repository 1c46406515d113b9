/* stream_tracks.c - codec parameters as a recording needs them. */
#include "stream_tracks.h"

#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/json.h"
#include "common/reader.h"

#define SECOND INT64_C(1000000000)

void stream_tracks_clear(stream_tracks *t) {
  for (int i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    free(t->track[i].extradata);
  *t = (stream_tracks){ .lead = CUFRAMES_TRACKS_MAX };
}

static bool is_another(const cuframes_codec_params *a, const cuframes_codec_params *b) {
  return strcmp(a->codec, b->codec) != 0 || a->width != b->width || a->height != b->height ||
         a->sample_rate != b->sample_rate || a->channels != b->channels || a->media_type != b->media_type;
}

int stream_tracks_read(stream_tracks *t, cuframes_subscriber *subscriber, uint32_t index, bool *changed) {
  track_known *track = &t->track[index], now = { .params = { .struct_size = sizeof(now.params) } };
  const void *extradata = NULL;
  const int error = cuframes_subscriber_get_codec_params(subscriber, index, &now.params, &extradata, &now.size);
  if (error && error != CUFRAMES_ERR_NO_CODEC_PARAMS)
    return error;
  now.known = !error;
  if (now.known && now.size) {
    now.extradata = malloc(now.size);
    if (!now.extradata)
      return CUFRAMES_ERR_NO_MEMORY;
    memcpy(now.extradata, extradata, now.size);
  }
  *changed = track->known != now.known || (now.known && is_another(&track->params, &now.params));
  now.in_file = track->in_file;
  free(track->extradata);
  *track = now;
  return CUFRAMES_OK;
}

static int read_all(stream_tracks *t, cuframes_subscriber *subscriber) {
  bool changed;
  int error = 0;
  for (uint32_t i = 0; !error && i < CUFRAMES_TRACKS_MAX; i++)
    error = stream_tracks_read(t, subscriber, i, &changed);
  return error;
}

int stream_tracks_read_all(stream_tracks *t, cuframes_subscriber *subscriber) {
  stream_tracks now = { .lead = CUFRAMES_TRACKS_MAX };
  const int error = read_all(&now, subscriber);
  if (error == CUFRAMES_ERR_PUBLISHER_GONE && t->foreseen) {
    stream_tracks_clear(&now);
    return CUFRAMES_OK;
  }
  stream_tracks_clear(t);
  *t = now;
  return error;
}

void stream_tracks_foresee(stream_tracks *t, cuframes_subscriber *subscriber) {
  cuframes_source_info source = { .struct_size = sizeof source };
  if (!cuframes_subscriber_get_source(subscriber, &source) &&
      (source.state == CUFRAMES_SOURCE_CONNECTING || source.state == CUFRAMES_SOURCE_REFUSED))
    return; /* nothing has come yet, maybe for days: the publisher is not asked meanwhile */
  const bool well = !read_all(t, subscriber);
  for (uint32_t i = 0; well && i < CUFRAMES_TRACKS_MAX; i++)
    t->foreseen = t->foreseen || t->track[i].known;
  if (!t->foreseen)
    stream_tracks_clear(t);
}

bool stream_tracks_none(cuframes_subscriber *subscriber, const char *directory, const char *name) {
  cuframes_source_info source = { .struct_size = sizeof source };
  cuframes_stream_info *info = NULL;
  if (cuframes_subscriber_get_source(subscriber, &source) || source.state != CUFRAMES_SOURCE_LIVE)
    return false;
  const bool none = !cuframes_stream_query(directory, name, READER_QUERY_NS, &info) && info->track_count == 0 &&
                    info->source->state == CUFRAMES_SOURCE_LIVE;
  cuframes_stream_info_free(info);
  return none;
}

static void note_orientation(const stream_tracks *t, const muxer *m, uint32_t index, const char *name) {
  const uint8_t orientation = t->track[index].params.orientation;
  if (orientation > CUFRAMES_ORIENTATION_TOP_LEFT && !muxer_holds_orientation(m))
    cli_note("%s: stream %u is to be turned (orientation %u), and this container does not say so here: .mp4 does", name,
             index, orientation);
}

bool stream_tracks_fit(stream_tracks *t, const muxer_options *options, const char *name) {
  muxer_options quiet = *options;
  quiet.say = NULL; /* the file itself says */
  muxer *m = muxer_create("fits", &quiet);
  t->lead = CUFRAMES_TRACKS_MAX;
  for (uint32_t i = 0; m && i < CUFRAMES_TRACKS_MAX; i++) {
    track_known *track = &t->track[i];
    const bool taken = track->known && muxer_describe(m, i, &track->params, track->extradata, track->size);
    track->in_file = taken && muxer_has(m, i);
    if (track->in_file)
      note_orientation(t, m, i, name);
    else if (track->known && !taken)
      cli_note("%s: left out: %s", name, muxer_problem(m));
    const bool video = track->params.media_type == CUFRAMES_MEDIA_VIDEO;
    if (track->in_file &&
        (t->lead == CUFRAMES_TRACKS_MAX || (video && t->track[t->lead].params.media_type != CUFRAMES_MEDIA_VIDEO)))
      t->lead = i;
  }
  muxer_free(m);
  return m != NULL;
}

void stream_tracks_describe_one(const stream_tracks *t, muxer *m, uint32_t index) {
  const track_known *track = &t->track[index];
  if (track->known && track->in_file)
    (void)muxer_describe(m, index, &track->params, track->extradata, track->size); /* as when it was tried */
}

void stream_tracks_describe(const stream_tracks *t, muxer *m) {
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++)
    stream_tracks_describe_one(t, m, i);
}

int64_t stream_tracks_interval(const stream_tracks *t) {
  const cuframes_codec_params *params = t->lead < CUFRAMES_TRACKS_MAX ? &t->track[t->lead].params : NULL;
  if (params && params->frame_rate_num && params->frame_rate_den)
    return SECOND * params->frame_rate_den / params->frame_rate_num;
  if (params && params->sample_rate && params->frame_size)
    return SECOND * params->frame_size / params->sample_rate;
  return SECOND / 25;
}

json_t *stream_tracks_json(const stream_tracks *t, const muxer *m) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < CUFRAMES_TRACKS_MAX; i++) {
    if (!muxer_has(m, i))
      continue;
    const bool video = t->track[i].params.media_type == CUFRAMES_MEDIA_VIDEO;
    json_t *object = json_pack("{s:i,s:s}", "track", (int)i, "type", video ? "video" : "audio");
    json_object_set_new(object, "codec", cli_json_text(muxer_codec(m, i)));
    if (muxer_conversion(m, i))
      json_object_set_new(object, "conversion", json_string(muxer_conversion(m, i)));
    json_array_append_new(list, object);
  }
  return list;
}
