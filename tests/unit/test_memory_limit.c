/* test_memory_limit.c - what control groups still give, of made-up trees of files: versions 1 and 2 and both, nested,
 * containers, and files that are missing or nonsense.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/memory_limit.h"
#include "support/fixture.h"

#define MIB (UINT64_C(1) << 20)

static const char v2_mount[] = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
static const char v1_mount[] = "30 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                               "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

/* Writes a file of the tree, and the directories that it is in. */
static void put(const char *name, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "%s", fixture_path("root/%s", name));
  for (char *slash = path + strlen(fixture_directory()) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = '\0';
    (void)mkdir(path, 0700);
    *slash = '/';
  }
  FILE *file = fopen(path, "we");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void put_number(const char *directory, const char *name, uint64_t number) {
  char path[256], text[32];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  snprintf(text, sizeof text, "%llu\n", (unsigned long long)number);
  put(path, text);
}

static void remove_tree(void) {
  char command[256];
  snprintf(command, sizeof command, "rm -rf '%s'", fixture_path("root"));
  CHECK(system(command) == 0);
}

static void put_v2(const char *directory, uint64_t limit, uint64_t usage, uint64_t cache) {
  char path[256], text[128];
  if (limit == UINT64_MAX) {
    snprintf(path, sizeof path, "%s/memory.max", directory);
    put(path, "max\n");
  } else {
    put_number(directory, "memory.max", limit);
  }
  put_number(directory, "memory.current", usage);
  snprintf(path, sizeof path, "%s/memory.stat", directory);
  snprintf(text, sizeof text, "anon 17\nworkingset_refault_inactive_file 5\ninactive_file %llu\nactive_file 0\n",
           (unsigned long long)cache);
  put(path, text);
}

static void put_v1(const char *directory, uint64_t limit, uint64_t usage, uint64_t cache) {
  char path[256], text[128];
  put_number(directory, "memory.limit_in_bytes", limit);
  put_number(directory, "memory.usage_in_bytes", usage);
  snprintf(path, sizeof path, "%s/memory.stat", directory);
  snprintf(text, sizeof text, "inactive_file 1\nactive_file 3\ntotal_inactive_file %llu\n", (unsigned long long)cache);
  put(path, text);
}

/* So many MiB are left of so many; the reserve is taken off. */
static void gives(uint64_t bytes, uint64_t limit) {
  cf_memory_room room = cf_memory_limit(fixture_path("root"));
  assert_int_equal(room.bytes, bytes);
  assert_int_equal(room.limit, limit);
}

static void version_2(void **state) {
  (void)state;
  put("proc/self/cgroup", "0::/user.slice/app.scope\n");
  put("proc/self/mountinfo", v2_mount);
  gives(UINT64_MAX, 0); /* no such files, as where the controller is off */
  put_v2("sys/fs/cgroup/user.slice/app.scope", UINT64_MAX, 90 * MIB, 0);
  gives(UINT64_MAX, 0);
  put_v2("sys/fs/cgroup/user.slice/app.scope", 128 * MIB, 100 * MIB, 0);
  gives(24 * MIB, 128 * MIB); /* 4 MiB are kept */
  put_v2("sys/fs/cgroup/user.slice/app.scope", 128 * MIB, 100 * MIB, 50 * MIB);
  gives(74 * MIB, 128 * MIB); /* cache is as good as free */
  put("sys/fs/cgroup/user.slice/app.scope/memory.stat", "inactive_file 0\nactive_file 20971520\n");
  gives(34 * MIB, 128 * MIB); /* and half of what is in use */
  put_v2("sys/fs/cgroup/user.slice/app.scope", 128 * MIB, 127 * MIB, 0);
  gives(0, 128 * MIB); /* only the reserve is left */
  put_v2("sys/fs/cgroup/user.slice/app.scope", 128 * MIB, 150 * MIB, 0);
  gives(0, 128 * MIB);
  put_v2("sys/fs/cgroup/user.slice/app.scope", 8192 * MIB, 1 * MIB, 0);
  gives((8192 - 1 - 64) * MIB, 8192 * MIB); /* a large one keeps no more than this */
  remove_tree();
}

static void the_least_of_all_above(void **state) {
  (void)state;
  put("proc/self/cgroup", "0::/a/b/c\n");
  put("proc/self/mountinfo", v2_mount);
  put_v2("sys/fs/cgroup/a/b/c", 512 * MIB, 10 * MIB, 0);
  put_v2("sys/fs/cgroup/a/b", UINT64_MAX, 20 * MIB, 0);
  put_v2("sys/fs/cgroup/a", 256 * MIB, 200 * MIB, 10 * MIB); /* its other members use most */
  gives(58 * MIB, 256 * MIB);
  put_v2("sys/fs/cgroup/a/b/c", 64 * MIB, 10 * MIB, 0);
  gives(50 * MIB, 64 * MIB);
  put_v2("sys/fs/cgroup", 32 * MIB, 0, 0); /* of a container: what is mounted is no root */
  gives(28 * MIB, 32 * MIB);
  put_v2("sys/fs", 16 * MIB, 0, 0); /* above what is mounted: some other file */
  gives(28 * MIB, 32 * MIB);
  remove_tree();
}

