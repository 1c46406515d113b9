/* lease.pml - a publisher and two newest-mode subscribers with one lease each (src/exchange/frame_writer.c,
 * frame_reader.c). The first one's frames are released by its GPU some time later; it may die, and its seat goes when
 * its GPU stands still. The second one gives its lease back by a plain store, which others see some time later.
 *
 * Every other access to shared memory is one step. The publisher looks at the seats when no slot is free, and whenever
 * it likes; it takes any free slot without a look.
 * Proves: there always is a slot; what is in use is not written over, though nobody looks again when a free slot is
 * taken; nobody goes back or sees a torn frame; only acquire makes free slots fewer.
 * Holds as well: with HOSTILE, where a load from the first one's seat gives any word, for everybody else; with DROPS
 * and NSLOT less, where a frame for which there is no slot is dropped.
 * Must fail: NSLOT one less; NO_RECHECK, where the second one looks at the frame's number instead of head after it
 * announced its lease; LOOK_BEFORE_HEAD, where the publisher looks before head is the frame that follows, and counts
 * the slot of the one before as held; RELAXED_LEASE, where a lease is announced by a plain store, too; EARLY_REAP,
 * where the first one takes its lease back before its GPU has released it; FREE_HEAD, where the slot of the newest
 * frame is free as soon as nobody has leased it.
 */
#define NSUB 2
#ifndef NSLOT
#define NSLOT (2 + NSUB) /* the newest frame + one open + the cost of the seats */
#endif
#ifndef MAXSEQ
#define MAXSEQ 5
#endif

#define WORD(q, s) ((q) * 8 + (s))
#define SEQ(w) ((w) / 8)
#define SLOT(w) ((w) % 8)
#define BIT(s) (1 << (s))

byte data[NSLOT]; /* slot.seq and the frame: 0 while it is written */
byte head, lease[NSUB];
byte released;        /* of the first */
byte gpu;             /* word of the frame that its GPU reads */
bool dead, reclaimed; /* so is it */
bool done;
bool evicted, removed; /* the second, though it lives */

#ifdef HOSTILE
inline look_at_first() {
  atomic {
    if
    :: pins = 0
    :: pins = BIT(0)
    :: pins = BIT(1)
    :: pins = BIT(2)
    :: NSLOT > 3 -> pins = BIT(3)
    fi
  }
}
#else
inline look_at_first() {
  atomic { w = (reclaimed -> 0 : lease[0]); pins = 0 };
  if
  :: atomic { w == 0 || released == SEQ(w) -> w = 0 }
  :: atomic { else -> pins = BIT(SLOT(w)); w = 0 }
  fi
}
#endif

inline look() {
  look_at_first();
  d_step { /* the second one's lease, and what follows from all */
    pins = pins | (lease[1] != 0 && !removed -> BIT(SLOT(lease[1])) : 0);
    free = free | (held & ~pins);
    held = held & pins;
    pins = 0
  }
}

inline take_any_free() {
  if
  :: free & BIT(0) -> s = 0
  :: free & BIT(1) && used > 0 -> s = 1
  :: free & BIT(2) && used > 1 -> s = 2
  :: free & BIT(3) && used > 2 -> s = 3
  fi;
  used = (s == used -> s + 1 : used);
  free = free & ~BIT(s)
}

active proctype publisher() {
  byte q = 1, s, w, pins, free = BIT(NSLOT) - 1, held, known;
  byte used; /* slots were, the first ones: the others are alike */
  do
  :: q <= MAXSEQ ->
    if
    :: look()
    :: free != 0
    fi;
#ifdef DROPS
    if
    :: free == 0 -> goto dropped
    :: else
    fi;
#else
    assert(free != 0);
#endif
    atomic { take_any_free(); known = free; data[s] = 0 };
#ifdef LOOK_BEFORE_HEAD
    d_step { held = held | (head != 0 -> BIT(SLOT(head)) : 0); known = 0 };
    look();
    atomic { data[s] = q; head = WORD(q, s); q++; s = 0 };
#else
    atomic {
      held = held | (head != 0 -> BIT(SLOT(head)) : 0);
      data[s] = q;
      head = WORD(q, s);
      assert((free & known) == known); /* n free slots last for n frames */
      known = 0;
      q++;
      s = 0
    };
#endif
#ifdef FREE_HEAD
    look_at_first();
    d_step {
      pins = pins | (lease[1] != 0 && !removed -> BIT(SLOT(lease[1])) : 0);
      free = free | (BIT(SLOT(head)) & ~pins);
      pins = 0
    };
#endif
dropped:
    skip
  :: else -> break
  od;
  done = true
}

#ifndef HOSTILE
active proctype first() {
  byte w, last;
  do
  :: SEQ(head) != last ->
    if
    :: lease[0] != 0 ->
#ifndef EARLY_REAP
      released == SEQ(lease[0]);
#endif
      lease[0] = 0
    :: else
    fi;
    w = head;
    released = 0;
    lease[0] = w;
    if
    :: dead = true; break /* kill -9, with a lease */
    :: head == w ->
      assert(SEQ(w) > last && data[SLOT(w)] == SEQ(w));
      atomic { last = SEQ(w); gpu = w; w = 0 }
    :: head != w -> atomic { lease[0] = 0; w = 0 }
    fi
  :: dead = true; break /* with a frame on its GPU, perhaps */
  :: done && SEQ(head) == last -> break
  od
}

active proctype graphics() {
end:
  do
  :: gpu != 0 ->
    assert(data[SLOT(gpu)] == SEQ(gpu)); /* it was whole until now: what is written over does not come back */
    atomic { released = SEQ(gpu); gpu = 0 }
  od
}

active proctype service() {
end:
  atomic { dead && gpu == 0 -> reclaimed = true }
}
#endif

/* The second one's plain stores, on their way. */
chan buffer = [2] of { byte };

active proctype store_buffer() {
end:
  do
  :: buffer ? lease[1]
  od
}

active proctype second() {
  byte w, last;
  bool holds;
  do
  :: evicted -> break
  :: !evicted && SEQ(head) != last ->
    w = head;
#ifdef RELAXED_LEASE
    buffer ! w;
#else
    atomic { empty(buffer) -> lease[1] = w }; /* seq_cst: what was stored before is seen before */
#endif
#ifdef NO_RECHECK
    holds = (data[SLOT(w)] == SEQ(w));
#else
    holds = (head == w);
#ifndef STATE_EARLY
    holds = holds && !evicted;
#endif
#endif
    if
    :: holds ->
      assert(SEQ(w) > last);
      last = SEQ(w);
      assert(data[SLOT(w)] == last) /* at the end of its use */
    :: else
    fi;
    atomic { buffer ! 0; w = 0; holds = false }
  :: done && SEQ(head) == last -> break
  od
}

#ifdef HANG_UP
active proctype hang_up() { /* peer_hang_up */
end:
  evicted = true;
  lease[1] == 0; /* cf_seat_held, or it gives its lease back within the grace */
  removed = true
}
#endif
