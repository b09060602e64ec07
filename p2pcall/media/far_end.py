"""What the speaker plays, tick by tick, beside what the microphone hears meanwhile.

Rules: ticks of the far end come with the time at which they are heard, ticks of the microphone with the time at which
they were captured, and each of these gets one of those. The pairing does not move while the clocks say nearly the
same: a canceller is disturbed by each step. A clock that drifts moves it by one tick at a time, a break at once. A
tick is shown some time before it is heard: where the speaker holds less than that (PipeWire), as early as it can be.
Leaves out the room between the two, which is the canceller's to find.
"""

from collections import deque
from typing import Final

from p2pcall.media import acoustic_constants as acoustic
from p2pcall.media import constants as c

SILENT_TICK: Final = bytes(c.TICK_BYTES)


class FarEnd:
    """Nothing is kept for longer than a speaker may hold it."""

    def __init__(self) -> None:
        self._ticks: deque[bytes] = deque(maxlen=acoustic.FAR_MAX_TICKS)
        self._end_at: float | None = None
        """When the newest tick will have been played."""
        self._short = 0
        """By so many ticks the speaker holds less than the lead."""
        self._least_left, self._looks = acoustic.FAR_MAX_TICKS, 0
        """Ticks that were not yet shown when the newest of the microphone was, since the last look at that."""
        self._paired = False
        self._rest = b""
        """The beginning of a tick."""

    def played(self, pcm: bytes, playout_at: float) -> None:
        """Sound, of any length, that begins to be heard at `playout_at`."""
        playout_at -= len(self._rest) / c.TICK_BYTES * c.TICK_S
        pcm = self._rest + pcm
        count = len(pcm) // c.TICK_BYTES
        whole = count * c.TICK_BYTES
        self._rest = pcm[whole:]
        if self._end_at is None or not abs(playout_at - self._end_at) <= acoustic.PLAYOUT_JUMP_S:
            self._end_at = playout_at  # what is no number is a break, too: else it would never be one again
            self._short = 0
        else:
            self._end_at += acoustic.PLAYOUT_GAIN * (playout_at - self._end_at)
        self._end_at += count * c.TICK_S
        self._ticks.extend(pcm[at : at + c.TICK_BYTES] for at in range(0, whole, c.TICK_BYTES))

    def heard(self, captured_at: float) -> bytes:
        """The tick that is due with the microphone's tick that was captured until `captured_at`."""
        if self._end_at is None or not self._ticks:
            self._paired, self._least_left = False, 0
            if self._end_at is not None and captured_at < self._end_at:  # it plays
                self._short = min(self._short + 1, acoustic.FAR_LEAD_TICKS)
            return SILENT_TICK
        first_ends = self._end_at - (len(self._ticks) - 1) * c.TICK_S
        early = (captured_at - first_ends) / c.TICK_S + acoustic.FAR_LEAD_TICKS
        if early <= (-acoustic.FAR_SLIP_TICKS if self._paired else -1):
            return SILENT_TICK
        self._paired = True
        spare = self._spare()
        if early >= acoustic.FAR_SLIP_TICKS + self._short:
            early -= self._short
            left_out = 1 if early < 2 * acoustic.FAR_SLIP_TICKS else int(min(early, acoustic.FAR_MAX_TICKS))
            for _ in range(min(left_out, len(self._ticks) - 1)):
                self._ticks.popleft()
        elif spare and self._short and early >= 1 and len(self._ticks) > 1:
            self._ticks.popleft()
            self._short -= 1
        tick = self._ticks.popleft()
        self._least_left = min(self._least_left, len(self._ticks))
        return tick

    def _spare(self) -> bool:
        """Told once a second: whether one tick fewer would have been enough all the time."""
        self._looks += 1
        if self._looks < acoustic.FAR_SPARE_TICKS:
            return False
        spare, self._least_left, self._looks = self._least_left > 0, acoustic.FAR_MAX_TICKS, 0
        return spare
