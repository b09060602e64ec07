"""What this process keeps from others on the machine: its memory, which has the private key and the call.

Rules: done before anything else, for all commands; where the system has no such thing nothing is said, for nobody can
mend it. The superuser reads what he likes all the same. Leaves out what leaves the process on purpose (files, screen).
"""

import ctypes
import resource
import sys
from contextlib import suppress
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""Of Linux' prctl(2). A limit of 0 does not hold where crashes go to a program (core(5)); this does, and keeps
debuggers and /proc/PID/mem from other processes of the same user."""


def leave_nothing() -> None:
    """No core dump from now on, and none of its memory for other processes of the same user."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a C library that cannot be had, or has no prctl
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
