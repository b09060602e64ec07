"""Real time for what is not hardware: a ticker for sound (in the loop) and a pacer for pictures (in a
thread).

Rules: deadlines are absolute, so lateness does not add up; what was missed is caught up to a bound and then
left out. The ticker knows time from its scheduler only, so it runs under virtual time as well. Leaves out
any sound.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from p2pcall.device.base import Scheduler, Timer
from p2pcall.media.constants import FRAME_S

MAX_CATCH_UP_S: Final = 0.2
"""A process that stood still is forgiven as much as a card with a ring of ten frames forgives; after longer
(lid, debugger) the missed ticks are left out instead of a burst.
"""
LOOK_AGAIN_S: Final = 0.05
"""Between two looks at a clock that somebody else moves."""
Tick = Callable[[float], None]
"""Given the time that it was due."""


class Ticker:
    """Calls all that have joined at every step in the loop's thread, in one turn of it: to wake up costs more than to
    do what is due. Sources come first, so that when a packet leaves does not depend on what is played.
    """

    def __init__(
        self, scheduler: Scheduler, step_s: float = FRAME_S, catch_up_s: float = MAX_CATCH_UP_S
    ) -> None:
        self.scheduler = scheduler
        self._step_s = step_s
        self._catch_up_s = catch_up_s
        self._members: list[Tick] = []
        self._timer: Timer | None = None
        self._origin = self._due = 0.0
        self._count = 0
        self.skipped = 0

    @property
    def running(self) -> bool:
        return self._timer is not None

    def join(self, tick: Tick, *, first: bool = False) -> None:
        """Call it, with the time that was due, from now on: after a step if it is alone, else when the others are.

        Without effect if it has joined.
        """
        if tick in self._members:
            return
        self._members.insert(0 if first else len(self._members), tick)
        if self._timer is None:
            self._origin = self.scheduler.time()
            self._count = 1
            self._due = self._origin + self._step_s
            self._timer = self.scheduler.call_at(self._due, self._fire)

    def leave(self, tick: Tick) -> None:
        """It is not called any more. Without effect if it has not joined."""
        if tick in self._members:
            self._members.remove(tick)
        if self._timer is not None and not self._members:
            self._timer.cancel()
            self._timer = None

    @property
    def step_s(self) -> float:
        """Between two ticks; a change counts from the next one on."""
        return self._step_s

    @step_s.setter
    def step_s(self, step_s: float) -> None:
        self._origin += self._count * (self._step_s - step_s)
        self._step_s = step_s

    def move(self, seconds: float) -> None:
        """All ticks but the next come so much later, or earlier if it is negative."""
        self._origin += seconds

    def _fire(self) -> None:
        now = self.scheduler.time()
        if now - self._due > self._catch_up_s:
            missed = int((now - self._due) / self._step_s)
            self._count += missed
            self.skipped += missed
        while True:
            due = self._origin + self._count * self._step_s
            self._count += 1
            self._due = self._origin + self._count * self._step_s
            for tick in tuple(self._members):
                if tick in self._members:  # nobody before it has ended it
                    tick(due)
            if not self._members:
                return
            if self._due > now:
                break
        self._timer = self.scheduler.call_at(self._due, self._fire)


class CardCounts(Struct):
    """What went wrong between a call and its cards, whichever they were."""

    underruns: int = 0
    """How often a speaker had nothing left to play."""
    stale_samples: int = 0
    """Samples of a microphone that were too old, and dropped."""


class CardPolls(Ticker):
    """When the cards of one call are looked at, and what is counted there."""

    def __init__(self, scheduler: Scheduler, step_s: float) -> None:
        """What was missed is not caught up: one look finds all."""
        super().__init__(scheduler, step_s, 0.0)
        self.counts = CardCounts()


class MediaClock:
    """Where the sound of a file is, for the picture of the same file."""

    def __init__(self) -> None:
        self.origin: float | None = None
        """When the beginning of the file was, or would have been, on the clock of both; None before it begins."""

    def position(self, now: float) -> float:
        """Seconds of the file that have been; 0 before it begins."""
        return 0.0 if self.origin is None else max(0.0, now - self.origin)

    def tell(self, media_s: float, at: float) -> None:
        """What is at `media_s` seconds of the file is heard at `at`."""
        self.origin = at - media_s


class Pacer:
    """Lets one thread wait for its due times; `close`, from any thread, ends all waiting."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, media_clock: MediaClock | None = None
    ) -> None:
        self._clock = clock
        self._media_clock = media_clock
        self._closed = threading.Event()
        self._origin: float | None = None

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def wait_for(self, media_time: float) -> float | None:
        """Waits until `media_time` (seconds; without a media clock the first call's is now) is due.

        Gives how late it is in seconds, None when closed. More than MAX_CATCH_UP_S late: the clock starts
        anew, if it is one's own.
        """
        if self._media_clock is not None:
            return self._follow(self._media_clock, media_time)
        now = self._clock()
        if self._origin is None:
            self._origin = now - media_time
        wait = self._origin + media_time - now
        if wait > 0:
            self._closed.wait(wait)
        elif -wait > MAX_CATCH_UP_S:
            self._origin, wait = now - media_time, 0.0
        return None if self._closed.is_set() else max(0.0, -wait)

    def now(self) -> float:
        """The clock it waits by."""
        return self._clock()

    def forgive(self, late_s: float) -> None:
        """Takes what was late by so much as in time, if the clock is one's own: a writer that has slipped stays so."""
        if self._origin is not None:
            self._origin += late_s

    def _follow(self, media_clock: MediaClock, media_time: float) -> float | None:
        """The sound may stand still or jump: looks again and again."""
        while not self._closed.is_set():
            origin = media_clock.origin
            wait = LOOK_AGAIN_S if origin is None else origin + media_time - self._clock()
            if wait <= 0:
                return -wait
            self._closed.wait(min(wait, LOOK_AGAIN_S))
        return None

    def close(self) -> None:
        self._closed.set()