static void version_1(void **state) {
  (void)state;
  put("proc/self/cgroup", "9:name=systemd:/\n5:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/abc\n1:memoryless:/y\n0::/\n");
  put("proc/self/mountinfo", v1_mount);
  put_v1("sys/fs/cgroup/memory/docker/abc", UINT64_C(9223372036854771712), 5 * MIB, 0); /* no limit */
  gives(UINT64_MAX, 0);
  put_v1("sys/fs/cgroup/memory/docker/abc", 128 * MIB, 100 * MIB, 20 * MIB);
  put_v1("sys/fs/cgroup/memory/docker", 100 * MIB, 90 * MIB, 0);
  gives(6 * MIB, 100 * MIB);
  put_v1("sys/fs/cgroup/memory", UINT64_C(9223372036854771712), 500 * MIB, 0);
  gives(6 * MIB, 100 * MIB);
  remove_tree();
}

/* Version 2 for processes, version 1 for memory; and a group in each. */
static void both(void **state) {
  (void)state;
  char mounts[1024];
  put("proc/self/cgroup", "4:memory:/m\n0::/u\n");
  snprintf(mounts, sizeof mounts, "%s%s", v1_mount,
           "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
  put("proc/self/mountinfo", mounts);
  put("sys/fs/cgroup/unified/u/cgroup.procs", "");
  put_v1("sys/fs/cgroup/memory/m", 64 * MIB, 20 * MIB, 0);
  gives(40 * MIB, 64 * MIB);
  put_v2("sys/fs/cgroup/unified/u", 32 * MIB, 20 * MIB, 0);
  gives(8 * MIB, 32 * MIB);
  remove_tree();
}

static void containers(void **state) {
  (void)state;
  /* the host's name, and a mount that begins at it */
  put("proc/self/cgroup", "4:memory:/docker/abc/inner\n");
  put("proc/self/mountinfo", "700 699 0:32 /docker/abc /sys/fs/cgroup/memory\\040of\\040it ro master:17 - cgroup "
                             "cgroup rw,memory\n");
  put_v1("sys/fs/cgroup/memory of it", 100 * MIB, 50 * MIB, 0);
  put_v1("sys/fs/cgroup/memory of it/inner", 200 * MIB, 40 * MIB, 0);
  gives(46 * MIB, 100 * MIB);
  /* a name that is not in what is mounted */
  put("proc/self/cgroup", "4:memory:/kubepods/pod7\n");
  gives(46 * MIB, 100 * MIB);
  /* a name space of groups, that the process has left */
  put("proc/self/cgroup", "4:memory:/../../elsewhere\n");
  gives(46 * MIB, 100 * MIB);
  /* of two mounts, the one that has it */
  put("proc/self/cgroup", "4:memory:/docker/abc\n");
  put("proc/self/mountinfo", "700 699 0:32 /docker/other /other ro - cgroup cgroup rw,memory\n"
                             "701 699 0:32 / /all ro - cgroup cgroup rw,memory\n");
  put_v1("other", 10 * MIB, 0, 0);
  put_v1("all/docker/abc", 100 * MIB, 30 * MIB, 0);
  gives(66 * MIB, 100 * MIB);
  remove_tree();
}

static void what_cannot_be_read_limits_nothing(void **state) {
  (void)state;
  gives(UINT64_MAX, 0);
  put("proc/self/cgroup", "0::/a\n");
  gives(UINT64_MAX, 0);
  put("proc/self/mountinfo", "\n31\n31 23 0:28 - cgroup2\n - cgroup2 x rw\n31 23 0:28 / /sys/fs/cgroup rw\n");
  gives(UINT64_MAX, 0);
  put("proc/self/mountinfo", v2_mount);
  put("sys/fs/cgroup/a/memory.max", "many\n");
  put("sys/fs/cgroup/a/memory.current", "1\n");
  gives(UINT64_MAX, 0);
  put("sys/fs/cgroup/a/memory.max", "134217728\n");
  gives(124 * MIB - 1, 128 * MIB); /* memory.stat is missing: there is no cache */
  put("sys/fs/cgroup/a/memory.current", "");
  gives(UINT64_MAX, 0);
  put("proc/self/cgroup", "nonsense\n::\n0:\n");
  gives(UINT64_MAX, 0);
  remove_tree();
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(version_2),  FIXTURE(the_least_of_all_above),
    FIXTURE(version_1),  FIXTURE(both),
    FIXTURE(containers), FIXTURE(what_cannot_be_read_limits_nothing),
  };
  return FIXTURE_RUN("memory_limit", tests);
}
