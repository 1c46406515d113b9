/* message.h - what a page says, taken apart. Pure: text in, struct out. */
#ifndef CUFRAMES_WALL_MESSAGE_H
#define CUFRAMES_WALL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuframes/cuframes.h>

#define MESSAGE_TILES_MAX 256
#define MESSAGE_DEPTH_MAX 8
#define MESSAGE_WHY 256
#define MESSAGE_FPS_MAX 10
#define MESSAGE_WIDTH_MAX 8192

/* One tile of a page, and what it is to have. */
typedef struct message_tile {
  uint16_t tile;
  bool pictures; /* JPEG in the place of packets */
  bool audio, data, again;
  double fps;     /* of pictures; 0: not said */
  uint32_t width; /* likewise */
  char stream[CUFRAMES_NAME_MAX + 1];
} message_tile;

enum message_kind { MESSAGE_NONE, MESSAGE_WATCH, MESSAGE_DETAIL, MESSAGE_PING };

typedef struct message {
  enum message_kind kind;
  message_tile *tiles; /* WATCH */
  size_t count;
  char detail[CUFRAMES_NAME_MAX + 1]; /* empty: of none any more */
  double ping;
} message;

enum message_result { MESSAGE_WELL, MESSAGE_WRONG, MESSAGE_NO_JSON };

/* WRONG and NO_JSON: `why` says what was expected and what came; the first is the mistake of a page, the second is no
 * JSON at all. `text` need not end with 0. */
enum message_result message_parse(const char *text, size_t length, message *m, char why[MESSAGE_WHY]);
void message_clear(message *m);

#endif
