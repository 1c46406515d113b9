/* peers.h - ways to hand a picture from one process to others, all behind one table, so that the same processes can
 * use them in turn.
 *
 * open_all is called before the processes part; open_sender and open_reader afterwards, in the sender and in each
 * reader, at the same time and in the same order. What cannot go on ends the program (bench.h).
 */
#ifndef PEERS_H
#define PEERS_H

#include "../bench.h"

/* One picture, NV12: `width` x `height`, `bytes` in all. The first eight bytes of a picture are its stamp: when it was
 * sent, CLOCK_MONOTONIC ns. A stamp of 0: this picture only says that the way is open. */
typedef struct picture {
  uint32_t width, height;
  size_t bytes;
  uint8_t *source; /* what each picture is filled from */
} picture;

typedef struct peer {
  const char *name, *about;
  /* NULL: it can be used here; else the reason why not, with the remedy. */
  const char *(*missing)(void);
  void *(*open_all)(const picture *made, unsigned readers);
  void (*open_sender)(void *way);
  void (*open_reader)(void *way, unsigned index);
  /* Stamps a picture with the time just before it does anything at all, fills it and sends it to all readers. */
  void (*send)(void *way, bool stamped);
  /* Sleeps until a picture is there, gives it back, and returns its stamp. `*arrived`: when it was there. */
  int64_t (*receive)(void *way, unsigned index, int64_t *arrived);
  void (*close_sender)(void *way);
  void (*close_reader)(void *way, unsigned index);
  bool tells; /* the sender knows by itself that the readers are there */
} peer;

extern const peer peer_cuframes, peer_futex, peer_pipe; /* plain.c */
extern const peer peer_shm, peer_unixfd;                /* gstreamer.c, or no_gstreamer.c where it is missing */

/* ---- load (load.c) ---- */

/* Starts `count` processes that keep the machine busy as `kind` says; they end with this program. `apart`: each in a
 * session of its own. */
void load_start(crew *members, const char *kind, unsigned count, bool apart);
void load_stop(crew *members);
/* The kinds, for --help. */
void load_list(void *file);

#endif
