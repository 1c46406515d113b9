/* kernel.c - what the kernel, or a seccomp filter in front of it, lets us do: each call is made, with the arguments of
 * the library. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "causes.h"
#include "doctor.h"
#include "proc.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* on every architecture, as the next */
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define PAGE 4096

static void look_at_system(doctor *d) {
  found(d, FOUND_WELL, "version", "Linux %s", causes_release());
  if (causes_filtered())
    found(d, FOUND_NOTE, "seccomp",
          "a seccomp filter is in force, as in containers; what it forbids of the following is said");
  else
    found(d, FOUND_WELL, "seccomp", "no seccomp filter is in force");
}

/* ---- sealed memory ---- */

/* A restriction that an administrator can set since Linux 6.3. */
static bool forbids_executable_memory(void) {
  char text[8];
  return proc_read("/proc/sys/vm/memfd_noexec", text, sizeof text) && text[0] == '2';
}

static void look_at_seals(doctor *d, int memory) {
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;
  if (fcntl(memory, F_ADD_SEALS, seals) != 0) {
    const int error = errno;
    finding *f = found(d, FOUND_PROBLEM, "seals", "shared memory cannot be sealed against writers");
    finding_errno(f, "F_SEAL_FUTURE_WRITE", error, "5.1");
    return;
  }
  void *writable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (writable == MAP_FAILED && (fcntl(memory, F_GET_SEALS) & seals) == seals) {
    found(d, FOUND_WELL, "seals", "shared memory can be sealed: nobody but its maker can write to it");
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "seals", "sealed shared memory can still be written to");
  finding_why(f, "the kernel says yes to F_SEAL_FUTURE_WRITE and does not keep it: a sandbox that imitates Linux");
  finding_mend(f, "docker run --runtime runc, not gVisor (runsc)");
}

static void look_at_memory(doctor *d) {
  doctor_stage(d, "making shared memory (memfd_create)");
  const int memory = memfd_create("cuframes-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory < 0 && errno == EACCES && forbids_executable_memory()) {
    finding *f = found(d, FOUND_PROBLEM, "memfd", "no shared memory can be made");
    finding_why(f, "memfd_create: %s, since vm.memfd_noexec is 2", strerror(errno));
    finding_mend(f, "sudo sysctl vm.memfd_noexec=1");
    return;
  }
  if (memory < 0) {
    const int error = errno;
    finding *f = found(d, FOUND_PROBLEM, "memfd", "no shared memory can be made");
    finding_errno(f, "memfd_create", error, "3.17");
    return;
  }
  if (ftruncate(memory, PAGE) != 0) {
    const int error = errno;
    finding *f = found(d, FOUND_PROBLEM, "memfd", "shared memory of a page cannot be made");
    finding_errno(f, "ftruncate", error, NULL);
  } else {
    found(d, FOUND_WELL, "memfd", "shared memory can be made");
    look_at_seals(d, memory);
  }
  (void)close(memory);
}

/* ---- descriptors from process to process ---- */

/* False: *error is why, 0: it came without the descriptor. */
static bool pass(int from, int to, int *error) {
  char byte = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
  struct iovec bytes = { &byte, 1 };
  struct msghdr message = {
    .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
  };
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
  memcpy(CMSG_DATA(header), &from, sizeof from);
  if (sendmsg(from, &message, MSG_NOSIGNAL) < 0) {
    *error = errno;
    return false;
  }
  message.msg_controllen = sizeof control;
  const ssize_t length = recvmsg(to, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  *error = length < 0 ? errno : 0;
  header = length == 1 ? CMSG_FIRSTHDR(&message) : NULL;
  if (!header || header->cmsg_type != SCM_RIGHTS)
    return false;
  int came;
  memcpy(&came, CMSG_DATA(header), sizeof came);
  return close(came) == 0;
}

static void look_at_refusing(doctor *d, int fd) {
  int no = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof no) == 0)
    found(d, FOUND_WELL, "passrights", "descriptors that a peer sends can be refused (SO_PASSRIGHTS)");
  else
    found(d, FOUND_NOTE, "passrights",
          "descriptors that a peer sends cannot be refused (SO_PASSRIGHTS, since Linux 6.16: %s): publishers look at "
          "each message first",
          strerror(errno));
}

