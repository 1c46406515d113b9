#!/usr/bin/env python3
"""test_doctor_gpu.py - cuframes doctor names what is wrong with a GPU and its driver, over the CUDA stand-in
(tests/cuda/standin), each fault made by its switches or by files in a mount namespace. tests/gpu/run does so on a
card."""
import os
import shutil
import subprocess
import sys

import doctoring
import harness
from doctoring import doctor, doctor_in
from harness import check

STANDIN = os.path.join(harness.BUILD_DIR, "tests", "cuda", "standin")
CUDA = ("--device", "cuda")
DAEMON, NOBODY, SOMEBODY = 1, 65534, 54321
SECOND_GPU = "GPU-57a2d120-c0da-4f00-8000-000000000001"


def gpu(s, **variables):
    """An environment with the stand-in and, where the stand-in is, a library with a decoder's name."""
    directory = s.path("driver")
    if not os.path.isdir(directory):
        os.mkdir(directory)
        os.symlink(os.path.join(STANDIN, "libcuda.so.1"), os.path.join(directory, "libcuda.so.1"))
        shutil.copy(os.path.join(harness.BUILD_DIR, "libcuframes.so"), os.path.join(directory, "libnvcuvid.so.1"))
    return dict({"LD_LIBRARY_PATH": directory, "CUDA_STANDIN_DEVICES": "2"},
                **{key: str(value) for key, value in variables.items()})


def publish(s, *args, **variables):
    return s.publish("test:320x180@25", "cam", *args, env=gpu(s, **variables))


def test_ready(s):
    report = doctor(s, *CUDA, env=gpu(s)).ready()
    for name in ("version", "gpu", "vmm", "stream-operations", "compute-mode", "mps", "nvdec"):
        report.finding("well", name)
    report.finding("well", "gpu", "gpu: 5 pictures", "every byte was right")
    for sync in ("timeline", "slot-events"):
        doctor(s, *CUDA, "--sync", sync, env=gpu(s)).ready().finding("well", "gpu", "mode " + sync)
    publish(s, "--device", "cuda:1")
    for args, mode in (((), "complete"), (("--sync", "timeline"), "timeline"), (("--device", "cuda:0"), "complete"),
                       (("--device", "cuda:" + SECOND_GPU, "--sync", "slot-events"), "slot-events")):
        doctor(s, "cam", *args, env=gpu(s)).ready().finding("well", "join", "mode " + mode)


def test_stream_in_host_memory(s):
    """A GPU that is broken does not matter to it, nor is its driver touched."""
    s.publish("test:320x180@25", "cam", "--device", "host")
    env = gpu(s, CUDA_STANDIN_HANG="cuInit")
    doctor(s, "cam", env=env).ready().finding("well", "driver", "host memory")
    doctor(s, "cam", "--timeout", "5", "--device", "cuda", env=env).problem("time", "GPU", alone=False)


def test_no_driver(s):
    publish(s, "--device", "cuda")
    finding = doctor(s, "cam").problem("driver", "no CUDA driver", "libcuda.so.1", SECOND_GPU[:-1] + "0")
    check("docker run --gpus all" in finding["mend"], "%s", finding)
    doctor(s, "cam", "--device", "host", env=gpu(s)).problem("join", "host memory only", "--device host")


def absent():
    """An environment in which the loader finds no driver at all, or the test is skipped."""
    load = "import ctypes; ctypes.CDLL('libcuda.so.1')"
    if subprocess.run([sys.executable, "-c", load], capture_output=True, check=False,
                      env=dict(os.environ, LD_LIBRARY_PATH="")).returncode == 0:
        harness.skip("this machine has a CUDA driver")
    return {"LD_LIBRARY_PATH": ""}


def test_absent_driver(s):
    """None, which is the usual thing, is no problem until a GPU is asked for; a stream on one asks."""
    s.publish("test:320x180@25", "cam", "--device", "host")
    doctor(s, "cam", env=absent()).ready()
    report = doctor(s, *CUDA, env=absent())
    report.problem("driver", "no CUDA driver can be loaded", "docker run --gpus all")
    doctor(s, "cam", *CUDA, env=absent()).problem("driver", "no CUDA driver can be loaded")


