"""Datagrams and frames: exact lengths, reserved bytes, nothing half read."""

from collections.abc import Callable, Iterable

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.wire import Channel, DropReason, PatternId, Suites

TOKEN, COOKIE, TAG = b"t" * 8, b"c" * 16, b"g" * 16
NONCE, TIME = b"n" * 16, b"h" * 8
INDEX = 0x01020304
KNOCK = wire.pack_knock(PatternId.IKHFS, 3, INDEX, TOKEN, NONCE, TIME) + TAG
ANSWER = wire.pack_cookie(Suites.AESGCM, INDEX, TOKEN, COOKIE)
WHOLE = {pattern: bytes(length) for pattern, length in wire.INITIATION_BYTES.items()}
PARTS = {pattern: wire.pack_parts(whole, 3, INDEX, COOKIE) for pattern, whole in WHOLE.items()}
XX_PART, IK_PART = (PARTS[pattern][1] for pattern in PatternId)
XX_RESPONSE, IK_RESPONSE = (
    wire.pack_response_header(INDEX) + bytes(length - 8) for length in wire.RESPONSE_BYTES.values()
)
XX_CONFIRMATION, IK_CONFIRMATION = (
    wire.pack_confirmation_header(INDEX) + bytes(length - 8) for length in wire.CONFIRMATION_BYTES.values()
)
PARSERS: list[tuple[Callable[[bytes], object], tuple[bytes, ...]]] = [
    (wire.parse_knock, (KNOCK,)),
    (wire.parse_cookie, (ANSWER,)),
    (wire.parse_part, (XX_PART, IK_PART)),
    (wire.parse_response, (XX_RESPONSE, IK_RESPONSE)),
    (wire.parse_confirmation, (XX_CONFIRMATION, IK_CONFIRMATION)),
]


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def test_no_reply_is_longer_than_what_came() -> None:
    assert c.COOKIE_BYTES < c.KNOCK_BYTES
    for pattern in PatternId:
        assert wire.RESPONSE_BYTES[pattern] < wire.INITIATION_BYTES[pattern]


def test_lengths_are_those_of_the_description() -> None:
    assert (c.KNOCK_BYTES, c.COOKIE_BYTES, c.MAX_PAYLOAD_BYTES) == (84, 36, 1165)
    assert list(wire.INITIATION_BYTES.values()) == [1252, 1332]
    assert list(wire.PART_BYTES.values()) == [650, 690]
    assert list(wire.RESPONSE_BYTES.values()) == [1232, 1184]
    assert list(wire.CONFIRMATION_BYTES.values()) == [72, 24]


def test_every_handshake_datagram_fits_the_least_mtu_of_ipv6() -> None:
    longest = max(len(data) for _, datagrams in PARSERS for data in datagrams)
    assert longest <= c.MAX_HANDSHAKE_DATAGRAM_BYTES == 1280 - 40 - 8


def test_headers_are_laid_out_as_documented() -> None:
    assert KNOCK.hex() == "01040203" + "01020304" + "74" * 8 + "6e" * 16 + "68" * 8 + "00" * 28 + "67" * 16
    assert ANSWER.hex() == "02040200" + "01020304" + "74" * 8 + "63" * 16 + "00" * 4
    header = wire.pack_initiation_header(PatternId.XXHFS, 3, 2, INDEX)
    assert header.hex() == "0304010302000000" + "01020304" + "00000000"
    assert [part[:24].hex() for part in PARTS[PatternId.XXHFS]] == [
        f"0304{number}03" + "01020304" + "63" * 16 for number in ("00", "01")
    ]
    assert XX_RESPONSE[:8].hex() == "04040000" + "01020304"
    assert XX_CONFIRMATION[:8].hex() == "05000000" + "01020304"


