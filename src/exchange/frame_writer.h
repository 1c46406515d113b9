/* exchange/frame_writer.h - the publisher's side of the frame exchange.
 *
 * A slot goes round: free, open (the publisher writes), the newest frame's, held (by whom a look at the seats shows),
 * free. What a look finds unpinned stays so: a reader's lease holds only if its frame is the newest one after the lease
 * was announced, or waited for that reader (exchange/frame_reader.h). So:
 *   - with slots >= 1 (the newest frame) + slots open at the same time + the cost of all seats a look always frees one,
 *     whatever stands in the seats: cf_seat_cost() counts what one look at a seat can find pinned;
 *   - with fewer, n free slots last for n frames, since only acquire makes them fewer;
 *   - it need not look for every frame.
 * models/README.md says which SPIN model is of which function, docs/protocol.md has the proof.
 *
 * Threads: "writer" functions come from one thread at a time. "service" functions come from one other thread at a
 * time and may run beside them. Pure: memory comes from the caller, nothing sleeps or calls the system.
 */
#ifndef CF_EXCHANGE_FRAME_WRITER_H
#define CF_EXCHANGE_FRAME_WRITER_H

#include "exchange/latency.h"
#include "exchange/layout.h"

#define CF_NO_SLOT UINT32_MAX

/* A run of slots in one segment. Embedded in the owner's segment. The service thread hands it to the writer with
 * cf_writer_offer(); the writer hands it back through cf_writer_collect() once no slot of it is in use. */
typedef struct cf_slot_run {
  uint32_t segment;         /* its number; set by the owner */
  uint32_t count;           /* slots; set by the owner */
  uint64_t stride;          /* bytes from one slot to the next; set by the owner */
  uint32_t live;            /* slots in the table; the writer's */
  _Atomic uint32_t adopted; /* nonzero: they entered the table */
  _Atomic uint32_t retire;  /* nonzero: the writer takes its slots out as they come free */
  struct cf_slot_run *next; /* in whatever list it is */
} cf_slot_run;

/* What the publisher remembers of a slot; never shared. Half a cache line. */
typedef struct cf_slot_note {
  uint64_t last;           /* seq of the frame that was last published in it; 0: none */
  cf_slot_run *run;        /* NULL: the table entry is free */
  uint32_t previous, next; /* neighbours in its list, CF_NO_SLOT at the ends */
  uint32_t leased;         /* the number of the last look that found it leased */
  bool filled;             /* that frame is in it; else it is open, or nobody uses it any more */
  bool kept;               /* the publisher itself still uses that frame */
} cf_slot_note;

/* Slots, linked by their notes. */
typedef struct cf_slot_list {
  uint32_t first, last; /* CF_NO_SLOT: none */
  uint32_t count;
} cf_slot_list;

/* How a seat's subscriber orders its GPU behind the publisher's. */
enum cf_fencing {
  CF_FENCING_NONE,     /* its CPU looks at slot.ready */
  CF_FENCING_COUNTERS, /* its stream waits for the seat's fences */
  CF_FENCING_EVENTS    /* its stream waits for the slot's event */
};

/* A seat as the publisher sees it. What stands in the shared page is hostile: leases and depth bound it. */
typedef struct cf_writer_seat {
  cf_seat *page;
  uint32_t leases;          /* granted */
  uint32_t depth;           /* granted; 0: not ordered */
  enum cf_fencing fencing;  /* constant */
  _Atomic uint64_t fenced;  /* word of the newest frame whose fence was handed to the GPU; 0: none */
  _Atomic uint64_t cursor;  /* the furthest cursor seen; CF_CURSOR_NONE before the first */
  _Atomic uint32_t evicted; /* its cursor no longer pins; its leases do until it is removed */
  _Atomic uint32_t given;   /* the newest segment that the service gave it; 0: none yet */
} cf_writer_seat;

