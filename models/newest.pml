/* newest.pml - the record of the newest frame beside head (src/exchange/newest.h) under C11's memory model (c11.pml):
 * cf_newest_write() against cf_newest_read() with describe_newest(). Who is killed between two stores, or stands still
 * between two loads, is one who takes long.
 *
 * Frame q lies in slot q % SLOTS, which may have become another segment's since its last frame; where it lies there
 * follows from slot and segment, and the reader remembers it from the last time that it asked the slot. The slot is
 * right: the frame is pinned, for which lease.pml is. A frame may come without a record, as a GPU's does. The mark
 * has MARKS values, of which 0 is nobody's.
 * Proves: a record that is taken for a frame's is that frame's, all of it, and where it lies is known.
 * Must fail: NO_LOOK (the mark is looked at only before the fields), MARK_STANDS (it is only stored behind them, and
 * the last one is not taken away), HEAD_EARLY (head moves first), HEAD_RELAXED (it is stored so), FIELDS_RELAXED,
 * LOADS_RELAXED (the fields are), NO_SEGMENT (the place is not compared), ANY_MARK (0 is taken for a frame's), and with
 * two frames more than MARKS, where the same mark comes again.
 */
#ifndef FRAMES
#define FRAMES 4
#endif
#ifndef MARKS
#define MARKS FRAMES /* the last frame's is 0 */
#endif
#define SLOTS 2
#define STORES (FRAMES + 1)

#define HEAD 0
#define MARK 1
#define SEGMENT 2
#define PTS 3
#define LOCATIONS 4

#include "c11.pml"

#ifdef FIELDS_RELAXED
#define FIELDS false
#else
#define FIELDS true
#endif
#ifdef LOADS_RELAXED
#define LOADS false
#else
#define LOADS true
#endif
#ifdef HEAD_RELAXED
#define HEADS false
#else
#define HEADS true
#endif

#ifdef ANY_MARK
#define KNOWN_MARK(mark) true
#else
#define KNOWN_MARK(mark) (mark != 0)
#endif
#ifdef NO_SEGMENT
#define KNOWN_PLACE(place, segment) (place != 0)
#else
#define KNOWN_PLACE(place, segment) (place == segment)
#endif

byte segment_of[FRAMES + 1];

active proctype writer() { /* cf_writer_publish */
  byte q = 1, l, newest = 1, segments[SLOTS];
  segments[0] = 1;
  segments[1] = 1;
  do
  :: q <= FRAMES ->
    if
    :: true
    :: newest++; segments[q % SLOTS] = newest
    fi;
    segment_of[q] = segments[q % SLOTS];
#ifdef HEAD_EARLY
    store(HEAD, q, true);
#endif
    if
    :: store(MARK, 0, false)
    ::
#ifndef MARK_STANDS
      store(MARK, q % MARKS, false);
#endif
      store(SEGMENT, segment_of[q], FIELDS);
      store(PTS, q, FIELDS);
#ifdef MARK_STANDS
      store(MARK, q % MARKS, true);
#endif
    fi;
#ifndef HEAD_EARLY
    store(HEAD, q, HEADS);
#endif
    q++
  :: else -> break
  od
}

active proctype reader() { /* take_newest */
  byte last, q, mark, segment, pts, l, n, places[SLOTS];
  byte known[LOCATIONS], heard[LOCATIONS];
  do
  :: last < FRAMES ->
    load(HEAD, true, q);
    assert(q >= last);
    if
    :: q == last -> skip
    :: else ->
#ifdef NO_LOOK
      load(MARK, true, mark);
#endif
      load(SEGMENT, LOADS, segment);
      load(PTS, LOADS, pts);
#ifndef NO_LOOK
      load(MARK, false, mark);
#endif
      if
      :: mark == q % MARKS && KNOWN_MARK(mark) && KNOWN_PLACE(places[q % SLOTS], segment) ->
        assert(pts == q && segment == segment_of[q] && places[q % SLOTS] == segment)
      :: else -> places[q % SLOTS] = segment_of[q] /* describe */
      fi;
      d_step { last = q; mark = 0; segment = 0; pts = 0 }
    fi
  :: else -> break
  od
}
