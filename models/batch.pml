/* batch.pml - one thread that waits for several publishers, serve() and sleep_for_news() of batch/next.c with
 * cf_notifier_step() and cf_reader_prepare_wait(), against cf_writer_publish(), cf_writer_sleepers() and
 * cf_writer_move_wake() of each, cuframes_batch_interrupt() and cuframes_batch_remove().
 *
 * MEMBERS publishers of one frame each, of which all come, or with SOME only as many as are needed, or with QUIET none
 * and an interruption. The thread wants MIN frames; it sleeps for the first u - k + 1 of the u members without news
 * where k are still needed, with futex_waitv: the kernel compares and queues word by word. It stays announced from one
 * sleep to the next (wake.pml has one that does not). With DELEGATED a thread of the library sleeps for the last member
 * and rings the bell. It may be interrupted; with REMOVES a member, the first, is taken out at any time. Proves: the
 * thread comes to its end; nobody is removed who is slept for. Must fail: TOO_FEW (it sleeps for u - k), WORD_LATE (a
 * word is loaded after the look), LOOK_ONCE (it does not look once more after it has announced itself); with QUIET:
 * BELL_LATE (the bell's is loaded after the look), RING_FIRST (who interrupts rings before he says why); with REMOVES:
 * UNHELD (it is not waited for).
 */
#ifndef MEMBERS
#define MEMBERS 2
#endif
#ifndef MIN
#define MIN 1
#endif
#define BELL MEMBERS

byte head[MEMBERS], word[MEMBERS + 1];
bool waiting[MEMBERS], queued[MEMBERS + 1], out[MEMBERS];
bool woken, interrupted, asleep, removing, lock, finished;
byte published, decided;
#ifdef DELEGATED
bool armed, is_news;
#endif

inline futex_wake(i) {
  d_step {
    woken = woken || queued[i];
    queued[i] = false
  }
}

inline ring() {
  word[BELL]++;
  futex_wake(BELL)
}

active [MEMBERS] proctype publisher() {
  bool sleeps;
#ifdef QUIET
  goto over;
#endif
#ifdef SOME
  atomic {
    decided++;
    if
    :: published < MIN -> published++
    :: MEMBERS - decided >= MIN - published -> goto over
    fi
  }
#endif
  head[_pid] = 1;
  sleeps = waiting[_pid];
  if
  :: sleeps -> word[_pid]++; futex_wake(_pid)
  :: else
  fi;
over:
  skip
}

active proctype interrupter() {
  if
#ifdef RING_FIRST
  :: ring(); interrupted = true
#else
  :: interrupted = true; ring()
#endif
#ifndef QUIET
  :: true
#endif
  fi
}

#ifdef REMOVES
active proctype remover() {
  atomic { !lock -> lock = true };
  removing = true;
  ring();
#ifndef UNHELD
  if
  :: asleep -> lock = false; atomic { !asleep && !lock -> lock = true }
  :: else
  fi;
#endif
  assert(!queued[0]);
  d_step { out[0] = true; waiting[0] = false };
  removing = false;
  lock = false
}
#endif

#ifdef DELEGATED
active proctype notifier() { /* it is asleep on the last member's word */
  byte w;
  do
  :: armed ->
    waiting[MEMBERS - 1] = true;
    w = word[MEMBERS - 1];
    if
    :: head[MEMBERS - 1] == 0 ->
      if
      :: word[MEMBERS - 1] != w || finished
      fi
    :: else
    fi;
    if
    :: head[MEMBERS - 1] != 0 -> armed = false; is_news = true; ring()
    :: else
    fi
  :: finished -> break
  od
}
#endif

active proctype batch() {
  byte w[MEMBERS + 1], i, ready, nothing, needed, sleep_for;
  bool is_ready[MEMBERS], again, stop;
  atomic { !lock -> lock = true };
  do
  :: true ->
#ifndef BELL_LATE
    w[BELL] = word[BELL];
#endif
    d_step { i = 0; ready = 0; nothing = 0; needed = 0; sleep_for = 0; again = false };
    do /* survey */
    :: i < MEMBERS && out[i] -> i++
    :: i < MEMBERS && !out[i] ->
#ifndef WORD_LATE
      w[i] = word[i];
#endif
      is_ready[i] = head[i] != 0;
#ifdef WORD_LATE
      w[i] = word[i];
#endif
      if
      :: is_ready[i] -> ready++; waiting[i] = false
      :: else -> nothing++
      fi;
      i++
    :: else -> break
    od;
    stop = interrupted;
#ifdef BELL_LATE
    w[BELL] = word[BELL];
#endif
    needed = (ready + nothing < MIN -> ready + nothing : MIN);
    if
    :: stop || (ready >= needed && ready > 0) || ready + nothing == 0 -> break
    :: else
    fi;
    needed = needed - ready;
#ifdef TOO_FEW
    sleep_for = nothing - needed;
#else
    sleep_for = nothing - needed + 1;
#endif
    i = 0;
    do /* wait_begin: those that were not announced are, and looked at once more */
    :: i < MEMBERS && (out[i] || is_ready[i]) -> i++
    :: i < MEMBERS && !out[i] && !is_ready[i] && sleep_for > 0 ->
      sleep_for--;
#ifdef DELEGATED
      if
      :: i == MEMBERS - 1 -> armed = true; goto next_member
      :: else
      fi;
#endif
      if
      :: !waiting[i] ->
        waiting[i] = true;
#ifndef WORD_LATE
        w[i] = word[i];
#endif
#ifndef LOOK_ONCE
        again = again || head[i] != 0;
#endif
#ifdef WORD_LATE
        w[i] = word[i];
#endif
      :: else
      fi;
#ifdef DELEGATED
next_member:
#endif
      i++
    :: i < MEMBERS && !out[i] && !is_ready[i] && sleep_for == 0 -> i++
    :: else -> break
    od;
    if
    :: again -> goto next_round
    :: else
    fi;
    asleep = true; /* sleep_for_news */
    lock = false;
    i = 0;
    woken = false;
    do /* futex_waitv */
    :: i <= MEMBERS && i < MEMBERS && (!waiting[i] || out[i]) -> i++
    :: i < MEMBERS && waiting[i] && !out[i] ->
#ifdef DELEGATED
      if
      :: i == MEMBERS - 1 -> i++; goto queued_next
      :: else
      fi;
#endif
      if
      :: atomic { word[i] == w[i] -> queued[i] = true }; i++
      :: word[i] != w[i] -> goto awake
      fi;
#ifdef DELEGATED
queued_next:
      skip
#endif
    :: i == BELL ->
      if
      :: atomic { word[BELL] == w[BELL] -> queued[BELL] = true }; i++
      :: word[BELL] != w[BELL] -> goto awake
      fi
    :: i > BELL -> break
    od;
    woken;
awake:
    skip;
    d_step {
      i = 0;
      do
      :: i <= MEMBERS -> queued[i] = false; i++
      :: else -> break
      od;
      i = 0
    };
    atomic { !lock -> lock = true };
    asleep = false;
    if
    :: removing -> lock = false; atomic { !removing && !lock -> lock = true }
    :: else
    fi;
next_round:
    skip
  od;
  lock = false;
  finished = true
}
