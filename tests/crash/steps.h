/* crash/steps.h - what the library's sources are compiled with (-include) to be killed at each of their steps: every
 * atomic operation of src/exchange, every system call and every call of the CUDA driver first tells steps.c where it
 * stands. The sources stay as they are; steps.c counts, and kills the process when its time has come.
 */
#ifndef CRASH_STEPS_H
#define CRASH_STEPS_H

/* All headers that declare what is redefined below: they must not see it. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A place in the library's sources; all of them stand in one section. */
typedef struct crash_site {
  const char *operation, *function, *file;
  long line;
} crash_site;

/* The calling thread is about to do what the site says. Keeps errno. */
void crash_step(const crash_site *site);

#define CRASH_STEP(operation_)                                                                                         \
  __extension__({                                                                                                      \
    static const crash_site crash_here                                                                                 \
        __attribute__((section("crash_sites"), used)) = { operation_, __func__, __FILE__, __LINE__ };                  \
    crash_step(&crash_here);                                                                                           \
  })

#ifndef CRASH_DEVICE /* its table of functions has an open and a close */
#define close(...) (CRASH_STEP("close"), close(__VA_ARGS__))
#define open(...) (CRASH_STEP("open"), open(__VA_ARGS__))
#endif
#define openat(...) (CRASH_STEP("openat"), openat(__VA_ARGS__))
#define mkdir(...) (CRASH_STEP("mkdir"), mkdir(__VA_ARGS__))
#define unlinkat(...) (CRASH_STEP("unlinkat"), unlinkat(__VA_ARGS__))
#define flock(...) (CRASH_STEP("flock"), flock(__VA_ARGS__))
#define fcntl(...) (CRASH_STEP("fcntl"), fcntl(__VA_ARGS__))
#define read(...) (CRASH_STEP("read"), read(__VA_ARGS__))
#define write(...) (CRASH_STEP("write"), write(__VA_ARGS__))
#define chmod(...) (CRASH_STEP("chmod"), chmod(__VA_ARGS__))
#define mmap(...) (CRASH_STEP("mmap"), mmap(__VA_ARGS__))
#define munmap(...) (CRASH_STEP("munmap"), munmap(__VA_ARGS__))
#define memfd_create(...) (CRASH_STEP("memfd_create"), memfd_create(__VA_ARGS__))
#define ftruncate(...) (CRASH_STEP("ftruncate"), ftruncate(__VA_ARGS__))
#define posix_fallocate(...) (CRASH_STEP("posix_fallocate"), posix_fallocate(__VA_ARGS__))
#define socket(...) (CRASH_STEP("socket"), socket(__VA_ARGS__))
#define bind(...) (CRASH_STEP("bind"), bind(__VA_ARGS__))
#define listen(...) (CRASH_STEP("listen"), listen(__VA_ARGS__))
#define accept4(...) (CRASH_STEP("accept4"), accept4(__VA_ARGS__))
#define connect(...) (CRASH_STEP("connect"), connect(__VA_ARGS__))
#define getsockopt(...) (CRASH_STEP("getsockopt"), getsockopt(__VA_ARGS__))
#define sendmsg(...) (CRASH_STEP("sendmsg"), sendmsg(__VA_ARGS__))
#define recvmsg(...) (CRASH_STEP("recvmsg"), recvmsg(__VA_ARGS__))
#define poll(...) (CRASH_STEP("poll"), poll(__VA_ARGS__))
#define epoll_create1(...) (CRASH_STEP("epoll_create1"), epoll_create1(__VA_ARGS__))
#define epoll_ctl(...) (CRASH_STEP("epoll_ctl"), epoll_ctl(__VA_ARGS__))
#define epoll_wait(...) (CRASH_STEP("epoll_wait"), epoll_wait(__VA_ARGS__))
#define eventfd(...) (CRASH_STEP("eventfd"), eventfd(__VA_ARGS__))
#define syscall(...) (CRASH_STEP("futex"), syscall(__VA_ARGS__))
#define pthread_create(...) (CRASH_STEP("pthread_create"), pthread_create(__VA_ARGS__))
#define pthread_join(...) (CRASH_STEP("pthread_join"), pthread_join(__VA_ARGS__))

#ifdef CRASH_DEVICE
#include "driver_steps.h"
#endif

#ifdef CRASH_ATOMICS
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_thread_fence
#define atomic_load_explicit(p, order) (CRASH_STEP("load " #p), __atomic_load_n((p), (order)))
#define atomic_store_explicit(p, v, order) (CRASH_STEP("store " #p), __atomic_store_n((p), (v), (order)))
#define atomic_fetch_add_explicit(p, v, order) (CRASH_STEP("add " #p), __atomic_fetch_add((p), (v), (order)))
#define atomic_fetch_sub_explicit(p, v, order) (CRASH_STEP("sub " #p), __atomic_fetch_sub((p), (v), (order)))
#define atomic_exchange_explicit(p, v, order) (CRASH_STEP("exchange " #p), __atomic_exchange_n((p), (v), (order)))
#define atomic_compare_exchange_weak_explicit(p, expected, v, success, failure)                                        \
  (CRASH_STEP("compare " #p), __atomic_compare_exchange_n((p), (expected), (v), true, (success), (failure)))
#define atomic_thread_fence(order) (CRASH_STEP("fence"), __atomic_thread_fence(order))
#endif

#endif
