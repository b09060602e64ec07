"""How much sound a speaker's buffer holds: as little as this machine and this card allow, more where it ran dry.

Rules: told at every poll what is left, before more is written; pure, time is an argument. To run dry once is an
accident and adds one step; twice within some seconds is this machine, and the level goes at once to where the longer
pause would not have been heard. What was never needed for a while is given back step by step. A card that takes nothing
for long after its start is lazy: a virtual one that renders seconds ahead when it has nothing to play. It must not run
dry, so it is given more. Leaves out writing anything.
"""

from typing import Final

POLL_S: Final = 0.01
"""Between two looks at the cards. Half of it costs twice the processor, for 5 ms of delay."""
SPARE_S: Final = 0.004
"""What must be left when the next poll is late: the loop's timers wait up to 1 ms too long, a decoder works for
1 ms."""
LEAST_FILL_S: Final = POLL_S + SPARE_S
MOST_S: Final = 0.1
"""As deep as the card's buffer is opened."""
STEP_S: Final = 0.005
SHRINK_S: Final = 0.002
DRY_WITHIN_S: Final = 5.0
DEEPER: Final = 1.5
"""Half as much again as the longer pause."""
SETTLE_S: Final = 1.0
"""A card that starts takes sound unevenly; what it misses then says nothing about the machine."""
CALM_S: Final = 10.0
"""What was not needed in two stretches of so long is given back."""
LAZY_S: Final = 0.25
"""No card that plays takes nothing for so long."""
LAZY_LEVEL_S: Final = 0.06
"""For a lazy card: threads are late by 20 to 40 ms now and then on machines that are not idle."""


class FillLevel:
    """Of one speaker; seconds throughout."""

    def __init__(self, *, lazy: bool = False) -> None:
        self.lazy = lazy
        self.target = LAZY_LEVEL_S if lazy else LEAST_FILL_S
        """What the buffer holds after a poll."""
        self.dry = 0
        """How often it ran dry after it had settled."""
        self._began: float | None = None
        self._playing: float | None = None
        self._last = self._calm_since = 0.0
        self._least = self._least_before = MOST_S
        self._dry_at, self._dry_pause = -DRY_WITHIN_S, 0.0

    def polled(self, now: float, left: float, *, moved: bool) -> None:
        """`left` is in the buffer; `moved`: the card has taken something since the last poll."""
        if self._began is None:
            self._began = self._last = now
        pause, self._last = now - self._last, now
        if self._playing is None:
            if not self.lazy and now - self._began > LAZY_S:
                self.lazy, self.target = True, max(self.target, LAZY_LEVEL_S)
            if moved:
                self._playing = self._calm_since = now
        elif now - self._playing > SETTLE_S:
            if left <= 0:
                self._ran_dry(now, pause)
            self._least = min(self._least, left)
            if now - self._calm_since > CALM_S:
                self._shrink(now)

    def _ran_dry(self, now: float, pause: float) -> None:
        self.dry += 1
        wanted = self.target + STEP_S
        if now - self._dry_at < DRY_WITHIN_S:
            wanted = max(wanted, DEEPER * max(pause, self._dry_pause))
        self.target = min(MOST_S, wanted)
        self._dry_at, self._dry_pause = now, pause
        self._calm_since, self._least, self._least_before = now, MOST_S, 0.0

    def _shrink(self, now: float) -> None:
        floor = LAZY_LEVEL_S if self.lazy else LEAST_FILL_S
        unneeded = min(self._least, self._least_before) - SPARE_S
        shrink = min(SHRINK_S, unneeded, self.target - floor)
        self._calm_since, self._least_before, self._least = now, self._least, MOST_S
        if shrink > 0:
            self.target -= shrink
            self._least_before -= shrink
