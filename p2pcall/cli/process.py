"""Protect this process's memory, which holds the private key and the call, from other processes on the machine.

Rules: this is done first, for all commands. If the system does not support it, there is no message, because the user
cannot change that. The superuser can still read everything. Left out: intended output (files, screen).
"""

import ctypes
import resource
import sys
from contextlib import suppress
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""From Linux's prctl(2). A core limit of 0 has no effect where crashes go to a program (core(5)); this option has, and
it also denies debuggers and /proc/PID/mem to other processes of the same user."""


def leave_nothing() -> None:
    """From now on no core dump, and no access to the memory for other processes of the same user."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # no C library to load, or it has no prctl
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
