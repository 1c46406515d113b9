/* say.c - see say.h. */
#include "say.h"

#include <stdlib.h>
#include <string.h>

#include <libavutil/base64.h>
#include <libavutil/mem.h>

#include "common/json.h"

#define RANGE_FULL 2 /* cuframes/format.h */

http_body *say(json_t *value) {
  char *text = cli_json_line(value);
  return text ? http_body_new(text, strlen(text)) : NULL;
}

http_body *say_hello(void) {
  return say(json_pack("{s:{s:s,s:I}}", "hello", "version", cuframes_version(), "now", (json_int_t)sample_now()));
}

http_body *say_pong(double ping) {
  return say(json_pack("{s:f,s:I}", "pong", ping, "now", (json_int_t)sample_now()));
}

http_body *say_error(const char *why) {
  return say(json_pack("{s:o}", "error", cli_json_text(why)));
}

http_body *say_dropped(uint16_t tile, uint64_t count) {
  return say(json_pack("{s:i,s:I}", "tile", (int)tile, "dropped", (json_int_t)count));
}

http_body *say_why(uint16_t tile, const char *key, const char *why) {
  return say(json_pack("{s:i,s:o}", "tile", (int)tile, key, cli_json_text(why)));
}

http_body *say_gone(uint16_t tile) {
  return say(json_pack("{s:i,s:b}", "tile", (int)tile, "gone", 1));
}

http_body *say_detail(const cuframes_stream_info *info) {
  return say(json_pack("{s:o}", "detail", info ? cli_json_stream(info, true) : json_null()));
}

/* ---- tracks ---- */

/* A code point of ITU-T H.273 as WebCodecs names it; null where it has no name for it. */
static json_t *code_point(uint8_t value, const char *const *names, size_t count) {
  return value < count && names[value] ? json_string(names[value]) : json_null();
}

static json_t *color_json(const cuframes_color *color) {
  static const char *const primaries[] = {
    [1] = "bt709", [5] = "bt470bg", [6] = "smpte170m", [9] = "bt2020", [12] = "smpte432"
  };
  static const char *const transfers[] = {
    [1] = "bt709", [6] = "smpte170m", [8] = "linear", [13] = "iec61966-2-1", [16] = "pq", [18] = "hlg"
  };
  static const char *const matrices[] = {
    [0] = "rgb", [1] = "bt709", [5] = "bt470bg", [6] = "smpte170m", [9] = "bt2020-ncl"
  };
  json_t *object = json_object();
  json_object_set_new(object, "primaries",
                      code_point(color->primaries, primaries, sizeof primaries / sizeof *primaries));
  json_object_set_new(object, "transfer", code_point(color->transfer, transfers, sizeof transfers / sizeof *transfers));
  json_object_set_new(object, "matrix",
                      color->matrix ? code_point(color->matrix, matrices, sizeof matrices / sizeof *matrices)
                                    : json_null());
  json_object_set_new(object, "full", color->range == 0 ? json_null() : json_boolean(color->range == RANGE_FULL));
  return object;
}

static void add_video(json_t *object, const cuframes_codec_params *p) {
  json_object_set_new(object, "width", json_integer(p->width));
  json_object_set_new(object, "height", json_integer(p->height));
  json_object_set_new(object, "sample_aspect",
                      p->sample_aspect_den ? json_pack("[i,i]", (int)p->sample_aspect_num, (int)p->sample_aspect_den)
                                           : json_null());
  json_object_set_new(object, "orientation", p->orientation ? json_integer(p->orientation) : json_null());
  json_object_set_new(object, "color", color_json(&p->color));
  json_object_set_new(object, "fps",
                      p->frame_rate_den ? cli_json_rounded((double)p->frame_rate_num / p->frame_rate_den, 3)
                                        : json_null());
}

http_body *say_track(uint16_t tile, const track_config *c) {
  const bool video = c->kind == SAMPLE_VIDEO;
  const size_t room = AV_BASE64_SIZE(c->description_size);
  char *description = c->description_size ? malloc(room) : NULL;
  if (c->description_size &&
      (!description || !av_base64_encode(description, (int)room, c->description, (int)c->description_size))) {
    free(description);
    return NULL;
  }
  json_t *track = json_pack("{s:I,s:s,s:i,s:o,s:s,s:s?}", "config", (json_int_t)c->number, "kind",
                            video ? "video" : "audio", "track", (int)c->track, "name", cli_json_text(c->params.codec),
                            "codec", c->codec, "description", description);
  free(description);
  if (video) {
    add_video(track, &c->params);
  } else {
    json_object_set_new(track, "sample_rate", json_integer(c->params.sample_rate));
    json_object_set_new(track, "channels", json_integer(c->params.channels));
  }
  return say(json_pack("{s:i,s:o}", "tile", (int)tile, "track", track));
}
