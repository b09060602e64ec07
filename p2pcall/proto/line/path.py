"""Whether somebody receives at the address that a line's datagrams go to, and still wants them.

A source address is whatever the sender writes there, be it the one whose key we know. A line begins at an address
that has brought back a cookie. A new one is only a candidate: it is sent a ping with a random number, and it is
the line's when a pong with that number comes from it (as QUIC's path validation, RFC 9000 section 8.2). The line's
own address is asked in the same way every CONSENT_S (consent to send, RFC 7675), in a record like any other. One
that has not agreed for CONSENT_LAPSES_S gets no media any more, and one small record a second, which asks again;
LOST_TIMEOUT_S after the first question the line is lost, whatever comes from elsewhere.

Rules: one candidate at a time, the latest; while the line's own address is heard there is none. A candidate gets
nothing but probes, each in return for datagrams from it that are together no shorter, at the waits of
`RESEND_INTERVALS_S`: nothing is amplified.
"""

from dataclasses import dataclass

from p2pcall.proto import constants as c
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.line.timing import pack_ping, parse_pong
from p2pcall.types import Address, Entropy


@dataclass(slots=True)
class _Candidate:
    address: Address
    number: int
    resend: Backoff
    received: int = 0
    """Bytes of its datagrams since the last probe."""
    owed: bool = False


class Path:
    """The checks of one line, whose `address` has agreed at `now`.

    A candidate is `heard`, then `probe_due`, then `answered`; the address in use is asked by `consent_due`.
    """

    __slots__ = ("_agreed_at", "_ask_at", "_entropy", "_number", "address", "candidate", "lapsed")

    def __init__(self, entropy: Entropy, address: Address, now: float) -> None:
        self.address = address
        self.lapsed = False
        """The address has not agreed for too long, as `consent_due` found last."""
        self._entropy = entropy
        self.candidate: _Candidate | None = None
        """The address that may become the line's."""
        self._agreed_at, self._ask_at = now, now + c.CONSENT_S
        self._number: int | None = None

    @property
    def lost_at(self) -> float:
        """When the line is given up, whoever else is heard."""
        return self._agreed_at + c.CONSENT_S + c.LOST_TIMEOUT_S

    @property
    def next_timer(self) -> float:
        """When the address is asked again, or has not agreed for too long, or the line is given up."""
        after = self.lost_at if self.lapsed else self._agreed_at + c.CONSENT_LAPSES_S
        return min(self._ask_at, after)

    def consent_due(self, now: float) -> int | None:
        """The number that the line's address is asked for now, in whatever record goes there next."""
        self.lapsed = now >= self._agreed_at + c.CONSENT_LAPSES_S
        if now < self._ask_at:
            return None
        if self._number is None:
            self._number = self._random()
        self._ask_at = now + c.PING_INTERVAL_S
        return self._number

    def heard(self, address: Address, length: int, now: float) -> None:
        """The newest authentic datagram, of this length, came from `address`."""
        if address == self.address:
            self.candidate = None
            return
        if self.candidate is None or self.candidate.address != address:
            self.candidate = _Candidate(address, self._random(), Backoff(now))
        self.candidate.received += length
        if self.candidate.received >= c.PROBE_DATAGRAM_BYTES and self.candidate.resend.take(now):
            self.candidate.owed = True
            self.candidate.received = 0

    def probe_due(self) -> tuple[bytes, Address] | None:
        """The ping that leaves now, and where to."""
        candidate = self.candidate
        if candidate is None or not candidate.owed:
            return None
        candidate.owed = False
        return pack_ping(candidate.number), candidate.address

    def answered(self, payload: bytes, address: Address, now: float) -> bool:
        """Whether this frame is an answer to us, from where it was asked for: then the address is the line's."""
        pong = parse_pong(payload)
        if pong is None:
            return False
        candidate = self.candidate
        if candidate is not None and (pong[0], address) == (candidate.number, candidate.address):
            self.candidate = None
            self.address = address
        elif self._number is None or (pong[0], address) != (self._number, self.address):
            return False
        self._agreed(now)
        return True

    def _agreed(self, now: float) -> None:
        self.lapsed = False
        self._agreed_at, self._ask_at, self._number = now, now + c.CONSENT_S, None

    def _random(self) -> int:
        return int.from_bytes(self._entropy(c.PROBE_BYTES), "big")
