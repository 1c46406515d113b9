/* test_device.c - what every device must be able to do, run over the one that CUFRAMES_TEST_DEVICE names: host, cuda or
 * cuda-legacy.
 *
 * Importers are programs of their own (this one, started anew): a GPU's driver does not survive a fork. They are told
 * the segment over the line of support/child.h and answer with a checksum of what they see.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/device.h"
#include "link/channel.h"
#include "support/child.h"
#include "support/fixture.h"

static const struct kind {
  const char *name, *device;
  bool legacy; /* handles, not descriptors: importers can write, and live in other processes */
  bool cpu;    /* addresses are the CPU's to use */
} kinds[] = {
  { "host", "host", false, true },
  { "cuda", "cuda", false, false },
  { "cuda-legacy", "cuda", true, false },
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static int open_named(const char *name, cf_device **device) {
  return cf_device_open(&(cf_device_request){ .name = name }, device);
}

static cf_device *device_open(const struct kind *kind) {
  cf_device *device = NULL;
  CHECK_OK(cf_device_open(&(cf_device_request){ .name = kind->device, .legacy = kind->legacy }, &device));
  CHECK(device != NULL);
  return device;
}

/* By a descriptor alone. */
static int segment_import(cf_device *device, int fd, uint64_t bytes, cf_device_segment *segment) {
  return device->ops->segment_import(device, &(cf_device_export){ .fd = fd, .bytes = bytes, .whole = bytes }, segment);
}

/* Pictures go in and out in rows; this is a row of everything. */
static void read_all(cf_device *device, const cf_device_segment *segment, uint64_t bytes, void *to) {
  CHECK_OK(device->ops->copy_to_host(device, (cf_rows){ to, bytes }, (cf_rows){ segment->address, bytes }, bytes, 1));
}

static void write_all(cf_device *device, const cf_device_segment *segment, uint64_t bytes, const void *from) {
  CHECK_OK(device->ops->copy_from_host(device, (cf_rows){ segment->address, bytes }, (cf_rows){ (void *)from, bytes },
                                       bytes, 1));
}

static uint64_t words_of(uint64_t bytes) {
  return (bytes + 7) / 8;
}

/* Of whole words: what is not in use of the last one is zero. */
static uint64_t checksum(const uint64_t *data, uint64_t bytes) {
  uint64_t sum = 14695981039346656037u;
  for (uint64_t i = 0; i < words_of(bytes); i++)
    sum = (sum ^ data[i]) * 1099511628211u;
  return sum;
}

static uint64_t checksum_of(cf_device *device, const cf_device_segment *segment, uint64_t bytes) {
  uint64_t *data = calloc(words_of(bytes), 8);
  CHECK(data != NULL);
  read_all(device, segment, bytes, data);
  uint64_t sum = checksum(data, bytes);
  free(data);
  return sum;
}

/* ---- the other process ---- */

enum order { LOOK = 1, WRITE = 2, LEAVE = 3 };

/* Imports what it is sent and obeys. */
static int importer_main(const char *kind_number, const char *line) {
  const struct kind *kind = &kinds[atoi(kind_number)];
  int fd = atoi(line);
  cf_device *device = device_open(kind);
  cf_device_segment segment = { .exported = { .fd = -1 } };
  cf_fds fds;
  cf_device_export from;
  size_t length = 0;
  CHECK_OK(cf_receive_by(fd, cuframes_now() + patience(), NULL, &from, sizeof from, &length, &fds));
  CHECK(length == sizeof from && fds.count == (kind->legacy ? 0 : 1));
  uint64_t bytes = from.bytes;
  from.fd = fds.count ? fds.fd[0] : -1;
  CHECK_OK(device->ops->segment_import(device, &from, &segment));
  CHECK(segment.exported.fd == -1 && segment.bytes >= bytes && segment.address != NULL);
  cf_fds_close(&fds); /* not needed any more */
  for (;;) {
    switch (hear(fd)) {
      case LOOK: say(fd, checksum_of(device, &segment, bytes)); break;
      case WRITE:
        if (!kind->cpu) {
          uint8_t byte = 1;
          say(fd,
              device->ops->copy_from_host(device, (cf_rows){ segment.address, 1 }, (cf_rows){ &byte, 1 }, 1, 1) == 0);
          break;
        }
        (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would have it */
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
        *(volatile uint8_t *)segment.address = 1;
        say(fd, 1);
        break;
      default:
        device->ops->segment_destroy(device, &segment);
        cf_device_close(device);
        return 0;
    }
  }
}

static void become_importer(int test, void *kind_number) {
  char line[16];
  snprintf(line, sizeof line, "%d", test);
  CHECK(fcntl(test, F_SETFD, 0) == 0);
  execl("/proc/self/exe", "importer", "--import", (const char *)kind_number, line, NULL);
  CHECK(!"execl");
}

static child *importer_start(const struct kind *kind, const cf_device_segment *segment) {
  char number[16];
  snprintf(number, sizeof number, "%d", (int)(kind - kinds));
  child *importer = child_start(become_importer, number);
  CHECK_OK(
      cf_send(importer->fd, &segment->exported, sizeof segment->exported, &segment->exported.fd, kind->legacy ? 0 : 1));
  return importer;
}

static uint64_t importer_asked(child *importer, enum order order) {
  say(importer->fd, order);
  return hear(importer->fd);
}

static void importer_end(child *importer) {
  say(importer->fd, LEAVE);
  child_finish(importer);
}

/* ---- names ---- */

static void a_device_says_what_it_is(void **state) {
  const struct kind *kind = *state;
  cf_device *device = device_open(kind);
  assert_int_equal(strncmp(device->name, device->ops->kind, strlen(device->ops->kind)), 0);
  assert_true(device->reason[0] != '\0');
  assert_true(device->pitch_align > 0 && (device->pitch_align & (device->pitch_align - 1)) == 0);
  assert_true(device->slot_align > 0 && (device->slot_align & (device->slot_align - 1)) == 0);
  cf_device *again = NULL, *best = NULL;
  CHECK_OK(open_named(device->name, &again)); /* as a subscriber does */
  assert_string_equal(again->name, device->name);
  CHECK_OK(open_named("auto", &best));
  cf_device_close(best);
  CHECK_OK(open_named(NULL, &best));
  cf_device_close(best);
  cf_device_close(again);
  cf_device_close(device);
  cf_device_close(NULL);
}

static void unknown_names_are_refused(void **state) {
  (void)state;
  static const char *const names[] = { "",        ":",         "hos",       "hosts",  "host:", "host:0",
                                       "HOST",    " host",     "nonsense",  "auto:1", "cuda:", "cuda:x",
                                       "cuda:-1", "cuda:9999", "cuda:GPU-", "CUDA",   "cuda0", "cuda:0:0" };
  char endless[5000];
  memset(endless, 'x', sizeof endless - 1);
  endless[sizeof endless - 1] = '\0';
  cf_device *none = NULL;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    CHECK_RESULT(open_named(names[i], &none), CUFRAMES_ERR_UNSUPPORTED);
  CHECK_RESULT(open_named(endless, &none), CUFRAMES_ERR_UNSUPPORTED);
  assert_null(none);
}

/* ---- segments ---- */

static void segments_of_all_sizes_arrive(void **state) {
  const struct kind *kind = *state;
  static const uint64_t sizes[] = { 1, 2, 4095, 4096, 4097, 65537, 3 << 20, 64 << 20 };
  cf_device *device = device_open(kind);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    cf_device_segment segment = { .exported = { .fd = -1 } };
    CHECK_OK(device->ops->segment_create(device, sizes[i], &segment));
    assert_true(segment.bytes >= sizes[i] && segment.address);
    if (!kind->legacy)
      assert_true(fcntl(segment.exported.fd, F_GETFD) & FD_CLOEXEC);
    uint64_t *data = malloc(words_of(segment.bytes) * 8);
    assert_non_null(data);
    data[words_of(segment.bytes) - 1] = 0;
    read_all(device, &segment, segment.bytes, data);
    for (uint64_t k = 0; k < words_of(segment.bytes); k++)
      if (data[k] != 0)
        fail_msg("word %d of a new segment of %d bytes is not zero", (int)k, (int)sizes[i]);
    child *importer = importer_start(kind, &segment);
    assert_int_equal(importer_asked(importer, LOOK), checksum(data, segment.bytes));
    for (uint64_t k = 0; k < segment.bytes / 8; k++)
      data[k] = (k + 1) * 0x9e3779b97f4a7c15u + i;
    write_all(device, &segment, segment.bytes, data);
    assert_int_equal(importer_asked(importer, LOOK),
                     checksum(data, segment.bytes)); /* the same memory, no copy of it */
    importer_end(importer);
    free(data);
    device->ops->segment_destroy(device, &segment);
  }
  cf_device_close(device);
}

static void impossible_sizes_are_refused(void **state) {
  const struct kind *kind = *state;
  static const uint64_t sizes[] = { 0, UINT64_C(1) << 60, INT64_MAX, UINT64_MAX - 4096, UINT64_MAX };
  cf_device *device = device_open(kind);
  int descriptors = fixture_descriptors();
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    cf_device_segment segment = { .bytes = 77, .exported = { .fd = -77 } };
    CHECK_RESULT(device->ops->segment_create(device, sizes[i], &segment), CUFRAMES_ERR_NO_MEMORY);
    assert_true(segment.bytes == 77 && segment.exported.fd == -77 && !segment.address);
  }
  assert_int_equal(fixture_descriptors(), descriptors);
  cf_device_close(device);
}

