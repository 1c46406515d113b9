"""doctoring.py - what the tests of `cuframes doctor` share: running it, its findings, and trying what it says mends."""
import os
import re
import subprocess
import sys

import harness
from harness import FAILED, OK, check

STATES = {"problem", "well", "note", "unknown"}
SUBJECTS = {"directory", "kernel", "limits", "stream", "accounts", "device", "container", "trial"}


SAID = []  # by all runs of it


def said_file(test):
    """Where a test file writes what doctor said in it, for test_doctor_findings.py."""
    return os.path.join(harness.BUILD_DIR, "Testing", "Temporary", os.path.basename(test) + ".said")


def main(module):
    """As harness.main(); of a file that ran whole, and in which nothing was skipped, it is kept what doctor said."""
    path = said_file(sys.argv[0])
    if os.path.exists(path):
        os.unlink(path)
    try:
        harness.main(module)
    except SystemExit as end:
        if end.code == OK and not harness.SKIPPED and len(sys.argv) == 1:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as out:
                out.write("".join(sorted(set(SAID))))
        raise


class Report:
    """What one run of it said, with --all."""

    def __init__(self, result):
        told = harness.parse_json(result.out, "doctor: " + result.err)
        self.findings = told["findings"]
        self.problems = {finding["check"]: finding for finding in self.findings if finding["state"] == "problem"}
        states = {finding["check"]: finding["state"] for finding in self.findings}
        self.in_container = states.get("container") == "note"
        count = sum(finding["state"] == "problem" for finding in self.findings)
        check(result.code == (FAILED if count else OK), "%d problems, and it ended with %s", count, result.code)
        SAID.extend("%s\n" % finding[key] for finding in self.findings for key in ("what", "why", "mend"))
        check(told["problems"] == count and told["ready"] == (count == 0), "it says %s", told)
        for finding in self.findings:
            check(finding["state"] in STATES and finding["subject"] in SUBJECTS and finding["what"], "%s", finding)
            check(not re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(map(str, finding.values()))), "%r", finding)
            if finding["state"] == "problem":
                check(finding["why"] and finding["mend"], "a problem without cause or remedy: %s", finding)

    def ready(self):
        check(not self.problems, "not ready: %s", list(self.problems.values()))
        return self

    def problem(self, name, *texts, alone=True):
        """There is this problem, and it says these things; alone: and no other. Gives the finding."""
        check(name in self.problems, "no problem \"%s\", but %s", name, list(self.problems.values()))
        said = "\n".join(self.problems[name][key] for key in ("what", "why", "mend"))
        for text in texts:
            check(str(text) in said, "nothing of %r in %s", text, said)
        check(not alone or len(self.problems) == 1, "there are others: %s", list(self.problems.values()))
        return self.problems[name]

    def finding(self, state, name, *texts):
        """There is a finding of this state, and one such says these things."""
        there = [finding["what"] for finding in self.findings if (finding["check"], finding["state"]) == (name, state)]
        check(any(all(text in what for text in texts) for what in there), "no %s \"%s\" with %s, but %s", state, name,
              texts, [finding for finding in self.findings if finding["check"] == name])


def words(*args):
    """A command with --all and --json, for a program that starts it."""
    return (harness.program(), *harness.patient(("doctor", *args, "--all", "--json")))


def doctor(s, *args, **options):
    """Runs it with --all --json."""
    return Report(s.run("doctor", *args, "--all", "--json", **options))


def remedy(finding):
    """The command that it says mends it: up to the first explanation behind it, or the next one."""
    return re.split(r"; | \(|: it | removes | takes | ends it|, ", finding["mend"])[0]


def mend(s, finding, user=None):
    """Does what it says, in a shell of that user: what begins with sudo is root's."""
    command = remedy(finding)
    check(user is not None or "sudo" not in command, "root is to take sudo: %s", finding)
    options = harness.as_user(user) if user is not None and "sudo" not in command else {}
    if user is not None:
        command = command.replace("$(id -g)", str(user)).replace("sudo ", "")
    shell = 'cuframes() { "%s" "$@"; }; %s' % (harness.program(), command)
    done = subprocess.run(["bash", "-c", shell], env=s.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    check(done.returncode == 0, "%s: %s", command, done.stdout)


def need_mounts(*more):
    """The test is skipped where mount namespaces cannot be had, or these other ones of unshare's."""
    harness.need_program("unshare")
    if os.geteuid() != 0:
        harness.skip("needs root, to mount")
    tried = subprocess.run(["unshare", "--mount", *more, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True,
                           text=True, check=False)
    if tried.returncode != 0:
        harness.skip("cannot make a mount namespace here: " + tried.stderr.strip())


def doctor_in(s, script, *args, more=(), **options):
    """As doctor(), in a mount namespace of its own in which a shell script was run before. Its $0 is the test's
    directory."""
    need_mounts(*more)
    argv = ["unshare", "--mount", *more, "sh", "-ec", script + '\nexec "$@"', s.root]
    return Report(s.start_program(*argv, *words(*args), name="doctor", **options).wait())


# A root directory of its own, with all that the machine's has but the marks of a container.
OUTSIDE = """
unset container KUBERNETES_SERVICE_HOST
mkdir "$0/outside" && mount -t tmpfs none "$0/outside"
for place in /*; do
  if [ -L "$place" ]; then cp -a "$place" "$0/outside"
  elif [ -d "$place" ]; then mkdir "$0/outside$place" && mount --rbind "$place" "$0/outside$place"
  fi
done
rm -f "$0/outside/.dockerenv"
"""


def doctor_outside(s, script, *args, **options):
    """As doctor_in(), where nothing says that this is a container; skipped where the container cannot be left so."""
    if os.path.exists("/run/.containerenv"):
        harness.skip("this container says in /run that it is one")
    try:
        report = doctor_in(s, script + OUTSIDE + 'set -- chroot "$0/outside" "$@"', *args, **options)
    finally:
        os.rmdir(s.path("outside"))
    check(not report.in_container, "it takes this for a container: %s", report.findings)
    return report


def start_denied(s, call, error, *args, **options):
    """A process of it, where that call fails with that error; see deny.py."""
    launcher = os.path.join(harness.HERE, "deny.py")
    return s.start_program("python3", launcher, call, error, *words(*args), name="doctor", **options)


def report_of(process):
    """What such a process said in the end."""
    result = process.wait()
    if result.code == harness.SKIP:
        harness.skip("no seccomp filter can be made here")
    return Report(result)


def denied(s, call, error, *args, **options):
    """As doctor(), where that call fails with that error."""
    return report_of(start_denied(s, call, error, *args, **options))


def make_group(s, controller, file, value):
    """A control group of version 1 or 2 with a limit, as a path; or the test is skipped."""
    with open("/proc/self/cgroup") as groups:
        for line in groups.read().splitlines():
            _, controllers, path = line.split(":", 2)
            first = controller in controllers.split(",")
            top = "/sys/fs/cgroup/" + controller if first else "/sys/fs/cgroup"
            place = "%s%s/cuframes-doctor-%d" % (top, path, os.getpid())
            if not first and controllers:
                continue
            try:
                os.mkdir(place)
            except OSError:
                continue
            s.at_end(os.rmdir, place)
            limit = os.path.join(place, file[first])
            if os.path.exists(limit):
                with open(limit, "w") as out:
                    out.write(str(value))
                return place
    return harness.skip("needs the right to make a control group with a limit of " + controller)
