/* wake.pml - no wake-up for a frame is lost: cf_writer_publish(), cf_writer_sleepers(), cf_writer_move_wake() and the
 * waker (publisher/waker.c), which is rung where there are many to wake, against cf_reader_prepare_wait() and
 * cf_sleep_for_frame(); nor one for death, interruption and the end: sleepers_wake().
 *
 * The word moves only when a sleeper was found, by who then wakes. With PREWAKE the waker may be roused when a
 * frame is begun, and waits for it awake, for some time, and wakes if it came; nobody is killed or interrupted then.
 * There, too, the publisher takes back what was left to a waker that does not come, whenever it begins or publishes a
 * frame.
 * READERS readers with a watcher each. The publisher may be killed at every step, also between head and the wake-up;
 * then only the watchers wake. One reader may be interrupted at any time. Nobody's sleep has a time-out. Proves: nobody
 * sleeps while there is something for it to see; PUBLISHER_GONE comes after the last frame; all come to their end.
 * Must fail: WORD_FIRST (the futex word moves before head), COUNT_FIRST (the publisher counts sleepers before it moves
 * head), WORD_STANDS (who wakes does not move the word), WORD_LATE (the reader loads the word after its look at head),
 * COUNTED_LATE (it counts itself after that), FLAGS_EARLY (it reads its process's flags before it counts itself for the
 * watcher), WATCHER_ONCE (the watcher wakes once), GONE_LATE (a reader looks whether the publisher is gone after it
 * looked for a frame); with PREWAKE: RING_FIRST (the waker wakes before it says that it waits no more), DUE_LATE (it is
 * roused before it is told that somebody is to be woken), DUE_ONLY (what is due keeps it from a frame that was begun),
 * OVERWRITES (a frame that is begun takes the place of one that it has not woken for yet), FORGETS (the publisher takes
 * back what was left to the waker, and does not wake).
 */
#ifndef FRAMES
#define FRAMES 2
#endif
#ifndef READERS
#define READERS 1
#endif

byte head, word;
byte last[READERS];
bool ended, killed, hung_up, rung, due;
byte prewake; /* enum cf_prewake: none, asked, published */
bool waiting[READERS];                    /* seat.waiting */
bool sleepers[READERS], gone[READERS];    /* of the connection */
bool interrupted[READERS], rung_for[READERS];
bool asleep[READERS], finished[READERS];

inline futex_wake() {
  d_step {
    asleep[0] = false;
    asleep[READERS - 1] = false
  }
}

inline count_sleepers() { /* cf_writer_sleepers */
  sleeps = waiting[0];
  sleeps = sleeps || waiting[READERS - 1]
}

inline move_wake() { /* cf_writer_move_wake */
#ifndef WORD_STANDS
  word++
#else
  skip
#endif
}

inline wake_instead() {
#ifndef FORGETS
  move_wake();
  futex_wake()
#else
  skip
#endif
}

active proctype publisher() {
  byte q = 1, asked;
  bool sleeps;
  {
    do
    :: q <= FRAMES ->
#ifdef PREWAKE
      if /* cf_waker_help */
      :: due -> due = false; wake_instead()
      :: prewake == 2 ->
        atomic {
          if
          :: prewake == 2 -> prewake = 0; asked = 2
          :: else
          fi
        };
        if
        :: asked == 2 -> asked = 0; wake_instead()
        :: else
        fi
      :: true
      fi;
      if /* cf_waker_announce */
      :: atomic { asked = prewake; prewake = 1 };
#ifndef OVERWRITES
        if
        :: asked == 2 -> due = true
        :: else
        fi;
#endif
        asked = 0;
        rung = true;
        if /* it may begin a frame and publish it only when all have the one before */
        :: true
        :: true -> last[0] == q - 1 && last[READERS - 1] == q - 1
        fi
      :: true
      fi;
#endif
#ifdef COUNT_FIRST
      count_sleepers();
#endif
#ifdef WORD_FIRST
      count_sleepers();
      if
      :: sleeps -> word++
      :: else
      fi;
#endif
      head = q;
#ifdef PREWAKE
      if
      :: prewake == 1 ->
        atomic { asked = prewake; prewake = 2 };
        if
        :: atomic { asked == 1 -> asked = 0; q++ }; goto published
        :: atomic { asked != 1 -> asked = 0 }
        fi
      :: prewake == 1 -> prewake = 0 /* cf_waker_waits: it has not come */
      :: else
      fi;
#endif
#ifndef COUNT_FIRST
      count_sleepers();
#endif
      if
#ifdef WORD_FIRST
      :: sleeps -> futex_wake()
#else
      :: sleeps -> move_wake(); futex_wake()
#ifdef PREWAKE
      :: sleeps -> due = false; move_wake(); futex_wake() /* they are many, but it has not come */
#endif
#ifndef DUE_LATE
      :: sleeps -> due = true; rung = true /* they are many: the waker does it */
#else
      :: sleeps -> rung = true; due = true
#endif
#endif
      :: !sleeps
      fi;
      atomic { q++; sleeps = false };
#ifdef PREWAKE
published:
      skip
#endif
    :: else -> break
    od;
    if /* it may stay for ever without a frame */
    :: true
    :: true -> timeout; assert(last[0] == FRAMES && last[READERS - 1] == FRAMES)
    fi;
    ended = true;
    move_wake();
    futex_wake()
  } unless { killed }
}

