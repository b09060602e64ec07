"""How much sound a speaker's buffer holds: by what was left at each poll, in virtual time."""

import pytest

from p2pcall.device import fill
from p2pcall.device.fill import FillLevel


def play(level: FillLevel, now: float, seconds: float, late: dict[int, float] | None = None) -> float:
    """Polls a card that plays evenly; `late`: poll number -> seconds by which it came too late."""
    for number in range(round(seconds / fill.POLL_S)):
        step = fill.POLL_S + (late or {}).get(number, 0.0)
        now += step
        level.polled(now, max(0.0, level.target - step), moved=True)
    return now


def settled() -> tuple[FillLevel, float]:
    level = FillLevel()
    level.polled(100.0, 0.0, moved=False)
    return level, play(level, 100.0, 2 * fill.SETTLE_S)


def test_it_begins_with_as_little_as_can_be() -> None:
    level, _ = settled()
    assert level.target == fill.LEAST_FILL_S
    assert (level.dry, level.lazy) == (0, False)


def test_what_is_missed_at_the_start_counts_for_nothing() -> None:
    level = FillLevel()
    level.polled(100.0, 0.0, moved=False)
    play(level, 100.0, fill.SETTLE_S / 2, {10: 0.1, 20: 0.1})
    assert (level.dry, level.target) == (0, fill.LEAST_FILL_S)


def test_to_run_dry_once_is_an_accident_and_twice_is_the_machine() -> None:
    level, now = settled()
    now = play(level, now, 1, {50: 0.05})
    assert level.target == pytest.approx(fill.LEAST_FILL_S + fill.STEP_S)
    play(level, now, 1, {50: 0.04})
    assert level.dry == 2
    assert level.target == pytest.approx(fill.DEEPER * (0.05 + fill.POLL_S))


def test_two_accidents_far_apart_are_accidents() -> None:
    level, now = settled()
    now = play(level, now, fill.DRY_WITHIN_S + 1, {1: 0.05})
    play(level, now, 1, {1: 0.05})
    assert level.target == pytest.approx(fill.LEAST_FILL_S + 2 * fill.STEP_S)


def test_it_is_never_deeper_than_the_buffer() -> None:
    level, now = settled()
    play(level, now, 4, {1: 1.0, 100: 1.0, 200: 1.0})
    assert level.target == fill.MOST_S


def test_what_is_not_needed_is_given_back() -> None:
    level, now = settled()
    now = play(level, now, 1, {20: 0.05, 60: 0.05})
    assert level.target > 0.05
    play(level, now, 60 * fill.CALM_S)
    assert level.target == pytest.approx(fill.LEAST_FILL_S)


def test_what_is_needed_now_and_then_is_kept() -> None:
    level, now = settled()
    now = play(level, now, 1, {20: 0.03, 60: 0.03})
    deep = level.target
    for _ in range(40):
        now = play(level, now, fill.CALM_S + 1, {500: deep - fill.POLL_S - fill.SPARE_S})
    assert level.target == pytest.approx(deep)
    assert level.dry == 2


@pytest.mark.parametrize("known", [False, True])
def test_a_card_that_takes_nothing_at_its_start_is_lazy_and_stays_deep(known: bool) -> None:
    level = FillLevel(lazy=known)
    now = 100.0
    for _ in range(round(2 * fill.LAZY_S / fill.POLL_S)):
        now += fill.POLL_S
        level.polled(now, level.target, moved=False)
    assert (level.lazy, level.target) == (True, fill.LAZY_LEVEL_S)
    play(level, now, 10 * fill.CALM_S)
    assert level.target == fill.LAZY_LEVEL_S
