/* plain.c - peers that need nothing installed: cuframes itself, a bare futex wake, and pipes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peers.h"

static const char *never_missing(void) {
  return NULL;
}

static void nothing_sender(void *way) {
  (void)way;
}

static void nothing_reader(void *way, unsigned index) {
  (void)way, (void)index;
}

/* ---- cuframes ---- */

typedef struct cuframes_way {
  const picture *made;
  cuframes_publisher *publisher;
  cuframes_subscriber *subscriber; /* in a reader */
} cuframes_way;

static void *cuframes_open_all(const picture *made, unsigned readers) {
  cuframes_way *way = calloc(1, sizeof *way);
  (void)readers;
  if (!way)
    bench_die("no memory");
  way->made = made;
  return way;
}

static void cuframes_open_sender(void *opaque) {
  cuframes_way *way = opaque;
  way->publisher =
      stream_publish("peer", way->made->width, way->made->height, (cuframes_publisher_options){ .max_slots = 256 });
}

static void cuframes_open_reader(void *opaque, unsigned index) {
  cuframes_way *way = opaque;
  (void)index;
  way->subscriber = stream_join("peer", (cuframes_subscriber_options){ 0 });
}

static void cuframes_send(void *opaque, bool stamped) {
  cuframes_way *way = opaque;
  const picture *made = way->made;
  int64_t stamp = stamped ? now_ns() : 0;
  cuframes_frame *frame = stream_acquire(way->publisher);
  const uint8_t *from = made->source;
  for (int plane = 0; plane < 2; plane++) {
    uint8_t *to = cuframes_frame_plane(frame, plane);
    size_t pitch = (size_t)cuframes_frame_pitch(frame, plane);
    uint32_t rows = plane == 0 ? made->height : made->height / 2;
    for (uint32_t row = 0; row < rows; row++, from += made->width)
      memcpy(to + row * pitch, from, made->width);
  }
  memcpy(cuframes_frame_plane(frame, 0), &stamp, sizeof stamp);
  stream_send(way->publisher, frame);
}

static int64_t cuframes_receive(void *opaque, unsigned index, int64_t *arrived) {
  cuframes_way *way = opaque;
  int64_t stamp;
  (void)index;
  cuframes_frame *frame = stream_next(way->subscriber);
  *arrived = now_ns();
  if (!frame)
    bench_die("the stream ended early");
  memcpy(&stamp, cuframes_frame_plane(frame, 0), sizeof stamp);
  cuframes_frame_release(frame);
  return stamp;
}

static void cuframes_close_sender(void *opaque) {
  cuframes_way *way = opaque;
  cuframes_publisher_destroy(way->publisher);
  free(way);
}

static void cuframes_close_reader(void *opaque, unsigned index) {
  cuframes_way *way = opaque;
  (void)index;
  cuframes_subscriber_destroy(way->subscriber);
  free(way);
}

const peer peer_cuframes = {
  .name = "cuframes",
  .about = "a publisher and newest subscribers",
  .missing = never_missing,
  .open_all = cuframes_open_all,
  .open_sender = cuframes_open_sender,
  .open_reader = cuframes_open_reader,
  .send = cuframes_send,
  .receive = cuframes_receive,
  .close_sender = cuframes_close_sender,
  .close_reader = cuframes_close_reader,
  .tells = true,
};
/* ---- a bare futex: no picture at all ---- */

typedef struct futex_way {
  alignas(64) _Atomic uint32_t word;
  _Atomic int64_t stamp;
} futex_way;

static uint32_t futex_seen; /* by this reader */

static void *futex_open_all(const picture *made, unsigned readers) {
  (void)made, (void)readers;
  return shared_new(sizeof(futex_way));
}

static void futex_send(void *opaque, bool stamped) {
  futex_way *way = opaque;
  atomic_store_explicit(&way->stamp, stamped ? now_ns() : 0, memory_order_relaxed);
  atomic_fetch_add_explicit(&way->word, 1, memory_order_release);
  futex_wake(&way->word);
}