static void an_importer_cannot_write(void **state) {
  const struct kind *kind = *state;
  if (kind->legacy)
    return; /* it can: docs/gpu.md says so */
  cf_device *device = device_open(kind);
  cf_device_segment segment;
  CHECK_OK(device->ops->segment_create(device, 4096, &segment));
  uint64_t before = checksum_of(device, &segment, segment.bytes);
  child *importer = importer_start(kind, &segment);
  assert_int_equal(importer_asked(importer, LOOK), before);
  if (kind->cpu) {
    say(importer->fd, WRITE);
    int status = child_status(importer);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  } else {
    assert_int_equal(importer_asked(importer, WRITE), 0);
    importer_end(importer);
  }
  assert_int_equal(checksum_of(device, &segment, segment.bytes), before);
  device->ops->segment_destroy(device, &segment);
  cf_device_close(device);
}

static void memory_lives_as_long_as_somebody_maps_it(void **state) {
  const struct kind *kind = *state;
  cf_device *device = device_open(kind);
  cf_device_segment segment;
  uint8_t data[5000];
  CHECK_OK(device->ops->segment_create(device, sizeof data, &segment));
  for (size_t i = 0; i < sizeof data; i++)
    data[i] = (uint8_t)(i * 3 + 1);
  write_all(device, &segment, sizeof data, data);
  uint64_t sum = checksum_of(device, &segment, segment.bytes);
  child *importer[2] = { importer_start(kind, &segment), importer_start(kind, &segment) };
  for (int i = 0; i < 2; i++)
    assert_int_equal(importer_asked(importer[i], LOOK), sum);
  device->ops->segment_destroy(device, &segment);
  assert_int_equal(segment.exported.fd, -1);
  cf_device_close(device);
  child_kill(importer[1]);
  assert_int_equal(importer_asked(importer[0], LOOK), sum);
  importer_end(importer[0]);
}

