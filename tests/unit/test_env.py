"""What the system's clocks tell of sleep."""

import pytest

from p2pcall import env
from p2pcall.env import Clock


class Clocks:
    """In the place of the module `time`: one clock stands still in sleep, the other does not."""

    def __init__(self) -> None:
        self.awake, self.boot = 5.0, 105.0
        self.between = 0.0

    def monotonic(self) -> float:
        return self.awake

    def clock_gettime(self, number: int) -> float:
        assert number == 7
        told = self.boot
        self.run(self.between)
        return told

    def run(self, seconds: float, asleep: float = 0.0) -> None:
        self.awake += seconds
        self.boot += seconds + asleep


def test_sleep_is_seen_and_being_held_up_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks()
    monkeypatch.setattr(env, "time", clocks)
    monkeypatch.setattr(env, "BOOTTIME", 7)
    clock = Clock()
    assert clock.asleep() == 0.0
    clocks.run(50.0)
    assert clock.asleep() == 0.0
    clocks.run(0.0, asleep=61.0)
    assert clock.asleep() == 61.0
    clocks.between = 500.0
    assert clock.asleep() < 61.0


def test_where_no_clock_goes_on_in_sleep_nobody_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "BOOTTIME", None)
    assert Clock().asleep() == 0.0


def test_the_systems_clock_has_not_slept_in_this_test() -> None:
    assert Clock().asleep() < 1.0
