"""How much sound a speaker's buffer holds: as little as this machine and this card allow, more where it ran dry.

Rules: told at every poll what is left, before more is written; pure, time is an argument. To run dry once is an
accident and adds one step; twice within some seconds is this machine, and the level goes at once to where the longer
pause would not have been heard. What was never needed for a while is given back step by step. A sound server moves as
much at once as the whole buffer suggests to it, so a low level wants a shallow buffer, and a high one a deep one. A
card that takes nothing for long after its start is lazy: a virtual one that renders seconds ahead when it has nothing
to play. It must not run dry, so it gets a deep buffer. Leaves out opening and writing anything.
"""

from typing import Final

POLL_S: Final = 0.01
"""Between two looks at the cards ..."""
FAST_POLL_S: Final = 0.005
"""... and where sound goes in shorter pieces: 5 ms less delay, for half as much again of the processor."""
SPARE_S: Final = 0.008
"""What must be left at a poll: servers take 5 to 10 ms at once. With 4 ms PulseAudio's null sink ran dry at times."""
SHALLOW_S: Final = 0.02
"""What a shallow buffer is opened with; it holds 30 ms, as PortAudio adds a period or two."""
SHALLOW_MOST_S: Final = 0.026
"""Levels above this want a deep one."""
DEEP_S: Final = 0.1
DEEP_LEAST_S: Final = 0.035
"""Of a deep one PulseAudio takes 20 to 30 ms at once."""
STEP_S: Final = 0.005
SHRINK_S: Final = 0.002
DRY_WITHIN_S: Final = 5.0
DEEPER: Final = 1.5
"""Half as much again as the longer pause."""
SETTLE_S: Final = 1.0
"""A card that starts takes sound unevenly; what it misses then says nothing about the machine."""
CALM_S: Final = 10.0
"""What was not needed in two stretches of so long is given back."""
SHALLOW_AFTER_S: Final = 60.0
"""A deep buffer is given up after so long at its lowest level, and twice as long each time after."""
LAZY_S: Final = 0.25
"""No card that plays takes nothing for so long."""
LAZY_LEVEL_S: Final = 0.06
"""For a lazy card: threads are late by 20 to 40 ms now and then on machines that are not idle."""


class FillLevel:
    """Of one speaker; seconds throughout."""

    def __init__(self, *, lazy: bool = False) -> None:
        self.lazy = self.deep = lazy
        """Of the card; of the buffer that is wanted."""
        self.target = LAZY_LEVEL_S if lazy else POLL_S + SPARE_S
        """What the buffer holds after a poll."""
        self.dry = 0
        """How often it ran dry after it had settled."""
        self._poll = POLL_S
        self._began: float | None = None
        self._playing: float | None = None
        self._last = self._calm_since = self._deep_since = 0.0
        self._deep_for = SHALLOW_AFTER_S
        self._least = self._least_before = DEEP_S
        self._dry_at, self._dry_pause = -DRY_WITHIN_S, 0.0

    def reopened(self) -> None:
        """Another buffer has taken over."""
        self._began = self._playing = None

    def polled(self, now: float, left: float, *, moved: bool, poll_s: float = POLL_S) -> None:
        """`left` is in the buffer; `moved`: the card has taken something since the last poll, and the next one comes
        after `poll_s`.
        """
        if self._began is None:
            self._began = self._last = now
        pause, self._last = now - self._last, now
        if poll_s != self._poll:
            self.target += poll_s - self._poll
            self._poll = poll_s
        if self._playing is None:
            if not self.lazy and now - self._began > LAZY_S:
                self.lazy = self.deep = True
                self.target = max(self.target, LAZY_LEVEL_S)
            if moved:
                self._playing = self._calm_since = now
        elif now - self._playing > SETTLE_S:
            if left <= 0:
                self._ran_dry(now, pause)
            self._least = min(self._least, left)
            if now - self._calm_since > CALM_S:
                self._shrink(now)

    @property
    def _floor(self) -> float:
        if self.lazy:
            return LAZY_LEVEL_S
        return DEEP_LEAST_S if self.deep else self._poll + SPARE_S

    def _ran_dry(self, now: float, pause: float) -> None:
        self.dry += 1
        wanted = self.target + STEP_S
        if now - self._dry_at < DRY_WITHIN_S:
            wanted = max(wanted, DEEPER * max(pause, self._dry_pause))
        if wanted > SHALLOW_MOST_S:
            wanted, self.deep, self._deep_since = max(wanted, DEEP_LEAST_S), True, now
        self.target = min(DEEP_S, wanted)
        self._dry_at, self._dry_pause = now, pause
        self._calm_since, self._least, self._least_before = now, DEEP_S, 0.0

    def _shrink(self, now: float) -> None:
        unneeded = min(self._least, self._least_before) - SPARE_S
        shrink = min(SHRINK_S, unneeded, self.target - self._floor)
        self._calm_since, self._least_before, self._least = now, self._least, DEEP_S
        if shrink > 0:
            self.target -= shrink
            self._least_before -= shrink
            self._deep_since = now
        elif self.deep and not self.lazy and now - self._deep_since > self._deep_for:
            self.deep, self._deep_for = False, 2 * self._deep_for
            self.target = self._floor
