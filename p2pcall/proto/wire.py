"""Datagrams and frames, packed and unpacked: exact lengths, reserved bytes zero, integers big-endian.

Parsers take bytes from strangers and return a value or a `DropReason`; they never raise. Packers take our own
values and do not check them. No keys are used here: `session` and `noise` check authenticity. p2pcall-protocol.7
describes the layout for a second implementation.
"""

from enum import IntEnum, IntFlag, StrEnum
from struct import Struct
from typing import Final

import msgspec

from p2pcall.proto import constants as c


class DatagramType(IntEnum):
    """First byte of every datagram."""

    KNOCK = 1
    COOKIE = 2
    INITIATION = 3
    RESPONSE = 4
    CONFIRMATION = 5
    DATA = 6


GENUINE: Final = frozenset({DatagramType.RESPONSE, DatagramType.CONFIRMATION, DatagramType.DATA})
"""Types that are accepted only with a proof of their keys; anybody can send the others from anywhere."""
RECEIVER: Final = Struct(">4xI")
"""The receiver index, at the same place in all types of GENUINE."""
UNPROVEN_ANSWERS: Final = frozenset({DatagramType.COOKIE, DatagramType.RESPONSE})
"""Types that answer an unproven datagram; they leave at once."""


class PatternId(IntEnum):
    """Which handshake: XXhfs between strangers, IKhfs for a responder whose key is known."""

    XXHFS = 1
    IKHFS = 2


class Suites(IntFlag):
    """AEADs offered (any bits) or chosen (one bit). Unknown bits are ignored: a later version may define them."""

    CHACHAPOLY = 1
    AESGCM = 2


class Channel(IntEnum):
    """What a frame carries; `proto` does not read channels 3 and above."""

    PADDING = 0
    CONTROL = 1
    TIMING = 2
    AUDIO = 3
    VIDEO = 4
    FEEDBACK = 5


class DropReason(StrEnum):
    """Why something from the network was dropped; each case is counted under exactly one reason."""

    LENGTH = "length"
    TYPE = "type"
    RESERVED = "reserved"
    VERSION = "version"
    PATTERN = "pattern"
    SUITE = "suite"
    TAG = "tag"
    TIMESTAMP = "timestamp"
    TOKEN = "token"
    COOKIE = "cookie"
    HEADER = "header"
    STRANGER = "stranger"
    ADDRESS = "address"
    INDEX = "index"
    NOT_ACCEPTING = "not-accepting"
    RATE = "rate"
    FULL = "full"
    HALF = "half"
    HALF_OPEN = "half-open"
    HANDSHAKE = "handshake"
    KEY = "key"
    COMMITMENT = "commitment"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    REPLAY = "replay"
    AUTHENTICATION = "authentication"
    FRAME = "frame"
    CONTROL = "control"
    TIMING = "timing"
    REKEY = "rekey"
    CALL = "call"
    INACTIVE = "inactive"
    QUEUE = "queue"


class Knock(msgspec.Struct, frozen=True):
    pattern: PatternId
    offered: int
    sender_index: int
    token: bytes
    nonce: bytes
    hidden_time: bytes
    tag: bytes


class Cookie(msgspec.Struct, frozen=True):
    chosen: Suites
    receiver_index: int
    token: bytes
    cookie: bytes


class Part(msgspec.Struct, frozen=True):
    pattern: PatternId
    number: int
    offered: int
    sender_index: int
    cookie: bytes
    chunk: bytes


class Response(msgspec.Struct, frozen=True):
    pattern: PatternId
    receiver_index: int
    noise: bytes


class Confirmation(msgspec.Struct, frozen=True):
    receiver_index: int
    noise: bytes