typedef struct cf_frame_writer {
  cf_control *control;
  _Atomic uint64_t *index;
  cf_slot *slots;
  cf_extra *extras;
  cf_slot_note *notes; /* capacity of them */
  uint32_t capacity;
  /* A slot is the newest frame's, open, or in one of these. */
  cf_slot_list free;  /* nobody uses them; who has been here longest is first */
  cf_slot_list held;  /* somebody may: older frames, until a look at the seats finds that nobody does */
  uint32_t spare;     /* acquire looks when no more than so many are free */
  uint32_t least;     /* free ones that looks found, since the owner set it to UINT32_MAX */
  uint64_t seq;       /* of the newest frame */
  uint32_t head_slot; /* its slot, CF_NO_SLOT before the first */
  uint32_t epoch;
  uint32_t looks;                 /* the number of the last look at the seats */
  bool adopted;                   /* runs, since somebody asked */
  _Atomic(cf_slot_run *) offered; /* runs from the service thread */
  _Atomic(cf_slot_run *) emptied; /* runs to the service thread */
  _Atomic uint32_t ordered_seats;
  _Atomic uint32_t fenced_seats;     /* seats with a fencing */
  _Atomic uint32_t retiring;         /* runs asked to retire that still have slots in the table */
  _Atomic uint32_t scanning[2];      /* odd while the thread of frames [0], of packets [1] looks at seats */
  _Atomic(cf_writer_seat *) entered; /* the seat between enter and leave */
  _Atomic uint32_t seat_top;         /* no seat at this index or above */
  _Atomic(cf_writer_seat *) seats[CF_SEATS_MAX];
} cf_frame_writer;

/* Formats zeroed memory of cf_control_bytes(capacity) bytes; notes: `capacity` of them. first_seq: 1 but in tests. */
void cf_writer_init(cf_frame_writer *writer, void *control, uint32_t capacity, cf_slot_note *notes, uint64_t instance,
                    uint64_t first_seq);

/* Frames that can wait for an ordered seat: its depth, but two at least. A seat with a depth of one joins at the newest
 * frame; the next one may be on its way, after the publisher looked for who is full and before it saw that cursor. */
static inline uint32_t cf_seat_pinned_depth(uint32_t depth) {
  return depth < 2 ? 2 : depth;
}

/* Slots that a seat with these grants can pin beside the newest frame's: its leases and, if it is ordered, the frames
 * that wait for it but for the newest one. */
static inline uint32_t cf_seat_cost(uint32_t leases, uint32_t depth) {
  return leases + (depth > 0 ? cf_seat_pinned_depth(depth) - 1 : 0);
}

/* Before the page is shared: frames have room for so many bytes of side data. */
void cf_writer_set_side_data_max(cf_frame_writer *writer, uint32_t bytes);

/* writer: asks for the lines that taking a slot and publishing it will touch, and does not wait for them. */
static inline void cf_writer_fetch(const cf_frame_writer *writer) {
  const uint32_t slot = writer->free.first;
  __builtin_prefetch(&writer->control->head, 1);
  __builtin_prefetch(&writer->control->wake, 1);
  __builtin_prefetch(&writer->index[(writer->seq + 1) & (writer->capacity - 1)], 1);
  __builtin_prefetch(atomic_load_explicit(&writer->seats[0], memory_order_relaxed)); /* or of none: no fault */
  if (writer->head_slot != CF_NO_SLOT) {
    __builtin_prefetch(&writer->slots[writer->head_slot].ready);
    __builtin_prefetch(&writer->notes[writer->head_slot], 1);
  }
  if (slot != CF_NO_SLOT) {
    __builtin_prefetch(&writer->slots[slot], 1);
    __builtin_prefetch(&writer->notes[slot], 1);
  }
}

/* writer: takes a free slot to write into. CF_NO_SLOT: there is none. */
uint32_t cf_writer_acquire(cf_frame_writer *writer);

/* writer: where a taken slot lies: its run, and bytes from the start of the segment. */
cf_slot_run *cf_writer_slot(const cf_frame_writer *writer, uint32_t slot, uint64_t *offset);

