"""How late frames of sound arrive, and so how much of them must be held: the jitter buffer's memory.

Rules: a frame is late against the fastest one of the last seconds, so clock drift and a changed route are
forgotten by themselves; the histogram forgets exponentially, so the delay comes back when the network does.
Leaves out what is done about it (`jitter`). The idea is that of WebRTC's NetEQ: a quantile of relative
arrival delay.
"""

from math import inf
from typing import Final

from p2pcall.media import constants as c

_BUCKETS: Final = round(c.JITTER_MAX_DEPTH * c.FRAME_S / c.JITTER_BUCKET_S)


class Lateness:
    """`transit` below is arrival less `seq` × 20 ms: the way's delay plus an unknown constant."""

    def __init__(self) -> None:
        self._weights = [0.0] * _BUCKETS
        self._weights[int(c.JITTER_START_S / c.JITTER_BUCKET_S)] = 1.0
        self._total = 1.0
        self._noted = 0
        self._window_end = -inf
        self._older = inf
        self._newer = inf
        self.base = inf
        """The transit of the fastest frame of late; infinite before the first."""
        self.required_s = c.JITTER_START_S
        """Playing so much after the fastest frame's arrival has JITTER_QUANTILE of the frames in time."""

    def anchor(self, transit: float, now: float) -> None:
        """Forget earlier transits (not the histogram) and start from this one."""
        self._older = self._newer = self.base = transit
        self._window_end = now + c.JITTER_BASE_WINDOW_S

    def observe(self, transit: float, now: float) -> None:
        """Take note of a packet's transit."""
        if now >= self._window_end:
            self._older = self._newer
            self._newer = transit
            self._window_end = now + c.JITTER_BASE_WINDOW_S
        elif transit < self._newer:
            self._newer = transit
        else:
            return
        self.base = min(self._older, self._newer)

    def note(self, lateness: float) -> None:
        """Count a frame that was so late; what no depth could have helped is an outage and not counted.

        Each new frame weighs more, which is the same as that all before weigh less.
        """
        bucket = int(max(0.0, lateness) / c.JITTER_BUCKET_S)
        if bucket >= _BUCKETS:
            return
        self._noted += 1
        before, weights = self._total, self._weights
        total = self._total = before / min(
            c.JITTER_FORGET, self._noted / (self._noted + 1)
        )  # a plain mean at first
        weights[bucket] += total - before
        last = _BUCKETS - 1
        tail = weights[last]
        while tail <= total * (1.0 - c.JITTER_QUANTILE):
            last -= 1
            tail += weights[last]
        self.required_s = (last + 1) * c.JITTER_BUCKET_S
        if total > c.JITTER_TOTAL_WEIGHT:
            self._weights, self._total = [weight / total for weight in weights], 1.0
