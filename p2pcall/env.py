"""The surroundings of the process: streams, environment, clocks, entropy. Built once, then passed down.

Nothing below `engine` and `cli` reads a clock or the system's randomness; they get both as arguments.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO, cast

from p2pcall.types import Entropy

BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)
"""The clock that continues while the machine sleeps (Linux only). `time.monotonic` stops."""


class Clock:
    """The system's clocks: `time` (seconds since the epoch, for logs only), and `asleep`, which the loop lacks."""

    def __init__(self) -> None:
        self._apart_s = _apart_s()

    def time(self) -> float:
        return time.time()

    def asleep(self) -> float:
        """How many seconds the machine has slept since this clock was made; never an overestimate.

        Add it to the loop's time where an interval must also count sleep.
        """
        return _apart_s() - self._apart_s


def _apart_s() -> float:
    """The difference of the clocks. The order of reading matters: a delay in between makes it smaller, never larger."""
    return 0.0 if BOOTTIME is None else time.clock_gettime(BOOTTIME) - time.monotonic()


def _nowhere(mode: str) -> TextIO:
    return cast(TextIO, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


class Env:
    """The process's surroundings."""

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        stderr: TextIO,
        environ: Mapping[str, str],
        clock: Clock | None = None,
        entropy: Entropy = os.urandom,
    ) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.environ = environ
        self.clock = clock or Clock()
        self.entropy = entropy

    @classmethod
    def system(cls) -> "Env":
        """The real surroundings. A stream that the caller has closed (`>&-`) is replaced by the null device."""
        sys.stdin = sys.stdin or _nowhere("r")
        sys.stdout = sys.stdout or _nowhere("w")
        sys.stderr = sys.stderr or _nowhere("w")
        return cls(sys.stdin, sys.stdout, sys.stderr, os.environ)
