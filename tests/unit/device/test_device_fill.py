"""How much sound a speaker's buffer holds: by when it ran dry, in virtual time."""

import pytest

from p2pcall.device import fill
from p2pcall.device.fill import FillLevel

LEAST_S = fill.POLL_S + fill.SPARE_S


def play(level: FillLevel, now: float, seconds: float, late: dict[int, float] | None = None) -> float:
    """Polls a card that plays evenly; `late`: poll number -> seconds by which it came too late. Told a poll later."""
    late, dry = late or {}, False
    for number in range(round(seconds / fill.POLL_S)):
        step = fill.POLL_S + late.get(number, 0.0)
        now += step
        level.polled(now, moved=True, dry=dry)
        dry = step > level.target
    return now


def settled() -> tuple[FillLevel, float]:
    level = FillLevel()
    level.polled(100.0, moved=False, dry=False)
    return level, play(level, 100.0, 2 * fill.SETTLE_S)


def test_it_begins_with_as_little_as_can_be() -> None:
    level, _ = settled()
    assert level.target == LEAST_S
    assert (level.dry, level.lazy) == (0, False)


def test_what_is_missed_at_the_start_counts_for_nothing() -> None:
    level = FillLevel()
    level.polled(100.0, moved=False, dry=False)
    play(level, 100.0, fill.SETTLE_S / 2, {10: 0.1, 20: 0.1})
    assert (level.dry, level.target) == (0, LEAST_S)


def test_to_run_dry_once_is_an_accident_and_twice_is_the_machine() -> None:
    level, now = settled()
    now = play(level, now, 1, {50: 0.05})
    assert level.target == pytest.approx(LEAST_S + fill.STEP_S)
    play(level, now, 1, {50: 0.04})
    assert level.dry == 2
    assert level.target == pytest.approx(fill.DEEPER * (0.05 + fill.POLL_S))


def test_two_accidents_far_apart_are_accidents() -> None:
    level, now = settled()
    now = play(level, now, fill.DRY_WITHIN_S + 1, {1: 0.05})
    play(level, now, 1, {1: 0.05})
    assert level.dry == 2
    assert level.target == pytest.approx(LEAST_S + 2 * fill.STEP_S)


def test_it_never_holds_more_than_the_buffer_has_room_for() -> None:
    level, now = settled()
    play(level, now, 4, {1: 1.0, 100: 1.0, 200: 1.0})
    assert level.target == fill.MOST_S


def test_what_is_not_needed_is_given_back_but_not_soon() -> None:
    level, now = settled()
    now = play(level, now, 1, {20: 0.05, 60: 0.05})
    deep = level.target
    assert deep > 0.05
    now = play(level, now, 0.9 * fill.TRUST_S)
    assert level.target == deep
    play(level, now, 60 * fill.CALM_S)
    assert level.target == pytest.approx(LEAST_S)


def test_much_is_given_back_sooner_than_little() -> None:
    level, now = settled()
    now = play(level, now, 1, {20: 0.05, 60: 0.05})
    most = level.target - LEAST_S
    assert most > 0.03
    now = play(level, now, fill.TRUST_S + 4 * fill.CALM_S)
    assert level.target - LEAST_S < most / 2


def test_each_accident_is_remembered_for_longer() -> None:
    level, now = settled()
    last = 0.0
    for _ in range(7):
        now = began = play(level, now, 1, {20: 0.2})
        deep = level.target
        while level.target == deep:
            now = play(level, now, 1)
        assert now - began > 1.5 * last or now - began > fill.TRUST_MOST_S - fill.CALM_S
        last = now - began


def test_looks_that_come_more_often_need_less() -> None:
    level, now = settled()
    level.polled(now + fill.FAST_POLL_S, moved=True, dry=False, poll_s=fill.FAST_POLL_S)
    assert level.target == pytest.approx(fill.FAST_POLL_S + fill.SPARE_S)


@pytest.mark.parametrize("known", [False, True])
def test_a_card_that_takes_nothing_at_its_start_is_lazy_and_stays_deep(known: bool) -> None:
    level = FillLevel(lazy=known)
    now = 100.0
    for _ in range(round(2 * fill.LAZY_S / fill.POLL_S)):
        now += fill.POLL_S
        level.polled(now, moved=False, dry=False)
    assert (level.lazy, level.target) == (True, fill.LAZY_LEAST_S)
    play(level, now, 10 * fill.CALM_S)
    assert level.target == fill.LAZY_LEAST_S
