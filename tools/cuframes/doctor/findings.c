/* findings.c - what the parts of the doctor found, and what mends the library's errors. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "causes.h"
#include "doctor.h"

#define SUDO "sudo "

finding *found(doctor *d, enum finding_state state, const char *check, const char *format, ...) {
  size_t at = d->finding_count < FINDINGS_MOST ? d->finding_count : FINDINGS_MOST - 1;
  finding *f = &d->findings[at];
  memset(f, 0, sizeof *f);
  f->state = state;
  snprintf(f->subject, sizeof f->subject, "%s", d->part);
  snprintf(f->check, sizeof f->check, "%s", check);
  va_list list;
  va_start(list, format);
  vsnprintf(f->what, sizeof f->what, format, list);
  va_end(list);
  d->finding_count = at + 1;
  return f;
}

void finding_why(finding *f, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(f->why, sizeof f->why, format, list);
  va_end(list);
}

void finding_mend(finding *f, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(f->mend, sizeof f->mend, format, list);
  va_end(list);
  for (char *at = f->mend;
       geteuid() == 0 && (at = strstr(at, SUDO)) != NULL;) /* root needs none, and images have none */
    memmove(at, at + strlen(SUDO), strlen(at + strlen(SUDO)) + 1);
}

size_t finding_count(const doctor *d, enum finding_state state) {
  size_t count = 0;
  for (size_t i = 0; i < d->finding_count; i++)
    count += d->findings[i].state == state;
  return count;
}

void doctor_stage(doctor *d, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(d->stage, sizeof d->stage, format, list);
  va_end(list);
}

bool device_is_gpu(const char *device) {
  return strncmp(device, "cuda", 4) == 0;
}

const char *doctor_gpu(const doctor *d) {
  return device_is_gpu(d->device) ? d->device : device_is_gpu(d->stream_device) ? d->stream_device : NULL;
}

/* ---- what mends an error of the library ---- */

static void mend_no_capacity(finding *f, const doctor *d, const char *sentence) {
  /* No monitor is let in then either, so `cuframes info` does not show them. */
  if (strstr(sentence, "limit of open files") || strstr(sentence, "connections"))
    finding_mend(
        f,
        "sudo ss -xp | grep %s.sock shows who has them: end some; or a higher `ulimit -n`, or max_subscribers, "
        "of the publisher",
        d->name);
  else if (strstr(sentence, "max_subscribers"))
    finding_mend(f, "cuframes info %s shows who reads it: end some, or raise max_subscribers of the publisher",
                 d->name);
  else
    finding_mend(f, "cuframes publish ... --name %s --max-slots N with a larger N, or fewer readers", d->name);
}

/* The publisher says by which numbers it knows us: in another user namespace they are not ours. Other refusals are none
 * of the file system's rights, which were looked at before. */
static void mend_permission(finding *f, const doctor *d, const char *sentence) {
  unsigned user = geteuid(), group = getegid();
  const char *numbers = strstr(sentence, "neither user ");
  if (!strstr(sentence, "allow list")) {
    finding_cause(f, sentence, EACCES, NULL);
    return;
  }
  if (numbers)
    (void)sscanf(numbers, "neither user %u nor group %u", &user, &group); /* if not, ours */
  finding_mend(f, "cuframes publish ... --name %s --allow-uid %u (or --allow-gid %u)", d->name, user, group);
}

static void mend_no_memory(finding *f, const char *sentence) {
  if (strstr(sentence, "control group"))
    finding_mend(f, "docker update --memory SIZE CONTAINER, or MemoryMax= of the systemd unit");
  else if (strstr(sentence, "file sizes"))
    finding_mend(f, "ulimit -f unlimited, or LimitFSIZE=infinity in the systemd unit");
  else if (strstr(sentence, "GPU") || strstr(sentence, "CUDA"))
    finding_mend(f, "nvidia-smi shows who uses the GPU's memory: end some, or publish all cameras from one process");
  else if (strstr(sentence, "descriptor") || strstr(sentence, "ulimit -n"))
    finding_mend(f, "ulimit -n 4096, or LimitNOFILE=4096 in the systemd unit");
  else if (causes_errno(sentence) && causes_errno(sentence) != ENOMEM)
    finding_cause(f, sentence, causes_errno(sentence), NULL);
  else
    finding_mend(f,
                 "free -h shows what is left: end what uses it, or publish with a lower --max-slots, --packet-bytes");
}

