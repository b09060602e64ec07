"""How deep a card's buffer must be: as shallow as it goes, deeper on a machine that lets it run dry.

Rules: told of every callback in the card's thread, asked in the loop; time is an argument. What counts is how long
no callback came. To run dry once is an accident, twice within some seconds is this machine: each time is heard, and
so is opening the card anew, so the step is taken at once to where the longer pause would not have been heard. A
buffer of which less than half was needed for long is all delay, and is given up; the next one is kept for twice as
long. A card that takes no block for very long is lazy: a virtual one that renders seconds ahead when it has nothing
to play, so before it starts and whenever it runs dry. There it must not come to that: its buffer is deep, and stays
so. Leaves out opening anything.
"""

from collections import deque
from typing import Final

CARD_SETTLE_S: Final = 1.0
"""A card that starts asks for several blocks at once; what it misses then says nothing about the machine."""
DRY_TIMES: Final = 2
DRY_WITHIN_S: Final = 5.0
DEEPER: Final = 1.5
"""Half as much again as the longer pause, and twice as deep as before at least."""
DEEPEST_S: Final = 0.2
WORTH_IT: Final = 1.25
"""Not opened anew for less; also where the card does not do what it is asked."""
SHALLOWER_AFTER_S: Final = 30.0
LAZY_S: Final = 0.25
"""No card that plays asks for nothing for so long; and if it was the machine, deep is right as well."""
LAZY_DEPTH_S: Final = 0.06
"""For a lazy card: threads are late by 20 to 40 ms now and then on machines that are not idle."""


class BufferDepth:
    """Of one speaker; seconds throughout."""

    def __init__(self, *, lazy: bool = False) -> None:
        self.lazy = lazy
        self.asked = LAZY_DEPTH_S if lazy else 0.0
        """How deep the buffer was asked to be; 0 for as shallow as it goes."""
        self._refused = False
        self._calm_s = SHALLOWER_AFTER_S
        self.opening()

    def opening(self) -> None:
        """The card is opened from now on; it settles from its first callback on."""
        self._first: float | None = None
        self._last = self._calm_since = self._longest = 0.0
        self._dry: deque[tuple[float, float]] = deque(maxlen=DRY_TIMES)

    def refused(self) -> None:
        """The card could not be opened as deep as that: it is shallow, and stays so."""
        self.asked, self._refused = 0.0, True

    def busy(self) -> None:
        """The card has no second stream: nothing virtual, so it was the machine that stood still."""
        self.asked, self.lazy = 0.0, False

    def settled(self, now: float) -> bool:
        """What is missed now counts."""
        return self._first is not None and now - self._first > CARD_SETTLE_S

    def called(self, now: float, *, dry: bool) -> None:
        """The card asks for more; it was `dry`, or had something left."""
        if self._first is None:
            self._first = self._calm_since = now
        elif not self.lazy and now - self._last > LAZY_S:
            self.lazy = True
            self._first = self._calm_since = now  # only now it plays
        elif self.settled(now):
            pause = now - self._last
            self._longest = max(self._longest, pause)
            if dry:
                self._dry.append((now, pause))
        self._last = now

    def change(self, now: float, depth: float) -> float | None:
        """How deep the card is to be opened now (0: shallow), which has `depth`; None if it is right as it is."""
        if self.lazy and not self._refused and max(self.asked, depth) < LAZY_DEPTH_S:
            self.asked = LAZY_DEPTH_S
            return self.asked
        dry = tuple(self._dry)  # the card's thread goes on
        if len(dry) == DRY_TIMES:
            self._dry.clear()
            wanted = min(DEEPEST_S, max(2 * depth, DEEPER * max(pause for _, pause in dry)))
            often = dry[-1][0] - dry[0][0] < DRY_WITHIN_S
            if often and not self._refused and wanted > WORTH_IT * max(depth, self.asked):
                self.asked = wanted
                return wanted
        elif self.asked and not self.lazy and self.settled(now) and now - self._calm_since > self._calm_s:
            longest, self._longest, self._calm_since = self._longest, 0.0, now
            if longest < depth / 2:
                self._calm_s *= 2
                self.asked = 0.0
                return 0.0
        return None
