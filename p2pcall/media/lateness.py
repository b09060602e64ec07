"""How late frames of sound arrive, and so how much of them must be held: the jitter buffer's memory.

Rules: a frame is late against the fastest one of the last seconds, so clock drift and a changed route are
forgotten by themselves; the histogram forgets exponentially, so the delay comes back when the network does; loss is
not lateness: what came back as a copy is counted apart, and waited for only while losses are mended that way.
Leaves out what is done about it (`jitter`). The idea is that of WebRTC's NetEQ: a quantile of relative
arrival delay.
"""

from collections import deque
from math import inf
from typing import Final

from p2pcall.media import constants as c

_BUCKETS: Final = round(c.JITTER_MAX_WAIT_S / c.JITTER_BUCKET_S)


class Quantile:
    """So much is not exceeded by a part of what was noted; the latest weighs most."""

    def __init__(self, part: float, forget: float) -> None:
        self._beyond, self._forget, self._forget_short = 1.0 - part, forget, forget**0.5
        self._weights = [0.0] * _BUCKETS
        self._last = int(c.JITTER_START_S / c.JITTER_BUCKET_S)
        self._weights[self._last] = self._tail = self._total = 1.0
        self._noted = 0
        self.value_s = c.JITTER_START_S

    def note(self, lateness: float, ticks: int = c.FRAME_TICKS) -> None:
        """Count a frame that was so late; what no depth could have helped is an outage and not counted. The shortest
        counts half.

        Each new frame weighs more, which is the same as that all before weigh less. What is later than the quantile
        is kept as a sum: it moves by a bucket or two.
        """
        bucket = int(lateness / c.JITTER_BUCKET_S) if lateness > 0 else 0
        if bucket >= _BUCKETS:
            return
        self._noted = noted = self._noted + 1
        keep = noted / (
            noted + 2
        )  # at first each weighs as much as its number: how a call began is soon forgotten
        most = self._forget if ticks > 1 else self._forget_short
        if keep > most:
            keep = most
        before, weights, last = self._total, self._weights, self._last
        self._total = total = before / keep
        weights[bucket] += total - before
        if bucket >= last:
            self._tail += total - before
        tail, beyond = self._tail, total * self._beyond
        while tail <= beyond:
            last -= 1
            tail += weights[last]
        while tail - weights[last] > beyond:
            tail -= weights[last]
            last += 1
        self._last, self._tail = last, tail
        self.value_s = (last + 1) * c.JITTER_BUCKET_S
        if total > c.JITTER_TOTAL_WEIGHT:
            self._weights, self._total = [weight / total for weight in weights], 1.0
            self._tail = sum(self._weights[last:])

    def earlier(self, lateness: float) -> None:
        """All of it was less late by this than it seemed."""
        less = min(int(lateness / c.JITTER_BUCKET_S), _BUCKETS - 1)
        weights = self._weights
        self._weights = [sum(weights[: less + 1]), *weights[less + 1 :], *[0.0] * less]
        self._last = max(0, self._last - less)
        self._tail = sum(self._weights[self._last :])
        self.value_s = (self._last + 1) * c.JITTER_BUCKET_S


class Lateness:
    """`transit` below is arrival less the end of the frame by its ticks: the way's delay plus an unknown constant."""

    def __init__(self) -> None:
        self._frames = Quantile(c.JITTER_QUANTILE, c.JITTER_FORGET)
        self._most_copies = Quantile(c.JITTER_RECOVERY_QUANTILE, c.JITTER_RECOVERY_FORGET)
        self._nearly_all = Quantile(c.JITTER_RECOVERY_BEST, c.JITTER_RECOVERY_FORGET)
        self._recovered_at = deque([-inf] * c.JITTER_RECOVERY_RUN, c.JITTER_RECOVERY_RUN)
        self._recovery_ends = -inf
        self._wait_s = self._less_s = 0.0
        self._less_at = -inf
        self._window_end = -inf
        self._older = inf
        self._newer = inf
        self.base = inf
        """The transit of the fastest frame of late; infinite before the first."""
        self.note = self._frames.note
        """Count a frame that came itself, and was so late."""

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
        before, self.base = self.base, min(self._older, self._newer)
        if (
            before + c.JITTER_BUCKET_S <= self.base < inf
        ):  # the way has got longer: what is usual now was late before
            longer_s = self.base - before
            self._frames.earlier(longer_s)
            self._most_copies.earlier(longer_s)
            self._nearly_all.earlier(longer_s)
            self._wait_s, self._less_s = max(0.0, self._wait_s - longer_s), max(0.0, self._less_s - longer_s)

    def note_copy(self, lateness: float, ticks: int, now: float) -> None:
        """Count a frame that was lost, and whose copy was so late."""
        self._most_copies.note(lateness, ticks)
        self._nearly_all.note(lateness, ticks)
        self._recovered_at.append(now)
        if now - self._recovered_at[0] <= c.JITTER_RECOVERY_S:
            if now > self._recovery_ends:
                self._wait_s = 0.0
            self._recovery_ends = now + c.JITTER_RECOVERY_S
        wait = self._nearly_all.value_s
        if wait > c.JITTER_RECOVERY_CHEAP_S:
            wait = self._most_copies.value_s
        if wait < self._wait_s:
            self._less_s = max(self._less_s, wait)
            if now < self._less_at:
                return
            wait = self._less_s
        self._wait_s, self._less_s, self._less_at = wait, 0.0, now + c.JITTER_RECOVERY_STEADY_S

    def required_s(self, now: float) -> float:
        """Playing so much after the fastest frame's arrival has JITTER_QUANTILE of the frames in time, and while losses
        are mended by copies most of these, too.
        """
        required = self._frames.value_s
        return self._wait_s if now < self._recovery_ends and self._wait_s > required else required
