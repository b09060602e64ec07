"""Figures of what arrives: loss, its bursts, jitter, and how long packets stand in queues.

Rules: counts first copies only (a frame that came along with a later one is still a lost packet, which is what the
sender's redundancy needs to know), in ticks; a single wild tick does not spoil the figures; a queue is what the last
packets have stood in, against the fastest of the last intervals. Leaves out what the listener hears
(`jitter.JitterCounters`). Spec: RFC 3550, 6.4.1 and A.8 for jitter, A.1 and A.3 for loss.
"""

from collections import deque
from math import inf
from typing import Final

from msgspec import Struct

from p2pcall.media import constants as c


class Interval(Struct, frozen=True):
    """Of one interval: ticks that should have come, and did; the part that did not, its mean run; and the queue."""

    expected: int
    received: int
    loss: float
    burst_ticks: float
    queue_s: float


NO_INTERVAL: Final = Interval(0, 0, 0.0, 0.0, 0.0)
"""Before the first."""


class ReceiveStats:
    """Loss, jitter and queueing of the packets of sound: `on_packet` for each, `interval` once a report."""

    def __init__(self) -> None:
        self.highest = 0
        """The tick after the newest frame."""
        self.received = 0
        """Packets."""
        self.jitter_s = 0.0
        self._started = False
        self._suspect: int | None = None
        self._transit: float | None = None
        self._interval_from = 0
        self._interval_received = 0
        self._gap_ticks = self._gaps = 0
        self._least = inf
        self._recent: deque[float] = deque(maxlen=c.STATS_QUEUE_PACKETS)
        self._leasts: deque[float] = deque(maxlen=c.STATS_QUEUE_INTERVALS)

    def on_packet(self, tick: int, ticks: int, capture_ms: int, now: float) -> None:
        """Count a packet by its newest frame."""
        far = self._started and abs(tick - self.highest) > c.STATS_MAX_DROPOUT
        if far and tick != self._suspect:
            self._suspect = tick + ticks
            return
        if far or not self._started:
            self._started = True
            self.highest = self._interval_from = tick
            self._interval_received = 0
            self._transit = None
            self._leasts.clear()
            self._recent.clear()
            self._least = inf
        self._suspect = None
        gap = tick - self.highest
        if gap >= 0:
            if gap:
                self._gap_ticks += gap
                self._gaps += 1
            self.highest = tick + ticks
        self.received += 1
        self._interval_received += ticks
        transit = now - capture_ms / 1000
        if self._transit is not None:
            self.jitter_s += (abs(transit - self._transit) - self.jitter_s) * c.JITTER_GAIN
        self._transit = transit
        self._recent.append(transit)
        if transit < self._least:
            self._least = transit

    def interval(self) -> Interval:
        """The figures since the last call; doubles and late ones never make the loss negative."""
        expected, received = self.highest - self._interval_from, self._interval_received
        loss = max(0.0, 1.0 - received / expected) if expected > 0 else 0.0
        burst_ticks = self._gap_ticks / self._gaps if self._gaps else 0.0
        queue_s = 0.0
        if self._least < inf:
            self._leasts.append(self._least)
            queue_s = min(self._recent) - min(self._leasts)
        self._interval_from = self.highest
        self._interval_received = self._gap_ticks = self._gaps = 0
        self._least = inf
        return Interval(expected, received, loss, burst_ticks, queue_s)
