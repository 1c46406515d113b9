/* publisher/publisher.h - the parts of a publisher: its life (publisher.c), frames (frames.c, external.c), the memory
 * they lie in (pool.c) and when that grows (growth.c), packets (packets.c), who wakes subscribers (waker.c), and the
 * service thread that speaks with them (service.c): who may join and how it leaves (admission.c), what it may ask
 * (requests.c); what the application says of its source (source.c), and what packets amount to (rates.c); and what a
 * forked process does with it (forked.c).
 */
#ifndef CF_PUBLISHER_PUBLISHER_H
#define CF_PUBLISHER_PUBLISHER_H

#include <pthread.h>

#include <cuframes/publisher.h>

#include "api/frame.h"
#include "api/log.h"
#include "completion/completer.h"
#include "completion/uses.h"
#include "exchange/frame_writer.h"
#include "exchange/packet_ring.h"
#include "link/channel.h"
#include "link/directory.h"
#include "os/interrupt.h"
#include "os/lock.h"
#include "publisher/pool.h"
#include "publisher/rates.h"
#include "wire/handshake.h"

/* Up to so many sleepers are woken by the publisher itself; more by a thread for that, which keeps the publisher's cost
 * flat (docs/benchmarks.md). */
#define CF_WAKE_DIRECT 4

/* Waking a sleeping waker takes as long as waking a subscriber. So where it had many to wake, it is woken when a
 * frame is begun, which on a GPU is some ten microseconds before it is published, and waits for that awake. */
enum cf_prewake {
  CF_PREWAKE_NONE,
  CF_PREWAKE_ASKED,    /* a frame is being made: the waker was rung and waits */
  CF_PREWAKE_PUBLISHED /* it is there: wake all */
};

/* The thread that wakes where there are many to wake. On a busy machine it may have to wait for a processor itself, for
 * some ten milliseconds, while the publisher has one. So it is left nothing as long as it was late lately (waker.c). */
typedef struct cf_waker {
  cf_counter rung_at; /* since when it is to come; 0: it has */
  cf_flag running;
  cf_flag prewake;     /* enum cf_prewake */
  cf_flag woken;       /* so many were, the last time */
  cf_flag asleep;      /* or it is about to be */
  cf_flag rung;        /* moves when it is to come: the word that it sleeps on */
  cf_flag due;         /* who sleeps for a frame is to be woken, whether or not another one is begun */
  cf_flag due_packets; /* who sleeps for a packet is */
  cf_flag processor;   /* of the thread that rang last */
} cf_waker;

/* Of it, what only many sleepers need. */
typedef struct cf_waker_thread {
  pthread_t thread;
  cf_flag stop;
  cf_flag debt;    /* so often it has to come in time before it is left anything again */
  cf_flag untried; /* frames and packets that it was left nothing of */
} cf_waker_thread;

/* One connection, of the service thread alone but for the seat's shared parts. */
typedef struct cf_peer {
  cf_fenced_seat fenced; /* fenced.seat.page is NULL without a seat */
  int fd, pidfd, seat_fd;
  enum cf_peer_state state;
  int64_t deadline; /* of the handshake, of an idle monitor, or of the grace after a hang-up */
  bool reads_packets;
  bool was_given; /* descriptors, and is not known to have taken them */
  bool paused;    /* nothing is read from it until it has taken its answer */
  cf_credentials credentials;
  uint32_t mode, sync_mode, sync_asked;
  char label[CF_LABEL_BYTES];
  bool promised; /* a place, and slots for `cost` */
  bool waits;    /* for slots (reserve full), to be seated with `welcome` */
  cf_msg_welcome welcome;
  cf_info_mode counted; /* what its seat has said at most, each time that somebody asked; never less than before */
  struct cf_peer *next;
} cf_peer;

typedef struct cf_service {
  pthread_t thread;
  bool running;
  int epoll, doorbell, listener;
  int64_t listen_again; /* CF_NEVER, or when to accept again after descriptors ran out */
  bool stop;            /* under `lock` */
  int64_t resume_at;    /* CF_NEVER, or when to look again whether those may be answered that had to wait for others */
  bool ending;          /* no connection is kept any longer, whatever it has not received */
  pthread_mutex_t lock;
  cf_peer *peers;    /* newest first */
  cf_peer *departed; /* closed; their memory stays until no event of this round can name them */
  int64_t look_at;   /* at the device; CF_NEVER: every frame is complete */
  uint32_t half_open;
  cf_counter subscribers;
  cf_flag joined;   /* moves with every subscriber that joins: a word to sleep on */
  uint8_t *message; /* CF_WIRE_MESSAGE_MAX, the thread's buffer */
} cf_service;

