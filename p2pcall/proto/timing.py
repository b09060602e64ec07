"""Round trip and clock offset of one line, from pings that are also its keepalive.

Frames: ping `1 | t u64` and pong `2 | echoed t u64 | own clock u64`, in µs since this side's start of the
session: no uptime leaks. Smoothing is RFC 6298's; the offset is NTP's midpoint, from the quickest of the
last exchanges.
"""

from collections import deque
from struct import Struct

from p2pcall.proto import constants as c
from p2pcall.proto.wire import DropReason

_PING = Struct(">BQ")
_PONG = Struct(">BQQ")
_KIND_PING = 1
_KIND_PONG = 2


class Timing:
    """`rtt` (smoothed) and `clock_offset` (remote session clock less ours), both seconds, None before the
    first pong."""

    __slots__ = ("_echo", "_pending", "_rttvar", "_samples", "clock_offset", "next_ping", "rtt", "start")

    def __init__(self, start: float) -> None:
        self.start = start
        self.next_ping = start
        self.rtt: float | None = None
        self.clock_offset: float | None = None
        self._rttvar = 0.0
        self._pending: deque[int] = deque(maxlen=c.MAX_PINGS_OUTSTANDING)
        self._samples: deque[tuple[float, float]] = deque(maxlen=c.OFFSET_SAMPLES)
        self._echo: int | None = None

    @property
    def rto(self) -> float:
        """How long to wait for an acknowledgement."""
        if self.rtt is None:
            return c.RTO_START_S
        return min(max(self.rtt + c.RTO_VARIATIONS * self._rttvar, c.RTO_MIN_S), c.RTO_MAX_S)

    def receive(self, payload: bytes, now: float) -> DropReason | None:
        """Take a ping (answered by the next `frames_due`) or a pong."""
        if len(payload) == _PING.size and payload[0] == _KIND_PING:
            self._echo = _PING.unpack(payload)[1]
            return None
        if len(payload) != _PONG.size or payload[0] != _KIND_PONG:
            return DropReason.TIMING
        _, sent, remote = _PONG.unpack(payload)
        if sent not in self._pending:
            return DropReason.TIMING
        self._pending.remove(sent)
        self._measured(sent / c.CLOCK_HZ, remote / c.CLOCK_HZ, now - self.start)
        return None

    def frames_due(self, now: float) -> list[bytes]:
        """The pong that is owed (only to the latest ping) and the ping that is due."""
        frames = []
        clock = round((now - self.start) * c.CLOCK_HZ)
        if self._echo is not None:
            frames.append(_PONG.pack(_KIND_PONG, self._echo, clock))
            self._echo = None
        if self.next_ping <= now:
            self.next_ping = now + c.PING_INTERVAL_S
            self._pending.append(clock)
            frames.append(_PING.pack(_KIND_PING, clock))
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
