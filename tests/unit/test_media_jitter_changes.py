"""The jitter buffer under a sound card: when it changes the delay."""

import pytest

from p2pcall.media import constants as c
from p2pcall.media.jitter import JitterBuffer, Lengthen, Play, Shorten

FRAME = 2 * c.TICK_SAMPLES


class Card:
    """Frames of 20 ms come in time, plus `late_s`; a card takes 10 ms at a time."""

    def __init__(self) -> None:
        self.buffer = JitterBuffer()
        self.pulls = self.number = self.ready = 0
        self.changes: list[tuple[int, Shorten | Lengthen]] = []
        self.late_s = 0.0
        self.alike = True
        """A period can be found."""

    def run(self, pulls: int, *, quiet: bool) -> None:
        for _ in range(pulls):
            self.pulls += 1
            now = 100 + self.pulls * c.TICK_S
            while (self.number + 1) * 2 * c.TICK_S + self.late_s <= self.pulls * c.TICK_S:
                self.buffer.insert(2 * self.number, 2, b"x", 20 * self.number, now)
                self.number += 1
            wanted = c.TICK_SAMPLES
            while self.ready < wanted:
                self.take(self.buffer.pull(now, self.ready, wanted, quiet=quiet))
            self.ready -= wanted

    def take(self, step: object) -> None:
        if isinstance(step, Play):
            self.ready += FRAME
        elif isinstance(step, Shorten | Lengthen):
            self.changes.append((self.pulls, step))
            most = step.most if self.alike or step.likeness < 0 else 0
            changed = most if isinstance(step, Lengthen) else -most
            self.ready += (1 if isinstance(step, Lengthen) else len(step.frames)) * FRAME + changed
            self.buffer.stretched(changed)
        else:
            self.ready += c.TICK_SAMPLES

    def deeper(self, seconds: float) -> None:
        """The sound that is ready has become so much longer."""
        self.ready += round(seconds * c.SAMPLE_RATE_HZ)


def settled() -> Card:
    card = Card()
    card.run(2_000, quiet=True)
    card.changes.clear()
    return card


def test_nothing_changes_once_it_has_settled() -> None:
    card = settled()
    card.run(6_000, quiet=False)
    assert card.changes == []
    wanted_s = card.buffer.target_s(100 + card.pulls * c.TICK_S)
    assert wanted_s - c.JITTER_SHALLOW_S < card.buffer.delay_s < wanted_s + c.TICK_S + c.FRAME_S


@pytest.mark.parametrize(
    ("more_s", "quiet", "soonest", "latest"),
    [(0.015, True, 5, 130), (0.015, False, 15, 210), (0.1, True, 2, 30), (0.1, False, 2, 30)],
)
def test_too_deep_is_shortened_sooner_the_more_it_is_and_in_a_pause(
    more_s: float, quiet: bool, soonest: int, latest: int
) -> None:
    card = settled()
    card.run(100, quiet=False)
    card.deeper(more_s)
    start = card.pulls
    card.run(400, quiet=quiet)
    first, change = card.changes[0]
    assert isinstance(change, Shorten)
    assert soonest <= first - start <= latest
    assert not any(isinstance(change, Lengthen) for _, change in card.changes)


def test_a_little_too_deep_is_left_alone_but_in_a_pause() -> None:
    card = settled()
    card.deeper(0.005)
    card.run(1_000, quiet=False)
    assert card.changes == []
    card.run(200, quiet=True)
    assert card.changes


def test_too_shallow_is_lengthened_soon() -> None:
    card = settled()
    for _ in range(5):
        card.buffer._lateness.note(0.055)
    start = card.pulls
    card.run(20, quiet=False)
    first, change = card.changes[0]
    assert isinstance(change, Lengthen)
    assert first - start <= 10
    assert c.TICK_SAMPLES <= change.most <= c.STRETCH_MOST_SAMPLES


def test_where_no_period_is_found_any_is_taken_in_the_end() -> None:
    card = settled()
    card.alike = False
    card.deeper(0.1)
    card.run(2_000, quiet=False)
    asked = [change.likeness for _, change in card.changes]
    assert asked[0] == c.JITTER_LIKENESS
    assert -1.0 in asked
    assert card.buffer.counters.removed > 0
