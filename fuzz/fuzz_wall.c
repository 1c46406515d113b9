/* fuzz_wall.c - what a page says to `cuframes wall`: whatever comes, it is taken or refused with a reason, and what is
 * taken is within its limits. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wall/message.h"

static void need(bool condition) {
  if (!condition)
    abort();
}

static void check_tile(const message_tile *t) {
  const size_t length = strnlen(t->stream, sizeof t->stream);
  need(length > 0 && length < sizeof t->stream);
  need(t->fps == 0 || (t->fps >= 0.1 && t->fps <= MESSAGE_FPS_MAX));
  need(t->width == 0 || (t->width >= 16 && t->width <= MESSAGE_WIDTH_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  message m;
  char why[MESSAGE_WHY];
  memset(why, 'x', sizeof why);
  const enum message_result result = message_parse((const char *)data, size, &m, why);
  need(memchr(why, 0, sizeof why) != NULL);
  if (result == MESSAGE_WELL) {
    need(m.kind != MESSAGE_NONE && m.count <= MESSAGE_TILES_MAX && (m.count == 0 || m.kind == MESSAGE_WATCH));
    need(strnlen(m.detail, sizeof m.detail) < sizeof m.detail && isfinite(m.ping));
    for (size_t i = 0; i < m.count; i++) {
      check_tile(&m.tiles[i]);
      for (size_t k = 0; k < i; k++)
        need(m.tiles[k].tile != m.tiles[i].tile);
    }
  } else {
    need(*why && m.kind == MESSAGE_NONE && !m.tiles && m.count == 0);
  }
  message_clear(&m);
  return 0;
}