static int64_t futex_receive(void *opaque, unsigned index, int64_t *arrived) {
  futex_way *way = opaque;
  uint32_t word;
  (void)index;
  while ((word = atomic_load_explicit(&way->word, memory_order_acquire)) == futex_seen)
    futex_wait(&way->word, futex_seen);
  *arrived = now_ns();
  futex_seen = word;
  return atomic_load_explicit(&way->stamp, memory_order_relaxed);
}

static void futex_close(void *way) {
  shared_free(way, sizeof(futex_way));
}

static void futex_close_reader(void *way, unsigned index) {
  (void)index;
  futex_close(way);
}

const peer peer_futex = {
  .name = "futex",
  .about = "a bare FUTEX_WAKE of as many, no picture",
  .missing = never_missing,
  .open_all = futex_open_all,
  .open_sender = nothing_sender,
  .open_reader = nothing_reader,
  .send = futex_send,
  .receive = futex_receive,
  .close_sender = futex_close,
  .close_reader = futex_close_reader,
};

/* ---- pipes ---- */

typedef struct pipe_way {
  const picture *made;
  unsigned readers;
  uint8_t *into;
  int ends[CREW_MAX][2];
} pipe_way;

static void *pipe_open_all(const picture *made, unsigned readers) {
  pipe_way *way = calloc(1, sizeof *way);
  if (!way || !(way->into = malloc(made->bytes)))
    bench_die("no memory");
  way->made = made;
  way->readers = readers;
  for (unsigned i = 0; i < readers; i++) {
    if (pipe2(way->ends[i], O_CLOEXEC) != 0)
      bench_die("pipe: %s", strerror(errno));
    (void)fcntl(way->ends[i][1], F_SETPIPE_SZ, 1 << 20); /* as large as an ordinary user may; smaller is slower */
  }
  return way;
}

static void pipe_send(void *opaque, bool stamped) {
  pipe_way *way = opaque;
  int64_t stamp = stamped ? now_ns() : 0;
  memcpy(way->made->source, &stamp, sizeof stamp);
  for (unsigned i = 0; i < way->readers; i++) {
    for (size_t done = 0; done < way->made->bytes;) {
      ssize_t written = write(way->ends[i][1], way->made->source + done, way->made->bytes - done);
      if (written < 0 && errno != EINTR)
        bench_die("write to a pipe: %s", strerror(errno));
      done += written > 0 ? (size_t)written : 0;
    }
  }
}

static int64_t pipe_receive(void *opaque, unsigned index, int64_t *arrived) {
  pipe_way *way = opaque;
  int64_t stamp;
  for (size_t done = 0; done < way->made->bytes;) {
    ssize_t got = read(way->ends[index][0], way->into + done, way->made->bytes - done);
    if (got == 0 || (got < 0 && errno != EINTR))
      bench_die("read from a pipe: %s", got == 0 ? "it ended early" : strerror(errno));
    done += got > 0 ? (size_t)got : 0;
  }
  *arrived = now_ns();
  memcpy(&stamp, way->into, sizeof stamp);
  return stamp;
}

static void pipe_close(void *opaque) {
  pipe_way *way = opaque;
  for (unsigned i = 0; i < way->readers; i++)
    for (int end = 0; end < 2; end++)
      (void)close(way->ends[i][end]);
  free(way->into);
  free(way);
}

static void pipe_close_reader(void *way, unsigned index) {
  (void)index;
  pipe_close(way);
}

const peer peer_pipe = {
  .name = "pipe",
  .about = "the whole picture through a pipe to each",
  .missing = never_missing,
  .open_all = pipe_open_all,
  .open_sender = nothing_sender,
  .open_reader = nothing_reader,
  .send = pipe_send,
  .receive = pipe_receive,
  .close_sender = pipe_close,
  .close_reader = pipe_close_reader,
};
