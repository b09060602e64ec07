"""Time stamps of files as they are, made into one line that moves on: pure arithmetic on seconds.

Rules: `Joins` sees every packet of a file in its order and finds where the time stamps begin anew or jump; all that
comes after is moved by as much, in every stream alike, so that sound and picture stay together. `Timestamps` gives each
picture a place later than the one before, also where stamps are missing or stand still. A pause is bounded. Leaves
out reading and waiting.
"""

from typing import Final

MAX_PAUSE_S: Final = 60.0
"""A longer pause between two packets of a stream is a mistake of the file."""
MAX_BROKEN_PAUSE_S: Final = 10.0
"""The same in formats whose stamps are known to jump (MPEG-TS, joined Ogg)."""
BACK_S: Final = 0.1
"""Decoding times only grow; a step back by more than this is a beginning anew."""


class Joins:
    """How much the stamps of a file are to be moved by, packet after packet."""

    def __init__(self, max_pause_s: float = MAX_PAUSE_S) -> None:
        self._max_pause_s = max_pause_s
        self._ends: dict[int, float] = {}
        self._newest = 0.0
        self.offset = 0.0

    def see(self, stream: int, stamp: float | None, duration: float) -> float:
        """The offset, seconds, for a packet of `stream` whose decoding time is `stamp` and that lasts `duration`."""
        if stamp is None:
            return self.offset
        at = stamp + self.offset
        expected = self._ends.get(stream)
        if expected is not None and not expected - duration - BACK_S <= at <= expected + self._max_pause_s:
            self.offset += max(expected, self._newest) - at
            at = stamp + self.offset
        self._ends[stream] = at + duration
        self._newest = max(self._newest, at)
        return self.offset


class Timestamps:
    """Places of pictures on a line that begins with 0 and always moves on."""

    def __init__(
        self, step: float, zero: float | None = None, max_pause_s: float = MAX_PAUSE_S, *, begin: float = 0.0
    ) -> None:
        """`step`: seconds from picture to picture where stamps do not tell; `zero`: the stamp of 0, else the first.

        `begin`: about where the first picture is, if the ones before it are skipped.
        """
        self._begin = begin
        self._step = step
        self._zero = zero
        self._max_pause_s = max_pause_s
        self._last: float | None = None

    def place(self, stamp: float | None) -> float:
        """Where the next picture belongs."""
        if stamp is not None and self._zero is None:
            self._zero = stamp
        at = None if stamp is None or self._zero is None else stamp - self._zero
        if self._last is None:
            self._last = min(max(0.0, at or 0.0), self._begin + self._max_pause_s)
        elif at is None or at <= self._last:
            self._last += self._step
        elif at > self._last + self._max_pause_s and self._zero is not None:
            self._zero += at - self._last - self._step
            self._last += self._step
        else:
            self._last = at
        return self._last
