"""Run a command that the kernel kills as soon as it makes a socket for the internet, in Python or in C.

python -m testing.services.no_network COMMAND [ARGUMENT]...

A filter on system calls (seccomp(2)), which the command inherits: unlike a patched `socket`, it also holds librdkafka.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import struct
import sys

KILLED = -signal.SIGSYS
"""The exit code of a process that has tried."""

CALLS = {"x86_64": (41, 42), "aarch64": (198, 203)}
"""The numbers of socket(2) and connect(2) by machine; the filter exists for these."""

# linux/prctl.h, linux/seccomp.h, linux/bpf_common.h
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
_CALL, _FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data


def forbid_internet_sockets() -> None:
    """Install the filter in this process, for itself and what it starts.

    Raises:
        OSError: The kernel does not take it.
    """
    make_socket, connect = CALLS[platform.machine()]
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (_LOAD, 0, 0, _CALL),
            (_JUMP_IF_EQUAL, 4, 0, connect),
            (_JUMP_IF_EQUAL, 0, 2, make_socket),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_JUMP_IF_EQUAL, 1, 0, socket.AF_INET),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _KILL_PROCESS),
        )
    )
    instructions = ctypes.create_string_buffer(program, len(program))
    described = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(instructions)))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SECCOMP, _FILTER, described, 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    forbid_internet_sockets()
    os.execvp(sys.argv[1], sys.argv[1:])