static void look_at_sockets(doctor *d) {
  int ends[2], error = 0;
  struct ucred peer;
  socklen_t size = sizeof peer;
  doctor_stage(d, "passing a descriptor over a socket (sendmsg)");
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    error = errno;
    finding *f = found(d, FOUND_PROBLEM, "sockets", "no unix socket of packets can be made");
    finding_errno(f, "socket(AF_UNIX, SOCK_SEQPACKET)", error, "2.6");
    return;
  }
  if (!pass(ends[0], ends[1], &error)) {
    finding *f = found(d, FOUND_PROBLEM, "descriptors", "no descriptor can be passed over a socket");
    if (error)
      finding_errno(f, "SCM_RIGHTS", error, "2.2");
    else {
      finding_why(f, "the message came without it: a security module, such as SELinux or AppArmor, takes it away");
      finding_mend(f, "dmesg | grep -i denied; docker run --security-opt label=disable, or apparmor=unconfined");
    }
  } else {
    found(d, FOUND_WELL, "descriptors", "descriptors can be passed over sockets");
  }
  if (getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    error = errno;
    finding *f = found(d, FOUND_PROBLEM, "credentials", "a socket does not say who is at its other end");
    finding_errno(f, "SO_PEERCRED", error, "2.2");
  }
  look_at_refusing(d, ends[0]);
  (void)close(ends[0]);
  (void)close(ends[1]);
}

/* ---- sleeping, waking, watching ---- */

static void look_at_futex(doctor *d) {
  static uint32_t word = 1;
  const struct timespec now = { 0 };
  doctor_stage(d, "waiting on a futex");
  /* The word is another one than expected, so it does not wait. */
  if (syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &now, NULL, FUTEX_BITSET_MATCH_ANY) != 0 && errno != EAGAIN) {
    const int error = errno;
    finding *f = found(d, FOUND_PROBLEM, "futex", "readers cannot sleep until a frame comes");
    finding_errno(f, "futex", error, "2.6");
  } else {
    found(d, FOUND_WELL, "futex", "readers can sleep until a frame comes");
  }
  doctor_stage(d, "waiting on many futexes (futex_waitv)");
  (void)syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC);
  if (errno == EINVAL)
    found(d, FOUND_WELL, "futex_waitv", "one thread can wait for many streams (futex_waitv)");
  else
    found(
        d, FOUND_NOTE, "futex_waitv",
        "one thread cannot wait for many streams at once (futex_waitv, since Linux 5.16: %s): cuframes_subscriber_fd() "
        "takes a thread for each stream",
        strerror(errno));
}

static void look_at_watching(doctor *d) {
  doctor_stage(d, "watching a process (pidfd_open)");
  const int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (pidfd >= 0)
    found(d, FOUND_WELL, "pidfd", "the death of a process can be watched (pidfd_open)");
  else
    found(
        d, FOUND_NOTE, "pidfd",
        "the death of a process cannot be watched (pidfd_open, since Linux 5.3: %s): what the dead held comes back by "
        "time instead",
        strerror(errno));
  if (pidfd >= 0)
    (void)close(pidfd);

  doctor_stage(d, "waiting for many descriptors (epoll_create1, eventfd)");
  const int epoll = epoll_create1(EPOLL_CLOEXEC), event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll < 0 || event < 0) {
    const int error = errno;
    finding *f = found(d, FOUND_PROBLEM, "epoll", "a publisher cannot wait for its subscribers");
    finding_errno(f, epoll < 0 ? "epoll_create1" : "eventfd", error, "2.6.27");
  } else {
    found(d, FOUND_WELL, "epoll", "a publisher can wait for its subscribers");
  }
  if (epoll >= 0)
    (void)close(epoll);
  if (event >= 0)
    (void)close(event);
}

void doctor_kernel(doctor *d) {
  if (d->low_limits) {
    found(d, FOUND_UNKNOWN, "memfd", "what the kernel lets us do was not tried: see the limits");
    return;
  }
  const size_t problems = finding_count(d, FOUND_PROBLEM);
  d->kernel_barred = true; /* also of who dies here */
  look_at_system(d);
  look_at_memory(d);
  look_at_sockets(d);
  look_at_futex(d);
  look_at_watching(d);
  d->kernel_barred = finding_count(d, FOUND_PROBLEM) > problems;
}
