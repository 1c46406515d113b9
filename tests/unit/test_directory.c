/* test_directory.c - the runtime directory and its locks when the system says no, and when somebody is quicker: every
 * failure has its code and its words, outputs stay as they were, and no descriptor and no file is left. What other
 * users do to it for real is in tests/api/test_directory.c and test_directory_tricks.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link/directory.h"
#include "support/failing_calls.h"
#include "support/fixture.h"

#define US 4711 /* who we are when things are not ours */

FAILING(int, faccessat, (int directory, const char *path, int mode, int flags), (directory, path, mode, flags))
FAILING(int, mkdir, (const char *path, mode_t mode), (path, mode))
FAILING(int, unlinkat, (int directory, const char *path, int flags), (directory, path, flags))

static struct {
  bool run_cuframes;    /* /run/cuframes is there for us */
  bool roots;           /* we are user US, and all is root's */
  bool elsewhere;       /* the next look by name finds it on another disk */
  int locks;            /* that were got */
  void (*locked)(void); /* runs when the next lock is got, and before it is looked whose it is */
} forged;

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode) {
  return forged.run_cuframes && strcmp(path, "/run/cuframes") == 0 ? 0 : __real_access(path, mode);
}

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void) {
  return forged.roots ? US : __real_geteuid();
}

static int owned(int result, struct stat *status) {
  if (result == 0 && forged.roots)
    status->st_uid = 0;
  return result;
}

int __real_lstat(const char *path, struct stat *status);
int __wrap_lstat(const char *path, struct stat *status);
int __wrap_lstat(const char *path, struct stat *status) {
  return owned(__real_lstat(path, status), status);
}

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status) {
  return call_fails("fstat", CALL_OTHER, 0) ? -1 : owned(__real_fstat(fd, status), status);
}

int __real_fstatat(int directory, const char *path, struct stat *status, int flags);
int __wrap_fstatat(int directory, const char *path, struct stat *status, int flags);
int __wrap_fstatat(int directory, const char *path, struct stat *status, int flags) {
  int result = __real_fstatat(directory, path, status, flags);
  if (forged.elsewhere)
    status->st_dev++;
  forged.elsewhere = false;
  return result;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  return call_fails("open", CALL_OTHER, 0) ? -1
                                           : __real_open(path, flags, 0600); /* nobody looks at it without O_CREAT */
}

int __real_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...) {
  const char *ending = strrchr(path, '.'); /* a lock, or a step on the way to the directory */
  const char *kind = ending && strcmp(ending, ".lock") == 0 ? "openat" : "openat, of a directory";
  return call_fails(kind, CALL_OTHER, 0) ? -1 : __real_openat(directory, path, flags, 0600);
}

int __real_flock(int fd, int what);
int __wrap_flock(int fd, int what);
int __wrap_flock(int fd, int what) {
  if (call_fails("flock", CALL_OTHER, 0))
    return -1;
  int result = __real_flock(fd, what);
  void (*locked)(void) = forged.locked;
  forged.locks += result == 0;
  forged.locked = NULL;
  if (locked)
    locked();
  return result;
}

static int begin(void **state) {
  memset(&forged, 0, sizeof forged);
  return fixture_begin(state);
}

static void file_make(const char *path, mode_t mode) {
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0 && fchmod(fd, mode) == 0);
  close(fd);
}

/* ---- which directory ---- */

static void resolves_to(const char *option, const char *expected) {
  char path[CF_PATH_MAX] = "";
  CHECK_OK(cf_directory_resolve(option, path));
  assert_string_equal(path, expected);
}

static void what_is_empty_is_not_said(void **state) {
  (void)state;
  char own[64];
  const char *session = getenv("XDG_RUNTIME_DIR");
  char *session_before = session ? strdup(session) : NULL;
  resolves_to("/a", "/a");
  resolves_to("", fixture_directory());
  setenv("CUFRAMES_DIR", "", 1);
  setenv("XDG_RUNTIME_DIR", "/session", 1);
  forged.run_cuframes = true;
  resolves_to("", "/run/cuframes");
  forged.run_cuframes = false;
  if (access("/run/cuframes", W_OK | X_OK) != 0) {
    resolves_to("", "/session/cuframes");
    setenv("XDG_RUNTIME_DIR", "", 1);
    snprintf(own, sizeof own, "/tmp/cuframes-%u", (unsigned)geteuid());
    resolves_to("", own);
  }
  unsetenv("XDG_RUNTIME_DIR");
  if (session_before)
    setenv("XDG_RUNTIME_DIR", session_before, 1);
  free(session_before);
}

