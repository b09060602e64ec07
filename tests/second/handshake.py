"""The calling side's datagrams around a handshake, and the new keys of a line.

Written from p2pcall-protocol(7) alone: sections DATAGRAMS, KNOCKING, DIALLING and NEW KEYS.
"""

import os
import struct
import time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from patterns import (
    COMMITMENT_BYTES,
    IK,
    SUITE_NAMES,
    XX,
    Chosen,
    Exchange,
    Keys,
    NotAuthentic,
    commitment,
    dh,
    hmac256,
    public_of,
    sha256,
    u32,
    words_of,
)

VERSION = 4
KNOCK, COOKIE, PART, RESPONSE, CONFIRMATION, DATA = range(1, 7)
KNOCK_BYTES, COOKIE_BYTES = 84, 36
PART_BYTES = {XX: 650, IK: 690}
RESPONSE_BYTES = {XX: 1232, IK: 1184}
CONFIRMATION_BYTES = {XX: 72, IK: 24}
PROLOGUE = b"p2pcall/4 initiator responder"
EPOCH_US = 600_000_000
HINTS = 4


def pair_key(private: X25519PrivateKey, remote: bytes, initiator: bytes, responder: bytes) -> bytes:
    """The key of the tag and the time of a knock between these two."""
    return sha256(b"p2pcall/4 contact" + dh(private, remote) + initiator + responder)


def hide(pair: bytes, nonce: bytes, hidden_or_not: bytes) -> bytes:
    """The time of a knock, hidden or found again."""
    mask = hmac256(pair, nonce)[:8]
    return bytes(one ^ other for one, other in zip(hidden_or_not, mask, strict=True))


