/* bench_growth.c - what happens rarely: joining, a pool that grows, a format that changes, a segment that a subscriber
 * sees for the first time; beside the bare driver calls that make, share and map as much memory. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_gpu.h"

#define MANY_LEASES 16u
#define SLOTS 6u
#define MIB ((size_t)1 << 20)
#define SEGMENT ((SLOTS * PICTURE + 2 * MIB - 1) / (2 * MIB) * (2 * MIB))

enum { JOIN, JOIN_GROWING, NEXT, NEXT_IMPORTING, BARE_IMPORT, LISTS };
/* What the subscriber asks the publisher for, in each round. */
enum { STEP_FRAME, STEP_FORMAT, STEP_SEGMENT, STEPS };

typedef struct growth {
  unsigned rounds;
  tally asked, given; /* steps of the subscriber, answers of the publisher */
  double took[LISTS][1000];
} growth;

static int line[2] = { -1, -1 }; /* publisher's end, processes' end */

void growth_line(void) {
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0)
    bench_die("socketpair failed");
}

/* ---- bare memory ---- */

typedef struct bare_segment {
  cu_mem_handle handle;
  cu_deviceptr address;
} bare_segment;

static void bare_map(bare_segment *s, unsigned rights) {
  cu_mem_access access = { .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 }, .flags = rights };
  CHECK_CUDA(cu.cuMemAddressReserve(&s->address, SEGMENT, 0, 0, 0));
  CHECK_CUDA(cu.cuMemMap(s->address, SEGMENT, 0, s->handle, 0));
  CHECK_CUDA(cu.cuMemSetAccess(s->address, SEGMENT, &access, 1));
}

static void bare_create(bare_segment *s) {
  cu_mem_prop prop = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                       .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                       .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } };
  CHECK_CUDA(cu.cuMemCreate(&s->handle, SEGMENT, &prop, 0));
  bare_map(s, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
}

static void bare_free(const bare_segment *s) {
  CHECK_CUDA(cu.cuMemUnmap(s->address, SEGMENT));
  CHECK_CUDA(cu.cuMemAddressFree(s->address, SEGMENT));
  CHECK_CUDA(cu.cuMemRelease(s->handle));
}

static void give_segment(void) {
  bare_segment s;
  int fd;
  char byte = 0, control[CMSG_SPACE(sizeof fd)] = { 0 };
  struct iovec part = { .iov_base = &byte, .iov_len = 1 };
  struct msghdr message = {
    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
  };
  bare_create(&s);
  CHECK_CUDA(cu.cuMemExportToShareableHandle(&fd, s.handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd) };
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(line[0], &message, MSG_NOSIGNAL) != 1)
    bench_die("sendmsg failed");
  (void)close(fd);
  bare_free(&s);
}

static int take_segment(void) {
  int fd = -1;
  char byte, control[CMSG_SPACE(sizeof fd)];
  struct iovec part = { .iov_base = &byte, .iov_len = 1 };
  struct msghdr message = {
    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
  };
  ssize_t got = recvmsg(line[1], &message, MSG_CMSG_CLOEXEC);
  const struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!header)
    bench_die("no descriptor came");
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

/* ---- the subscriber ---- */

