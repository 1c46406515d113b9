/* lease_ordered.pml - a publisher with two subscribers (src/exchange/frame_writer.c, frame_reader.c): one newest, and
 * one ordered with DEPTH that joins while frames are published, and may be evicted when it is full, or by the service
 * thread at any time, though it lives. A lease each.
 *
 * Every access to shared memory is one step. The publisher takes the first free slot (lease.pml: any), and looks at the
 * seats for each frame or only when no slot is free. Where the ordered one has no room the publisher waits, evicts it,
 * or drops the frame and gives its slot back (cf_writer_cancel).
 * Proves what lease.pml does, and that the ordered one gets every frame from joining on until it is evicted, and knows
 * when it is.
 * Holds as well: with HOSTILE, where loads from the ordered one's seat give any words, for everybody else. With DEATHS
 * there is no newest one, and the ordered one or the publisher may be killed at every step: then the other goes on, and
 * the ordered one gets what is out.
 * Must fail: NSLOT one less; CURSOR_FIRST, where the ordered one moves its cursor before it stores its lease;
 * FLOOR_LATE, where the publisher loads the leases before the cursor; NO_SECOND_STATE, where the ordered one does not
 * look whether it was evicted after it announced its lease; STATE_LATE, where its cursor counts no more before it can
 * know that it is evicted; JOIN_BLIND, where it does not look at head again when it has joined.
 */
#ifndef DEPTH
#define DEPTH 2
#endif
#define PINNED_DEPTH (DEPTH < 2 -> 2 : DEPTH)
#ifdef DEATHS
#define DIES(when) unless { when }
#define ONE_LESS 1 /* no newest one there */
#else
#define DIES(when)
#define ONE_LESS 0
#endif
#ifndef NSLOT
#if DEPTH < 2
#define NSLOT (5 - ONE_LESS) /* 1 + one open + one lease + one lease and one that waits */
#else
#define NSLOT (3 + DEPTH - ONE_LESS)
#endif
#endif
#ifndef MAXSEQ
#define MAXSEQ 5
#endif
#define NONE 255

#define WORD(q, s) ((q) * 8 + (s))
#define SEQ(w) ((w) / 8)
#define SLOT(w) ((w) % 8)
#define BIT(s) (1 << (s))
#define FULL (!given_up && seen != NONE && q - 1 - seen >= DEPTH)

byte data[NSLOT];           /* slot.seq and the frame: 0 while it is written */
byte head;
byte lease0;                /* of the newest one */
byte lease1, cursor = NONE; /* of the ordered one */
bool evicted;               /* its seat's state */
bool given_up;              /* its cursor counts no more */
bool done, removed;
bool killed, dead, publisher_killed; /* the ordered one, for whom the service then gives its seat up; the publisher */

/* seat_cursor: it grows and does not pass the newest frame, whatever the seat says */
inline believe() {
#ifdef HOSTILE
  if
  :: seen == NONE -> seen = 0
  :: seen != NONE && seen + 1 < q -> seen++
  :: seen == NONE && q > 1 -> seen = q - 1
  :: true
  fi
#else
  if
  :: cursor != NONE && cursor < q && (seen == NONE || cursor > seen) -> seen = cursor
  :: else
  fi
#endif
}

inline look_at_cursor() {
  atomic {
    believe();
    floor = (given_up || seen == NONE -> NONE : seen);
    if
    :: floor != NONE && q - 1 > PINNED_DEPTH && floor < q - 1 - PINNED_DEPTH -> floor = q - 1 - PINNED_DEPTH
    :: else
    fi
  }
}

inline look_at_lease() {
#ifdef HOSTILE
  atomic {
    if
    :: true
    :: pins = pins | BIT(0)
    :: pins = pins | BIT(1)
    :: pins = pins | BIT(2)
    :: pins = pins | BIT(3)
    :: NSLOT > 4 -> pins = pins | BIT(4)
    fi
  }
#else
  d_step { pins = pins | (lease1 != 0 && !removed -> BIT(SLOT(lease1)) : 0) }
#endif
}

