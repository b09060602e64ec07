"""The responder's side of all unfinished handshakes. All memory and work is bounded.

A knock is answered by a cookie: no state is kept, no DH is computed, and the answer is shorter than the knock. An
initiation costs only hashes until its cookie proves that the sender receives at its address. Then its first part is
kept for a moment. When it is whole, the rate limit of its source is checked, and only then DH is computed. A repeated
initiation gets the same response again, without new work. Answered handshakes are kept for 5 s; if one source has
too many, its own oldest is dropped. A confirmation is accepted only from an address that sent an initiation, because
that address is proven, and only a few unreadable ones are allowed.
"""

from collections import Counter
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission.cookie import Cookies
from p2pcall.proto.admission.knock_filter import KnockFilter
from p2pcall.proto.admission.limits import Source, SourceLimits, eviction_candidate, source_of
from p2pcall.proto.admission.partial import PartialInitiations
from p2pcall.proto.handshake.exchange import Established, Initiation, Local, Responder, choose_suite
from p2pcall.proto.wire import DropReason, Suites
from p2pcall.types import Address


class _HalfOpen(Struct):
    index: int
    initiation: bytes
    addresses: list[Address]
    source: Source
    response: bytes
    responder: Responder | None
    expires: float
    failures: int = 0


class Admission:
    """`knock` and `part` take first messages, `confirm` takes the last one. `knock_filter` decides who may knock."""

    def __init__(
        self,
        local: Local,
        able: Suites,
        new_index: Callable[[], int],
        dropped: Counter[DropReason],
        wall: Callable[[float], int],
    ) -> None:
        """`wall(now)` is the time of day: microseconds since the epoch."""
        self.knock_filter = KnockFilter(local, wall)
        self._local = local
        self._choices = [choose_suite(offered, able) for offered in range(c.MAX_U8 + 1)]
        self._new_index = new_index
        self._dropped = dropped
        self._cookies = Cookies(local.entropy)
        self._partial = PartialInitiations(dropped)
        self._limits = SourceLimits()
        self._by_initiation: dict[bytes, _HalfOpen] = {}
        self._by_index: dict[int, _HalfOpen] = {}  # in order of age

    def __contains__(self, index: int) -> bool:
        return index in self._by_index

    def __len__(self) -> int:
        return len(self._by_index)

    def knock(self, datagram: bytes, address: Address, now: float) -> bytes | DropReason:
        """The cookie for a knock."""
        knock = wire.parse_knock(datagram)
        if isinstance(knock, DropReason):
            return knock
        reason = self.knock_filter.judge(knock, datagram, now)
        if reason is not None:
            return reason
        chosen = self._choices[knock.offered]
        if chosen is None:
            return DropReason.SUITE
        cookie = self._cookies.make(address, knock.pattern, knock.offered, chosen, knock.sender_index, now)
        return wire.pack_cookie(chosen, knock.sender_index, knock.token, cookie)

    def part(self, datagram: bytes, address: Address, now: float) -> bytes | DropReason | None:
        """The response, once this part completes an initiation; None for the part that arrives first."""
        part = wire.parse_part(datagram)
        if isinstance(part, DropReason):
            return part
        if not self.knock_filter.opens(part.pattern):
            return DropReason.PATTERN
        chosen = self._choices[part.offered]
        if chosen is None:
            return DropReason.SUITE
        said = (part.pattern, part.offered, chosen, part.sender_index)
        if not self._cookies.holds(part.cookie, address, *said, now):
            return DropReason.COOKIE
        source = source_of(address)
        whole = self._partial.join(part, source, now)
        if whole is None:
            return None
        initiation = Initiation(*said, whole[c.INITIATION_HEADER_BYTES :])
        if not whole.startswith(initiation.header):
            return DropReason.HEADER
        digest = sha256(whole).digest()
        known = self._by_initiation.get(digest)
        if known is None:
            return self._answer(initiation, digest, address, source, now)
        if known.responder is not None and not known.responder.admitted(self.knock_filter.admits):
            self._forget(known)
            return DropReason.STRANGER
        if address not in known.addresses and len(known.addresses) < c.MAX_INITIATIONS:
            known.addresses.append(address)
        return known.response

    def confirm(self, confirmation: wire.Confirmation, address: Address) -> Established | DropReason:
        """Finish the handshake that a confirmation belongs to. The response is kept for late copies of it."""
        half_open = self._by_index.get(confirmation.receiver_index)
        if half_open is None:
            return DropReason.INDEX
        if half_open.responder is None:
            return DropReason.DUPLICATE
        if address not in half_open.addresses:
            return DropReason.ADDRESS
        established = half_open.responder.read_confirmation(confirmation.noise)
        if isinstance(established, Established) and not self.knock_filter.admits(established.remote_static):
            self._forget(half_open)  # its sender was a contact only when it was answered
            return DropReason.STRANGER
        if isinstance(established, Established):
            half_open.responder = None
            return established
        half_open.failures += 1
        if half_open.failures == c.MAX_CONFIRMATION_FAILURES:
            self._forget(half_open)
        return established

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        self._partial.expire(now)
        for half_open in list(self._by_index.values()):
            if now < half_open.expires:
                return
            self._forget(half_open)

    def next_timer(self) -> float:
        """When the oldest expires; `inf`: there is none."""
        at = self._partial.next_timer()
        for half_open in self._by_index.values():
            return min(at, half_open.expires)
        return at

    def _answer(
        self, initiation: Initiation, digest: bytes, address: Address, source: Source, now: float
    ) -> bytes | DropReason:
        if not self._limits.take(source, now):
            return DropReason.RATE
        index = self._new_index()
        responder = Responder.answer(self._local, index, initiation, self.knock_filter.admits)
        if isinstance(responder, DropReason):
            return responder
        self._make_room(source)
        expires = now + c.HANDSHAKE_TIMEOUT_S
        half_open = _HalfOpen(index, digest, [address], source, responder.response, responder, expires)
        self._by_initiation[digest] = self._by_index[index] = half_open
        return responder.response

    def _make_room(self, source: Source) -> None:
        index = eviction_candidate(self._by_index, source, c.MAX_HALF_OPEN_PER_SOURCE, c.MAX_HALF_OPEN)
        if index is not None:
            self._dropped[DropReason.HALF_OPEN] += 1
            self._forget(self._by_index[index])

    def _forget(self, half_open: _HalfOpen) -> None:
        del self._by_index[half_open.index]
        del self._by_initiation[half_open.initiation]
