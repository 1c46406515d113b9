/* test_namespaces.c - a subscriber as in a container: its own PID, IPC, mount and network namespace, and, where this
 * runs as root, another user. Memory by descriptor works; legacy handles work or are refused with the cause named.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.h"
#include "support/rights.h"

#define PICTURES 60
#define NOBODY 65534
#define SPACES (CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET)

typedef struct container {
  memory_kind memory;
  uint32_t sync;
  bool may_be_refused;
} container;

enum outcome { WORKS, REFUSED };

static void run_publisher(int test, void *user) {
  static source s;
  const container *c = user;
  source_begin(&s, &(source_options){ .name = "outside",
                                      .memory = c->memory,
                                      .format = program_format(CUFRAMES_PIXEL_NV12),
                                      .buffers = c->memory >= EXTERNAL_VMM ? 8 : 0,
                                      .for_everyone = true });
  source_publish(&s);
  say(test, 0);
  hear(test);
  source_publish_60(&s, PICTURES);
  CHECK_OK(cu.cuCtxSynchronize());
  hear(test);
  source_end(&s);
}

/* The driver and the kernels may lie where another user cannot look. */
static void become_nobody(void) {
  char path[64];
  CHECK(dlopen("libcuda.so.1", RTLD_NOW | RTLD_NODELETE) != NULL);
  int fd = open(getenv("GPU_KERNELS"), O_RDONLY);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd >= 0)
    setenv("GPU_KERNELS", path, 1);
  CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
  CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); /* its /proc/self is its own, as in a process that began so */
}

/* The first frame, or why there is none. */
static int try_inside(void) {
  gpu g;
  cu_stream stream;
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  cuframes_subscriber_options options = { .struct_size = sizeof options, .connect_timeout_ns = patience() };
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  int result = cuframes_subscriber_create("outside", &options, &subscriber);
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_next(subscriber, patience(), &frame);
  if (result != CUFRAMES_OK) {
    program_note("refused: %s", cuframes_last_error());
    detail_names("PID namespace");
  } else {
    CHECK(frame_is_whole(&g, stream, frame, frame_number(frame)));
    cuframes_frame_release(frame);
  }
  cuframes_subscriber_destroy(subscriber);
  CHECK_OK(cu.cuStreamDestroy(stream));
  gpu_end(&g);
  return result;
}

static void live_inside(int test, const container *c) {
  static checker v;
  if (c->may_be_refused) {
    int result = try_inside();
    if (result != CUFRAMES_OK) {
      CHECK(result == CUFRAMES_ERR_UNSUPPORTED || result == CUFRAMES_ERR_DEVICE);
      say(test, REFUSED);
      return;
    }
  }
  checker_begin(&v, &(checker_options){ .name = "outside", .sync = c->sync, .release_on = true });
  CHECK(v.sync == c->sync);
  say(test, WORKS);
  checker_watch(&v, 1 + PICTURES);
  checker_report report = checker_end(&v);
  report_is_good(&report, "the subscriber", false);
}

static void run_inside(int test, void *user) {
  int status;
  bool root = geteuid() == 0;
  hear(test);
  CHECK(unshare(SPACES | (root ? 0 : CLONE_NEWUSER)) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
  pid_t pid = fork(); /* is number 1 inside */
  CHECK(pid >= 0);
  if (pid == 0) {
    CHECK(mount("proc", "/proc", "proc", 0, NULL) == 0);
    if (root)
      become_nobody();
    live_inside(test, user);
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void play(container c) {
  sync_need(c.sync);
  memory_kind_need(c.memory);
  need_container(SPACES);
  if (geteuid() == 0)
    need_other_users();
  CHECK(chmod(fixture_directory(), 0755) == 0);
  child *publisher = child_start(run_publisher, &c), *inside = child_start(run_inside, &c);
  hear(publisher->fd);
  say(inside->fd, 0);
  uint64_t outcome = hear(inside->fd);
  say(publisher->fd, 0);
  int status = child_status(inside);
  say(publisher->fd, 0);
  child_finish(publisher);
  CHECK(status == 0);
  if (outcome == WORKS)
    program_note("%d pictures whole inside%s", PICTURES, geteuid() == 0 ? ", as another user" : "");
}

static void vmm(void **state) {
  (void)state;
  play((container){ .memory = MEMORY_VMM, .sync = CUFRAMES_SYNC_COMPLETE });
}

static void vmm_timeline(void **state) {
  (void)state;
  play((container){ .memory = MEMORY_VMM, .sync = CUFRAMES_SYNC_TIMELINE });
}

static void external_vmm(void **state) {
  (void)state;
  play((container){ .memory = EXTERNAL_VMM, .sync = CUFRAMES_SYNC_COMPLETE });
}

static void external_pool(void **state) {
  (void)state;
  play((container){ .memory = EXTERNAL_POOL, .sync = CUFRAMES_SYNC_COMPLETE });
}

static void legacy(void **state) {
  (void)state;
  play((container){ .memory = MEMORY_LEGACY, .sync = CUFRAMES_SYNC_COMPLETE, .may_be_refused = true });
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(vmm), SHOW(vmm_timeline), SHOW(external_vmm), SHOW(external_pool), SHOW(legacy),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
