/* lease_growth.pml - a publisher whose pool grows and shrinks, by need or (FULL) with the cost of its subscribers
 * (src/exchange/frame_writer.c, src/publisher/growth.c, pool.c, admission.c).
 *
 * There are BASE slots; one more comes and goes. By need it is offered at any time, and retires at any time after it
 * was adopted, whoever is there; BASE is less than the cost of all, and a frame for which there is no slot is dropped.
 * With FULL it is offered before the subscriber's WELCOME, and retires when that one's seat is gone.
 * The subscriber takes the newest frames with one lease, may leave, and may be killed at every step. With GPU its
 * frames are released by its GPU some time later, which it may not live to see. With PUBLISHER_DIES the publisher may
 * be killed at every step instead. With FULL (or RESIDENT) somebody else is there all the time and may hold a frame in
 * any slot.
 * Proves: nobody's frame is written over and nobody's memory goes while it is used; the publisher does not look at a
 * seat that is gone; after the publisher's death what is in hand stays whole and the newest frame can still be taken;
 * with FULL, there always is a slot.
 * Must fail: SWEEP_BLIND (a retiring slot leaves the table though it is leased), RETIRE_NEWEST (so does the newest
 * frame's), FREE_RETIRING (memory goes when its slots retire), NOT_QUIESCENT (the seat's memory goes while a look may
 * read it), with GPU: EARLY_RECLAIM (the seat goes with its process, and its GPU still reads); with FULL: BASE one
 * less, OFFER_LATE (WELCOME before the slots are on offer), SEAT_LATE (WELCOME before it is seated), RETIRE_FIRST (its
 * slots go before its seat), SHORT_SCAN (a look counts as over before it has freed slots; with MAXSEQ 5).
 */
#ifndef BASE
#ifdef FULL
#define BASE 3 /* the newest frame + one open + the lease of who stays */
#else
#define BASE 2
#endif
#endif
#define NSLOT (BASE + 1)
#ifndef MAXSEQ
#define MAXSEQ 4
#endif

#define WORD(q, s) ((q) * 8 + (s))
#define SEQ(w) ((w) / 8)
#define SLOT(w) ((w) % 8)
#define BIT(s) (1 << (s))

byte data[NSLOT] = 1; /* slot.seq and the frame: 0 while it is written */
byte head = WORD(1, 0), scan; /* frame 1 is out, in slot 0 */
byte lease[2]; /* of who stays, of the subscriber */
byte released, gpu;
#ifdef FULL
bool seated, welcome;
#else
bool seated = true, welcome = true;
#endif
bool page_gone, killed, left;
bool offered, adopted, retire, emptied, memory_gone;
bool publisher_killed, done;

#define WHOLE(w) (data[SLOT(w)] == SEQ(w) && (SLOT(w) != BASE || !memory_gone))

/* What the subscriber has leased, into pins. */
inline look_at_subscriber() {
  if
  :: atomic { seated -> there = true }
  :: !seated
  fi;
  if
  :: atomic { there -> assert(!page_gone); there = false; w = lease[1] };
#ifdef GPU
    atomic { assert(!page_gone); pins = pins | (w == 0 || released == SEQ(w) -> 0 : BIT(SLOT(w))); w = 0 }
#else
    atomic { pins = pins | (w == 0 -> 0 : BIT(SLOT(w))); w = 0 }
#endif
  :: !there
  fi
}

inline adopt() {
  if
  :: atomic { offered -> offered = false; adopted = true; free = free | BIT(BASE) }
  :: !offered
  fi
}

inline look() {
  if /* hold_retiring */
  :: atomic { retire && free & BIT(BASE) -> free = free & ~BIT(BASE); held = held | BIT(BASE) }
  :: else
  fi;
  scan = (scan + 1) % 4; /* scan_begin */
  look_at_subscriber();
  d_step { pins = pins | (lease[0] != 0 -> BIT(SLOT(lease[0])) : 0) };
#ifdef SHORT_SCAN
  scan = (scan + 1) % 4;
#endif
  atomic {
#ifdef RETIRE_NEWEST
    held = held | (retire && SLOT(head) == BASE -> BIT(BASE) : 0);
#endif
#ifdef SWEEP_BLIND
    pins = (retire -> pins & ~BIT(BASE) : pins);
#endif
    if
    :: retire && held & BIT(BASE) && !(pins & BIT(BASE)) -> held = held & ~BIT(BASE); emptied = true /* slot_leave */
    :: else
    fi;
    free = free | (held & ~pins);
    held = held & pins;
    pins = 0
  };
  adopt();
#ifndef SHORT_SCAN
  scan = (scan + 1) % 4 /* scan_end */
#endif
}

