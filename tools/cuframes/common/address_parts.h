/* address_parts.h - where in a text addresses have something that is secret: passwords, tokens, stream keys.
 *
 * People write addresses as they like, with any character in a password. So this does not ask what a strict reading of
 * the address would be, but what could be secret in any reading. */
#ifndef CUFRAMES_CLI_ADDRESS_PARTS_H
#define CUFRAMES_CLI_ADDRESS_PARTS_H

#include <stdbool.h>
#include <stddef.h>

enum address_kind {
  ADDRESS_NOTHING,
  ADDRESS_SECRET,   /* the value of a parameter, a stream key */
  ADDRESS_PASSWORD, /* with its user */
  ADDRESS_NAME      /* the name of a user, alone: not to be shown, since it may be a token, and not worth looking for */
};

typedef struct address_part {
  enum address_kind kind;
  const char *text; /* in the text that was searched */
  size_t length;
  const char *user; /* of a password */
  size_t user_length;
} address_part;

/* Calls `found` for each such part. whole: the text is an input, and not just one that has addresses in it, which end
 * with a blank or a quote. */
void address_parts_find(const char *text, size_t length, bool whole,
                        void (*found)(void *user, const address_part *part), void *user);

/* What the value of a parameter of this name is. */
enum address_kind address_name_kind(const char *name, size_t length);

/* The character of a "%41" that the text begins with, or -1. */
int address_escaped(const char *text, size_t length);

/* The password of an address if a strict reading, as libavformat's, would end it too early ("rtsp://user:a/b@host/"):
 * where it is. False: there is none, or it is in order. */
bool address_raw_password(const char *address, size_t *from, size_t *to);

#endif
