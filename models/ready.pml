/* ready.pml - a frame on a GPU is used only when its pixels are complete, whoever dies: one publisher with its stream
 * (cf_writer_enter_fences, cf_writer_publish), and a subscriber in timeline mode with its stream and its watcher
 * (cf_connection_take, stream_wait, cf_connection_abandon), or (COMPLETE) one in complete mode.
 *
 * The publisher's stream does what it was given in turn: the picture, fence[slot] of the timeline seat if it was seated
 * by then, ready[slot]. The publisher may be killed at every step, and its stream stops at any step after that; the
 * subscribers hear of the death before or after the stream has stopped.
 * How slots are pinned is in lease.pml; here a pin is one step.
 * Proves: a frame that is not LOST has its pixels when a stream or CPU reads it, and keeps them until it is released;
 * no stream waits for ever; a frame that was complete is not called LOST by the complete-mode subscriber.
 * Must fail: READY_FIRST (the stream writes ready before fence), FENCED_EARLY (fenced_from names a frame whose fence is
 * not written), FENCE_EARLY (the watcher signals fences while the publisher's stream may still run), FENCE_FIRST (it
 * opens the fence before it marks the frame), LOOK_FIRST (the subscriber looks whether the publisher is gone before it
 * notes the frame for its watcher), CLEAR_EARLY (it clears its lease before it has seen released); with COMPLETE:
 * NO_READY (it does not wait), GONE_IS_READY (it takes death for completion).
 */
#define NSLOT 3 /* the newest frame + one open + a lease */
#ifndef MAXSEQ
#define MAXSEQ 3
#endif

#define WORD(q, s) ((q) * 8 + (s))
#define SEQ(w) ((w) / 8)
#define SLOT(w) ((w) % 8)

byte ready[NSLOT], fence[NSLOT], data[NSLOT];
byte head, fenced_from;
byte lease, released;
bool seated, killed, stopped, hung_up, gone, done;
byte noted, lost;        /* timeline: the word of the fenced frame in hand; of the one that is LOST */
byte on_gpu;             /* timeline: the word of the frame that its stream uses */
byte in_hand;            /* complete: slot + 1; for the assertions only */

chan stream = [2] of { byte, bool };
chan work = [1] of { byte, bool };

/* Whether the publisher may take slot s, as models/lease.pml proves it: cf_writer_acquire. */
#define FREE(s) \
  ((head == 0 || SLOT(head) != s) && (lease == 0 || SLOT(lease) != s || released == SEQ(lease)))

active proctype publisher() {
  byte q = 1, s;
  bool fenced;
  {
    do
    :: q <= MAXSEQ ->
      atomic {
        if
        :: FREE(0) -> s = 0
        :: FREE(1) -> s = 1
        :: FREE(2) -> s = 2
        fi;
        assert(in_hand != s + 1 && (on_gpu == 0 || SLOT(on_gpu) != s))
      };
      atomic {
        fenced = seated;
        if
#ifdef FENCED_EARLY
        :: fenced_from == 0 -> fenced_from = q
#else
        :: fenced && fenced_from == 0 -> fenced_from = q
#endif
        :: else
        fi
      };
      stream ! WORD(q, s), fenced;
      atomic { head = WORD(q, s); q++; s = 0; fenced = false }
    :: else -> break
    od
  } unless { killed };
  done = true
}

active proctype publisher_stream() {
  byte w;
  bool fenced;
  {
end:
    do
    :: atomic { stream ? w, fenced -> data[SLOT(w)] = 0 };
      data[SLOT(w)] = SEQ(w);
#ifdef READY_FIRST
      ready[SLOT(w)] = SEQ(w);
#endif
      if
      :: atomic { fenced -> fence[SLOT(w)] = SEQ(w); fenced = false }
      :: !fenced
      fi;
#ifndef READY_FIRST
      atomic { ready[SLOT(w)] = SEQ(w); w = 0 }
#endif
    od
  } unless { stopped }
}

active proctype killer() {
  if
  :: killed = true
  :: true -> done && empty(stream) /* it ends in peace: destroy waits for its stream */
  fi;
  if
  :: hung_up = true; stopped = true
  :: stopped = true; hung_up = true
  fi
}

active proctype watcher() {
  byte w;
  hung_up;
  gone = true;
#ifndef FENCE_EARLY
  stopped; /* the publisher's pidfd: until then its stream may still write an older frame's fence over ours */
#endif
  w = noted;
  if
  :: w != 0 && ready[SLOT(w)] < SEQ(w) ->
#ifdef FENCE_FIRST
    fence[SLOT(w)] = SEQ(w);
    lost = w
#else
    lost = w;
    fence[SLOT(w)] = SEQ(w)
#endif
  :: else
  fi
}

#ifndef COMPLETE

active proctype timeline() {
  byte w, last;
  bool was_gone;
  seated = true;
  do
  :: SEQ(head) != last ->
    if
    :: lease != 0 ->
#ifndef CLEAR_EARLY
      released == SEQ(lease);
#endif
      lease = 0
    :: else
    fi;
    noted = 0;
    atomic { w = head; released = 0; lease = w; last = SEQ(w) };
      if
      :: fenced_from != 0 && SEQ(w) >= fenced_from ->
#ifdef LOOK_FIRST
        was_gone = gone;
        noted = w;
#else
        noted = w;
        was_gone = gone;
#endif
        if
        :: was_gone && ready[SLOT(w)] < SEQ(w) -> noted = 0; lease = 0 /* LOST: nothing is submitted */
        :: else -> work ! w, true
        fi
      :: else -> /* no fence is written for it */
        if
        :: ready[SLOT(w)] >= SEQ(w) -> work ! w, false
        :: gone ->
          if
          :: ready[SLOT(w)] >= SEQ(w) -> work ! w, false
          :: else -> lease = 0 /* LOST */
          fi
        fi
      fi
  :: gone && SEQ(head) == last -> break
  od
}

active proctype timeline_stream() {
  byte w;
  bool fenced;
end:
  do
  :: work ? w, fenced ->
    if
    :: atomic { fenced && fence[SLOT(w)] >= SEQ(w) -> on_gpu = w }
    :: atomic { !fenced -> on_gpu = w }
    fi;
    atomic { /* some time later, and it was whole until now: what is written over does not come back */
      assert(lost == w || data[SLOT(w)] == SEQ(w));
      released = SEQ(w);
      on_gpu = 0;
      w = 0;
      fenced = false
    }
  od
}

#else

active proctype complete() {
  byte w, last;
  bool was_gone;
  do
  :: SEQ(head) != last ->
      atomic { w = head; lease = w; in_hand = SLOT(w) + 1; last = SEQ(w) };
#ifndef NO_READY
      ready[SLOT(w)] >= SEQ(w) || gone;
#endif
      was_gone = gone; /* before the look */
      if
#ifdef NO_READY
      :: true -> assert(data[SLOT(w)] == SEQ(w))
#else
      :: ready[SLOT(w)] >= SEQ(w) -> assert(data[SLOT(w)] == SEQ(w))
#endif
#ifdef GONE_IS_READY
      :: was_gone -> assert(data[SLOT(w)] == SEQ(w))
#endif
      :: else -> assert(was_gone) /* LOST */
      fi;
      atomic { in_hand = 0; lease = 0 }
  :: gone && SEQ(head) == last -> break
  od
}

#endif