def test_what_is_packed_is_parsed() -> None:
    knock = wire.parse_knock(KNOCK)
    assert knock == wire.Knock(PatternId.IKHFS, 3, INDEX, TOKEN, NONCE, TIME, TAG)
    assert wire.parse_cookie(ANSWER) == wire.Cookie(Suites.AESGCM, INDEX, TOKEN, COOKIE)
    for pattern, (first, second) in PARTS.items():
        chunk = bytes(wire.INITIATION_BYTES[pattern] // 2)
        assert wire.parse_part(first) == wire.Part(pattern, 0, 3, INDEX, COOKIE, chunk)
        assert wire.parse_part(second) == wire.Part(pattern, 1, 3, INDEX, COOKIE, chunk)
    for pattern, data in zip(PatternId, (XX_RESPONSE, IK_RESPONSE), strict=True):
        assert wire.parse_response(data) == wire.Response(pattern, INDEX, data[8:])
    for data in (XX_CONFIRMATION, IK_CONFIRMATION):
        assert wire.parse_confirmation(data) == wire.Confirmation(INDEX, data[8:])


def test_chunks_make_the_whole_again() -> None:
    whole = bytes(range(256)) * 5 + bytes(52)
    chunks = [part[c.PART_HEADER_BYTES :] for part in wire.pack_parts(whole, 1, INDEX, COOKIE)]
    assert b"".join(chunks) == whole
    assert len(chunks[0]) == len(chunks[1])


@pytest.mark.parametrize(("parse", "datagrams"), PARSERS)
def test_any_other_length_is_dropped(parse: Callable[[bytes], object], datagrams: tuple[bytes, ...]) -> None:
    right = {len(data) for data in datagrams}
    longest = max(datagrams, key=len) + b"\0"
    for length in set(range(len(longest) + 1)) - right:
        assert parse(longest[:length]) is DropReason.LENGTH


@pytest.mark.parametrize("value", [0, 1, 2, 3, 5, 255])
def test_other_version_is_dropped(value: int) -> None:
    for parse, datagrams in PARSERS[:-1]:  # the confirmation bears none
        for data in datagrams:
            assert parse(changed(data, 1, value)) is DropReason.VERSION


def test_reserved_bytes_must_be_zero() -> None:
    places: list[tuple[Callable[[bytes], object], bytes, Iterable[int]]] = [
        (wire.parse_knock, KNOCK, range(40, 68)),
        (wire.parse_cookie, ANSWER, (3, *range(32, 36))),
        (wire.parse_response, XX_RESPONSE, (2, 3)),
        (wire.parse_confirmation, XX_CONFIRMATION, (1, 2, 3)),
    ]
    for parse, data, reserved in places:
        for at in reserved:
            assert parse(changed(data, at, 128)) is DropReason.RESERVED


@pytest.mark.parametrize("value", [0, 3, 4, 255])
def test_unknown_pattern_is_dropped(value: int) -> None:
    assert wire.parse_knock(changed(KNOCK, 2, value)) is DropReason.PATTERN


@pytest.mark.parametrize("value", [2, 3, 255])
def test_unknown_part_is_dropped(value: int) -> None:
    assert wire.parse_part(changed(XX_PART, 2, value)) is DropReason.RESERVED


@pytest.mark.parametrize("value", [0, 3, 4, 255])
def test_choice_of_none_or_several_suites_is_dropped(value: int) -> None:
    assert wire.parse_cookie(changed(ANSWER, 2, value)) is DropReason.SUITE


def test_offer_of_suites_unknown_to_us_is_read() -> None:
    parsed = wire.parse_knock(changed(KNOCK, 3, 0xFF))
    assert isinstance(parsed, wire.Knock)
    assert parsed.offered == 0xFF


def test_frames_are_read_in_order() -> None:
    frames = [(Channel.CONTROL, b"one"), (Channel.AUDIO, b""), (200, b"x" * 700)]
    data = b"".join(wire.pack_frame(channel, payload) for channel, payload in frames)
    assert wire.parse_frames(data) == frames
    assert wire.parse_frames(wire.pack_frame(3, b"alone")) == [(3, b"alone")]


def test_padding_runs_to_the_end() -> None:
    frame = wire.pack_frame(Channel.AUDIO, b"sound")
    for padding in range(6):
        assert wire.parse_frames(frame + bytes(padding)) == [(Channel.AUDIO, b"sound")]
        assert wire.parse_frames(bytes(padding)) == []
    assert wire.parse_frames(b"\0\0\1x") == []


def test_record_that_breaks_off_inside_a_frame_is_dropped_whole() -> None:
    first = wire.pack_frame(Channel.AUDIO, b"whole")
    second = wire.pack_frame(Channel.VIDEO, b"broken")
    for length in range(1, len(second)):
        assert wire.parse_frames(first + second[:length]) is DropReason.FRAME
        assert wire.parse_frames(second[:length]) is DropReason.FRAME