_KNOCK: Final = Struct(
    f">BBBBI{c.TOKEN_BYTES}s{c.KNOCK_NONCE_BYTES}s{c.KNOCK_TIME_BYTES}s{c.KNOCK_PADDING_BYTES}s"
)
_COOKIE: Final = Struct(f">BBBBI{c.TOKEN_BYTES}s{c.MAC_BYTES}s{c.COOKIE_PADDING_BYTES}s")
_INITIATION: Final = Struct(">BBBBBxxxIxxxx")
_PART: Final = Struct(f">BBBBI{c.MAC_BYTES}s")
_RESPONSE: Final = Struct(">BBHI")
_CONFIRMATION: Final = Struct(">B3sI")
RESERVED: Final = b"\0\0\0"
DATA: Final = Struct(">B3sIQ")
"""type, reserved, receiver index, counter: read with `unpack_from` on the hot path."""
FRAME_HEADER: Final = Struct(">BH")
"""channel, length."""

INITIATION_BYTES: Final = {
    PatternId.XXHFS: c.INITIATION_HEADER_BYTES + c.MESSAGE_1_XX_BYTES,
    PatternId.IKHFS: c.INITIATION_HEADER_BYTES + c.MESSAGE_1_IK_BYTES,
}
"""Whole initiations: 1252 and 1332."""
PART_BYTES: Final = {
    pattern: c.PART_HEADER_BYTES + length // c.PARTS for pattern, length in INITIATION_BYTES.items()
}
"""Each of the two datagrams of an initiation: 650 and 690."""
RESPONSE_BYTES: Final = {
    PatternId.XXHFS: c.RESPONSE_HEADER_BYTES + c.MESSAGE_2_XX_BYTES,
    PatternId.IKHFS: c.RESPONSE_HEADER_BYTES + c.MESSAGE_2_IK_BYTES,
}
"""1232 and 1184: less than the initiation that asked for it."""
CONFIRMATION_BYTES: Final = {
    PatternId.XXHFS: c.CONFIRMATION_HEADER_BYTES + c.MESSAGE_3_XX_BYTES,
    PatternId.IKHFS: c.CONFIRMATION_HEADER_BYTES + c.MESSAGE_3_IK_BYTES,
}
"""72 and 24."""
_PART_OF: Final = {length: pattern for pattern, length in PART_BYTES.items()}
_RESPONSE_OF: Final = {length: pattern for pattern, length in RESPONSE_BYTES.items()}
_PATTERN_OF: Final = {int(pattern): pattern for pattern in PatternId}
_KNOCK_PADDING: Final = bytes(c.KNOCK_PADDING_BYTES)
_SUITES: Final = frozenset(Suites)


def pack_knock(
    pattern: PatternId, offered: int, sender_index: int, token: bytes, nonce: bytes, hidden_time: bytes
) -> bytes:
    """A knock up to its tag."""
    return _KNOCK.pack(
        DatagramType.KNOCK, c.PROTOCOL_VERSION, pattern, offered, sender_index, token, nonce, hidden_time, b""
    )


def pack_cookie(chosen: Suites, receiver_index: int, token: bytes, cookie: bytes) -> bytes:
    """The answer to a knock."""
    return _COOKIE.pack(
        DatagramType.COOKIE, c.PROTOCOL_VERSION, chosen, 0, receiver_index, token, cookie, b""
    )


def pack_initiation_header(pattern: PatternId, offered: int, chosen: int, sender_index: int) -> bytes:
    """The cleartext before message 1; the prologue contains it."""
    return _INITIATION.pack(
        DatagramType.INITIATION, c.PROTOCOL_VERSION, pattern, offered, chosen, sender_index
    )


def pack_parts(initiation: bytes, offered: int, sender_index: int, cookie: bytes) -> list[bytes]:
    """The datagrams of a whole initiation."""
    size = len(initiation) // c.PARTS
    return [
        _PART.pack(DatagramType.INITIATION, c.PROTOCOL_VERSION, number, offered, sender_index, cookie)
        + initiation[number * size : (number + 1) * size]
        for number in range(c.PARTS)
    ]


def pack_response_header(receiver_index: int) -> bytes:
    """The cleartext before message 2."""
    return _RESPONSE.pack(DatagramType.RESPONSE, c.PROTOCOL_VERSION, 0, receiver_index)


def pack_confirmation_header(receiver_index: int) -> bytes:
    """The cleartext before message 3, or what stands in its place."""
    return _CONFIRMATION.pack(DatagramType.CONFIRMATION, RESERVED, receiver_index)


