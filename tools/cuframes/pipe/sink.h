/* sink.h - where a pipe's bytes go: stdout, a named pipe or a socket. A write waits for the reader, and a signal to end
 * (cli_stopped) ends that wait. */
#ifndef CUFRAMES_PIPE_SINK_H
#define CUFRAMES_PIPE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sink {
  int fd;         /* -1: none */
  bool own;       /* closed by sink_close() */
  bool socket;    /* written to by send() */
  bool waits;     /* write() may wait and cannot be told not to: only so much is given to it as there is room for */
  int error;      /* errno of the first write that failed, EINTR for a signal; 0: none did. Then nothing is written */
  uint64_t bytes; /* written */
  int64_t blocked_ns; /* spent waiting for the reader */
} sink;

/* Takes stdout. */
void sink_stdout(sink *s);
/* Takes a named pipe, or another file that is no regular one, once somebody reads it; waits for that. A path where
 * nothing is becomes a named pipe: *made. An exit code, after a message. */
int sink_named(sink *s, const char *path, bool *made);
/* Takes a connected socket, and closes it in the end. */
void sink_socket(sink *s, int fd);

/* Lets the pipe have room for as much of a picture as the system allows, and for no more than one: pictures that wait
 * in it grow old. */
void sink_make_room(const sink *s, size_t picture_bytes);

/* Writes all of it. False: s->error says why. */
bool sink_write(sink *s, const void *data, size_t size);
/* Whether the reader has gone, looked up while there is nothing to write. */
bool sink_reader_has_gone(const sink *s);

void sink_close(sink *s);

#endif
