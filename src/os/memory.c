/* os/memory.c - anonymous shared memory with seals. */
#include "os/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cuframes/common.h>

#include "os/clock.h"
#include "os/error.h"
#include "os/futex.h"
#include "os/memory_limit.h"
#include "os/process.h"

#define PAGE UINT64_C(4096)

#ifndef MADV_POPULATE_WRITE /* glibc has it since 2.35 */
#define MADV_POPULATE_WRITE 23
#endif

static int seals_of(enum cf_seal seal) {
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  /* FUTURE_WRITE also stops a reopen through /proc, which an O_RDONLY descriptor would not */
  return seal == CF_SEAL_PUBLIC ? seals | F_SEAL_FUTURE_WRITE : seals;
}

#define LINE ((size_t)64)

void *cf_memory_lines(size_t bytes) {
  bytes = (bytes + LINE - 1) / LINE * LINE;
  void *memory = aligned_alloc(LINE, bytes);
  return memory ? memset(memory, 0, bytes) : NULL;
}

uint64_t cf_page_round(uint64_t bytes) {
  return (bytes + PAGE - 1) & ~(PAGE - 1);
}

void cf_close(int fd) {
  int error = errno;
  if (fd >= 0 && !cf_private_close(fd))
    (void)close(fd); /* nothing was written through it that could be lost */
  errno = error;
}

/* A line of /proc/meminfo in bytes, 0 if it is not there. */
static uint64_t meminfo(const char *text, const char *line) {
  const char *found = strstr(text, line);
  return found ? strtoull(found + strlen(line), NULL, 10) * 1024 : 0;
}

/* Rounded so that what was asked for is not said to be there. */
static uint64_t mib(uint64_t bytes, bool up) {
  return (bytes + (up ? (UINT64_C(1) << 20) - 1 : 0)) >> 20;
}

/* Looking takes some 200 us, and each join asks for a page or two: so little is taken off what was left at the last
 * look, for a while. */
#define LITTLE (UINT64_C(1) << 20)
#define LOOK_LASTS CF_SECOND
static cf_counter looked_at, left;

static bool is_little(uint64_t bytes) {
  uint64_t then = cf_counter_get(&looked_at), now = (uint64_t)cf_now();
  if (bytes >= LITTLE || then == 0 || now - then > (uint64_t)LOOK_LASTS || cf_counter_get(&left) < LITTLE)
    return false;
  cf_counter_add(&left, -bytes);
  return true;
}

/* Whether machine and control group can give so much. They do not refuse by themselves: reserving takes page by page
 * until the kernel kills somebody for memory; for a machine's that is seldom us, for a group's it is. */
static int memory_ask(uint64_t bytes, const char *name) {
  char text[4096];
  if (is_little(bytes))
    return CUFRAMES_OK;
  int file = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
  cf_close(file);
  text[length > 0 ? length : 0] = '\0';
  uint64_t available = meminfo(text, "MemAvailable:") + meminfo(text, "SwapFree:");
  if (available == 0) /* nobody tells us */
    available = UINT64_MAX;
  if (bytes > available)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY,
                   "cannot allocate %" PRIu64 " MiB of shared memory for %s: %" PRIu64 " MiB are available",
                   mib(bytes, true), name, mib(available, false));
  cf_memory_room room = cf_memory_limit("");
  if (bytes > room.bytes)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY,
                   "cannot allocate %" PRIu64 " MiB of shared memory for %s: %" PRIu64 " MiB are left of the %" PRIu64
                   " MiB that the control group may have: raise its memory limit",
                   mib(bytes, true), name, mib(room.bytes, false), mib(room.limit, false));
  cf_counter_set(&left, (available < room.bytes ? available : room.bytes) - bytes);
  cf_counter_set(&looked_at, (uint64_t)cf_now());
  return CUFRAMES_OK;
}

/* Beyond the limit of files, which counts for memory, too, the kernel sends SIGXFSZ, and a program ends that does not
 * expect it: it is no error for us to see. */
