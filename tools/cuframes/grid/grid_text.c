/* grid_text.c - see grid_text.h. */
#include "grid_text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ft2build.h>
#include FT_FREETYPE_H

#include "common/utf8.h"

#define PLATE_ALPHA 150 /* of the plate behind the text */
#define DOTS 3          /* "..." behind text that is cut */
#define LINES_MAX 8u
#define DEPTH_MAX 6 /* of directories with fonts */

typedef struct grid_font {
  FT_Library library;
  FT_Face face; /* NULL: boxes alone */
} grid_font;

void grid_image_free(grid_image *image) {
  free(image->data);
  *image = (grid_image){ 0 };
}

/* ---- the font ---- */

/* Where systems have the fonts that most have, the best first. */
static const char *const usual[] = {
  "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
  "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
  "/usr/share/fonts/TTF/DejaVuSans.ttf",
  "/usr/share/fonts/dejavu/DejaVuSans.ttf",
  "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
  "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
  "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
};

static bool has_ending(const char *name, const char *ending) {
  const size_t length = strlen(name), end = strlen(ending);
  return length > end && strcmp(name + length - end, ending) == 0;
}

static FT_Face open_face(FT_Library library, const char *path) {
  FT_Face face = NULL;
  if (FT_New_Face(library, path, 0, &face) != 0)
    return NULL;
  if (FT_IS_SCALABLE(face) && FT_Select_Charmap(face, FT_ENCODING_UNICODE) == 0 && FT_Get_Char_Index(face, 'A') != 0)
    return face;
  FT_Done_Face(face);
  return NULL;
}

/* Any font below a directory that can write Latin letters. */
static FT_Face search(FT_Library library, const char *directory, int depth) {
  DIR *open = depth < DEPTH_MAX ? opendir(directory) : NULL;
  FT_Face face = NULL;
  const struct dirent *entry;
  while (open != NULL && face == NULL && (entry = readdir(open)) != NULL) {
    char path[1024];
    if (entry->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path)
      continue;
    if (has_ending(entry->d_name, ".ttf") || has_ending(entry->d_name, ".otf"))
      face = open_face(library, path);
    else
      face = search(library, path, depth + 1); /* what is no directory cannot be opened as one */
  }
  if (open != NULL)
    closedir(open);
  return face;
}

static FT_Face find_face(FT_Library library) {
  FT_Face face = NULL;
  for (size_t i = 0; i < sizeof usual / sizeof *usual && face == NULL; i++)
    face = open_face(library, usual[i]);
  return face ? face : search(library, "/usr/share/fonts", 0);
}

grid_font *grid_font_open(const char *path, char *why, size_t size) {
  grid_font *font = calloc(1, sizeof *font);
  *why = '\0';
  if (font == NULL || FT_Init_FreeType(&font->library) != 0) {
    free(font);
    snprintf(why, size, "out of memory");
    return NULL;
  }
  font->face = path ? open_face(font->library, path) : find_face(font->library);
  if (font->face != NULL)
    return font;
  if (path == NULL) {
    snprintf(why, size, "there is no font here, so text is boxes: install one (fonts-dejavu-core), or --font FILE");
    return font;
  }
  snprintf(why, size, "%s is no font that can be used: it must be TrueType or OpenType and have Latin letters", path);
  grid_font_close(font);
  return NULL;
}

void grid_font_close(grid_font *font) {
  if (font == NULL)
    return;
  if (font->face != NULL)
    FT_Done_Face(font->face);
  FT_Done_FreeType(font->library);
  free(font);
}

/* ---- characters ---- */

/* A character's place and coverage: a bitmap of FreeType's, or a box. */
typedef struct glyph {
  int32_t advance;
  const FT_Bitmap *bitmap; /* NULL: a box */
  int32_t left, top;       /* of the bitmap, from the pen and up from the base line */
} glyph;

static glyph glyph_of(grid_font *font, uint32_t character, uint32_t size) {
  glyph g = { .advance = (int32_t)(size * 5 / 8) };
  const FT_UInt index =
      font->face && character >= 0x20 && character != UTF8_NONE ? FT_Get_Char_Index(font->face, character) : 0;
  if (index == 0 || FT_Load_Glyph(font->face, index, FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT) != 0 ||
      font->face->glyph->bitmap.pixel_mode != FT_PIXEL_MODE_GRAY)
    return g;
  g.advance = (int32_t)(font->face->glyph->advance.x >> 6);
  g.bitmap = &font->face->glyph->bitmap;
  g.left = font->face->glyph->bitmap_left;
  g.top = font->face->glyph->bitmap_top;
  return g;
}

/* ---- lines ---- */

typedef struct line {
  const char *from, *end; /* what is drawn of it */
  bool cut;
  int32_t width;
} line;

static const char *line_end(const char *text) {
  return text + strcspn(text, "\n");
}