def test_broken_driver(s):
    """It is there, and is no library: the file is named, and not the card."""
    directory = s.path("broken")
    library = os.path.join(directory, "libcuda.so.1")
    os.mkdir(directory)
    env = gpu(s, LD_LIBRARY_PATH=directory)

    def put(source, most=-1):
        with open(source, "rb") as file, open(library, "wb") as out:
            out.write(file.read(most))

    whole = os.path.join(STANDIN, "libcuda.so.1")
    for source, most, texts in ((whole, 0, ("too short", library, "ls -lL")), ("/dev/urandom", 4000, ("ELF", "ls -lL")),
                                (os.path.join(harness.BUILD_DIR, "libcuframes.so"), -1,
                                 ("is no CUDA driver", "cuDriverGetVersion", "--reinstall"))):
        put(source, most)
        doctor(s, *CUDA, env=env).problem("driver", "is there, and cannot be loaded", *texts)
    put(whole)
    script = 'mount -t tmpfs -o noexec none "$0/broken" && cp %s "$0/broken/libcuda.so.1"' % whole
    doctor_in(s, script, *CUDA, env=env).problem("driver", "map segment", "remount,exec")


def test_wrong_gpu(s):
    publish(s, "--device", "cuda:1")
    report = doctor(s, "cam", env=gpu(s, CUDA_VISIBLE_DEVICES=0))
    report.problem("uuid", SECOND_GPU, "it sees 1", "CUDA_VISIBLE_DEVICES is \"0\"", "nvidia-smi -L")
    report.finding("unknown", "join", "not tried")
    doctor(s, "cam", env=gpu(s, CUDA_STANDIN_DEVICES=1)).problem("uuid", SECOND_GPU, "docker run --gpus all")
    report = doctor(s, "cam", "--device", "cuda:0", env=gpu(s, CUDA_VISIBLE_DEVICES=0))
    report.problem("uuid", "the stream's GPU", SECOND_GPU)
    doctor(s, "--device", "cuda:7", env=gpu(s)).problem("uuid", "cuda:7", "it sees 2")
    doctor(s, *CUDA, env=gpu(s, CUDA_VISIBLE_DEVICES="")).problem("start", "no GPU", "unset CUDA_VISIBLE_DEVICES")


def test_no_peer_access(s):
    publish(s, "--device", "cuda:0", CUDA_STANDIN_PEER=0)
    report = doctor(s, "cam", "--device", "cuda:1", env=gpu(s, CUDA_STANDIN_PEER=0))
    report.problem("peer", "device 1 cannot read the memory of device 0", "nvidia-smi topo -p2p r")


def test_old_driver(s):
    doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_VERSION=11020)).problem("version", "CUDA 11.2", "11.4", "driver 470")
    report = doctor(s, *CUDA, "--sync", "timeline", env=gpu(s, CUDA_STANDIN_VERSION=11040))
    report.problem("stream-operations", "no sync mode timeline", "--sync complete")
    report.finding("unknown", "mps")


def test_driver_that_does_not_start(s):
    causes = ((34, "stubs"), (100, "nvidia-smi -L"), (802, "nvidia-fabricmanager"), (803, "the driver was updated"),
              (804, "cuda-compat"), (805, "nvidia-cuda-mps-control"), (999, "dmesg"))
    for error, text in causes:
        report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_FAIL="cuInit:1:%d" % error))
        if error == 100 and any(finding["state"] == "note" and finding["check"] == "container"
                                for finding in report.findings):
            text = "--gpus all"
        report.problem("start", text)


def test_what_a_gpu_lacks(s):
    report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_ATTRIBUTES="102=0")).ready()
    report.finding("note", "vmm", "legacy")
    report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_ATTRIBUTES="102=0,125=0"))
    report.problem("vmm", "cannot be shared", "--device host")
    report.finding("unknown", "gpu", "not tried")
    report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_ATTRIBUTES="122=0")).ready()
    report.finding("note", "stream-operations", "no sync mode")
    report = doctor(s, *CUDA, "--sync", "timeline", env=gpu(s, CUDA_STANDIN_ATTRIBUTES="122=0"))
    report.problem("stream-operations", "64-bit stream memory operations")
    report = doctor(s, *CUDA, "--sync", "slot-events", env=gpu(s, CUDA_STANDIN_ATTRIBUTES="125=0"))
    report.problem("slot-events", "--sync complete")


