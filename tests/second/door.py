"""The called side's datagrams around a handshake: knocks, cookies, initiations, confirmations.

Written from p2pcall-protocol(7) alone: sections DATAGRAMS, KNOCKING, HANDSHAKE and ANSWERING. It leaves out the
limits against floods: it is for one call.
"""

import os
import struct
import time
from collections import deque
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from handshake import (
    CONFIRMATION,
    CONFIRMATION_BYTES,
    COOKIE,
    EPOCH_US,
    HINTS,
    KNOCK,
    KNOCK_BYTES,
    PART,
    PART_BYTES,
    PROLOGUE,
    RESPONSE,
    RESPONSE_BYTES,
    VERSION,
    hide,
    hint,
    initiation_header,
    pair_key,
)
from patterns import (
    AES,
    CHACHAPOLY,
    IK,
    XX,
    Chosen,
    Exchange,
    Keys,
    NotAuthentic,
    commitment,
    hmac256,
    public_of,
    sha256,
    u32,
    words_of,
)

Address = tuple[str, int]
HALF_TIMEOUT_S = 2.0
HANDSHAKE_TIMEOUT_S = 5.0
MAX_CONFIRMATION_FAILURES = 3
KNOCK_AHEAD_US = 600_000_000
MAX_KNOCKS_AHEAD = 16
PATTERN_BY_LENGTH = {length: pattern for pattern, length in PART_BYTES.items()}


@dataclass
class Contact:
    """Who may knock with IKhfs, and the times of the knocks that were answered."""

    static: bytes
    pair: bytes
    last: int = 0
    ahead: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_KNOCKS_AHEAD))

    def fresh(self, knocked: int, now: int) -> bool:
        """Whether a knock of this time is to be answered; it is remembered."""
        if knocked <= self.last or knocked in self.ahead:
            return False
        if knocked > now + KNOCK_AHEAD_US:
            self.ahead.append(knocked)
        else:
            self.last = knocked
        return True


@dataclass
class Answered:
    """A handshake that has had its response; after the confirmation, what a call needs of it."""

    exchange: Exchange
    response: bytes
    promised: bytes
    """The commitment of the initiator."""
    remote_index: int
    sources: set[Address]
    until: float
    failures: int = 0
    keys: Keys | None = None

    @property
    def own_nonce(self) -> bytes:
        return self.exchange.chosen.nonce

    @property
    def protocol(self) -> str:
        return self.exchange.noise.name

    @property
    def remote_static(self) -> bytes:
        return self.exchange.known

    def fits(self, nonce: bytes) -> bool:
        """Whether this is the nonce that the initiator has promised."""
        return commitment("initiator", nonce, self.remote_static) == self.promised

    def words(self, shown: bytes) -> list[str]:
        """The words, with the nonce that the initiator has shown."""
        assert self.keys is not None
        return words_of(self.keys.handshake_hash, shown, self.own_nonce)

    def confirm(self, data: bytes) -> None:
        """Read what comes after the header of a confirmation. Raises `NotAuthentic`."""
        exchange = self.exchange
        if exchange.pattern == XX:
            exchange.read_3(data)
        receiving, sending = exchange.noise.split()
        if exchange.pattern == IK:
            receiving.open(0, data, exchange.noise.h)
        index = exchange.chosen.index
        self.keys = Keys(sending, receiving, index, self.remote_index, exchange.noise.h)