static void mend_gpu(finding *f, const char *sentence) {
  if (strstr(sentence, "none of them is"))
    finding_mend(f, "CUDA_VISIBLE_DEVICES=UUID of that GPU, or docker run --gpus all");
  else if (strstr(sentence, "peer access"))
    finding_mend(f, "nvidia-smi topo -p2p r shows which GPUs reach each other; read it on the GPU where it lies");
  else if (strstr(sentence, "legacy"))
    finding_mend(f, "docker run --pid container:PUBLISHER, or publish without --memory legacy");
  else if (strstr(sentence, "host memory only"))
    finding_mend(f, "cuframes publish ... --device host, or read it with --device auto");
  else if (strstr(sentence, "host"))
    finding_mend(f, "cuframes publish ... --device cuda, or read it with --device host");
  else if (strstr(sentence, "no CUDA driver"))
    finding_mend(f, "docker run --gpus all; on a machine itself, apt install nvidia-driver");
  else
    finding_mend(f, "nvidia-smi, and dmesg | grep -i xid, say how the GPU is");
}

/* Of the doctor's own stream, to which nothing was said of options, rights or lists. */
static void mend_trial(finding *f, int error, const char *sentence) {
  const int system = causes_errno(sentence);
  if (error == CUFRAMES_ERR_PERMISSION || system)
    finding_cause(f, sentence, system ? system : EACCES, NULL);
  else if (error == CUFRAMES_ERR_TIMEOUT)
    finding_mend(f, "top shows whether the machine is too busy: cuframes doctor --timeout 60 waits longer; strace -f "
                    "cuframes doctor shows a call that is refused");
  else
    finding_mend(f, "strace -f cuframes doctor shows what ends it; please report it");
}

static void mend_stream(finding *f, const doctor *d, int error, const char *sentence) {
  switch (error) {
    case CUFRAMES_ERR_NO_CAPACITY: mend_no_capacity(f, d, sentence); break;
    case CUFRAMES_ERR_PERMISSION: mend_permission(f, d, sentence); break;
    case CUFRAMES_ERR_VERSION: finding_mend(f, "cuframes --version on both sides, and the newer one on both"); break;
    case CUFRAMES_ERR_PROTOCOL:
      finding_mend(f, "cuframes --version on both sides; if they are the same, end the publisher: it breaks the rules");
      break;
    case CUFRAMES_ERR_TIMEOUT:
      finding_mend(f, "ps -o pid,stat,cmd -C cuframes shows whether it is stopped (T): kill -CONT PID");
      break;
    case CUFRAMES_ERR_DIRECTORY: finding_mend(f, "another directory: --dir DIR, or CUFRAMES_DIR, on both sides"); break;
    case CUFRAMES_ERR_NO_SUCH_STREAM:
    case CUFRAMES_ERR_PUBLISHER_GONE:
      finding_mend(f,
                   "cuframes info %s shows whether it is there again; the publisher's log says why it ended, or closes "
                   "connections",
                   d->name);
      break;
    default: finding_cause(f, sentence, causes_errno(sentence), NULL); break;
  }
}

void finding_error(finding *f, const doctor *d, int error, const char *sentence) {
  sentence = *sentence ? sentence : cuframes_strerror(error);
  finding_why(f, "%s", sentence);
  if (error == CUFRAMES_ERR_UNSUPPORTED || error == CUFRAMES_ERR_DEVICE)
    mend_gpu(f, sentence);
  else if (error == CUFRAMES_ERR_NO_MEMORY)
    mend_no_memory(f, sentence);
  else if (strcmp(d->part, "trial") == 0)
    mend_trial(f, error, sentence);
  else
    mend_stream(f, d, error, sentence);
}