def test_publisher_that_lacks_the_mode(s):
    """The reader's driver can, the publisher's cannot: that is seen only by joining."""
    publish(s, "--device", "cuda", CUDA_STANDIN_ATTRIBUTES="122=0")
    report = doctor(s, "cam", "--sync", "timeline", env=gpu(s))
    report.problem("sync", "sync mode that was asked for", "--sync complete")


def test_kinds_of_gpu(s):
    report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_ATTRIBUTES="20=3"))
    report.problem("compute-mode", "only one", "nvidia-smi -i 0 -c DEFAULT")
    doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_ATTRIBUTES="20=2")).problem("compute-mode", "Prohibited")
    env = gpu(s, CUDA_STANDIN_ATTRIBUTES="20=3,133=1,18=1", CUDA_STANDIN_NAME="H200 MIG 1g.18gb")
    report = doctor(s, *CUDA, env=env).ready()
    for name in ("mps", "tegra", "mig"):
        report.finding("note", name)


def test_memory_of_the_gpu(s):
    doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_MEMORY_MIB=1)).problem("gpu", "OUT_OF_MEMORY", "nvidia-smi")


def test_driver_that_hangs(s):
    """It is named, in the time that was given, and what comes behind it is looked at all the same."""
    report = doctor(s, *CUDA, "--timeout", "5", env=gpu(s, CUDA_STANDIN_HANG="cuInit"))
    report.problem("time", "starting the GPU's driver", "5 s", "xid", alone=False)
    report.finding("well", "host")
    report = doctor(s, *CUDA, "--timeout", "5", env=gpu(s, CUDA_STANDIN_HANG="cuMemCreate"))
    report.problem("time", "trial stream on the GPU", alone=False)


def test_driver_that_crashes(s):
    report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_CRASH="cuDeviceGetCount"))
    if not harness.SANITIZED:  # which has a handler of its own
        report.problem("crash", "starting the GPU's driver", "signal 11", alone=False)
    report.finding("well", "host")
    report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_EXIT="cuDeviceGetCount"))
    report.problem("crash", "starting the GPU's driver ended with 3", "it ended by itself, with code 3", alone=False)
    report = doctor(s, *CUDA, env=gpu(s, CUDA_STANDIN_CRASH="cuMemExportToShareableHandle"))
    check(report.problems, "it is ready: %s", report.findings)


# ---- containers ----


def test_capabilities(s):
    """What the container toolkit gives goes by two variables."""
    report = doctor(s, *CUDA, env={"NVIDIA_DRIVER_CAPABILITIES": "utility"})
    report.problem("capabilities", "without CUDA", "-e NVIDIA_DRIVER_CAPABILITIES=compute,video,utility", alone=False)
    report.problem("driver", "no CUDA driver", alone=False)
    no_decoder = gpu(s, NVIDIA_DRIVER_CAPABILITIES="compute,utility")
    os.unlink(s.path("driver", "libnvcuvid.so.1"))
    report = doctor(s, *CUDA, env=no_decoder)
    report.problem("capabilities", "video decoder", "without video", alone=False)
    report.problem("nvdec", "libnvcuvid", alone=False)
    publish(s, "--device", "cuda")
    doctor(s, "cam", env=no_decoder).ready().finding("note", "nvdec")  # readers need none
    report = doctor(s, *CUDA, env={"NVIDIA_VISIBLE_DEVICES": "void"})
    report.problem("visible-devices", "void", "--gpus all", alone=False)
    doctor(s, env={"NVIDIA_VISIBLE_DEVICES": "all"}).problem("driver", "no CUDA driver", alone=False)


DEVICES = 'mkdir "$0/dev" && cp -a /dev/null /dev/zero /dev/urandom /dev/random "$0/dev" && ' \
          'for file in %s; do : > "$0/dev/$file"; done && mount --bind "$0/dev" /dev && mkdir /dev/shm && '


