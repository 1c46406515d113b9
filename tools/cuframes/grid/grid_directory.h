/* grid_directory.h - the streams of the runtime directory, looked at once a second by a thread of its own: asking a
 * publisher takes time, and the grid has none. */
#ifndef CUFRAMES_GRID_DIRECTORY_H
#define CUFRAMES_GRID_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include <cuframes/cuframes.h>

/* What the description of a grid's stream begins with: patterns find no grids, since two of them would show each other
 * for ever. */
#define GRID_DESCRIPTION "grid of "

typedef struct grid_directory grid_directory;

/* What there was at the last look. */
typedef struct grid_listing {
  size_t count;
  struct grid_listed {
    char name[CUFRAMES_NAME_MAX + 1];
    char reason[CUFRAMES_REASON_MAX + 1]; /* what its publisher says of its source */
    bool answers;                         /* else nothing of what follows is known */
    bool has_pictures;                    /* or is going to have some */
    bool is_grid;
  } entries[];
} grid_listing;

/* NULL: no memory, or no thread. */
grid_directory *grid_directory_open(const char *directory);
/* What came since the last call, which the caller frees with free(); NULL: nothing. Never waits. */
grid_listing *grid_directory_take(grid_directory *directory);
/* Waits for a look that is under way, a second at most. */
void grid_directory_close(grid_directory *directory);

#endif
