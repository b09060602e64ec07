"""Merging, sizes and rates, figures."""

import pytest

from p2pcall.media import constants as c
from p2pcall.media.ladder import encode_size, video_bitrate
from p2pcall.media.stats import NO_INTERVAL, ReceiveStats


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


def test_loss_of_an_interval_is_told_in_ticks() -> None:
    stats = ReceiveStats()
    assert stats.interval() == NO_INTERVAL
    for number in range(100, 150):
        if number % 5:
            stats.on_packet(2 * number, 2, number * 20, number * 0.02)
    told = stats.interval()
    assert (told.expected, told.received) == (98, 80)
    assert told.loss == pytest.approx(1 - 40 / 49)
    assert (stats.highest, stats.received) == (300, 40)
    for number in (150, 151, 151, 151):
        stats.on_packet(2 * number, 2, number * 20, number * 0.02)
    assert stats.interval().loss == 0.0
    stats.on_packet(304, 6, 3_060, 3.1)
    assert stats.interval().expected == 6, "a frame counts for as long as it is"


def test_mean_run_of_lost_ticks_is_told() -> None:
    stats = ReceiveStats()
    lost = {3, 10, 11, 12, 20, 21}
    for number in range(30):
        if number not in lost:
            stats.on_packet(2 * number, 2, number * 20, number * 0.02)
    assert stats.interval().burst_ticks == pytest.approx(4)
    stats.on_packet(60, 2, 620, 0.62)
    assert stats.interval().burst_ticks == 0.0


def test_queue_is_what_all_packets_of_an_interval_have_stood_in() -> None:
    stats = ReceiveStats()
    told = []
    for number in range(400):
        queue_s = 0.2 if 100 <= number < 150 else 0.0
        late_s = 0.05 if number % 3 else 0.0
        stats.on_packet(2 * number, 2, number * 20, number * 0.02 + queue_s + late_s)
        if number % 50 == 49:
            told.append(round(stats.interval().queue_s, 3))
    assert told == [0, 0, 0.2, 0, 0, 0, 0, 0], "jitter is no queue"
    for number in range(400, 400 + 50 * c.STATS_QUEUE_INTERVALS):
        stats.on_packet(2 * number, 2, number * 20, number * 0.02 + 0.5)
        if number % 50 == 49:
            told.append(round(stats.interval().queue_s, 3))
    assert (told[-2], told[-1]) == (0.5, 0), "a slower way is none for ever"


def test_a_wild_tick_does_not_spoil_the_figures() -> None:
    stats = ReceiveStats()
    stats.on_packet(0, 2, 0, 0.0)
    stats.on_packet(4_000_000_000, 2, 0, 0.02)
    stats.on_packet(2, 2, 20, 0.02)
    assert stats.highest == 4
    assert stats.interval().expected == stats.received * 2 == 4


def test_a_real_jump_is_followed_after_two() -> None:
    stats = ReceiveStats()
    stats.on_packet(10_000, 2, 0, 0.0)
    stats.on_packet(5, 2, 100, 0.1)
    stats.on_packet(7, 2, 120, 0.12)
    assert stats.highest == 9
    assert stats.interval().expected == 2
    assert stats.jitter_s == 0.0


def test_jitter_is_that_of_rfc_3550() -> None:
    stats = ReceiveStats()
    stats.on_packet(0, 2, 0, 0.0)
    stats.on_packet(2, 2, 20, 0.036)
    assert stats.jitter_s == pytest.approx(0.016 / 16)
    for number in range(2, 400):
        stats.on_packet(2 * number, 2, number * 20, number * 0.02 + (0.016 if number % 2 else 0.0))
    assert stats.jitter_s == pytest.approx(0.016, rel=0.01)