inline look() {
  d_step { pins = (lease0 != 0 -> BIT(SLOT(lease0)) : 0) };
#ifdef FLOOR_LATE
  look_at_lease();
  look_at_cursor();
#else
  look_at_cursor();
  look_at_lease();
#endif
  d_step {
    s = 0;
    do
    :: s < NSLOT ->
      if
      :: held & BIT(s) && !(pins & BIT(s)) && !(floor != NONE && data[s] > floor) ->
        held = held & ~BIT(s);
        free = free | BIT(s)
      :: else
      fi;
      s++
    :: else -> break
    od;
    s = 0;
    pins = 0;
    floor = 0
  }
}

active proctype publisher() {
  byte q = 1, s, floor, pins, free = BIT(NSLOT) - 1, held;
  bool spares; /* it looks only when no slot is free */
  byte seen = NONE; /* the cursor, as far as it is believed */
  {
    if
    :: spares = true
    :: true
    fi;
    do
    :: q <= MAXSEQ ->
      if
      :: !spares || free == 0 -> look()
      :: else
      fi;
      assert(free != 0);
      atomic {
        do
        :: free & BIT(s) -> break
        :: else -> s++
        od;
        free = free & ~BIT(s);
        data[s] = 0
      };
      atomic { believe() }; /* cf_writer_enter_full */
      do
      :: FULL -> /* an ordered seat without room */
        if
#ifdef HOSTILE
        :: atomic { believe() }
#else
        :: atomic { cursor != NONE && cursor > seen -> seen = cursor } /* it was waited for */
#endif
        :: atomic { free = free | BIT(s); s = 0 }; goto dropped
        :: atomic { evicted = true; given_up = true } /* cf_writer_evict */
        fi
      :: else -> break
      od;
      atomic {
        data[s] = q;
        held = held | (head != 0 -> BIT(SLOT(head)) : 0);
        head = WORD(q, s);
        q++;
        s = 0
      };
dropped:
      skip
    :: else -> break
    od
  } DIES(publisher_killed);
  done = true
}

#ifndef DEATHS
active proctype newest() {
  byte w, last;
  do
  :: SEQ(head) != last ->
    w = head;
    lease0 = w;
    if
    :: head == w ->
      assert(SEQ(w) > last);
      last = SEQ(w);
      assert(data[SLOT(w)] == last) /* at the end of its use */
    :: else
    fi;
    atomic { lease0 = 0; w = 0 }
  :: done && SEQ(head) == last -> break
  od
}
#endif

#ifndef HOSTILE
active proctype ordered() {
  byte w, last;
  {
    do /* joins */
    :: atomic { w = head; last = (w == 0 -> 0 : SEQ(w) - 1) };
      cursor = last;
#ifdef JOIN_BLIND
      break
#else
      if
      :: head == w -> break
      :: else
      fi
#endif
    od;
    do
    :: evicted -> break /* looks every time, after the lease was given back */
    :: !evicted && SEQ(head) > last ->
      atomic { /* the index says where it is; if that is no longer so, nothing there is ours */
        w = 0;
        do
        :: w == NSLOT -> assert(evicted); goto over
        :: w < NSLOT && data[w] == last + 1 -> w = WORD(last + 1, w); break
        :: else -> w++
        od
      };
#ifdef CURSOR_FIRST
      cursor = last + 1;
#endif
      lease1 = w;
#ifndef NO_SECOND_STATE
      if
      :: evicted -> lease1 = 0; break
      :: else
      fi;
#endif
      assert(data[SLOT(w)] == last + 1); /* else the publisher would be broken */
      atomic { last++; cursor = last };
      assert(data[SLOT(w)] == last); /* at the end of its use */
      atomic { lease1 = 0; w = 0 }
    :: done && SEQ(head) == last -> assert(last == MAXSEQ || publisher_killed || evicted); break
    od;
over:
    skip
  } DIES(killed);
  atomic { dead = killed; w = 0 }
}

active proctype service() { /* peer_hang_up, cf_peer_unseat */
  if
#ifdef DEATHS
  :: dead; evicted = true; given_up = true; removed = true
  :: done
#else
#ifdef STATE_LATE
  :: given_up = true; evicted = true
#else
  :: evicted = true; given_up = true
#endif
  :: true
#endif
  fi
}
#endif

#ifdef DEATHS
active proctype killer() {
  if
  :: killed = true
  :: publisher_killed = true
  fi
}
#endif
