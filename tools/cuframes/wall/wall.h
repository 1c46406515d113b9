/* wall.h - the command's parts, in the server's thread: who looks (viewers, by WebSocket), who reads files of streams,
 * and what gives them something: feeds of packets and galleries of pictures, which begin when somebody wants them. */
#ifndef CUFRAMES_WALL_WALL_H
#define CUFRAMES_WALL_WALL_H

#include "feed.h"
#include "gallery.h"
#include "http/http.h"
#include "look.h"

#define WALL_DEFAULT "127.0.0.1:10817"
#define WALL_PROTOCOL "cuframes-wall-1"

typedef struct viewer viewer;
typedef struct file_reader file_reader;

typedef struct wall_options {
  const char *directory; /* NULL: the default one */
  char **names;          /* only these; none: all */
  size_t name_count;
  http_options http;
} wall_options;

typedef struct wall {
  const wall_options *options;
  http_server *server;
  look *look;
  look_found found; /* by the newest look */
  bool has_found;
  feed *feeds;
  gallery *galleries;
  viewer *viewers;
  file_reader *files;
} wall;

/* Serves until it is to end. Gives an exit code. */
int wall_serve(const wall_options *options);

/* That of a stream, which begins if there is none. NULL: out of memory, or no thread. */
feed *wall_feed(wall *w, const char *name);
gallery *wall_gallery(wall *w, const char *name);
/* Asks for a look: at once, or within the next second. */
void wall_look(wall *w, bool at_once);

/* ---- viewer.c: pages, by WebSocket ---- */

bool viewer_open(wall *w, http_socket *socket);
void viewer_said(viewer *v, const char *text, size_t length);
void viewer_ready(viewer *v);
void viewer_left(viewer *v);
/* A look has ended. */
void viewers_looked(wall *w);
/* How many tiles show a stream. */
size_t viewers_watching(const wall *w, const char *name);

/* ---- files.c: what other programs read ---- */

/* Whether the path is that of a stream's file; then the request is answered, now or later. */
bool files_asked(wall *w, http_request *request, const char *path);
void files_ready(http_request *request);
void files_left(http_request *request);
void files_looked(wall *w);
#endif
