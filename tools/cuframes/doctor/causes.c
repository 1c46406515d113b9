/* causes.c - see causes.h. */
#include "causes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"

#define DAC_OVERRIDE 1 /* the capability to go by no file's rights */

bool causes_filtered(void) {
  char status[4096], mode[8];
  if (proc_read_of(0, "status", status, sizeof status) && proc_line(status, "Seccomp", mode, sizeof mode))
    return mode[0] == '2';
  return prctl(PR_GET_SECCOMP) != 0; /* refusing it is a filter's doing, too */
}

const char *causes_release(void) {
  static struct utsname system;
  return uname(&system) == 0 ? system.release : "this kernel";
}

/* ---- of an errno ---- */

typedef struct cause {
  int error;
  const char *why, *mend;
} cause;

static const cause causes[] = {
  { EMFILE, "this process has as many descriptors open as it may (NOFILE)",
    "ulimit -n 4096; LimitNOFILE=4096 in the systemd unit; docker run --ulimit nofile=4096" },
  { ENFILE, "the machine has as many files open as it may",
    "sudo sysctl fs.file-max=1000000; cat /proc/sys/fs/file-nr shows how many are open" },
  { ENOMEM, "memory has run out, or a limit of it is met: of address space, of the control group",
    "free -h; ulimit -v unlimited; docker update --memory SIZE CONTAINER; MemoryMax= in the systemd unit" },
  { EAGAIN, "a limit of processes and threads is met: of this user, of its control group, or of the machine",
    "ulimit -u 4096; docker run --pids-limit 4096; TasksMax=4096 in the systemd unit" },
  { ENOSPC, "what it would lie on is full", "df -h; df -i; remove what is not needed there" },
  { EDQUOT, "this user has as much on the disk as it may", "quota; remove what is not needed" },
  { EFBIG, "files may not be so large (FSIZE), which counts for shared memory, too",
    "ulimit -f unlimited; LimitFSIZE=infinity in the systemd unit; docker run --ulimit fsize=-1" },
  { EAFNOSUPPORT, "this process may make no unix sockets (AF_UNIX)",
    "RestrictAddressFamilies=AF_UNIX, with the others it has, in the systemd unit" },
  { EOPNOTSUPP, "the file system there has no such thing, as some of networks and of other systems' disks have not",
    "TMPDIR=/dev/shm cuframes doctor tries it elsewhere; the runtime directory must not lie there: --dir "
    "/dev/shm/DIR" },
  { ENOLCK, "the file system there has no locks, as NFS without its lock daemon",
    "TMPDIR=/dev/shm cuframes doctor tries it elsewhere; the runtime directory must not lie there: --dir "
    "/dev/shm/DIR" },
};
static const int refusals[] = { EPERM, EACCES, ENOSYS, ECONNREFUSED };

static bool is_refusal(int error) {
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
    if (refusals[i] == error)
      return true;
  return false;
}

int causes_errno(const char *sentence) {
  for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
    if (strstr(sentence, strerror(causes[i].error)))
      return causes[i].error;
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
    if (strstr(sentence, strerror(refusals[i])))
      return refusals[i];
  return 0;
}

static void mend_filter(finding *f) {
  finding_mend(f, "docker run --security-opt seccomp=PROFILE that allows it; SystemCallFilter= in the systemd unit");
}

void finding_cause(finding *f, const char *said, int error, const char *since) {
  for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
    if (causes[i].error == error) {
      finding_why(f, "%s: %s", said, causes[i].why);
      finding_mend(f, "%s", causes[i].mend);
      return;
    }
  if (is_refusal(error) && causes_filtered()) {
    finding_why(f, "%s, and a seccomp filter is in force; its profile must allow the call (Docker's does)", said);
    mend_filter(f);
  } else if (error == EPERM || error == EACCES) {
    finding_why(f, "%s: by the rights it could; a security module, such as SELinux or AppArmor, refuses it", said);
    finding_mend(f, "sudo dmesg | grep -i -e denied -e avc; docker run --security-opt label=disable, or "
                    "apparmor=unconfined");
  } else if (since) {
    finding_why(f, "%s; it came with Linux %s, and this is %s", said, since, causes_release());
    finding_mend(f, "uname -r shows the kernel; a newer one");
  } else {
    finding_why(f, "%s", said);
    finding_mend(f, "strace -f cuframes doctor shows the call that fails");
  }
}

void finding_errno(finding *f, const char *call, int error, const char *since) {
  char said[160];
  snprintf(said, sizeof said, "%s: %s", call, strerror(error));
  finding_cause(f, said, error, since);
}

/* ---- of a process that ended ---- */

void finding_status(finding *f, int status) {
  switch (WIFSIGNALED(status) ? WTERMSIG(status) : 0) {
    case 0:
      finding_why(f, "it ended by itself, with code %d: this program, a library or a driver is broken",
                  WEXITSTATUS(status));
      finding_mend(f, "strace -f cuframes doctor shows the last thing it did; please report it");
      break;
    case SIGKILL:
      finding_why(f, "it was killed: by the kernel, as when memory has run out, or by somebody");
      finding_mend(f, "dmesg | tail says whether it was for memory; docker update --memory SIZE CONTAINER");
      break;
    case SIGSYS:
      finding_why(f, "a seccomp filter kills who makes a call that it does not know, instead of refusing the call");
      mend_filter(f);
      break;
    case SIGXCPU:
      finding_why(f, "it has used as much CPU time as it may (CPU)");
      finding_mend(f, "ulimit -t unlimited; LimitCPU=infinity in the systemd unit");
      break;
    case SIGBUS:
      finding_why(f, "a file that it mapped is shorter than it should be, as a library of which a part is missing, or "
                     "memory is bad");
      finding_mend(f, "ls -lL of that library, and its package installed anew; dmesg | grep -i -e mce -e ecc");
      break;
    default:
      finding_why(f, "this program, a library or a driver is broken (%s)", strsignal(WTERMSIG(status)));
      finding_mend(f, "dmesg | tail, and coredumpctl info, say where it died; please report it");
      break;
  }
}

/* ---- of a file that is there ---- */

/* Where /proc does not say, it has them. */
static bool is_root_without_rights(void) {
  char status[4096], bits[32];
  if (geteuid() != 0 || !proc_read_of(0, "status", status, sizeof status) ||
      !proc_line(status, "CapEff", bits, sizeof bits))
    return false;
  return !(strtoull(bits, NULL, 16) >> DAC_OVERRIDE & 1);
}

bool finding_denied(finding *f, const struct stat *status, int error) {
  const unsigned user = status->st_uid, group = status->st_gid;
  if (error == EACCES && user != 0 && is_root_without_rights()) {
    finding_why(f,
                "it belongs to user %u and group %u, with mode %04o, and this is a root without its rights "
                "(CAP_DAC_OVERRIDE), as of docker run --cap-drop",
                user, group, status->st_mode & 07777u);
    finding_mend(f, "docker run --user %u:%u, or --cap-add DAC_OVERRIDE", user, group);
    return true;
  }
  finding_why(f, "it belongs to user %u and group %u, with mode %04o: %s", user, group, status->st_mode & 07777u,
              strerror(error));
  return false;
}