def hint(pair: bytes, time_us: int, place: int) -> bytes:
    """With what the nonce of a knock at this time begins."""
    made = hmac256(pair, struct.pack(">Q", time_us // EPOCH_US))
    return made[4 * place : 4 * place + 4]


def initiation_header(pattern: int, offered: int, suite: int, index: int) -> bytes:
    return bytes((PART, VERSION, pattern, offered, suite, 0, 0, 0)) + u32(index) + bytes(4)


class Dial:
    """One dial: `knock`, `take_cookie`, `parts`, `take_response`, then `keys` and `confirmation`.

    In the call `fits` judges the nonce of the other side, and `own_nonce` is shown after that.
    """

    def __init__(
        self,
        static: X25519PrivateKey,
        offered: int,
        responder: bytes | None,
        chosen: Chosen | None = None,
    ) -> None:
        self.pattern = XX if responder is None else IK
        self._chosen = chosen or Chosen()
        self.index = self._chosen.index
        self.own_nonce = self._chosen.nonce
        self.keys: Keys | None = None
        self.confirmation = b""
        self.protocol = ""
        self.remote_static = b""
        self._promised = b""
        self._static = static
        self._offered = offered
        self._responder = responder
        self._token = self._chosen.token
        self._last_time = 0
        self._hint = b""
        self._cookie: bytes | None = None
        self._header = b""
        self._message_1 = b""
        self._exchange: Exchange | None = None

    def knock(self) -> bytes:
        nonce = self._chosen.knock_nonce or os.urandom(16)
        head = bytes((KNOCK, VERSION, self.pattern, self._offered)) + u32(self.index) + self._token
        if self._responder is None:
            return head + nonce + self._chosen.hidden_time + bytes(28) + self._chosen.tag
        pair = pair_key(self._static, self._responder, public_of(self._static), self._responder)
        now = self._chosen.time_us or time.time_ns() // 1000
        self._last_time = max(now, self._last_time + 1)
        self._hint = self._hint or hint(pair, self._last_time, self.index % HINTS)
        nonce = self._hint + nonce[4:]
        head += nonce + hide(pair, nonce, struct.pack(">Q", self._last_time)) + bytes(28)
        return head + hmac256(pair, head)[:16]

    def take_cookie(self, data: bytes) -> bool:
        """Whether it is one for us."""
        if len(data) != COOKIE_BYTES or data[:2] != bytes((COOKIE, VERSION)) or data[3] or any(data[32:]):
            return False
        suite = data[2]
        if (
            data[4:16] != u32(self.index) + self._token
            or suite not in SUITE_NAMES
            or not suite & self._offered
        ):
            return False
        self._cookie = data[16:32]
        if self._exchange is None:
            self._begin(suite)
        return True

    def _begin(self, suite: int) -> None:
        self._header = initiation_header(self.pattern, self._offered, suite, self.index)
        prologue = PROLOGUE + self._header
        self._exchange = Exchange(self.pattern, suite, prologue, self._static, self._responder, self._chosen)
        promise = commitment("initiator", self.own_nonce, public_of(self._static))
        self._message_1 = self._exchange.write_1(promise)

    def parts(self) -> list[bytes]:
        """The initiation, in two datagrams."""
        assert self._cookie is not None
        whole = self._header + self._message_1
        half = len(whole) // 2
        made = []
        for number in (0, 1):
            head = bytes((PART, VERSION, number, self._offered)) + u32(self.index) + self._cookie
            made.append(head + whole[number * half : (number + 1) * half])
            assert len(made[-1]) == PART_BYTES[self.pattern]
        return made

    def take_response(self, data: bytes) -> bool:
        """Whether the handshake is done with it; after a bad one a good one may still follow."""
        if len(data) != RESPONSE_BYTES[self.pattern] or data[:4] != bytes((RESPONSE, VERSION, 0, 0)):
            return False
        exchange = self._exchange
        if data[4:8] != u32(self.index) or exchange is None:
            return False
        try:
            payload = exchange.read_2(data[8:])
        except NotAuthentic:
            return False
        self._promised = payload[:COMMITMENT_BYTES]
        remote_index = int.from_bytes(payload[COMMITMENT_BYTES:], "big")
        last = exchange.write_3() if self.pattern == XX else b""
        sending, receiving = exchange.noise.split()
        self.keys = Keys(sending, receiving, self.index, remote_index, exchange.noise.h)
        if self.pattern == IK:
            last = sending.seal(0, b"", exchange.noise.h)
            self.keys.counter = 1
        self.confirmation = bytes((CONFIRMATION, 0, 0, 0)) + u32(remote_index) + last
        assert len(self.confirmation) == CONFIRMATION_BYTES[self.pattern]
        self.protocol = exchange.noise.name
        self.remote_static = exchange.known
        return True

    def fits(self, nonce: bytes) -> bool:
        """Whether this is the nonce that the responder has promised."""
        return commitment("responder", nonce, self.remote_static) == self._promised

    def words(self, shown: bytes) -> list[str]:
        """The words, with the nonce that the responder has shown."""
        assert self.keys is not None
        return words_of(self.keys.handshake_hash, self.own_nonce, shown)


class NewKeys:
    """The initiator's new epoch: `message_1` goes out in pieces, `finish` takes what comes back."""

    def __init__(self, static: X25519PrivateKey, responder: bytes, suite: int, running: Keys) -> None:
        chosen = Chosen()
        self._index = chosen.index
        prologue = b"p2pcall/4 rekey" + running.handshake_hash
        self._exchange = Exchange(IK, suite, prologue, static, responder, chosen)
        self.message_1 = self._exchange.write_1(u32(self._index))

    def finish(self, message_2: bytes) -> Keys:
        """The keys of the new epoch."""
        remote_index = int.from_bytes(self._exchange.read_2(message_2), "big")
        sending, receiving = self._exchange.noise.split()
        return Keys(sending, receiving, self._index, remote_index, self._exchange.noise.h)


def answer_new_keys(
    static: X25519PrivateKey, initiator: bytes, suite: int, running: Keys, message_1: bytes
) -> tuple[bytes, Keys]:
    """The responder's side of it: message 2, and the keys of the new epoch. Raises `NotAuthentic`."""
    chosen = Chosen()
    prologue = b"p2pcall/4 rekey" + running.handshake_hash
    exchange = Exchange(IK, suite, prologue, static, None, chosen, responds=True)
    remote_index = int.from_bytes(exchange.read_1(message_1), "big")
    if exchange.known != initiator:
        raise NotAuthentic
    message_2 = exchange.write_2(u32(chosen.index))
    receiving, sending = exchange.noise.split()
    return message_2, Keys(sending, receiving, chosen.index, remote_index, exchange.noise.h)