active proctype publisher() {
  byte q = 2, s, w, pins, free = BIT(BASE) - 2, held;
  byte used = 1; /* of the first BASE, the first ones: the others are alike */
  bool there, spares; /* it looks only when it must */
  {
    if
    :: spares = true
    :: true
    fi;
    do
    :: q <= MAXSEQ ->
      if
      :: spares && free != 0 && !retire && !offered
      :: else -> look()
      fi;
#ifdef FULL
      assert(free != 0);
#else
      if
      :: free == 0 -> goto dropped
      :: else
      fi;
#endif
      atomic {
        if
        :: free & BIT(0) -> s = 0
        :: free & BIT(1) && used > 0 -> s = 1
        :: BASE > 2 && free & BIT(2) && used > 1 -> s = 2
        :: free & BIT(BASE) -> s = BASE
        fi;
        used = (s == used -> s + 1 : used);
        free = free & ~BIT(s);
        assert(s != BASE || !memory_gone);
        data[s] = 0
      };
      atomic { held = held | BIT(SLOT(head)); data[s] = q; head = WORD(q, s); q++; s = 0 };
dropped:
      skip
    :: else -> break
    od
  } unless { publisher_killed };
  done = true
}

/* A frame that is there is used, and must be whole at the end of that: what is written over or gone once stays so. */
#if defined(FULL) || defined(RESIDENT)
active proctype resident() {
  byte w, last;
  do
  :: SEQ(head) != last ->
    w = head;
    lease[0] = w;
    if
    :: atomic { head == w -> assert(SEQ(w) > last && WHOLE(w)); last = SEQ(w) };
      assert(WHOLE(w))
    :: head != w
    fi;
    atomic { lease[0] = 0; w = 0 }
  :: done && SEQ(head) == last -> break
  od
}
#endif

active proctype subscriber() {
  byte w, last;
  welcome || publisher_killed;
  {
    do
    :: SEQ(head) != last ->
#ifdef GPU
      if
      :: lease[1] != 0 -> (released == SEQ(lease[1])); lease[1] = 0
      :: else
      fi;
#endif
      w = head;
#ifdef GPU
      released = 0;
#endif
      lease[1] = w;
      if
      :: atomic { head == w -> assert(SEQ(w) > last && WHOLE(w)); last = SEQ(w) };
#ifdef GPU
        atomic { gpu = w; w = 0 }
#else
        assert(WHOLE(w));
        atomic { lease[1] = 0; w = 0 }
#endif
      :: atomic { head != w -> lease[1] = 0; w = 0 }
      fi
    :: done && SEQ(head) == last -> break
    :: atomic { last > 0 && gpu == 0 -> lease[1] = 0 }; break /* leaves */
    od
  } unless { killed };
  atomic { left = true; w = 0; last = 0 }
}

#ifdef GPU
active proctype graphics() { /* of the subscriber; it stops with its process, some time after */
end:
  do
  :: atomic { gpu != 0 -> assert(WHOLE(gpu)); released = SEQ(gpu); gpu = 0 }
  od
}
#endif

active proctype killer() {
  if
#ifdef PUBLISHER_DIES
  :: publisher_killed = true /* and its other threads */
#else
  :: killed = true
#endif
  :: true
  fi
}

active proctype service() { /* dies with its publisher */
  byte ticket;
  {
#ifdef FULL
#ifndef OFFER_LATE
    offered = true; /* cf_pool_grow */
#endif
#ifndef SEAT_LATE
    seated = true; /* cf_writer_add_seat */
#endif
    welcome = true; /* welcome_send */
#ifdef OFFER_LATE
    offered = true;
#endif
#ifdef SEAT_LATE
    seated = true;
#endif
#endif
#ifdef EARLY_RECLAIM
    left;
#else
    left && gpu == 0; /* its pidfd, or no frame in hand */
#endif
#ifdef RETIRE_FIRST
    if
    :: adopted -> retire = true
    :: else
    fi;
#endif
    atomic { seated = false; ticket = scan }; /* cf_peer_unseat */
#ifndef NOT_QUIESCENT
    ticket % 2 == 0 || scan != ticket; /* cf_writer_quiescent */
#endif
    atomic { page_gone = true; ticket = 0 };
#ifdef FULL
end_adopted:
    adopted -> retire = true; /* cf_pool_leave, cf_pool_reap */
end_emptied:
    emptied; /* cf_pool_reap */
    memory_gone = true
#endif
  } unless { publisher_killed }
}

#ifndef FULL
active proctype growth() { /* cf_pool_grow, cf_pool_shrink, cf_pool_reap; dies with its publisher */
  {
    offered = true;
end_adopted:
    adopted -> retire = true;
#ifdef FREE_RETIRING
    memory_gone = true;
#endif
end_emptied:
    emptied;
    memory_gone = true
  } unless { publisher_killed }
}
#endif
