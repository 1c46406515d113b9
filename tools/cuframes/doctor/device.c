/* device.c - the GPU: its driver, which GPUs this process sees, and what they can do for sharing. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "gpu_state.h"
#include "proc.h"

#define OLDEST_VERSION 11040 /* CUDA 11.4, driver 470: as the library has it */
#define STUB_LIBRARY 34
#define NO_DEVICE 100
#define SYSTEM_NOT_READY 802
#define DRIVER_MISMATCH 803
#define COMPAT_NOT_SUPPORTED 804
#define MPS_CONNECTION_FAILED 805
#define EXCLUSIVE_MODE 3
#define PROHIBITED_MODE 2

bool gpu_is_beside_the_point(const doctor *d) {
  return strcmp(d->device, "host") == 0 || (!device_is_gpu(d->device) && strcmp(d->stream_device, "host") == 0);
}

enum finding_state gpu_severity(const doctor *d) {
  if (gpu_is_beside_the_point(d))
    return FOUND_NOTE;
  return doctor_gpu(d) || (!d->name && d->gpu_expected) ? FOUND_PROBLEM : FOUND_NOTE;
}

static bool is_wsl(void) {
  char text[80];
  return access("/dev/dxg", F_OK) == 0 || (proc_read("/proc/sys/kernel/osrelease", text, sizeof text) &&
                                           (strcasestr(text, "microsoft") || strcasestr(text, "wsl")));
}

static bool is_tegra(void) {
  char text[256];
  if (access("/etc/nv_tegra_release", F_OK) == 0)
    return true;
  (void)proc_read("/proc/device-tree/compatible", text, sizeof text); /* strings behind each other; the first will do */
  return strstr(text, "nvidia,tegra") != NULL || strstr(text, "nvidia,p") != NULL;
}

/* ---- the driver ---- */

/* It is there, and is no library that can be used. */
static void found_broken_driver(doctor *d, const char *why) {
  finding *f = found(d, gpu_severity(d), "driver", "the CUDA driver is there, and cannot be loaded%s%s",
                     doctor_gpu(d) ? ": " : "", doctor_gpu(d) ? doctor_gpu(d) : "");
  finding_why(f, "no CUDA driver: %s", why);
  if (strstr(why, "too short") || strstr(why, "ELF"))
    finding_mend(
        f, "ls -lL of that file: it is empty, cut short or of another kind of machine; no libcuda in an image, but "
           "docker run --gpus all");
  else if (strstr(why, "map segment"))
    finding_mend(f, "findmnt -T of that file shows noexec: mount -o remount,exec; ulimit -v unlimited");
  else
    finding_mend(f, "ldconfig -p | grep libcuda, and LD_LIBRARY_PATH, say which files are taken: sudo apt install "
                    "--reinstall nvidia-driver");
}

static void found_no_driver(doctor *d, const char *why) {
  const enum finding_state state = gpu_severity(d);
  if (state != FOUND_PROBLEM) {
    found(d, d->gpu_expected ? FOUND_NOTE : FOUND_WELL, "driver", "no CUDA driver, and none is needed: %s", why);
    return;
  }
  finding *f = found(d, state, "driver", "no CUDA driver can be loaded, and the GPU is to be used%s%s",
                     doctor_gpu(d) ? ": " : "", doctor_gpu(d) ? doctor_gpu(d) : "");
  finding_why(f, "no CUDA driver: %s", why);
  if (is_wsl())
    finding_mend(f, "LD_LIBRARY_PATH=/usr/lib/wsl/lib, where WSL has it; on Windows the current driver");
  else if (d->in_container)
    finding_mend(f, "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,video,utility");
  else
    finding_mend(
        f, "sudo apt install nvidia-driver, or the driver that fits the card; in a container docker run --gpus all");
}

static void mend_start(finding *f, const doctor *d, int error) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  switch (error) {
    case NO_DEVICE:
      if (visible)
        finding_mend(f, "unset CUDA_VISIBLE_DEVICES (it is \"%.60s\"), or nvidia-smi -L for what it may be", visible);
      else
        finding_mend(f, "%s", d->in_container ? "docker run --gpus all" : "nvidia-smi -L; dmesg | grep -i nvrm");
      break;
    case STUB_LIBRARY: finding_mend(f, "unset LD_LIBRARY_PATH, or take the toolkit's stubs directory out of it"); break;
    case SYSTEM_NOT_READY: finding_mend(f, "sudo systemctl start nvidia-fabricmanager"); break;
    case DRIVER_MISMATCH:
      finding_mend(f, "sudo reboot, or unload and load the nvidia modules: the driver was updated");
      break;
    case COMPAT_NOT_SUPPORTED:
      finding_mend(f, "sudo apt remove 'cuda-compat-*': only data centre cards take it");
      break;
    case MPS_CONNECTION_FAILED: finding_mend(f, "echo start_server -uid $UID | nvidia-cuda-mps-control"); break;
    default: finding_mend(f, "nvidia-smi, and dmesg | grep -i -e xid -e nvrm, say how the GPU is"); break;
  }
}

