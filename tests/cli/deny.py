"""deny.py - runs a program under a seccomp filter that lets one system call fail, as a container's profile does.

    python3 deny.py CALL[:ARGUMENT=VALUE] ERROR PROGRAM ARGUMENTS...
    python3 deny.py RIGHT LANDLOCK PROGRAM ARGUMENTS...

CALL is one of the names below. ERROR is a name of errno, NOTHING for a call that says yes and does nothing, KILL for
one that ends the process, or HANG for one that never comes back, as on a file system whose server is away; with an
ARGUMENT (0 to 5) only calls with that VALUE fail. LANDLOCK is no filter: a security module that takes a RIGHT away, of
making sockets or files. Ends with 77 where filters cannot be had, or that module is not there."""
import ctypes
import errno
import os
import platform
import struct
import sys

CALLS = {
    "x86_64": {"socket": 41, "connect": 42, "sendmsg": 46, "recvmsg": 47, "bind": 49, "listen": 50, "socketpair": 53,
               "setsockopt": 54, "getsockopt": 55, "clone": 56, "fcntl": 72, "flock": 73, "ftruncate": 77, "mkdir": 83,
               "futex": 202, "fallocate": 285, "accept4": 288, "eventfd2": 290, "epoll_create1": 291,
               "memfd_create": 319, "pidfd_open": 434, "futex_waitv": 449},
    "aarch64": {"eventfd2": 19, "epoll_create1": 20, "fcntl": 25, "flock": 32, "mkdir": 34, "ftruncate": 46,
                "fallocate": 47, "futex": 98, "socket": 198, "socketpair": 199, "bind": 200, "listen": 201,
                "connect": 203, "setsockopt": 208, "getsockopt": 209, "sendmsg": 211, "recvmsg": 212, "clone": 220,
                "accept4": 242, "memfd_create": 279, "pidfd_open": 434, "futex_waitv": 449},
}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K
ALLOW, ERRNO = 0x7fff0000, 0x00050000
ACTIONS = {"KILL": 0x80000000, "HANG": 0x7fc00000}  # SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_USER_NOTIF
SET_NO_NEW_PRIVS = 38
SECCOMP, SET_MODE_FILTER, NEW_LISTENER = {"x86_64": 317, "aarch64": 277}, 1, 8
LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446
RIGHTS = {"make-file": 1 << 8, "make-socket": 1 << 9}  # LANDLOCK_ACCESS_FS_MAKE_REG, _MAKE_SOCK


def take_away(libc, right):
    """A set of rules that knows the right, and no rule that gives it."""
    handled = ctypes.c_uint64(RIGHTS[right])
    rules = libc.syscall(LANDLOCK_CREATE, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    if rules < 0 or libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.syscall(LANDLOCK_RESTRICT, rules, 0) != 0:
        sys.exit(77)
    os.execv(sys.argv[3], sys.argv[3:])


def build(number, argument, value, action):
    tests = [(LOAD, 0, 0, 0), (EQUAL, 0, None, number)]  # the call's number
    if argument is not None:
        tests += [(LOAD, 0, 0, 16 + 8 * argument), (EQUAL, 0, None, value)]  # low half of an argument
    lines = tests + [(RETURN, 0, 0, action), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", code, true, len(lines) - 2 - at if false is None else false, k)
                    for at, (code, true, false, k) in enumerate(lines))


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.argv[2] == "LANDLOCK":
        take_away(libc, sys.argv[1])
    call, _, condition = sys.argv[1].partition(":")
    argument, _, value = condition.partition("=")
    number = CALLS.get(platform.machine(), {}).get(call)
    if number is None:
        sys.exit(77)
    action = ACTIONS.get(sys.argv[2], ERRNO | getattr(errno, sys.argv[2], 0))
    program = build(number, int(argument) if argument else None, int(value or "0", 0), action)
    memory = ctypes.create_string_buffer(program, len(program))
    rules = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(memory)))
    hangs = sys.argv[2] == "HANG"
    if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit(77)
    listener = libc.syscall(SECCOMP[platform.machine()], SET_MODE_FILTER, NEW_LISTENER if hangs else 0, rules)
    if listener < 0:
        sys.exit(77)
    if hangs:
        os.set_inheritable(listener, True)  # whoever could answer the call has this open, and does not
    os.execv(sys.argv[3], sys.argv[3:])


if __name__ == "__main__":
    main()
