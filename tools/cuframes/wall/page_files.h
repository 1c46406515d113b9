/* page_files.h - the files of the page, which the program carries: made of page/ by cmake/embed_page.cmake. */
#ifndef CUFRAMES_WALL_PAGE_FILES_H
#define CUFRAMES_WALL_PAGE_FILES_H

#include <stddef.h>

typedef struct page_file {
  const char *name, *type, *etag; /* the ETag with its quotes */
  const char *bytes;
  size_t size;
} page_file;

extern const page_file page_files[];
extern const size_t page_file_count;

#endif