/* The number behind "libcuda.so.", "580.159.04". */
static bool file_version(const char *path, char *version, size_t size) {
  const char *name = strstr(path, "libcuda.so.");
  if (!name || strchr(name += strlen("libcuda.so."), '.') == NULL)
    return false;
  snprintf(version, size, "%s", name);
  return true;
}

/* "580.159.04" of "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build ...", and of what
 * modules that are not open say, "... x86_64 Kernel Module  580.159.04  Thu ...": the first word behind "Module" of
 * digits and points alone. */
static bool module_version(const char *text, char *version, size_t size) {
  const char *at = strstr(text, "Module");
  while (at && *at && *at != '\n') {
    const size_t length = strcspn(at, " \t\n");
    if (length > 0 && length < size && strspn(at, "0123456789.") == length) {
      memcpy(version, at, length);
      version[length] = '\0';
      return true;
    }
    at += length;
    at += strspn(at, " \t");
  }
  return false;
}

/* The library and the kernel's module are two halves of one driver, unless the library is one for compatibility. */
static void look_at_halves(doctor *d, const gpu_driver *driver) {
  char path[4096], library[64], text[512], module[64];
  if (!gpu_driver_file(driver, path, sizeof path)) {
    found(d, FOUND_UNKNOWN, "library", "which file the CUDA driver was loaded from");
    return;
  }
  const bool compat = strstr(path, "/compat") != NULL;
  const bool known =
      proc_read("/proc/driver/nvidia/version", text, sizeof text) && module_version(text, module, sizeof module);
  found(d, compat ? FOUND_NOTE : FOUND_WELL, "library", "the driver is %s%s", path,
        compat ? ", a library for compatibility with an older module" : "");
  if (!file_version(path, library, sizeof library) || !known) {
    found(d, FOUND_UNKNOWN, "module",
          "whether library and module of the driver fit: their versions are not to be seen");
    return;
  }
  if (compat || strcmp(library, module) == 0) {
    found(d, FOUND_WELL, "module", "the driver's module is %s, its library %s", module, library);
    return;
  }
  finding *f = found(d, gpu_severity(d), "module", "the driver's library is %s and its module %s", library, module);
  finding_why(f, "the driver was updated while it ran, or a container brings a library of its own");
  finding_mend(f, d->in_container ? "docker run --gpus all, and no libcuda in the image" : "sudo reboot");
}

/* ---- which GPUs ---- */