static double bare_import(void) {
  bare_segment s;
  int fd = take_segment();
  int64_t from = now_ns();
  CHECK_CUDA(
      cu.cuMemImportFromShareableHandle(&s.handle, (void *)(intptr_t)fd, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  bare_map(&s, CU_MEM_ACCESS_FLAGS_PROT_READ);
  double took = (double)(now_ns() - from);
  (void)close(fd);
  bare_free(&s);
  return took;
}

static cuframes_subscriber *timed_join(unsigned leases, double *took) {
  int64_t from = now_ns();
  cuframes_subscriber *subscriber = gpu_join("growth", (cuframes_subscriber_options){ .leases = leases });
  *took = (double)(now_ns() - from);
  return subscriber;
}

/* Has the publisher do its next step and waits until it is done. */
static void ask(growth *g) {
  uint32_t before = atomic_load_explicit(&g->given.count, memory_order_relaxed);
  tally_add(&g->asked);
  tally_wait(&g->given, before + 1, false);
}

/* A frame is published and complete; gives what taking it took. */
static double timed_next(growth *g, cuframes_subscriber *subscriber) {
  ask(g);
  int64_t from = now_ns();
  cuframes_frame *frame = stream_next(subscriber);
  double took = (double)(now_ns() - from);
  if (!frame)
    bench_die("the stream ended early");
  cuframes_frame_release(frame);
  return took;
}

static void reader_run(void *argument, unsigned index) {
  growth *g = argument;
  (void)index;
  for (unsigned round = 0; round < g->rounds; round++) {
    cuframes_subscriber *subscriber = timed_join(2, &g->took[JOIN][round]);
    g->took[NEXT][round] = timed_next(g, subscriber);
    g->took[NEXT_IMPORTING][round] = timed_next(g, subscriber);
    cuframes_subscriber_destroy(subscriber);
    subscriber = timed_join(MANY_LEASES, &g->took[JOIN_GROWING][round]);
    ask(g);
    cuframes_subscriber_destroy(subscriber);
    g->took[BARE_IMPORT][round] = bare_import();
  }
}

/* ---- the publisher ---- */

static void publish(cuframes_publisher *publisher, unsigned number) {
  cuframes_frame *frame = stream_acquire(publisher);
  work_fill(frame, number);
  gpu_send(publisher, frame, number);
  CHECK_CUDA(cu.cuStreamSynchronize(work));
}

static uint32_t slots(cuframes_publisher *publisher) {
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  bench_check(cuframes_publisher_get_stats(publisher, &stats), "stats");
  return stats.slots;
}

static cuframes_format format_of(unsigned number) {
  return (cuframes_format){ .pixel_format = CUFRAMES_PIXEL_NV12, .width = WIDTH, .height = HEIGHT - 2 * (number % 2) };
}

/* A picture in the other format, which takes a new segment. */
static void publish_format(cuframes_publisher *publisher, unsigned number) {
  cuframes_format format = format_of(number);
  bench_check(cuframes_publisher_set_format(publisher, &format), "set_format");
  gpu_send(publisher, stream_acquire(publisher), number);
  CHECK_CUDA(cu.cuStreamSynchronize(work));
}

/* Gives in how many rounds the pool grew. */
static unsigned serve(growth *g, cuframes_publisher *publisher) {
  uint32_t before = 0;
  unsigned grew = 0;
  for (uint32_t i = 0; i < STEPS * g->rounds; i++) {
    tally_wait(&g->asked, i + 1, false);
    switch (i % STEPS) {
      case STEP_FRAME: publish(publisher, i); break;
      case STEP_FORMAT:
        publish_format(publisher, 1 + i / STEPS);
        before = slots(publisher);
        break;
      default: grew += slots(publisher) > before; give_segment();
    }
    tally_add(&g->given);
  }
  return grew;
}

static const char section[] = "Rare events: joining, growing, importing";

static figure figure_of(const growth *g, int which) {
  samples *list = samples_new(g->rounds);
  for (unsigned i = 0; i < g->rounds; i++)
    samples_add(list, g->took[which][i]);
  figure result = samples_figure(list, 0);
  samples_free(list);
  return result;
}

/* A new format on the publisher's thread, and the bare calls for as much memory. */
static void formats(unsigned rounds) {
  samples *ours = samples_new(rounds), *bare = samples_new(rounds);
  cuframes_publisher *publisher = gpu_publish("growth", WIDTH, HEIGHT, (cuframes_publisher_options){ .slots = SLOTS });
  for (unsigned i = 0; i < rounds; i++) {
    bare_segment s;
    cuframes_format format = format_of(i);
    int64_t from = now_ns();
    bench_check(cuframes_publisher_set_format(publisher, &format), "set_format");
    cuframes_frame *frame = stream_acquire(publisher);
    samples_add(ours, (double)(now_ns() - from));
    bench_check(cuframes_publisher_cancel(publisher, frame), "cancel");
    from = now_ns();
    bare_create(&s);
    samples_add(bare, (double)(now_ns() - from));
    bare_free(&s);
  }
  cuframes_publisher_destroy(publisher);
  report_row row = { .section = section,
                     .figure = samples_figure(ours, 0),
                     .beside = "making and mapping the memory",
                     .bare = samples_figure(bare, 0) };
  row_add(row, "a new format: set_format and acquire (%zu MiB)", SEGMENT / MIB);
  samples_free(ours);
  samples_free(bare);
}

void bench_growth(bool quick) {
  growth *g = processes_memory(sizeof *g);
  *g = (growth){ .rounds = quick ? 4 : 200 };
  cuframes_publisher *publisher = gpu_publish("growth", WIDTH, HEIGHT, (cuframes_publisher_options){ .slots = SLOTS });
  processes_run(1, reader_run, g);
  unsigned grew = serve(g, publisher);
  processes_wait();
  if (grew < g->rounds)
    bench_say("note: the pool grew in %u of %u rounds only", grew, g->rounds);
  cuframes_publisher_destroy(publisher);
  row_add((report_row){ .section = section, .figure = figure_of(g, JOIN), .bare = NO_FIGURE }, "joining a stream");
  row_add(
      (report_row){
          .section = section, .figure = figure_of(g, JOIN_GROWING), .beside = "joining", .bare = figure_of(g, JOIN) },
      "joining with %u leases, for which the pool grows", MANY_LEASES);
  row_add((report_row){ .section = section,
                        .figure = figure_of(g, NEXT_IMPORTING),
                        .beside = "importing and mapping the memory",
                        .bare = figure_of(g, BARE_IMPORT) },
          "next, of a frame in new memory (%zu MiB)", SEGMENT / MIB);
  row_add((report_row){ .section = section, .figure = figure_of(g, NEXT), .bare = NO_FIGURE },
          "next, of a frame in memory that is known");
  formats(quick ? 4 : 100);
}
