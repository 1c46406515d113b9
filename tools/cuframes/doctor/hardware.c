/* hardware.c - what says that there is a GPU, before any driver is loaded, and whether its device files can be used. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "causes.h"
#include "doctor.h"
#include "gpu_state.h"
#include "proc.h"

/* ---- what says that there is a GPU ---- */

static bool has_card(void) {
  glob_t cards;
  bool there = false;
  if (glob("/sys/bus/pci/devices/*", 0, NULL, &cards) != 0)
    return false;
  for (size_t i = 0; i < cards.gl_pathc && !there; i++) {
    char path[300], vendor[16] = "", class[16] = "";
    snprintf(path, sizeof path, "%s/vendor", cards.gl_pathv[i]);
    if (!proc_read(path, vendor, sizeof vendor) || strncmp(vendor, "0x10de", 6) != 0)
      continue;
    snprintf(path, sizeof path, "%s/class", cards.gl_pathv[i]);
    there = proc_read(path, class, sizeof class) && strncmp(class, "0x03", 4) == 0;
  }
  globfree(&cards);
  return there;
}

static const char *sign_of_gpu(void) {
  const char *visible = getenv("NVIDIA_VISIBLE_DEVICES");
  if (access("/proc/driver/nvidia/version", F_OK) == 0)
    return "the driver's module is loaded (/proc/driver/nvidia)";
  if (access("/dev/nvidiactl", F_OK) == 0)
    return "/dev/nvidiactl is there";
  if (access("/dev/dxg", F_OK) == 0)
    return "/dev/dxg is there (WSL)";
  if (access("/etc/nv_tegra_release", F_OK) == 0)
    return "/etc/nv_tegra_release is there (Jetson)";
  if (has_card())
    return "a card of NVIDIA's is on the bus";
  if (visible && *visible && strcmp(visible, "void") != 0 && strcmp(visible, "none") != 0)
    return "NVIDIA_VISIBLE_DEVICES asks for one";
  return NULL;
}

/* ---- device files ---- */

static void mend_node(finding *f, const doctor *d, const char *path, int error, const struct stat *status) {
  struct statvfs file_system;
  if (error == EACCES && statvfs(path, &file_system) == 0 && (file_system.f_flag & ST_NODEV)) {
    finding_why(f, "what is mounted there lets no device be used (nodev)");
    finding_mend(f, "findmnt -T %s shows the mount: mount -o remount,dev; docker run --gpus all", path);
  } else if (error == EACCES) {
    if (finding_denied(f, status, error))
      return;
    if (d->in_container)
      finding_mend(f, "docker run --group-add %u", (unsigned)status->st_gid);
    else if (status->st_gid == 0)
      finding_mend(f, "sudo chmod go+rw %s; for good NVreg_DeviceFileMode=0666 of the nvidia module", path);
    else
      finding_join_group(f, status->st_gid);
  } else if (error == EPERM) {
    finding_why(f,
                "the control group of devices does not let this container use it; a systemctl daemon-reload takes it "
                "away from running ones");
    finding_mend(f, "docker restart CONTAINER; for good docker run --gpus all --device %s", path);
  } else {
    finding_why(f, "%s", strerror(error));
    finding_mend(f, "nvidia-smi, and dmesg | grep -i nvrm, say how the driver is");
  }
}

/* Whether a file that is there can be used. */
static bool node_works(doctor *d, const char *path) {
  struct stat status;
  doctor_stage(d, "opening the GPU's %s", path);
  if (stat(path, &status) != 0)
    return true;
  const int file = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  const int error = errno;
  if (file >= 0) {
    (void)close(file);
    return true;
  }
  finding *f = found(d, gpu_severity(d), "device-files", "%s is there and cannot be used", path);
  mend_node(f, d, path, error, &status);
  return false;
}

static void look_at_nodes(doctor *d) {
  glob_t cards;
  bool works = node_works(d, "/dev/nvidiactl");
  if (glob("/dev/nvidia[0-9]*", 0, NULL, &cards) == 0) {
    for (size_t i = 0; i < cards.gl_pathc && works; i++)
      works = node_works(d, cards.gl_pathv[i]);
    globfree(&cards);
  }
  works = works && node_works(d, "/dev/nvidia-uvm");
  if (!works) {
    d->gpu_barred = true;
    return;
  }
  if (access("/dev/nvidiactl", F_OK) == 0 && access("/dev/nvidia-uvm", F_OK) != 0) {
    finding *f = found(d, gpu_severity(d), "device-files", "/dev/nvidia-uvm is not there, and /dev/nvidiactl is");
    finding_why(f, "its module is loaded when CUDA is first used by root, and a container gets only what was there");
    finding_mend(f, "sudo nvidia-modprobe -u -c=0 on the host, then start the container anew");
    d->gpu_barred = true;
  } else if (access("/dev/nvidiactl", F_OK) == 0) {
    found(d, FOUND_WELL, "device-files", "the device files of the GPU can be used");
  } else if (access("/proc/driver/nvidia/version", F_OK) == 0) {
    finding *f =
        found(d, gpu_severity(d), "device-files", "the driver's module is loaded, and /dev/nvidiactl is not there");
    finding_why(f, d->in_container ? "this container was started without the GPU"
                                   : "nobody has made the device files yet");
    finding_mend(f, d->in_container ? "docker run --gpus all" : "sudo nvidia-modprobe -c=0 -u");
    d->gpu_barred = true;
  }
}

void doctor_hardware(doctor *d) {
  const char *sign = sign_of_gpu();
  d->gpu_expected = sign != NULL;
  if (sign)
    found(d, FOUND_WELL, "hardware", "there is a GPU: %s", sign);
  else
    found(d, FOUND_WELL, "hardware", "no GPU of NVIDIA's is to be seen: frames lie in host memory");
  if (!gpu_is_beside_the_point(d))
    look_at_nodes(d);
}
