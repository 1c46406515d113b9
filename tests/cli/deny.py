"""deny.py - runs a program under a seccomp filter that lets one system call fail, as a container's profile does.

    python3 deny.py CALL[:ARGUMENT=VALUE] ERROR PROGRAM ARGUMENTS...

CALL is one of the names below, ERROR a name of errno, or NOTHING for a call that says yes and does nothing; with an
ARGUMENT (0 to 5) only calls with that VALUE fail. Ends with 77 where filters cannot be had."""
import ctypes
import errno
import os
import platform
import struct
import sys

CALLS = {
    "x86_64": {"sendmsg": 46, "setsockopt": 54, "socketpair": 53, "getsockopt": 55, "fcntl": 72, "futex": 202,
               "eventfd2": 290, "epoll_create1": 291, "memfd_create": 319, "pidfd_open": 434, "futex_waitv": 449,
               "clone": 56},
    "aarch64": {"fcntl": 25, "eventfd2": 19, "epoll_create1": 20, "futex": 98, "socketpair": 199, "setsockopt": 208,
                "getsockopt": 209, "sendmsg": 211, "clone": 220, "memfd_create": 279, "pidfd_open": 434,
                "futex_waitv": 449},
}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K
ALLOW, ERRNO = 0x7fff0000, 0x00050000
SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2


def build(number, argument, value, error):
    tests = [(LOAD, 0, 0, 0), (EQUAL, 0, None, number)]  # the call's number
    if argument is not None:
        tests += [(LOAD, 0, 0, 16 + 8 * argument), (EQUAL, 0, None, value)]  # low half of an argument
    lines = tests + [(RETURN, 0, 0, ERRNO | error), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", code, true, len(lines) - 2 - at if false is None else false, k)
                    for at, (code, true, false, k) in enumerate(lines))


def main():
    call, _, condition = sys.argv[1].partition(":")
    argument, _, value = condition.partition("=")
    number = CALLS.get(platform.machine(), {}).get(call)
    if number is None:
        sys.exit(77)
    program = build(number, int(argument) if argument else None, int(value or "0", 0), getattr(errno, sys.argv[2], 0))
    memory = ctypes.create_string_buffer(program, len(program))
    rules = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(memory)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(SET_SECCOMP, FILTER, rules, 0, 0) != 0:
        sys.exit(77)
    os.execv(sys.argv[3], sys.argv[3:])


if __name__ == "__main__":
    main()
