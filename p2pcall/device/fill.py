"""How much sound a speaker's buffer holds: as little as this machine and this card allow, more where it ran dry.

Rules: told at every poll whether the card ran dry since the last one; pure, time is an argument. (What is left tells
nothing: a sound server may take all of it and play for long.) To run dry once is an accident and adds one step; twice
within some seconds is this machine, and the level goes at once to where the longer pause would not have been heard. It
is given back step by step, the more the higher it is, after a time that grows with each accident. A card that takes
nothing for long after its start is lazy: a virtual one that renders seconds ahead when it has nothing to play. It must
not run dry, so its level stays high. A level that is a little wrong is put right by single samples. Leaves out opening
and writing anything.
"""

from array import array
from operator import sub
from typing import Final

POLL_S: Final = 0.01
"""Between two looks at the cards ..."""
FAST_POLL_S: Final = 0.005
"""... and where delay counts most: 5 ms less, for half as much again of the processor."""
SPARE_S: Final = 0.007
"""What must be left at a poll: a card takes a period of 5 ms at once, and a look may be late."""
MOST_S: Final = 0.1
"""The highest level: the buffer has room for no more."""
STEP_S: Final = 0.005
SHRINK_S: Final = 0.002
"""Given back at a time, or ..."""
SHRINK_PART: Final = 4
"""... a quarter of what is too much, if that is more: half of a bad accident is forgotten in half a minute."""
DRY_WITHIN_S: Final = 5.0
DEEPER: Final = 1.5
"""Half as much again as the longer pause."""
SETTLE_S: Final = 1.0
"""A card that starts takes sound unevenly; what it misses then says nothing about the machine."""
CALM_S: Final = 10.0
"""Between two steps back, ..."""
TRUST_S: Final = 30.0
"""... of which the first comes so long after it ran dry, and twice as long each time, ..."""
TRUST_MOST_S: Final = 600.0
"""... up to this: each accident is heard."""
LAZY_S: Final = 0.25
"""No card that plays takes nothing for so long."""
LAZY_LEAST_S: Final = 0.06
"""For a lazy card: threads are late by 20 to 40 ms now and then on machines that are not idle."""


class FillLevel:
    """Of one speaker; seconds throughout."""

    def __init__(self, *, lazy: bool = False) -> None:
        self.lazy = lazy
        self.dry = 0
        """How often it ran dry after it had settled."""
        self._poll = POLL_S
        self.target = self._floor
        """What the buffer holds after a poll."""
        self._began: float | None = None
        self._playing: float | None = None
        self._pause = 0.0
        self._last = self._calm_since = self._trusted_at = 0.0
        self._trust_s = TRUST_S / 2
        self._dry_at, self._dry_pause = -DRY_WITHIN_S, 0.0

    def polled(self, now: float, *, moved: bool, dry: bool, poll_s: float = POLL_S) -> None:
        """`moved`: the card has taken something since the last poll; `dry`: and there was less than it wanted. The next
        poll comes after `poll_s`.
        """
        if self._began is None:
            self._began = self._last = now
        pause, self._last = now - self._last, now
        longest, self._pause = max(pause, self._pause), pause  # whether it ran dry is known a poll later
        if poll_s != self._poll:
            self.target += poll_s - self._poll
            self._poll = poll_s
        if self._playing is None:
            if not self.lazy and now - self._began > LAZY_S:
                self.lazy = True
                self.target = max(self.target, self._floor)
            if moved:
                self._playing = self._calm_since = now
        elif now - self._playing > SETTLE_S:
            if dry:
                self._ran_dry(now, longest)
            elif now - self._calm_since > CALM_S and now > self._trusted_at:
                self._shrink(now)

    @property
    def _floor(self) -> float:
        return LAZY_LEAST_S if self.lazy else self._poll + SPARE_S

    def _ran_dry(self, now: float, pause: float) -> None:
        self.dry += 1
        wanted = self.target + STEP_S
        if now - self._dry_at < DRY_WITHIN_S:
            wanted = max(wanted, DEEPER * max(pause, self._dry_pause))
        else:
            self._trust_s = min(TRUST_MOST_S, 2 * self._trust_s)
        self.target = min(MOST_S, max(wanted, self._floor))
        self._dry_at, self._dry_pause = now, pause
        self._calm_since, self._trusted_at = now, now + self._trust_s

    def _shrink(self, now: float) -> None:
        self._calm_since = now
        self.target -= min(
            self.target - self._floor, max(SHRINK_S, (self.target - self._floor) / SHRINK_PART)
        )


def by_one_sample(pcm: bytes, *, longer: bool) -> bytes:
    """The same with one sample more or less, where two are most alike: nothing is heard of it."""
    samples = array("h", pcm)
    steps = [*map(abs, map(sub, samples[1:], samples))]
    at = steps.index(min(steps))
    if longer:
        samples.insert(at, samples[at])
    else:
        del samples[at]
    return samples.tobytes()
