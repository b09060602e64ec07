"""Private presence: what an announcement shows to contacts, and to nobody else.

An announcement is one or more TXT records of one length. Each has a nonce and 128 values of eight bytes in random
order. One value is for each contact, all others are random; to those who are no contacts all look alike. If there are
more contacts than values, there are 2, 4, 8, ... records with the same nonce. So their number gives only a power of two
that is no smaller than the number of contacts: the same for everybody with up to 128.

A value is a tag, by which the contact knows it, and the port, encrypted. Both are keyed BLAKE2s (RFC 7693) of period
and nonce, under a key that only the announcer and the contact can compute. The key depends on who announces, so the
announcements of two people who are each other's contacts have nothing in common.

Rules: a nonce is used for one announcement. A record that does not have exactly this form is not looked at, and
neither are more than PRESENCE_MAX_TEXTS records in a period: the work that strangers can cause is bounded. A tag is not
a proof: anybody can repeat it in the same period, so it only says where to dial. Left out: names and addresses of the
records (`net`), forward secrecy (who gets a contact's private key later can recognise recorded announcements).
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2s, sha256
from typing import Final

from p2pcall.proto import constants as c
from p2pcall.proto.handshake.noise import KeyPair, dh
from p2pcall.types import Entropy

VALUE_BYTES: Final = c.PRESENCE_TAG_BYTES + c.PRESENCE_PORT_BYTES
STRING_BYTES: Final = c.PRESENCE_STRING_VALUES * VALUE_BYTES
RECORD_VALUES: Final = c.PRESENCE_STRINGS * c.PRESENCE_STRING_VALUES
PRESENCE_START: Final = b"\x03v=1" + bytes([len("n=") + c.PRESENCE_NONCE_BYTES]) + b"n="
"""The version, and the length and key of the nonce's string (RFC 6763, section 6)."""
_NONCE_END: Final = len(PRESENCE_START) + c.PRESENCE_NONCE_BYTES
_PREFIXES: Final = tuple(
    bytes([STRING_BYTES + len(f"p{number}=")]) + f"p{number}=".encode()
    for number in range(c.PRESENCE_STRINGS)
)
TEXT_BYTES: Final = _NONCE_END + sum(len(prefix) + STRING_BYTES for prefix in _PREFIXES)
_MARK: Final = (1 << c.PRESENCE_MARK_BITS) - 1


def presence_key(static: KeyPair, other: bytes, *, announcer: bool) -> bytes:
    """The key between us and the owner of the public key `other`; `announcer`: we announce.

    NoiseError if `other` is of low order.
    """
    first, second = (static.public, other) if announcer else (other, static.public)
    return sha256(c.PRESENCE_LABEL + dh(static, other) + first + second).digest()


