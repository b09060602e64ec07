"""The wire, byte by byte, and what our own code may not send."""

from math import inf, nan

import pytest

from p2pcall.media import constants as c
from p2pcall.media.packets import (
    Ask,
    AudioCopy,
    AudioFrame,
    AudioPacket,
    KeyRequest,
    Nack,
    Played,
    Report,
    VideoFragment,
    pack_audio,
    pack_feedback,
    pack_fragment,
    parse_audio,
    parse_feedback,
    parse_fragment,
    session_ms,
    split_frame,
    video_payload_bytes,
)


def test_audio_bytes() -> None:
    packet = AudioPacket(5, 1_000, (AudioCopy(0, b"xb"), AudioCopy(2, b"x")))
    payload = bytes.fromhex("00000005 000003e8 02 00 0002 7862 02 0001 78")
    assert pack_audio(packet) == payload
    assert parse_audio(payload) == packet
    assert list(packet.frames()) == [
        AudioFrame(5, 2, b"xb", 1_000, False),
        AudioFrame(3, 2, b"x", 980, True),
    ]


def test_a_copy_from_before_the_clock_began_has_time_zero() -> None:
    packet = AudioPacket(5, 20, (AudioCopy(0, b"x"), AudioCopy(4, b"x")))
    assert [frame.capture_ms for frame in packet.frames()] == [20, 0]


@pytest.mark.parametrize(
    ("seconds", "ms"),
    [(1.25, 1250), (-0.05, 0), (4_294_967.296, c.MAX_U32), (-inf, 0), (inf, c.MAX_U32), (nan, 0)],
)
def test_whatever_a_device_says_of_its_time_its_sound_can_be_sent(seconds: float, ms: int) -> None:
    assert session_ms(seconds) == ms
    assert parse_audio(pack_audio((5, ms, [(0, b"x")]))) is not None


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "00000005 000003e8",
        "00000005 000003e8 00",  # no frame
        "00000005 000003e8 05" + "00 0001 78" * 5,  # too many
        "00000005 000003e8 01 01 0001 78",  # the first is not the newest
        "00000005 000003e8 02 00 0001 78 00 0001 78",  # distance 0 twice
        "00000005 000003e8 03 00 0001 78 04 0001 78 02 0001 78",  # distances fall
        "00000005 000003e8 02 00 0001 78 06 0001 78",  # before tick 0
        "00000050 000003e8 02 00 0001 78 21 0001 78",  # too far back
        "00000005 000003e8 01 00 0000",  # empty frame
        "00000005 000003e8 01 00 0002 78",  # short
        "00000005 000003e8 02 00 0001 78 01",  # no second header
        "00000005 000003e8 01 00 0001 78 00",  # trailing byte
        "00000005 000003e8 02 00 0001 78 01 0001 78",  # the earlier frame goes on in the newest one
        "00000005 000003e8 01 00 0001 80",  # 2.5 ms
    ],
)
def test_malformed_audio(payload: str) -> None:
    assert parse_audio(bytes.fromhex(payload)) is None


def test_longest_audio() -> None:
    frame = b"x" * (c.MAX_PAYLOAD_BYTES - c.AUDIO_HEADER_BYTES - c.AUDIO_COPY_HEADER_BYTES)
    assert len(pack_audio(AudioPacket(0, 0, (AudioCopy(0, frame),)))) == c.MAX_PAYLOAD_BYTES
    with pytest.raises(ValueError):
        pack_audio(AudioPacket(0, 0, (AudioCopy(0, frame + b"x"),)))


@pytest.mark.parametrize(
    "packet",
    [
        AudioPacket(-1, 0, (AudioCopy(0, b"x"),)),
        AudioPacket(0, 1 << 32, (AudioCopy(0, b"x"),)),
        AudioPacket(0, 0, ()),
        AudioPacket(9, 0, (AudioCopy(0, b"x"),) * 300),
        AudioPacket(900, 0, (AudioCopy(0, b"x"), AudioCopy(300, b"x"))),
        AudioPacket(0, 0, (AudioCopy(0, bytes(70_000)),)),
    ],
)
def test_audio_that_cannot_be_sent(packet: AudioPacket) -> None:
    with pytest.raises(ValueError):
        pack_audio(packet)


