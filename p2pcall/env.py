"""What a process has from the world: streams, environment, clocks, entropy. Built once, then passed down.

Nothing below `engine` and `cli` reads a clock or the system's randomness; they get both as arguments. Tests build
an `Env.fake()` with a seeded entropy and a clock that moves when told.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TextIO, cast

Entropy = Callable[[int], bytes]
"""`entropy(n)` gives n unpredictable bytes."""


class Clock:
    """The system's clocks: `monotonic` for every interval, `time` (seconds since the epoch) for logs only."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()


@dataclass(slots=True)
class FakeClock(Clock):
    """A clock that moves only by `advance`."""

    now: float = 1000.0
    epoch: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.epoch + self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def seeded_entropy(seed: int) -> Entropy:
    """Entropy for tests and simulations: the same seed gives the same bytes. Never for real keys."""
    return Random(seed).randbytes


def _nowhere(mode: str) -> TextIO:
    return cast(TextIO, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


@dataclass(slots=True)
class Env:
    """The process's surroundings."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    clock: Clock = field(default_factory=Clock)
    entropy: Entropy = os.urandom

    @classmethod
    def system(cls) -> "Env":
        """The real one. A stream that was closed by the caller (`>&-`) leads to nowhere."""
        sys.stdin = sys.stdin or _nowhere("r")
        sys.stdout = sys.stdout or _nowhere("w")
        sys.stderr = sys.stderr or _nowhere("w")
        return cls(sys.stdin, sys.stdout, sys.stderr, os.environ)

    @classmethod
    def fake(cls, *, seed: int = 0, environ: Mapping[str, str] | None = None) -> "Env":
        """For tests: streams in memory, a clock that stands still, seeded entropy."""
        import io

        return cls(
            io.StringIO(), io.StringIO(), io.StringIO(), environ or {}, FakeClock(), seeded_entropy(seed)
        )
