"""A world for a program under test: streams in memory, a clock that stands still, seeded entropy."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from p2pcall.env import Clock, Env
from p2pcall.types import Entropy


@dataclass(slots=True)
class FakeClock(Clock):
    """A clock that moves only when its fields are set."""

    now: float = 1000.0
    epoch: float = 1_700_000_000.0
    asleep_s: float = 0.0

    def time(self) -> float:
        return self.epoch + self.now

    def asleep(self) -> float:
        return self.asleep_s


def seeded_entropy(seed: int) -> Entropy:
    """The same seed gives the same bytes."""
    return Random(seed).randbytes


def fake_env(*, seed: int = 0, environ: Mapping[str, str] | None = None) -> Env:
    """Its streams are `io.StringIO`."""
    streams = io.StringIO(), io.StringIO(), io.StringIO()
    return Env(*streams, environ or {}, FakeClock(), seeded_entropy(seed))
