/* test_driver.c - finding the CUDA driver: what is said when there is none, an old one, half of one, or one without a
 * device. Each case runs in a program of its own, this one started again, since a driver stays once it is loaded.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/cuda/driver.h"
#include "support/fixture.h"

/* What the other program says: the code, then version and functions that are there, or the detail. */
static int load_and_say(void) {
  cf_cuda_driver driver = { 0 };
  int result = cf_cuda_driver_load(&driver);
  printf("%d ", result);
  if (result == CUFRAMES_OK)
    printf("version %d proc %d write %d pool %d", driver.version, driver.cuGetProcAddress != NULL,
           driver.cuStreamWriteValue64 != NULL, driver.cuMemPoolCreate != NULL);
  else
    printf("%s", cuframes_last_error());
  cf_cuda_driver_unload(&driver);
  return 0;
}

/* Starts it with these variables ("NAME=VALUE", NULL at the end) and the driver in that directory. */
static const char *loaded_with(const char *directory, const char *const *variables) {
  static char said[1024];
  int ends[2];
  CHECK(pipe(ends) == 0);
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    setenv("LD_LIBRARY_PATH", directory, 1);
    for (; *variables; variables++)
      putenv((char *)(uintptr_t)*variables); /* it does not write there */
    execl("/proc/self/exe", "cuda_driver", "load", (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  size_t length = 0;
  for (ssize_t got; (got = read(ends[0], said + length, sizeof said - 1 - length)) > 0;)
    length += (size_t)got;
  said[length] = '\0';
  close(ends[0]);
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return said;
}

#define LOADED(directory, ...) loaded_with((directory), (const char *const[]){ __VA_ARGS__, NULL })
#define NOTHING "CUDA_STANDIN_DEVICES=1"

static const char *standin(const char *name) {
  static char path[512];
  const char *base = getenv("CUDA_STANDINS");
  CHECK(base != NULL);
  snprintf(path, sizeof path, "%s/%s", base, name);
  return path;
}

static void says(const char *said, int code, const char *text) {
  char *end;
  long got = strtol(said, &end, 10);
  if (got != code || !strstr(end, text))
    print_error("it said: %s\n", said);
  CHECK(got == code);
  CHECK(strstr(end, text) != NULL);
}

static void a_driver(void **state) {
  (void)state;
  says(LOADED(standin("standin"), NOTHING), CUFRAMES_OK, "version 13000 proc 1 write 1 pool 1");
}

static void a_driver_before_proc_address(void **state) {
  (void)state;
  says(LOADED(standin("standin_old"), "CUDA_STANDIN_VERSION=11040"), CUFRAMES_OK,
       "version 11040 proc 0 write 0 pool 1");
}

static void what_is_newer_is_optional(void **state) {
  (void)state;
  says(LOADED(standin("standin"), "CUDA_STANDIN_WITHOUT=cuStreamWriteValue64,cuMemPoolCreate"), CUFRAMES_OK,
       "proc 1 write 0 pool 0");
}

static void no_driver(void **state) {
  (void)state;
  const char *path = fixture_path("libcuda.so.1"); /* found first, and no library */
  FILE *file = fopen(path, "we");
  CHECK(file != NULL && fputs("no library", file) >= 0 && fclose(file) == 0);
  says(LOADED(fixture_directory(), NOTHING), CUFRAMES_ERR_UNSUPPORTED, "no CUDA driver: ");
  CHECK(unlink(path) == 0);
}

static void too_old(void **state) {
  (void)state;
  says(LOADED(standin("standin"), "CUDA_STANDIN_VERSION=11030"), CUFRAMES_ERR_UNSUPPORTED,
       "too old: it speaks CUDA 11.3, needed is 11.4");
}

static void functions_missing(void **state) {
  (void)state;
  says(LOADED(standin("standin"), "CUDA_STANDIN_WITHOUT=cuMemCreate,cuStreamCreate"), CUFRAMES_ERR_UNSUPPORTED,
       "the CUDA driver (CUDA 13.0) lacks: cuStreamCreate cuMemCreate");
}

static void no_device(void **state) {
  (void)state;
  says(LOADED(standin("standin"), "CUDA_STANDIN_DEVICES=0"), CUFRAMES_ERR_DEVICE, "finds no device");
  says(LOADED(standin("standin"), "CUDA_VISIBLE_DEVICES=7"), CUFRAMES_ERR_DEVICE, "finds no device");
}

static void it_does_not_start(void **state) {
  (void)state;
  says(LOADED(standin("standin"), "CUDA_STANDIN_FAIL=cuInit:1:999"), CUFRAMES_ERR_DEVICE,
       "does not start: CUDA_ERROR_UNKNOWN");
  says(LOADED(standin("standin"), "CUDA_STANDIN_FAIL=cuDriverGetVersion:1:3"), CUFRAMES_ERR_UNSUPPORTED,
       "does not say its version: error 3");
  says(LOADED(standin("standin"), "CUDA_STANDIN_FAIL=cuGetProcAddress:1:999"), CUFRAMES_ERR_UNSUPPORTED,
       "lacks: cuInit");
}

/* Codes and texts, with a driver that is only these two functions. */
static cu_result name_of(cu_result result, const char **name) {
  *name = result == CUDA_ERROR_NOT_SUPPORTED ? "CUDA_ERROR_NOT_SUPPORTED" : NULL;
  return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static cu_result text_of(cu_result result, const char **text) {
  *text = "a text";
  return result == CUDA_ERROR_NOT_SUPPORTED ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static void results(void **state) {
  (void)state;
  cf_cuda_driver driver = { .cuGetErrorName = name_of, .cuGetErrorString = text_of };
  CHECK(cf_cuda_check(&driver, CUDA_SUCCESS, "nothing") == CUFRAMES_OK);
  CHECK(cf_cuda_check(&driver, CUDA_ERROR_NOT_SUPPORTED, "call %d", 7) == CUFRAMES_ERR_UNSUPPORTED);
  detail_names("call 7: CUDA_ERROR_NOT_SUPPORTED (a text)");
  CHECK(cf_cuda_check(&driver, CUDA_ERROR_OUT_OF_MEMORY, "x") == CUFRAMES_ERR_NO_MEMORY);
  CHECK(cf_cuda_check(&driver, 12345, "x") == CUFRAMES_ERR_DEVICE);
  detail_names("error 12345");
  CHECK(cf_cuda_is_sticky(CUDA_ERROR_ILLEGAL_ADDRESS) && cf_cuda_is_sticky(CUDA_ERROR_LAUNCH_FAILED));
  CHECK(!cf_cuda_is_sticky(CUDA_SUCCESS) && !cf_cuda_is_sticky(CUDA_ERROR_OUT_OF_MEMORY));
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "load") == 0)
    return load_and_say();
  const struct CMUnitTest tests[] = {
    FIXTURE(a_driver),
    FIXTURE(a_driver_before_proc_address),
    FIXTURE(what_is_newer_is_optional),
    FIXTURE(no_driver),
    FIXTURE(too_old),
    FIXTURE(functions_missing),
    FIXTURE(no_device),
    FIXTURE(it_does_not_start),
    FIXTURE(results),
  };
  return FIXTURE_RUN("driver", tests);
}
