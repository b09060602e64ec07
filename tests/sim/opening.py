"""A handshake step by step, each datagram in hand, and what is done to them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

from fingerprint import fingerprint

from p2pcall.proto import constants as c
from p2pcall.proto.endpoint import Endpoint, Peer
from p2pcall.proto.wire import CONFIRMATION_BYTES, DatagramType, PatternId
from p2pcall.types import Address

IN_A_KNOCK = {*range(3, 40), *range(c.KNOCK_TAGGED_BYTES, c.KNOCK_BYTES)}
"""Bytes of a stranger's knock that may be any: offer, index, token, and what only a contact's means something by."""
UNPROVEN: dict[str, Container[int]] = {
    "cookie": range(16, 32),  # who made it sees that it is wrong, and no other
    "parts": {2, *range(c.PART_HEADER_BYTES, c.MAX_DATAGRAM_BYTES)},  # seen when both are there
    "confirmation": range(
        c.CONFIRMATION_HEADER_BYTES, c.MAX_DATAGRAM_BYTES
    ),  # reading it costs DH: see there
}
"""Bytes of each message of a handshake that are not judged before all else."""


def flips(
    data: bytes, masks: Iterable[int] = (0x01, 0x80, 0xFF), but: Container[int] = range(0)
) -> Iterator[bytes]:
    for at in range(len(data)):
        for mask in masks if at not in but else ():
            yield data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def damage(
    data: bytes, masks: Iterable[int] = (0x01, 0x80, 0xFF), but: Container[int] = range(0)
) -> Iterator[bytes]:
    """Every length, one byte more, and every byte changed, `but` for those at some places."""
    yield from (data[:length] for length in range(len(data)))
    yield data + b"\0"
    yield from flips(data, masks, but)


def plain_damage(step: str, known: bool, data: bytes, masks: Iterable[int]) -> Iterator[bytes]:
    """Damage to a message of a handshake that is seen at once, and costs nothing."""
    but = IN_A_KNOCK if step == "knock" and not known else UNPROVEN.get(step, range(0))
    short = data[: CONFIRMATION_BYTES[PatternId.IKHFS]] if step == "confirmation" else b""
    yield from (bad for bad in damage(data, masks, but) if not short or bad != short)


def expect_no_trace(endpoint: Endpoint, bad: Iterable[bytes], source: Address, now: float) -> None:
    """Each is dropped, counted once, and answered with nothing; afterwards all is as before."""
    before = fingerprint(endpoint)
    for datagram in bad:
        dropped = sum(endpoint.dropped.values())
        endpoint.receive_datagram(datagram, source, now)
        assert sum(endpoint.dropped.values()) == dropped + 1, datagram.hex()
    assert fingerprint(endpoint) == before


@dataclass(slots=True)
class Opening:
    """One dial from `ours` to `theirs`: each step hands the datagrams of the one before over and keeps its own."""

    ours: Endpoint
    theirs: Endpoint
    home: Address
    there: Address
    now: float
    expected: bytes | None = None
    peer: Peer = field(init=False)
    knock: bytes = b""
    cookie: bytes = b""
    parts: tuple[bytes, ...] = ()
    response: bytes = b""
    confirmation: bytes = b""

    def __post_init__(self) -> None:
        self.peer = self.ours.dial([self.there], self.now, self.expected)
        (self.knock,) = self._sent(self.ours)

    def get_cookie(self) -> Opening:
        self.theirs.receive_datagram(self.knock, self.home, self.now)
        (self.cookie,) = self._sent(self.theirs)
        return self

    def get_parts(self) -> Opening:
        self.ours.receive_datagram(self.cookie, self.there, self.now)
        self.parts = tuple(self._sent(self.ours))
        return self

    def get_response(self) -> Opening:
        for part in self.parts:
            self.theirs.receive_datagram(part, self.home, self.now)
        (self.response,) = self._sent(self.theirs)
        return self

    def get_confirmation(self) -> Opening:
        self.ours.receive_datagram(self.response, self.there, self.now)
        self.confirmation = next(
            data for data in self._sent(self.ours) if data[0] == DatagramType.CONFIRMATION
        )
        return self

    def confirm(self) -> Opening:
        self.theirs.receive_datagram(self.confirmation, self.home, self.now)
        return self

    def run(self) -> Opening:
        """All of it."""
        return self.get_cookie().get_parts().get_response().get_confirmation().confirm()

    def _sent(self, endpoint: Endpoint) -> list[bytes]:
        return [data for data, _ in endpoint.datagrams_to_send(self.now)]
