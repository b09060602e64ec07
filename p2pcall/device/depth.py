"""How deep a card's buffer must be: as shallow as it goes, deeper on a machine that lets it run dry.

Rules: told of every callback in the card's thread, asked in the loop; time is an argument. Once is an accident,
twice within some seconds is this machine: each time is heard, and so is opening the card anew, so the step is
taken at once to where the longest pause would not have been heard. A buffer of which less than half was needed
for half a minute is all delay, and is given up. Leaves out opening anything.
"""

from collections import deque

SETTLE_S = 1.0
"""A card that starts asks for several blocks at once; what it misses then says nothing about the machine."""
DRY_TIMES = 2
DRY_WITHIN_S = 5.0
DEEPER = 1.5
"""Half as much again as the longest pause, and twice as deep as before at least."""
DEEPEST_S = 0.2
CALM_S = 30.0


class Depth:
    """Of one speaker; seconds throughout."""

    def __init__(self) -> None:
        self._deep = False
        self._opened = self._called = self._calm_since = 0.0
        self._spare = DEEPEST_S
        self._dry: deque[tuple[float, float]] = deque(maxlen=DRY_TIMES)

    def opened(self, now: float, *, deep: bool) -> None:
        """The card is opened now, with a deep buffer or a shallow one."""
        self._deep = deep
        self._opened = self._called = self._calm_since = now
        self._spare = DEEPEST_S
        self._dry.clear()

    def settled(self, now: float) -> bool:
        """What is missed from now on counts."""
        return now - self._opened > SETTLE_S

    def called(self, now: float, left: float, *, dry: bool) -> None:
        """The card asks for more; so much it has left to play, or it was `dry`."""
        if self.settled(now):
            self._spare = min(self._spare, left)
            if dry:
                self._dry.append((now, now - self._called))
        self._called = now

    def wanted(self, now: float, depth: float) -> float | None:
        """How deep it should be instead of `depth`: 0 for as shallow as it goes, None if it is right as it is."""
        dry = tuple(self._dry)  # the card's thread goes on
        if len(dry) == DRY_TIMES and dry[-1][0] - dry[0][0] < DRY_WITHIN_S:
            self._dry.clear()
            wanted = min(DEEPEST_S, max(2 * depth, DEEPER * max(pause for _, pause in dry)))
            return wanted if wanted > depth else None
        if self._deep and now - self._calm_since > CALM_S:
            spare, self._spare, self._calm_since = self._spare, DEEPEST_S, now
            return 0.0 if spare > depth / 2 else None
        return None