def period_of(epoch: float) -> int:
    """The period of a time of day in seconds."""
    return int(epoch // c.PRESENCE_PERIOD_S)


def announcement(keys: Sequence[bytes], epoch: float, port: int, entropy: Entropy) -> list[bytes]:
    """The TXT records of one announcement, for contacts with these keys (at most MAX_CONTACTS)."""
    period = period_of(epoch)
    nonce = bytearray(entropy(c.PRESENCE_NONCE_BYTES))
    nonce[0] = nonce[0] & ~_MARK | period & _MARK
    data, plain = _hashed(period) + nonce, port.to_bytes(c.PRESENCE_PORT_BYTES, "big")
    values = [_tag(key, data).digest() + _masked(key, data, plain) for key in keys]
    size = RECORD_VALUES
    while size < len(values):
        size *= 2
    values += _parts(entropy((size - len(values)) * VALUE_BYTES))
    order = _parts(entropy(size * VALUE_BYTES))
    shuffled = b"".join(value for _, value in sorted(zip(order, values, strict=True)))
    strings = [shuffled[at : at + STRING_BYTES] for at in range(0, len(shuffled), STRING_BYTES)]
    return [
        PRESENCE_START
        + nonce
        + b"".join(
            prefix + one for prefix, one in zip(_PREFIXES, strings[at : at + c.PRESENCE_STRINGS], strict=True)
        )
        for at in range(0, len(strings), c.PRESENCE_STRINGS)
    ]


class PresenceFinder:
    """Recognises the announcements of some contacts. `keys`: public key -> `presence_key`."""

    def __init__(self, keys: Mapping[bytes, bytes]) -> None:
        self._keys = tuple(keys.items())
        self._period: int | None = None
        self._begun: dict[int, list[blake2s]] = {}
        """Period -> the hash of each key and the period; the nonce is still to come."""
        self._nonce = b""
        self._tags: list[bytes] = []
        """The tags that belong to `_nonce`."""
        self._results: dict[bytes, tuple[bytes, int] | None] = {}

    def find(self, text: bytes, epoch: float) -> tuple[bytes, int] | None:
        """The public key of the contact whose TXT record this is, and the port. None: it is no contact's."""
        now = period_of(epoch)
        if now != self._period:
            self._period = now
            self._results.clear()
            self._begun.clear()
            self._nonce = b""
        if text not in self._results:
            if len(self._results) >= c.PRESENCE_MAX_TEXTS or not _well_formed(text):
                return None
            self._results[text] = self._recognise(text, now)
        return self._results[text]

    def _recognise(self, text: bytes, now: int) -> tuple[bytes, int] | None:
        nonce = text[len(PRESENCE_START) : _NONCE_END]
        for period in (now - 1, now, now + 1):
            if (period ^ nonce[0]) & _MARK == 0:
                return self._look(text, nonce, period)
        return None

    def _look(self, text: bytes, nonce: bytes, period: int) -> tuple[bytes, int] | None:
        if nonce != self._nonce:
            self._nonce, self._tags = nonce, self._expected(nonce, period)
        values = {value[: c.PRESENCE_TAG_BYTES]: value[c.PRESENCE_TAG_BYTES :] for value in _values(text)}
        ours = values.keys() & self._tags
        if not ours:
            return None
        at = min(map(self._tags.index, ours))
        public, key = self._keys[at]
        port = int.from_bytes(_masked(key, _hashed(period) + nonce, values[self._tags[at]]), "big")
        return (public, port) if port else None

    def _expected(self, nonce: bytes, period: int) -> list[bytes]:
        if period not in self._begun:
            self._begun[period] = [_tag(key, _hashed(period)) for _, key in self._keys]
        tags = []
        for begun in self._begun[period]:
            one = begun.copy()
            one.update(nonce)
            tags.append(one.digest())
        return tags


def _hashed(period: int) -> bytes:
    return period.to_bytes(c.PRESENCE_NUMBER_BYTES, "big", signed=True)


def _tag(key: bytes, data: bytes) -> blake2s:
    return blake2s(data, key=key, digest_size=c.PRESENCE_TAG_BYTES)


def _masked(key: bytes, data: bytes, port: bytes) -> bytes:
    """Encrypt a port, or decrypt it. The length of a BLAKE2 hash is part of it, so this one says nothing of the tag."""
    mask = blake2s(data, key=key, digest_size=c.PRESENCE_PORT_BYTES).digest()
    return bytes(one ^ other for one, other in zip(port, mask, strict=True))


def _parts(data: bytes) -> list[bytes]:
    return [data[at : at + VALUE_BYTES] for at in range(0, len(data), VALUE_BYTES)]


def _well_formed(text: bytes) -> bool:
    return (
        len(text) == TEXT_BYTES
        and text.startswith(PRESENCE_START)
        and all(text.startswith(prefix, at) for prefix, at in _strings())
    )


def _strings() -> Iterator[tuple[bytes, int]]:
    """Each string's length and key, and where they are."""
    at = _NONCE_END
    for prefix in _PREFIXES:
        yield prefix, at
        at += len(prefix) + STRING_BYTES


def _values(text: bytes) -> Iterator[bytes]:
    for prefix, at in _strings():
        yield from _parts(text[at + len(prefix) : at + len(prefix) + STRING_BYTES])
