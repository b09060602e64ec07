"""Round trip and clock offset of one line, from pings that are also its keepalive.

Frames: ping `1 | t u64` and pong `2 | echoed t u64 | own clock u64 | held u32`, in µs since this side's start of
the session, so the machine's uptime is not revealed. Frames wait to be sent inside a record of voice. A ping gets its
time when it leaves, and a pong says how long it was held, so the wait is not measured. Smoothing is RFC 6298's; the
offset is NTP's midpoint, from the quickest of the last exchanges. Pings that probe an address hold a random t; `path`
makes them.

A ping is due each second, more often while the line is silent, and three times after this machine's addresses have
changed. `ask` adds the pings that ask the line's own address whether it still agrees.
"""

from collections import deque
from math import inf
from struct import Struct
from typing import Final

from p2pcall.proto import constants as c
from p2pcall.proto.wire import DropReason

_PING: Final = Struct(">BQ")
_PONG: Final = Struct(">BQQI")
_KIND_PING: Final = 1
_KIND_PONG: Final = 2


def pack_ping(number: int) -> bytes:
    """A ping that asks for this number."""
    return _PING.pack(_KIND_PING, number)


def parse_pong(payload: bytes) -> tuple[int, int, int] | None:
    """The echoed number, the remote clock, and how long the answer was held; None if it is not a pong."""
    if len(payload) != _PONG.size or payload[0] != _KIND_PONG:
        return None
    _, number, remote, held = _PONG.unpack(payload)
    return number, remote, held


class Timing:
    """`rtt` (smoothed) and `clock_offset` (remote session clock minus ours), in seconds; None before the first pong."""

    __slots__ = (
        "_asked",
        "_nudges",
        "_owed",
        "_pending",
        "_rttvar",
        "_samples",
        "_silent_since",
        "clock_offset",
        "next_ping",
        "rtt",
        "start",
    )

    def __init__(self, start: float) -> None:
        self.start = start
        self.next_ping = start
        self.rtt: float | None = None
        self.clock_offset: float | None = None
        self._rttvar = 0.0
        self._pending: deque[int] = deque(maxlen=c.MAX_PINGS_OUTSTANDING)
        self._samples: deque[tuple[float, float]] = deque(maxlen=c.OFFSET_SAMPLES)
        self._owed: deque[tuple[int, float]] = deque(maxlen=c.MAX_PONGS_OWED)
        self._silent_since: float | None = None
        self._nudges: list[float] = []
        self._asked: int | None = None

    @property
    def next_due(self) -> float:
        """When the next frame is due: at once if a pong, or a ping from `ask`, waits to leave."""
        return -inf if self._owed or self._asked is not None else self.next_ping

    @property
    def rto(self) -> float:
        """How long to wait for an acknowledgement."""
        if self.rtt is None:
            return c.RTO_START_S
        return min(max(self.rtt + c.RTO_VARIATIONS * self._rttvar, c.RTO_MIN_S), c.RTO_MAX_S)

    def receive(self, payload: bytes, now: float) -> DropReason | None:
        """Take a ping (answered by the next `frames_due`) or a pong."""
        if len(payload) == _PING.size and payload[0] == _KIND_PING:
            self._owed.append((_PING.unpack(payload)[1], now))
            return None
        pong = parse_pong(payload)
        if pong is None or pong[0] not in self._pending:
            return DropReason.TIMING
        sent, remote, held = (part / c.CLOCK_HZ for part in pong)
        self._pending.remove(pong[0])
        self._measured(sent, remote, held, now - self.start)
        return None

    def ask(self, number: int) -> None:
        """Send a ping with this number in the next record."""
        self._asked = number

    def silent(self, now: float) -> None:
        """The other side is not heard any more: ping more often."""
        self._silent_since = self.next_ping = now

    def heard(self) -> None:
        """The other side is heard again."""
        self._silent_since = None

    def nudge(self, now: float) -> None:
        """Ping at once, and again soon: a ping may be lost, or a new address may not work yet."""
        self.next_ping = now
        self._nudges = list(c.RESEND_INTERVALS_S[: c.NUDGE_PINGS - 1])

    def frames_due(self, now: float, room: float = inf) -> list[bytes]:
        """The pongs that are owed (only for the latest pings) and the ping that is due.

        As many as fit `room` bytes together with their frame headers.
        """
        clock = round((now - self.start) * c.CLOCK_HZ)
        frames = []
        while self._owed and room >= c.FRAME_HEADER_BYTES + _PONG.size:
            room -= c.FRAME_HEADER_BYTES + _PONG.size
            number, came = self._owed.popleft()
            held = min(round((now - came) * c.CLOCK_HZ), c.MAX_U32)
            frames.append(_PONG.pack(_KIND_PONG, number, clock, held))
        if self._asked is not None and room >= c.FRAME_HEADER_BYTES + _PING.size:
            room -= c.FRAME_HEADER_BYTES + _PING.size
            frames.append(pack_ping(self._asked))
            self._asked = None
            self.next_ping = min(self.next_ping, now)  # the two leave together
        if self.next_ping <= now and room >= c.FRAME_HEADER_BYTES + _PING.size:
            self.next_ping = now + self._wait(now)
            self._pending.append(clock)
            frames.append(pack_ping(clock))
        return frames

    def _wait(self, now: float) -> float:
        """Until the next ping."""
        if self._nudges:
            return self._nudges.pop(0)
        since = self._silent_since
        quick = since is not None and now < since + c.RECONNECT_QUICK_S
        return c.RECONNECT_PING_S if quick else c.PING_INTERVAL_S

    def _measured(self, sent: float, remote: float, held: float, received: float) -> None:
        sample = max(received - sent - held, 0.0)
        if self.rtt is None:
            self.rtt, self._rttvar = sample, sample / 2
        else:
            self._rttvar += c.RTT_BETA * (abs(self.rtt - sample) - self._rttvar)
            self.rtt += c.RTT_ALPHA * (sample - self.rtt)
        self._samples.append((sample, remote - (held + sent + received) / 2))
        self.clock_offset = min(self._samples)[1]