static void list_gpus(const gpu_driver *driver, char *text, size_t size) {
  size_t used = 0;
  *text = '\0';
  for (int i = 0; i < driver->count && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", driver->device[i] + strlen("cuda:"));
}

/* The GPU that is asked for; -1 after a problem. */
static int choose(doctor *d, const gpu_driver *driver) {
  char seen[400];
  const char *wanted = doctor_gpu(d), *visible = getenv("CUDA_VISIBLE_DEVICES");
  const int gpu = gpu_driver_find(driver, wanted ? wanted : "cuda");
  if (gpu >= 0)
    return gpu;
  list_gpus(driver, seen, sizeof seen);
  finding *f = found(d, FOUND_PROBLEM, "uuid", "this process does not see the GPU %s", wanted ? wanted : "");
  finding_why(f, "it sees %d: %s%s%.60s%s", driver->count, seen, visible ? " (CUDA_VISIBLE_DEVICES is \"" : "",
              visible ? visible : "", visible ? "\")" : "; memory is not shared between MIG instances either");
  if (visible)
    finding_mend(f, "unset CUDA_VISIBLE_DEVICES, or name that GPU in it: nvidia-smi -L shows them");
  else
    finding_mend(f, "docker run --gpus all, or publish on a GPU that both see: nvidia-smi -L shows them");
  d->gpu_barred = true;
  return -1;
}

/* A reader on another GPU than the publisher's. */
static void look_at_peers(doctor *d, const gpu_driver *driver, int gpu) {
  int can = 0;
  if (!device_is_gpu(d->stream_device))
    return;
  const int maker = gpu_driver_find(driver, d->stream_device);
  if (maker == gpu)
    return;
  if (maker < 0) {
    char seen[400];
    list_gpus(driver, seen, sizeof seen);
    finding *f = found(d, FOUND_PROBLEM, "uuid", "this process does not see the stream's GPU, %s", d->stream_device);
    finding_why(f, "who reads over another GPU must see both, and it sees %s", seen);
    finding_mend(f, "CUDA_VISIBLE_DEVICES with both; nvidia-smi -L shows them");
    d->gpu_barred = true;
    return;
  }
  if (driver->can_access_peer(&can, gpu, maker) == 0 && can) {
    found(d, FOUND_WELL, "peer", "CUDA device %d can read the memory of device %d", gpu, maker);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "peer",
                     "CUDA device %d cannot read the memory of device %d, where the stream lies", gpu, maker);
  finding_why(f, "the two have no path between them (NVLink, or a bus without ACS in the way)");
  finding_mend(f, "nvidia-smi topo -p2p r shows the paths; read it with --device %s", d->stream_device);
  d->gpu_barred = true;
}

/* ---- what one can do ---- */

static void look_at_mode(doctor *d, const gpu_driver *driver, int gpu) {
  const int mode = gpu_driver_attribute(driver, gpu, GPU_COMPUTE_MODE),
            mps = gpu_driver_attribute(driver, gpu, GPU_MPS);
  if (mode == PROHIBITED_MODE || (mode == EXCLUSIVE_MODE && mps != 1)) {
    finding *f = found(d, gpu_severity(d), "compute-mode", "the GPU lets %s process use it",
                       mode == PROHIBITED_MODE ? "no" : "only one");
    finding_why(f, "its compute mode is %s, and publisher and readers are processes of their own",
                mode == PROHIBITED_MODE ? "Prohibited" : "Exclusive_Process");
    finding_mend(f, "sudo nvidia-smi -i %d -c DEFAULT, or an MPS server for all of them", gpu);
    return;
  }
  found(d, FOUND_WELL, "compute-mode", "the GPU lets many processes use it");
  if (mps == 1)
    found(d, FOUND_NOTE, "mps", "under MPS: who dies in a kernel ends the streams of all clients of the server");
  else if (mps == 0)
    found(d, FOUND_WELL, "mps", "no MPS: processes take turns on the GPU");
  else
    found(d, FOUND_UNKNOWN, "mps", "whether there is MPS: a driver before CUDA 12.5 does not say");
}

static void look_at_sharing(doctor *d, const gpu_driver *driver, int gpu) {
  const bool vmm =
      gpu_driver_attribute(driver, gpu, GPU_VMM) > 0 && gpu_driver_attribute(driver, gpu, GPU_DESCRIPTORS) > 0;
  const int events = gpu_driver_attribute(driver, gpu, GPU_LEGACY);
  const bool legacy =
      gpu_driver_attribute(driver, gpu, GPU_UNIFIED_ADDRESSES) > 0 && (driver->version < 12010 || events > 0);
  if (vmm) {
    found(d, FOUND_WELL, "vmm", "GPU memory can be shared by descriptors (VMM), read-only for readers");
  } else if (legacy) {
    found(d, FOUND_NOTE, "vmm",
          "GPU memory cannot be shared by descriptors (VMM): by cuIpc handles, as of --memory legacy, which want the "
          "same "
          "PID namespace and let readers write");
  } else {
    finding *f = found(d, gpu_severity(d), "vmm", "memory of this GPU cannot be shared");
    finding_why(f, "the driver has neither VMM descriptors nor cuIpc handles for it%s",
                is_wsl()     ? ", as in WSL2"
                : is_tegra() ? ", as on older Jetsons"
                             : "");
    finding_mend(f, "cuframes publish ... --device host shares by the machine's memory instead");
    d->gpu_barred = true;
  }
  const bool timeline = gpu_driver_attribute(driver, gpu, GPU_STREAM_OPERATIONS) > 0 && driver->write_value &&
                        driver->wait_value && driver->batch;
  const bool asked = d->sync & CUFRAMES_SYNC_TIMELINE, events_asked = d->sync & CUFRAMES_SYNC_SLOT_EVENTS;
  if (timeline) {
    found(d, FOUND_WELL, "stream-operations",
          "the GPU can wait for frames by itself (64-bit stream memory operations)");
  } else if (!asked) {
    found(d, FOUND_NOTE, "stream-operations",
          "the GPU cannot wait for frames by itself (no 64-bit stream memory operations): no sync mode timeline");
  } else {
    finding *f = found(d, FOUND_PROBLEM, "stream-operations", "there is no sync mode timeline here");
    finding_why(f, "driver or GPU has no 64-bit stream memory operations (CUDA 11.7 or later)");
    finding_mend(f, "--sync complete, which is right for every use; or a newer driver");
  }
  if (events_asked && !legacy) {
    finding *f = found(d, FOUND_PROBLEM, "slot-events", "there is no sync mode slot-events here");
    finding_why(f, "the driver has no events between processes for this GPU");
    finding_mend(f, "--sync complete, which is right for every use");
  }
}

static void look_at_kind(doctor *d, const gpu_driver *driver, int gpu) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  if (is_wsl())
    found(d, FOUND_NOTE, "wsl", "WSL2: cuIpc handles do not work there, and VMM descriptors were not tried");
  if (is_tegra() || gpu_driver_attribute(driver, gpu, GPU_INTEGRATED) > 0)
    found(d, FOUND_NOTE, "tegra", "a GPU without memory of its own, as a Jetson's: no cuIpc handles, and not tried");
  if (strstr(driver->name[gpu], " MIG ") || (visible && strncmp(visible, "MIG-", 4) == 0))
    found(d, FOUND_NOTE, "mig", "a MIG instance (%s): publisher and readers must use the same one", driver->name[gpu]);
}

