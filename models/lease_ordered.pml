/* lease_ordered.pml - a publisher with two subscribers (src/exchange/frame_writer.c, frame_reader.c): one newest, and
 * one ordered with DEPTH that joins while frames are published, and may be evicted when it is full. A lease each.
 *
 * Every access to shared memory is one step. Proves what lease.pml does, and that the ordered one gets every frame from
 * joining on until it is evicted, and knows when it is.
 * With DEATHS there is no newest one, and the ordered one or the publisher may be killed at every step: then the other
 * goes on, and the ordered one gets what is out.
 * Must fail: NSLOT one less; CURSOR_FIRST, where the ordered one moves its cursor before it stores its lease; NO_LOOK,
 * where it goes on taking frames after it was evicted (with MAXSEQ 6).
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

byte seq[NSLOT], data[NSLOT];
byte head, index[8];
byte lease0;                /* of the newest one */
byte lease1, cursor = NONE; /* of the ordered one */
bool evicted, done;
bool killed, dead, publisher_killed; /* the ordered one, for whom the service then gives its seat up; the publisher */
byte in_hand[2]; /* slot + 1; for the assertions only */

active proctype publisher() {
  byte q = 1, s, c, floor, pins, note[NSLOT];
  byte seen = NONE; /* the cursor, as far as it is believed */
  bool found, leased;
  {
    do
    :: q <= MAXSEQ ->
      /* first look: the cursor before the leases */
      c = cursor;
      atomic {
        if
        :: c != NONE && c < q && (seen == NONE || c > seen) -> seen = c
        :: else
        fi;
        floor = (evicted || seen == NONE -> NONE : seen);
        if
        :: floor != NONE && q - 1 > PINNED_DEPTH && floor < q - 1 - PINNED_DEPTH -> floor = q - 1 - PINNED_DEPTH
        :: else
        fi
      };
      pins = (lease0 != 0 -> 1 << SLOT(lease0) : 0);
      atomic {
        pins = pins | (lease1 != 0 -> 1 << SLOT(lease1) : 0);
        s = 0;
        found = false
      };
      do
      :: s < NSLOT && !found ->
        if
        :: (head != 0 && s == SLOT(head)) || (pins >> s) % 2 == 1 || (floor != NONE && note[s] > floor) -> s++
        :: else ->
          seq[s] = 0;
          leased = (lease0 != 0 && SLOT(lease0) == s); /* second look */
          leased = leased || (lease1 != 0 && SLOT(lease1) == s);
          if
          :: leased -> seq[s] = note[s]; s++
          :: else -> found = true
          fi
        fi
      :: else -> break
      od;
      assert(found);
      assert(in_hand[0] != s + 1 && in_hand[1] != s + 1);
      data[s] = NONE;
      data[s] = q;
      /* an ordered seat without room: wait, or evict it */
      c = cursor;
      atomic {
        if
        :: c != NONE && c < q && (seen == NONE || c > seen) -> seen = c
        :: else
        fi
      };
      if
      :: !evicted && seen != NONE && q - 1 - seen >= DEPTH ->
        if
        :: cursor > seen && cursor != NONE -> seen = cursor
        :: evicted = true
        fi
      :: else
      fi;
      seq[s] = q;
      index[q % 8] = WORD(q, s);
      head = WORD(q, s);
      atomic { note[s] = q; q++ }
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
    :: seq[SLOT(w)] == SEQ(w) ->
      in_hand[0] = SLOT(w) + 1;
      assert(SEQ(w) > last);
      last = SEQ(w);
      assert(data[SLOT(w)] == last);
      in_hand[0] = 0
    :: else
    fi;
    lease0 = 0
  :: done && SEQ(head) == last -> break
  od
}
#endif

active proctype ordered() {
  byte w, last;
  {
    do /* joins */
    :: w = head;
      last = (w == 0 -> 0 : SEQ(w) - 1);
      cursor = last;
      if
      :: head == w -> break
      :: else
      fi
    od;
    do
#ifdef NO_LOOK
    :: SEQ(head) > last ->
#else
    :: evicted -> break /* looks every time, after the lease was given back */
    :: !evicted && SEQ(head) > last ->
#endif
      w = index[(last + 1) % 8];
      if
      :: SEQ(w) != last + 1 -> assert(evicted); break
      :: else
      fi;
#ifdef CURSOR_FIRST
      cursor = last + 1;
#endif
      lease1 = w;
      if
      :: seq[SLOT(w)] != last + 1 -> lease1 = 0; assert(evicted); break
      :: else
      fi;
      in_hand[1] = SLOT(w) + 1;
      last++;
      cursor = last;
      assert(data[SLOT(w)] == last);
      in_hand[1] = 0;
      lease1 = 0
    :: done && SEQ(head) == last -> assert(last == MAXSEQ || publisher_killed); break
    od
  } DIES(killed);
  atomic { in_hand[1] = 0; dead = killed }
}

#ifdef DEATHS
active proctype killer() {
  if
  :: killed = true
  :: publisher_killed = true
  fi
}

active proctype service() { /* peer_hang_up, cf_peer_unseat */
end:
  dead && !done;
  evicted = true;
  lease1 = 0
}
#endif
