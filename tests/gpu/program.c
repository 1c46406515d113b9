/* program.c - options, facts, numbers and talk. */
#include "program.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef KERNELS
#define KERNELS ""
#endif

program_options program = { .width = 1920, .height = 1080 };
program_facts facts;
static unsigned begun;

int program_begin(void **state) {
  begun++;
  return fixture_begin(state);
}

/* ---- lines for the table ---- */

static void line(const char *what, const char *format, va_list args) {
  char text[1024];
  vsnprintf(text, sizeof text, format, args);
  printf("%s: %s\n", what, text);
  fflush(stdout);
}

void program_note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  line("numbers", format, args);
  va_end(args);
}

/* ---- talk ---- */

void tell(int fd, const void *bytes, size_t size) {
  CHECK(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
}

void learn(int fd, void *bytes, size_t size) {
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  int64_t end = cuframes_now() + patience() + (int64_t)(program.seconds * (double)SECOND);
  int n;
  do {
    int64_t left = (end - cuframes_now()) / MS;
    n = poll(&ready, 1, left > 0 ? (int)left : 0);
  } while (n < 0 && errno == EINTR);
  CHECK(n > 0);
  CHECK(recv(fd, bytes, size, 0) == (ssize_t)size);
}

void sweep_up(void) {
  cuframes_streams *streams = NULL;
  CHECK_OK(cuframes_stream_list(NULL, patience(), &streams));
  CHECK(streams->count == 0);
  cuframes_streams_free(streams);
}

cu_deviceptr word_new(void) {
  cu_deviceptr word;
  CHECK_OK(cu.cuMemAlloc(&word, sizeof(uint64_t)));
  CHECK_OK(cu.cuMemcpyHtoD(word, &(uint64_t){ 0 }, sizeof(uint64_t)));
  return word;
}

uint64_t word_value(cu_deviceptr word) {
  uint64_t value;
  CHECK_OK(cu.cuMemcpyDtoH(&value, word, sizeof value));
  return value;
}

/* ---- what there is ---- */

static bool has(cu_device_attribute attribute) {
  int value = 0;
  return cu.cuDeviceGetAttribute(&value, attribute, 0) == CUDA_SUCCESS && value != 0;
}

static void look(int test, void *user) {
  (void)user;
  program_facts found = { 0 };
  const char *kernels = getenv("GPU_KERNELS");
  if (gpu_load() != CUFRAMES_OK) {
    snprintf(found.why_not, sizeof found.why_not, "%s", cuframes_last_error());
  } else {
    gpu g;
    found.standin = gpu_is_standin();
    found.there = found.standin || (kernels && access(kernels, R_OK) == 0);
    snprintf(found.why_not, sizeof found.why_not, "the kernels are not built: GPU_KERNELS=%s", kernels ? kernels : "");
    CHECK_OK(cu.cuDeviceGetCount(&found.devices));
    CHECK_OK(cu.cuDeviceGetName(found.name, sizeof found.name, 0));
    found.vmm = has(CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED) &&
                has(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
    found.legacy = has(CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED);
    found.timeline = has(CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS) && cu.cuStreamWaitValue64;
    found.pools = has(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) && cu.cuMemPoolCreate;
    if (found.there) {
      gpu_begin(&g, 0); /* the module loads: the kernels suit the driver */
      gpu_end(&g);
    }
  }
  tell(test, &found, sizeof found);
}

static void look_from_a_child(void) {
  child *c = child_start(look, NULL);
  struct pollfd ready = { .fd = c->fd, .events = POLLIN };
  if (poll(&ready, 1, (int)(patience() / MS)) != 1 || recv(c->fd, &facts, sizeof facts, 0) != sizeof facts)
    facts = (program_facts){ .why_not = "a process that tried CUDA died of it" };
  (void)child_status(c);
}

/* ---- main ---- */

cuframes_format program_format(uint32_t pixel_format) {
  return (cuframes_format){ .pixel_format = pixel_format, .width = program.width, .height = program.height };
}

static uint64_t random_state;

void program_reseed(uint64_t salt) {
  random_state = program.seed + salt * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t program_random(uint64_t below) {
  random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (random_state >> 33) % below;
}

static bool take_option(const char *name, const char *value) {
  char *end = NULL;
  if (strcmp(name, "--size") == 0)
    return sscanf(value, "%ux%u", &program.width, &program.height) == 2;
  double number = strtod(value, &end);
  if (end == value || *end != '\0' || number < 0)
    return false;
  if (strcmp(name, "--seconds") == 0)
    program.seconds = number;
  else if (strcmp(name, "--frames") == 0)
    program.frames = (uint64_t)number;
  else if (strcmp(name, "--cycles") == 0)
    program.cycles = (uint32_t)number;
  else if (strcmp(name, "--changes") == 0)
    program.changes = (uint32_t)number;
  else if (strcmp(name, "--seed") == 0)
    program.seed = (uint64_t)number;
  else
    return false;
  return true;
}

int program_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count) {
  program.seed = (uint64_t)cuframes_now() % 1000000;
  for (int i = 1; i < argc; i += 2) {
    if (strcmp(argv[i], "--list") == 0) {
      for (size_t k = 0; k < count; k++)
        printf("%s\n", tests[k].name);
      return 0;
    }
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--only") == 0) {
      cmocka_set_test_filter(value);
    } else if (!take_option(argv[i], value)) {
      fprintf(stderr, "%s: not an option: %s %s\n", argv[0], argv[i], value);
      return 2;
    }
  }
  setenv("GPU_KERNELS", KERNELS, 0);
  setenv("CUDA_MODULE_LOADING", "EAGER", 0); /* or a first launch may wait for what waits in another stream */
  look_from_a_child();
  if (!facts.there) {
    printf("skipped: no GPU to test on: %s\n", facts.why_not);
    return 77;
  }
  int failed = _cmocka_run_group_tests("gpu", tests, count, NULL, NULL);
  if (failed == 0 && begun == 0)
    fprintf(stderr, "%s: no test is named so\n", argv[0]);
  if (failed == 0 && begun > 0 && begun == fixture_skipped())
    return 77;
  return failed != 0 || begun == 0;
}