static int limit_check(uint64_t bytes, const char *name) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || bytes <= limit.rlim_cur)
    return CUFRAMES_OK;
  return cf_fail(CUFRAMES_ERR_NO_MEMORY,
                 "cannot allocate %" PRIu64 " bytes of shared memory for %s: the limit of file sizes is %" PRIu64
                 " bytes; raise it (ulimit -f)",
                 bytes, name, (uint64_t)limit.rlim_cur);
}

/* An errno. */
static int reserve(int fd, uint64_t from, uint64_t bytes) {
  int error;
  do
    error = posix_fallocate(fd, (off_t)from, (off_t)bytes);
  while (error == EINTR); /* the program's signals */
  return error;
}

int cf_memory_reserve(const char *name, int fd, uint64_t now, uint64_t bytes) {
  int result = bytes > now ? memory_ask(bytes - now, name) : CUFRAMES_OK;
  if (result != CUFRAMES_OK || bytes <= now)
    return result;
  errno = reserve(fd, now, bytes - now);
  return errno == 0 ? CUFRAMES_OK
                    : cf_fail_errno("allocating %" PRIu64 " bytes of sealed shared memory for %s", bytes, name);
}

int cf_memory_create_sparse(const char *name, uint64_t bytes, uint64_t now, enum cf_seal seal, int *fd,
                            void **address) {
  if (bytes == 0 || bytes > INT64_MAX)
    return cf_fail(CUFRAMES_ERR_NO_MEMORY, "cannot allocate %" PRIu64 " bytes of shared memory for %s", bytes, name);
  int result = memory_ask(now, name);
  if (result == CUFRAMES_OK)
    result = limit_check(bytes, name);
  if (result != CUFRAMES_OK)
    return result;
  int memory = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0)
    return cf_fail_errno("memfd_create for %s", name);
  void *mapped = MAP_FAILED;
  if (ftruncate(memory, (off_t)bytes) != 0)
    goto failed;
  int error = reserve(memory, 0, now);
  if (error != 0) {
    errno = error;
    goto failed;
  }
  mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (mapped == MAP_FAILED || fcntl(memory, F_ADD_SEALS, seals_of(seal)) != 0)
    goto failed;
  *fd = memory;
  *address = mapped;
  return CUFRAMES_OK;
failed:
  result = cf_fail_errno("allocating %" PRIu64 " bytes of sealed shared memory for %s", bytes, name);
  if (mapped != MAP_FAILED)
    (void)munmap(mapped, bytes); /* our own mapping: cannot fail */
  cf_close(memory);
  return result;
}

int cf_memory_create(const char *name, uint64_t bytes, enum cf_seal seal, int *fd, void **address) {
  return cf_memory_create_sparse(name, bytes, bytes, seal, fd, address);
}

void cf_memory_touch(void *address, uint64_t bytes) {
  (void)madvise(address, bytes, MADV_POPULATE_WRITE); /* before Linux 5.14 each page waits for its first use, as ever */
}

int cf_memory_map(int fd, uint64_t bytes, enum cf_seal seal, void **address) {
  struct stat status;
  /* before fstat(), which a file system of the peer's making could keep waiting; what has seals is memory */
  int wanted = seals_of(seal), seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & wanted) != wanted)
    return cf_fail(CUFRAMES_ERR_PROTOCOL,
                   "the peer's shared memory is not sealed as it must be (seals 0x%x, expected 0x%x)",
                   seals < 0 ? 0u : (unsigned)seals, (unsigned)wanted);
  if (fstat(fd, &status) != 0)
    return cf_fail_errno("fstat of a peer's memory");
  if (bytes == 0 || status.st_size < 0 || (uint64_t)status.st_size < bytes)
    return cf_fail(CUFRAMES_ERR_PROTOCOL, "the peer promised %" PRIu64 " bytes of shared memory and sent %" PRId64,
                   bytes, (int64_t)status.st_size);
  int protection = seal == CF_SEAL_PUBLIC ? PROT_READ : PROT_READ | PROT_WRITE;
  void *mapped = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED)
    return cf_fail_errno("mapping %" PRIu64 " bytes of a peer's memory", bytes);
  *address = mapped;
  return CUFRAMES_OK;
}

void cf_memory_unmap(void *address, uint64_t bytes) {
  if (address)
    (void)munmap(address, bytes); /* our own mapping: cannot fail */
}
