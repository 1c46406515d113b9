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
#include "pair.h"

/* ---- events ---- */

/* A page of host memory that both share: the test maps it before they start, or each of them maps it. */
static uint64_t *page;

static cu_deviceptr registered(unsigned flags) {
  cu_deviceptr address;
  CHECK_OK(cu.cuMemHostRegister(page, 4096, CU_MEMHOSTREGISTER_DEVICEMAP | flags));
  CHECK_OK(cu.cuMemHostGetDevicePointer(&address, page, 0));
  return address;
}

static void page_begin(void) {
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
}

static void page_end(void) {
  CHECK(munmap(page, 4096) == 0);
}

/* Records twice, each time behind a wait for the page. */
static void record(int link) {
  gpu g;
  cu_event event, own;
  cu_ipc_event_handle handle;
  gpu_begin(&g, 0);
  cu_deviceptr word = registered(0);
  CHECK_OK(cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
  CHECK_OK(cu.cuEventQuery(event));
  CHECK_OK(cu.cuIpcGetEventHandle(&handle, event));
  CHECK_RESULT(cu.cuIpcOpenEventHandle(&own, handle), CUDA_ERROR_INVALID_CONTEXT);
  give(link, &handle, sizeof handle, -1);
  for (uint64_t round = 1; round <= 2; round++) {
    CHECK_OK(cu.cuStreamWaitValue64(NULL, word, round, 0));
    CHECK_OK(cu.cuStreamWriteValue64(NULL, word + 8, round, 0));
    CHECK_OK(cu.cuEventRecord(event, NULL));
    CHECK_RESULT(cu.cuEventQuery(event), CUDA_ERROR_NOT_READY);
    say(link, round);
    CHECK(hear(link) == round);
    CHECK_OK(cu.cuEventSynchronize(event));
  }
  CHECK(hear(link) == 3); /* the other one has closed it */
  CHECK_OK(cu.cuEventDestroy(event));
  CHECK_OK(cu.cuMemHostUnregister(page));
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
  CHECK_OK(cu.cuIpcOpenEventHandle(&event, handle));
  CHECK_RESULT(cu.cuIpcGetEventHandle(&handle, event), CUDA_ERROR_INVALID_VALUE);
  CHECK_OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (uint64_t round = 1; round <= 2; round++) {
    CHECK(hear(link) == round);
    CHECK_OK(cu.cuStreamWaitEvent(stream, event, 0));
    CHECK_OK(LAUNCH(&g, stream, "check", word + 8, 1, round, word + 16));
    CHECK_RESULT(cu.cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    CHECK_RESULT(cu.cuEventQuery(event), CUDA_ERROR_NOT_READY);
    __atomic_store_n(&page[0], round, __ATOMIC_RELEASE); /* pairs with the recorder's wait */
    CHECK_OK(cu.cuStreamSynchronize(stream));
    CHECK_OK(cu.cuEventQuery(event));
    CHECK(page[2] == 0);
    say(link, round);
  }
  CHECK_OK(cu.cuEventDestroy(event));
  CHECK_OK(cu.cuStreamDestroy(stream));
  CHECK_OK(cu.cuMemHostUnregister(page));
  gpu_end(&g);
  say(link, 3);
}

static void interprocess_events(void **state) {
  (void)state;
  page_begin();
  pair_run(record, wait_for_records);
  page_end();
}

static void record_and_hang(int link) {
  gpu g;
  cu_event event;
  cu_ipc_event_handle handle;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
  CHECK_OK(cu.cuIpcGetEventHandle(&handle, event));
  CHECK_OK(cu.cuStreamWaitValue64(NULL, registered(0), 1, 0));
  CHECK_OK(cu.cuEventRecord(event, NULL));
  give(link, &handle, sizeof handle, -1);
  CHECK(hear(link) == 1);
}

static void wait_for_the_dead(int link) {
  gpu g;
  cu_event event;
  cu_stream by_event, by_value;
  cu_ipc_event_handle handle;
  (void)get(link, &handle, sizeof handle);
  gpu_begin(&g, 0);
  cu_deviceptr word = registered(0);
  CHECK_OK(cu.cuIpcOpenEventHandle(&event, handle));
  CHECK_OK(cu.cuStreamCreate(&by_event, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamCreate(&by_value, CU_STREAM_NON_BLOCKING));
  CHECK_OK(cu.cuStreamWaitEvent(by_event, event, 0));
  CHECK_OK(cu.cuStreamWaitValue64(by_value, word + 8, 1, 0));
  say(link, 1);
  wait_for_death(link);
  __atomic_store_n(&page[0], 1, __ATOMIC_RELEASE); /* pairs with the dead one's wait: nobody is there to see it */
  for (int i = 0; i < 100; i++) {
    CHECK_RESULT(cu.cuStreamQuery(by_event), CUDA_ERROR_NOT_READY);
    CHECK_RESULT(cu.cuStreamQuery(by_value), CUDA_ERROR_NOT_READY);
    pause_ms(1);
  }
  __atomic_store_n(&page[1], 1, __ATOMIC_RELEASE); /* pairs with by_value's wait: a CPU can rescue that */
  CHECK_OK(cu.cuStreamSynchronize(by_value));
  CHECK_RESULT(cu.cuStreamQuery(by_event), CUDA_ERROR_NOT_READY);
}

static void an_event_of_the_dead_never_comes(void **state) {
  (void)state;
  page_begin();
  pair_run_and_kill(record_and_hang, wait_for_the_dead);
  page_end();
}

/* ---- values in a page that one side can only read ---- */

static void write_values(int link) {
  gpu g;
  char byte;
  int fd = get(link, &byte, 1);
  gpu_begin(&g, 0);
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK(page != MAP_FAILED && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
  say(link, 1);
  close(fd);
  cu_deviceptr word = registered(0);
  for (uint64_t value = 1; value <= 200; value++)
    CHECK_OK(cu.cuStreamWriteValue64(NULL, word, value, 0));
  CHECK_OK(cu.cuStreamSynchronize(NULL));
  CHECK_OK(cu.cuMemHostUnregister(page));
  page_end();
  gpu_end(&g);
}

static void wait_for_values(int link) {
  gpu g;
  int fd = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
  give(link, "", 1, dup(fd));
  gpu_begin(&g, 0);
  CHECK(hear(link) == 1);
  CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
  page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  CHECK(page != MAP_FAILED);
  close(fd);
  cu_deviceptr word = registered(CU_MEMHOSTREGISTER_READ_ONLY);
  for (uint64_t value = 1; value <= 200; value += 40)
    CHECK_OK(cu.cuStreamWaitValue64(NULL, word, value, 0));
  CHECK_OK(cu.cuStreamWaitValue64(NULL, word, 200, CU_STREAM_WAIT_VALUE_EQ));
  CHECK_OK(cu.cuStreamSynchronize(NULL));
  CHECK_OK(cu.cuMemHostUnregister(page));
  page_end();
  gpu_end(&g);
}

static void values_in_a_sealed_page(void **state) {
  (void)state;
  pair_run(write_values, wait_for_values);
}

/* ---- the report ---- */

static void a_program_reports_what_it_left(void **state) {
  (void)state;
  const char *path = fixture_path("report");
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    setenv("CUDA_STANDIN_REPORT", path, 1);
    execl("/proc/self/exe", "cuda_standin_signals", "leave", (char *)NULL);
    _exit(127);
  }
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  char line[512] = "", wanted[64];
  FILE *file = fopen(path, "re");
  CHECK(file != NULL && fgets(line, sizeof line, file) != NULL);
  fclose(file);
  snprintf(wanted, sizeof wanted, "%d contexts=1 streams=2 events=0 modules=1", (int)pid);
  CHECK(strncmp(line, wanted, strlen(wanted)) == 0);
  CHECK(unlink(path) == 0);
}

static int leave(void) {
  gpu g;
  cu_stream stream;
  gpu_begin(&g, 0);
  CHECK_OK(cu.cuStreamCreate(&stream, 0));
  CHECK_OK(cu.cuStreamCreate(&stream, 0));
  return 0;
}

int main(int argc, char **argv) {
  setenv("CUDA_STANDIN_DELAY_US", "100", 0);
  if (argc == 2 && strcmp(argv[1], "leave") == 0)
    return leave();
  const struct CMUnitTest tests[] = {
    FIXTURE(interprocess_events),
    FIXTURE(an_event_of_the_dead_never_comes),
    FIXTURE(values_in_a_sealed_page),
    FIXTURE(a_program_reports_what_it_left),
  };
  return FIXTURE_RUN("standin_signals", tests);
}
