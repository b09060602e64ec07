"""Figures of what arrives: loss and jitter.

Rules: counts first copies only (a frame that came along with a later one is still a lost packet, which is
what the sender's redundancy needs to know); a single wild seq does not spoil the figures. Leaves out what
the listener hears (`jitter.JitterCounters`). Spec: RFC 3550, 6.4.1 and A.8 for jitter, A.1 and A.3 for loss.
"""

from msgspec import Struct

from p2pcall.media import constants as c


class Interval(Struct, frozen=True):
    """Of one interval: packets that should have come and did, and the part that did not."""

    expected: int
    received: int
    loss: float


class ReceiveStats:
    """Loss and jitter of the packets of sound: `on_packet` for each, `interval` once a report."""

    def __init__(self) -> None:
        self.highest = 0
        self.received = 0
        self.jitter_s = 0.0
        self._started = False
        self._suspect: int | None = None
        self._transit: float | None = None
        self._interval_from = 0
        self._interval_received = 0

    def on_packet(self, seq: int, capture_ms: int, now: float) -> None:
        """Count a packet by its newest frame."""
        far = self._started and abs(seq - self.highest) > c.STATS_MAX_DROPOUT
        if far and seq != self._suspect:
            self._suspect = seq + 1
            return
        if far or not self._started:
            self._started = True
            self.highest = seq
            self._interval_from = seq - 1
            self._interval_received = 0
            self._transit = None
        self._suspect = None
        self.highest = max(self.highest, seq)
        self.received += 1
        self._interval_received += 1
        transit = now - capture_ms / 1000
        if self._transit is not None:
            self.jitter_s += (abs(transit - self._transit) - self.jitter_s) * c.JITTER_GAIN
        self._transit = transit

    def interval(self) -> Interval:
        """The figures since the last call; doubles and late ones never make the loss negative."""
        expected = self.highest - self._interval_from if self._started else 0
        received = self._interval_received
        self._interval_from = self.highest
        self._interval_received = 0
        loss = max(0.0, 1.0 - received / expected) if expected > 0 else 0.0
        return Interval(expected, received, loss)