active proctype waker() { /* it dies with its publisher */
  bool is_due;
  byte begun;
  {
    do
    :: rung ->
      rung = false;
      atomic { is_due = due; due = false };
      if
      :: is_due -> move_wake(); futex_wake()
      :: else
      fi;
#ifdef PREWAKE
      if
#ifdef DUE_ONLY
      :: !is_due && prewake != 0 ->
#else
      :: prewake != 0 ->
#endif
        if /* wait_for_frame: for some time */
        :: prewake != 1
        :: true
        fi;
#ifdef RING_FIRST
        begun = prewake;
        if
        :: begun == 2 -> move_wake(); futex_wake()
        :: else
        fi;
        prewake = 0;
#else
        atomic { begun = prewake; prewake = 0 };
        if
        :: begun == 2 -> move_wake(); futex_wake()
        :: else
        fi;
#endif
        begun = 0
      :: else
      fi;
#endif
      is_due = false
    :: ended && !rung -> break
    od
  } unless { killed }
}

active proctype killer() {
  if
#ifndef PREWAKE
  :: killed = true
#endif
  :: skip; ended
  fi;
  hung_up = true
}

active proctype interrupter() {
  if
#ifndef PREWAKE
  :: interrupted[0] = true; rung_for[0] = true
#endif
  :: true
  fi
}

active [READERS] proctype reader() {
  byte me = _pid - 4, h, w;
  bool over, was_gone, look;
  do
  :: /* take_now */
#ifndef GONE_LATE
    was_gone = gone[me];
    over = ended;
#endif
    h = head;
#ifdef GONE_LATE
    was_gone = gone[me];
    over = ended;
#endif
    if
    :: h != last[me] -> assert(h > last[me]); last[me] = h
    :: h == last[me] && (was_gone || over) -> assert(last[me] == head); break
    :: else ->
      interrupted[me] = false; /* INTERRUPTED, and the caller comes again */
      /* cf_sleep_for_frame */
#ifdef FLAGS_EARLY
      look = gone[me] || interrupted[me];
#endif
      sleepers[me] = true;
#ifndef COUNTED_LATE
      waiting[me] = true; /* cf_reader_prepare_wait */
#endif
#ifndef WORD_LATE
      w = word;
#endif
      h = head; /* cf_reader_news */
      over = ended;
#ifdef COUNTED_LATE
      waiting[me] = true;
#endif
#ifdef WORD_LATE
      w = word;
#endif
#ifndef FLAGS_EARLY
      look = gone[me] || interrupted[me]; /* must_not_sleep */
#endif
      if
      :: h == last[me] && !over && !look ->
        if
        :: atomic { word == w -> asleep[me] = true }; !asleep[me]
        :: word != w
        fi
      :: else
      fi;
      waiting[me] = false;
      sleepers[me] = false
    fi
  od;
  finished[me] = true
}

active [READERS] proctype watcher() { /* watcher_run */
  byte me = _pid - 4 - READERS;
start:
  do
  :: hung_up && !gone[me] -> gone[me] = true; goto wake
  :: rung_for[me] -> rung_for[me] = false; goto wake
  :: finished[me] -> break
  od;
  goto over;
wake: /* sleepers_wake */
#ifdef WATCHER_ONCE
  asleep[me] = false;
#else
  do
  :: sleepers[me] && (gone[me] || interrupted[me]) -> asleep[me] = false
  :: else -> break
  od;
#endif
  goto start;
over:
  skip
}