typedef struct cf_track {
  bool set;
  uint32_t generation; /* of what follows: the number of the change that made it so */
  cuframes_codec_params params;
  void *extradata;
  size_t extradata_size;
} cf_track;

/* Everything of the packet ring; `lock` is the one of packet calls, `describe` protects what the service reads too.
 * The locks do not come first: GCC 14 would take the address of all this for that of the lock, and warn of what is
 * read beyond. */
typedef struct cf_packets {
  bool enabled;
  bool reserved; /* all of its memory is */
  int fd;
  pthread_mutex_t lock, describe;
  uint64_t bytes;
  void *region;
  cf_packet_writer writer;
  uint32_t track_count;
  cf_track tracks[CUFRAMES_TRACKS_MAX];
  uint32_t new_params; /* bit per track: its next packet carries NEW_PARAMS */
  uint32_t params_generation;
  bool new_epoch;
  cf_counter count, byte_count, memory_bytes;
} cf_packets;

/* So many slots are to be free when one was taken. */
#define CF_SPARE_SLOTS 3u

enum cf_growth_state { CF_GROWTH_IDLE, CF_GROWTH_RUNS, CF_GROWTH_ENDED };

/* Making slots ahead of need. */
typedef struct cf_growth {
  cf_flag missing;     /* slots; 0: none, or they have come */
  cf_flag surplus;     /* slots that nobody has needed for a while */
  cf_flag failed;      /* the last attempt */
  cf_flag starved;     /* a frame was dropped for want of a slot */
  cf_flag turns;       /* moves when an attempt to make some has ended: a word to sleep on */
  cf_flag state;       /* enum cf_growth_state; of the thread that makes them */
  int64_t quiet_until; /* of the thread of frames: when to look for a surplus */
  /* the service thread's, or while that runs the other one's */
  pthread_t thread;
  int result;
  char detail[256];
  int64_t again; /* not before; 0: at once */
  bool said;     /* the log knows that there are no more */
} cf_growth;

/* How the picture of a frame that is published becomes complete. */
typedef struct cf_completion {
  bool on_stream; /* when `stream` has come so far; else it is complete now */
  void *stream;
} cf_completion;

/* What the application says of its source. */
typedef struct cf_source {
  pthread_mutex_t lock; /* held for a moment only */
  int64_t since, attempt;
  uint64_t reconnects;
  uint32_t state;
  char reason[CF_TEXT_BYTES];
} cf_source;

#define CF_MODES 3u /* enum cuframes_mode */

/* What waits for others: a frame call, and drain() or wait_subscribers(). An interruption ends one of each. */
enum cf_wait { CF_WAIT_FRAMES, CF_WAIT_SUBSCRIBERS, CF_WAITS };

struct cuframes_publisher {
  /* What each frame touches comes first, on as few cache lines as may be: they have cooled down since the last one. */
  cf_lock frame_lock;     /* of frame calls */
  uint32_t maker;         /* os/process.h */
  uint32_t left_to_waker; /* by the frame lock: whom a frame wakes, and it may not have come yet */
  uint32_t max_open;
  cf_frame *frames; /* max_open of them */
  cf_handles *handles;
  cf_flag failed;       /* the device is lost, and the stream ends */
  cf_flag looked_after; /* the service thread looks whether the GPU still works: a frame is not complete */
  int64_t second_start; /* 0 before the first frame */
  cf_counter published, newest_timestamp;
  cf_waker waker;
  cf_completer completer;
  cf_pool pool;     /* its first fields */
  const char *code; /* on a GPU: what a frame runs through, and so many bytes of it (cf_publisher_find_code) */
  size_t code_bytes;
  cf_frame_writer writer;

  char name[CUFRAMES_NAME_MAX + 1];
  char description[CF_TEXT_BYTES];
  cf_logger logger;
  cf_log_limit log_limit; /* of what others can make it say */
  cf_claim claim;
  cf_device *device;
  uint64_t instance;

  cf_waker_thread waker_thread;
  int64_t ordered_timeout_ns;
  uint32_t policy;
  cf_slot_note *notes;
  int control_fd;
  uint64_t control_bytes;
  void *control;
  cf_growth growth;
  cf_uses uses;       /* streams that use frames of ours */
  cf_flag references; /* the application's until it is destroyed, then each frame's that is still referred to */
  cf_flag destroyed;
  uint64_t second_frames;
  cf_counter dropped, evictions, waits, rate_micro, seat_bytes;

