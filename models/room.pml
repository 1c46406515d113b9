/* room.pml - a publisher that waits for an ordered subscriber is woken as soon as there is room: make_room() and
 * cf_writer_seat_full() against cf_reader_take(), cf_reader_leave() and seat_give_up().
 *
 * The subscriber moves the word only if the publisher waits. The publisher's sleep has no time-out here. The subscriber
 * takes every frame, or leaves, or is killed at any step; then the service gives its seat up. Proves: the publisher
 * does not sleep for ever, and no frame is put in a full seat.
 * Must fail: WORD_LATE (the publisher loads the word after the cursor), WAITS_LATE (it says that it waits after it
 * looked at the cursor), RING_EARLY (the subscriber looks whether somebody waits before it moves its cursor), SILENT (a
 * seat is given up and the word does not move).
 */
#ifndef FRAMES
#define FRAMES 4
#endif
#define DEPTH 1
#define NONE 255

byte head, cursor, room;
bool publisher_waits, evicted, asleep, killed, finished;

active proctype publisher() {
  byte q = 1, r, c;
  bool is_full;
  do
  :: q <= FRAMES ->
    c = cursor;
    is_full = (c != NONE && !evicted && q - 1 - c >= DEPTH); /* cf_writer_enter_full */
    do
    :: is_full -> /* cf_writer_seat_full */
#ifndef WORD_LATE
      r = room;
#endif
#ifndef WAITS_LATE
      publisher_waits = true;
#endif
      is_full = !evicted;
      c = cursor;
      is_full = (is_full && c != NONE && q - 1 - c >= DEPTH);
#ifdef WORD_LATE
      r = room;
#endif
#ifdef WAITS_LATE
      publisher_waits = true;
#endif
      if
      :: is_full ->
        if
        :: atomic { room == r -> asleep = true }; !asleep
        :: room != r
        fi
      :: else -> publisher_waits = false
      fi
    :: else -> break
    od;
    assert(cursor == NONE || evicted || q - 1 - cursor < DEPTH);
    head = q;
    q++
  :: else -> break
  od
}

inline move(value) {
#ifdef RING_EARLY
  ring = publisher_waits;
#endif
  cursor = value; /* cursor_move */
#ifndef RING_EARLY
  ring = publisher_waits;
#endif
  if
  :: ring -> room++; asleep = false
  :: else
  fi
}

active proctype subscriber() {
  byte last;
  bool ring, leaves;
  if
  :: leaves = true /* some time */
  :: true
  fi;
  {
    do
    :: last < FRAMES && head > last -> last++; move(last) /* take_ordered */
    :: last == FRAMES -> break
    :: leaves -> move(NONE); break /* cf_reader_leave */
    od
  } unless { killed };
  finished = true
}

active proctype killer() {
  if
  :: killed = true
  :: true
  fi
}

active proctype service() { /* peer_hang_up */
  finished;
  evicted = true;
#ifndef SILENT
  room++;
#endif
  asleep = false
}
