"""Redundancy, merging, sizes and rates, figures."""

import pytest

from p2pcall.media import constants as c
from p2pcall.media.ladder import encode_size, video_bitrate
from p2pcall.media.packets import AudioCopy, parse_audio
from p2pcall.media.redundancy import Redundancy, voice_payload_bytes
from p2pcall.media.stats import Interval, ReceiveStats


def copies(redundancy: Redundancy, seq: int, frame: bytes = b"x" * 80) -> tuple[int, ...]:
    packet = parse_audio(redundancy.packet(seq, frame, seq * 20))
    assert packet is not None
    return tuple(copy.distance for copy in packet.copies)


def test_the_frame_before_always_comes_along() -> None:
    redundancy = Redundancy()
    assert copies(redundancy, 0) == (0,)
    assert copies(redundancy, 1) == (0, 1)
    assert copies(redundancy, 2) == (0, 1)
    assert redundancy.copies == 1
    packet = parse_audio(redundancy.packet(3, b"new", 60))
    assert packet is not None
    assert packet.copies == (AudioCopy(0, b"new"), AudioCopy(1, b"x" * 80))


def test_a_gap_in_the_numbers_has_no_copy() -> None:
    redundancy = Redundancy()
    copies(redundancy, 0)
    assert copies(redundancy, 5) == (0,)


def test_more_copies_at_once_when_loss_goes_up_and_fewer_later() -> None:
    redundancy = Redundancy()
    for seq in range(10):
        copies(redundancy, seq)
    redundancy.on_loss(0.05)
    assert copies(redundancy, 10) == (0, 1, 2)
    redundancy.on_loss(0.3)
    assert copies(redundancy, 11) == (0, 1, 2, 4)
    redundancy.on_loss(0.08)
    assert redundancy.copies == 3, "between the limits nothing changes"
    counts = []
    for _ in range(12):
        redundancy.on_loss(0.0)
        counts.append(redundancy.copies)
    assert counts == [3] * 4 + [2] * 5 + [1] * 3


def test_a_bad_report_in_between_starts_the_count_again() -> None:
    redundancy = Redundancy()
    redundancy.on_loss(0.05)
    for _ in range(10):
        for _ in range(c.REDUNDANCY_LOWER_AFTER - 1):
            redundancy.on_loss(0.0)
        redundancy.on_loss(0.015)
    assert redundancy.copies == 2


def test_size_of_packets_follows_from_the_level_alone() -> None:
    redundancy = Redundancy()
    frame = bytes(c.VOICE_FRAME_BYTES)
    sizes = []
    for level, loss in enumerate((0.0, 0.05, 0.5)):
        redundancy.on_loss(loss)
        assert redundancy.payload_bytes == voice_payload_bytes(level)
        sizes += [len(redundancy.packet(10 * level + n, frame, 0)) for n in range(5)]
        assert sizes[-1] == redundancy.payload_bytes, "with all its copies a packet is as long as it says"
        assert max(sizes[-5:]) == redundancy.payload_bytes
    assert voice_payload_bytes(0) == 215
    assert voice_payload_bytes(2) < c.MAX_PAYLOAD_BYTES


def test_frame_that_would_show_in_the_size_of_its_packet_is_not_sent() -> None:
    with pytest.raises(ValueError, match="101 bytes"):
        Redundancy().packet(0, bytes(c.VOICE_FRAME_BYTES + 1), 0)


@pytest.mark.parametrize(
    ("source", "view", "size"),
    [
        ((1280, 720), (120, 78), (120, 66)),
        ((640, 480), (1_000, 1_000), (640, 480)),
        ((1920, 1080), (2_000, 2_000), (640, 360)),
        ((320, 240), (2_000, 2_000), (320, 240)),
        ((480, 640), (200, 100), (74, 100)),
        ((321, 241), (2_000, 2_000), (320, 240)),
        ((640, 480), (0, 100), (0, 0)),
        ((640, 480), (100, 0), (0, 0)),
        ((640, 480), (5, 5), (16, 16)),
        ((8_000, 10), (600, 400), (600, 16)),
    ],
)
def test_encode_size(source: tuple[int, int], view: tuple[int, int], size: tuple[int, int]) -> None:
    assert encode_size(*source, *view) == size


@pytest.mark.parametrize("source", [(0, 100), (100, 0)])
def test_a_source_without_pixels(source: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        encode_size(*source, 100, 100)


def test_video_bitrate() -> None:
    assert video_bitrate(160, 120, 15) == c.VIDEO_RATE_REFERENCE_BPS
    assert 360_000 < video_bitrate(320, 240, 15) < 370_000
    assert video_bitrate(0, 0, 0) == c.VIDEO_MIN_BPS
    assert video_bitrate(10_000, 10_000, 60) == c.VIDEO_MAX_BPS


def test_loss_of_an_interval() -> None:
    stats = ReceiveStats()
    assert stats.interval() == Interval(0, 0, 0.0)
    for seq in range(100, 150):
        if seq % 5:
            stats.on_packet(seq, seq * 20, seq * 0.02)
    assert stats.interval() == Interval(49, 40, pytest.approx(1 - 40 / 49))
    assert (stats.highest, stats.received) == (149, 40)
    for seq in (150, 151, 151, 151):
        stats.on_packet(seq, seq * 20, seq * 0.02)
    assert stats.interval().loss == 0.0


def test_a_wild_seq_does_not_spoil_the_figures() -> None:
    stats = ReceiveStats()
    stats.on_packet(0, 0, 0.0)
    stats.on_packet(4_000_000_000, 0, 0.02)
    stats.on_packet(1, 20, 0.02)
    assert stats.highest == 1
    assert stats.interval() == Interval(2, 2, 0.0)


def test_a_real_jump_is_followed_after_two() -> None:
    stats = ReceiveStats()
    stats.on_packet(10_000, 0, 0.0)
    stats.on_packet(5, 100, 0.1)
    stats.on_packet(6, 120, 0.12)
    assert stats.highest == 6
    assert stats.interval() == Interval(1, 1, 0.0)
    assert stats.jitter_s == 0.0


def test_jitter_is_that_of_rfc_3550() -> None:
    stats = ReceiveStats()
    stats.on_packet(0, 0, 0.0)
    stats.on_packet(1, 20, 0.036)
    assert stats.jitter_s == pytest.approx(0.016 / 16)
    for seq in range(2, 400):
        stats.on_packet(seq, seq * 20, seq * 0.02 + (0.016 if seq % 2 else 0.0))
    assert stats.jitter_s == pytest.approx(0.016, rel=0.01)