  uint32_t max_subscribers, max_leases, max_depth;
  uint32_t access;
  uint32_t *allow_uids, *allow_gids;
  size_t allow_uid_count, allow_gid_count;
  mode_t socket_mode;
  int64_t socket_gid;

  int64_t started;
  cf_info_mode departed[CF_MODES]; /* what those amount to that have left, by mode; joined: all of them. Service */

  cf_packets packets;
  cf_service service;
  cf_source source;
  cf_track_rate rates[CUFRAMES_TRACKS_MAX]; /* by the packets' lock */

  cf_interrupt interrupt;               /* who is asked while a call waits; constant */
  cf_flag interruptions;                /* so many have been: a word to sleep on */
  cf_flag interruptions_seen[CF_WAITS]; /* and of so many each kind of wait knows */
};

/* Whether a wait of that kind is to end: INTERRUPTED, once for each interruption, or as the caller's option says.
 * Before each sleep. */
int cf_publisher_check_interrupt(cuframes_publisher *publisher, enum cf_wait wait);
/* Sleeps while a word is as expected, until the deadline, an interruption, or that option is to be asked again. */
void cf_publisher_sleep(cuframes_publisher *publisher, enum cf_wait wait, cf_futex_pair word, int64_t deadline);

/* No more frames or packets; wakes everybody. */
void cf_publisher_end_stream(cuframes_publisher *publisher);
/* Any thread: ends the stream if the device is lost. */
void cf_publisher_look_at_device(cuframes_publisher *publisher);
/* Any thread: keeps the publisher's memory, or no more; the last one frees it. */
void cf_publisher_hold(cuframes_publisher *publisher);
void cf_publisher_drop(cuframes_publisher *publisher);

/* destroy() in a process that was forked from the maker's (forked.c), and the end of a frame there. */
void cf_publisher_forget(cuframes_publisher *publisher);
void cf_publisher_forget_frame(cf_frame *frame);
/* Whether a call is made by the maker's process. */
static inline int cf_publisher_check(const cuframes_publisher *publisher) {
  return cf_process_is(publisher->maker) ? 0 : cf_process_check(publisher->maker, "publisher");
}

extern const cf_frame_ops cf_publisher_frame_ops;

/* Once the device is open: where the code of a frame lies. */
void cf_publisher_find_code(cuframes_publisher *publisher);
/* With the frame lock held: a slot that was taken becomes the frame's, to be written. */
void cf_publisher_open_frame(cuframes_publisher *publisher, cf_frame *frame, uint32_t slot);
/* With the frame lock held: does what is left to do for frames whose last references have ended. */
void cf_publisher_settle_frames(cuframes_publisher *publisher);
/* With the frame lock held: acquire() of registered buffers. */
int cf_publisher_acquire_registered(cuframes_publisher *publisher, cuframes_frame **frame);
/* After the stream has ended: cancels open frames and settles all; those that are still referred to keep the memory. */
void cf_publisher_end_frames(cuframes_publisher *publisher);

/* There are so many subscribers that it may be needed. Service. */
void cf_waker_start(cuframes_publisher *publisher);
void cf_waker_stop(cuframes_publisher *publisher);
/* A frame was begun, and there were many to wake last time: the waker is to be awake when it is published. */
void cf_waker_announce(cuframes_publisher *publisher);
/* It is there, and was announced. True: the waker waits for it, and wakes all. */
bool cf_waker_waits(cuframes_publisher *publisher, int64_t now);
/* Many sleep for a frame, or for a packet. True: the waker wakes them; false: the caller has to. */
bool cf_waker_takes(cuframes_publisher *publisher, int64_t now);
bool cf_waker_takes_packet(cuframes_publisher *publisher, int64_t now);
/* With the frame lock held: wakes for the frame before, if that was left to the waker and it has not come. */
void cf_waker_help(cuframes_publisher *publisher);
/* The waker: it has come. */
void cf_waker_answer(cuframes_publisher *publisher, int64_t now);
/* Any thread: wakes all who sleep for a frame, here; gives how many. */
uint32_t cf_publisher_wake(cuframes_publisher *publisher);

