"""How deep a card's buffer is: deeper after the second time that it ran dry, shallow again when that was not needed."""

import pytest

from p2pcall.device.buffer_depth import (
    CARD_SETTLE_S,
    DEEPER,
    DEEPEST_S,
    DRY_WITHIN_S,
    LAZY_DEPTH_S,
    SHALLOWER_AFTER_S,
    WORTH_IT,
    BufferDepth,
)

SHALLOW = 0.015


class Card:
    """Asks every 5 ms; how deep it is and when it has changed that. With `fixed` it is always that deep."""

    def __init__(self, fixed: float | None = None) -> None:
        self.now, self.latency, self.fixed = 50.0, fixed or SHALLOW, fixed
        self.depth = BufferDepth()
        self.changes: list[float] = []

    def play(self, seconds: float) -> None:
        """Nothing happens."""
        for _ in range(round(seconds / 0.005)):
            self.pause(0.005)

    def pause(self, seconds: float) -> None:
        """The machine stands still."""
        self.now += seconds
        self.depth.called(self.now, dry=seconds > self.latency)
        wanted = self.depth.change(self.now, self.latency)
        if wanted is not None:
            self.changes.append(wanted)
            self.latency = self.fixed or wanted or SHALLOW
            self.depth.opening()

    def twice(self, seconds: float) -> None:
        """The machine stands still twice in a row, for so long, after the card has settled."""
        self.play(2 * CARD_SETTLE_S)
        self.pause(seconds)
        self.pause(seconds)


def test_the_second_pause_makes_it_deep_enough_for_the_longer_one() -> None:
    card = Card()
    card.play(2 * CARD_SETTLE_S)
    card.pause(0.09)
    assert card.changes == []
    card.play(1)
    card.pause(0.03)
    assert card.changes == [pytest.approx(DEEPER * 0.09)]
    for _ in range(40):
        card.play(1)
        card.pause(0.09)
    assert len(card.changes) == 1
    card.play(2.5 * SHALLOWER_AFTER_S)
    assert card.changes[1:] == [0.0]


def test_a_slightly_late_callback_makes_it_twice_as_deep() -> None:
    card = Card()
    card.twice(0.016)
    assert card.changes == [2 * SHALLOW]


def test_pauses_far_apart_are_accidents() -> None:
    card = Card()
    for _ in range(5):
        card.play(1.01 * DRY_WITHIN_S)
        card.pause(0.1)
    assert card.changes == []


def test_it_settles_from_the_first_callback_on_however_long_opening_took() -> None:
    card = Card()
    card.depth.opening()
    card.now += 20
    for _ in range(4):
        card.pause(0.2 * CARD_SETTLE_S)
    assert card.changes == []
    card.twice(0.05)
    assert card.changes == [pytest.approx(DEEPER * 0.05)]


def test_it_is_never_deeper_than_the_deepest_and_not_opened_anew_for_little() -> None:
    card = Card()
    for _ in range(6):
        card.twice(0.24)
    assert card.changes == [DEEPEST_S]
    card = Card()
    card.twice(0.115)
    card.twice(0.18)
    assert card.changes == [pytest.approx(DEEPER * 0.115)]
    assert WORTH_IT * card.changes[0] > DEEPEST_S


def test_a_card_that_is_as_deep_as_it_likes_is_not_opened_anew_for_ever() -> None:
    card = Card(fixed=0.02)
    for _ in range(20):
        card.twice(0.05)
        card.twice(0.04)
    assert card.changes == [pytest.approx(DEEPER * 0.05)]


def test_a_card_that_could_not_be_opened_deeper_stays_as_it_is() -> None:
    card = Card()
    card.twice(0.05)
    card.depth.refused()
    card.latency = SHALLOW
    for _ in range(4):
        card.twice(0.1)
    assert len(card.changes) == 1


def test_a_machine_that_gets_better_by_half_has_less_delay_in_the_end() -> None:
    card = Card()
    card.twice(0.12)
    for _ in range(100):
        card.play(1)
        card.pause(0.04)
    assert card.changes == [pytest.approx(0.18), 0.0, pytest.approx(0.06)]


def test_what_was_needed_again_is_kept_twice_as_long() -> None:
    card = Card()
    given_up = []
    for _ in range(3):
        card.twice(0.1)
        since = card.now
        while card.depth.asked:
            card.play(1)
        given_up.append(card.now - since)
    assert given_up == [pytest.approx(SHALLOWER_AFTER_S * times, rel=0.05) for times in (1, 2, 4)]


@pytest.mark.parametrize("after", [0.02, 2 * CARD_SETTLE_S], ids=["when it starts", "later"])
def test_a_card_that_pauses_for_long_has_a_deep_buffer_from_then_on(after: float) -> None:
    card = Card()
    card.play(after)
    card.pause(1.9)
    assert (card.depth.lazy, card.changes) == (True, [LAZY_DEPTH_S])
    card.play(3 * SHALLOWER_AFTER_S)
    assert card.changes == [LAZY_DEPTH_S], "it is kept, however calm it is"
    card.twice(0.07)
    assert card.changes[1:] == [pytest.approx(2 * LAZY_DEPTH_S)], "deeper still where that is not enough"


def test_a_card_that_was_lazy_before_is_opened_deep() -> None:
    assert BufferDepth(lazy=True).asked == LAZY_DEPTH_S


def test_a_card_that_has_no_second_stream_is_not_lazy() -> None:
    card = Card()
    card.play(2 * CARD_SETTLE_S)
    card.pause(1.9)
    card.depth.busy()
    card.latency = SHALLOW
    card.changes.clear()
    card.play(1)
    assert (card.depth.lazy, card.changes) == (False, [])