def test_device_files(s):
    harness.need_user(SOMEBODY)
    harness.need_program("setpriv")
    script = DEVICES % "nvidiactl nvidia0" + "chmod 666 /dev/nvidia*"
    report = doctor_in(s, script, *CUDA, env=gpu(s))
    report.problem("device-files", "/dev/nvidia-uvm is not there", "nvidia-modprobe -u")
    shutil.rmtree(s.path("dev"))
    whole = DEVICES % "nvidiactl nvidia0 nvidia-uvm"
    doctor_in(s, whole + ":", *CUDA, env=gpu(s)).ready().finding("well", "device-files")
    shutil.rmtree(s.path("dev"))
    if not os.path.exists("/proc/driver/nvidia"):  # a file whose driver has gone
        report = doctor_in(s, whole + "rm /dev/nvidiactl && mknod /dev/nvidiactl c 195 255", *CUDA, env=gpu(s))
        report.problem("device-files", "/dev/nvidiactl is there and cannot be used", "nvidia-smi")
        shutil.rmtree(s.path("dev"))
    nodes = "; ".join("rm /dev/%s; mknod -m 666 /dev/%s c 195 %d" % (name, name, number)
                      for name, number in (("nvidiactl", 255), ("nvidia0", 0), ("nvidia-uvm", 1)))
    report = doctor_in(s, whole + nodes + '; mount -o remount,bind,nodev /dev', *CUDA, env=gpu(s))
    report.problem("device-files", "/dev/nvidiactl is there and cannot be used", "nodev", "remount,dev")
    shutil.rmtree(s.path("dev"))
    copy = s.for_user(SOMEBODY, harness.program())
    harness.give(s.dir, SOMEBODY)
    rights = 'shift; chmod 600 /dev/nvidia0; set -- setpriv --reuid %d --regid %d --clear-groups "%s" "$@"' % (
        SOMEBODY, SOMEBODY, copy)
    report = doctor_in(s, whole + "chmod 666 /dev/nvidia*; chmod 666 /dev/null; " + rights, *CUDA, env=gpu(s))
    report.problem("device-files", "/dev/nvidia0 is there and cannot be used", "mode 0600", "group 0")
    shutil.rmtree(s.path("dev"))


def test_device_group(s):
    """A control group that does not let the container use the card, as after systemctl daemon-reload."""
    group = "/sys/fs/cgroup/devices/cuframes-doctor-%d" % os.getpid()
    try:
        os.mkdir(group)
    except OSError as why:
        harness.skip("needs the right to make a control group of devices: %s" % why)
    s.at_end(os.rmdir, group)
    with open(os.path.join(group, "devices.deny"), "w") as out:
        out.write("c 195:* rwm")
    script = DEVICES % "nvidia-uvm" + "mknod -m 666 /dev/nvidiactl c 195 255; echo $$ > %s/cgroup.procs" % group
    report = doctor_in(s, script, *CUDA, env=gpu(s))
    report.problem("device-files", "/dev/nvidiactl is there and cannot be used", "control group of devices",
                   "--device /dev/nvidiactl")
    shutil.rmtree(s.path("dev"))


def test_driver_of_two_halves(s):
    """The module in the kernel and the library are of one version, or the driver was updated under the program."""
    env = gpu(s)
    os.makedirs(s.path("module", "nvidia"))
    says = ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23 2025\nGCC version: 13\n",
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (root@)\n")
    script = 'mount --bind "$0/module" /proc/driver'
    with open(s.path("module", "nvidia", "version"), "w") as out:
        out.write(says[0])
    report = doctor_in(s, script, "--timeout", "60", env={})
    report.problem("device-files", "the driver's module is loaded", alone=False)
    for text, version, problem in ((says[0], "570.86.15", None), (says[0], "580.159.04", "module"),
                                   (says[1], "570.86.15", None), (says[1], "580.159.04", "module")):
        with open(s.path("module", "nvidia", "version"), "w") as out:
            out.write(text)
        directory = s.path("driver-" + version)
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        shutil.copy(os.path.join(STANDIN, "libcuda.so.1"), os.path.join(directory, "libcuda.so." + version))
        os.symlink("libcuda.so." + version, os.path.join(directory, "libcuda.so.1"))
        shutil.copy(s.path("driver", "libnvcuvid.so.1"), directory)
        nodes = script + " && " + DEVICES % "nvidiactl nvidia0 nvidia-uvm" + ":"
        report = doctor_in(s, nodes, *CUDA, env=dict(env, LD_LIBRARY_PATH=directory))
        shutil.rmtree(s.path("dev"))
        if problem:
            report.problem("module", "580.159.04", "570.86.15")
        else:
            report.ready().finding("well", "module", "570.86.15")


