"""Whether somebody receives at the address that a line's datagrams come from.

A source address is whatever the sender writes there, be it the one whose key we know. So a new one, also a
line's first, is only a candidate: it is sent a ping with a random number, and it is the line's when a pong
with that number comes from it (as QUIC's path validation, RFC 9000 section 8.2; consent to send, RFC 7675).
Until then media goes on to the last address that has answered, and to none if there is none.

Rules: one candidate at a time, the latest; while the line's own address is heard there is none. A probe
leaves only in return for a datagram from the candidate that is no shorter, at the waits of
`RESEND_INTERVALS_S`: nothing is amplified, and there is no timer. Left out: the handshake and the line's
messages and pings, which are few and go to the first address before it has answered.
"""

from dataclasses import dataclass

from p2pcall.proto import constants as c
from p2pcall.proto.dialling import Backoff
from p2pcall.proto.noise import Entropy
from p2pcall.proto.timing import pack_ping, parse_pong
from p2pcall.proto.wire import Address


@dataclass(slots=True)
class _Candidate:
    address: Address
    number: int
    resend: Backoff
    owed: bool = False


class Path:
    """The check of one line: `heard`, then `probe_due`, then `answered`. `proven` after the first answer."""

    __slots__ = ("_candidate", "_entropy", "proven")

    def __init__(self, entropy: Entropy) -> None:
        self.proven = False
        self._entropy = entropy
        self._candidate: _Candidate | None = None

    def heard(self, address: Address, current: Address, now: float) -> None:
        """The newest authentic datagram, at least `PROBE_DATAGRAM_BYTES` long, came from `address`.

        `current` is the line's address.
        """
        if self.proven and address == current:
            self._candidate = None
            return
        if self._candidate is None or self._candidate.address != address:
            number = int.from_bytes(self._entropy(c.PROBE_BYTES), "big")
            self._candidate = _Candidate(address, number, Backoff(now))
        if self._candidate.resend.take(now):
            self._candidate.owed = True

    def probe_due(self) -> tuple[bytes, Address] | None:
        """The ping that leaves now, and where to."""
        candidate = self._candidate
        if candidate is None or not candidate.owed:
            return None
        candidate.owed = False
        return pack_ping(candidate.number), candidate.address

    def answered(self, payload: bytes, address: Address) -> bool:
        """Whether this frame is the candidate's answer: then the address is the line's."""
        candidate, pong = self._candidate, parse_pong(payload)
        if candidate is None or pong is None or (pong[0], address) != (candidate.number, candidate.address):
            return False
        self.proven = True
        self._candidate = None
        return True
