"""The datagrams of a first contact, packed and unpacked: exact lengths, reserved bytes zero, integers big-endian.

Four of them are the exchange: QUERY and PROOF come from the joiner, OFFER and RESULT answer them. REFUSAL is the other
answer to PROOF, and DONE ends it. Their types do not overlap with those of a line, so a port for calls drops them.
`parse_pairing` takes bytes from strangers and never raises. No keys are used here.
"""

from collections.abc import Callable
from enum import IntEnum
from struct import Struct as Layout
from typing import Final

from msgspec import Struct

from p2pcall.pairing import constants as c
from p2pcall.proto.constants import HASH_BYTES, KEY_BYTES


class PairingType(IntEnum):
    """First byte of every datagram."""

    QUERY = 16
    OFFER = 17
    PROOF = 18
    RESULT = 19
    REFUSAL = 20
    DONE = 21


PAIRING_ANSWERS: Final = frozenset({PairingType.OFFER, PairingType.RESULT, PairingType.REFUSAL})
"""They leave from the address that the request was sent to."""

_TOKEN, _ELEMENT = f"{c.PAIRING_TOKEN_BYTES}s", f"{c.ELEMENT_BYTES}s"
_HALF: Final = f"{_TOKEN}{_ELEMENT}{KEY_BYTES}s"
_MAC: Final = f"{HASH_BYTES}s"
_INTRODUCTION: Final = f"{c.SEALED_INTRODUCTION_BYTES}s"
_QUERY: Final = Layout(f">BBH{_HALF}{c.QUERY_PADDING_BYTES}s")
_OFFER: Final = Layout(f">BBH{_HALF}")
_PROOF: Final = Layout(f">BBH{_HALF}{_MAC}{_INTRODUCTION}")
_RESULT: Final = Layout(f">BBH{_TOKEN}{_MAC}{_INTRODUCTION}")
_REFUSAL: Final = Layout(f">BBH{_TOKEN}")
_DONE: Final = Layout(f">BBH{_TOKEN}{_MAC}")


class Query(Struct, frozen=True):
    """Is there an invite of this number? With the joiner's half of the key exchange."""

    number: int
    token: bytes
    element: bytes
    ephemeral: bytes

    def pack(self) -> bytes:
        head = PairingType.QUERY, c.PAIRING_VERSION, self.number
        return _QUERY.pack(*head, self.token, self.element, self.ephemeral, bytes(c.QUERY_PADDING_BYTES))


class Offer(Struct, frozen=True):
    """There is; with the inviter's half, the same for everybody who asks."""

    token: bytes
    element: bytes
    ephemeral: bytes

    def pack(self) -> bytes:
        head = PairingType.OFFER, c.PAIRING_VERSION, 0
        return _OFFER.pack(*head, self.token, self.element, self.ephemeral)


class Proof(Struct, frozen=True):
    """The joiner's half again, so that nobody has to remember it, its proof of the code, its sealed introduction."""

    number: int
    token: bytes
    element: bytes
    ephemeral: bytes
    mac: bytes
    sealed: bytes

    def pack(self) -> bytes:
        head = PairingType.PROOF, c.PAIRING_VERSION, self.number
        return _PROOF.pack(*head, self.token, self.element, self.ephemeral, self.mac, self.sealed)


class Result(Struct, frozen=True):
    """The inviter's proof of the code, and its sealed introduction; it has kept the joiner."""

    token: bytes
    mac: bytes
    sealed: bytes

    def pack(self) -> bytes:
        return _RESULT.pack(PairingType.RESULT, c.PAIRING_VERSION, 0, self.token, self.mac, self.sealed)


class Refusal(Struct, frozen=True):
    """The proof was none; the code works no more. Not authentic: there is no key in common."""

    token: bytes

    def pack(self) -> bytes:
        return _REFUSAL.pack(PairingType.REFUSAL, c.PAIRING_VERSION, 0, self.token)


class Done(Struct, frozen=True):
    """The joiner has kept the inviter, too."""

    token: bytes
    mac: bytes

    def pack(self) -> bytes:
        return _DONE.pack(PairingType.DONE, c.PAIRING_VERSION, 0, self.token, self.mac)


PairingDatagram = Query | Offer | Proof | Result | Refusal | Done


def parse_pairing(data: bytes) -> PairingDatagram | None:
    """The datagram in these bytes; None if there is none."""
    kind = data[0] if data else 0
    if kind == PairingType.QUERY and len(data) == c.QUERY_BYTES:
        _, version, number, *half, padding = _QUERY.unpack(data)
        return Query(number, *half) if version == c.PAIRING_VERSION and not any(padding) else None
    if kind == PairingType.PROOF and len(data) == c.PROOF_BYTES:
        _, version, number, *parts = _PROOF.unpack(data)
        return Proof(number, *parts) if version == c.PAIRING_VERSION else None
    return _without_number(kind, data)


_WITHOUT_NUMBER: Final[dict[int, tuple[Layout, Callable[..., PairingDatagram]]]] = {
    PairingType.OFFER: (_OFFER, Offer),
    PairingType.RESULT: (_RESULT, Result),
    PairingType.REFUSAL: (_REFUSAL, Refusal),
    PairingType.DONE: (_DONE, Done),
}


def _without_number(kind: int, data: bytes) -> PairingDatagram | None:
    if kind not in _WITHOUT_NUMBER:
        return None
    layout, make = _WITHOUT_NUMBER[kind]
    if len(data) != layout.size:
        return None
    _, version, reserved, *parts = layout.unpack(data)
    return make(*parts) if version == c.PAIRING_VERSION and not reserved else None