/* How much of a line fits into max_width pixels, with dots if it is not all; nothing where dots have no room. */
static line measure(grid_font *font, const char *text, uint32_t size, int32_t max_width) {
  const char *end = line_end(text), *at = text;
  const int32_t dots = DOTS * glyph_of(font, '.', size).advance;
  line l = { .from = text, .end = text };
  int32_t width = 0, short_width = 0;
  while (at < end && width <= max_width) { /* texts may be megabytes long */
    width += glyph_of(font, utf8_next(&at), size).advance;
    if (at > end)
      at = end; /* half a character before the end of a line */
    if (width + dots <= max_width) {
      l.end = at;
      short_width = width;
    }
  }
  if (width <= max_width)
    return (line){ .from = text, .end = end, .width = width };
  l.cut = dots <= max_width;
  l.width = l.cut ? short_width + dots : 0;
  return l;
}

static void cover(uint8_t *coverage, uint32_t pitch, uint32_t height, int32_t x, int32_t y, uint8_t value) {
  if (x < 0 || y < 0 || (uint32_t)x >= pitch || (uint32_t)y >= height)
    return;
  uint8_t *to = coverage + (size_t)y * pitch + x;
  *to = value > *to ? value : *to;
}

static void draw_box(uint8_t *coverage, uint32_t pitch, uint32_t height, int32_t x, int32_t base, uint32_t size) {
  const int32_t w = (int32_t)(size / 2), h = (int32_t)(size * 7 / 10), thick = size > 24 ? 2 : 1;
  for (int32_t i = 0; i < h; i++)
    for (int32_t k = 0; k < w; k++)
      if (i < thick || k < thick || i >= h - thick || k >= w - thick)
        cover(coverage, pitch, height, x + k + 1, base - h + i, 255);
}

static int32_t draw_character(grid_font *font, uint32_t character, uint32_t size, const grid_image *image,
                              uint8_t *coverage, int32_t pen, int32_t base) {
  const glyph g = glyph_of(font, character, size);
  if (g.bitmap == NULL)
    draw_box(coverage, image->width, image->height, pen, base, size);
  for (uint32_t y = 0; g.bitmap != NULL && y < g.bitmap->rows; y++)
    for (uint32_t x = 0; x < g.bitmap->width; x++)
      cover(coverage, image->width, image->height, pen + g.left + (int32_t)x, base - g.top + (int32_t)y,
            g.bitmap->buffer[(ptrdiff_t)y * g.bitmap->pitch + x]);
  return pen + g.advance;
}

static void draw_line(grid_font *font, const line *l, uint32_t size, const grid_image *image, uint8_t *coverage,
                      int32_t base) {
  int32_t pen = ((int32_t)image->width - l->width) / 2;
  for (const char *at = l->from; at < l->end;)
    pen = draw_character(font, utf8_next(&at), size, image, coverage, pen, base);
  for (int i = 0; l->cut && i < DOTS; i++)
    pen = draw_character(font, '.', size, image, coverage, pen, base);
}

/* White text over a black plate, as one picture: how much of it is white, and how much there is. */
static void make_pixels(grid_image *image, const uint8_t *coverage) {
  for (size_t i = 0; i < (size_t)image->width * image->height; i++) {
    const uint32_t white = coverage[i], alpha = white + (255 - white) * PLATE_ALPHA / 255;
    uint8_t *to = image->data + i * 4;
    memset(to, (int)(white * 255 / alpha), 3);
    to[3] = (uint8_t)alpha;
  }
}

/* Pixels of so many lines. */
static uint32_t image_height(uint32_t lines, uint32_t size) {
  return (lines * (size + size / 4) + size / 4 + 2) & ~1u;
}

bool grid_text_draw(grid_font *font, const char *text, uint32_t size, uint32_t max_width, uint32_t max_height,
                    grid_image *image) {
  const uint32_t pad = size / 4 + 1, height = size + size / 4;
  line lines[LINES_MAX];
  uint32_t count = 0;
  int32_t widest = 0;
  if (font->face != NULL && FT_Set_Pixel_Sizes(font->face, 0, size) != 0)
    return false;
  if (max_width < 4 * pad || *text == '\0')
    return false;
  for (const char *at = text; count < LINES_MAX && image_height(count + 1, size) <= max_height; at = line_end(at) + 1) {
    lines[count] = measure(font, at, size, (int32_t)(max_width - 2 * pad - 2));
    widest = lines[count].width > widest ? lines[count].width : widest;
    count++;
    if (*line_end(at) == '\0')
      break;
  }
  if (widest == 0)
    return false;
  grid_image made = { .width = ((uint32_t)widest + 2 * pad + 1) & ~1u, .height = image_height(count, size) };
  made.pitch = made.width * 4;
  made.data = malloc((size_t)made.pitch * made.height);
  uint8_t *coverage = calloc(made.width, made.height);
  const bool well = made.data != NULL && coverage != NULL;
  if (well) {
    for (uint32_t i = 0; i < count; i++)
      draw_line(font, &lines[i], size, &made, coverage, (int32_t)(i * height + size + pad / 2));
    make_pixels(&made, coverage);
    grid_image_free(image);
    *image = made;
  } else {
    free(made.data);
  }
  free(coverage);
  return well;
}
