"""Whether the other side receives at the address that a line sends to, and still agrees to it.

Any sender can write any source address, even one whose key we know. A line begins at an address that has returned a
cookie. A new address is only a candidate: it gets a ping with a random number, and becomes the line's address when a
pong with that number comes from it (as QUIC's path validation, RFC 9000 section 8.2). The line's own address is asked
in the same way every CONSENT_S (consent to send, RFC 7675), in an ordinary record. If it has not agreed for
CONSENT_LAPSES_S, it gets no media, only one small record a second that asks again. LOST_TIMEOUT_S after the first
unanswered question the line is lost, even if datagrams come from elsewhere.

Rules: there is one candidate at a time, the latest, and none while the line's own address is heard. A candidate gets
only probes, with the waits of `RESEND_INTERVALS_S`, each in return for datagrams from it that are together at
least as long: nothing is amplified.
"""

from msgspec import Struct

from p2pcall.proto import constants as c
from p2pcall.proto.backoff import Backoff
from p2pcall.proto.line.timing import pack_ping, parse_pong
from p2pcall.types import Address, Entropy


class _Candidate(Struct):
    address: Address
    number: int
    resend: Backoff
    received: int = 0
    """Bytes of its datagrams since the last probe."""
    owed: bool = False


class Path:
    """The checks of one line, whose `address` has agreed at `now`.

    For a candidate: `heard`, then `probe_due`, then `answered`. `consent_due` asks the address in use.
    """

    __slots__ = ("_agreed_at", "_ask_at", "_entropy", "_number", "address", "candidate", "lapsed")

    def __init__(self, entropy: Entropy, address: Address, now: float) -> None:
        self.address = address
        self.lapsed = False
        """Whether the address has not agreed for too long; set by `consent_due`."""
        self._entropy = entropy
        self.candidate: _Candidate | None = None
        """The address that may become the line's."""
        self._agreed_at, self._ask_at = now, now + c.CONSENT_S
        self._number: int | None = None

    @property
    def lost_at(self) -> float:
        """When the line is given up, even if other addresses are heard."""
        return self._agreed_at + c.CONSENT_S + c.LOST_TIMEOUT_S

    @property
    def next_timer(self) -> float:
        """The next of: the address is asked again, its consent lapses, the line is given up."""
        after = self.lost_at if self.lapsed else self._agreed_at + c.CONSENT_LAPSES_S
        return min(self._ask_at, after)

    def consent_due(self, now: float) -> int | None:
        """The number for a consent ping that is due now; it goes into the next record to the line's address."""
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
        """Whether this frame answers our probe from the probed address; then `address` becomes the line's."""
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
