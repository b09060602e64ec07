"""Datagrams and frames: exact lengths, reserved bytes, nothing half read."""

from collections.abc import Callable

import pytest

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.wire import Channel, DropReason, Suites

INITIATION = wire.pack_initiation_header(3, 0x01020304) + bytes(range(132))
RESPONSE = wire.pack_response_header(Suites.AESGCM, 0x0A0B0C0D, 0x01020304) + bytes(128)
CONFIRMATION = wire.pack_confirmation_header(0x0A0B0C0D) + bytes(96)
PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (wire.parse_initiation, INITIATION),
    (wire.parse_response, RESPONSE),
    (wire.parse_confirmation, CONFIRMATION),
]


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def test_response_is_never_longer_than_the_initiation() -> None:
    assert c.RESPONSE_BYTES <= c.INITIATION_BYTES
    assert c.CONFIRMATION_BYTES == 104
    assert c.MAX_PAYLOAD_BYTES == 1165


def test_headers_are_laid_out_as_documented() -> None:
    assert INITIATION[:8].hex() == "01010300" + "01020304"
    assert RESPONSE[:12].hex() == "02010200" + "0a0b0c0d" + "01020304"
    assert CONFIRMATION[:8].hex() == "03000000" + "0a0b0c0d"


def test_what_is_packed_is_parsed() -> None:
    initiation = wire.parse_initiation(INITIATION)
    assert isinstance(initiation, wire.Initiation)
    assert (initiation.offered, initiation.sender_index) == (3, 0x01020304)
    assert initiation.header + initiation.noise == INITIATION
    response = wire.parse_response(RESPONSE)
    assert isinstance(response, wire.Response)
    assert response.chosen is Suites.AESGCM
    assert (response.sender_index, response.receiver_index) == (0x0A0B0C0D, 0x01020304)
    assert response.header + response.noise == RESPONSE
    confirmation = wire.parse_confirmation(CONFIRMATION)
    assert isinstance(confirmation, wire.Confirmation)
    assert (confirmation.receiver_index, confirmation.noise) == (0x0A0B0C0D, bytes(96))


@pytest.mark.parametrize(("parse", "data"), PARSERS)
def test_any_other_length_is_dropped(parse: Callable[[bytes], object], data: bytes) -> None:
    for length in range(len(data)):
        assert parse(data[:length]) is DropReason.LENGTH
    assert parse(data + b"\0") is DropReason.LENGTH


@pytest.mark.parametrize("value", [0, 2, 255])
def test_other_version_is_dropped(value: int) -> None:
    assert wire.parse_initiation(changed(INITIATION, 1, value)) is DropReason.VERSION
    assert wire.parse_response(changed(RESPONSE, 1, value)) is DropReason.VERSION


def test_reserved_bytes_must_be_zero() -> None:
    assert wire.parse_initiation(changed(INITIATION, 3, 1)) is DropReason.RESERVED
    assert wire.parse_response(changed(RESPONSE, 3, 1)) is DropReason.RESERVED
    for at in (1, 2, 3):
        assert wire.parse_confirmation(changed(CONFIRMATION, at, 128)) is DropReason.RESERVED


@pytest.mark.parametrize("value", [0, 3, 4, 255])
def test_choice_of_none_or_several_suites_is_dropped(value: int) -> None:
    assert wire.parse_response(changed(RESPONSE, 2, value)) is DropReason.SUITE


def test_offer_of_suites_unknown_to_us_is_read() -> None:
    parsed = wire.parse_initiation(changed(INITIATION, 2, 0xFF))
    assert isinstance(parsed, wire.Initiation)
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