/* writer: gives a taken slot back unpublished. */
void cf_writer_cancel(cf_frame_writer *writer, uint32_t slot);

/* writer: the publisher keeps a published slot that was not taken again as it is, as one of those that are open; or
 * does so no more. */
void cf_writer_keep(cf_frame_writer *writer, uint32_t slot, bool kept);

/* writer: there are ordered seats. */
bool cf_writer_has_ordered(const cf_frame_writer *writer);
/* writer: an ordered seat that has no room for one more frame; NULL if all have. A seat that is given stays valid
 * until cf_writer_leave(), which must follow; its removal waits for that. */
cf_writer_seat *cf_writer_enter_full(cf_frame_writer *writer);
void cf_writer_leave(cf_frame_writer *writer);
/* writer, between the two: *room is the word to sleep on while this stays true. */
bool cf_writer_seat_full(cf_frame_writer *writer, cf_writer_seat *seat, uint32_t *room);
/* any thread: from now on its cursor pins nothing; its subscriber sees EVICTED. Wake who sleeps on its room. */
void cf_writer_evict(cf_writer_seat *seat);

typedef struct cf_frame_meta {
  uint32_t flags;
  int64_t pts, duration, timestamp;
  int64_t capture_time; /* 0 or INT64_MIN: not known */
  uint32_t side_offset, side_bytes;
} cf_frame_meta;

/* writer: publishes a taken slot as the next frame. ready: its pixels are complete now. Gives its seq. */
__attribute__((hot)) uint64_t cf_writer_publish(cf_frame_writer *writer, uint32_t slot, const cf_frame_meta *meta,
                                                bool ready);

/* ---- frames that a GPU completes ----
 * Before cf_writer_publish(..., false) the publisher puts on its stream, behind the picture's work: the fences of
 * cf_writer_enter_fences() and then the ready word, each to become cf_writer_next_seq(). */

/* writer: the seq that the next frame gets. */
uint64_t cf_writer_next_seq(const cf_frame_writer *writer);
/* writer: the word of a taken slot that its GPU sets to that seq. */
_Atomic uint64_t *cf_writer_ready_counter(const cf_frame_writer *writer, uint32_t slot);
/* writer: whether there are seats that want to be told; one that is just being seated is, from the next frame on. */
bool cf_writer_has_fenced(const cf_frame_writer *writer);
/* writer: the seats that want to be told by the GPU when the next frame, in this slot, is complete. They stay until
 * cf_writer_leave_fences(), which must follow: who takes one away waits meanwhile. Gives their number. */
uint32_t cf_writer_enter_fences(cf_frame_writer *writer, uint32_t slot, cf_writer_seat *seats[CF_SEATS_MAX]);
void cf_writer_leave_fences(cf_frame_writer *writer);
/* any thread: the GPU has nothing more to write into that seat, which was removed. */
bool cf_writer_fences_done(const cf_frame_writer *writer, const cf_writer_seat *seat);
/* writer: the GPU has completed what was last published in a slot. */
bool cf_writer_completed(const cf_frame_writer *writer, uint32_t slot);
/* any thread: the same of the newest frame. */
bool cf_writer_head_completed(const cf_frame_writer *writer);
/* writer, between enter and leave, when the frame will not be published and the GPU does nothing more: takes back what
 * it wrote, since the next frame has the same seq. */
void cf_writer_take_back(cf_frame_writer *writer, uint32_t slot, cf_writer_seat *const seats[], uint32_t count);

/* writer: takes this slot, whatever its age. False: somebody uses it, or it is the newest frame's. */
bool cf_writer_acquire_slot(cf_frame_writer *writer, uint32_t slot);
/* writer: takes a taken slot out of the table for good; its run must have no other. */
void cf_writer_forget(cf_frame_writer *writer, uint32_t slot);
/* writer: adopts a run of one slot at once and takes it. CF_NO_SLOT: the table is full. */
uint32_t cf_writer_adopt_taken(cf_frame_writer *writer, cf_slot_run *run);