static int memory(uint64_t bytes, int seals) {
  int fd = memfd_create("wrong", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

static void wrong_descriptors_are_refused(void **state) {
  const struct kind *kind = *state;
  if (kind->legacy)
    return;
  cf_device *device = device_open(kind);
  int descriptors = fixture_descriptors(), mappings = fixture_mappings();
  cf_device_segment imported = { .bytes = 77, .exported = { .fd = -77 } };
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  const int wrong[] = {
    ends[0],
    ends[1],
    open("/dev/zero", O_RDWR | O_CLOEXEC),
    open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
    open("/", O_RDONLY | O_CLOEXEC),
    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
    memory(8192, 0),
    memory(8192, seals & ~F_SEAL_SHRINK),
    memory(8192, seals & ~F_SEAL_GROW),
    memory(8192, seals & ~F_SEAL_FUTURE_WRITE),
    memory(4096, seals), /* shorter than said */
    memory(0, seals),
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_true(wrong[i] >= 0);
    CHECK_RESULT(segment_import(device, wrong[i], 8192, &imported), CUFRAMES_ERR_PROTOCOL);
    assert_int_equal(fcntl(wrong[i], F_GETFD), FD_CLOEXEC); /* it stays the caller's */
    close(wrong[i]);
  }
  assert_true(segment_import(device, -1, 4096, &imported) < 0);
  cf_device_segment segment;
  CHECK_OK(device->ops->segment_create(device, 4096, &segment));
  const uint64_t sizes[] = { 0, segment.bytes + 1, segment.bytes * 2, INT64_MAX, UINT64_MAX };
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    CHECK_RESULT(segment_import(device, segment.exported.fd, sizes[i], &imported), CUFRAMES_ERR_PROTOCOL);
  assert_true(imported.bytes == 77 && imported.exported.fd == -77 && !imported.address);
  device->ops->segment_destroy(device, &segment);
  assert_int_equal(fixture_descriptors(), descriptors);
  assert_int_equal(fixture_mappings(), mappings);
  cf_device_close(device);
}

static void two_hundred_cycles_leave_nothing(void **state) {
  const struct kind *kind = *state;
  if (kind->legacy)
    return; /* no process opens a handle of its own */
  cf_device *device = NULL;
  int descriptors = 0, mappings = 0;
  for (int i = 0; i < 200; i++) {
    cf_device_segment made, imported;
    if (i % 20 == 0) {
      cf_device_close(device);
      device = device_open(kind);
    }
    CHECK_OK(device->ops->segment_create(device, 1 + (uint64_t)i * 1000, &made));
    CHECK_OK(segment_import(device, made.exported.fd, made.bytes, &imported));
    write_all(device, &made, 1, "x");
    if (i % 2)
      device->ops->segment_destroy(device, &made);
    assert_int_equal(checksum_of(device, &imported, 1), checksum(&(uint64_t){ 'x' }, 1));
    device->ops->segment_destroy(device, &imported);
    if (i % 2 == 0)
      device->ops->segment_destroy(device, &made);
    if (i == 0) { /* what a driver opens once is its own */
      descriptors = fixture_descriptors();
      mappings = fixture_mappings();
    }
  }
  assert_int_equal(fixture_descriptors(), descriptors);
  assert_int_equal(fixture_mappings(), mappings);
  cf_device_close(device);
}

/* ---- rows ---- */

enum { ROWS_MOST = 9, PITCH_MOST = 700, ROOM = (ROWS_MOST + 1) * PITCH_MOST };

/* Copies rows in and out again; nothing beside them may change on either side. */
static void rows_go_both_ways(void **state) {
  const struct kind *kind = *state;
  static const struct {
    size_t row_bytes, host_pitch, device_pitch, back_pitch, at; /* at: where they start on the device */
    uint32_t rows;
  } copies[] = {
    { 1, 1, 1, 1, 0, 1 },          { 1, 3, 5, 2, 7, 9 },          { 64, 64, 64, 64, 0, 9 },
    { 63, 63, 64, 63, 1, 9 },      { 641, 641, 641, 700, 13, 5 }, { 641, 700, 641, 641, 0, 8 },
    { 100, 641, 333, 101, 64, 9 }, { 7, 7, 512, 7, 4096, 3 },     { 0, 5, 5, 5, 0, 3 },
    { 50, 60, 60, 60, 0, 0 },      { 699, 699, 700, 699, 2, 9 },
  };
  cf_device *device = device_open(kind);
  cf_device_segment segment;
  uint8_t *host = malloc(ROOM), *whole = malloc(ROOM), *back = malloc(ROOM);
  assert_true(host && whole && back);
  CHECK_OK(device->ops->segment_create(device, ROOM, &segment));
  for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
    size_t row_bytes = copies[i].row_bytes, pitch = copies[i].device_pitch, at = copies[i].at;
    for (size_t k = 0; k < ROOM; k++)
      host[k] = (uint8_t)(k * 11 + (k >> 8) + i + 1);
    memset(whole, 0xee, ROOM);
    write_all(device, &segment, ROOM, whole);
    uint8_t *there = (uint8_t *)segment.address + at;
    CHECK_OK(device->ops->copy_from_host(device, (cf_rows){ there, pitch }, (cf_rows){ host, copies[i].host_pitch },
                                         row_bytes, copies[i].rows));
    read_all(device, &segment, ROOM, whole);
    for (size_t k = 0; k < ROOM; k++) {
      size_t y = k < at ? copies[i].rows : (k - at) / pitch, x = k < at ? 0 : (k - at) % pitch;
      bool copied = y < copies[i].rows && x < row_bytes;
      if (whole[k] != (copied ? host[y * copies[i].host_pitch + x] : 0xee))
        fail_msg("copy %d: byte %d on the device is wrong", (int)i, (int)k);
    }
    memset(back, 0xdd, ROOM);
    CHECK_OK(device->ops->copy_to_host(device, (cf_rows){ back, copies[i].back_pitch }, (cf_rows){ there, pitch },
                                       row_bytes, copies[i].rows));
    for (size_t k = 0; k < ROOM; k++) {
      size_t y = k / copies[i].back_pitch, x = k % copies[i].back_pitch;
      bool copied = y < copies[i].rows && x < row_bytes;
      if (back[k] != (copied ? host[y * copies[i].host_pitch + x] : 0xdd))
        fail_msg("copy %d: byte %d back in host memory is wrong", (int)i, (int)k);
    }
  }
  device->ops->segment_destroy(device, &segment);
  cf_device_close(device);
  free(host);
  free(whole);
  free(back);
}

/* ---- every test with every device ---- */

#define OVER(test)                                                                                                     \
  { #test, test }
static const struct {
  const char *name;
  CMUnitTestFunction run;
} suite[] = {
  OVER(a_device_says_what_it_is),
  OVER(unknown_names_are_refused),
  OVER(segments_of_all_sizes_arrive),
  OVER(impossible_sizes_are_refused),
  OVER(an_importer_cannot_write),
  OVER(memory_lives_as_long_as_somebody_maps_it),
  OVER(wrong_descriptors_are_refused),
  OVER(two_hundred_cycles_leave_nothing),
  OVER(rows_go_both_ways),
};
#define TESTS (sizeof suite / sizeof suite[0])

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--import") == 0)
    return importer_main(argv[2], argv[3]);
  const char *wanted = getenv("CUFRAMES_TEST_DEVICE");
  const struct kind *kind = kinds;
  for (size_t i = 0; wanted && i < KINDS; i++)
    if (strcmp(kinds[i].name, wanted) == 0)
      kind = &kinds[i];
  cf_device *warm = NULL; /* what a driver opens once, it keeps */
  if (!kind->cpu && open_named(kind->device, &warm) != CUFRAMES_OK) {
    printf("skipped: %s\n", cuframes_last_error());
    return 77;
  }
  static struct CMUnitTest tests[TESTS];
  static char names[TESTS][80];
  for (size_t i = 0; i < TESTS; i++) {
    snprintf(names[i], sizeof names[i], "%s: %s", kind->name, suite[i].name);
    tests[i] = (struct CMUnitTest){ .name = names[i],
                                    .test_func = suite[i].run,
                                    .setup_func = fixture_begin,
                                    .teardown_func = fixture_end,
                                    .initial_state = (void *)kind };
  }
  int failed = FIXTURE_RUN("device", tests);
  cf_device_close(warm);
  return failed;
}
