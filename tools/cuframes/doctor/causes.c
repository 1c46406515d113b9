/* causes.c - see causes.h. */
#include "causes.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"

#define DAC_OVERRIDE 1  /* the capability to go by no file's rights */
#define SYS_RESOURCE 24 /* that to raise hard limits */

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

/* ---- who may do what ---- */

/* Where /proc does not say, root has them all. */
static bool has_capability(int which) {
  char status[4096], bits[32];
  if (!proc_read_of(0, "status", status, sizeof status) || !proc_line(status, "CapEff", bits, sizeof bits))
    return geteuid() == 0;
  return strtoull(bits, NULL, 16) >> which & 1;
}

const char *as_owner(uid_t owner) {
  return owner == geteuid() ? "" : "sudo ";
}

/* ---- limits of processes ---- */

typedef struct raising {
  int resource;
  rlim_t least;
  const char *line;   /* of /proc/PID/limits */
  const char *shell;  /* of ulimit */
  const char *option; /* of prlimit; both limits get its value */
  const char *lasting;
} raising;

static const raising raisings[] = {
  { RLIMIT_NOFILE, 4096, "Max open files", "-n 4096", "nofile=4096",
    "LimitNOFILE=4096 in the systemd unit; docker run --ulimit nofile=4096" },
  { RLIMIT_FSIZE, RLIM_INFINITY, "Max file size", "-f unlimited", "fsize=unlimited",
    "LimitFSIZE=infinity in the systemd unit; docker run --ulimit fsize=-1" },
  { RLIMIT_AS, RLIM_INFINITY, "Max address space", "-v unlimited", "as=unlimited",
    "LimitAS=infinity in the systemd unit" },
  { RLIMIT_CPU, RLIM_INFINITY, "Max cpu time", "-t unlimited", "cpu=unlimited",
    "LimitCPU=infinity in the systemd unit" },
  { RLIMIT_STACK, 8 << 20, "Max stack size", "-s 8192", "stack=8388608", "LimitSTACK=8M in the systemd unit" },
  { RLIMIT_NPROC, 4096, "Max processes", "-u 4096", "nproc=4096",
    "docker run --pids-limit 4096; TasksMax=4096 in the systemd unit" },
};

void finding_raise(finding *f, int resource, int pid) {
  const raising *r = raisings;
  uint64_t soft = 0, hard = 0;
  while (r->resource != resource)
    r++;
  struct rlimit own;
  if (pid > 0)
    (void)proc_limits(pid, r->line, &soft, &hard); /* if it cannot be seen, root is asked for */
  else if (getrlimit(resource, &own) == 0)         /* also where no descriptor is left to look into /proc */
    hard = own.rlim_max;
  const bool free_to = hard >= r->least || has_capability(SYS_RESOURCE);
  if (pid > 0)
    finding_mend(f, "%sprlimit --pid %d --%s%s; for good %s", free_to ? as_owner(proc_user(pid)) : "sudo ", pid,
                 r->option, free_to && hard >= r->least ? ":" : "", r->lasting);
  else if (free_to)
    finding_mend(f, "ulimit %s; %s", r->shell, r->lasting);
  else if (geteuid() != 0)
    finding_mend(f, "sudo prlimit --pid $$ --%s; %s", r->option, r->lasting);
  else
    finding_mend(f, "%s", r->lasting); /* a root of a container, which may not */
}

/* ---- groups ---- */

void finding_join_group(finding *f, gid_t group) {
  const struct passwd *us = getpwuid(geteuid());
  const struct group *known = getgrgid(group);
  if (!us)
    finding_mend(f, "docker run --group-add %u; or a user that this machine knows, in group %u", (unsigned)group,
                 (unsigned)group);
  else if (known)
    finding_mend(f, "sudo usermod -aG %.40s %.40s, then log in again; or docker run --group-add %u", known->gr_name,
                 us->pw_name, (unsigned)group);
  else
    finding_mend(
        f,
        "sudo groupadd -g %u cuframes-%u && sudo usermod -aG cuframes-%u %.40s, then log in again; or docker run "
        "--group-add %u",
        (unsigned)group, (unsigned)group, (unsigned)group, us->pw_name, (unsigned)group);
}

/* ---- of an errno ---- */

typedef struct cause {
  int error, limit; /* limit: RLIMIT_... that is to be raised; then there is no mend of its own */
  const char *why, *mend;
} cause;

static const cause causes[] = {
  { EMFILE, RLIMIT_NOFILE, "this process has as many descriptors open as it may (NOFILE)", NULL },
  { ENFILE, 0, "the machine has as many files open as it may",
    "sudo sysctl fs.file-max=1000000; cat /proc/sys/fs/file-nr shows how many are open" },
  { ENOMEM, 0, "memory has run out, or a limit of it is met: of address space, of the control group",
    "free -h; ulimit -v unlimited; docker update --memory SIZE CONTAINER; MemoryMax= in the systemd unit" },
  { EAGAIN, RLIMIT_NPROC,
    "a limit of processes and threads is met: of this user, of its control group, or of the machine", NULL },
  { ENOSPC, 0, "what it would lie on is full", "df -h; df -i; remove what is not needed there" },
  { EDQUOT, 0, "this user has as much on the disk as it may", "quota; remove what is not needed" },
  { EFBIG, RLIMIT_FSIZE, "files may not be so large (FSIZE), which counts for shared memory, too", NULL },
  { EAFNOSUPPORT, 0, "this process may make no unix sockets (AF_UNIX)",
    "RestrictAddressFamilies=AF_UNIX, with the others it has, in the systemd unit" },
  { EOPNOTSUPP, 0, "the file system there has no such thing, as some of networks and of other systems' disks have not",
    "TMPDIR=/dev/shm cuframes doctor tries it elsewhere; the runtime directory must not lie there: --dir "
    "/dev/shm/DIR" },
  { ENOLCK, 0, "the file system there has no locks, as NFS without its lock daemon",
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
      if (causes[i].mend)
        finding_mend(f, "%s", causes[i].mend);
      else
        finding_raise(f, causes[i].limit, 0);
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
      finding_raise(f, RLIMIT_CPU, 0);
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

static bool is_root_without_rights(void) {
  return geteuid() == 0 && !has_capability(DAC_OVERRIDE);
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