/* any thread: before sleepers are woken with the futex, or one that is about to sleep would sleep on. */
void cf_writer_move_wake(cf_frame_writer *writer);
/* writer: subscribers' threads that sleep, or are about to, on frames. */
uint32_t cf_writer_sleepers(cf_frame_writer *writer);
/* the thread of packets: the same on packets. */
uint32_t cf_writer_packet_sleepers(cf_frame_writer *writer);

/* writer: seats whose subscribers miss nothing from now on: all but ordered ones that have not begun, and those without
 * frames that do not wait for another packet than those up to this wake of the packet region. */
uint32_t cf_writer_ready_seats(cf_frame_writer *writer, uint32_t packet_wake);
/* writer: seats whose subscribers have not got all that waits for them: ordered ones every frame, and the memory that
 * the newest lies in, those without frames every packet up to this wake. */
uint32_t cf_writer_behind_seats(cf_frame_writer *writer, uint32_t packet_wake);
/* service: a seat has the memory of a segment, and needs nobody any more to look at frames in it. */
void cf_writer_seat_given(cf_writer_seat *seat, uint32_t segment);

/* writer or, once it has ended, service: the stream is over. */
void cf_writer_end(cf_frame_writer *writer);

/* service: hands new slots to the writer, which adopts them at its next acquire. */
void cf_writer_offer(cf_frame_writer *writer, cf_slot_run *run);
/* writer: the same at once. */
void cf_writer_adopt(cf_frame_writer *writer);
/* any thread: the writer takes a run's slots out as they come free. */
void cf_writer_retire(cf_frame_writer *writer, cf_slot_run *run);
bool cf_run_retiring(const cf_slot_run *run);
/* any thread: whether the writer adopted it. One that never was still takes memory until the next acquire when it
 * retires. */
bool cf_run_adopted(const cf_slot_run *run);
/* writer: whether runs were adopted since the last call, or cf_writer_collect() has something. */
bool cf_writer_has_changed(cf_frame_writer *writer);
/* writer: takes out at once what can be taken out. */
void cf_writer_sweep(cf_frame_writer *writer);
/* service: tells subscribers that segments below this number are gone. */
void cf_writer_set_floor(cf_frame_writer *writer, uint32_t segment);
/* any thread, one at a time, before the run is offered: tells subscribers of a new segment. */
void cf_writer_set_top(cf_frame_writer *writer, uint32_t segment);
/* any thread, one at a time: tells subscribers what the source is doing, by cf_source_word(). */
void cf_writer_set_source(cf_frame_writer *writer, uint64_t word);
/* writer: the source (re)started; later frames belong to a new epoch. */
void cf_writer_new_epoch(cf_frame_writer *writer);
/* service: runs that are out of use, as a list by `next`; the caller owns them again. */
cf_slot_run *cf_writer_collect(cf_frame_writer *writer);

/* service: seats the subscriber: formats its zeroed page and lets the writer see it. False: no place. */
bool cf_writer_add_seat(cf_frame_writer *writer, cf_writer_seat *seat);
/* service: takes the seat away; its memory may go once cf_writer_quiescent() says so. A writer that sleeps
 * on its room must be woken: the word has moved. */
uint64_t cf_writer_remove_seat(cf_frame_writer *writer, cf_writer_seat *seat);
bool cf_writer_quiescent(cf_frame_writer *writer, const cf_writer_seat *seat, uint64_t ticket);

/* any thread: whether a seat holds leases; their slots into held[] (at most CF_LEASES_MAX). Gives the number. */
uint32_t cf_seat_held(const cf_writer_seat *seat, uint32_t *held);

/* What a seat says of itself, for people to look at. */
typedef struct cf_seat_report {
  bool evicted;
  uint64_t last_seq, delivered, skipped;
  uint64_t latency_sum, counters[CF_SEAT_COUNTED];
} cf_seat_report;

/* any thread */
cf_seat_report cf_seat_look(const cf_writer_seat *seat);

#endif
