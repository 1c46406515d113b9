#!/usr/bin/env python3
"""test_doctor_remedies.py - what cuframes doctor says mends it does: each fault of somebody who begins is made, the
remedy is given to a shell as it is said, and doctor finds it ready. test_doctor.py does so for rights and owners of the
directory, test_doctor_stream.py for publishers that are stopped or full."""
import os
import shlex
import subprocess

import doctoring
import harness
from doctoring import doctor, doctor_in, mend, remedy
from harness import check

HOST = ("--device", "host")
DAEMON, NOBODY, SOMEBODY = 1, 65534, 54321
GROUP = 54300  # that no system has


def in_shell(s, begin, *args, user=None, **options):
    """As doctor(), in a shell that does something before."""
    exe = harness.program() if user is None else s.for_user(user, harness.program())
    _, *argv = doctoring.words(*args)
    return doctoring.Report(s.start_program("bash", "-c", begin + '\n"$0" "$@"', exe, *argv, name="doctor", user=user,
                                            **options).wait())


def publish(s, command, **options):
    """Starts what it says, cuframes publish, with a source in the place of what only its user knows."""
    command = command[command.find("cuframes publish"):]  # in a container it begins with what is done outside of it
    argv = shlex.split(remedy({"mend": command}).replace(" ... ", " INPUT ").replace("INPUT", "test:320x180@25"))
    check(argv[:2] == ["cuframes", "publish"], "it says %s", command)
    pub = s.start(*argv[1:], **options)
    s.wait_stream(argv[argv.index("--name") + 1], pub)
    return pub


# ---- limits of the shell ----


def test_limits_of_the_shell(s):
    """Soft ones, as a profile sets them."""
    if harness.SANITIZED:
        harness.skip("a sanitizer needs more than such limits give")
    for limit, name in (("-n 100", "descriptors"), ("-f 1000", "file-size"), ("-v 800000", "addresses"),
                        ("-t 500", "cpu-time"), ("-s 100", "stack")):
        finding = in_shell(s, "ulimit -S " + limit, *HOST).problem(name)
        in_shell(s, "ulimit -S %s\n%s" % (limit, remedy(finding)), *HOST).ready()


def test_limit_of_processes(s):
    harness.need_user(SOMEBODY)
    os.chmod(s.dir, 0o1777)
    finding = in_shell(s, "ulimit -S -u 9", *HOST, user=SOMEBODY).problem("tasks", "ulimit -u 4096")
    in_shell(s, "ulimit -S -u 9\n" + remedy(finding), *HOST, user=SOMEBODY).ready()


def test_hard_limits(s):
    """Nobody but root raises them, and in a container not even root."""
    harness.need_user(SOMEBODY)
    harness.need_program("setpriv")
    os.chmod(s.dir, 0o1777)
    lower = "ulimit -n 100"
    finding = in_shell(s, lower, *HOST, user=SOMEBODY).problem("descriptors", "sudo prlimit --pid $$ --nofile=4096")
    as_root = "%s; %s" % (lower, remedy(finding).replace("sudo ", ""))
    if subprocess.run(["bash", "-c", as_root], capture_output=True, check=False).returncode == 0:
        in_shell(s, as_root, *HOST).ready()
    weak = 'ulimit -n 100; set -- setpriv --bounding-set -sys_resource --inh-caps -sys_resource "$0" "$@"; exec "$@"'
    finding = in_shell(s, weak, *HOST).problem("descriptors", "docker run --ulimit nofile=4096")
    check("ulimit -n" not in finding["mend"] and "prlimit" not in finding["mend"], "it cannot: %s", finding)


# ---- the directory ----


def test_directory_of_root(s):
    """One that anybody, or a group, may write to, as somebody who does not own it sees it."""
    harness.need_user(NOBODY)
    for mode in (0o777, 0o775):
        os.chown(s.dir, 0, NOBODY)
        os.chmod(s.dir, mode)
        finding = doctor(s, *HOST, user=NOBODY).problem("rights", "sudo chmod +t " + s.dir)
        mend(s, finding, NOBODY)
        doctor(s, *HOST, user=NOBODY).ready()
        check(os.stat(s.dir).st_mode & 0o777 == mode, "others may do less than before")


def test_directory_of_a_group(s):
    """Who is not in the group is let into it."""
    harness.need_user(DAEMON)
    for group, mode in ((NOBODY, 0o3770), (GROUP, 0o3770), (0, 0o755)):
        os.chown(s.dir, 0, group)
        os.chmod(s.dir, mode)
        finding = doctor(s, *HOST, user=DAEMON).problem("access", "sudo ")
        if group:
            as_member(s, finding, *HOST).ready()
        else:
            mend(s, finding, DAEMON)
            doctor(s, *HOST, user=DAEMON).ready()
            check(os.stat(s.dir).st_mode & 0o005 == 0o005, "others may do less than before")


