/* wall.h - what the clock on the wall shows when a packet was taken: names and changes of files go by it.
 *
 * The stream's times are tied to the clock once, by the newest packet when reading begins (older ones, out of the ring,
 * are then as old as they are), and anew where the times jump. So a stream that is faster than the clock, a film or a
 * test, fills its days in minutes. A camera's clock drifts from ours; that is taken back a little with every file,
 * where a file took as long as its times say.
 */
#ifndef CUFRAMES_RECORD_WALL_H
#define CUFRAMES_RECORD_WALL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wall {
  bool set;
  int64_t offset;               /* ns since 1970 = stream's time + offset */
  int64_t latest;               /* a packet's time, the newest, */
  int64_t latest_came;          /* and when it came, monotonic */
  int64_t least_late;           /* the least that a packet was late since the file began, ns */
  int64_t file_time, file_came; /* the file's first packet: its time, and when it came */
  int64_t clock;                /* real minus monotonic, ns: moves when somebody sets the clock */
} wall;

/* Ties `time` to now. */
void wall_tie(wall *w, int64_t time);

/* A packet of the leading track came. False if its time does not follow from the ones before: tie it anew. `usual`: ns
 * from packet to packet. */
bool wall_note(wall *w, int64_t time, int64_t usual);

/* ns since 1970. */
int64_t wall_of(const wall *w, int64_t time);

/* A file begins with this time: takes drift back. */
void wall_begin_file(wall *w, int64_t time);

/* Whether somebody set the clock by more than a second since the last look; times follow it then. By how much, in ns.
 * */
bool wall_was_set(wall *w, int64_t *by);

/* CLOCK_REALTIME, ns. */
int64_t wall_now(void);

#endif
