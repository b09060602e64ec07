"""How deep a card's buffer is: deeper after the second time that it ran dry, shallow again when that was not needed."""

import pytest

from p2pcall.device.depth import CALM_S, DEEPER, DEEPEST_S, DRY_WITHIN_S, SETTLE_S, Depth

SHALLOW = 0.015


class Card:
    """Asks every 5 ms; how deep it is and when it has changed that."""

    def __init__(self) -> None:
        self.now, self.latency = 50.0, SHALLOW
        self.depth = Depth()
        self.depth.opened(self.now, deep=False)
        self.changes: list[float] = []

    def play(self, seconds: float) -> None:
        """Nothing happens."""
        for _ in range(round(seconds / 0.005)):
            self._call(0.005)

    def pause(self, seconds: float) -> None:
        """The machine stands still."""
        self._call(seconds)

    def _call(self, pause: float) -> None:
        self.now += pause
        left = self.latency - pause
        self.depth.called(self.now, max(0.0, left), dry=left < 0)
        wanted = self.depth.wanted(self.now, self.latency)
        if wanted is not None:
            self.changes.append(wanted)
            self.latency = wanted or SHALLOW
            self.depth.opened(self.now, deep=wanted > 0)


@pytest.fixture
def card() -> Card:
    card = Card()
    card.play(2 * SETTLE_S)
    return card


def test_the_second_pause_makes_it_deep_enough_for_the_longest(card: Card) -> None:
    card.pause(0.09)
    assert card.changes == []
    card.play(1)
    card.pause(0.03)
    assert card.changes == [pytest.approx(DEEPER * 0.09)]
    for _ in range(20):
        card.play(1)
        card.pause(0.09)
    assert len(card.changes) == 1
    card.play(4 * CALM_S)
    assert card.changes[1:] == [0.0]


def test_a_slightly_late_callback_makes_it_twice_as_deep(card: Card) -> None:
    card.pause(0.016)
    card.pause(0.016)
    assert card.changes == [2 * SHALLOW]


def test_pauses_far_apart_and_those_of_the_start_are_accidents(card: Card) -> None:
    for _ in range(5):
        card.play(1.01 * DRY_WITHIN_S)
        card.pause(0.1)
    card.depth.opened(card.now, deep=False)
    card.pause(0.3 * SETTLE_S)
    card.pause(0.3 * SETTLE_S)
    assert card.changes == []


def test_it_is_never_deeper_than_the_deepest_and_not_opened_anew_for_nothing(card: Card) -> None:
    for _ in range(6):
        card.play(2 * SETTLE_S)
        card.pause(1)
        card.pause(1)
    assert card.changes == [DEEPEST_S]


def test_a_machine_that_gets_better_by_half_has_less_delay_in_the_end(card: Card) -> None:
    card.pause(0.12)
    card.pause(0.12)
    for _ in range(60):
        card.play(1)
        card.pause(0.04)
    assert card.changes == [pytest.approx(0.18), 0.0, pytest.approx(0.06)]