/* Frames: few slots are free, ask for more. */
void cf_growth_ask(cuframes_publisher *publisher);
/* Frames: waits until there may be a slot, until the deadline at most. */
void cf_growth_wait(cuframes_publisher *publisher, int64_t deadline);
/* Frames: looks what was not needed since the last time. */
void cf_growth_end_quiet(cuframes_publisher *publisher, int64_t now);
/* Service: goes on with it. True: an attempt has ended, whose result stands until the next one begins. */
bool cf_growth_step(cuframes_publisher *publisher, int64_t now);
/* Service: begins one, if it is due. False: it has ended at once. */
bool cf_growth_begin(cuframes_publisher *publisher);
/* Service: when to go on with it without being rung. */
int64_t cf_growth_deadline(const cuframes_publisher *publisher);
/* Waits for the allocation that is under way. */
void cf_growth_stop(cuframes_publisher *publisher);

/* Listens and starts the thread; stop ends it and closes every connection. */
int cf_service_start(cuframes_publisher *publisher);
void cf_service_stop(cuframes_publisher *publisher);

/* The seat side of the service: admission, departure and answers. Service thread only. */
/* Answers a HELLO. False: refused or failed, close the connection. True and peer->waits: later, cf_peer_seat(). */
bool cf_peer_admit(cuframes_publisher *publisher, cf_peer *peer, const uint8_t *message, size_t length);
/* For one that waits: there are slots now, or there is an error and its detail this thread's last one. */
bool cf_peer_seat(cuframes_publisher *publisher, cf_peer *peer, int result);
/* Takes the seat away and frees what it cost. */
void cf_peer_unseat(cuframes_publisher *publisher, cf_peer *peer);
bool cf_peer_send_segment(cuframes_publisher *publisher, cf_peer *peer, const uint8_t *message, size_t length);
bool cf_peer_send_packets(cuframes_publisher *publisher, cf_peer *peer);
bool cf_peer_send_codec(cuframes_publisher *publisher, cf_peer *peer, const uint8_t *message, size_t length);
bool cf_peer_send_events(cuframes_publisher *publisher, cf_peer *peer, const uint8_t *message, size_t length);
bool cf_peer_send_side_data(cuframes_publisher *publisher, cf_peer *peer, const uint8_t *message, size_t length);
bool cf_peer_send_info(cuframes_publisher *publisher, cf_peer *peer);
/* Adds what a seat says of itself, as far as it can be, to what its mode amounts to. */
void cf_peer_add_up(const cuframes_publisher *publisher, cf_peer *peer, cf_info_mode *mode);
/* Sends an answer with its descriptors. False: the peer is gone, close the connection. */
bool cf_peer_answer(cuframes_publisher *publisher, cf_peer *peer, uint32_t type, const void *fields, const int *fds,
                    int fd_count);
/* REFUSED with the code and the detail of this thread's last failure. Always false. */
bool cf_peer_refuse(cuframes_publisher *publisher, cf_peer *peer, int code);

/* How many connections there may be, of whom, and how much of what they were sent may be unread: connections.c. */
/* Whether a connection that was just accepted may stay: OK, or NO_CAPACITY. `hungry`: one that has said nothing yet, is
 * of the same user and would make room; NULL without. */
int cf_connections_check(const cuframes_publisher *publisher, const cf_peer *fresh, cf_peer **hungry);
/* Whether one more may be a monitor: OK, or NO_CAPACITY. */
int cf_connections_check_monitor(const cuframes_publisher *publisher, const cf_peer *peer);
/* Of those that have said nothing yet the oldest one of the user who has most of them; NULL: there is none. */
cf_peer *cf_connections_oldest_half_open(const cf_service *service);
/* Whether one more seat may be that user's: OK, or NO_CAPACITY. */
int cf_connections_check_seat(const cuframes_publisher *publisher, const cf_credentials *who);
/* Whether a peer may be sent descriptors, or too many others of its user have not received theirs yet. */
bool cf_connections_may_be_given(const cf_service *service, const cf_peer *peer);
/* Whether it has not yet received all that it was sent. */
bool cf_peer_is_behind(cf_peer *peer);

/* Whether the allow list lets these credentials in. */
bool cf_publisher_allows(const cuframes_publisher *publisher, const cf_credentials *credentials);

/* The fields of INFO about the source. */
void cf_source_describe(cuframes_publisher *publisher, cf_msg_info *info);

/* Bytes of everything that is shared for this stream. */
uint64_t cf_publisher_memory(const cuframes_publisher *publisher);

void cf_packets_init(cf_packets *packets);
/* Moves with each packet. */
uint32_t cf_packets_wake(cf_packets *packets);
void cf_packets_free(cf_packets *packets);

#endif