def as_member(s, finding, *args):
    """In an /etc of its own, and as who has just logged in: what it says is done as it is said."""
    harness.need_program("usermod")
    harness.need_program("setpriv")
    copy = s.for_user(DAEMON, harness.program())
    script = 'cp -a /etc "$0/etc" && mount --bind "$0/etc" /etc && sudo() { "$@"; }; %s; shift; ' \
             'set -- setpriv --reuid %d --regid %d --init-groups "%s" "$@"' % (remedy(finding), DAEMON, DAEMON, copy)
    try:
        return doctor_in(s, script, *args)
    finally:
        subprocess.run(["rm", "-r", s.path("etc")], check=True)


def test_socket_of_a_group(s):
    harness.need_user(DAEMON)
    os.chmod(s.dir, 0o755)
    pub = s.publish("test:320x180@25", "cam", "--mode", "0660")
    for group in (NOBODY, GROUP):
        os.chown(os.path.join(s.dir, "cam.sock"), 0, group)
        as_member(s, doctor(s, "cam", user=DAEMON).problem("socket", "usermod -aG"), "cam").ready()
    os.chown(os.path.join(s.dir, "cam.sock"), 0, 0)
    finding = doctor(s, "cam", user=DAEMON).problem("socket", "--group %d" % DAEMON)
    pub.stop()
    publish(s, finding["mend"])
    doctor(s, "cam", user=DAEMON).ready()


def test_allow_list(s):
    harness.need_user(SOMEBODY)
    os.chmod(s.dir, 0o755)
    pub = s.publish("test:320x180@25", "cam", "--mode", "0666", "--allow-uid", "1")
    finding = doctor(s, "cam", user=SOMEBODY).problem("answer", "allow list")
    pub.stop()
    publish(s, finding["mend"].replace(" (or", " --mode 0666 (or"))
    doctor(s, "cam", user=SOMEBODY).ready()


def test_mounts(s):
    """Done in the same namespace."""
    full = 'mount -t tmpfs -o nr_inodes=2,mode=0700 none "$0/run" && touch "$0/run/x"'
    finding = doctor_in(s, full, *HOST).problem("room", "mount -o remount,nr_inodes=0 " + s.dir)
    doctor_in(s, "%s\n%s" % (full, remedy(finding)), *HOST).ready()
    path = s.path("d" * 120)
    os.mkdir(path, 0o700)
    bare, env = "mount -t tmpfs none /proc", {"ASAN_OPTIONS": "detect_leaks=0"}  # looking for leaks takes /proc
    finding = doctor_in(s, bare, "--dir", path, *HOST, env=env).problem("length", "mount -t proc", alone=False)
    doctor_in(s, "%s\n%s" % (bare, remedy(finding)), "--dir", path, *HOST).ready()


def test_link_of_another(s):
    link = s.path("link")
    os.symlink(s.dir, link)
    try:
        os.lchown(link, NOBODY, NOBODY)
    except OSError as why:
        harness.skip("cannot give a link to another user: %s" % why)
    finding = doctor(s, "--dir", link, *HOST).problem("link", "readlink -f")
    in_shell(s, "export " + remedy(finding).replace(" on both sides", ""), *HOST).ready()


def test_file_in_its_place(s):
    with open(s.path("place"), "w"):
        pass
    mend(s, doctor(s, "--dir", s.path("place"), *HOST).problem("exists", "is a file and no directory"))
    doctor(s, "--dir", s.path("place"), *HOST).ready()


# ---- streams ----


def test_nobody_and_dead(s):
    pub = publish(s, doctor(s, "cam").problem("exists", "nobody publishes")["mend"])
    doctor(s, "cam").ready()
    pub.kill()
    publish(s, doctor(s, "cam").problem("exists", "has died")["mend"])
    doctor(s, "cam").ready()


def test_publisher_of_another_user(s):
    """Who may not send it a signal is told to be root."""
    harness.need_user(NOBODY)
    os.chmod(s.dir, 0o755)
    pub = s.publish("test:320x180@25", "cam", "--mode", "0666")
    pub.suspend()
    mend(s, doctor(s, "cam", user=NOBODY).problem("answer", "sudo kill -CONT %d" % pub.pid), NOBODY)
    doctor(s, "cam", user=NOBODY).ready()


def test_readers(s):
    """One that is stopped goes on, and one that holds what it has for good is ended."""
    s.publish("test:320x180@50", "cam")
    reader = s.start_program(harness.need_built("tests", "observer"), "cam", "--hold", "2000", name="observer")
    behind = lambda: any(seat["lag"] > 150 and seat["leases_held"]
                         for seat in s.json("info", "cam", "--json")["subscriber_list"])
    s.until(lambda: s.json("info", "cam", "--json")["slots_pinned"], "it holds some")
    reader.suspend()
    s.until(behind, "it is behind")
    mend(s, doctor(s, "cam").problem("readers", "kill -CONT %d" % reader.pid))
    s.until(lambda: not behind(), "it goes on")
    reader.stop(code=None)
    keeper = s.start_program(harness.need_built("tests", "observer"), "cam", "--pin", "1", name="observer")
    s.until(behind, "it is behind")
    mend(s, doctor(s, "cam").problem("readers", "kill %d ends it" % keeper.pid))
    keeper.wait()
    doctor(s, "cam").ready()


if __name__ == "__main__":
    doctoring.main(globals())
