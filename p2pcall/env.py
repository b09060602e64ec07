"""What a process has from the world: streams, environment, clocks, entropy. Built once, then passed down.

Nothing below `engine` and `cli` reads a clock or the system's randomness; they get both as arguments.
"""

import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO, cast

from p2pcall.types import Entropy

BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)
"""The clock that goes on while the machine sleeps, where there is one: Linux. `time.monotonic` stands still."""


class Clock:
    """The system's clocks: `time` (seconds since the epoch) for logs only, and what the loop's own does not see."""

    def __init__(self) -> None:
        self._apart_s = _apart_s()

    def time(self) -> float:
        return time.time()

    def asleep(self) -> float:
        """For how many seconds the machine has slept since this clock was made, and never more.

        To be added to the loop's time where an interval must not stand still in sleep.
        """
        return _apart_s() - self._apart_s


def _apart_s() -> float:
    """How far the clocks are apart. Read in this order: what holds us up in between makes it less, and no sleep."""
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
        """The real one. A stream that was closed by the caller (`>&-`) leads to nowhere."""
        sys.stdin = sys.stdin or _nowhere("r")
        sys.stdout = sys.stdout or _nowhere("w")
        sys.stderr = sys.stderr or _nowhere("w")
        return cls(sys.stdin, sys.stdout, sys.stderr, os.environ)
