"""Deadlines are absolute, lateness is caught up to a bound, and waiting can be ended."""

import threading
from itertools import repeat

import pytest
from device_helpers import FakeScheduler

from p2pcall.device.base import SILENT_FRAME
from p2pcall.device.files import NullWriter, PacedSink, PacedSource
from p2pcall.device.pace import MAX_CATCH_UP_S, Pacer, Ticker


def test_fifty_ticks_a_second_without_drift() -> None:
    scheduler, due = FakeScheduler(), []
    ticker, tick = Ticker(scheduler), due.append
    ticker.join(tick)
    ticker.join(tick)
    for _ in range(100):
        scheduler.advance(0.1003)
    assert len(due) == int(10.03 / 0.02)
    assert due == pytest.approx([100 + 0.02 * (n + 1) for n in range(len(due))], abs=1e-9)


def test_a_late_loop_is_caught_up() -> None:
    scheduler, due = FakeScheduler(), []
    ticker = Ticker(scheduler)
    ticker.join(due.append)
    scheduler.jump(0.09)
    scheduler.advance(0)
    assert len(due) == 4
    assert ticker.skipped == 0


def test_a_very_late_loop_leaves_out_what_it_missed() -> None:
    scheduler, due = FakeScheduler(), []
    ticker = Ticker(scheduler)
    ticker.join(due.append)
    scheduler.jump(60)
    scheduler.advance(0)
    assert len(due) <= 2
    assert ticker.skipped >= 2_990
    scheduler.advance(1)
    assert len(due) == pytest.approx(51, abs=1)
    assert due[-1] <= scheduler.now


def test_no_tick_after_stop_even_out_of_a_tick() -> None:
    scheduler, due = FakeScheduler(), []

    def tick(at: float) -> None:
        due.append(at)
        ticker.leave(tick)

    ticker = Ticker(scheduler)
    ticker.join(tick)
    scheduler.jump(0.09)
    scheduler.advance(1)
    assert len(due) == 1
    assert not ticker.running
    ticker.leave(tick)


def test_all_that_is_paced_ticks_in_one_turn_sources_first() -> None:
    scheduler = FakeScheduler()
    ticker = Ticker(scheduler)
    told: list[tuple[str, float]] = []
    played = PacedSink(NullWriter, ticker)
    heard = PacedSource(lambda: repeat(SILENT_FRAME), ticker)
    played.start(lambda _: told.append(("sink", scheduler.now)) or SILENT_FRAME)  # type: ignore[func-returns-value]
    scheduler.jump(0.007)
    heard.start(lambda pcm, due: told.append(("source", due)))
    scheduler.advance(0.03)
    assert told == [("source", 100.02), ("sink", 100.02)]
    heard.stop()
    scheduler.advance(0.02)
    assert told[2:] == [("sink", 100.04)]
    played.stop()
    assert not ticker.running


def test_who_is_ended_in_a_tick_by_another_is_not_called_in_it() -> None:
    scheduler, due = FakeScheduler(), []
    ticker, last = Ticker(scheduler), due.append
    ticker.join(last)
    ticker.join(lambda at: ticker.leave(last), first=True)
    scheduler.advance(0.1)
    assert not due
    assert ticker.running


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_the_first_picture_is_due_at_once_and_late_ones_are_told() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    assert pacer.wait_for(7.0) == 0
    clock.now += 1.05
    assert pacer.wait_for(8.0) == pytest.approx(0.05)
    clock.now += 1
    assert pacer.wait_for(9.0) == pytest.approx(0.05)


def test_much_too_late_starts_the_clock_anew() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    pacer.wait_for(0)
    clock.now += 10
    assert pacer.wait_for(1) == 0
    clock.now += 1 + MAX_CATCH_UP_S / 2
    assert pacer.wait_for(2) == pytest.approx(MAX_CATCH_UP_S / 2)


def test_close_ends_a_wait() -> None:
    pacer = Pacer()
    pacer.wait_for(0)
    got: list[float | None] = []
    waiter = threading.Thread(target=lambda: got.append(pacer.wait_for(3_600)))
    waiter.start()
    pacer.close()
    waiter.join(10)
    assert got == [None]
    assert pacer.closed