static void paths_that_are_too_long_are_refused(void **state) {
  (void)state;
  char endless[CF_PATH_MAX + 1] = "", name[64] = "", path[CF_PATH_MAX] = "as before";
  cf_claim claim = { .lock = 4711 };
  cf_place place = { .directory = 4711 };
  memset(endless, 'a', sizeof endless - 1);
  CHECK_RESULT(cf_directory_resolve(endless, path), CUFRAMES_ERR_DIRECTORY);
  CHECK_RESULT(cf_claim_take(endless, "s", &claim), CUFRAMES_ERR_DIRECTORY);
  CHECK_RESULT(cf_directory_visit(endless, NULL, NULL), CUFRAMES_ERR_DIRECTORY);
  endless[CF_PATH_MAX - 10] = '\0'; /* fits, but not with a name behind it */
  memset(name, 'n', 60);
  CHECK_RESULT(cf_claim_take(endless, name, &claim), CUFRAMES_ERR_DIRECTORY);
  CHECK_RESULT(cf_place_find(endless, "/", &place), CUFRAMES_ERR_NAME);
  CHECK_RESULT(cf_claim_take(endless, "/", &claim), CUFRAMES_ERR_NAME);
  assert_int_equal(claim.lock, 4711);
  assert_int_equal(place.directory, 4711);
}

/* ---- whose directory ---- */

static int claim_in(const char *directory, cf_claim *claim) {
  int before = fixture_descriptors(), result = cf_claim_take(directory, "s", claim);
  if (result != CUFRAMES_OK)
    assert_int_equal(fixture_descriptors(), before);
  return result;
}

static void what_is_roots_is_trusted(void **state) {
  (void)state;
  cf_claim claim;
  const char *link = fixture_path("link");
  assert_int_equal(mkdir(fixture_path("target"), 0700), 0);
  assert_int_equal(symlink("target", link), 0);
  forged.roots = true;
  CHECK_OK(claim_in(fixture_path("target"), &claim));
  cf_claim_drop(&claim);
  CHECK_OK(claim_in(link, &claim));
  cf_claim_drop(&claim);
  forged.roots = false;
  assert_int_equal(unlink(link), 0);
  assert_int_equal(rmdir(fixture_path("target")), 0);
}

static void a_directory_that_fails_says_why(void **state) {
  (void)state;
  cf_claim claim = { .lock = 4711 };
  failing_next("fstat", EIO, 1);
  CHECK_RESULT(claim_in(NULL, &claim), CUFRAMES_ERR_SYSTEM);
  assert_true(failing_end());
  detail_names(fixture_directory());
  failing_next("openat, of a directory", EACCES, 1);
  CHECK_RESULT(claim_in("/", &claim), CUFRAMES_ERR_DIRECTORY); /* all of its name is slashes */
  assert_true(failing_end());
  failing_next("mkdir", EROFS, 1);
  CHECK_RESULT(claim_in(fixture_path("new"), &claim), CUFRAMES_ERR_DIRECTORY);
  assert_true(failing_end());
  detail_names(strerror(EROFS));
  assert_int_equal(claim.lock, 4711);
  assert_int_equal(fixture_files(), 0);
}

/* ---- locks ---- */

static void a_lock_that_fails_says_why(void **state) {
  (void)state;
  cf_claim claim = { .lock = 4711 };
  failing_next("flock", ENOLCK, 1);
  CHECK_RESULT(claim_in(NULL, &claim), CUFRAMES_ERR_SYSTEM);
  assert_true(failing_end());
  detail_names(strerror(ENOLCK));
  assert_int_equal(unlink(fixture_path("s.lock")), 0);
  failing_next("openat", EACCES, 1);
  CHECK_RESULT(claim_in(NULL, &claim), CUFRAMES_ERR_DIRECTORY); /* there is none, and we may not make one */
  assert_true(failing_end());
  detail_names(strerror(EACCES));
  failing_next("openat", EROFS, 1);
  CHECK_RESULT(claim_in(NULL, &claim), CUFRAMES_ERR_DIRECTORY);
  assert_true(failing_end());
  detail_names(strerror(EROFS));
  file_make(fixture_path("s.lock"), 0600);
  failing_next("openat", EACCES, 1000); /* a stranger's */
  CHECK_RESULT(claim_in(NULL, &claim), CUFRAMES_ERR_NAME_IN_USE);
  assert_false(failing_end());        /* it looked a few times */
  failing_next("unlinkat", EBUSY, 1); /* the socket of one who died */
  CHECK_RESULT(claim_in(NULL, &claim), CUFRAMES_ERR_DIRECTORY);
  assert_true(failing_end());
  detail_names(strerror(EBUSY));
  assert_int_equal(fixture_files(), 0);
  assert_int_equal(claim.lock, 4711);
}

