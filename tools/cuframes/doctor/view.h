/* view.h - reads some pictures of a stream as any subscriber does, and looks whether they are whole. */
#ifndef CUFRAMES_DOCTOR_VIEW_H
#define CUFRAMES_DOCTOR_VIEW_H

#include "doctor.h"

enum view_outcome {
  VIEW_WHOLE,
  VIEW_FAILED, /* the library says no: error and sentence */
  VIEW_TORN,   /* bytes were wrong, or changed in hand */
  VIEW_LESSER  /* not in the sync mode that was asked for */
};

typedef struct view {
  /* To be set. */
  const char *name, *directory, *device;
  uint32_t sync;     /* bits of enum cuframes_sync; 0: complete */
  uint32_t pictures; /* so many */
  bool stamped;      /* they are test pictures, and must be */
  bool packets;      /* a stream without pictures: join it, and take nothing */
  int64_t limit_ns;  /* for all of it; a later picture that does not come is no failure */

  /* What came of it. */
  enum view_outcome outcome;
  int error; /* of the library */
  char sentence[512];
  char log[512];    /* the library's last warning */
  uint32_t granted; /* sync mode */
  uint32_t seen;
  int64_t ahead_ns;             /* how far a timestamp was ahead of our clock when its picture came, at most */
  int64_t age_ns;               /* of a picture that was waited for, at least; CUFRAMES_NO_TIME: none was */
  int64_t pts_ns, published_ns; /* from the first picture to the last, by the source's clock and the publisher's */
  bool pts_back;                /* the source's times went back within */
  int64_t capture_off_ns;       /* what the source's clock is ahead of ours; CUFRAMES_NO_TIME: not known */

  int64_t first_pts, last_pts, first_time; /* the reader's own */
} view;

void view_read(view *v);
/* Why, and what mends it, of an outcome that is not VIEW_WHOLE. */
void view_blame(const view *v, finding *f, const doctor *d);
const char *view_sync_text(uint32_t mode);

#endif
