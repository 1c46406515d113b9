/* lease_growth.pml - a publisher whose pool grows for a subscriber and shrinks when that one leaves or dies: the
 * service thread's side (cf_pool_admit, cf_peer_unseat, cf_pool_leave, cf_pool_reap) of src/exchange/frame_writer.c.
 *
 * The subscriber gets its WELCOME after a segment with one slot more was offered and it was seated; it takes the newest
 * frames with one lease, and it may be killed at every step or leave. With GPU its frames are released by its GPU some
 * time later, which it may not live to see; with PUBLISHER_DIES the publisher may be killed at every step instead. A
 * second subscriber is there all the time and may hold a frame in either segment.
 * Proves: one pass always finds a slot, though slots are exactly as many as the pool invariant asks for; nobody's frame
 * is written over and nobody's memory goes while it is used; the publisher does not look at a seat that is gone; after
 * the publisher's death what is in hand stays whole and the newest frame can still be taken.
 * Must fail: BASE one less; OFFER_LATE (WELCOME before the slots are on offer), SEAT_LATE (WELCOME before it is
 * seated), EARLY_RECLAIM (with GPU: the seat goes with its process, and its GPU still reads), NOT_QUIESCENT (the seat's
 * memory goes while a scan may look at it), RETIRE_FIRST (its slots go before its seat), SWEEP_BLIND (a slot is taken
 * out of the table without a second look).
 */
#ifndef BASE
#define BASE 3 /* the newest frame + one open + the lease of who stays */
#endif
#define NSLOT (BASE + 1)
#ifndef MAXSEQ
#define MAXSEQ 4
#endif

#define WORD(q, s) ((q) * 8 + (s))
#define SEQ(w) ((w) / 8)
#define SLOT(w) ((w) % 8)

byte seq[NSLOT] = 1, data[NSLOT] = 1;
byte head = WORD(1, 0), scan; /* frame 1 is out, in slot 0 */
byte lease[2]; /* of who stays, of the subscriber */
byte released, gpu;
byte in_hand[2]; /* slot + 1; for the assertions only */
bool seated, page_gone, welcome, killed, left;
bool offered, adopted, retire, emptied, memory_gone;
bool publisher_killed, done;

/* The subscriber's lease as seat_lease() gives it. */
inline look_at_subscriber() {
  w = 0;
  if
  :: seated ->
    atomic { assert(!page_gone); w = lease[1] };
#ifdef GPU
    atomic { assert(!page_gone); w = (released == SEQ(w) -> 0 : w) }
#endif
  :: else
  fi
}

/* slot_leased: the second look */
inline look_again() {
  leased = (lease[0] != 0 && SLOT(lease[0]) == s);
  look_at_subscriber();
  leased = leased || (w != 0 && SLOT(w) == s)
}

inline adopt() {
  if
  :: offered ->
    offered = false;
    if
    :: retire -> emptied = true
    :: else -> live = true; adopted = true
    fi
  :: else
  fi
}

active proctype publisher() {
  byte q = 2, s, old, w, pins;
  bool found, leased, live;
  {
    do
    :: q <= MAXSEQ ->
      scan++; /* scan_begin */
      pins = (lease[0] != 0 -> 1 << SLOT(lease[0]) : 0); /* pins_look */
      look_at_subscriber();
      pins = pins | (w != 0 -> 1 << SLOT(w) : 0);
      if /* sweep */
      :: live && retire && !(head != 0 && SLOT(head) == BASE) && (pins >> BASE) % 2 == 0 ->
        s = BASE;
        atomic { old = seq[s]; seq[s] = 0 };
#ifdef SWEEP_BLIND
        leased = false;
#else
        look_again();
#endif
        if
        :: leased -> seq[s] = old
        :: else -> live = false; emptied = true
        fi
      :: else
      fi;
      adopt();
      atomic { s = NSLOT; found = false }; /* new slots come first */
      do
      :: s > 0 && !found ->
        s--;
        if
        :: (head != 0 && s == SLOT(head)) || (pins >> s) % 2 == 1 || (s == BASE && (!live || retire)) -> skip
        :: else ->
          atomic { old = seq[s]; seq[s] = 0 }; /* slot_take */
          look_again();
          if
          :: leased -> seq[s] = old
          :: else -> found = true
          fi
        fi
      :: else -> break
      od;
      scan++; /* scan_end */
      assert(found);
      assert(in_hand[0] != s + 1 && in_hand[1] != s + 1 && (gpu == 0 || SLOT(gpu) != s));
      assert(s != BASE || !memory_gone);
      data[s] = q;
      seq[s] = q;
      head = WORD(q, s);
      q++
    :: else -> break
    od
  } unless { publisher_killed };
  done = true
}

/* Looks, after the lease was announced; a frame that is there is used and must be whole at the end of that: what is
 * written over or gone once stays so. */
inline take(me) {
  if
  :: atomic { seq[SLOT(w)] == SEQ(w) -> assert(SEQ(w) > last); last = SEQ(w); in_hand[me] = SLOT(w) + 1 }
  :: seq[SLOT(w)] != SEQ(w)
  fi
}

inline check(me) { /* at the end of its use */
  assert(data[SLOT(w)] == SEQ(w) && (SLOT(w) != BASE || !memory_gone))
}

active proctype resident() {
  byte w, last;
  do
  :: SEQ(head) != last ->
    w = head;
    lease[0] = w;
    take(0);
    if
    :: atomic { in_hand[0] != 0 -> check(0); in_hand[0] = 0 }
    :: else
    fi;
    atomic { lease[0] = 0; w = 0 }
  :: done && SEQ(head) == last -> break
  od
}

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
      take(1);
      if
#ifdef GPU
      :: atomic { in_hand[1] != 0 -> check(1); gpu = w; in_hand[1] = 0; w = 0 }
#else
      :: atomic { in_hand[1] != 0 -> check(1); in_hand[1] = 0 }; atomic { lease[1] = 0; w = 0 }
#endif
      :: atomic { in_hand[1] == 0 -> lease[1] = 0; w = 0 }
      fi
    :: done && SEQ(head) == last -> break
    :: atomic { last > 0 && gpu == 0 -> lease[1] = 0 }; break /* leaves */
    od
  } unless { killed };
  atomic { in_hand[1] = 0; left = true }
}

#ifdef GPU
active proctype graphics() { /* of the subscriber; it stops with its process, some time after */
end:
  do
  :: atomic {
      gpu != 0 ->
      assert(data[SLOT(gpu)] == SEQ(gpu) && (SLOT(gpu) != BASE || !memory_gone));
      released = SEQ(gpu);
      gpu = 0
    }
  od
}

#endif

active proctype killer() {
  if
#ifdef PUBLISHER_DIES
  :: publisher_killed = true /* and its service thread */
#else
  :: killed = true
#endif
  :: true
  fi
}

active proctype service() { /* dies with its publisher */
  byte ticket;
  {
#ifndef OFFER_LATE
    offered = true; /* cf_pool_admit */
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
    seated = false; /* cf_peer_unseat */
    ticket = scan;
#ifndef NOT_QUIESCENT
    ticket % 2 == 0 || scan != ticket; /* cf_writer_quiescent */
#endif
    page_gone = true;
end_adopted:
    adopted -> retire = true; /* trim */
end_emptied:
    emptied; /* cf_pool_reap */
    assert(in_hand[0] != BASE + 1);
    memory_gone = true
  } unless { publisher_killed }
}
