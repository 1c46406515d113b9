/* test_standin_signals.c - the CUDA stand-in between processes: events, values in shared pages, what the dead leave. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu.h"
#include "players.h"

/* ---- events ---- */

/* A page of host memory that both share: the test maps it before they start, or each of them maps it. */
static uint64_t *page;

static cu_deviceptr registered(unsigned flags) {
  cu_deviceptr address;
  CU(cu.cuMemHostRegister(page, 4096, CU_MEMHOSTREGISTER_DEVICEMAP | flags));
  CU(cu.cuMemHostGetDevicePointer(&address, page, 0));
  return address;
}

static void page_begin(void) {
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  NEED(page != MAP_FAILED);
}

static void page_end(void) {
  NEED(munmap(page, 4096) == 0);
}

/* Records twice, each time behind a wait for the page. */
static void record(int link) {
  gpu g;
  cu_event event, own;
  cu_ipc_event_handle handle;
  gpu_begin(&g, 0);
  cu_deviceptr word = registered(0);
  CU(cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
  CU(cu.cuEventQuery(event));
  CU(cu.cuIpcGetEventHandle(&handle, event));
  GIVES(cu.cuIpcOpenEventHandle(&own, handle), CUDA_ERROR_INVALID_CONTEXT);
  give(link, &handle, sizeof handle, -1);
  for (uint64_t round = 1; round <= 2; round++) {
    CU(cu.cuStreamWaitValue64(NULL, word, round, 0));
    CU(cu.cuStreamWriteValue64(NULL, word + 8, round, 0));
    CU(cu.cuEventRecord(event, NULL));
    GIVES(cu.cuEventQuery(event), CUDA_ERROR_NOT_READY);
    say(link, round);
    NEED(hear(link) == round);
    CU(cu.cuEventSynchronize(event));
  }
  NEED(hear(link) == 3); /* the other one has closed it */
  CU(cu.cuEventDestroy(event));
  CU(cu.cuMemHostUnregister(page));
  gpu_end(&g);
}

static void wait_for_records(int link) {
  gpu g;
  cu_event event;
  cu_stream stream;
  cu_ipc_event_handle handle;
  (void)get(link, &handle, sizeof handle);
  gpu_begin(&g, 0);
  cu_deviceptr word = registered(0);
  CU(cu.cuIpcOpenEventHandle(&event, handle));
  GIVES(cu.cuIpcGetEventHandle(&handle, event), CUDA_ERROR_INVALID_VALUE);
  CU(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (uint64_t round = 1; round <= 2; round++) {
    NEED(hear(link) == round);
    CU(cu.cuStreamWaitEvent(stream, event, 0));
    CU(LAUNCH(&g, stream, "check", word + 8, 1, round, word + 16));
    GIVES(cu.cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    GIVES(cu.cuEventQuery(event), CUDA_ERROR_NOT_READY);
    __atomic_store_n(&page[0], round, __ATOMIC_RELEASE); /* pairs with the recorder's wait */
    CU(cu.cuStreamSynchronize(stream));
    CU(cu.cuEventQuery(event));
    NEED(page[2] == 0);
    say(link, round);
  }
  CU(cu.cuEventDestroy(event));
  CU(cu.cuStreamDestroy(stream));
  CU(cu.cuMemHostUnregister(page));
  gpu_end(&g);
  say(link, 3);
}

static void interprocess_events(void **state) {
  (void)state;
  page_begin();
  players_play(record, wait_for_records);
  page_end();
}

static void record_and_hang(int link) {
  gpu g;
  cu_event event;
  cu_ipc_event_handle handle;
  gpu_begin(&g, 0);
  CU(cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
  CU(cu.cuIpcGetEventHandle(&handle, event));
  CU(cu.cuStreamWaitValue64(NULL, registered(0), 1, 0));
  CU(cu.cuEventRecord(event, NULL));
  give(link, &handle, sizeof handle, -1);
  NEED(hear(link) == 1);
}

static void wait_for_the_dead(int link) {
  gpu g;
  cu_event event;
  cu_stream by_event, by_value;
  cu_ipc_event_handle handle;
  (void)get(link, &handle, sizeof handle);
  gpu_begin(&g, 0);
  cu_deviceptr word = registered(0);
  CU(cu.cuIpcOpenEventHandle(&event, handle));
  CU(cu.cuStreamCreate(&by_event, CU_STREAM_NON_BLOCKING));
  CU(cu.cuStreamCreate(&by_value, CU_STREAM_NON_BLOCKING));
  CU(cu.cuStreamWaitEvent(by_event, event, 0));
  CU(cu.cuStreamWaitValue64(by_value, word + 8, 1, 0));
  say(link, 1);
  wait_for_death(link);
  __atomic_store_n(&page[0], 1, __ATOMIC_RELEASE); /* pairs with the dead one's wait: nobody is there to see it */
  for (int i = 0; i < 100; i++) {
    GIVES(cu.cuStreamQuery(by_event), CUDA_ERROR_NOT_READY);
    GIVES(cu.cuStreamQuery(by_value), CUDA_ERROR_NOT_READY);
    pause_ms(1);
  }
  __atomic_store_n(&page[1], 1, __ATOMIC_RELEASE); /* pairs with by_value's wait: a CPU can rescue that */
  CU(cu.cuStreamSynchronize(by_value));
  GIVES(cu.cuStreamQuery(by_event), CUDA_ERROR_NOT_READY);
}

static void an_event_of_the_dead_never_comes(void **state) {
  (void)state;
  page_begin();
  players_play_and_kill(record_and_hang, wait_for_the_dead);
  page_end();
}

/* ---- values in a page that one side can only read ---- */

static void write_values(int link) {
  gpu g;
  char byte;
  int fd = get(link, &byte, 1);
  gpu_begin(&g, 0);
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  NEED(page != MAP_FAILED && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
  say(link, 1);
  close(fd);
  cu_deviceptr word = registered(0);
  for (uint64_t value = 1; value <= 200; value++)
    CU(cu.cuStreamWriteValue64(NULL, word, value, 0));
  CU(cu.cuStreamSynchronize(NULL));
  CU(cu.cuMemHostUnregister(page));
  page_end();
  gpu_end(&g);
}

static void wait_for_values(int link) {
  gpu g;
  int fd = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  NEED(fd >= 0 && ftruncate(fd, 4096) == 0);
  give(link, "", 1, dup(fd));
  gpu_begin(&g, 0);
  NEED(hear(link) == 1);
  NEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
  page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  NEED(page != MAP_FAILED);
  close(fd);
  cu_deviceptr word = registered(CU_MEMHOSTREGISTER_READ_ONLY);
  for (uint64_t value = 1; value <= 200; value += 40)
    CU(cu.cuStreamWaitValue64(NULL, word, value, 0));
  CU(cu.cuStreamWaitValue64(NULL, word, 200, CU_STREAM_WAIT_VALUE_EQ));
  CU(cu.cuStreamSynchronize(NULL));
  CU(cu.cuMemHostUnregister(page));
  page_end();
  gpu_end(&g);
}

static void values_in_a_sealed_page(void **state) {
  (void)state;
  players_play(write_values, wait_for_values);
}

/* ---- the report ---- */

static void a_program_reports_what_it_left(void **state) {
  (void)state;
  const char *path = scene_path("report");
  pid_t pid = fork();
  NEED(pid >= 0);
  if (pid == 0) {
    setenv("CUDA_STANDIN_REPORT", path, 1);
    execl("/proc/self/exe", "cuda_standin_signals", "leave", (char *)NULL);
    _exit(127);
  }
  int status;
  NEED(waitpid(pid, &status, 0) == pid && status == 0);
  char line[512] = "", wanted[64];
  FILE *file = fopen(path, "re");
  NEED(file != NULL && fgets(line, sizeof line, file) != NULL);
  fclose(file);
  snprintf(wanted, sizeof wanted, "%d contexts=1 streams=2 events=0 modules=1", (int)pid);
  NEED(strncmp(line, wanted, strlen(wanted)) == 0);
  NEED(unlink(path) == 0);
}

static int leave(void) {
  gpu g;
  cu_stream stream;
  gpu_begin(&g, 0);
  CU(cu.cuStreamCreate(&stream, 0));
  CU(cu.cuStreamCreate(&stream, 0));
  return 0;
}

int main(int argc, char **argv) {
  setenv("CUDA_STANDIN_DELAY_US", "100", 0);
  if (argc == 2 && strcmp(argv[1], "leave") == 0)
    return leave();
  const struct CMUnitTest tests[] = {
    SCENE(interprocess_events),
    SCENE(an_event_of_the_dead_never_comes),
    SCENE(values_in_a_sealed_page),
    SCENE(a_program_reports_what_it_left),
  };
  return SCENE_RUN("standin_signals", tests);
}