static void remove_it(void) {
  assert_int_equal(unlink(fixture_path("s.lock")), 0);
}

static void replace_it(void) {
  file_make(fixture_path("other"), 0600);
  assert_int_equal(rename(fixture_path("other"), fixture_path("s.lock")), 0);
}

static void mistake_it(void) {
  forged.elsewhere = true;
}

static void lose_it(void) {
  failing_next("fstat", EIO, 1);
}

/* Between opening and locking the file its last owner may have taken it away: then the lock is worth nothing. */
static void a_lock_on_what_has_no_name_any_more_does_not_count(void **state) {
  (void)state;
  static void (*const ways[])(void) = { remove_it, replace_it, mistake_it, lose_it };
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    cf_claim claim;
    struct stat ours, there;
    forged.locked = ways[i];
    forged.locks = 0;
    CHECK_OK(claim_in(NULL, &claim));
    assert_int_equal(forged.locks, 2);
    assert_int_equal(fstat(claim.lock, &ours), 0);
    assert_int_equal(stat(fixture_path("s.lock"), &there), 0);
    assert_int_equal(ours.st_ino, there.st_ino);
    int rival = open(fixture_path("s.lock"), O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(rival, LOCK_EX | LOCK_NB), -1); /* the one that others find is locked */
    close(rival);
    cf_claim_drop(&claim);
    cf_claim_drop(&claim); /* once more does nothing */
    assert_int_equal(fixture_files(), 0);
  }
}

/* ---- looking around ---- */

static int count(void *user, const cf_place *place, const char *name) {
  assert_true(strstr(place->path, "/s.sock") && fcntl(place->directory, F_GETFD) >= 0);
  assert_string_equal(name, "s");
  ++*(int *)user;
  return CUFRAMES_OK;
}

static void files_that_are_none_of_ours_are_left_alone(void **state) {
  (void)state;
  static const char *const files[] = { "s.lo", ".sock", "empty.lock", "s.lock.d" };
  char long_name[80] = "";
  int names = 0;
  cf_claim claim;
  CHECK_OK(claim_in(NULL, &claim));
  file_make(claim.socket_path, 0600);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    file_make(fixture_path("%s", files[i]), 0644); /* a lock file of ours is 0600 */
  memset(long_name, 'n', CUFRAMES_NAME_MAX + 1);
  file_make(fixture_path("%s.sock", long_name), 0600);
  CHECK_OK(cf_directory_visit(NULL, count, &names));
  assert_int_equal(names, 1);
  cf_claim_drop(&claim);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
    assert_int_equal(unlink(fixture_path("%s", files[i])), 0);
  assert_int_equal(unlink(fixture_path("%s.sock", long_name)), 0);
}

static void a_place_that_cannot_be_looked_at_says_why(void **state) {
  (void)state;
  file_make(fixture_path("file"), 0600);
  CHECK_RESULT(cf_directory_visit(fixture_path("file"), count, NULL), CUFRAMES_ERR_DIRECTORY);
  detail_names(strerror(ENOTDIR));
  CHECK_OK(cf_directory_visit(fixture_path("nowhere"), count, NULL)); /* holds no names */
  assert_int_equal(unlink(fixture_path("file")), 0);
}

#define FORGED(test) cmocka_unit_test_setup_teardown(test, begin, fixture_end)

int main(void) {
  const struct CMUnitTest tests[] = {
    FORGED(what_is_empty_is_not_said),
    FORGED(paths_that_are_too_long_are_refused),
    FORGED(what_is_roots_is_trusted),
    FORGED(a_directory_that_fails_says_why),
    FORGED(a_lock_that_fails_says_why),
    FORGED(a_lock_on_what_has_no_name_any_more_does_not_count),
    FORGED(files_that_are_none_of_ours_are_left_alone),
    FORGED(a_place_that_cannot_be_looked_at_says_why),
  };
  return FIXTURE_RUN("directory", tests);
}