class Door:
    """Give `receive` each datagram; it gives what goes back to its sender. After a confirmation `done` is set."""

    def __init__(
        self,
        static: X25519PrivateKey,
        suites: int,
        contacts: list[bytes],
        *,
        anyone: bool,
        chosen: Chosen | None = None,
    ) -> None:
        self.done: Answered | None = None
        self.where: Address | None = None
        """From where the confirmation came."""
        own = public_of(static)
        self._static = static
        self._suites = suites
        self._anyone = anyone
        self._chosen = chosen
        self._contacts = [Contact(one, pair_key(static, one, one, own)) for one in contacts]
        self._secret = os.urandom(32)
        self._halves: dict[tuple[bytes, int], tuple[bytes, float]] = {}
        self._answered: dict[bytes, Answered] = {}

    def receive(self, data: bytes, source: Address, now: float) -> bytes | None:
        kind = data[0] if data else 0
        if kind == KNOCK and len(data) == KNOCK_BYTES and data[1] == VERSION:
            return self._knock(data, source)
        if kind == PART and len(data) in PATTERN_BY_LENGTH and data[1] == VERSION:
            return self._part(data, source, now)
        if kind == CONFIRMATION and not any(data[1:4]):
            self._confirmation(data, source, now)
        return None

    # ---- knocks

    def _suite(self, offered: int) -> int:
        both = self._suites & offered
        return both & AES or both & CHACHAPOLY

    def _cookie(self, pattern: int, offered: int, index: bytes, source: Address) -> bytes:
        bound = bytes((pattern, offered, self._suite(offered))) + index + repr(source).encode()
        return hmac256(self._secret, bound)[:16]

    def _knock(self, data: bytes, source: Address) -> bytes | None:
        pattern, offered = data[2], data[3]
        suite = self._suite(offered)
        known = (pattern == XX and self._anyone) or (pattern == IK and self._is_contact(data))
        if any(data[40:68]) or not suite or not known:
            return None
        cookie = self._cookie(pattern, offered, data[4:8], source)
        return bytes((COOKIE, VERSION, suite, 0)) + data[4:16] + cookie + bytes(4)

    def _is_contact(self, data: bytes) -> bool:
        now = time.time_ns() // 1000
        near = [now + apart * EPOCH_US for apart in (0, 1, -1)]

        def unhinted(contact: Contact) -> bool:
            hints = [hint(contact.pair, at, place) for at in near for place in range(HINTS)]
            return data[16:20] not in hints

        for contact in sorted(self._contacts, key=unhinted):
            if hmac256(contact.pair, data[:68])[:16] == data[68:]:
                (knocked,) = struct.unpack(">Q", hide(contact.pair, data[16:32], data[32:40]))
                return contact.fresh(knocked, now)
        return False

    # ---- initiations

    def _part(self, data: bytes, source: Address, now: float) -> bytes | None:
        pattern, number, offered, cookie = PATTERN_BY_LENGTH[len(data)], data[2], data[3], data[8:24]
        suite = self._suite(offered)
        if number > 1 or not suite or (pattern == XX and not self._anyone):
            return None
        if cookie != self._cookie(pattern, offered, data[4:8], source):
            return None
        self._halves[cookie, number] = data[24:], now + HALF_TIMEOUT_S
        other, until = self._halves.get((cookie, 1 - number), (b"", 0.0))
        if now >= until:
            return None
        whole = data[24:] + other if number == 0 else other + data[24:]
        del self._halves[cookie, 0], self._halves[cookie, 1]
        header = initiation_header(pattern, offered, suite, int.from_bytes(data[4:8], "big"))
        return self._initiation(whole, header, source, now) if whole.startswith(header) else None

    def _initiation(self, whole: bytes, header: bytes, source: Address, now: float) -> bytes | None:
        """The very same initiation gets the very same response."""
        name = sha256(whole)
        running = self._answered.get(name)
        if running is not None:
            running.sources.add(source)
            return running.response
        pattern, suite, index = header[2], header[4], header[8:12]
        chosen = self._chosen or Chosen()
        prologue = PROLOGUE + header
        exchange = Exchange(pattern, suite, prologue, self._static, None, chosen, responds=True)
        try:
            promised = exchange.read_1(whole[len(header) :])
            if not self._anyone and exchange.known not in [one.static for one in self._contacts]:
                return None
            own = commitment("responder", chosen.nonce, public_of(self._static))
            message = exchange.write_2(own + u32(chosen.index))
        except NotAuthentic:
            return None
        response = bytes((RESPONSE, VERSION, 0, 0)) + index + message
        assert len(response) == RESPONSE_BYTES[pattern]
        until = now + HANDSHAKE_TIMEOUT_S
        remote_index = int.from_bytes(index, "big")
        self._answered[name] = Answered(exchange, response, promised, remote_index, {source}, until)
        return response

    # ---- confirmations

    def _confirmation(self, data: bytes, source: Address, now: float) -> None:
        for name, answered in list(self._answered.items()):
            exchange = answered.exchange
            if now >= answered.until:
                del self._answered[name]
            elif (
                data[4:8] == u32(exchange.chosen.index)
                and len(data) == CONFIRMATION_BYTES[exchange.pattern]
                and source in answered.sources
            ):
                try:
                    answered.confirm(data[8:])
                except NotAuthentic:
                    answered.failures += 1
                    if answered.failures == MAX_CONFIRMATION_FAILURES:
                        del self._answered[name]
                else:
                    self.done, self.where = answered, source
