"""Strangers at the door: handshakes that we answer and that nobody has confirmed yet. All of it is bounded.

An initiation that comes again, from whatever address, gets the very same response again and costs no DH.
New ones pass a rate limit over all sources; the table drops its oldest when it is full, and everything
after 5 s. Left out: cookies (a later version), without which a flood from forged addresses can crowd out
honest callers for as long as it lasts; calls that are up are not touched by it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.handshake import Established, Responder, StaticKey
from p2pcall.proto.noise import Entropy
from p2pcall.proto.wire import DropReason, Suites


class RateLimit:
    """A token bucket: `take` tells whether one more may pass."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._tokens = self._burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Use up one token if there is one."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(slots=True)
class _HalfOpen:
    index: int
    initiation: bytes
    response: bytes
    responder: Responder | None
    expires: float


class Admission:
    """The responder's side of all handshakes that are not yet lines."""

    def __init__(
        self,
        static: StaticKey,
        entropy: Entropy,
        able: Suites,
        new_index: Callable[[], int],
        dropped: Counter[DropReason],
    ) -> None:
        self._static = static
        self._entropy = entropy
        self._able = able
        self._new_index = new_index
        self._dropped = dropped
        self._by_initiation: dict[bytes, _HalfOpen] = {}  # in order of age
        self._by_index: dict[int, _HalfOpen] = {}
        self._limit = RateLimit(c.HANDSHAKE_RATE_PER_S, c.HANDSHAKE_BURST)

    def __contains__(self, index: int) -> bool:
        return index in self._by_index

    def __len__(self) -> int:
        return len(self._by_index)

    def answer(self, datagram: bytes, now: float) -> bytes | DropReason:
        """The response to an initiation."""
        known = self._by_initiation.get(datagram)
        if known is not None:
            return known.response
        initiation = wire.parse_initiation(datagram)
        if isinstance(initiation, DropReason):
            return initiation
        if not self._limit.take(now):
            return DropReason.RATE
        index = self._new_index()
        responder = Responder.answer(self._static, self._entropy, index, self._able, initiation)
        if isinstance(responder, DropReason):
            return responder
        if len(self) >= c.MAX_HALF_OPEN:
            self._dropped[DropReason.HALF_OPEN] += 1
            self._forget(next(iter(self._by_index.values())))
        half_open = _HalfOpen(index, datagram, responder.response, responder, now + c.HANDSHAKE_TIMEOUT_S)
        self._by_initiation[datagram] = self._by_index[index] = half_open
        return responder.response

    def confirm(self, confirmation: wire.Confirmation) -> Established | DropReason:
        """Finish the handshake that a confirmation belongs to; its response stays for late copies."""
        half_open = self._by_index.get(confirmation.receiver_index)
        if half_open is None:
            return DropReason.INDEX
        if half_open.responder is None:
            return DropReason.DUPLICATE
        established = half_open.responder.read_confirmation(confirmation.noise)
        if isinstance(established, Established):
            half_open.responder = None
        elif established is DropReason.COMMITMENT:
            self._forget(half_open)
        return established

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        for half_open in list(self._by_index.values()):
            if now < half_open.expires:
                return
            self._forget(half_open)

    def next_timer(self) -> float | None:
        """When the oldest goes."""
        for half_open in self._by_index.values():
            return half_open.expires
        return None

    def _forget(self, half_open: _HalfOpen) -> None:
        del self._by_index[half_open.index]
        del self._by_initiation[half_open.initiation]
