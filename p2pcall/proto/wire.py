"""Datagrams and frames, packed and unpacked: exact lengths, reserved bytes zero, integers big-endian.

Parsers take bytes from strangers and return a value or a `DropReason`; they never raise. Packers take our own
values and do not check them. Nothing here knows a key: what is authentic is `session`'s and `noise`'s
business. The layout is described for a second implementation in p2pcall-protocol.7.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from struct import Struct
from typing import Any

from p2pcall.proto import constants as c

Address = tuple[Any, ...]
"""A socket address as the sockets give it; only compared, hashed and handed back."""


class DatagramType(IntEnum):
    """First byte of every datagram."""

    INITIATION = 1
    RESPONSE = 2
    CONFIRMATION = 3
    DATA = 4


class Suites(IntFlag):
    """AEADs offered (any bits) or chosen (one bit). Unknown bits are left alone: they are a later
    version's."""

    CHACHAPOLY = 1
    AESGCM = 2


class Channel(IntEnum):
    """What a frame carries; 3 and above are opaque to this room."""

    PADDING = 0
    CONTROL = 1
    TIMING = 2
    AUDIO = 3
    VIDEO = 4
    FEEDBACK = 5


class DropReason(StrEnum):
    """Why something from the network was thrown away; every case is counted under exactly one."""

    LENGTH = "length"
    TYPE = "type"
    RESERVED = "reserved"
    VERSION = "version"
    SUITE = "suite"
    INDEX = "index"
    NOT_ACCEPTING = "not-accepting"
    RATE = "rate"
    FULL = "full"
    HALF_OPEN = "half-open"
    HANDSHAKE = "handshake"
    KEY = "key"
    COMMITMENT = "commitment"
    DUPLICATE = "duplicate"
    REPLAY = "replay"
    AUTHENTICATION = "authentication"
    FRAME = "frame"
    CONTROL = "control"
    TIMING = "timing"
    CALL = "call"
    INACTIVE = "inactive"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Initiation:
    header: bytes
    offered: int
    sender_index: int
    noise: bytes


@dataclass(frozen=True, slots=True)
class Response:
    header: bytes
    chosen: Suites
    sender_index: int
    receiver_index: int
    noise: bytes


@dataclass(frozen=True, slots=True)
class Confirmation:
    receiver_index: int
    noise: bytes


_INITIATION = Struct(">BBBBI")
_RESPONSE = Struct(">BBBBII")
_CONFIRMATION = Struct(">B3sI")
RESERVED = b"\0\0\0"
DATA = Struct(">B3sIQ")
"""type, reserved, receiver index, counter: read with `unpack_from` on the hot path."""
FRAME = Struct(">BH")
"""channel, length."""


def pack_initiation_header(offered: int, sender_index: int) -> bytes:
    """The cleartext before message 1."""
    return _INITIATION.pack(DatagramType.INITIATION, c.PROTOCOL_VERSION, offered, 0, sender_index)


def pack_response_header(chosen: Suites, sender_index: int, receiver_index: int) -> bytes:
    """The cleartext before message 2."""
    return _RESPONSE.pack(DatagramType.RESPONSE, c.PROTOCOL_VERSION, chosen, 0, sender_index, receiver_index)


def pack_confirmation_header(receiver_index: int) -> bytes:
    """The cleartext before message 3."""
    return _CONFIRMATION.pack(DatagramType.CONFIRMATION, RESERVED, receiver_index)


def parse_initiation(data: bytes) -> Initiation | DropReason:
    """An initiation whose first byte was seen to be right."""
    if len(data) != c.INITIATION_BYTES:
        return DropReason.LENGTH
    _, version, offered, reserved, sender_index = _INITIATION.unpack_from(data)
    if version != c.PROTOCOL_VERSION:
        return DropReason.VERSION
    if reserved:
        return DropReason.RESERVED
    header = data[: c.INITIATION_HEADER_BYTES]
    return Initiation(header, offered, sender_index, data[c.INITIATION_HEADER_BYTES :])


def parse_response(data: bytes) -> Response | DropReason:
    """A response whose first byte was seen to be right."""
    if len(data) != c.RESPONSE_BYTES:
        return DropReason.LENGTH
    _, version, chosen, reserved, sender_index, receiver_index = _RESPONSE.unpack_from(data)
    if version != c.PROTOCOL_VERSION:
        return DropReason.VERSION
    if reserved:
        return DropReason.RESERVED
    if chosen not in (Suites.CHACHAPOLY, Suites.AESGCM):
        return DropReason.SUITE
    header = data[: c.RESPONSE_HEADER_BYTES]
    return Response(header, Suites(chosen), sender_index, receiver_index, data[c.RESPONSE_HEADER_BYTES :])


def parse_confirmation(data: bytes) -> Confirmation | DropReason:
    """A confirmation whose first byte was seen to be right."""
    if len(data) != c.CONFIRMATION_BYTES:
        return DropReason.LENGTH
    _, reserved, receiver_index = _CONFIRMATION.unpack_from(data)
    if reserved != RESERVED:
        return DropReason.RESERVED
    return Confirmation(receiver_index, data[c.CONFIRMATION_HEADER_BYTES :])


def pack_frame(channel: int, payload: bytes) -> bytes:
    """One frame of a record's plaintext."""
    return FRAME.pack(channel, len(payload)) + payload


def parse_frames(plaintext: bytes) -> list[tuple[int, bytes]] | DropReason:
    """All frames of a record, or none: a record that breaks off inside a frame is dropped whole.

    Channel 0 is padding and runs to the end; it needs no length.
    """
    end = len(plaintext)
    if end >= c.FRAME_HEADER_BYTES:  # nearly every record is one frame
        channel, length = FRAME.unpack_from(plaintext)
        if channel and length == end - c.FRAME_HEADER_BYTES:
            return [(channel, plaintext[c.FRAME_HEADER_BYTES :])]
    frames = []
    position = 0
    while position < end and plaintext[position] != Channel.PADDING:
        body = position + c.FRAME_HEADER_BYTES
        if body > end:
            return DropReason.FRAME
        channel, length = FRAME.unpack_from(plaintext, position)
        position = body + length
        if position > end:
            return DropReason.FRAME
        frames.append((channel, plaintext[body:position]))
    return frames
