"""The wire, byte by byte, and what our own code may not send."""

import pytest

from p2pcall.media.packets import (
    AudioCopy,
    AudioFrame,
    AudioPacket,
    Nack,
    pack_audio,
    pack_feedback,
    parse_audio,
    parse_feedback,
)


def test_audio_bytes() -> None:
    packet = AudioPacket(5, 1_000, (AudioCopy(0, b"ab"), AudioCopy(2, b"c")))
    payload = bytes.fromhex("00000005 000003e8 02 00 0002 6162 02 0001 63")
    assert pack_audio(packet) == payload
    assert parse_audio(payload) == packet
    assert list(packet.frames()) == [AudioFrame(5, b"ab", 1_000, False), AudioFrame(3, b"c", 960, True)]


def test_a_copy_from_before_the_clock_began_has_time_zero() -> None:
    packet = AudioPacket(5, 20, (AudioCopy(0, b"a"), AudioCopy(4, b"b")))
    assert [frame.capture_ms for frame in packet.frames()] == [20, 0]


@pytest.mark.parametrize(
    "payload",
    [
        *("", "00", "04", "04 00000001 00", "0500", "06", "0200", "03"),
        *("01", "01 00000007 01", "01 00000007 00 00", "01 00000007 01 0200"),
    ],
)
def test_malformed_feedback(payload: str) -> None:
    assert parse_feedback(bytes.fromhex(payload)) is None


@pytest.mark.parametrize("nack", [Nack(0, (512,)), Nack(0, (-1,)), Nack(0, (0,) * 256), Nack(-1, ())])
def test_nacks_that_cannot_be_sent(nack: Nack) -> None:
    with pytest.raises(ValueError):
        pack_feedback(nack)
