/* grid_text.h - text as small pictures with an alpha channel, to be laid over others (FreeType).
 *
 * Text is UTF-8. A character that the font does not have, and a byte that is no UTF-8, is drawn as a box. Characters
 * are set side by side from left to right: scripts whose letters change with their neighbours are not shaped. */
#ifndef CUFRAMES_GRID_TEXT_H
#define CUFRAMES_GRID_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* R, G, B, A bytes, not multiplied by A; `pitch` bytes from row to row. Width and height are even. */
typedef struct grid_image {
  uint32_t width, height, pitch;
  uint8_t *data;
} grid_image;

void grid_image_free(grid_image *image);

typedef struct grid_font grid_font;

/* Opens a font file; NULL: the first that is found of those that systems have. Without any there is still a font, of
 * boxes alone, and `why` says so; it is empty if all is well. NULL: out of memory, or the file cannot be used. */
grid_font *grid_font_open(const char *path, char *why, size_t size);
void grid_font_close(grid_font *font);

/* Lines of text, divided by '\n', white on a dark plate, `size` pixels high each, in the middle of each other. What is
 * wider than max_width ends with dots, and lines that max_height has no room for are left out. False: out of memory, or
 * there is nothing to draw; image is untouched then. */
bool grid_text_draw(grid_font *font, const char *text, uint32_t size, uint32_t max_width, uint32_t max_height,
                    grid_image *image);

#endif
