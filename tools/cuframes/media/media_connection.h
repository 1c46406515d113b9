/* media_connection.h - how the connection to an input lives, and what an outage is: parts of struct media. */
#ifndef CUFRAMES_CLI_MEDIA_CONNECTION_H
#define CUFRAMES_CLI_MEDIA_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

/* One connection; all times in ns. */
typedef struct media_connection {
  int64_t began;
  /* The present call of FFmpeg. */
  int64_t call_began;
  int64_t call_deadline; /* 0: none */
  int64_t looked;        /* when FFmpeg last asked whether to go on */
  int64_t probe_until;   /* while FFmpeg looks at what comes, as long as something does; else 0 */
  bool closing;          /* it says good-bye, which a job that is to stop lets it do */
  bool timed_out;        /* the last call was ended by its deadline */
  /* How long FFmpeg was waited for since the last packet, and since the last one of the video (where there is none, of
   * the sound: so, too, what follows). Time that passes on our side of it, as with a slow subscriber, is no stall. */
  int64_t quiet, pictureless;
  bool stalled;                  /* a deadline has passed: what FFmpeg still gives it had kept back */
  int64_t packet_at, picture_at; /* when the last ones came; 0: none yet */
  uint64_t pictures;             /* packets of the video */
  int64_t picture_time;          /* of the last one, by the source's clock */
  bool answered;                 /* the other side gave what there is to be opened */
  bool taken_up;                 /* times go on from its first packet */
  bool backwards;                /* a film's index is behind its pictures, and the server gives nothing twice */
  bool hopeless;                 /* no other try can do better */
  bool another_codec;            /* its video has become another codec's, which FFmpeg does not follow */
  bool still;                    /* it was one picture, and came to its end in order */
  int error;                     /* that it failed with, AVERROR; 0: none */
} media_connection;

/* What is remembered from one connection to the next. */
typedef struct media_outage {
  int64_t since;              /* when the last picture came, or the first try failed; 0: there is no outage */
  int64_t packet_at;          /* when the last packet of any kind came, before the outage; 0: none did */
  uint64_t tries;             /* that failed in this outage */
  bool stills;                /* the source gives a picture each time it is asked: no outage lies between them */
  int64_t delay, login_delay; /* before the next try, the next one after a refusal; 0: as at first */
  unsigned short_lives;       /* connections in a row that ended soon after their first picture */
  bool heard;                 /* something was said of this outage */
  int64_t said_at;
  char said[4][128]; /* beginnings of the reasons that were said in it */
  unsigned said_count;
  int64_t rarest_picture; /* longest time from one picture to the next, lately */
  int64_t patience;       /* for the first pictures of a source that seems to have few of them; 0: as for others */
} media_outage;

/* How much of a film came, by its own times. */
#define MEDIA_LENGTH_TRACKS 64
typedef struct media_length_track {
  int64_t first;       /* time of the first packet */
  int64_t came;        /* up to the last packet */
  int64_t last, lasts; /* time and duration of that */
  bool any;
} media_length_track;
typedef struct media_length {
  media_length_track tracks[MEDIA_LENGTH_TRACKS]; /* by the input's stream index */
} media_length;

/* RTP's way from a camera, where that is left to us. */
typedef struct media_transport {
  bool udp;        /* not over TCP */
  bool worked;     /* packets came this way */
  bool said;       /* that it is this way now */
  unsigned silent; /* connections this way without a packet, in a row */
  const char *why; /* it was changed; NULL: it was not */
} media_transport;

#endif