/* Only who publishes films needs it. */
static void look_at_decoder(doctor *d) {
  void *decoder = dlopen("libnvcuvid.so.1", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
  if (decoder) {
    found(d, FOUND_WELL, "nvdec", "the GPU's video decoder can be used (libnvcuvid)");
    (void)dlclose(decoder); /* RTLD_NODELETE: nothing can go wrong */
    return;
  }
  const char *why = dlerror();
  finding *f = found(d, d->name || !d->gpu_expected ? FOUND_NOTE : FOUND_PROBLEM, "nvdec",
                     "the GPU's video decoder cannot be used: publish decodes in software");
  finding_why(f, "%s", why ? why : "libnvcuvid.so.1 cannot be loaded");
  if (d->in_container)
    finding_mend(f, "docker run -e NVIDIA_DRIVER_CAPABILITIES=compute,video,utility");
  else
    finding_mend(f, "sudo apt install libnvcuvid1, of the driver's version");
}

static void look_at_gpu(doctor *d, const gpu_driver *driver) {
  const size_t problems = finding_count(d, FOUND_PROBLEM);
  for (int i = 0; i < driver->count; i++)
    found(d, FOUND_WELL, "gpu", "CUDA device %d is %s, %s", i, driver->name[i], driver->device[i]);
  const int gpu = choose(d, driver);
  if (gpu < 0)
    return;
  look_at_peers(d, driver, gpu);
  look_at_mode(d, driver, gpu);
  look_at_sharing(d, driver, gpu);
  look_at_kind(d, driver, gpu);
  d->gpu_works = !d->gpu_barred && finding_count(d, FOUND_PROBLEM) == problems;
  look_at_decoder(d);
}

void doctor_device(doctor *d) {
  gpu_driver driver;
  char why[512];
  if (gpu_is_beside_the_point(d)) {
    found(d, FOUND_WELL, "driver", "this is about host memory: the GPU is not looked at");
    return;
  }
  doctor_stage(d, "loading the GPU's driver");
  if (!gpu_driver_load(&driver, why, sizeof why)) {
    if (strstr(why, "cannot open shared object file"))
      found_no_driver(d, why);
    else
      found_broken_driver(d, why);
    d->gpu_barred = true;
    return;
  }
  if (driver.version < OLDEST_VERSION) {
    finding *f =
        found(d, gpu_severity(d) == FOUND_PROBLEM ? FOUND_PROBLEM : FOUND_NOTE, "version",
              "the CUDA driver is too old: it speaks CUDA %d.%d", driver.version / 1000, driver.version % 1000 / 10);
    finding_why(f, "needed is %d.%d, which is driver 470 or later", OLDEST_VERSION / 1000, OLDEST_VERSION % 1000 / 10);
    finding_mend(f, "sudo apt install nvidia-driver, of a newer release; nvidia-smi shows the version");
    d->gpu_barred = true;
    return;
  }
  found(d, FOUND_WELL, "version", "the driver speaks CUDA %d.%d", driver.version / 1000, driver.version % 1000 / 10);
  look_at_halves(d, &driver);
  if (d->gpu_barred)
    return; /* its device files: the start would say the same in fewer words */
  doctor_stage(d, "starting the GPU's driver");
  int error = gpu_driver_start(&driver);
  if (error == 0 && driver.count == 0)
    error = NO_DEVICE;
  if (error != 0) {
    gpu_driver_error(&driver, error, why, sizeof why);
    finding *f = found(d, gpu_severity(d), "start",
                       error == NO_DEVICE ? "the CUDA driver finds no GPU" : "the CUDA driver does not start");
    finding_why(f, "%s", why);
    mend_start(f, d, error);
    d->gpu_barred = true;
    return;
  }
  d->gpu_expected = true;
  look_at_gpu(d, &driver);
}
