/* lease.pml - a publisher and two newest-mode subscribers with one lease each (src/exchange/frame_writer.c,
 * frame_reader.c). The first one's frames are released by its GPU some time later; it may die, and its seat
 * goes when its GPU stands still.
 *
 * Every access to shared memory is one step. Proves: one pass over the slots always finds one; what is pinned is not
 * written over; nobody goes back or sees a torn frame.
 * Must fail: NSLOT one less; ONE_LOOK, without the second look at the leases; LATE_REAP, where the first one takes its
 * lease back from the GPU only after it read head; BUFFERED_RELEASE, where a lease is given back by a store that others
 * see later, as with less than seq_cst on x86.
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

byte seq[NSLOT];
byte data[NSLOT], data2[NSLOT]; /* the two halves of a frame */
byte head;
byte lease[NSUB];
byte released;       /* of the first */
byte gpu;            /* word of the frame that its GPU reads */
bool dead, reclaimed; /* so is it */
bool buffered;       /* the second one's lease = 0 is on its way */
bool done;
byte in_hand[NSUB]; /* slot + 1; for the assertions only */

active proctype publisher() {
  byte q = 1, s, old, w, pins;
  bool found, leased;
  do
  :: q <= MAXSEQ ->
    /* first look: a lease, then what was released */
    w = (reclaimed -> 0 : lease[0]);
    pins = (w != 0 && released != SEQ(w) -> 1 << SLOT(w) : 0);
    atomic {
      w = lease[1];
      pins = pins | (w != 0 -> 1 << SLOT(w) : 0);
      s = 0;
      found = false
    };
    /* the pass */
    do
    :: s < NSLOT && !found ->
      if
      :: (head != 0 && s == SLOT(head)) || (pins >> s) % 2 == 1 -> s++
      :: else ->
        atomic { old = seq[s]; seq[s] = 0 };
#ifndef ONE_LOOK
        w = (reclaimed -> 0 : lease[0]);
        leased = (w != 0 && SLOT(w) == s && released != SEQ(w));
        leased = leased || (lease[1] != 0 && SLOT(lease[1]) == s);
#endif
        if
        :: leased -> seq[s] = old; s++
        :: else -> found = true
        fi
      fi
    :: else -> break
    od;
    assert(found);
    assert(in_hand[0] != s + 1 && in_hand[1] != s + 1 && (gpu == 0 || SLOT(gpu) != s));
    data[s] = q;
    data2[s] = q;
    seq[s] = q;
    head = WORD(q, s);
    q++
  :: else -> break
  od;
  done = true
}

/* Takes the newest frame if it can, and uses it. */
inline take(me) {
  if
  :: seq[SLOT(w)] == SEQ(w) ->
    in_hand[me] = SLOT(w) + 1;
    assert(SEQ(w) > last);
    last = SEQ(w);
    assert(data[SLOT(w)] == SEQ(w));
    assert(data2[SLOT(w)] == SEQ(w))
  :: else
  fi
}

active proctype first() {
  byte w, last;
  do
  :: SEQ(head) != last ->
#ifdef LATE_REAP
    w = head;
    lease[0] == 0 || released == SEQ(lease[0]);
#else
    if
    :: lease[0] != 0 -> (released == SEQ(lease[0])); lease[0] = 0
    :: else
    fi;
    w = head;
#endif
    released = 0;
    lease[0] = w;
    if
    :: dead = true; break /* kill -9, with a lease */
    :: take(0)
    fi;
    if
    :: in_hand[0] != 0 -> atomic { gpu = w; in_hand[0] = 0 }
    :: else -> lease[0] = 0
    fi
  :: dead = true; break /* with a frame on its GPU, perhaps */
  :: done && SEQ(head) == last -> break
  od
}

active proctype graphics() {
end:
  do
  :: gpu != 0 ->
    assert(data[SLOT(gpu)] == SEQ(gpu));
    atomic { released = SEQ(gpu); gpu = 0 }
  od
}

active proctype second() {
  byte w, last;
  do
  :: SEQ(head) != last ->
    w = head;
    atomic { buffered = false; lease[1] = w };
    take(1);
    in_hand[1] = 0;
#ifdef BUFFERED_RELEASE
    buffered = true
#else
    lease[1] = 0
#endif
  :: done && SEQ(head) == last -> break
  od
}

#ifdef BUFFERED_RELEASE
active proctype store_buffer() {
end:
  do
  :: atomic { buffered -> lease[1] = 0; buffered = false }
  od
}
#endif

active proctype service() {
end:
  atomic { dead && gpu == 0 -> reclaimed = true }
}
