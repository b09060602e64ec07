"""The replay window: each counter once, none too old."""

from p2pcall.proto.constants import REPLAY_WINDOW
from p2pcall.proto.line.replay import ReplayWindow


def accept(window: ReplayWindow, counter: int) -> bool:
    fresh = window.is_fresh(counter)
    if fresh:
        window.mark(counter)
    return fresh


def test_each_counter_is_accepted_once() -> None:
    window = ReplayWindow()
    assert all(accept(window, counter) for counter in range(20_000))
    assert not any(accept(window, counter) for counter in range(20_000))


def test_late_counter_inside_the_window_is_accepted() -> None:
    window = ReplayWindow()
    newest = 3 * REPLAY_WINDOW
    assert accept(window, newest)
    assert accept(window, newest - REPLAY_WINDOW + 1)
    assert not accept(window, newest - REPLAY_WINDOW + 1)


def test_counter_older_than_the_window_is_dropped() -> None:
    window = ReplayWindow()
    newest = 3 * REPLAY_WINDOW
    accept(window, newest)
    assert not accept(window, newest - REPLAY_WINDOW)
    assert not accept(window, 0)


def test_far_jump_forgets_old_words() -> None:
    window = ReplayWindow()
    accept(window, 5)
    accept(window, 2**63)
    late = 2**63 - 2**63 % 64 - 64 + 5
    assert accept(window, late)
    assert not accept(window, late)


def test_largest_counter_is_accepted() -> None:
    window = ReplayWindow()
    assert accept(window, 2**64 - 1)
    assert accept(window, 2**64 - 2)
    assert not accept(window, 2**64 - 1)


def test_asking_changes_nothing() -> None:
    window = ReplayWindow()
    assert window.is_fresh(9)
    assert window.is_fresh(9)
    assert window.newest == -1
