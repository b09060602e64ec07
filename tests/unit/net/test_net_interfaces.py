"""The watch over this machine's own addresses, on a loop whose clock is turned by hand."""

import asyncio
from typing import Any

import pytest

from p2pcall.net import interfaces
from p2pcall.net.interfaces import ADDRESS_POLL_S, AddressWatch, OwnAddresses, own_addresses

HOME, WORK = b"\xc0\0\2\1", b"\xc6\x33\x64\1"


class Clock(asyncio.AbstractEventLoop):
    """Only `call_later`, and a way to let the time come."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Any]] = []
        self.cancelled = 0

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self.waiting.append((delay, callback))
        return self

    def cancel(self) -> None:
        self.cancelled += 1
        self.waiting.clear()

    def come(self) -> float:
        """The next call, now; its delay."""
        delay, callback = self.waiting.pop(0)
        callback()
        return delay


def test_change_of_addresses_is_told_once() -> None:
    clock, told = Clock(), []
    seen = [frozenset({HOME}), frozenset({HOME}), frozenset({WORK}), frozenset({WORK}), frozenset()]
    watch = AddressWatch(clock, told.append, lambda: seen.pop(0))
    assert [clock.come() for _ in range(4)] == [ADDRESS_POLL_S] * 4
    assert told == [frozenset({WORK}), frozenset()]
    watch.stop()
    assert clock.cancelled == 1
    assert not clock.waiting


def test_own_addresses_have_the_loopback() -> None:
    assert b"\x7f\0\0\1" in own_addresses()


def test_system_that_does_not_tell_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[interfaces.Interface]:
        raise OSError("no")

    monkeypatch.setattr(interfaces, "interfaces", fail)
    found: OwnAddresses = own_addresses()
    assert found == frozenset()
