/* support/stream.h - small streams to test with: pictures whose every byte follows from a number, on any device. */
#ifndef SUPPORT_STREAM_H
#define SUPPORT_STREAM_H

#include "support/fixture.h"

/* Grey, 64 x 16: one page holds a frame. */
cuframes_format small_format(void);
/* Options with their sizes and the small format filled in; an ordered subscriber is not evicted for a slow machine. */
cuframes_publisher_options publisher_options(void);
cuframes_subscriber_options subscriber_options(uint32_t mode);

/* A stream with standard options, and one who joined it. */
cuframes_publisher *publisher_new(const char *name);
cuframes_subscriber *subscriber_new(const char *name, uint32_t mode);
/* Asks a stream that is there; again if it does not answer within the library's two seconds: the machine may be
 * busy. */
int subscriber_try(const char *name, const cuframes_subscriber_options *options, cuframes_subscriber **subscriber);
/* The same, and it lets us in. */
cuframes_subscriber *subscriber_join(const char *name, const cuframes_subscriber_options *options);

/* Fills an open frame with the picture of that number; on a GPU by a copy, which may fail. */
int picture_copy(cuframes_frame *frame, uint64_t number);
/* Whether every visible byte is of that picture; on a GPU by a copy, which may fail. */
int picture_look(const cuframes_frame *frame, uint64_t number, bool *whole);
/* The same where they must go well. */
void picture_draw(cuframes_frame *frame, uint64_t number);
bool picture_is(const cuframes_frame *frame, uint64_t number);
/* The number in a frame that publish_picture() published; fails if the picture is not whole. */
uint64_t picture_number(const cuframes_frame *frame);

/* Draws and publishes a picture; its pts is number * 1000. */
int picture_publish(cuframes_publisher *publisher, uint64_t number);
/* Pictures first, first + 1, ... `count` of them, all of which must go well; those for which the pool has no slot yet
 * are drawn again. */
void pictures_publish(cuframes_publisher *publisher, uint64_t first, uint64_t count);

/* Takes the next frame, which must come within the usual patience. */
cuframes_frame *frame_take(cuframes_subscriber *subscriber);
/* Takes and gives back the next frame: its number. */
uint64_t frame_look(cuframes_subscriber *subscriber);

cuframes_publisher_stats publisher_stats(cuframes_publisher *publisher);
cuframes_subscriber_stats subscriber_stats(cuframes_subscriber *subscriber);

#endif