def test_fragment_bytes() -> None:
    fragment = VideoFragment(7, 1_000, 1, 3, True, b"data")
    payload = bytes.fromhex("00000007 000003e8 0001 0003 01") + b"data"
    assert pack_fragment(fragment) == payload
    assert parse_fragment(payload) == fragment
    assert parse_fragment(payload[:12] + b"\0data") == VideoFragment(7, 1_000, 1, 3, False, b"data")


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "00000007 000003e8 0001 0003 01",  # no data
        "00000007 000003e8 0003 0003 01 61",  # index beyond count
        "00000007 000003e8 0000 0000 01 61",  # no fragments
        "00000007 000003e8 0000 0201 01 61",  # 513 fragments
        "00000007 000003e8 0000 0001 02 61",  # reserved flag
        "00000007 000003e8 0000 0001 00" + "61" * 1_101,  # too long
    ],
)
def test_malformed_fragment(payload: str) -> None:
    assert parse_fragment(bytes.fromhex(payload)) is None


@pytest.mark.parametrize(
    ("length", "padded"), [(1, 381), (381, 381), (382, 765), (765, 765), (766, 1_165), (1_113, 1_165)]
)
def test_fragments_are_padded_to_few_sizes(length: int, padded: int) -> None:
    assert video_payload_bytes(bytes(length)) == padded


def test_longest_nack_fits_beside_voice() -> None:
    longest = pack_feedback(Nack(0, tuple(range(c.MAX_NACK_INDEXES))))
    assert len(longest) + 3 <= 112 < len(longest) + 2 + 3


def test_fragment_that_cannot_be_sent() -> None:
    with pytest.raises(ValueError):
        pack_fragment(VideoFragment(0, 0, 1, 1, True, b"x"))
    with pytest.raises(ValueError):
        pack_fragment(VideoFragment(0, 0, 0, 70_000, True, b"x"))
    with pytest.raises(ValueError):
        pack_fragment(VideoFragment(1 << 32, 0, 0, 1, True, b"x"))


@pytest.mark.parametrize(("size", "count"), [(1, 1), (1_100, 1), (1_101, 2), (c.MAX_VIDEO_FRAME_BYTES, 477)])
def test_split_frame(size: int, count: int) -> None:
    parts = split_frame(3, 40, True, bytes(size))
    assert [len(parts), parts[-1].index, parts[0].count] == [count, count - 1, count]
    assert sum(len(part.data) for part in parts) == size
    assert max(len(part.data) for part in parts) <= c.VIDEO_FRAGMENT_BYTES


@pytest.mark.parametrize("size", [0, c.MAX_VIDEO_FRAME_BYTES + 1])
def test_frames_that_cannot_be_split(size: int) -> None:
    with pytest.raises(ValueError):
        split_frame(0, 0, False, bytes(size))


def test_feedback_bytes() -> None:
    assert pack_feedback(Nack(7, (1, 258))) == bytes.fromhex("01 00000007 02 0001 0102")
    assert pack_feedback(Nack(7, ())) == bytes.fromhex("01 00000007 00")
    assert pack_feedback(KeyRequest()) == b"\x02"
    assert pack_feedback(Played(258, 40.0)) == bytes.fromhex("04 00000102 0028")
    assert pack_feedback(Played(258, None)) == bytes.fromhex("04 00000102 ffff")
    assert pack_feedback(Ask()) == b"\x05"
    assert parse_feedback(pack_feedback(Played(-1, 1e9))) == Played(0, c.PLAYED_STANDS - 1)
    report = Report(100, 90, 0.1, 4.4, 260.0, 12.5, 320, 240, 33)
    assert pack_feedback(report) == bytes.fromhex("03 00000064 0000005a 199a 04 0104 007d 0140 00f0 00000021")
    parsed = parse_feedback(pack_feedback(report))
    assert isinstance(parsed, Report)
    assert parsed.loss == pytest.approx(0.1, abs=1e-4)


def test_figures_of_a_report_are_held_to_their_fields() -> None:
    wild = Report(1 << 40, -5, 2.0, 1e9, -1.0, 1e9, 100_000, -1, 1 << 33)
    held = Report(c.MAX_U32, 0, 1.0, 255, 0, 6553.5, 0xFFFF, 0, c.MAX_U32)
    assert parse_feedback(pack_feedback(wild)) == held


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
