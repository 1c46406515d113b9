/* message.h - what RTSP's connection carries: requests, replies, and packets in between (RFC 2326). */
#ifndef CUFRAMES_CLI_RTSP_MESSAGE_H
#define CUFRAMES_CLI_RTSP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#define RTSP_WORD_MAX 32
#define RTSP_ADDRESS_MAX 2048
#define RTSP_HEAD_MAX 16384
#define RTSP_BODY_MAX (1 << 20)

/* A request or a reply; it points into the bytes that it was read from. */
typedef struct rtsp_message {
  int status; /* of a reply; 0: it is a request */
  char method[RTSP_WORD_MAX];
  char address[RTSP_ADDRESS_MAX]; /* of a request */
  char reason[64];                /* of a reply */
  const char *head;               /* the lines behind the first one, up to the empty one */
  size_t head_size;
  size_t whole_head; /* bytes up to the body */
  const char *body;
  long body_size; /* that it announces; -1: it does not say */
  long number;    /* CSeq; -1: none */
} rtsp_message;

/* How many bytes the head of a message takes that begins here, with its empty line; 0: it is not whole yet. */
size_t rtsp_head_size(const char *data, size_t size);
/* Reads the head of a message of that size. False: it is none. */
bool rtsp_message_read(rtsp_message *m, const char *data, size_t head_size);

/* The value of the header of this name, the n-th of them from 0. False: there is none. */
bool rtsp_header(const rtsp_message *m, const char *name, unsigned n, char *value, size_t size);
/* Walks over the header lines: *at begins as m->head. Gives the next line's length, without its end; 0: no more. */
size_t rtsp_next_line(const rtsp_message *m, const char **at, const char **line);
/* Whether a line is the header of this name. */
bool rtsp_is_header(const char *line, size_t length, const char *name);

/* Of "name=value;name="va;lue"", at any place: the value, without quotes. False: it is not there. */
bool rtsp_parameter(const char *text, const char *name, char *value, size_t size);

#endif
