/* picture_order.h - when pictures are shown that come without times, by the order in which they are to be shown.
 *
 * Streams without a container say of each picture where it is in that order (H.264's and HEVC's picture order count),
 * and not when. Pictures that are decoded behind each other come at their decoding times; one is shown when it and all
 * before it in the order have come. The picture that is last in the order so far is followed, in the order of decoding,
 * by those that are shown before it: how many is told by the distance from the one before. Those between two others are
 * shown evenly between these. Pure arithmetic; the times are those that timeline.h gives packets. */
#ifndef CUFRAMES_CLI_PICTURE_ORDER_H
#define CUFRAMES_CLI_PICTURE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define PICTURE_ORDER_KNOWN 20 /* more than can be out of order */

typedef struct picture_order {
  int known; /* of `recent`: those of this sequence that are last in the order, rising */
  struct {
    int64_t count, pts;
  } recent[PICTURE_ORDER_KNOWN];
  int64_t floor, latest; /* the latest pts: of the sequences before, of all; CUFRAMES_NO_TIME: none yet */
  int64_t unit;          /* from one picture to the next in the order, as the last sequence had it; 0: not known */
  int64_t least;         /* the smallest distance in this sequence; 0: not known */
  int pictures;          /* of this sequence */
  int between, since;    /* the last one in the order: how many were to come before it, and came by now */
  int late;              /* how much more than `depth` pictures there must be from decoding to showing */
} picture_order;

/* A picture, in the order of decoding. */
typedef struct picture_order_place {
  int64_t count;     /* its place in the order; begins anew with some keyframes */
  bool key;          /* it is one */
  int64_t dts, step; /* ns: its decoding time, and from one picture to the next; step > 0 */
  int64_t usual;     /* what `count` usually grows by from one picture to the next */
  int depth;         /* so many pictures may come before others that are shown earlier */
} picture_order_place;

void picture_order_init(picture_order *order);

/* What follows is not what would have come. */
void picture_order_break(picture_order *order);

/* The picture's pts, ns: never twice the same. *dts_most: it must not have a later dts, for there are pictures to come
 * that are shown before others. */
int64_t picture_order_pts(picture_order *order, const picture_order_place *place, int64_t *dts_most);

#endif