def test_compatibility_library(s):
    directory = s.path("compat")
    os.mkdir(directory)
    shutil.copy(os.path.join(STANDIN, "libcuda.so.1"), directory)
    shutil.copy(os.path.join(harness.BUILD_DIR, "libcuframes.so"), os.path.join(directory, "libnvcuvid.so.1"))
    doctor(s, *CUDA, env=gpu(s, LD_LIBRARY_PATH=directory)).ready().finding("note", "library", "compatibility")


def test_outside_a_container(s):
    """What mends it on the machine itself is no option of docker's."""
    outside = doctoring.doctor_outside
    report = outside(s, "", *CUDA, env=gpu(s, CUDA_STANDIN_FAIL="cuInit:1:100"))
    report.problem("start", "finds no GPU", "nvidia-smi -L; dmesg | grep -i nvrm")
    outside(s, "", *CUDA, env=absent()).problem("driver", "apt install nvidia-driver, or the driver that fits the card")
    env = gpu(s)
    os.unlink(s.path("driver", "libnvcuvid.so.1"))
    outside(s, "", *CUDA, env=env).problem("nvdec", "apt install libnvcuvid1, of the driver's version")
    os.makedirs(s.path("module", "nvidia"))
    with open(s.path("module", "nvidia", "version"), "w"):
        pass
    no_nodes = 'mount --bind "$0/module" /proc/driver && ' + DEVICES % "none" + "rm /dev/none"
    report = outside(s, no_nodes, *CUDA, env=env)
    report.problem("device-files", "nobody has made the device files yet", "nvidia-modprobe -c=0 -u")
    shutil.rmtree(s.path("dev"))


def test_device_files_of_groups(s):
    """Outside of a container: who may use them is in their group, which must not be root's."""
    copy = s.for_user(DAEMON, harness.program())
    harness.need_program("setpriv")
    harness.give(s.dir, DAEMON)
    rights = 'shift; chmod 660 /dev/nvidia0; set -- setpriv --reuid %d --regid %d --clear-groups "%s" "$@"; ' % (
        DAEMON, DAEMON, copy)
    for group, text in ((0, "sudo chmod go+rw /dev/nvidia0; for good NVreg_DeviceFileMode=0666"),
                        (NOBODY, "sudo usermod -aG nogroup daemon, then log in again")):
        script = DEVICES % "nvidiactl nvidia0 nvidia-uvm" + "chmod 666 /dev/*; chgrp %d /dev/nvidia0; " % group + rights
        report = doctoring.doctor_outside(s, script, *CUDA, env=gpu(s))
        report.problem("device-files", "/dev/nvidia0 is there and cannot be used", "mode 0660", text)
        shutil.rmtree(s.path("dev"))


def test_jetson(s):
    """Whose memory cannot be shared: older ones."""
    script = 'cp -a /etc "$0/etc" && touch "$0/etc/nv_tegra_release" && mount --bind "$0/etc" /etc'
    report = doctor_in(s, script, *CUDA, env=gpu(s, CUDA_STANDIN_ATTRIBUTES="102=0,125=0"))
    report.problem("vmm", "memory of this GPU cannot be shared", "as on older Jetsons")


def test_wsl(s):
    with open(s.path("osrelease"), "w") as out:
        out.write("5.15.167.4-microsoft-standard-WSL2\n")
    script = 'mount --bind "$0/osrelease" /proc/sys/kernel/osrelease'
    doctor_in(s, script, *CUDA, env=gpu(s)).ready().finding("note", "wsl")
    doctor_in(s, script, *CUDA, env=absent()).problem("driver", "/usr/lib/wsl/lib")


if __name__ == "__main__":
    if not os.path.isdir(STANDIN):
        print("skipped: the CUDA stand-in was not built")
        raise SystemExit(harness.SKIP)
    doctoring.main(globals())
