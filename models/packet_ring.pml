/* packet_ring.pml - the sequence lock of src/exchange/packet_ring.c under C11's memory model (c11.pml):
 * cf_packet_write() against cf_packet_read() with find_start(). The argument in words is at the head of that file; this
 * looks at every case.
 *
 * Proves: what is read as packet p is p's, record and bytes; an honest writer never looks broken; the end is reached.
 * Must fail: NO_RELEASE_FENCE, NO_ACQUIRE_FENCE, TAIL_LATE (tail moves after the bytes), ONE_LOOK (tail is not looked
 * at again), HEAD_RELAXED, KEY_RELAXED (the reader loads the start packet without acquire).
 */
#ifndef PACKETS
#define PACKETS 4
#endif
#define SLOTS 2
#define STORES (PACKETS + 1) /* of one location; number 0 is what it began with */

#define TAIL 0
#define HEAD 1
#define KEY 2
#define RECORD(p) (3 + (p) % SLOTS * 2)
#define BYTES(p) (4 + (p) % SLOTS * 2)
#define LOCATIONS 7

#include "c11.pml"

active proctype writer() { /* cf_packet_write */
  byte p = 1, l;
  do
  :: p <= PACKETS ->
#ifndef TAIL_LATE
    store(TAIL, (p > SLOTS -> p - SLOTS + 1 : 1), false);
#endif
#ifndef NO_RELEASE_FENCE
    d_step {
      l = 0;
      do
      :: l < LOCATIONS -> fenced[l] = count[l]; l++
      :: else -> break
      od;
      l = 0
    };
#endif
    store(RECORD(p), p, false);
    store(BYTES(p), p, false);
#ifdef TAIL_LATE
    store(TAIL, (p > SLOTS -> p - SLOTS + 1 : 1), false);
#endif
    store(KEY, p, true);
#ifdef HEAD_RELAXED
    store(HEAD, p, false);
#else
    store(HEAD, p, true);
#endif
    p++
  :: else -> break
  od
}

active proctype reader() { /* cf_packet_read */
  byte next = 1, head, tail, record, bytes, key, l, n;
  byte known[LOCATIONS], heard[LOCATIONS]; /* heard: known after an acquire fence */
  do
  :: next <= PACKETS ->
    load(HEAD, true, head);
    assert(head >= next - 1);
    if
    :: head < next -> skip /* CF_PACKET_NONE: again */
    :: else ->
      load(RECORD(next), false, record);
      load(BYTES(next), false, bytes);
#ifndef NO_ACQUIRE_FENCE
      d_step {
        l = 0;
        do
        :: l < LOCATIONS -> known[l] = (heard[l] > known[l] -> heard[l] : known[l]); l++
        :: else -> break
        od;
        l = 0
      };
#endif
#ifdef ONE_LOOK
      tail = 0;
#else
      load(TAIL, false, tail);
#endif
      if
      :: tail <= next -> assert(record == next && bytes == next); next++
      :: else -> /* overrun, find_start: every packet is a start here */
        load(HEAD, true, head);
#ifdef KEY_RELAXED
        load(KEY, false, key);
#else
        load(KEY, true, key);
#endif
        if
        :: key > head -> load(HEAD, true, head); assert(key - 1 <= head)
        :: else
        fi;
        assert(key >= next);
        next = key
      fi
    fi
  :: else -> break
  od
}