def parse_knock(data: bytes) -> Knock | DropReason:
    """Parse a knock; the caller has checked the first byte. `knock_filter` checks the tag."""
    if len(data) != c.KNOCK_BYTES:
        return DropReason.LENGTH
    _, version, pattern, offered, sender_index, token, nonce, hidden_time, padding = _KNOCK.unpack_from(data)
    if version != c.PROTOCOL_VERSION:
        return DropReason.VERSION
    if padding != _KNOCK_PADDING:
        return DropReason.RESERVED
    known = _PATTERN_OF.get(pattern)
    if known is None:
        return DropReason.PATTERN
    return Knock(known, offered, sender_index, token, nonce, hidden_time, data[c.KNOCK_TAGGED_BYTES :])


def parse_cookie(data: bytes) -> Cookie | DropReason:
    """Parse a cookie; the caller has checked the first byte."""
    if len(data) != c.COOKIE_BYTES:
        return DropReason.LENGTH
    _, version, chosen, reserved, receiver_index, token, cookie, padding = _COOKIE.unpack(data)
    if version != c.PROTOCOL_VERSION:
        return DropReason.VERSION
    if reserved or any(padding):
        return DropReason.RESERVED
    if chosen not in _SUITES:
        return DropReason.SUITE
    return Cookie(Suites(chosen), receiver_index, token, cookie)


def parse_part(data: bytes) -> Part | DropReason:
    """Parse one part of an initiation; the caller has checked the first byte. Its cookie is not checked here."""
    pattern = _PART_OF.get(len(data))
    if pattern is None:
        return DropReason.LENGTH
    _, version, number, offered, sender_index, cookie = _PART.unpack_from(data)
    if version != c.PROTOCOL_VERSION:
        return DropReason.VERSION
    if number >= c.PARTS:
        return DropReason.RESERVED
    return Part(pattern, number, offered, sender_index, cookie, data[c.PART_HEADER_BYTES :])


def parse_response(data: bytes) -> Response | DropReason:
    """Parse a response; the caller has checked the first byte."""
    pattern = _RESPONSE_OF.get(len(data))
    if pattern is None:
        return DropReason.LENGTH
    _, version, reserved, receiver_index = _RESPONSE.unpack_from(data)
    if version != c.PROTOCOL_VERSION:
        return DropReason.VERSION
    if reserved:
        return DropReason.RESERVED
    return Response(pattern, receiver_index, data[c.RESPONSE_HEADER_BYTES :])


def parse_confirmation(data: bytes) -> Confirmation | DropReason:
    """Parse a confirmation; the caller has checked the first byte. The handshake checks its length."""
    if len(data) not in CONFIRMATION_BYTES.values():
        return DropReason.LENGTH
    _, reserved, receiver_index = _CONFIRMATION.unpack_from(data)
    if reserved != RESERVED:
        return DropReason.RESERVED
    return Confirmation(receiver_index, data[c.CONFIRMATION_HEADER_BYTES :])


def pack_frame(channel: int, payload: bytes) -> bytes:
    """One frame of a record's plaintext."""
    return FRAME_HEADER.pack(channel, len(payload)) + payload


def parse_frames(plaintext: bytes) -> list[tuple[int, bytes]] | DropReason:
    """All frames of a record, or none: a record that breaks off inside a frame is dropped whole.

    Channel 0 is padding and runs to the end; it needs no length.
    """
    end = len(plaintext)
    if end >= c.FRAME_HEADER_BYTES:  # nearly every record is one frame and padding
        channel, length = FRAME_HEADER.unpack_from(plaintext)
        body = c.FRAME_HEADER_BYTES + length
        if channel and (body == end or (body < end and not plaintext[body])):
            return [(channel, plaintext[c.FRAME_HEADER_BYTES : body])]
    frames = []
    position = 0
    while position < end and plaintext[position] != Channel.PADDING:
        body = position + c.FRAME_HEADER_BYTES
        if body > end:
            return DropReason.FRAME
        channel, length = FRAME_HEADER.unpack_from(plaintext, position)
        position = body + length
        if position > end:
            return DropReason.FRAME
        frames.append((channel, plaintext[body:position]))
    return frames
