"""Round trip and clock offset of one line, from pings that are also its keepalive.

Frames: ping `1 | t u64` and pong `2 | echoed t u64 | own clock u64`, in µs since this side's start of the
session: no uptime leaks. Smoothing is RFC 6298's; the offset is NTP's midpoint, from the quickest of the
last exchanges. Pings that probe an address hold a random t and are `path`'s.
"""

from collections import deque
from struct import Struct

from p2pcall.proto import constants as c
from p2pcall.proto.wire import DropReason

_PING = Struct(">BQ")
_PONG = Struct(">BQQ")
_KIND_PING = 1
_KIND_PONG = 2


def pack_ping(number: int) -> bytes:
    """A ping that asks for this number."""
    return _PING.pack(_KIND_PING, number)


def parse_pong(payload: bytes) -> tuple[int, int] | None:
    """The echoed number and the remote clock; None if it is no pong."""
    if len(payload) != _PONG.size or payload[0] != _KIND_PONG:
        return None
    _, number, remote = _PONG.unpack(payload)
    return number, remote


class Timing:
    """`rtt` (smoothed) and `clock_offset` (remote session clock less ours), both seconds, None before the
    first pong."""

    __slots__ = ("_owed", "_pending", "_rttvar", "_samples", "clock_offset", "next_ping", "rtt", "start")

    def __init__(self, start: float) -> None:
        self.start = start
        self.next_ping = start
        self.rtt: float | None = None
        self.clock_offset: float | None = None
        self._rttvar = 0.0
        self._pending: deque[int] = deque(maxlen=c.MAX_PINGS_OUTSTANDING)
        self._samples: deque[tuple[float, float]] = deque(maxlen=c.OFFSET_SAMPLES)
        self._owed: deque[int] = deque(maxlen=c.MAX_PONGS_OWED)

    @property
    def rto(self) -> float:
        """How long to wait for an acknowledgement."""
        if self.rtt is None:
            return c.RTO_START_S
        return min(max(self.rtt + c.RTO_VARIATIONS * self._rttvar, c.RTO_MIN_S), c.RTO_MAX_S)

    def receive(self, payload: bytes, now: float) -> DropReason | None:
        """Take a ping (answered by the next `frames_due`) or a pong."""
        if len(payload) == _PING.size and payload[0] == _KIND_PING:
            self._owed.append(_PING.unpack(payload)[1])
            return None
        pong = parse_pong(payload)
        if pong is None or pong[0] not in self._pending:
            return DropReason.TIMING
        sent, remote = pong
        self._pending.remove(sent)
        self._measured(sent / c.CLOCK_HZ, remote / c.CLOCK_HZ, now - self.start)
        return None

    def frames_due(self, now: float) -> list[bytes]:
        """The pongs that are owed (only to the latest pings) and the ping that is due."""
        clock = round((now - self.start) * c.CLOCK_HZ)
        frames = [_PONG.pack(_KIND_PONG, number, clock) for number in self._owed]
        self._owed.clear()
        if self.next_ping <= now:
            self.next_ping = now + c.PING_INTERVAL_S
            self._pending.append(clock)
            frames.append(pack_ping(clock))
        return frames

    def _measured(self, sent: float, remote: float, received: float) -> None:
        sample = max(received - sent, 0.0)
        if self.rtt is None:
            self.rtt, self._rttvar = sample, sample / 2
        else:
            self._rttvar += c.RTT_BETA * (abs(self.rtt - sample) - self._rttvar)
            self.rtt += c.RTT_ALPHA * (sample - self.rtt)
        self._samples.append((sample, remote - (sent + received) / 2))
        self.clock_offset = min(self._samples)[1]
